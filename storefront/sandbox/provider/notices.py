"""Telling the shop what became of a payment: one notice at a time, and acting on what it says.

200, text/plain, OK         heard
409, text/plain, REFUND …   the shop cannot deliver: the money goes back, and that is the end of it
anything else, or silence   not heard: told again when the buyer looks, or when somebody asks for it
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from time import monotonic, sleep
from urllib.parse import urlencode

import requests
from sqlalchemy import ForeignKey, Index, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.bounded import TooLarge
from storefront.external.signing import SIGNATURE, sealed
from storefront.sandbox import clock, legible
from storefront.sandbox.language import N_
from storefront.sandbox.mixi.calls import FAILURES, Answer, answer_to
from storefront.sandbox.provider import payments, weather
from storefront.sandbox.provider.context import Provider
from storefront.sandbox.provider.payments import Payment, Status
from storefront.sandbox.provider.store import Base, reading, transaction
from storefront.sandbox.storefile import Moment
from storefront.sandbox.wirelog import HIDDEN, text

# A buyer who reloads does not make us knock more often than this.
REST = timedelta(seconds=5)
# Past its time limit a notice needs a moment to be written down; after that its process has died.
MARGIN = timedelta(seconds=5)
POLL_SECONDS = 0.1
MAX_ANSWER_BYTES = 64 * 1024
SHOWN = 80
CURRENCY, ANOTHER_CURRENCY = "JPY", "USD"
OUTCOMES = {
    Status.PAID: "paid",
    Status.CANCELLED: "cancelled",
    Status.REFUNDED: "refunded",
    Status.CHARGEBACK: "chargeback",
}
STATUSES = {outcome: status for status, outcome in OUTCOMES.items()}
WRONG_REFUND = N_("The shop asked for money to be given back that it cannot ask for. Nothing was changed.")


class NoAnswer(Exception):
    """The shop said nothing we could use; the message is a text of the catalogue."""


class Kind(StrEnum):
    """Why the shop is told something."""

    NEWS = "news"  # how the payment stands
    DECLINED = "declined"  # a try to pay did not work; another one may
    EXPIRED = "expired"  # a second attempt at what is paid already ran out
    FORGED = "forged"  # signed with a wrong secret, to see that the shop refuses it
    SUM = "sum"  # over another sum, likewise
    CURRENCY = "currency"  # in another currency, likewise


ASIDES = {
    Kind.DECLINED: "declined",
    Kind.EXPIRED: "cancelled",
    Kind.FORGED: "paid",
    Kind.SUM: "paid",
    Kind.CURRENCY: "paid",
}
# What weather sends beside the news.
BESIDE = {"notice.forged": Kind.FORGED, "notice.another_sum": Kind.SUM}
UNHEARD = N_("The shop answered, and the weather let nobody hear it.")
# What can be said of a payment in one state only.
ONLY = {Kind.DECLINED: Status.WAITING, Kind.EXPIRED: Status.PAID}


class Notice(Base):
    """One time of telling the shop, and what it said."""

    __tablename__ = "notice"

    id: Mapped[int] = mapped_column(primary_key=True)
    payment_id: Mapped[int] = mapped_column(ForeignKey(Payment.id))
    outcome: Mapped[str]
    kind: Mapped[Kind]
    sent_at: Mapped[datetime] = mapped_column(Moment)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
    status: Mapped[int | None]
    said: Mapped[str] = mapped_column(default="")
    verdict: Mapped[str] = mapped_column(default="")
    good: Mapped[bool] = mapped_column(default=False)

    # The database itself refuses a second notice for a payment while one is under way.
    __table_args__ = (Index("one_at_a_time", payment_id, unique=True, sqlite_where=ended_at.is_(None)),)


@dataclass(frozen=True)
class Told:
    """What the provider's list says of one payment's notices."""

    count: int = 0
    last: Notice | None = None
    asides: Mapping[Kind, Notice] = field(default_factory=dict)  # the last of each kind


def tell(provider: Provider, payment: Payment) -> None:
    """Tell the shop of a payment it has not heard of, unless it was asked only just now."""
    _tell(provider, payment, again=False)


def tell_again(provider: Provider, payment: Payment) -> None:
    """Tell the shop once more, whether it has heard it or not. Not what it asked for itself."""
    _tell(provider, payment, again=True)


def say(provider: Provider, payment: Payment, kind: Kind) -> None:
    """Say something beside how the payment stands. Nothing comes of the answer."""
    _send(provider, _begun(provider, payment, kind, again=True))


def wait(provider: Provider, payment: Payment) -> None:
    """Stay until no notice of this payment is under way, but not for ever."""
    until = monotonic() + provider.settings.notice_seconds
    while under_way(provider, payment) and monotonic() < until:
        sleep(POLL_SECONDS)


def under_way(provider: Provider, payment: Payment) -> bool:
    """Whether the shop is being told of this payment at this moment."""
    with reading() as session:
        return _open(session, payment, clock.now() - _longest(provider)) is not None


def told(about: Iterable[Payment]) -> Mapping[int, Told]:
    """What was said about these payments, by their ids."""
    ids = [payment.id for payment in about]
    with reading() as session:
        notices = session.scalars(select(Notice).where(Notice.payment_id.in_(ids)).order_by(Notice.id)).all()
    return {number: _summed([one for one in notices if one.payment_id == number]) for number in ids}


@dataclass(frozen=True)
class _Sending:
    notice: Notice
    payment: Payment
    # What weather makes of it: signed so many seconds ago, sent so many times at once, its answer unheard.
    old_seconds: int = 0
    copies: int = 1
    unheard: bool = False
    weather: Sequence[str] = ()


def _tell(provider: Provider, payment: Payment, *, again: bool) -> None:
    """Tell how the payment stands, in whatever weather there is."""
    sending = _begun(provider, payment, Kind.NEWS, again=again)
    if sending is None:
        return
    stale, copies = weather.take(provider, "notice.stale"), weather.take(provider, "notice.copies")
    lost = weather.take(provider, "notice.lost")
    struck = replace(
        sending,
        old_seconds=(stale and stale.seconds) or 0,
        copies=(copies and copies.seconds) or 1,
        unheard=lost is not None,
        weather=[one.kind for one in (stale, copies, lost) if one],
    )
    _send(provider, struck)
    for kind, aside in BESIDE.items():
        if weather.take(provider, kind):
            say(provider, payment, aside)


def _begun(provider: Provider, payment: Payment, kind: Kind, *, again: bool) -> _Sending | None:
    """The right to tell the shop now, kept as an open notice; nothing if it may not be told now."""
    now = clock.now()
    with transaction() as session:
        latest = session.get_one(Payment, payment.id)
        outcome = _outcome(kind, latest)
        resting = not again and (latest.heard or _told_since(session, latest, now - REST))
        if outcome is None or resting or _open(session, latest, now - _longest(provider)):
            return None
        _abandon(session, latest, now)
        notice = Notice(payment_id=latest.id, outcome=outcome, kind=kind, sent_at=now)
        session.add(notice)
    return _Sending(notice, latest)


def _outcome(kind: Kind, payment: Payment) -> str | None:
    if kind is Kind.NEWS:
        return None if payment.undelivered else OUTCOMES.get(payment.status)
    return ASIDES[kind] if ONLY.get(kind, payment.status) is payment.status else None


def _send(provider: Provider, sending: _Sending | None) -> None:
    if sending is None:
        return
    fields, started = _fields(provider, sending), monotonic()
    answer, silence = None, ""
    try:
        answer = _asked_at_once(provider, urlencode(fields), sending.copies)
    except NoAnswer as none:
        silence = str(none)
    milliseconds = round((monotonic() - started) * 1000)
    # A shop that repeats what it was sent shows no signature of ours on the list, nor in the log.
    hidden, given = fields[SIGNATURE].encode(), HIDDEN.encode()
    answer = answer and Answer(answer.status, answer.headers, answer.body.replace(hidden, given))
    if sending.unheard and answer:
        _end(sending.notice, None, "", UNHEARD)
    else:
        said = text(answer.content_type, answer.body)[:SHOWN] if answer else ""
        _end(sending.notice, answer, said, silence)
    _report(provider, sending, fields, answer, milliseconds)


def _report(
    provider: Provider,
    sending: _Sending,
    fields: Mapping[str, str],
    answer: Answer | None,
    milliseconds: int,
) -> None:
    """Let the desk beside us have it for its log."""
    with reading() as session:
        notice = session.get_one(Notice, sending.notice.id)
    told = {
        "at": notice.sent_at.isoformat(),
        "code": sending.payment.code,
        "url": provider.settings.notice_url,
        "sent": urlencode({**fields, SIGNATURE: HIDDEN}),
        "status": answer and answer.status,
        "answer_head": legible.lines(answer.headers) if answer else "",
        "answer": text(answer.content_type, answer.body) if answer else "",
        "milliseconds": milliseconds,
        "good": notice.good,
        "verdict": notice.verdict,
        "weather": ",".join(sending.weather),
    }
    weather.tell_desk(provider, "notices", told)


def _fields(provider: Provider, sending: _Sending) -> dict[str, str]:
    payment, kind = sending.payment, sending.notice.kind
    fields = {
        "merchant": payment.merchant,
        "payment": payment.code,
        "reference": _reference(payment, kind),
        "yen": str(payment.yen + (kind is Kind.SUM)),
        "outcome": sending.notice.outcome,
        "currency": ANOTHER_CURRENCY if kind is Kind.CURRENCY else CURRENCY,
    }
    secret = secrets.token_urlsafe() if kind is Kind.FORGED else provider.secret
    return sealed(fields, secret, int(sending.notice.sent_at.timestamp()) - sending.old_seconds)


def _reference(payment: Payment, kind: Kind) -> str:
    """Each try has a reference of its own; the one that works has the payment's."""
    match kind:
        case Kind.DECLINED:
            return f"{payment.reference}-D{payment.declined}"
        case Kind.EXPIRED:
            return f"{payment.reference}-2"
        case _:
            return payment.reference


def _asked_at_once(provider: Provider, form: str, copies: int) -> Answer:
    """What the shop says; of several copies at once, to the first."""
    if copies == 1:
        return _asked(provider, form)
    with ThreadPoolExecutor(copies) as threads:
        said = [threads.submit(_asked, provider, form) for _ in range(copies)]
    return said[0].result()


def _asked(provider: Provider, form: str) -> Answer:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    asked = requests.Request("POST", provider.settings.notice_url, headers=headers, data=form)
    try:
        return answer_to(asked.prepare(), provider.http, provider.settings.notice_seconds, MAX_ANSWER_BYTES)
    except (TimeoutError, requests.Timeout):
        raise NoAnswer(N_("The shop took too long.")) from None
    except TooLarge:
        raise NoAnswer(N_("The shop's answer was too large.")) from None
    except FAILURES:
        raise NoAnswer(N_("The shop could not be reached.")) from None


def _end(notice: Notice, answer: Answer | None, said: str, silence: str) -> None:
    """Close the notice and act on the answer, together; an abandoned notice stays as it is."""
    now = clock.now()
    with transaction() as session:
        closed = update(Notice).where(Notice.id == notice.id, Notice.ended_at.is_(None)).values(ended_at=now)
        if session.execute(closed.returning(Notice.id)).first() is None:
            return
        if answer is None:
            verdict, good = silence, False
        elif notice.kind is Kind.FORGED:
            verdict, good = _judged_forgery(answer)
        elif notice.kind in (Kind.SUM, Kind.CURRENCY):
            verdict, good = _judged_misfit(session.get_one(Payment, notice.payment_id), answer)
        else:
            verdict, good = _acted(session, notice, answer, now)
        values = {"status": answer and answer.status, "said": said, "verdict": verdict, "good": good}
        session.execute(update(Notice).where(Notice.id == notice.id).values(values))


def _acted(session: Session, notice: Notice, answer: Answer, now: datetime) -> tuple[str, bool]:
    news = notice.kind is Kind.NEWS
    if _is_ok(answer):
        if news:
            payments.hear(session, notice.payment_id, STATUSES[notice.outcome])
        return N_("The shop said OK."), True
    if _is_refund(answer):
        if news and payments.give_back(session, notice.payment_id, now):
            return N_("The shop cannot deliver. The money was given back."), True
        return WRONG_REFUND, False
    if 300 <= answer.status < 400:
        return N_("The shop redirected us. We do not follow, and it is not an OK."), False
    return N_("The shop did not say OK."), False


def _judged_misfit(payment: Payment, answer: Answer) -> tuple[str, bool]:
    if answer.status < 300:
        return N_("The shop believed a notice that does not fit the payment!"), False
    if _is_refund(answer) and payment.status is Status.PAID and payment.heard:
        return WRONG_REFUND, False
    if answer.status == 409 and answer.body.strip():
        return N_("The shop refused it and said why, as it must."), True
    return N_("The shop neither believed it nor refused it with 409 and a reason."), False


def _judged_forgery(answer: Answer) -> tuple[str, bool]:
    if answer.status < 300 or _is_refund(answer):
        return N_("The shop believed a forged notice!"), False
    if answer.status in (400, 401, 403):
        return N_("The shop refused the forged notice, as it must."), True
    return N_("The shop neither believed the forged notice nor refused it with 401."), False


def _is_ok(answer: Answer) -> bool:
    return answer.status == 200 and answer.media_type == "text/plain" and answer.body.strip() == b"OK"


def _is_refund(answer: Answer) -> bool:
    first_word = answer.body.split(maxsplit=1)[:1]
    return answer.status == 409 and answer.media_type == "text/plain" and first_word == [b"REFUND"]


def _told_since(session: Session, payment: Payment, moment: datetime) -> bool:
    recently = (Notice.payment_id == payment.id, Notice.kind == Kind.NEWS, Notice.ended_at > moment)
    return session.scalars(select(Notice.id).where(*recently).limit(1)).first() is not None


def _open(session: Session, payment: Payment, since: datetime) -> int | None:
    alive = (Notice.payment_id == payment.id, Notice.ended_at.is_(None), Notice.sent_at > since)
    return session.scalars(select(Notice.id).where(*alive)).first()


def _abandon(session: Session, payment: Payment, now: datetime) -> None:
    left = (Notice.payment_id == payment.id, Notice.ended_at.is_(None))
    why = N_("We stopped before the shop had answered.")
    session.execute(update(Notice).where(*left).values(ended_at=now, verdict=why))


def _longest(provider: Provider) -> timedelta:
    """How long a notice may be under way."""
    return timedelta(seconds=provider.settings.notice_seconds) + MARGIN


def _summed(notices: Sequence[Notice]) -> Told:
    news = [one for one in notices if one.kind is Kind.NEWS]
    asides: dict[Kind, Notice] = {one.kind: one for one in notices if one.kind is not Kind.NEWS}
    return Told(len(news), news[-1] if news else None, asides)
