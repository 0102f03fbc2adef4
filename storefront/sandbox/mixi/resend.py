"""A decision of any payment, sent by hand: once more, anew, or with something wrong about it.

send()    a decision with a nonce of its own; what the app says counts as it does at a buyer's press
again()   the very request of a row of the wire log
"""

from urllib.parse import parse_qs, unquote, urlsplit

from storefront.sandbox import clock
from storefront.sandbox.context import Sandbox
from storefront.sandbox.language import N_
from storefront.sandbox.mixi import caller, payments
from storefront.sandbox.mixi.caller import Fault
from storefront.sandbox.mixi.line import Call
from storefront.sandbox.mixi.payments import Payment, Question, Status
from storefront.sandbox.stage import Stage
from storefront.sandbox.wirelog import Exchange, Kind


class NotNow(Exception):
    """It cannot be sent now; the message is a text of the catalogue."""


def send(
    sandbox: Sandbox, on: Stage, payment: Payment, question: Question, fault: Fault | None = None
) -> int:
    """Send this decision, whatever was decided before; the row of the log. Or NotNow."""
    if fault:
        return caller.forge(sandbox, on, payment, question, fault)
    return _told(sandbox, on, payment, caller.call(sandbox, on, payment, question), question)


def again(sandbox: Sandbox, on: Stage, row: Exchange) -> int:
    """Send the callback of this row again, with the same nonce; the row of the log. Or NotNow."""
    payment = payments.by_code(row.point_code or "")
    # What the log has of a callback: its query is whole, its base string has nonce and timestamp.
    signed = parse_qs(unquote(row.base_string.rpartition("&")[2]))
    if row.kind is not Kind.CALLBACK or payment is None or "oauth_nonce" not in signed:
        raise NotNow(N_("Only a callback that was signed can be sent again."))
    query = urlsplit(row.url).query
    question = Question(int(parse_qs(query)["status"][0]))
    call = caller.call(sandbox, on, payment, question)
    call.url = f"{payment.callback_url}?{query}"
    call.nonce = signed["oauth_nonce"][0]
    call.signed_seconds = int(signed["oauth_timestamp"][0]) - int(call.at.timestamp())
    return _told(sandbox, on, payment, call, question)


def _told(sandbox: Sandbox, on: Stage, payment: Payment, call: Call, question: Question) -> int:
    if payment.status is not Status.CREATE:
        return caller.tell(sandbox, on, payment, call, question)[0]
    waits = caller.patience(sandbox.settings)
    if not payments.claim(payment, question, on.now(), waits, real=clock.now(), late=True):
        raise NotNow(N_("The app is being asked already, or the buyer has too few points."))
    try:
        return caller.tell(sandbox, on, payment, call, question)[0]
    finally:
        payments.release(payment)
