"""The way out with its warning, and the provider's word about a payment."""

import structlog
from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import NotFound

from storefront import clock
from storefront.config import settings
from storefront.external import facts, payments, registration
from storefront.external.channel import NAME, Deaf, channel
from storefront.external.payments import (
    Contradiction,
    ExternalPayment,
    Malformed,
    UnknownPayment,
)
from storefront.external.registration import Rule
from storefront.external.signing import BadSeal
from storefront.shop import buy_form, catalog, form_tokens, limits, visit, words
from storefront.shop.catalog import Offer
from storefront.shop.form_tokens import StaleForm
from storefront.shop.visit import Stranger
from storefront.shop.visits import Visit

PLAIN = {"Content-Type": "text/plain"}
FINISH = "storefront.external.finish"
# The provider gives the money back on a 409 that says REFUND, gives up on other 4xx, else asks again.
REFUSALS: dict[type[Exception], tuple[int, str]] = {
    BadSeal: (401, "not signed by our provider"),
    Malformed: (400, "not a notice"),
    UnknownPayment: (404, "no such payment"),
    Contradiction: (409, "it does not fit the payment"),
    Deaf: (503, "nothing is configured to verify it with"),
    SQLAlchemyError: (503, "the database did not answer"),
}

blueprint = Blueprint(NAME, __name__, url_prefix="/external")
log = structlog.get_logger()


class Closed(Exception):
    """The door out is closed to this visitor now; `rule` says why."""

    def __init__(self, rule: Rule | None) -> None:
        super().__init__(rule)
        self.rule = rule


@blueprint.get("/items/<item_id>")
def warning(item_id: str) -> ResponseReturnValue:
    """Before the buyer leaves, every time: where to, whose place that is, and that it is not mixi's."""
    here = visit.current()
    _check_open(here)
    offer = _offer(item_id)
    _check_price(offer)
    standing = limits.standing(offer, here.customer.id, here.device, clock.now())
    token = buy_form.seal(here, offer, here.key)
    page = {"offer": offer, "standing": standing, "token": token}
    return render_template("external/warning.html", site=channel().site, **page, **_provider())


@blueprint.post("/payments")
def checkout() -> ResponseReturnValue:
    """The buyer has read the warning and goes on, in a window of its own."""
    here = visit.if_any() or _visit_of_form()
    visit.speak(here.language)
    _check_open(here)
    offer = _offer(request.form.get("item", ""))
    _check_price(offer)
    code, language = buy_form.accept(here, offer), here.language
    payment = payments.start(code, here.customer, offer, language, here.device, clock.now())
    fields = {
        "payment": payment.code,
        "item": payment.item_name,
        "yen": str(payment.yen),
        "back": _way_back(payment.code, here.language),
        "lang": here.language,
    }
    return redirect(channel().way_out(fields, clock.now()), 303)


@blueprint.get("/payments/<code>")
def finish(code: str) -> str:
    """The buyer returns, to a window that may know of no visit: our state of the payment. Grants nothing."""
    here = visit.if_any()
    payment = payments.find(here.customer.id, code) if here else None
    if payment is None:
        payment = _signed_for(code)
        visit.forget()  # this one payment is shown, and nothing else of anybody's
    return render_template("external/finish.html", payment=payment, purchase=payments.shown(payment))


@blueprint.post("/notices")
def notice() -> ResponseReturnValue:
    """The provider tells what became of a payment."""
    try:
        good = payments.hear(_believed(), clock.now())
    except tuple(REFUSALS) as refusal:
        code, reason = next(answer for kind, answer in REFUSALS.items() if isinstance(refusal, kind))
        if isinstance(refusal, Contradiction):
            reason = refusal.reason
        if isinstance(refusal, Contradiction | UnknownPayment) and refusal.owed:
            code, reason = 409, f"REFUND {reason}"
        log.warning("notice refused", status=code, reason=reason)
        return f"{reason}\n", code, PLAIN
    if not good:
        return "REFUND it cannot be delivered\n", 409, PLAIN
    return "OK", PLAIN


@blueprint.errorhandler(Closed)
def _closed(closed: Closed) -> ResponseReturnValue:
    return render_template("external/closed.html", rule=closed.rule), 403


def leads_out(here: Visit) -> bool:
    """Whether this visitor may leave by this door today."""
    return bool(channel()) and forbidding(here) is None


def has_door(offer: Offer) -> bool:
    """Whether mixi has approved what this item costs."""
    return _price_rule(offer) is None


def forbidding(here: Visit) -> Rule | None:
    """The rule that keeps this visitor in, if there is one."""
    door, today = channel(), clock.day(clock.now())
    return registration.forbidden(
        facts.current(), here.device, door.site, today, on_smartphone=door.on_smartphone
    )


def _check_open(here: Visit) -> None:
    rule = forbidding(here) if channel() else None
    if rule or not channel():
        raise Closed(rule)


def _check_price(offer: Offer) -> None:
    rule = _price_rule(offer)
    if rule:
        raise Closed(rule)


def _price_rule(offer: Offer) -> Rule | None:
    today = clock.day(clock.now())
    return registration.forbidden_price(facts.current(), offer.item.id, offer.amount, today)


def _provider() -> dict[str, object]:
    """Whom the buyer pays, by what the papers of today say."""
    recorded, today = facts.current(), clock.day(clock.now())
    provider = registration.usable(recorded, channel().site, today)
    ways = registration.services(recorded, provider, today) if provider else []
    return {"provider": provider, "services": ways, "today": today}


def _visit_of_form() -> Visit:
    """Whose form it is. A window opened from another site's frame does not get the frame's cookie."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise Stranger  # no page of ours sent this
    try:
        return visit.resume(form_tokens.carried(request.form.get("token", "")))
    except StaleForm:
        raise Stranger from None


def _way_back(code: str, language: str) -> str:
    """Where the provider sends the buyer: signed, so that it shows this payment to whoever comes by it."""
    seal = words.signer(FINISH).get_signature(code).decode()
    return settings().public_url + url_for("external.finish", code=code, seal=seal, lang=language)


def _signed_for(code: str) -> ExternalPayment:
    is_signed = words.signer(FINISH).verify_signature(code, request.args.get("seal", ""))
    payment = payments.returning(code) if is_signed else None
    if payment is None:
        raise NotFound if visit.known() else Stranger
    return payment


def _believed() -> dict[str, str]:
    if any(len(values) > 1 for _, values in request.form.lists()):
        raise BadSeal("a field twice, of which the signature covers one")
    return channel().heard(request.form.to_dict(), clock.now())


def _offer(item_id: str) -> Offer:
    offer = catalog.offer(item_id, NAME)
    if offer is None:
        raise NotFound
    return offer
