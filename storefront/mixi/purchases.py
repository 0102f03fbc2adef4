"""Payments as their buyer sees them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from flask_babel import LazyString
from flask_babel import lazy_gettext as _
from sqlalchemy import func, select

from storefront import clock
from storefront.db import db
from storefront.mixi.atom import CODE_LENGTH
from storefront.mixi.channel import NAME
from storefront.mixi.payments import Payment, Status, sale_key
from storefront.mixi.settings import settings
from storefront.mixi.signing import is_opaque
from storefront.shop import corrections, ledger, limits
from storefront.shop.counter import Purchase, Step, Turn
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
YOU_CANCELLED = _("You cancelled it.")
ENDED = {
    Status.PAY_BACK: _("mixi returned the points, and the item went back."),
    Status.VOID: _("mixi had not taken the points, so the item went back."),
}
PAYMENT_BEGUN = _("Payment begun")
ASKED = _("mixi was asked how it stands")
SAID_OK = _("mixi asked, and the shop answered OK")
CANCELLED = _("The buyer cancelled")


def find(customer_id: int, point_code: str) -> Payment | None:
    """A customer's own payment."""
    if not is_opaque(point_code, CODE_LENGTH):
        return None
    return db.session.scalar(select(Payment).filter_by(customer_id=customer_id, point_code=point_code))


def purchase(customer: Customer, point_code: str) -> Purchase | None:
    """A customer's own payment, with what became of it."""
    payment = find(customer.id, point_code)
    return replace(_purchase(payment), course=list(_course(payment))) if payment else None


def whose(point_code: str) -> int | None:
    """The customer whose payment has this code."""
    if not is_opaque(point_code, CODE_LENGTH):
        return None
    return db.session.scalar(select(Payment.customer_id).filter_by(point_code=point_code))


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


def bars(point_code: str, now: datetime) -> LazyString | None:
    """Why nothing may be given by hand for a payment: a callback has delivered it, or may yet."""
    payment = db.session.get(Payment, point_code) if is_opaque(point_code, CODE_LENGTH) else None
    if payment is None:
        return None
    if payment.status is Status.COMPLETE:
        return corrections.DELIVERED
    longest = timedelta(seconds=settings().mixi_payment_seconds)
    is_open = payment.status is Status.CREATE and corrections.may_complete(payment.created_at, longest, now)
    return corrections.OPEN if is_open else None


def steps(customer_id: int, most: int) -> Iterator[Step]:
    """What the operator should know of the newest of a customer's payments."""
    mine = select(Payment).filter_by(customer_id=customer_id)
    for payment in db.session.scalars(mine.order_by(Payment.created_at.desc()).limit(most)):
        yield from _steps(payment)


def _steps(payment: Payment) -> Iterator[Step]:
    refusal = [_("Not sold: %(reason)s", reason=limits.CALLED[payment.refusal])] if payment.refusal else []
    tests = [TEST] if payment.is_test else []
    step = partial(
        Step, key=sale_key(payment.point_code), code=payment.point_code, item_id=payment.item_id, channel=NAME
    )
    yield step(payment.created_at, PAYMENT_BEGUN, amount=payment.points, notes=[*refusal, *tests])
    if payment.settled_at:
        words = CANCELLED if payment.status is Status.CANCEL else SAID_OK
        yield step(payment.settled_at, words, notes=[payment.reason] if payment.reason else [])
    if payment.confirmed_at:
        yield step(payment.confirmed_at, _("mixi confirmed that it took the points"))
    elif payment.asked_at:
        yield step(payment.asked_at, ASKED, notes=[STATES[payment.status]])
    if payment.unknown_at:
        yield step(payment.unknown_at, _("mixi said that it does not know this payment"))


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
        key=sale_key(payment.point_code),
    )
