"""A third counter, as one would write it: an arcade sells for its medals, taken at the press of a button.

Its pages are in the arcade's frame. Who plays is in a signed header; a signed address opens a visit.
"""

import hmac
import secrets
from collections.abc import Sequence
from datetime import date
from urllib.parse import urlencode

from flask import Blueprint, Flask, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import LazyString
from flask_babel import lazy_gettext as _
from sqlalchemy import select
from werkzeug.exceptions import NotFound

from storefront import clock
from storefront.config import HouseSettings
from storefront.db import db, transaction
from storefront.security import Others
from storefront.shop import buy_form, catalog, counter, customers, inventory, ledger, limits, visit, visits
from storefront.shop.catalog_file import PriceRule
from storefront.shop.counter import Counter, Entrance, FalseClaim, Message, Place, Purchase
from storefront.shop.customers import Customer
from storefront.shop.devices import Device
from storefront.shop.inventory import Grant
from storefront.shop.ledger import Entry, Kind
from storefront.shop.units import Unit
from storefront.shop.visits import PlainLinks, Visit

NAME, UNIT, SITE, SECRET = "arcade", "medal", "https://arcade.test", b"a secret of the arcade"
HEADER = "Arcade-Guest"  # the guest, a space, and the seal of both guest and path
WINDOW = 60  # seconds for which an address opens a visit, if none has been opened by it

blueprint = Blueprint(NAME, __name__, url_prefix="/arcade", template_folder="templates")


def seal(*said: str) -> str:
    return hmac.digest(SECRET, "\n".join(said).encode(), "sha256").hex()


def start_address(guest: str, at: int = 0) -> str:
    """Where the arcade opens the shop for a guest, sealed `at` seconds from now."""
    path, once, stamp = "/arcade/start", secrets.token_hex(8), str(int(clock.now().timestamp()) + at)
    said = {"guest": guest, "at": stamp, "once": once, "seal": seal(guest, path, stamp, once)}
    return f"{path}?{urlencode(said)}"


def is_sealed(given: str, *said: str) -> bool:
    return hmac.compare_digest(given.encode(), seal(*said).encode())


def recognise() -> Visit | None:
    """Who plays, if the request claims to come from the arcade."""
    if HEADER not in request.headers:
        return None
    guest, _, given = request.headers[HEADER].partition(" ")
    if not is_sealed(given, guest, request.path):
        raise FalseClaim
    customer = customers.identify(NAME, guest, clock.now())
    return Visit(customer, Device.PC, PlainLinks(), visit.asked_language())


def purchases(customer: Customer, most: int) -> Sequence[Purchase]:
    mine = select(Entry, Grant).join(Grant, Grant.key == Entry.key).where(Entry.customer_id == customer.id)
    rows = db.session.execute(mine.where(Entry.channel == NAME).order_by(Entry.id.desc()).limit(most))
    return [
        Purchase(entry.key, NAME, grant.item_id, grant.item_id, entry.amount, "won", entry.entered_at)
        for entry, grant in rows
    ]


def find(customer: Customer, code: str) -> Purchase | None:
    return next((one for one in purchases(customer, 100) if one.code == code), None)


def messages(customer: Customer) -> Sequence[Message]:
    return ()


def refresh(customer: Customer) -> None:
    """The arcade never gives anything back."""


def with_tax(medals: int, on: date) -> int:
    return medals + medals // 10


WON: LazyString = _("Won")
COUNTER = Counter(
    channel=NAME,
    platform="Arcade",
    unit=Unit(UNIT, _("medals"), "%s M"),
    prices=PriceRule(UNIT, 1, 500, asked=with_tax),
    states={"won": WON},
    purchases=purchases,
    find=find,
    entrance=Entrance(lambda: f"{SITE}/play", recognise, refresh, messages),
    places=[Place("arcade.prizes", _("Prizes"))],
    ages_count=False,
    origins=lambda settings: Others(frames=[SITE]),
)


def init_app(app: Flask, settings: HouseSettings, http: object = None) -> None:
    counter.add(app, COUNTER, settings)
    app.register_blueprint(blueprint)


@blueprint.get("/start")
def start() -> ResponseReturnValue:
    """The arcade opens the shop for a guest, by an address that is good once, and not for long."""
    guest, at, once, given = (request.args.get(name, "") for name in ("guest", "at", "once", "seal"))
    now = clock.now()
    if not is_sealed(given, guest, request.path, at, once) or abs(now.timestamp() - int(at)) > WINDOW:
        raise visit.Stranger(forged=True)
    buyer, key = customers.meet(NAME, guest, now), f"{NAME}:{given[:32]}"
    with transaction() as session:
        visits.begin(session, key, buyer.id, Device.PC, now, now)
    return visit.enter(key)


@blueprint.get("/prizes")
def prizes() -> str:
    return render_template("arcade/prizes.html", here=visit.current())


@blueprint.post("/checkout")
def checkout() -> ResponseReturnValue:
    here, now = visit.current(), clock.now()
    offer = catalog.offer(request.form.get("item", ""), NAME)
    if offer is None:
        raise NotFound
    buyer, item, key = here.customer.id, offer.item.id, f"{NAME}:{buy_form.accept(here, offer)}"
    with transaction() as session:
        limits.enforce(session, item, buyer, offer.amount, now, channel=NAME)
        customers.hold(session, buyer)  # a second press of the button waits for the first
        if not session.scalar(select(inventory.was_given(key))):
            inventory.grant(session, buyer, item, key, now)
            ledger.record(session, buyer, Kind.SALE, offer.amount, UNIT, key, now, channel=NAME)
    return redirect(here.target("shop.bag"))


@blueprint.post("/leave")
def leave() -> ResponseReturnValue:
    visit.leave(request.form.get("token", ""))
    return redirect(f"{SITE}/play")
