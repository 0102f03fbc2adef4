"""Payments: begun by one tap, settled exactly once.

`start` makes a payment and says where its buyer goes. `settle` brings it to its final state when
mixi asks. Both may be called as often as the world likes.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NoReturn

import structlog
from sqlalchemy import ForeignKey, String, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from storefront import clock
from storefront.clock import Deadline
from storefront.db import Model, db, fresh, insert_once, transaction, upsert, words
from storefront.mixi.atom import CODE_LENGTH, PointEntry, PointRequest
from storefront.mixi.channel import Channel
from storefront.mixi.client import Refused, Unavailable
from storefront.mixi.signing import Malformed, Signed, is_opaque
from storefront.shop import inventory, ledger, visit
from storefront.shop.catalog import Item
from storefront.shop.customers import Customer
from storefront.shop.ledger import Kind
from storefront.shop.visit import Notice, Purchase

UNIT = "point"
OWNER_LENGTH = 64
LISTENS = 10  # seconds until mixi stops listening (seed: payment flow, step 5)
NOTICE_FOR = timedelta(minutes=10)
PATIENCE = 8.0  # seconds a second tap waits for the first: longer than a call, shorter than the container
GLANCE = 0.1  # seconds between two looks at what another request is doing

log = structlog.get_logger()


class Status(StrEnum):
    """mixi's words for a payment, and one of ours: `void`, when we said OK and mixi did not commit."""

    CREATE = "create"
    COMPLETE = "complete"
    CANCEL = "cancel"
    PAY_BACK = "pay_back"
    VOID = "void"


OUTCOMES = {"10": Status.COMPLETE, "20": Status.CANCEL}  # seed: callback parameters, status


class Payment(Model):
    """One purchase at mixi, with the item's name and price as sold."""

    __tablename__ = "payment"

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
    ok_at: Mapped[datetime | None]
    item: Mapped[Item] = relationship()


class Intent(Model):
    """One tap on a buy button: its token is spent here, and a second tap finds the first one's redirect."""

    __tablename__ = "intent"

    token: Mapped[str] = mapped_column(String(40), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    item_id: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime]
    failed_at: Mapped[datetime | None]
    reference: Mapped[str] = mapped_column(String(16))
    point_code: Mapped[str | None] = mapped_column(ForeignKey("payment.point_code"))
    redirect: Mapped[str | None] = mapped_column(String(2048))


class NotStarted(Exception):
    """No payment was made, so nothing was or will be charged; `reference` finds it in the log."""

    def __init__(self, reference: str) -> None:
        super().__init__(reference)
        self.reference = reference


class BeingPrepared(Exception):
    """The first tap of this form is still being worked on."""


class Spent(Exception):
    """This form has long made its payment; `point_code` names it."""

    def __init__(self, point_code: str) -> None:
        super().__init__(point_code)
        self.point_code = point_code


class UnknownPayment(Exception):
    """No payment of this buyer has this code."""


class Contradiction(Exception):
    """The payment is settled already, in another way."""


@dataclass(frozen=True)
class Tap:
    """A press of the buy button: who, what, for how much, and the token of the form."""

    customer_id: int
    owner_id: str
    item_id: str
    item_name: str
    points: int
    language: str
    token: str


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


def start(mixi: Channel, tap: Tap, now: datetime) -> str:
    """Make one payment for one tap, and return where its buyer goes.

    Raises NotStarted, BeingPrepared or Spent; none of them has charged anything.
    """
    reference = secrets.token_hex(4).upper()
    if not _begin(mixi, tap, reference, now):
        return _same_tap(mixi, tap, now)
    try:
        entry = mixi.client.create(tap.owner_id, _request(mixi, tap))
    except (Refused, Unavailable) as failure:
        _fail(tap, reference, failure)
    if not _store(mixi, tap, entry):
        _fail(tap, reference, Unavailable("the answer names a payment we have already"))
    log.info("payment started", point_code=entry.code, item=tap.item_id, points=tap.points)
    return str(entry.interface_url)


def settle(callback: Callback, deadline: Deadline, now: datetime) -> None:
    """Bring one payment to its final state, exactly once.

    Call it as often as you like, from as many processes as you like. When it returns, the outcome
    is durable and OK may be said; when it raises, nothing has changed.
    """
    with transaction(deadline) as session:
        claimed = _claim(session, callback, now)
        if claimed is None:
            _repeat(session, callback, now)
        elif claimed.status is Status.COMPLETE:
            _deliver(session, claimed, now)


def deadline_of(signed: Signed, arrived: datetime, clock_skew: int) -> Deadline:
    """When mixi stops listening: time spent on the way to us or in a queue counts, too."""
    since_signed = arrived.timestamp() - signed.timestamp
    return Deadline.after(min(LISTENS, LISTENS + clock_skew - since_signed))


def find(customer_id: int, point_code: str) -> Payment | None:
    """A customer's own payment."""
    if not is_opaque(point_code, CODE_LENGTH):
        return None
    return db.session.scalar(select(Payment).filter_by(customer_id=customer_id, point_code=point_code))


def purchases(customer: Customer, page: int) -> Sequence[Purchase]:
    """One page of a customer's payments, newest first."""
    mine = select(Payment).filter_by(customer_id=customer.id).order_by(Payment.created_at.desc())
    shown = mine.limit(visit.PAGE).offset(page * visit.PAGE)
    return [_purchase(payment) for payment in db.session.scalars(shown)]


def notices(customer: Customer, now: datetime) -> Sequence[Notice]:
    """The taps that failed lately, unless a payment has been made since."""
    since = db.session.scalar(
        select(Payment.created_at)
        .filter_by(customer_id=customer.id)
        .order_by(Payment.created_at.desc())
        .limit(1)
    )
    horizon = max(now - NOTICE_FOR, since) if since else now - NOTICE_FOR
    failed = (
        select(Intent.reference)
        .where(Intent.customer_id == customer.id, Intent.failed_at > horizon)
        .order_by(Intent.failed_at.desc())
        .limit(1)
    )
    return [Notice(reference) for reference in db.session.scalars(failed)]


def _begin(mixi: Channel, tap: Tap, reference: str, now: datetime) -> bool:
    """Spend the form's token, or take up a failed or abandoned try; false if another request has it."""
    abandoned = now - timedelta(seconds=mixi.client.patience.total + LISTENS)
    values = {"started_at": now, "failed_at": None, "reference": reference}
    with transaction() as session:
        spend = upsert(session, Intent).values(
            token=tap.token, customer_id=tap.customer_id, item_id=tap.item_id, **values
        )
        again = Intent.redirect.is_(None) & (Intent.failed_at.is_not(None) | (Intent.started_at < abandoned))
        statement = spend.on_conflict_do_update(index_elements=["token"], set_=values, where=again)
        return bool(session.scalar(statement.returning(Intent.token)))


def _same_tap(mixi: Channel, tap: Tap, now: datetime) -> str:
    """The redirect of the request that came first, as soon as there is one."""
    patience = Deadline.after(PATIENCE)
    while patience.left() > 0:
        intent = fresh().get_one(Intent, tap.token)
        if intent.failed_at:
            raise NotStarted(intent.reference)
        if intent.redirect and intent.point_code:
            if now - intent.started_at > timedelta(seconds=mixi.interface_seconds):
                raise Spent(intent.point_code)
            return intent.redirect
        fresh()
        clock.sleep(GLANCE)
    raise BeingPrepared


def _request(mixi: Channel, tap: Tap) -> PointRequest:
    return PointRequest(
        item_id=tap.item_id,
        item_name=tap.item_name,
        points=tap.points,
        callback_url=mixi.callback_url,
        finish_url=mixi.finish_url,
        is_test=tap.owner_id in mixi.test_owners,
    )


def _fail(tap: Tap, reference: str, failure: Exception) -> NoReturn:
    """Free the buyer to try again, and remember it for the next page."""
    with transaction() as session:
        session.execute(update(Intent).filter_by(token=tap.token).values(failed_at=clock.now()))
    log.warning("payment not started", reference=reference, item=tap.item_id, reason=str(failure))
    raise NotStarted(reference) from failure


def _store(mixi: Channel, tap: Tap, entry: PointEntry) -> bool:
    """Keep the payment and the redirect together; false if the code is not new."""
    with transaction() as session:
        made = insert_once(
            session,
            Payment,
            point_code=entry.code,
            customer_id=tap.customer_id,
            owner_id=tap.owner_id,
            item_id=tap.item_id,
            item_name=tap.item_name,
            points=tap.points,
            is_test=tap.owner_id in mixi.test_owners,
            language=tap.language,
            status=Status.CREATE,
            created_at=clock.now(),
        )
        if made:
            kept = {"point_code": entry.code, "redirect": entry.interface_url}
            session.execute(update(Intent).filter_by(token=tap.token).values(kept))
        return made


def _claim(session: Session, callback: Callback, now: datetime) -> Payment | None:
    """Win the right to settle: of any number of simultaneous callbacks, one gets the payment."""
    return session.scalar(
        update(Payment)
        .filter_by(point_code=callback.point_code, owner_id=callback.owner_id, status=Status.CREATE)
        .values(status=callback.outcome, settled_at=now, ok_at=now)
        .returning(Payment)
    )


def _repeat(session: Session, callback: Callback, now: datetime) -> None:
    """Say again what was said before: only the moment of our last OK moves."""
    named = {"point_code": callback.point_code, "owner_id": callback.owner_id}
    said = update(Payment).filter_by(**named, status=callback.outcome).values(ok_at=now)
    if session.scalar(said.returning(Payment.point_code)):
        return
    if session.scalar(select(Payment.point_code).filter_by(**named)):
        raise Contradiction
    raise UnknownPayment


def _deliver(session: Session, payment: Payment, now: datetime) -> None:
    """Goods and book, in the claim's transaction."""
    key = f"mixi:{payment.point_code}"
    inventory.grant(session, payment.customer_id, payment.item_id, key, now)
    kind, points = (Kind.TEST, 0) if payment.is_test else (Kind.SALE, payment.points)
    ledger.record(session, payment.customer_id, kind, points, UNIT, key, now)


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
    )


def _check_moment(text: str) -> None:
    try:
        datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise Malformed("updated is not a UTC moment such as 2009-09-03T06:34:29Z") from None
