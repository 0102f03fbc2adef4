"""Payments: settled exactly once, when mixi asks.

`settle` brings a payment to its final state; call it as often as you like. What becomes of it after
our OK is the business of `questions`; `purchases` shows it to its buyer, `outstanding` to the operator.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, cast

import structlog
from sqlalchemy import (
    ForeignKey,
    Index,
    Row,
    String,
    Table,
    bindparam,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from storefront.clock import Deadline
from storefront.db import Model, insert_once, this_moment, transaction, words
from storefront.mixi import atom, callback_word
from storefront.mixi.atom import CODE_LENGTH, Goods
from storefront.mixi.channel import NAME
from storefront.mixi.settings import settings
from storefront.mixi.signing import OWNER_LENGTH, Malformed, Signed, is_opaque
from storefront.shop import inventory, ledger, limits
from storefront.shop.catalog import Item
from storefront.shop.devices import Device
from storefront.shop.ledger import About, Kind
from storefront.shop.limits import NotForSale, Reason

UNIT = "point"
REASON_LENGTH = 200
LISTENS = 10  # seconds until mixi stops listening (seed: payment flow, step 5)

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


# Written out, so that a database that plans without knowing the values still takes the index of the few.
UNKNOWN = text("unknown_at IS NOT NULL")
UNCONFIRMED = text("status = 'complete' AND confirmed_at IS NULL")
OUTCOMES = {"10": Status.COMPLETE, "20": Status.CANCEL}  # seed: callback parameters, status


class Payment(Model):
    """One purchase at mixi, with the item's name and price as sold."""

    __tablename__ = "payment"
    __table_args__ = (
        Index(
            "ix_payment_unconfirmed",
            "customer_id",
            sqlite_where=UNCONFIRMED,
            postgresql_where=UNCONFIRMED,
        ),
        Index("ix_payment_unknown", "unknown_at", sqlite_where=UNKNOWN, postgresql_where=UNKNOWN),
    )

    point_code: Mapped[str] = mapped_column(String(CODE_LENGTH), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    owner_id: Mapped[str] = mapped_column(String(OWNER_LENGTH))
    item_id: Mapped[str] = mapped_column(ForeignKey("item.id"))
    item_name: Mapped[str] = mapped_column(String(128))
    points: Mapped[int]
    is_test: Mapped[bool]
    language: Mapped[str] = mapped_column(String(8))
    device: Mapped[Device | None] = mapped_column(words(Device))  # empty of what was begun before it was kept
    word: Mapped[str | None] = mapped_column(String(callback_word.LENGTH))  # without one nobody can settle it
    status: Mapped[Status] = mapped_column(words(Status))
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    updated_at: Mapped[datetime | None]  # when it last changed at mixi, as mixi says
    ok_at: Mapped[datetime | None]  # our last OK; mixi stops listening ten seconds later
    asked_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    unknown_at: Mapped[datetime | None]  # when mixi said that it does not know it
    refusal: Mapped[Reason | None] = mapped_column(words(Reason))
    reason: Mapped[str | None] = mapped_column(String(REASON_LENGTH))  # the operator's, for making it void
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
    .values(
        status=bindparam("outcome"),
        settled_at=bindparam("now"),
        updated_at=bindparam("updated"),
        ok_at=this_moment(),
        refusal=None,
    )
    .returning(*_table.c)
)


@dataclass(frozen=True)
class Wanted(Goods):
    """A payment as its buyer wants it, before mixi has given it a code."""

    customer_id: int
    owner_id: str
    language: str
    device: Device


class UnknownPayment(Exception):
    """No payment of this buyer has this code."""


class Contradiction(Exception):
    """The payment is settled already, in another way."""


@dataclass(frozen=True)
class Callback:
    """What mixi asks for: this payment of this owner is to be completed, or cancelled.

    `word` is the end of the address it was sent to.
    """

    point_code: str
    owner_id: str
    outcome: Status
    word: str = field(repr=False)
    updated: datetime | None = None  # when mixi's side of it changed

    @classmethod
    def read(cls, signed: Signed, app_id: str, word: str) -> "Callback":
        """Parse the five parameters of a verified callback, or raise Malformed."""
        if signed.one("opensocial_app_id") != app_id:
            raise Malformed("opensocial_app_id is another application's")
        status = signed.one("status")
        if status not in OUTCOMES:
            raise Malformed("status is neither 10 nor 20")
        updated = atom.moment(signed.one("updated"))
        if updated is None:
            raise Malformed("updated is not a UTC moment such as 2009-09-03T06:34:29Z")
        code, owner_id = signed.one("point_code"), signed.one("opensocial_owner_id")
        if not (is_opaque(code, CODE_LENGTH) and is_opaque(owner_id, OWNER_LENGTH)):
            raise Malformed("point_code or opensocial_owner_id is none")
        return cls(code, owner_id, OUTCOMES[status], word, updated)


def keep(session: Session, wanted: Wanted, point_code: str, word: str, now: datetime) -> bool:
    """Enter a new payment; false if its code is not new."""
    new = {"point_code": point_code, "word": word, "status": Status.CREATE, "created_at": now}
    return insert_once(session, Payment, **vars(wanted), **new)


def settle(callback: Callback, deadline: Deadline, now: datetime) -> None:
    """Bring one payment to its final state, exactly once.

    Call it as often as you like, from as many processes as you like. When it returns, the outcome
    is durable and OK may be said; when it raises, nothing has changed but the note of a refusal.
    """
    try:
        with transaction(deadline) as session:
            claimed = _claim(session, callback, now)
            if claimed is None:
                _repeat(session, callback)
            elif claimed.status is Status.COMPLETE:
                _deliver(session, claimed, now)
    except NotForSale as refusal:
        _note(callback, refusal.reason)
        raise


def sale_key(point_code: str) -> str:
    """The key of what was granted and entered for a payment."""
    return f"{NAME}:{point_code}"


def deadline_of(signed: Signed, arrival: Deadline, arrived: datetime, clock_skew: int) -> Deadline:
    """When mixi stops listening: the deadline set at arrival, less the time spent on the way and in a queue.

    mixi signed at a moment of its own clock, which may run `clock_skew` seconds behind ours.
    """
    under_way = arrived.timestamp() - signed.timestamp
    return Deadline(arrival.ends - max(0.0, under_way - clock_skew))


def _claim(session: Session, callback: Callback, now: datetime) -> Row[Any] | None:
    """Win the right to settle: of any number of simultaneous callbacks, one gets the payment."""
    wanted = {"code": callback.point_code, "owner": callback.owner_id}
    became = {"outcome": callback.outcome, "now": now, "updated": callback.updated}
    claimed = session.execute(CLAIM, {**wanted, **became}).one_or_none()
    if claimed:
        _check_word(callback, claimed.word)
    return claimed


def _repeat(session: Session, callback: Callback) -> None:
    """Say again what was said before: only the moment of our last OK moves."""
    named = {"point_code": callback.point_code, "owner_id": callback.owner_id}
    said = update(Payment).filter_by(**named, status=callback.outcome).values(ok_at=this_moment())
    repeated = session.execute(said.returning(Payment.word)).one_or_none()
    known = repeated or session.execute(select(Payment.word).filter_by(**named)).one_or_none()
    if known is None:
        raise UnknownPayment
    _check_word(callback, known.word)
    if repeated is None:
        raise Contradiction


def _check_word(callback: Callback, word: str | None) -> None:
    if not callback_word.fits(callback.word, word):
        raise UnknownPayment


def _deliver(session: Session, payment: Row[Any], now: datetime) -> None:
    """Goods and book, in the claim's transaction, if its age and the limits still allow it."""
    if now - payment.created_at > timedelta(seconds=settings().mixi_payment_seconds):
        raise NotForSale(Reason.EXPIRED)
    kind, points = (Kind.TEST, 0) if payment.is_test else (Kind.SALE, payment.points)
    buyer, item, is_test = payment.customer_id, payment.item_id, payment.is_test
    limits.enforce(session, item, buyer, payment.points, now, channel=NAME, is_test=is_test)
    key = sale_key(payment.point_code)
    inventory.grant(session, buyer, item, key, now, is_test=is_test)
    about = About(item, payment.device, payment.updated_at)
    ledger.record(session, buyer, kind, points, UNIT, key, now, channel=NAME, about=about)


def _note(callback: Callback, reason: Reason) -> None:
    """Keep the reason of a refusal for the finish page."""
    named = {"point_code": callback.point_code, "owner_id": callback.owner_id, "status": Status.CREATE}
    with transaction() as session:
        session.execute(update(Payment).filter_by(**named).values(refusal=reason))
