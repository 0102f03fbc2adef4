"""Payments as their buyer sees them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from flask_babel import LazyString
from flask_babel import lazy_gettext as _
from sqlalchemy import func, select

from storefront import clock
from storefront.db import db
from storefront.mixi.atom import CODE_LENGTH
from storefront.mixi.channel import NAME
from storefront.mixi.payments import Payment, Status
from storefront.mixi.signing import is_opaque
from storefront.shop import ledger
from storefront.shop.counter import Purchase, Turn
from storefront.shop.customers import Customer

UNFINISHED_FOR = timedelta(days=1)  # then a purchase that was left leaves the history, too

STATES: Mapping[str, LazyString] = {
    Status.COMPLETE: _("Bought"),
    Status.CREATE: _("Not confirmed"),
    Status.CANCEL: _("Cancelled"),
    Status.PAY_BACK: _("Points returned"),
    Status.VOID: _("Not charged, taken back"),
}
NOT_USED = _("No points were used.")
IN_DOUBT = _("The platform has not confirmed this purchase yet. We look again when you come back.")
TEST = _("Test purchase: no points are used.")
BEGUN = _("You chose it.")
GIVEN = _("You confirmed it at mixi, and the item came into your bag.")
CONFIRMED = _("mixi says that the points were used.")
AWAITED = _("We ask mixi when you come back.")
LEFT_OPEN = _("You have not confirmed it at mixi yet.")
CANCELLED = _("You cancelled it.")
ENDED = {
    Status.PAY_BACK: _("mixi returned the points, and the item went back."),
    Status.VOID: _("mixi had not taken the points, so the item went back."),
}


def find(customer_id: int, point_code: str) -> Payment | None:
    """A customer's own payment."""
    if not is_opaque(point_code, CODE_LENGTH):
        return None
    return db.session.scalar(select(Payment).filter_by(customer_id=customer_id, point_code=point_code))


def purchase(customer: Customer, point_code: str) -> Purchase | None:
    """A customer's own payment, with what became of it."""
    payment = find(customer.id, point_code)
    return replace(_purchase(payment), course=list(_course(payment))) if payment else None


def newest(customer: Customer, most: int) -> Sequence[Purchase]:
    """The newest of a customer's payments; those long left unfinished are out of the way."""
    recent = (Payment.status != Status.CREATE) | (Payment.created_at > clock.now() - UNFINISHED_FOR)
    mine = select(Payment).where(Payment.customer_id == customer.id, recent)
    at = func.coalesce(Payment.settled_at, Payment.created_at)
    shown = mine.order_by(at.desc(), Payment.point_code).limit(most)
    return [_purchase(payment) for payment in db.session.scalars(shown)]


def _course(payment: Payment) -> Iterator[Turn]:
    yield Turn(BEGUN, payment.created_at)
    if payment.status is Status.CREATE:
        yield Turn(LEFT_OPEN)
    elif payment.status is Status.CANCEL:
        yield Turn(CANCELLED, payment.settled_at)
    else:
        yield Turn(GIVEN, payment.settled_at)
        if payment.confirmed_at and not payment.is_test:
            yield Turn(CONFIRMED, payment.confirmed_at)
        if payment.status in ENDED:
            key = f"{payment.status.value}:{payment.point_code}"
            yield Turn(ENDED[payment.status], ledger.entered(payment.customer_id, key))
        elif payment.confirmed_at is None:
            yield Turn(AWAITED)


def _purchase(payment: Payment) -> Purchase:
    in_doubt = payment.status is Status.COMPLETE and payment.confirmed_at is None
    return Purchase(
        code=payment.point_code,
        channel=NAME,
        item_id=payment.item_id,
        item_name=payment.item_name,
        amount=payment.points,
        state=payment.status.value,
        at=payment.settled_at or payment.created_at,
        is_test=payment.is_test,
        unfinished=NOT_USED if payment.status is Status.CREATE else None,
        notes=[*([IN_DOUBT] if in_doubt else ()), *([TEST] if payment.is_test else ())],
        in_doubt=in_doubt,
    )
