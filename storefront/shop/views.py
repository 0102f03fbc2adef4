"""The pages of the shop: shelf, item, bag, history, legal notice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from flask import Blueprint, abort, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from storefront import clock
from storefront.config import settings
from storefront.shop import ages, buy_form, catalog, counter, form_tokens, inventory, ledger, limits, visit
from storefront.shop.ages import NotABirthMonth
from storefront.shop.catalog import Offer
from storefront.shop.devices import Device
from storefront.shop.visits import Visit

# Rows of shelf and bag on one page of a mobile phone, so that it stays small.
MOBILE_ROWS = 11
MAX_PAGE = 10_000  # nobody has bought so much; a larger number would not fit the database's

Row = TypeVar("Row")

blueprint = Blueprint("shop", __name__)


@blueprint.route("/", methods=["GET", "HEAD"])
def index() -> str:
    """The shelf; to somebody who came without any claim, the way in."""
    try:
        here = visit.current()
    except visit.Stranger as stranger:
        if stranger.forged or request.args.keys() - {"lang"}:
            raise
        return render_template("shop/door.html", entrances=visit.entrances())
    part = _part(here, catalog.listing(here.channel))
    standings = limits.standings(part.rows, here.channel, here.customer.id, here.device, clock.now())
    return render_template("shop/index.html", part=part, standings=standings, messages=visit.messages())


@blueprint.get("/items/<item_id>")
def item(item_id: str) -> str:
    here = visit.current()
    offer = catalog.offer(item_id, here.channel)
    if offer is None:
        raise NotFound
    standing = limits.standing(offer, here.customer.id, here.device, clock.now())
    return render_template(
        "shop/item.html",
        offer=offer,
        standing=standing,
        token=buy_form.seal(here, offer),
        ways=_ways_out(here, item_id),
        page=_place(here, item_id),
        messages=visit.messages(item_id),
    )


@blueprint.get("/age")
def age() -> ResponseReturnValue:
    """Asked where the settings limit what buyers under age may spend; what was said once, stays."""
    here = visit.current()
    limited = any(limits.age_limits(one.channel) for one in visit.serving(here))
    wanted = request.args.get("item", "")
    if here.customer.born or not limited:
        return redirect(_onward(here, wanted))
    return _ask_age(here, wanted)


@blueprint.post("/age")
def declare_age() -> ResponseReturnValue:
    here = visit.current()
    form_tokens.unseal(request.form.get("token", ""), here.customer.id, "age")
    wanted = request.form.get("item", "")
    year, month = (request.form.get(part, 0, type=int) for part in ages.PARTS)
    try:
        ages.declare(here.customer.id, year, month, clock.now())
    except NotABirthMonth as mistake:
        return _ask_age(here, wanted, mistake.part), 400
    return redirect(_onward(here, wanted))


@blueprint.get("/change")
def ask_to_change() -> str:
    """Somebody else has come in by this browser: who is in decides whether they go."""
    token = request.args.get("token", "")
    return render_template("shop/change.html", newcomer=visit.newcomer(token), token=token)


@blueprint.post("/change")
def change() -> Response:
    return visit.change(request.form.get("token", ""))


@blueprint.get("/inventory")
def bag() -> str:
    here = visit.current()
    visit.refresh()
    holdings, pressed = inventory.holdings(here.customer.id), request.args.get("used", "")
    used = inventory.used(here.customer.id, pressed) if form_tokens.NONCE.fullmatch(pressed) else None
    return render_template(
        "shop/inventory.html",
        part=_part(here, holdings),
        used=used,
        not_used=bool(pressed) and used is None,
        suggestion=catalog.cheapest(here.channel) if settings().selling else None,
        use_token=lambda item: form_tokens.seal(here.customer.id, f"use:{item.id}"),
    )


@blueprint.post("/inventory/<item_id>/use")
def use(item_id: str) -> Response:
    here = visit.current()
    nonce = form_tokens.unseal(request.form.get("token", ""), here.customer.id, f"use:{item_id}")
    visit.refresh()  # what was paid back meanwhile is not there to be used
    inventory.use(here.customer.id, item_id, nonce, clock.now())
    return redirect(here.target("shop.bag", used=nonce))


@blueprint.get("/history")
def history() -> str:
    page = _asked_page()
    if page == 0:
        visit.refresh()
    purchases = visit.purchases(page)
    return render_template(
        "shop/history.html",
        purchases=purchases,
        booked=ledger.booked(visit.current().customer.id, [one.key for one in purchases if one.key]),
        arts=catalog.arts({one.item_id for one in purchases}),
        page=page,
        page_size=visit.page_size(),
        messages=visit.messages() if page == 0 else (),
    )


@blueprint.get("/history/<channel>/<code>")
def purchase(channel: str, code: str) -> str:
    """One purchase of the visitor's own: the item, what it did to their money, and what became of it."""
    here = visit.current()
    found = visit.purchase(channel, code) or abort(404)
    return render_template(
        "shop/purchase.html",
        purchase=found,
        item=catalog.item(found.item_id),
        offer=catalog.offer(found.item_id, here.channel),
    )


@blueprint.route("/legal", methods=["GET", "HEAD"])
def legal() -> str:
    """Open to everybody, as the law wants it; to who is in, of the counters that they may pay at."""
    here = visit.if_any()
    counters = [counter.of(here.channel), *visit.ways_out(here)] if here else visit.entrances()
    return render_template("shop/legal.html", legal=settings(), counters=counters)


@dataclass(frozen=True)
class Part(Generic[Row]):
    """A page of a list; pages count from 0."""

    rows: Sequence[Row]
    page: int
    pages: int


def _part(here: Visit, rows: Sequence[Row]) -> Part[Row]:
    """The part of a list that was asked for; the whole of it where pages may be long."""
    size = MOBILE_ROWS if here.device is Device.MOBILE else max(1, len(rows))
    pages = max(1, -(-len(rows) // size))
    page = min(_asked_page(), pages - 1)
    return Part(rows[page * size : (page + 1) * size], page, pages)


def _place(here: Visit, item_id: str) -> int:
    """The page of the shelf on which an item stands."""
    if here.device is not Device.MOBILE:
        return 0
    shelf = [offer.item.id for offer in catalog.listing(here.channel)]
    return shelf.index(item_id) // MOBILE_ROWS


def _asked_page() -> int:
    return min(max(0, request.args.get("page", 0, type=int)), MAX_PAGE)


def _ways_out(here: Visit, item_id: str) -> list[Offer]:
    """The same item, as it is sold where the platform's money is not taken."""
    doors = visit.ways_out(here) if settings().selling else ()
    found = (catalog.offer(item_id, door.channel) for door in doors)
    return [offer for offer in found if offer]


def _ask_age(here: Visit, wanted: str, wrong: str = "") -> str:
    """`wanted` is the item on whose account it is asked, `wrong` the part that cannot be so."""
    token = form_tokens.seal(here.customer.id, "age")
    typed = {part: request.form.get(part, "") for part in ages.PARTS}
    return render_template("shop/age.html", token=token, item_id=wanted, typed=typed, wrong=wrong)


def _onward(here: Visit, wanted: str) -> str:
    """To the item that was wanted, if it is sold here; else to the shelf."""
    offer = catalog.offer(wanted, here.channel)
    return here.target("shop.item", item_id=offer.item.id) if offer else here.target("shop.index")
