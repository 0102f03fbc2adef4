"""Payments: settled exactly once, and checked until mixi has confirmed them.

`settle` brings a payment to its final state when mixi asks; call it as often as you like. `refresh`
asks mixi, on the buyer's own visit, whether it took the points after our OK, and takes the goods back
if it did not. There is no other way to change a status.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, cast

import structlog
from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    Row,
    String,
    Table,
    bindparam,
    func,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from storefront import clock, metrics
from storefront.clock import Deadline
from storefront.db import Model, db, fresh, insert_once, transaction, words
from storefront.mixi.atom import CODE_LENGTH
from storefront.mixi.channel import Channel
from storefront.mixi.client import Crowded, Refused, Unavailable
from storefront.mixi.signing import Malformed, Signed, is_opaque
from storefront.shop import inventory, ledger, limits
from storefront.shop.catalog import Item
from storefront.shop.customers import Customer
from storefront.shop.ledger import Kind
from storefront.shop.limits import NotForSale, Reason
from storefront.shop.visit import Purchase

UNIT = "point"
OWNER_LENGTH = 64
LISTENS = 10  # seconds until mixi stops listening (seed: payment flow, step 5)
UNFINISHED_FOR = timedelta(days=1)  # then a purchase that was left leaves the history, too

log = structlog.get_logger()


class Status(StrEnum):
    """mixi's words for a payment, and one of ours.

    create -> complete     mixi asked, we delivered and said OK
    create -> cancel       mixi said that the buyer cancelled
    complete -> pay_back   mixi gave the points back
    complete -> void       we said OK, mixi never took the points; final
    """

    CREATE = "create"
    COMPLETE = "complete"
    CANCEL = "cancel"
    PAY_BACK = "pay_back"
    VOID = "void"


OUTCOMES = {"10": Status.COMPLETE, "20": Status.CANCEL}  # seed: callback parameters, status


class Payment(Model):
    """One purchase at mixi, with the item's name and price as sold."""

    __tablename__ = "payment"
    __table_args__ = (
        Index(
            "ix_payment_unconfirmed",
            "customer_id",
            sqlite_where=text("status = 'complete' AND confirmed_at IS NULL"),
            postgresql_where=text("status = 'complete' AND confirmed_at IS NULL"),
        ),
    )

    point_code: Mapped[str] = mapped_column(String(CODE_LENGTH), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    owner_id: Mapped[str] = mapped_column(String(OWNER_LENGTH))
    item_id: Mapped[str] = mapped_column(ForeignKey("item.id"))
    item_name: Mapped[str] = mapped_column(String(128))
    points: Mapped[int]
    is_test: Mapped[bool]
    language: Mapped[str] = mapped_column(String(8))
    status: Mapped[Status] = mapped_column(words(Status))
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    ok_at: Mapped[datetime | None]  # our last OK; mixi stops listening ten seconds later
    asked_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]  # the buyer removed the app before mixi had confirmed
    refusal: Mapped[Reason | None] = mapped_column(words(Reason))
    item: Mapped[Item] = relationship()


# Built once, since it stands in the way of every sale.
_table = cast(Table, Payment.__table__)
CLAIM = (
    update(_table)
    .where(
        _table.c.point_code == bindparam("code"),
        _table.c.owner_id == bindparam("owner"),
        _table.c.status == Status.CREATE,
    )
    .values(status=bindparam("outcome"), settled_at=bindparam("now"), ok_at=bindparam("now"), refusal=None)
    .returning(*_table.c)
)


class UnknownPayment(Exception):
    """No payment of this buyer has this code."""


class Contradiction(Exception):
    """The payment is settled already, in another way."""


@dataclass(frozen=True)
class Callback:
    """What mixi asks for: this payment of this owner is to be completed, or cancelled."""

    point_code: str
    owner_id: str
    outcome: Status

    @classmethod
    def read(cls, signed: Signed, app_id: str) -> "Callback":
        """Parse the five parameters of a verified callback, or raise Malformed."""
        if signed.one("opensocial_app_id") != app_id:
            raise Malformed("opensocial_app_id is another application's")
        status = signed.one("status")
        if status not in OUTCOMES:
            raise Malformed("status is neither 10 nor 20")
        _check_moment(signed.one("updated"))
        code, owner_id = signed.one("point_code"), signed.one("opensocial_owner_id")
        if not (is_opaque(code, CODE_LENGTH) and is_opaque(owner_id, OWNER_LENGTH)):
            raise Malformed("point_code or opensocial_owner_id is none")
        return cls(code, owner_id, OUTCOMES[status])


@dataclass(frozen=True)
class Doubt:
    """A payment that mixi is to be asked about, as it stood before the question."""

    point_code: str
    owner_id: str
    ok_at: datetime | None
    confirmed: bool


def keep(session: Session, **values: Any) -> bool:
    """Enter a new payment; false if its code is not new."""
    return insert_once(session, Payment, **values)


def settle(callback: Callback, deadline: Deadline, now: datetime) -> None:
    """Bring one payment to its final state, exactly once.

    Call it as often as you like, from as many processes as you like. When it returns, the outcome
    is durable and OK may be said; when it raises, nothing has changed but the note of a refusal.
    """
    try:
        with transaction(deadline) as session:
            claimed = _claim(session, callback, now)
            if claimed is None:
                _repeat(session, callback, now)
            elif claimed.status is Status.COMPLETE:
                _deliver(session, claimed, now)
    except NotForSale as refusal:
        _note(callback, refusal.reason)
        raise


def deadline_of(signed: Signed, arrival: Deadline, arrived: datetime, clock_skew: int) -> Deadline:
    """When mixi stops listening: the deadline set at arrival, less the time spent on the way and in a queue.

    mixi signed at a moment of its own clock, which may run `clock_skew` seconds behind ours.
    """
    under_way = arrived.timestamp() - signed.timestamp
    return Deadline(arrival.ends - max(0.0, under_way - clock_skew))


def refresh(mixi: Channel, customer_id: int, now: datetime, *, confirmed_too: bool = False) -> None:
    """Ask mixi about this customer's payments that it has not confirmed; on their own visit, and only then.

    `confirmed_too` looks again at those it has, so that points given back later are found. A few
    questions for each visit, within a short time; at the first that stays without an answer the
    rest wait for another visit.
    """
    patience = Deadline.after(mixi.confirm_seconds)
    doubts = _doubts(mixi, customer_id, now, confirmed_too)
    for doubt in doubts:
        if patience.left() <= 0 or ask(mixi, doubt, patience) is None:
            return


def ask(mixi: Channel, doubt: Doubt, patience: Deadline) -> str | None:
    """Ask mixi about one payment and act on the answer: mixi's word for its state, or None."""
    fresh()  # no snapshot stays open while mixi thinks
    asked_at = clock.now()
    try:
        answer = mixi.client.get(doubt.owner_id, doubt.point_code, patience)
    except (Refused, Unavailable) as failure:
        metrics.count_call("confirm", type(failure).__name__.lower())
        log.warning(
            "payment not confirmed", point_code=doubt.point_code, reason=str(failure), whose=failure.whose
        )
        if not isinstance(failure, Crowded):
            _asked(doubt, asked_at)
        return None
    metrics.count_call("confirm", "answered")
    _judge(mixi, doubt, answer.status or "", asked_at)
    return answer.status


def find(customer_id: int, point_code: str) -> Payment | None:
    """A customer's own payment."""
    if not is_opaque(point_code, CODE_LENGTH):
        return None
    return db.session.scalar(select(Payment).filter_by(customer_id=customer_id, point_code=point_code))


def doubt_about(point_code: str) -> Doubt | None:
    """Any payment, as the operator asks about it."""
    payment = db.session.get(Payment, point_code)
    return _doubt(payment) if payment else None


def unconfirmed() -> Sequence[Payment]:
    """Every payment we said OK to without mixi's word since that it took the points; the oldest OK first."""
    waiting = select(Payment).where(Payment.status == Status.COMPLETE, Payment.confirmed_at.is_(None))
    return db.session.scalars(waiting.order_by(Payment.ok_at, Payment.point_code)).all()


def count_unconfirmed() -> int:
    """How many payments mixi has not confirmed."""
    waiting = select(func.count()).where(Payment.status == Status.COMPLETE, Payment.confirmed_at.is_(None))
    return db.session.scalar(waiting) or 0


def word_for(point_code: str) -> str:
    """How a payment stands with us, in words for the operator."""
    payment = fresh().get_one(Payment, point_code)
    if payment.status is not Status.COMPLETE:
        return payment.status.value
    return f"{payment.status.value}, {'confirmed' if payment.confirmed_at else 'not confirmed'} by mixi"


def purchases(customer: Customer, most: int) -> Sequence[Purchase]:
    """The newest of a customer's payments; those long left unfinished are out of the way."""
    recent = (Payment.status != Status.CREATE) | (Payment.created_at > clock.now() - UNFINISHED_FOR)
    mine = select(Payment).where(Payment.customer_id == customer.id, recent)
    at = func.coalesce(Payment.settled_at, Payment.created_at)
    shown = mine.order_by(at.desc(), Payment.point_code).limit(most)
    return [_purchase(payment) for payment in db.session.scalars(shown)]


def _claim(session: Session, callback: Callback, now: datetime) -> Row[Any] | None:
    """Win the right to settle: of any number of simultaneous callbacks, one gets the payment."""
    wanted = {"code": callback.point_code, "owner": callback.owner_id}
    return session.execute(CLAIM, {**wanted, "outcome": callback.outcome, "now": now}).one_or_none()


def _repeat(session: Session, callback: Callback, now: datetime) -> None:
    """Say again what was said before: only the moment of our last OK moves."""
    named = {"point_code": callback.point_code, "owner_id": callback.owner_id}
    said = update(Payment).filter_by(**named, status=callback.outcome).values(ok_at=now)
    if session.scalar(said.returning(Payment.point_code)):
        return
    if session.scalar(select(Payment.point_code).filter_by(**named)):
        raise Contradiction
    raise UnknownPayment


def _deliver(session: Session, payment: Row[Any], now: datetime) -> None:
    """Goods and book, in the claim's transaction, if the limits still allow it."""
    kind, points = (Kind.TEST, 0) if payment.is_test else (Kind.SALE, payment.points)
    limits.enforce(session, payment.item_id, payment.customer_id, points, now)
    key = f"mixi:{payment.point_code}"
    inventory.grant(session, payment.customer_id, payment.item_id, key, now)
    ledger.record(session, payment.customer_id, kind, points, UNIT, key, now)


def _note(callback: Callback, reason: Reason) -> None:
    """Keep the reason of a refusal for the finish page."""
    named = {"point_code": callback.point_code, "owner_id": callback.owner_id, "status": Status.CREATE}
    with transaction() as session:
        session.execute(update(Payment).filter_by(**named).values(refusal=reason))


def _doubts(mixi: Channel, customer_id: int, now: datetime, confirmed_too: bool) -> list[Doubt]:
    """What to ask about: first what was never confirmed, then what has waited longest."""
    wanted: ColumnElement[bool] = Payment.confirmed_at.is_(None)
    if confirmed_too:
        wanted |= Payment.settled_at > now - timedelta(days=mixi.pay_back_days)
    query = (
        select(Payment)
        .where(Payment.customer_id == customer_id, Payment.status == Status.COMPLETE, wanted)
        .order_by(Payment.confirmed_at.is_not(None), Payment.asked_at.is_not(None), Payment.asked_at)
        .limit(mixi.confirms_per_visit)
    )
    return [_doubt(payment) for payment in db.session.scalars(query)]


def _doubt(payment: Payment) -> Doubt:
    return Doubt(payment.point_code, payment.owner_id, payment.ok_at, payment.confirmed_at is not None)


def _judge(mixi: Channel, doubt: Doubt, answer: str, asked_at: datetime) -> None:
    """From mixi's word to ours."""
    if answer == Status.COMPLETE:
        _confirm(doubt, asked_at)
    elif answer == Status.PAY_BACK:
        _undo(doubt, asked_at, Status.PAY_BACK, Kind.REFUND)
    elif answer in (Status.CREATE, Status.CANCEL) and _is_forgotten(mixi, doubt, asked_at):
        # An OK said since the question was asked may have been heard: then this changes nothing.
        _undo(doubt, asked_at, Status.VOID, Kind.VOID, Payment.ok_at == doubt.ok_at)
    else:
        _asked(doubt, asked_at)


def _is_forgotten(mixi: Channel, doubt: Doubt, asked_at: datetime) -> bool:
    """Whether mixi never took the points and cannot still be acting on our last OK, so long ago it was."""
    said_long_ago = doubt.ok_at is not None and asked_at - doubt.ok_at > timedelta(seconds=mixi.void_after)
    return said_long_ago and not doubt.confirmed


def _confirm(doubt: Doubt, asked_at: datetime) -> None:
    values = {"asked_at": asked_at, "confirmed_at": asked_at, "removed_at": None}
    with transaction() as session:
        session.execute(_complete(doubt).values(values))
    log.info("payment confirmed", point_code=doubt.point_code)


def _asked(doubt: Doubt, asked_at: datetime) -> None:
    with transaction() as session:
        session.execute(_complete(doubt).values(asked_at=asked_at))


def _undo(doubt: Doubt, asked_at: datetime, status: Status, kind: Kind, *still: ColumnElement[bool]) -> None:
    """Take the goods and the entry back, once, if the payment is still as it was."""
    key = f"{status.value}:{doubt.point_code}"
    statement = _complete(doubt).where(*still).values(status=status, asked_at=asked_at, removed_at=None)
    with transaction() as session:
        payment = session.scalar(statement.returning(Payment))
        if payment is None:
            return
        inventory.take_back(session, payment.customer_id, payment.item_id, key, asked_at)
        points = 0 if payment.is_test else -payment.points
        ledger.record(session, payment.customer_id, kind, points, UNIT, key, asked_at)
    log.warning("payment undone", point_code=doubt.point_code, status=status.value)


def _complete(doubt: Doubt) -> Any:
    return update(Payment).filter_by(point_code=doubt.point_code, status=Status.COMPLETE)


def _purchase(payment: Payment) -> Purchase:
    return Purchase(
        code=payment.point_code,
        item_id=payment.item_id,
        item_name=payment.item_name,
        amount=payment.points,
        unit=UNIT,
        state=payment.status.value,
        at=payment.settled_at or payment.created_at,
        is_test=payment.is_test,
        in_doubt=payment.status is Status.COMPLETE and payment.confirmed_at is None,
    )


def _check_moment(text: str) -> None:
    try:
        datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise Malformed("updated is not a UTC moment such as 2009-09-03T06:34:29Z") from None
