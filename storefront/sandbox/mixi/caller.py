"""Asking the app: may these points be taken? Only a plain OK in time means yes.

Weather strikes here: what is forged is sent beside the true question, and nothing comes of its answer.
"""

import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Any
from urllib.parse import urlencode

from flask import current_app

from storefront.sandbox import clock, neighbours, people, weather
from storefront.sandbox.context import Sandbox
from storefront.sandbox.happened import Name
from storefront.sandbox.happenings import Line, line, note
from storefront.sandbox.language import N_
from storefront.sandbox.mixi import payments
from storefront.sandbox.mixi.calls import Answer, Call, Forgery, NoAnswer, TimedOut
from storefront.sandbox.mixi.payments import CODE_LENGTH, Payment, Question, Waits
from storefront.sandbox.settings import SandboxSettings
from storefront.sandbox.stage import Stage
from storefront.sandbox.wirelog import Kind

# A question counts as lost when its asker has said nothing this long after the app's time was up.
GRACE_SECONDS = 5
# Room for an OK and for whatever an error page wants to say to the log.
MAX_ANSWER_BYTES = 64 * 1024
HOUR = 3600
MACHINE = ("shop.frozen", "shop.database")
UNDELIVERED = N_("Not delivered: the weather kept it back. No points move.")
UNHEARD = N_("The app answered, and the weather let nobody hear it. No points move.")
TOO_LATE = N_("Its time was used up when the app answered. No points move.")
GONE_ELSEWHERE = N_("The points had gone elsewhere by the time of the OK. No points move.")
REFUSED_FORGERY = N_("The app refused what was forged, as it must.")
SHRUGGED = N_("The app neither believed what was forged nor refused it.")
BELIEVED_FORGERY = N_("The app believed what was forged!")
AGREED = {
    Question.BUY: N_("OK: the purchase is complete."),
    Question.CANCEL: N_("OK: the purchase is cancelled."),
}
OTHER = {Question.BUY: Question.CANCEL, Question.CANCEL: Question.BUY}


class Fault(StrEnum):
    """What is wrong with a callback that the payment server never sent; weather has the same names."""

    ALTERED = "altered"
    UNSIGNED = "unsigned"
    WRONG_KEY = "wrong_key"
    STALE = "stale"
    UNKNOWN_CODE = "unknown_code"
    ANOTHER_OWNER = "another_owner"
    ANOTHER_APP = "another_app"

    @property
    def kind(self) -> str:
        return f"callback.{self.value}"


def waits(settings: SandboxSettings) -> Waits:
    """The times that payments live by, as configured."""
    return Waits(
        interface=timedelta(seconds=settings.interface_ttl),
        callback=timedelta(seconds=settings.callback_seconds + GRACE_SECONDS),
    )


def ask(sandbox: Sandbox, on: Stage, payment: Payment, question: Question) -> bool:
    """Put the buyer's decision to the app, once at a time; True if this call did the asking.

    Afterwards the payment says how it went. No database transaction is open while the app thinks.
    """
    times = waits(sandbox.settings)
    if not payments.claim(payment, question, on.now(), times, real=clock.now()):
        return False
    settled = False
    try:
        for fault in Fault:
            if met := weather.take(on, fault.kind, payment.owner_id, payment.code):
                forge(sandbox, on, payment, question, fault, seconds=met.seconds)
        if weather.take(on, "callback.reversed", payment.owner_id, payment.code):
            settled = _put(sandbox, on, payment, OTHER[question], ["callback.reversed"])
        settled = _put(sandbox, on, payment, question) or settled
    finally:
        if not settled:
            payments.refuse(payment, question, on.now(), times)
            note(on.id, Name.PAYMENT_FAILED, **_about(payment), question=int(question))
    return True


def tell(sandbox: Sandbox, on: Stage, payment: Payment, call: Call, question: Question) -> tuple[int, bool]:
    """Send this callback and act on the answer: the row of the log, and whether the payment was settled."""
    return _heard(on, payment, call, question, _sent(sandbox, call), unheard=False)


def forge(
    sandbox: Sandbox,
    on: Stage,
    payment: Payment,
    question: Question,
    fault: Fault,
    *,
    seconds: int | None = None,
) -> int:
    """Send what the payment server never sent; nothing comes of the answer. The row of the log."""
    call = _forged(sandbox, on, payment, question, fault, seconds or HOUR)
    return send_forged(sandbox, on, payment, question, call, fault.value)


def send_forged(
    sandbox: Sandbox, on: Stage, payment: Payment, question: Question, call: Call, fault: str
) -> int:
    """Send this call, whose fault has that name, and judge the answer. The row of the log."""
    objection = _sent(sandbox, call)
    status = call.answer.status if call.answer else None
    refused = status is not None and 400 <= status < 500
    answered = _answered(on, payment, call, question, ok=objection is None, heard=False, fault=fault)
    return call.log(_verdict(call, objection, refused=refused), good=refused, happened=[answered])


def _verdict(call: Call, objection: str | None, *, refused: bool) -> str:
    if objection is None:
        return BELIEVED_FORGERY
    if call.answer is None:
        return objection
    return REFUSED_FORGERY if refused else SHRUGGED


def call(
    sandbox: Sandbox,
    on: Stage,
    payment: Payment,
    question: Question,
    changed: Mapping[str, str] | None = None,
    at: str = "",
) -> Call:
    """The callback that puts this question; with some parameters changed, or at another address."""
    parameters = {
        "opensocial_app_id": sandbox.settings.app_id,
        "opensocial_owner_id": payment.owner_id,
        "point_code": payment.code,
        "status": str(int(question)),
        "updated": clock.stamp(on.now()),
        **(changed or {}),
    }
    return Call(
        on,
        Kind.CALLBACK,
        "GET",
        f"{at or payment.callback_url}?{urlencode(parameters)}",
        clock.now(),
        seconds=sandbox.settings.callback_seconds,
        max_bytes=MAX_ANSWER_BYTES,
        owner_id=payment.owner_id,
        point_code=payment.code,
    )


def _put(sandbox: Sandbox, on: Stage, payment: Payment, question: Question, met: Sequence[str] = ()) -> bool:
    """The question in whatever weather there is; whether the payment was settled by the answer."""
    struck = {
        kind: strikes
        for kind in ("undelivered", "queued", "lost", "copies", "replayed")
        if (strikes := weather.take(on, f"callback.{kind}", payment.owner_id, payment.code))
    }
    held = _hold_the_shop(sandbox, on, payment)
    first = call(sandbox, on, payment, question)
    first.weather += [*met, *held, *(one.kind for one in struck.values())]
    if queued := struck.get("queued"):
        first.queued_seconds = queued.seconds or 0
        first.signed_seconds -= first.queued_seconds
    if "undelivered" in struck:
        first.log(
            UNDELIVERED,
            good=False,
            happened=[_answered(on, payment, first, question, ok=False, heard=False)],
        )
        return False
    copies = struck["copies"].seconds or 1 if "copies" in struck else 1
    calls = [first, *(_copied(first) for _ in range(copies - 1))]
    said = _sent_at_once(sandbox, calls)
    heard = [
        _heard(on, payment, one, question, objection, unheard="lost" in struck)
        for one, objection in zip(calls, said, strict=True)
    ]
    if "replayed" in struck:
        again = replace(first, answer=None, weather=list(first.weather))
        heard.append(_heard(on, payment, again, question, _sent(sandbox, again), unheard=False))
    return any(settled for _, settled in heard)


def _hold_the_shop(sandbox: Sandbox, on: Stage, payment: Payment) -> Sequence[str]:
    """Weather of the shop's own machine strikes as it is asked: who started the shop holds it meanwhile."""
    hold = partial(neighbours.hold, sandbox)
    whose = payment.owner_id, payment.code
    return [kind for kind in MACHINE if weather.take(on, kind, *whose, strike=hold)]


def _copied(first: Call) -> Call:
    return replace(first, nonce=secrets.token_hex(10), headers={}, weather=list(first.weather))


def _sent_at_once(sandbox: Sandbox, calls: Sequence[Call]) -> list[str | None]:
    if len(calls) == 1:
        return [_sent(sandbox, calls[0])]
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # for threads of our own

    def send(one: Call) -> str | None:
        with app.app_context():
            return _sent(sandbox, one)

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(send, calls))


def _sent(sandbox: Sandbox, call: Call) -> str | None:
    """What there is to object to the answer; nothing if it is an OK in time."""
    try:
        objection = _objection(call.send(sandbox), strict=sandbox.settings.strict_ok_body)
    except TimedOut as silence:
        return TOO_LATE if call.queued_seconds else silence.reason
    except NoAnswer as silence:
        return silence.reason
    used = call.queued_seconds + call.took
    return TOO_LATE if objection is None and used > sandbox.settings.callback_seconds else objection


def _heard(
    on: Stage, payment: Payment, call: Call, question: Question, objection: str | None, *, unheard: bool
) -> tuple[int, bool]:
    """Act on the answer, and write both down."""
    ok, settled = objection is None, False
    if unheard and call.answer:
        objection = UNHEARD
    if objection is None:
        try:
            settled = _settled(payment, question, on)
        except payments.Overdrawn:
            objection = GONE_ELSEWHERE
    moved = -payment.charged if settled and question is Question.BUY else 0
    happened = [_answered(on, payment, call, question, ok=ok, heard=not unheard)]
    if settled:
        name = Name.PAYMENT_COMPLETED if question is Question.BUY else Name.PAYMENT_CANCELLED
        happened.append(line(on.id, name, **_about(payment), points=-moved))
    verdict = objection or AGREED[question]
    return call.log(verdict, good=objection is None, points_moved=moved, happened=happened), settled


def _settled(payment: Payment, question: Question, on: Stage) -> bool:
    """Whether the payment now stands as was asked, by this answer or by another."""
    end = payments.complete if question is Question.BUY else payments.cancel
    return end(payment, on.now())


def _answered(
    on: Stage,
    payment: Payment,
    call: Call,
    question: Question,
    *,
    ok: bool,
    heard: bool,
    fault: str | None = None,
) -> Line:
    told: dict[str, Any] = {
        "question": int(question),
        "status": call.answer and call.answer.status,
        "ok": ok,
        "heard": heard,
        "milliseconds": round(call.took * 1000),
        "queued": call.queued_seconds,
        "fault": fault,
    }
    return line(on.id, Name.CALLBACK_ANSWERED, **_about(payment), **told)


def _about(payment: Payment) -> dict[str, Any]:
    return {"owner_id": payment.owner_id, "point_code": payment.code}


def _forged(
    sandbox: Sandbox, on: Stage, payment: Payment, question: Question, fault: Fault, seconds: int
) -> Call:
    changed: dict[str, str] = {}
    match fault:
        case Fault.UNKNOWN_CODE:
            changed = {"point_code": secrets.token_hex(CODE_LENGTH // 2)}
        case Fault.ANOTHER_OWNER:
            changed = {"opensocial_owner_id": _another(payment)}
        case Fault.ANOTHER_APP:
            changed = {"opensocial_app_id": f"{sandbox.settings.app_id}0"}
    asked = OTHER[question] if fault is Fault.ALTERED else question
    made = call(sandbox, on, payment, asked, changed)
    made.weather.append(fault.kind)
    match fault:
        case Fault.UNSIGNED:
            made.forged = Forgery(unsigned=True)
        case Fault.WRONG_KEY:
            made.forged = Forgery(secret=secrets.token_urlsafe())
        case Fault.STALE:
            made.signed_seconds = -seconds
        case Fault.ALTERED:
            made.forged = Forgery(sent_to=call(sandbox, on, payment, question).url)
    return made


def _another(payment: Payment) -> str:
    others = (user.owner_id for user in people.everyone(payment.stage_id))
    return next(owner_id for owner_id in others if owner_id != payment.owner_id)


def _objection(answer: Answer, *, strict: bool) -> str | None:
    body = answer.body if strict else answer.body.strip()
    if answer.status != 200:
        return N_("Refused: the status is not 200. No points move.")
    if answer.media_type != "text/plain":
        return N_("Refused: the answer is not text/plain. No points move.")
    if body != b"OK":
        return N_("Refused: the body is not OK. No points move.")
    return None
