"""What mixi and its buyers ask of this counter."""

import structlog
from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import NotFound

from storefront import clock
from storefront.clock import TooLate
from storefront.mixi import payments
from storefront.mixi.channel import channel
from storefront.mixi.payments import (
    BeingPrepared,
    Callback,
    Contradiction,
    NotStarted,
    Spent,
    Tap,
    UnknownPayment,
)
from storefront.mixi.signing import BadSignature, Malformed
from storefront.shop import catalog, forms, visit
from storefront.shop.catalog import Offer

blueprint = Blueprint("mixi", __name__, url_prefix="/mixi")
log = structlog.get_logger()

PLAIN = {"Content-Type": "text/plain"}
# Everything but OK is a refusal: mixi takes no points.
REFUSALS: dict[type[Exception], tuple[int, str]] = {
    BadSignature: (401, "not signed by mixi for this application"),
    Malformed: (400, "not a callback of this application"),
    UnknownPayment: (404, "no such payment of this owner"),
    Contradiction: (409, "settled already, in another way"),
    TooLate: (503, "too late to commit"),
    SQLAlchemyError: (503, "the database did not answer"),
}


@blueprint.post("/payments")
def checkout() -> ResponseReturnValue:
    """The buyer has chosen; make a payment and send them to it."""
    here = visit.current()
    offer = _offer(request.form.get("item", ""), here.channel)
    token = forms.unseal(request.form.get("token", ""), here.customer, offer.purpose)
    tap = Tap(
        customer_id=here.customer.id,
        owner_id=here.customer.external_id,
        item_id=offer.item.id,
        item_name=offer.item.name(here.language),
        points=offer.price.amount,
        language=here.language,
        token=token,
    )
    try:
        return redirect(payments.start(channel(), tap, clock.now()))
    except NotStarted as failure:
        return _again("mixi/not_started.html", tap.item_id, reference=failure.reference), 503
    except BeingPrepared:
        return _again("mixi/being_prepared.html", tap.item_id, token=request.form["token"]), 202
    except Spent as spent:
        return _again("mixi/spent.html", tap.item_id, payment=_payment(spent.point_code))


@blueprint.get("/callback")
def callback() -> ResponseReturnValue:
    """mixi asks: the buyer has decided; may it be so?"""
    try:
        _settle()
    except tuple(REFUSALS) as refusal:
        return _refuse(refusal)
    return "OK", PLAIN


@blueprint.get("/finish")
def finish() -> str:
    """The buyer returns: our state of the payment, whatever the address claims. Grants nothing."""
    payment = _payment(request.args.get("point_code", ""))
    if not visit.asked_language():
        visit.keep_language(payment.language)
    return _again("mixi/finish.html", payment.item_id, payment=payment)


def _settle() -> None:
    mixi, arrived = channel(), clock.now()
    signed = mixi.verify(request, arrived)
    wanted = Callback.read(signed, mixi.app_id)
    deadline = payments.deadline_of(signed, arrived, mixi.clock_skew)
    payments.settle(wanted, deadline, arrived)
    deadline.check()  # a pause may have come between commit and answer
    log.info("callback answered", point_code=wanted.point_code, outcome=wanted.outcome.value)


def _refuse(refusal: Exception) -> ResponseReturnValue:
    status, reason = next(answer for kind, answer in REFUSALS.items() if isinstance(refusal, kind))
    log.warning("callback refused", status=status, reason=reason, kind=type(refusal).__name__)
    return f"REFUSED: {reason}\n", status, PLAIN


def _offer(item_id: str, channel_name: str) -> Offer:
    offer = catalog.offer(item_id, channel_name)
    if offer is None:
        raise NotFound
    return offer


def _payment(point_code: str) -> payments.Payment:
    payment = payments.find(visit.current().customer.id, point_code)
    if payment is None:
        raise NotFound
    return payment


def _again(template: str, item_id: str, **values: object) -> str:
    """A page about a purchase, with a fresh form for the same item if it is still sold."""
    here = visit.current()
    offer = catalog.offer(item_id, here.channel)
    fresh = {"token": forms.seal(here.customer, offer.purpose)} if offer else {}
    return render_template(template, offer=offer, **{**fresh, **values})
