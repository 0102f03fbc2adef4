"""Payments made outside: the provider takes the money, then tells us; the goods come once.

Unlike mixi it does not ask first. So what cannot be delivered any more is answered with a word that
makes the provider give the money back, and what it gave back by itself takes the goods back here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import structlog
from flask_babel import LazyString
from flask_babel import lazy_gettext as _
from sqlalchemy import ColumnElement, ForeignKey, String, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from storefront import clock
from storefront.db import Model, db, insert_once, transaction, words
from storefront.external import facts, registration
from storefront.external.channel import NAME, channel
from storefront.external.settings import settings
from storefront.shop import corrections, inventory, ledger, limits, turns
from storefront.shop.catalog import Item, Offer
from storefront.shop.counter import Purchase, Step, Turn
from storefront.shop.customers import Customer
from storefront.shop.devices import Device
from storefront.shop.ledger import About, Kind
from storefront.shop.limits import NotForSale, Reason

UNIT, CURRENCY = "yen", "JPY"
CODE_LENGTH, REFERENCE_LENGTH = 40, 64
CODE = re.compile(rf"[0-9A-Za-z_-]{{1,{CODE_LENGTH}}}")
REFERENCE = re.compile(rf"[!-~]{{1,{REFERENCE_LENGTH}}}")
CURRENCIES = re.compile(r"[A-Z]{3}")  # ISO 4217
PAY, MINUTE = f"{NAME}.pay", timedelta(minutes=1)
UNFINISHED_FOR = timedelta(days=1)  # then a purchase that was left leaves the history, too

log = structlog.get_logger()


class Status(StrEnum):
    """Where a payment stands.

    create -> complete   the provider was paid, and the goods were given out
    create -> cancel     the buyer thought better of it
    create -> refund     the provider was paid, but the goods are not to be had: it gives the money back
    complete, create -> refunded     the provider gave the money back by itself: no goods any more
    complete, create -> chargeback   the buyer's bank took the money back, likewise
    """

    CREATE = "create"
    COMPLETE = "complete"
    CANCEL = "cancel"
    REFUND = "refund"
    REFUNDED = "refunded"
    CHARGEBACK = "chargeback"


class Outcome(StrEnum):
    """The provider's words. A try that was declined may be followed by one that works."""

    PAID = "paid"
    CANCELLED = "cancelled"
    DECLINED = "declined"
    REFUNDED = "refunded"
    CHARGEBACK = "chargeback"


SETTLED = {
    Outcome.PAID: Status.COMPLETE,
    Outcome.CANCELLED: Status.CANCEL,
    Outcome.REFUNDED: Status.REFUNDED,
    Outcome.CHARGEBACK: Status.CHARGEBACK,
}
STATES: Mapping[str, LazyString] = {
    Status.COMPLETE: _("Bought"),
    Status.CREATE: _("Not confirmed"),
    Status.CANCEL: _("Cancelled"),
    Status.REFUND: _("Not delivered, paid back"),
    Status.REFUNDED: _("Money returned"),
    Status.CHARGEBACK: _("Payment reversed"),
}
NOT_PAID = _("Nothing was paid yet.")
BEGUN = _("You chose it, and went on to the payment provider.")
AWAITED = _("The payment provider has told us nothing yet.")
TURNS = {
    Status.COMPLETE: _("You paid, and the item came into your bag."),
    Status.CANCEL: _("You cancelled it."),
    Status.REFUND: _("You paid, but the item could not be given out: the payment provider pays it back."),
    Status.REFUNDED: _("The payment provider paid it back, and the item went back."),
    Status.CHARGEBACK: _("The payment was reversed, and the item went back."),
}
MONEY_BACK = {Outcome.REFUNDED: Status.REFUNDED, Outcome.CHARGEBACK: Status.CHARGEBACK}
DONE = {Status.COMPLETE, *MONEY_BACK.values()}  # nothing more is owed for the try that the payment names


class ExternalPayment(Model):
    """One purchase at the provider, with the item's name and price as sold; the code is our form's nonce."""

    __tablename__ = "external_payment"

    code: Mapped[str] = mapped_column(String(CODE_LENGTH), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    item_id: Mapped[str] = mapped_column(ForeignKey("item.id"))
    item_name: Mapped[str] = mapped_column(String(128))
    yen: Mapped[int]
    device: Mapped[Device | None] = mapped_column(words(Device))  # empty of what was begun before it was kept
    status: Mapped[Status] = mapped_column(words(Status))
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    reference: Mapped[str | None] = mapped_column(String(REFERENCE_LENGTH))  # the provider's own code
    refusal: Mapped[Reason | None] = mapped_column(words(Reason))
    item: Mapped[Item] = relationship()


class UnknownPayment(Exception):
    """No payment has this code; `owed` as in Contradiction. A restored database has forgotten some."""

    def __init__(self, owed: bool) -> None:
        super().__init__()
        self.owed = owed


class Contradiction(Exception):
    """The notice does not fit the payment; `reason` says how, for who reads the provider's log.

    `owed`: money was taken for which nothing was given.
    """

    def __init__(self, reason: str, owed: bool) -> None:
        super().__init__(reason)
        self.reason, self.owed = reason, owed


class Malformed(Exception):
    """A verified notice lacks a field, or gives it a value it cannot have."""


@dataclass(frozen=True)
class Notice:
    """What the provider tells of a payment, or of one try to pay it: each try has its own reference."""

    code: str
    reference: str
    yen: int
    outcome: Outcome
    currency: str = CURRENCY

    @classmethod
    def read(cls, fields: Mapping[str, str]) -> "Notice":
        """Parse the fields of a verified notice, or raise Malformed; UnknownPayment for a code not ours."""
        code, reference = fields.get("payment", ""), fields.get("reference", "")
        yen, outcome = fields.get("yen", ""), fields.get("outcome", "")
        currency = fields.get("currency", CURRENCY)
        if not (code and REFERENCE.fullmatch(reference)):
            raise Malformed("payment or reference is none")
        if not (yen.isascii() and yen.isdigit() and len(yen) <= 9):
            raise Malformed("yen is no sum")
        if not CURRENCIES.fullmatch(currency):
            raise Malformed("currency is none")
        if outcome not in set(Outcome):
            raise Malformed("outcome is none of our words")
        if not CODE.fullmatch(code):
            raise UnknownPayment(owed=outcome == Outcome.PAID)
        return cls(code, reference, int(yen), Outcome(outcome), currency)


def start(
    code: str, customer: Customer, offer: Offer, language: str, device: Device, now: datetime
) -> ExternalPayment:
    """Keep a payment before its buyer leaves; the same code is the same payment, however often it is sent.

    Raises turns.TooMany.
    """
    values = {
        "customer_id": customer.id,
        "item_id": offer.item.id,
        "item_name": offer.item.name(language),
        "yen": offer.amount,
        "device": device,
        "status": Status.CREATE,
        "created_at": now,
    }
    with transaction() as session:
        if insert_once(session, ExternalPayment, code=code, **values):
            turns.take(session, customer.id, PAY, settings().external_taps_per_minute, MINUTE, now)
        return session.get_one(ExternalPayment, code)


def hear(fields: Mapping[str, str], now: datetime) -> bool:
    """Settle what the fields of a verified notice tell: as `settle`, or Malformed.

    Money that was taken is owed, whatever else of such a notice cannot be read.
    """
    try:
        notice = Notice.read(fields)
    except Malformed as unread:
        if fields.get("outcome") != Outcome.PAID:
            raise
        owed = not _is_done(fields.get("payment", ""), fields.get("reference", ""))
        raise Contradiction(str(unread), owed) from None
    return settle(notice, now)


def settle(notice: Notice, now: datetime) -> bool:
    """Do once what a notice asks for; false means: the money is to be given back.

    Call it as often as you like, from as many processes as you like. Raises UnknownPayment, Contradiction.
    """
    with transaction() as session:
        payment = _claim(session, notice, now)
        if payment is not None:
            return payment.status is not Status.COMPLETE or _deliver(session, payment, now)
        sold = _claim_back(session, notice, now)
        if sold is not None:
            _take_back(session, sold, now)
            return True
        return _repeat(session, notice)


def whose(code: str) -> int | None:
    """The customer whose payment has this code."""
    if not CODE.fullmatch(code):
        return None
    return db.session.scalar(select(ExternalPayment.customer_id).filter_by(code=code))


def bars(code: str, now: datetime) -> LazyString | None:
    """Why nothing may be given by hand for a payment: a notice has delivered it, or may yet."""
    payment = db.session.get(ExternalPayment, code) if CODE.fullmatch(code) else None
    if payment is None:
        return None
    if payment.status is Status.COMPLETE:
        return corrections.DELIVERED
    longest = timedelta(seconds=settings().external_payment_seconds)
    is_open = payment.status is Status.CREATE and corrections.may_complete(payment.created_at, longest, now)
    return corrections.OPEN if is_open else None


def steps(customer_id: int, most: int) -> Iterator[Step]:
    """What the operator should know of the newest of a customer's payments."""
    mine = select(ExternalPayment).filter_by(customer_id=customer_id)
    for payment in db.session.scalars(mine.order_by(ExternalPayment.created_at.desc()).limit(most)):
        key, code, item = _sale_key(payment.code), payment.code, payment.item_id
        begun, told = _("Payment begun, at another company"), _("The provider told of it")
        yield Step(payment.created_at, begun, key, code, item, payment.yen, NAME)
        if payment.settled_at:
            refusal = (
                [_("Not sold: %(reason)s", reason=limits.CALLED[payment.refusal])] if payment.refusal else []
            )
            reference = [payment.reference] if payment.reference else []
            notes = [STATES[payment.status], *refusal, *reference]
            yield Step(payment.settled_at, told, key, code, item, channel=NAME, notes=notes)


def find(customer_id: int, code: str) -> ExternalPayment | None:
    """A customer's own payment."""
    if not CODE.fullmatch(code):
        return None
    return db.session.scalar(select(ExternalPayment).filter_by(customer_id=customer_id, code=code))


def returning(code: str) -> ExternalPayment | None:
    """The payment that somebody comes back from, who need not be known any more; not for ever."""
    recent = ExternalPayment.created_at > clock.now() - UNFINISHED_FOR
    return db.session.scalar(select(ExternalPayment).where(ExternalPayment.code == code, recent))


def purchase(customer: Customer, code: str) -> Purchase | None:
    """A customer's own payment, with what became of it."""
    payment = find(customer.id, code)
    return replace(shown(payment), course=list(_course(payment))) if payment else None


def purchases(customer: Customer, most: int) -> Sequence[Purchase]:
    """The newest of a customer's payments; those long left unfinished are out of the way."""
    recent = (ExternalPayment.status != Status.CREATE) | (
        ExternalPayment.created_at > clock.now() - UNFINISHED_FOR
    )
    mine = select(ExternalPayment).where(ExternalPayment.customer_id == customer.id, recent)
    at = func.coalesce(ExternalPayment.settled_at, ExternalPayment.created_at)
    newest = mine.order_by(at.desc(), ExternalPayment.code).limit(most)
    return [shown(payment) for payment in db.session.scalars(newest)]


def shown(payment: ExternalPayment) -> Purchase:
    """A payment as its buyer sees it."""
    return Purchase(
        code=payment.code,
        channel=NAME,
        item_id=payment.item_id,
        item_name=payment.item_name,
        amount=payment.yen,
        state=payment.status.value,
        at=payment.settled_at or payment.created_at,
        unfinished=NOT_PAID if payment.status is Status.CREATE else None,
        key=_sale_key(payment.code),
    )


def _is_done(code: str, reference: str) -> bool:
    """Whether nothing more is owed for the try of this reference; without one it may be any."""
    payment = db.session.get(ExternalPayment, code) if CODE.fullmatch(code) else None
    return payment is not None and payment.status in DONE and reference in ("", payment.reference)


def _claim(session: Session, notice: Notice, now: datetime) -> Any:
    """Win the right to settle: of any number of simultaneous notices, one gets the payment."""
    if notice.outcome not in SETTLED:
        return None
    unsettled = ExternalPayment.status == Status.CREATE
    if notice.outcome is Outcome.PAID:
        unsettled |= _only_another_try_went_back(notice)
    return _moved(session, notice, SETTLED[notice.outcome], now, unsettled)


def _only_another_try_went_back(notice: Notice) -> ColumnElement[bool]:
    """Money went back before any was told of, and it was not this try's: nothing was ever given."""
    went_back = ExternalPayment.status.in_(MONEY_BACK.values())
    another = ExternalPayment.reference != notice.reference
    return went_back & another & ~inventory.was_given(_sale_key(notice.code))


def _claim_back(session: Session, notice: Notice, now: datetime) -> Any:
    """Win the right to take a sale back; not for the money of another try, for which nothing was given."""
    if notice.outcome not in MONEY_BACK:
        return None
    sold = ExternalPayment.status == Status.COMPLETE, ExternalPayment.reference == notice.reference
    return _moved(session, notice, MONEY_BACK[notice.outcome], now, *sold)


def _moved(
    session: Session, notice: Notice, after: Status, now: datetime, *only_if: ColumnElement[bool]
) -> Any:
    if notice.currency != CURRENCY:
        return None
    same = ExternalPayment.code == notice.code, ExternalPayment.yen == notice.yen
    wanted = update(ExternalPayment).where(*same, *only_if)
    values = {"status": after, "settled_at": now, "reference": notice.reference}
    return session.execute(wanted.values(values).returning(*ExternalPayment.__table__.c)).one_or_none()


def _repeat(session: Session, notice: Notice) -> bool:
    """What a notice hears that changes nothing: as before, or what is wrong with it.

    Only money that was taken, and for which nothing was given, is to be given back.
    """
    payment = session.get(ExternalPayment, notice.code)
    if payment is None:
        raise UnknownPayment(owed=notice.outcome is Outcome.PAID)
    same = payment.reference == notice.reference
    owed = notice.outcome is Outcome.PAID and not (same and payment.status in DONE)
    if notice.currency != CURRENCY:
        raise Contradiction(f"this payment is in {CURRENCY}", owed)
    if notice.yen != payment.yen:
        raise Contradiction(f"this payment is over {payment.yen} yen", owed)
    if owed and not (same and payment.status is Status.REFUND):
        raise Contradiction(f"this payment stands as {payment.status.value}", owed)
    return not owed


def _deliver(session: Session, payment: Any, now: datetime) -> bool:
    """Goods and book, in the claim's transaction, if age and limits allow it; else the money goes back."""
    try:
        if now - payment.created_at > timedelta(seconds=settings().external_payment_seconds):
            raise NotForSale(Reason.EXPIRED)
        if _is_closed(now):
            raise NotForSale(Reason.WITHDRAWN)
        limits.enforce(session, payment.item_id, payment.customer_id, payment.yen, now, channel=NAME)
    except NotForSale as refusal:
        mine = update(ExternalPayment).where(ExternalPayment.code == payment.code)
        session.execute(mine.values(status=Status.REFUND, refusal=refusal.reason))
        log.warning("external payment refunded", payment=payment.code, reason=refusal.reason.value)
        return False
    buyer, key = payment.customer_id, _sale_key(payment.code)
    inventory.grant(session, buyer, payment.item_id, key, now)
    about = About(payment.item_id, payment.device)
    ledger.record(session, buyer, Kind.SALE, payment.yen, UNIT, key, now, channel=NAME, about=about)
    return True


def _is_closed(now: datetime) -> bool:
    """Whether mixi does not allow this way to pay any more, since the buyer left."""
    today = clock.day(now)
    return bool(
        registration.forbidden(facts.current(), Device.PC, channel().site, today, on_smartphone=False)
    )


def _take_back(session: Session, payment: Any, now: datetime) -> None:
    """Goods and entry go back under a key of their own, whatever became of the goods."""
    buyer, key, sale = payment.customer_id, f"{payment.status.value}:{payment.code}", _sale_key(payment.code)
    inventory.take_back(session, buyer, payment.item_id, key, now, of=sale)
    about = About(payment.item_id, payment.device)
    ledger.undo(session, buyer, Kind.REFUND, UNIT, key, now, channel=NAME, of=sale, about=about)
    log.warning("external payment taken back", payment=payment.code, reason=payment.status.value)


def _sale_key(code: str) -> str:
    """The key of what was granted and entered for a payment."""
    return f"{NAME}:{code}"


def _course(payment: ExternalPayment) -> Iterator[Turn]:
    yield Turn(BEGUN, payment.created_at)
    given = ledger.entered(payment.customer_id, _sale_key(payment.code))
    if given and payment.status in MONEY_BACK.values():
        yield Turn(TURNS[Status.COMPLETE], given)
    if payment.status in TURNS:
        yield Turn(TURNS[payment.status], payment.settled_at)
    else:
        yield Turn(AWAITED)
