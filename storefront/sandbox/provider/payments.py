"""Payments as the provider keeps them. Money moves in pay(), give_back() and undo(), nowhere else.

waiting -> waiting          a try was declined: the buyer may try again
waiting -> paid             the buyer pressed pay: the money is taken, then the shop is told
waiting -> cancelled        the buyer pressed cancel
paid    -> refunded         the shop's first word was that it cannot deliver, or we gave the money back
paid    -> chargeback       the buyer's bank took the money back
"""

import secrets
from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, UniqueConstraint, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.sandbox.provider.arrivals import Arrival
from storefront.sandbox.provider.store import Base, reading, transaction
from storefront.sandbox.storefile import Moment

# No letters that are taken for one another when they are read out.
REFERENCE_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
REFERENCE_LENGTH = 12


class Status(StrEnum):
    """Where a payment stands."""

    WAITING = "waiting"
    PAID = "paid"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"
    CHARGEBACK = "chargeback"


class Contradiction(Exception):
    """The shop has sent this payment before, for something else."""


class Payment(Base):
    """One payment to one shop. `code` is the shop's name for it, `reference` is ours."""

    __tablename__ = "payment"
    __table_args__ = (UniqueConstraint("merchant", "code"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    merchant: Mapped[str]
    code: Mapped[str]
    reference: Mapped[str] = mapped_column(unique=True)
    token: Mapped[str] = mapped_column(unique=True)
    # Which browser came with it first: it is nobody else's to see or to decide.
    browser: Mapped[str] = mapped_column(index=True)
    item: Mapped[str]
    yen: Mapped[int]
    back: Mapped[str]
    status: Mapped[Status] = mapped_column(default=Status.WAITING)
    # Whether the shop has said what it does about how it stands; its first word counts.
    heard: Mapped[bool] = mapped_column(default=False)
    # Given back since the shop cannot deliver, which it need not be told.
    undelivered: Mapped[bool] = mapped_column(default=False)
    # How many tries to pay were declined; each has a reference of its own.
    declined: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)


def keep(arrival: Arrival, browser: str, now: datetime) -> Payment:
    """The payment that the shop asks for: a new one, or as it stands if it was asked for before."""
    with transaction() as session:
        same = (Payment.merchant == arrival.merchant, Payment.code == arrival.code)
        payment = session.scalars(select(Payment).where(*same)).one_or_none()
        if payment is None:
            payment = _new(arrival, browser, now)
            session.add(payment)
        elif (payment.item, payment.yen) != (arrival.item, arrival.yen):
            raise Contradiction(arrival.code)
    return payment


def pay(payment: Payment, now: datetime) -> bool:
    """Take the money of a payment that waits; whether this call took it."""
    with transaction() as session:
        return _settle(session, payment.id, Status.WAITING, Status.PAID, now)


def cancel(payment: Payment, now: datetime) -> bool:
    """Cancel a payment that waits; whether this call did."""
    with transaction() as session:
        return _settle(session, payment.id, Status.WAITING, Status.CANCELLED, now)


def decline(payment: Payment, now: datetime) -> bool:
    """Refuse a try to pay a payment that waits; whether this call did. No money moves."""
    with transaction() as session:
        again = {"declined": Payment.declined + 1}
        return _settle(session, payment.id, Status.WAITING, Status.WAITING, now, **again)


def undo(payment: Payment, after: Status, now: datetime) -> bool:
    """Give back the money of a paid payment, as a refund or a chargeback; whether this call did."""
    with transaction() as session:
        return _settle(session, payment.id, Status.PAID, after, now, heard=False)


def hear(session: Session, payment_id: int, status: Status) -> None:
    """The shop said OK to a payment that stands so, if it still does. Call it inside a transaction."""
    mine = (Payment.id == payment_id, Payment.status == status)
    session.execute(update(Payment).where(*mine).values(heard=True))


def give_back(session: Session, payment_id: int, now: datetime) -> bool:
    """Give the money back unless the shop had said OK; whether it was. Call it inside a transaction."""
    unheard, told = Payment.heard.is_(False), {"heard": True, "undelivered": True}
    return _settle(session, payment_id, Status.PAID, Status.REFUNDED, now, unheard, **told)


def by_token(token: str, browser: str) -> Payment | None:
    """The payment of this browser at this address."""
    with reading() as session:
        mine = (Payment.token == token, Payment.browser == browser)
        return session.scalars(select(Payment).where(*mine)).one_or_none()


def by_reference(reference: str, browser: str) -> Payment | None:
    """The payment of this browser that we call so."""
    with reading() as session:
        mine = (Payment.reference == reference, Payment.browser == browser)
        return session.scalars(select(Payment).where(*mine)).one_or_none()


def of(browser: str, number: int) -> Sequence[Payment]:
    """The newest payments of this browser."""
    mine = select(Payment).where(Payment.browser == browser)
    with reading() as session:
        return session.scalars(mine.order_by(Payment.id.desc()).limit(number)).all()


def recent(number: int) -> Sequence[Payment]:
    """The newest payments."""
    with reading() as session:
        return session.scalars(select(Payment).order_by(Payment.id.desc()).limit(number)).all()


def of_codes(codes: Collection[str]) -> Sequence[Payment]:
    """Those that the shop calls so, however old."""
    with reading() as session:
        return session.scalars(select(Payment).where(Payment.code.in_(codes))).all()


def collected(browser: str) -> int:
    """The yen of this browser that we hold for the shop."""
    mine = (Payment.status == Status.PAID, Payment.browser == browser)
    paid = select(func.sum(Payment.yen)).where(*mine)
    with reading() as session:
        return int(session.scalar(paid) or 0)


def _new(arrival: Arrival, browser: str, now: datetime) -> Payment:
    return Payment(
        merchant=arrival.merchant,
        code=arrival.code,
        reference="".join(secrets.choice(REFERENCE_LETTERS) for _ in range(REFERENCE_LENGTH)),
        token=secrets.token_urlsafe(24),
        browser=browser,
        item=arrival.item,
        yen=arrival.yen,
        back=arrival.back,
        created_at=now,
        updated_at=now,
    )


def _settle(
    session: Session,
    payment_id: int,
    before: Status,
    after: Status,
    now: datetime,
    *only_if: ColumnElement[bool],
    **values: object,
) -> bool:
    moved = (
        update(Payment)
        .where(Payment.id == payment_id, Payment.status == before, *only_if)
        .values(status=after, updated_at=now, **values)
        .returning(Payment.id)
    )
    return session.execute(moved).first() is not None
