"""What mixi and its buyers ask of this counter."""

import structlog
from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import NotFound, ServiceUnavailable

from storefront import clock, metrics
from storefront.clock import Deadline, TooLate
from storefront.mixi import callback_word, lifecycle, payments, purchases, starts, taps
from storefront.mixi.certificates import NotNow
from storefront.mixi.channel import NAME, Channel, NoCertificate, channel
from storefront.mixi.lifecycle import Event
from storefront.mixi.payments import Callback, Contradiction, UnknownPayment, Wanted
from storefront.mixi.rules import rules
from storefront.mixi.signing import BadSignature, Malformed
from storefront.mixi.taps import BeingPrepared, NotStarted, Spent, Tap
from storefront.operator import login
from storefront.shop import buy_form, catalog, limits, visit
from storefront.shop.catalog import Offer
from storefront.shop.devices import Device
from storefront.shop.limits import NotForSale
from storefront.shop.visit import Stranger
from storefront.shop.visits import Visit

blueprint = Blueprint(NAME, __name__, url_prefix="/mixi")
log = structlog.get_logger()

PLAIN = {"Content-Type": "text/plain"}
# Everything but OK is a refusal: mixi takes no points.
REFUSALS: dict[type[Exception], tuple[int, str]] = {
    BadSignature: (401, "not signed by mixi for this application"),
    Malformed: (400, "not a callback of this application"),
    UnknownPayment: (404, "no such payment of this owner at this address"),
    Contradiction: (409, "settled already, in another way"),
    NotForSale: (409, "sold out, or not for this buyer now"),
    TooLate: (503, "too late to commit"),
    SQLAlchemyError: (503, "the database did not answer"),
}
# mixi drops an event that gets a 4xx, and sends one again that gets a 5xx (ours: no source says so).
EVENT_REFUSALS: dict[type[Exception], tuple[int, str]] = {
    BadSignature: (401, "not signed by mixi itself"),
    NoCertificate: (401, "no certificate of mixi is configured"),
    NotNow: (503, "mixi cannot be asked for this key now"),
    Malformed: (400, "not an event of this application"),
    SQLAlchemyError: (503, "the database did not answer"),
}
# A tap that leads to no payment of its own, and the page that says why.
HALTS: dict[type[Exception], tuple[str, int]] = {
    NotStarted: ("mixi/not_started.html", 503),
    BeingPrepared: ("mixi/being_prepared.html", 202),
    Spent: ("mixi/spent.html", 200),
}


@blueprint.route("/start/<any(smartphone, pc):device>", methods=["GET", "POST"])
def start(device: str) -> ResponseReturnValue:
    """mixi opens the app on our own domain, by a link or a form, for whom it says. Each is good once."""
    mixi, now = channel(), clock.now()
    try:
        signed = mixi.verify_start(request, Device(device), now)
        return visit.enter(starts.begin(mixi, signed, Device(device), now))
    except NotNow as later:
        log.warning("start refused", reason=str(later))
        raise ServiceUnavailable(retry_after=later.seconds) from later
    except (BadSignature, Malformed, NoCertificate) as refusal:
        log.warning("start refused", reason=str(refusal) or type(refusal).__name__)
        raise Stranger(forged=True) from refusal


@blueprint.get("/rules")
def programme() -> str:
    """For the operator: the rules of the payment programme, and the code that keeps them."""
    login.required()
    return render_template("mixi/rules.html", rules=rules())


@blueprint.post("/leave")
def leave() -> ResponseReturnValue:
    """The buyer has had enough on this browser."""
    visit.leave(request.form.get("token", ""))
    return render_template("mixi/left.html", app_url=channel().settings.mixi_shown_at)


@blueprint.post("/payments")
def checkout() -> ResponseReturnValue:
    """The buyer has chosen; make a payment and send them to it."""
    mixi, here = channel(), visit.current()
    deadline = Deadline.after(mixi.client.timeouts.total)
    offer = _offer(request.form.get("item", ""))
    tap = Tap(buy_form.accept(here, offer), _wanted(mixi, here, offer))
    try:
        return redirect(taps.start(mixi, tap, deadline, clock.now()))
    except tuple(HALTS) as halt:
        template, status = HALTS[type(halt)]
        return _again(template, tap.wanted.item_id, halt=halt), status


@blueprint.get("/callback")
def callback() -> ResponseReturnValue:
    """mixi asks, at the address of this payment alone: the buyer has decided; may it be so?"""
    deadline = Deadline.after(payments.LISTENS)
    status, answer = 200, "OK"
    try:
        deadline = _settle(deadline)
    except tuple(REFUSALS) as refusal:
        status, answer = _refuse(refusal)
    metrics.count_callback(status, payments.LISTENS - deadline.left())
    return answer, status, PLAIN


@blueprint.route("/lifecycle", methods=["GET", "POST"])
def event() -> ResponseReturnValue:
    """mixi tells: these people have added the app, or removed it."""
    mixi, now = channel(), clock.now()
    try:
        lifecycle.apply(Event.read(mixi.verify_event(request, now), mixi.settings.mixi_app_id), now)
    except tuple(EVENT_REFUSALS) as refusal:
        return _refuse_event(refusal)
    return "", PLAIN


@blueprint.get("/finish")
def finish() -> str:
    """The buyer returns: our state of the payment, whatever the address claims. Grants nothing."""
    _payment(request.args.get("point_code", ""))
    visit.refresh()
    payment = _payment(request.args.get("point_code", ""))
    if not visit.asked_language():
        visit.keep_language(payment.language)
    shown = purchases.purchase(visit.current().customer, payment.point_code)
    return _again("mixi/finish.html", payment.item_id, payment=payment, purchase=shown)


def _settle(arrival: Deadline) -> Deadline:
    """Do what mixi asks, and return with time left to say so."""
    arrived, mixi, word = clock.now(), channel(), callback_word.of(request)
    signed = mixi.verify_callback(request, word, arrived)
    wanted = Callback.read(signed, mixi.settings.mixi_app_id, word)
    deadline = payments.deadline_of(signed, arrival, arrived, mixi.settings.mixi_clock_skew)
    payments.settle(wanted, deadline, arrived)
    deadline.check()  # a pause may have come between commit and answer
    log.info("callback answered", point_code=wanted.point_code, outcome=wanted.outcome.value)
    return deadline


def _refuse(refusal: Exception) -> tuple[int, str]:
    status, reason = next(answer for kind, answer in REFUSALS.items() if isinstance(refusal, kind))
    log.warning("callback refused", status=status, reason=reason, problem=_problem(refusal))
    return status, f"REFUSED: {reason}\n"


def _refuse_event(refusal: Exception) -> ResponseReturnValue:
    status, reason = next(answer for kind, answer in EVENT_REFUSALS.items() if isinstance(refusal, kind))
    log.warning("lifecycle refused", status=status, reason=reason, problem=_problem(refusal))
    later = {"Retry-After": str(refusal.seconds)} if isinstance(refusal, NotNow) else {}
    return f"REFUSED: {reason}\n", status, PLAIN | later


def _problem(refusal: Exception) -> str:
    """The word that tells refusals of one kind apart; what other errors say may repeat what was sent."""
    tells = isinstance(refusal, BadSignature | Malformed | NotForSale)
    return str(refusal) if tells else type(refusal).__name__


def _offer(item_id: str) -> Offer:
    offer = catalog.offer(item_id, NAME)
    if offer is None:
        raise NotFound
    return offer


def _wanted(mixi: Channel, here: Visit, offer: Offer) -> Wanted:
    return Wanted(
        item_id=offer.item.id,
        item_name=offer.item.name(here.language),
        points=offer.amount,
        is_test=mixi.is_test(here.customer.external_id),
        customer_id=here.customer.id,
        owner_id=here.customer.external_id,
        language=here.language,
        device=here.device,
    )


def _payment(point_code: str) -> payments.Payment:
    payment = purchases.find(visit.current().customer.id, point_code)
    if payment is None:
        raise NotFound
    return payment


def _again(template: str, item_id: str, **values: object) -> str:
    """A page about a purchase, with a fresh form for the same item if it is still sold."""
    here = visit.current()
    offer = catalog.offer(item_id, NAME)
    fresh: dict[str, object] = {}
    if offer:
        standing = limits.standing(offer, here.customer.id, here.device, clock.now())
        fresh = {"token": buy_form.seal(here, offer), "standing": standing}
    return render_template(template, offer=offer, **fresh, **values)
