"""Payments as the operator has to know of them: those that are not at rest, and how one stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from storefront.db import db, fresh
from storefront.mixi.payments import UNCONFIRMED, Payment, Status
from storefront.shop import inventory
from storefront.shop.customers import Customer
from storefront.shop.inventory import Overdrawn

NOT_KNOWN = (
    Payment.status == Status.COMPLETE,
    Payment.unknown_at.is_not(None),
    Payment.confirmed_at.is_not(None),
)


@dataclass(frozen=True)
class Unconfirmed:
    """A payment whose points mixi has not said it took, and when its buyer removed the app, if they did."""

    payment: Payment
    removed_at: datetime | None


def unconfirmed() -> Sequence[Unconfirmed]:
    """Every payment we said OK to without mixi's word since that it took the points; the oldest OK first."""
    waiting = select(Payment, Customer.removed_at).join(Customer, Payment.customer_id == Customer.id)
    rows = db.session.execute(waiting.where(UNCONFIRMED).order_by(Payment.ok_at, Payment.point_code))
    return [Unconfirmed(payment, removed_at) for payment, removed_at in rows]


def oldest(most: int) -> Sequence[Payment]:
    """Those with the oldest OK."""
    return db.session.scalars(
        select(Payment).where(UNCONFIRMED).order_by(Payment.ok_at, Payment.point_code).limit(most)
    ).all()


def count_not_known() -> int:
    """How many payments mixi had confirmed, and does not know any more."""
    return db.session.scalar(select(func.count()).select_from(Payment).where(*NOT_KNOWN)) or 0


def not_known() -> Sequence[Payment]:
    """Every payment that mixi had confirmed, and now says it does not know."""
    return db.session.scalars(select(Payment).where(*NOT_KNOWN).order_by(Payment.ok_at)).all()


def used_up() -> Sequence[Payment]:
    """Every payment that was undone although its goods were used: what was taken back is missing."""
    missing = (Overdrawn.customer_id == Payment.customer_id) & (Overdrawn.item_id == Payment.item_id)
    undone = (
        select(Payment)
        .join(Overdrawn, missing)
        .where(Payment.status.in_((Status.PAY_BACK, Status.VOID)), inventory.below_zero())
    )
    return db.session.scalars(undone.order_by(Payment.ok_at, Payment.point_code)).all()


def count_unconfirmed() -> int:
    """How many payments mixi has not confirmed."""
    return db.session.scalar(select(func.count()).select_from(Payment).where(UNCONFIRMED)) or 0


def word_for(point_code: str) -> str | None:
    """How a payment stands with us, in words for the operator; None if we have none of this code."""
    payment = fresh().get(Payment, point_code)
    if payment is None:
        return None
    if payment.status is not Status.COMPLETE:
        return payment.status.value
    return f"{payment.status.value}, {'confirmed' if payment.confirmed_at else 'not confirmed'} by mixi"
