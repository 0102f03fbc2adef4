"""The buyer's page, and the provider's own list."""

import secrets

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from storefront.sandbox import clock
from storefront.sandbox.provider import arrivals, notices, payments, weather
from storefront.sandbox.provider.context import provider
from storefront.sandbox.provider.notices import Kind
from storefront.sandbox.provider.payments import Payment, Status

RECENT = 20
MOST = 1000
BROWSER = "browser"  # in its session: what we call it
# By their endpoints.
BUYERS_PAGES = {f"provider.{name}" for name in ("arrive", "show", "pay", "decline", "cancel")}

blueprint = Blueprint("provider", __name__)


@blueprint.get("/pay")
def arrive() -> ResponseReturnValue:
    """A buyer comes from the shop: keep the payment, and go on to its own address."""
    now = clock.now()
    arrival = arrivals.read(list(request.args.items(multi=True)), provider().settings, now)
    return _to_page(payments.keep(arrival, _browser(), now))


@blueprint.get("/payments/<token>")
def show(token: str) -> ResponseReturnValue:
    """Who is paid for what, or what became of it. A shop that has not heard of it is told again."""
    company, payment = provider(), _found(token)
    if request.method == "GET" and not payment.heard:
        notices.tell(company, payment)
        payment = _found(token)
    return render_template(
        "sandbox/provider/payment.html",
        payment=payment,
        merchant_name=company.settings.merchant_name,
        telling=notices.under_way(company, payment),
    )


@blueprint.post("/payments/<token>/pay")
def pay(token: str) -> ResponseReturnValue:
    """The buyer pays: the money is taken, then the shop is told."""
    payment = _found(token)
    payments.pay(payment, clock.now())
    return _decided(payment)


@blueprint.post("/payments/<token>/decline")
def decline(token: str) -> ResponseReturnValue:
    """The buyer tries a card that does not work: nothing is paid, and the next try may work."""
    payment = _found(token)
    if payments.decline(payment, clock.now()):
        notices.say(provider(), _found(token), Kind.DECLINED)
    return _to_page(payment)


@blueprint.post("/payments/<token>/cancel")
def cancel(token: str) -> ResponseReturnValue:
    """The buyer does not pay: the shop is told that, too."""
    payment = _found(token)
    payments.cancel(payment, clock.now())
    return _decided(payment)


@blueprint.get("/")
def overview() -> ResponseReturnValue:
    """The latest payments of this browser, and what the shop said about them."""
    company, latest = provider(), payments.of(_browser(), RECENT)
    return render_template(
        "sandbox/provider/overview.html",
        settings=company.settings,
        payments=latest,
        told=notices.told(latest),
        collected=payments.collected(_browser()),
    )


@blueprint.post("/notices/<reference>")
def tell_again(reference: str) -> ResponseReturnValue:
    """Send the notice again: a good shop answers as before and does nothing twice."""
    payment = payments.by_reference(reference, _browser()) or abort(404)
    notices.tell_again(provider(), payment)
    return _to_overview(payment)


@blueprint.post("/notices/<reference>/<any(forged, sum, currency, expired):kind>")
def say(reference: str, kind: str) -> ResponseReturnValue:
    """Say what a good shop refuses, or hears without doing anything."""
    payment = payments.by_reference(reference, _browser()) or abort(404)
    notices.say(provider(), payment, Kind(kind))
    return _to_overview(payment)


@blueprint.post("/refunds/<reference>")
def refund(reference: str) -> ResponseReturnValue:
    """We give the money back by ourselves: a good shop takes the goods back, once."""
    return _undo(reference, Status.REFUNDED)


@blueprint.post("/chargebacks/<reference>")
def charge_back(reference: str) -> ResponseReturnValue:
    """The buyer's bank takes the money back: likewise."""
    return _undo(reference, Status.CHARGEBACK)


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    """The process answers."""
    return "ok\n", {"Content-Type": "text/plain; charset=utf-8"}


@blueprint.get("/statement.json")
def statement() -> ResponseReturnValue:
    """How the payments of these codes stand, for the books of the platform's desk."""
    weather.check_desk()
    return [
        {
            "code": one.code,
            "reference": one.reference,
            "item": one.item,
            "yen": one.yen,
            "status": one.status.value,
            "heard": one.heard,
        }
        for one in payments.of_codes(request.args.getlist("code")[:MOST])
    ]


@blueprint.before_request
def _closed() -> None:
    """Whether weather has closed us to buyers."""
    if request.endpoint in BUYERS_PAGES and weather.take(provider(), "provider.down"):
        abort(503)


def _browser() -> str:
    """Whoever asks, by a cookie of our own: stages of the platform's we know nothing of."""
    return str(session.setdefault(BROWSER, secrets.token_urlsafe()))


def _found(token: str) -> Payment:
    return payments.by_token(token, _browser()) or abort(404)


def _decided(payment: Payment) -> ResponseReturnValue:
    notices.tell(provider(), payment)
    # Another press may be telling the shop: the page is better when it knows the answer.
    notices.wait(provider(), payment)
    return _to_page(payment)


def _undo(reference: str, after: Status) -> ResponseReturnValue:
    payment = payments.by_reference(reference, _browser()) or abort(404)
    if payments.undo(payment, after, clock.now()):
        notices.tell_again(provider(), payment)
    return _to_overview(payment)


def _to_page(payment: Payment) -> ResponseReturnValue:
    return redirect(url_for(".show", token=payment.token), 303)


def _to_overview(payment: Payment) -> ResponseReturnValue:
    notices.wait(provider(), payment)
    return redirect(url_for(".overview", _anchor=payment.reference), 303)
