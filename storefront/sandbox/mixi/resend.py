"""A decision of any payment, sent by hand: once more, anew, or with something wrong about it.

send()    a decision with a nonce of its own; what the app says counts as it does at a buyer's press
again()   the very request of a row of the wire log
"""

import secrets
from collections.abc import Mapping
from enum import StrEnum
from urllib.parse import parse_qs, unquote, urlsplit

from storefront.sandbox import clock
from storefront.sandbox.context import Sandbox
from storefront.sandbox.doors import SECRET_LENGTH
from storefront.sandbox.kinds import KINDS
from storefront.sandbox.language import N_
from storefront.sandbox.mixi import caller, payments
from storefront.sandbox.mixi.caller import Fault
from storefront.sandbox.mixi.calls import Call
from storefront.sandbox.mixi.payments import Payment, Question, Status
from storefront.sandbox.stage import Stage
from storefront.sandbox.wirelog import Exchange, Kind

ANY_WORD = 24  # bytes
MANY = 100


class Word(StrEnum):
    """What is wrong with the word that ends a callback's address; the signature is right."""

    BARE = "bare"
    WRONG = "wrong"
    ANOTHER = "another"


# All that can be wrong with a decision, as a form sends it, and in words.
FAULTS: Mapping[str, str] = {fault.value: KINDS[fault.kind].says for fault in Fault} | {
    Word.BARE.value: N_("A callback without the word that ends its address."),
    Word.WRONG.value: N_("A callback whose address ends in a wrong word."),
    Word.ANOTHER.value: N_("A callback at the address of another payment."),
}


class NotNow(Exception):
    """It cannot be sent now; the message is a text of the catalogue."""


def send(
    sandbox: Sandbox, on: Stage, payment: Payment, question: Question, fault: Fault | Word | None = None
) -> int:
    """Send this decision, whatever was decided before; the row of the log. Or NotNow."""
    match fault:
        case Fault():
            return caller.forge(sandbox, on, payment, question, fault)
        case Word():
            call = caller.call(sandbox, on, payment, question, at=address(on, payment, fault))
            return caller.send_forged(sandbox, on, payment, question, call, f"{fault.value}_word")
    return _told(sandbox, on, payment, caller.call(sandbox, on, payment, question), question)


def again(sandbox: Sandbox, on: Stage, row: Exchange) -> int:
    """Send the callback of this row again, with the same nonce; the row of the log. Or NotNow."""
    payment, question = payments.by_code(row.point_code or ""), asked(row)
    # The log keeps the query whole, and nonce and timestamp stand in the base string.
    signed = parse_qs(unquote(row.base_string.rpartition("&")[2]))
    forged = any(KINDS[kind].is_forged for kind in row.weather.split(",") if kind in KINDS)
    if question is None or payment is None or forged or "oauth_nonce" not in signed:
        raise NotNow(N_("Only a callback of the payment server can be sent again."))
    call = caller.call(sandbox, on, payment, question)
    call.url = f"{payment.callback_url}?{urlsplit(row.url).query}"
    call.nonce = signed["oauth_nonce"][0]
    call.signed_seconds = int(signed["oauth_timestamp"][0]) - int(call.at.timestamp())
    return _told(sandbox, on, payment, call, question)


def asked(row: Exchange) -> Question | None:
    """What the callback of this row asked."""
    status = parse_qs(urlsplit(row.url).query).get("status", [""])[0]
    return {str(int(one)): one for one in Question}.get(status) if row.kind is Kind.CALLBACK else None


def address(on: Stage, payment: Payment, word: Word) -> str:
    """The callback address of a payment without its word, with a wrong one, or with another payment's."""
    before, _, end = payment.callback_url.rpartition("/")
    bare = before if len(end) >= SECRET_LENGTH else payment.callback_url
    if word is Word.BARE:
        return bare
    if word is Word.WRONG:
        return f"{bare}/{secrets.token_urlsafe(ANY_WORD)}"
    others = (one for one in payments.recent(on.id, MANY) if one.code != payment.code)
    other = next(others, None)
    if other is None:
        raise NotNow(N_("There is no other payment on this stage yet."))
    return other.callback_url


def _told(sandbox: Sandbox, on: Stage, payment: Payment, call: Call, question: Question) -> int:
    if payment.status is not Status.CREATE:
        return caller.tell(sandbox, on, payment, call, question)[0]
    waits = caller.waits(sandbox.settings)
    if not payments.claim(payment, question, on.now(), waits, real=clock.now(), late=True):
        raise NotNow(N_("The app is being asked already, or the buyer has too few points."))
    try:
        return caller.tell(sandbox, on, payment, call, question)[0]
    finally:
        payments.release(payment)
