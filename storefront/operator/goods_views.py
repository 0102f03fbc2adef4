"""The operator's pages about goods: how each stands, what became of it lately, and what can be set."""

from collections.abc import Mapping

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import LazyString
from flask_babel import lazy_gettext as _
from werkzeug.exceptions import NotFound

from storefront import clock
from storefront.config import settings
from storefront.db import db
from storefront.operator import goods, login, search, story
from storefront.operator.goods import Outdated, Refused, Wish
from storefront.shop import adjustments, catalog, form_tokens, inventory
from storefront.shop.adjustments import Field
from storefront.shop.catalog import Item
from storefront.shop.catalog_file import ITEM_ID

OUTDATED = _("Somebody else has set something meanwhile. Nothing was saved; this is how it stands now.")
NOTES = 30  # of what was set about an item
FIELDS: Mapping[Field, LazyString] = {
    Field.PAUSED: _("Paused"),
    Field.STOCK: _("Stock"),
    Field.PER_CUSTOMER: _("Limit for each person"),
    Field.ON_SALE_FROM: _("On sale from"),
    Field.ON_SALE_UNTIL: _("On sale until"),
}

blueprint = Blueprint("operator_goods", __name__, url_prefix="/operator")
blueprint.before_request(login.guard)


@blueprint.get("/items")
def items() -> str:
    """Every item, with what is left of it and what was set."""
    found = catalog.everything()
    return render_template(
        "operator/items.html",
        items=found,
        prices=catalog.prices(),
        sold=inventory.sold(db.session(), [one.id for one in found if one.stock is not None]),
        adjusted=adjustments.current(db.session()),
        fields=FIELDS,
        now=clock.now(),
    )


@blueprint.get("/items/<item_id>")
def item(item_id: str) -> str:
    return _page(_item(item_id))


@blueprint.post("/items/<item_id>")
def change(item_id: str) -> ResponseReturnValue:
    """Set what was changed in the form, and give back what was ticked."""
    token = request.form.get("token", "")
    form_tokens.unseal(token, login.required(), _purpose(item_id))
    found = _item(item_id)
    try:
        wish = Wish.read(request.form, found)
        goods.change(item_id, wish, int(form_tokens.carried(token)), clock.now())
    except Refused as refusal:
        db.session.rollback()
        return _page(_item(item_id), request.form, refusal.words), 422
    except Outdated:
        return _page(_item(item_id), None, OUTDATED), 409
    return redirect(settings().public_url + url_for("operator_goods.item", item_id=item_id), 303)


def _item(item_id: str) -> Item:
    found = db.session.get(Item, item_id) if ITEM_ID.fullmatch(item_id) else None
    if found is None:
        raise NotFound
    return found


def _page(found: Item, typed: Mapping[str, str] | None = None, refusal: LazyString | None = None) -> str:
    moved = search.moved(found.id)
    login.looked(item=found.id, people=sorted({one.customer.id for one in moved}))
    session, shown = db.session(), goods.shown(found)
    mark = str(adjustments.mark(session, found.id))
    return render_template(
        "operator/item.html",
        item=found,
        prices=catalog.prices().get(found.id, {}),
        sold=inventory.sold(session, [found.id]).get(found.id, 0) if found.stock is not None else None,
        moved=moved,
        words=story.GRANTS,
        fields=FIELDS,
        shown=shown,
        typed=typed if typed is not None else {one.value: text for one, text in shown.items()},
        is_typed=typed is not None,
        in_file=goods.in_file(found),
        adjusted=adjustments.current(session, found.id).get(found.id, {}),
        notes=[(one, goods.written(one.says)) for one in adjustments.of(found.id, NOTES)],
        refusal=refusal,
        name=login.name(),
        token=form_tokens.seal(login.required(), _purpose(found.id), mark),
    )


def _purpose(item_id: str) -> str:
    return f"goods:{item_id}"
