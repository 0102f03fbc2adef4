"""The pages of the shop: shelf, item, bag, history, legal notice."""

from flask import Blueprint, redirect, render_template, request
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from storefront import clock
from storefront.config import settings
from storefront.shop import catalog, forms, inventory, limits, visit

MAX_PAGE = 10_000  # nobody has bought so much; a larger number would not fit the database's

blueprint = Blueprint("shop", __name__)


@blueprint.get("/")
def index() -> str:
    """The shelf; to somebody who came without any claim, the way in."""
    try:
        here = visit.current()
    except visit.Stranger as stranger:
        if stranger.forged or request.args.keys() - {"lang"}:
            raise
        return render_template("shop/door.html", entrances=visit.entrances())
    offers = catalog.listing(here.channel)
    standings = limits.standings([offer.item for offer in offers], here.customer.id, clock.now())
    return render_template("shop/index.html", offers=offers, standings=standings, notices=visit.notices())


@blueprint.get("/items/<item_id>")
def item(item_id: str) -> str:
    here = visit.current()
    offer = catalog.offer(item_id, here.channel)
    if offer is None:
        raise NotFound
    token = forms.seal(here.customer, offer.purpose)
    standing = limits.standings([offer.item], here.customer.id, clock.now())[item_id]
    return render_template(
        "shop/item.html", offer=offer, standing=standing, token=token, notices=visit.notices()
    )


@blueprint.get("/inventory")
def bag() -> str:
    here = visit.current()
    visit.refresh()
    return render_template(
        "shop/inventory.html",
        holdings=inventory.holdings(here.customer.id),
        suggestion=catalog.cheapest(here.channel),
        seal=lambda item: forms.seal(here.customer, f"use:{item.id}"),
    )


@blueprint.post("/inventory/<item_id>/use")
def use(item_id: str) -> Response:
    here = visit.current()
    nonce = forms.unseal(request.form.get("token", ""), here.customer, f"use:{item_id}")
    inventory.use(here.customer.id, item_id, nonce, clock.now())
    return redirect(here.target("shop.bag"))


@blueprint.get("/history")
def history() -> str:
    page = min(max(0, request.args.get("page", 0, type=int)), MAX_PAGE)
    if page == 0:
        visit.refresh(thorough=True)
    purchases = visit.purchases(page)
    return render_template(
        "shop/history.html",
        purchases=purchases,
        page=page,
        page_size=visit.PAGE,
        notices=visit.notices() if page == 0 else (),
    )


@blueprint.get("/legal")
def legal() -> str:
    """Open to everybody, as the law wants it."""
    try:
        visit.current()
    except visit.Stranger as stranger:
        if stranger.forged:
            raise
    return render_template("shop/legal.html", legal=settings(), entrances=visit.entrances())
