"""Taps on a buy button: one tap, one payment.

`start` makes a payment and says where its buyer goes. A tap is kept before the API is called, so a
second one finds the first, and a failed one is remembered.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

import structlog
from flask_babel import lazy_gettext as _
from sqlalchemy import ForeignKey, String, func, select, update
from sqlalchemy.orm import Mapped, mapped_column

from storefront import clock, metrics
from storefront.clock import Deadline
from storefront.db import Model, db, fresh, transaction, upsert
from storefront.mixi import callback_word, payments
from storefront.mixi.atom import PointEntry, PointRequest
from storefront.mixi.channel import NAME, Channel
from storefront.mixi.client import Crowded, Refused, Unavailable
from storefront.mixi.payments import Payment, Wanted
from storefront.shop import turns
from storefront.shop.catalog import Item
from storefront.shop.counter import Message, Step
from storefront.shop.customers import Customer

MESSAGE_FOR = timedelta(minutes=10)
ABANDONED = timedelta(seconds=20)  # a tap that old, and still without an answer, has lost its worker
SECOND_TAP_SECONDS = 8.0  # it waits for the first: longer than a call, shorter than the container
GLANCE = 0.1  # seconds between two looks at what another request is doing
MINUTE = timedelta(minutes=1)
CALL = "mixi.create"
REFUSED = "R"  # begins the reference of a tap that mixi refused, which a later one would be, too
NOT_USED = _("No points were used.")
START_REFUSED = _("The start of a payment failed: mixi refused it. No points were used.")
START_UNANSWERED = _("The start of a payment failed: mixi did not answer. No points were used.")

log = structlog.get_logger()


class Intent(Model):
    """One tap: the form's token is spent here, and a second tap finds the first one's redirect."""

    __tablename__ = "intent"

    token: Mapped[str] = mapped_column(String(40), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    item_id: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime]
    failed_at: Mapped[datetime | None]
    reference: Mapped[str] = mapped_column(String(16), index=True)
    word: Mapped[str | None] = mapped_column(String(callback_word.LENGTH))
    point_code: Mapped[str | None] = mapped_column(ForeignKey("payment.point_code"))
    redirect: Mapped[str | None] = mapped_column(String(2048))


class NotStarted(Exception):
    """No payment was made, so nothing was or will be charged.

    `is_final` if trying again in a while will not help either.
    """

    def __init__(self, reference: str) -> None:
        super().__init__(reference)
        self.reference, self.is_final = reference, _is_final(reference)


class BeingPrepared(Exception):
    """The first tap of this form is still being worked on."""


class Spent(Exception):
    """This form has long made its payment."""

    def __init__(self, payment: Payment) -> None:
        super().__init__(payment.point_code)
        self.payment = payment


@dataclass(frozen=True)
class Tap:
    """A press of the buy button: the token of its form, and the payment that is wanted."""

    token: str
    wanted: Wanted


def start(mixi: Channel, tap: Tap, deadline: Deadline, now: datetime) -> str:
    """Make one payment for one tap, and return where its buyer goes.

    Raises NotStarted, BeingPrepared, Spent or turns.TooMany; none of them has charged anything. `deadline`
    is when the buyer must have an answer.
    """
    wanted, reference, word = tap.wanted, secrets.token_hex(4).upper(), callback_word.new()
    if not _begin(mixi, tap, reference, word, now):
        return _same_tap(mixi, tap, now)
    request = PointRequest(wanted, mixi.callback_address(word), mixi.finish_url)
    try:
        entry = mixi.client.create(wanted.owner_id, request, deadline)
    except (Refused, Unavailable) as failure:
        metrics.count_call("create", type(failure).__name__.lower())
        _fail(tap, reference, failure)
    metrics.count_call("create", "answered")
    if not _keep(tap, entry, word):
        _fail(tap, reference, Unavailable("the answer names a payment we have already"))
    log.info("payment started", point_code=entry.code, item=wanted.item_id, points=wanted.points)
    return str(entry.interface_url)


def messages(customer: Customer, now: datetime) -> Sequence[Message]:
    """The last tap that failed lately, unless a payment has been made since."""
    since = db.session.scalar(select(func.max(Payment.created_at)).filter_by(customer_id=customer.id))
    horizon = max(now - MESSAGE_FOR, since) if since else now - MESSAGE_FOR
    failed = (
        select(Intent.reference, Item)
        .join(Item, Item.id == Intent.item_id)
        .where(Intent.customer_id == customer.id, Intent.failed_at > horizon)
        .order_by(Intent.failed_at.desc())
        .limit(1)
    )
    return [_message(reference, item) for reference, item in db.session.execute(failed)]


def whose(reference: str) -> int | None:
    """The customer whose tap failed under this reference."""
    found = select(Intent.customer_id).where(Intent.reference == reference, Intent.failed_at.is_not(None))
    return db.session.scalar(found.limit(1))


def steps(customer_id: int, most: int) -> Sequence[Step]:
    """The newest of a customer's taps that failed."""
    failed = select(Intent).where(Intent.customer_id == customer_id, Intent.failed_at.is_not(None))
    return [
        Step(
            at=tap.failed_at or tap.started_at,
            words=START_REFUSED if tap.reference.startswith(REFUSED) else START_UNANSWERED,
            code=tap.reference,
            item_id=tap.item_id,
            channel=NAME,
        )
        for tap in db.session.scalars(failed.order_by(Intent.failed_at.desc()).limit(most))
    ]


def _begin(mixi: Channel, tap: Tap, reference: str, word: str, now: datetime) -> bool:
    """Spend the form's token, or take up a failed or abandoned try; false if another request has it."""
    values = {"started_at": now, "failed_at": None, "reference": reference, "word": word}
    with transaction() as session:
        spend = upsert(session, Intent).values(
            token=tap.token, customer_id=tap.wanted.customer_id, item_id=tap.wanted.item_id, **values
        )
        lost = Intent.started_at < now - ABANDONED
        again = Intent.redirect.is_(None) & (Intent.failed_at.is_not(None) | lost)
        statement = spend.on_conflict_do_update(index_elements=["token"], set_=values, where=again)
        begun = session.scalar(statement.returning(Intent.token)) is not None
        if begun:  # the API will be called
            turns.take(session, tap.wanted.customer_id, CALL, mixi.settings.mixi_taps_per_minute, MINUTE, now)
        return begun


def _same_tap(mixi: Channel, tap: Tap, now: datetime) -> str:
    """The redirect of the request that came first, as soon as there is one."""
    deadline = Deadline.after(SECOND_TAP_SECONDS)
    redirect = _redirect(mixi, tap, now)
    if redirect:
        return redirect
    try:
        with mixi.gate.place():  # it waits for mixi, too, if by another's call
            while deadline.left() > 0:
                clock.sleep(GLANCE)
                redirect = _redirect(mixi, tap, now)
                if redirect:
                    return redirect
    except Crowded:
        metrics.count_call("create", "crowded")
    raise BeingPrepared


def _redirect(mixi: Channel, tap: Tap, now: datetime) -> str | None:
    """Where a tap leads that another request has begun, if that is known yet."""
    intent = fresh().get_one(Intent, tap.token)
    if intent.failed_at:
        raise NotStarted(intent.reference)
    if intent.redirect and intent.point_code:
        if now - intent.started_at > timedelta(seconds=mixi.settings.mixi_interface_seconds):
            raise Spent(fresh().get_one(Payment, intent.point_code))
        return intent.redirect
    fresh()  # waits without a snapshot of its own
    return None


def _fail(tap: Tap, reference: str, failure: Refused | Unavailable) -> NoReturn:
    """Free the buyer to try again, and remember it for the next page."""
    if isinstance(failure, Refused):
        reference = REFUSED + reference
    failed = {"failed_at": clock.now(), "reference": reference}
    with transaction() as session:
        session.execute(update(Intent).filter_by(token=tap.token).values(failed))
    log.warning(
        "payment not started",
        reference=reference,
        item=tap.wanted.item_id,
        reason=str(failure),
        whose=failure.whose,
    )
    raise NotStarted(reference) from failure


def _message(reference: str, item: Item) -> Message:
    return Message(NOT_USED, item.id, item.names, reference, _is_final(reference))


def _is_final(reference: str) -> bool:
    return reference.startswith(REFUSED)


def _keep(tap: Tap, entry: PointEntry, word: str) -> bool:
    """Keep the payment and the redirect together; false if the code is not new."""
    with transaction() as session:
        new = payments.keep(session, tap.wanted, entry.code, word, clock.now())
        if new:
            kept = {"point_code": entry.code, "redirect": entry.interface_url}
            session.execute(update(Intent).filter_by(token=tap.token).values(kept))
        return new
