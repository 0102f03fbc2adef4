"""Questions to mixi: how does this payment stand with you? Asked on its buyer's own visit, never in a batch.

A question is claimed in the database before it is asked, so that no reload, page or worker asks it
twice: a payment is asked about at once where an OK was said since it was last asked about, else after
a pause; and one buyer causes only so many questions in a pause. The answers put our side in line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from storefront import clock, metrics
from storefront.clock import Deadline
from storefront.db import db, fresh, this_moment, transaction
from storefront.mixi import outstanding, payments
from storefront.mixi.atom import PointEntry
from storefront.mixi.channel import NAME, Channel
from storefront.mixi.client import Crowded, Refused, Unavailable
from storefront.mixi.payments import UNIT, Payment, Status
from storefront.shop import inventory, ledger, turns
from storefront.shop.ledger import About, Entry, Kind
from storefront.shop.turns import TooMany

ASK = "mixi.confirm"
NOT_KNOWN = 404

log = structlog.get_logger()


class NotVoid(Exception):
    """The operator cannot make this payment void; says why."""


@dataclass(frozen=True)
class Doubt:
    """A payment that mixi is asked about, as it stood when the question was claimed."""

    point_code: str
    owner_id: str
    ok_at: datetime | None
    asked_at: datetime
    confirmed: bool


@dataclass(frozen=True)
class Answer:
    """What mixi said: its word for the payment's state, or the status with which it refused."""

    state: str | None
    refused: int | None = None

    def __str__(self) -> str:
        return self.state or f"refused to answer, with status {self.refused}"


def refresh(mixi: Channel, customer_id: int, now: datetime) -> None:
    """Ask about this customer's payments that are due, those in doubt first, and act on the answers.

    A few questions within a short time. A refusal concerns its own payment; at the first that stays
    without an answer the rest wait for another visit.
    """
    deadline = Deadline.after(mixi.settings.mixi_confirm_seconds)
    for point_code in _due(mixi, customer_id, now):
        if deadline.left() <= 0:
            return
        try:
            with mixi.gate.place(wait=0):  # no page waits for its turn to ask
                doubt = _claim(mixi, point_code, now)
                if doubt:
                    _ask(mixi, doubt, deadline)
        except Crowded:
            metrics.count_call("confirm", "crowded")
            return
        except (TooMany, Unavailable):
            return


def ask(mixi: Channel, point_code: str, deadline: Deadline) -> Answer:
    """Ask about one payment of ours at once, as the operator does. Raises Unavailable."""
    return _ask(mixi, _asked_by_hand(point_code), deadline)


def void(mixi: Channel, point_code: str, reason: str, deadline: Deadline) -> Answer:
    """The operator decides that mixi never took the points: goods and entry are taken back, once.

    mixi is asked first, and what it said is returned. Raises NotVoid, or Unavailable.
    """
    if fresh().get_one(Payment, point_code).status is not Status.COMPLETE:
        raise NotVoid("only a completed payment can become void")
    doubt = _asked_by_hand(point_code)
    answer = _ask(mixi, doubt, deadline)
    if not (answer.refused or answer.state in (Status.CREATE, Status.CANCEL)):
        raise NotVoid(f"mixi says {answer.state or 'nothing of its state'}")
    if not _said_long_ago(mixi, doubt):
        seconds = mixi.settings.mixi_void_after
        raise NotVoid(f"our last OK is not {seconds} seconds old: mixi may be acting on it still")
    undone = _undo(doubt, Status.VOID, Kind.VOID, Payment.ok_at == doubt.ok_at, reason=reason)
    if not undone and outstanding.word_for(point_code) != Status.VOID:  # mixi's answer may have done it
        raise NotVoid("it has changed meanwhile; look at it again")
    return answer


def tests_found(since: datetime) -> int:
    """How many purchases were booked as sales and then found to be tests at mixi."""
    found = (Entry.kind == Kind.TEST, Entry.of.is_not(None), Entry.entered_at >= since)
    return db.session.scalar(select(func.count()).where(*found)) or 0


def _due(mixi: Channel, customer_id: int, now: datetime) -> Sequence[str]:
    """The codes to ask about: first the doubts, last what mixi has said it does not know."""
    lately = Payment.settled_at > now - timedelta(days=mixi.settings.mixi_pay_back_days)
    query = (
        select(Payment.point_code)
        .where(
            Payment.customer_id == customer_id,
            Payment.status == Status.COMPLETE,
            or_(Payment.confirmed_at.is_(None), lately),
            _is_due(mixi),
        )
        .order_by(
            Payment.unknown_at.is_not(None),
            Payment.confirmed_at.is_not(None),
            Payment.asked_at.is_not(None),
            Payment.asked_at,
        )
        .limit(mixi.settings.mixi_confirms_per_visit)
    )
    return fresh().scalars(query).all()


def _is_due(mixi: Channel) -> ColumnElement[bool]:
    return or_(
        Payment.asked_at.is_(None),
        Payment.ok_at > Payment.asked_at,
        Payment.asked_at <= this_moment(mixi.settings.mixi_confirm_pause),
    )


def _claim(mixi: Channel, point_code: str, now: datetime) -> Doubt | None:
    """Win the right to ask about a payment that is due; of any number who want to, one does."""
    pause = timedelta(seconds=mixi.settings.mixi_confirm_pause)
    with transaction() as session:
        doubt = _asked(session, point_code, Payment.status == Status.COMPLETE, _is_due(mixi))
        if doubt:
            customer_id = session.scalars(select(Payment.customer_id).filter_by(point_code=point_code)).one()
            turns.take(session, customer_id, ASK, mixi.settings.mixi_confirms_per_visit, pause, now)
        return doubt


def _asked_by_hand(point_code: str) -> Doubt:
    with transaction() as session:
        doubt = _asked(session, point_code)
        assert doubt, "no payment has this code"
        return doubt


def _asked(session: Session, point_code: str, *still: ColumnElement[bool]) -> Doubt | None:
    """Note, by the database's clock, that the question is asked now."""
    statement = update(Payment).filter_by(point_code=point_code).where(*still)
    columns = (Payment.owner_id, Payment.ok_at, Payment.asked_at, Payment.confirmed_at)
    row = session.execute(statement.values(asked_at=this_moment()).returning(*columns)).one_or_none()
    if row is None:
        return None
    return Doubt(point_code, row.owner_id, row.ok_at, row.asked_at, row.confirmed_at is not None)


def _ask(mixi: Channel, doubt: Doubt, deadline: Deadline) -> Answer:
    """Ask mixi about one payment and act on the answer. Raises Unavailable."""
    fresh()  # no snapshot stays open while mixi thinks
    try:
        entry = mixi.client.get(doubt.owner_id, doubt.point_code, deadline)
    except (Refused, Unavailable) as failure:
        metrics.count_call("confirm", type(failure).__name__.lower())
        log.warning(
            "payment not confirmed", point_code=doubt.point_code, reason=str(failure), whose=failure.whose
        )
        if isinstance(failure, Unavailable):
            raise
        if failure.status == NOT_KNOWN:
            _note_unknown(doubt)
        return Answer(None, failure.status)
    metrics.count_call("confirm", "answered")
    _judge(mixi, doubt, entry)
    return Answer(entry.status or "")


def _judge(mixi: Channel, doubt: Doubt, entry: PointEntry) -> None:
    """From mixi's word to ours."""
    if entry.is_test:
        _count_as_test(doubt)
    if entry.status == Status.COMPLETE:
        _confirm(doubt)
    elif entry.status == Status.PAY_BACK:
        _undo(doubt, Status.PAY_BACK, Kind.REFUND, updated=entry.updated)
    elif entry.status in (Status.CREATE, Status.CANCEL) and _is_forgotten(mixi, doubt):
        # An OK said since the question was asked may have been heard: then this changes nothing.
        _undo(doubt, Status.VOID, Kind.VOID, Payment.ok_at == doubt.ok_at, updated=entry.updated)


def _is_forgotten(mixi: Channel, doubt: Doubt) -> bool:
    """Whether mixi never took the points and cannot still be acting on our last OK, so long ago it was."""
    return _said_long_ago(mixi, doubt) and not doubt.confirmed


def _said_long_ago(mixi: Channel, doubt: Doubt) -> bool:
    long = timedelta(seconds=mixi.settings.mixi_void_after)
    return doubt.ok_at is not None and doubt.asked_at - doubt.ok_at > long


def _confirm(doubt: Doubt) -> None:
    values = {"confirmed_at": doubt.asked_at, "unknown_at": None}
    with transaction() as session:
        session.execute(_complete(doubt.point_code).values(values))
    log.info("payment confirmed", point_code=doubt.point_code)


def _note_unknown(doubt: Doubt) -> None:
    """mixi does not know the payment. That alone undoes nothing: a platform may forget an old sale."""
    with transaction() as session:
        session.execute(_complete(doubt.point_code).values(unknown_at=doubt.asked_at))


def _count_as_test(doubt: Doubt) -> None:
    """mixi took no points for what we booked as a sale: the entry is put right, once; the goods stay."""
    key, sale = f"test:{doubt.point_code}", payments.sale_key(doubt.point_code)
    statement = _complete(doubt.point_code).where(Payment.is_test.is_(False)).values(is_test=True)
    with transaction() as session:
        payment = session.scalar(statement.returning(Payment))
        if payment is None:
            return
        buyer, now = payment.customer_id, clock.now()
        inventory.count_as_test(session, buyer, payment.item_id, key, now, of=sale)
        about = About(payment.item_id, payment.device, payment.updated_at)
        ledger.undo(session, buyer, Kind.VOID, UNIT, key, now, channel=NAME, of=sale, about=about)
        ledger.record(session, buyer, Kind.TEST, 0, UNIT, key, now, channel=NAME, of=sale, about=about)
    log.warning("payment was a test", point_code=doubt.point_code)


def _undo(
    doubt: Doubt,
    status: Status,
    kind: Kind,
    *still: ColumnElement[bool],
    reason: str | None = None,
    updated: datetime | None = None,
) -> bool:
    """Take the goods and the entry back, once, if the payment is still as it was; says whether it was."""
    key = f"{status.value}:{doubt.point_code}"
    statement = (
        _complete(doubt.point_code).where(*still).values(status=status, reason=reason, updated_at=updated)
    )
    with transaction() as session:
        payment = session.scalar(statement.returning(Payment))
        if payment is None:
            return False
        now = clock.now()
        buyer, item, is_test = payment.customer_id, payment.item_id, payment.is_test
        sale = payments.sale_key(doubt.point_code)
        inventory.take_back(session, buyer, item, key, now, of=sale, is_test=is_test)
        about = About(item, payment.device, updated)
        ledger.undo(session, buyer, kind, UNIT, key, now, channel=NAME, of=sale, about=about)
    log.warning("payment undone", point_code=doubt.point_code, status=status.value)
    return True


def _complete(point_code: str) -> Any:
    return update(Payment).filter_by(point_code=point_code, status=Status.COMPLETE)
