"""The operator's pages about goods."""

from flask import Blueprint, render_template
from werkzeug.exceptions import NotFound

from storefront.db import db
from storefront.operator import login, search, story
from storefront.shop.catalog import Item
from storefront.shop.catalog_file import ITEM_ID

blueprint = Blueprint("operator_goods", __name__, url_prefix="/operator")
blueprint.before_request(login.guard)


@blueprint.get("/items/<item_id>")
def item(item_id: str) -> str:
    """What became of an item lately, and whose it is."""
    found = db.session.get(Item, item_id) if ITEM_ID.fullmatch(item_id) else None
    if found is None:
        raise NotFound
    login.looked(item=item_id)
    return render_template("operator/item.html", item=found, moved=search.moved(item_id), words=story.GRANTS)
