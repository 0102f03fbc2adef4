"""Asking the app: may these points be taken? Only a plain OK in time means yes."""

from datetime import datetime, timedelta
from urllib.parse import urlencode

from storefront.sandbox import clock
from storefront.sandbox.context import Sandbox
from storefront.sandbox.language import N_
from storefront.sandbox.mixi import payments
from storefront.sandbox.mixi.calls import Answer, Call, NoAnswer
from storefront.sandbox.mixi.payments import Payment, Question, Waits
from storefront.sandbox.settings import SandboxSettings
from storefront.sandbox.wirelog import Kind

# A question counts as lost when its asker has said nothing this long after the app's time was up.
GRACE_SECONDS = 5
# Room for an OK and for whatever an error page wants to say to the log.
MAX_ANSWER_BYTES = 64 * 1024


def waits(settings: SandboxSettings) -> Waits:
    """The times that payments live by, as configured."""
    return Waits(
        interface=timedelta(seconds=settings.interface_ttl),
        callback=timedelta(seconds=settings.callback_seconds + GRACE_SECONDS),
    )


def ask(sandbox: Sandbox, payment: Payment, question: Question) -> bool:
    """Put the buyer's decision to the app, once at a time; True if this call did the asking.

    Afterwards the payment says how it went. No database transaction is open while the app thinks.
    """
    times = waits(sandbox.settings)
    now = clock.now()
    if not payments.claim(payment, question, now, times):
        return False
    settled = False
    try:
        if _callback(sandbox, payment, question, now):
            (payments.complete if question is Question.BUY else payments.cancel)(payment, now)
            settled = True
    except payments.Overdrawn:
        settled = False
    finally:
        if not settled:
            payments.refuse(payment, question, clock.now(), times)
    return True


def _callback(sandbox: Sandbox, payment: Payment, question: Question, now: datetime) -> bool:
    parameters = {
        "opensocial_app_id": sandbox.settings.app_id,
        "opensocial_owner_id": payment.owner_id,
        "point_code": payment.code,
        "status": int(question),
        "updated": clock.stamp(now),
    }
    call = Call(
        Kind.CALLBACK,
        "GET",
        f"{payment.callback_url}?{urlencode(parameters)}",
        now,
        seconds=sandbox.settings.callback_seconds,
        max_bytes=MAX_ANSWER_BYTES,
    )
    try:
        objection = _objection(call.send(sandbox), strict=sandbox.settings.strict_ok_body)
    except NoAnswer as silence:
        objection = silence.reason
    agreed = {
        Question.BUY: N_("OK: the purchase is complete."),
        Question.CANCEL: N_("OK: the purchase is cancelled."),
    }
    call.log(objection or agreed[question], good=objection is None)
    return objection is None


def _objection(answer: Answer, *, strict: bool) -> str | None:
    body = answer.body if strict else answer.body.strip()
    if answer.status != 200:
        return N_("Refused: the status is not 200. No points move.")
    if answer.media_type != "text/plain":
        return N_("Refused: the answer is not text/plain. No points move.")
    if body != b"OK":
        return N_("Refused: the body is not OK. No points move.")
    return None
