"""Payments as the platform keeps them. Points move in complete() and pay_back(), nowhere else.

create -> cancel            the buyer cancelled, and the app said OK
create -> complete          the buyer bought, and the app said OK
complete -> pay_back        the points were given back
"""

import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from sqlalchemy import ForeignKey, func, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.sandbox import doors
from storefront.sandbox.devices import Device
from storefront.sandbox.mixi.atom import PointRequest
from storefront.sandbox.people import User
from storefront.sandbox.store import Base, reading, transaction
from storefront.sandbox.storefile import Moment

# As long as the codes in the source document; 40 would be allowed.
CODE_LENGTH = 20
CODE_LETTERS = string.ascii_letters + string.digits


class Status(StrEnum):
    """The platform's words for the state of a payment."""

    CREATE = "create"
    CANCEL = "cancel"
    COMPLETE = "complete"
    PAY_BACK = "pay_back"


class Question(IntEnum):
    """What a callback asks the app, and what the finish link tells it."""

    BUY = 10
    CANCEL = 20


@dataclass(frozen=True)
class Waits:
    """How long a screen stays open, and how long a question may be under way."""

    interface: timedelta
    callback: timedelta


class Overdrawn(Exception):
    """The buyer's points went elsewhere while the app was being asked."""


class Payment(Base):
    """One purchase of one item, from the SAP's request to its end."""

    __tablename__ = "payment"

    code: Mapped[str] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(unique=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey(User.owner_id))
    item_id: Mapped[str]
    item_name: Mapped[str]
    points: Mapped[int]
    callback_url: Mapped[str]
    finish_url: Mapped[str]
    is_test: Mapped[bool]
    # The one its buyer had opened the app on last; the API names none. Ours.
    device: Mapped[Device]
    status: Mapped[Status] = mapped_column(default=Status.CREATE)
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)
    # The payment screen: reached by the app's redirect or not, open until, question under way since.
    entered: Mapped[bool] = mapped_column(default=False)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    asking_at: Mapped[datetime | None] = mapped_column(Moment)
    # The question the app last answered with anything but OK.
    refused: Mapped[int | None]

    @property
    def charged(self) -> int:
        """The points this payment takes when it completes."""
        return 0 if self.is_test else self.points

    @property
    def request(self) -> PointRequest:
        """What the SAP asked for."""
        return PointRequest(
            self.item_id, self.item_name, self.points, self.callback_url, self.finish_url, self.is_test
        )


def create(user: User, request: PointRequest, is_test: bool, now: datetime, waits: Waits) -> Payment:
    """Keep a new payment. Nothing is taken yet."""
    payment = Payment(
        code="".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH)),
        token=secrets.token_urlsafe(24),
        owner_id=user.owner_id,
        device=user.device,
        item_id=request.item_id,
        item_name=request.item_name,
        points=request.points,
        callback_url=request.callback_url,
        finish_url=request.finish_url,
        is_test=is_test,
        created_at=now,
        updated_at=now,
        expires_at=now + waits.interface,
    )
    with transaction() as session:
        session.add(payment)
        doors.keep(session, payment.callback_url)
    return payment


def by_code(code: str) -> Payment | None:
    """The payment with this code."""
    with reading() as session:
        return session.get(Payment, code)


def by_token(token: str) -> Payment | None:
    """The payment behind this interface address."""
    with reading() as session:
        return session.scalars(select(Payment).where(Payment.token == token)).one_or_none()


def recent(number: int) -> Sequence[Payment]:
    """The newest payments."""
    newest = select(Payment).order_by(Payment.created_at.desc(), Payment.code).limit(number)
    with reading() as session:
        return session.scalars(newest).all()


def enter(token: str, owner_id: str, now: datetime, waits: Waits) -> None:
    """The app has just redirected this user to the interface: in the container, or straight."""
    mine = (Payment.token == token, Payment.owner_id == owner_id, Payment.expires_at > now)
    with transaction() as session:
        session.execute(update(Payment).where(*mine).values(entered=True, expires_at=now + waits.interface))


def renew(code: str, now: datetime, waits: Waits) -> None:
    """The buyer has taken a step: an open screen stays open for another while."""
    open_one = (Payment.code == code, Payment.status == Status.CREATE, Payment.expires_at > now)
    with transaction() as session:
        session.execute(update(Payment).where(*open_one).values(expires_at=now + waits.interface))


def claim(payment: Payment, question: Question, now: datetime, waits: Waits) -> bool:
    """Win the right to ask the app: once at a time, in an open screen, with enough free points."""
    idle = or_(Payment.asking_at.is_(None), Payment.asking_at <= now - waits.callback)
    open_one = (Payment.code == payment.code, Payment.status == Status.CREATE, Payment.expires_at > now, idle)
    with transaction() as session:
        if question is Question.BUY and payment.charged > _free(session, payment, now, waits):
            return False
        values = {"asking_at": now, "refused": None}
        won = session.execute(update(Payment).where(*open_one).values(values).returning(Payment.code))
        return won.first() is not None


def free(payment: Payment, now: datetime, waits: Waits) -> int:
    """The buyer's points that no other payment is just about to take."""
    with reading() as session:
        return _free(session, payment, now, waits)


def complete(payment: Payment, now: datetime) -> None:
    """The app said OK to the purchase: the payment is complete and its points are taken, together."""
    with transaction() as session:
        if not _settle(session, payment, Status.CREATE, Status.COMPLETE, now):
            return
        enough = (User.owner_id == payment.owner_id, User.balance >= payment.charged)
        taken = update(User).where(*enough).values(balance=User.balance - payment.charged)
        if session.execute(taken.returning(User.owner_id)).first() is None:
            raise Overdrawn(payment.code)


def cancel(payment: Payment, now: datetime) -> None:
    """The app said OK to the cancellation."""
    with transaction() as session:
        _settle(session, payment, Status.CREATE, Status.CANCEL, now)


def refuse(payment: Payment, question: Question, now: datetime, waits: Waits) -> None:
    """The app did not say OK: the payment stays as it was, and may be tried again for a while."""
    values = {"asking_at": None, "refused": int(question), "expires_at": now + waits.interface}
    still = (Payment.code == payment.code, Payment.status == Status.CREATE)
    with transaction() as session:
        session.execute(update(Payment).where(*still).values(values))


def pay_back(payment: Payment, now: datetime) -> None:
    """Give the points of a complete payment back."""
    with transaction() as session:
        if _settle(session, payment, Status.COMPLETE, Status.PAY_BACK, now):
            more = update(User).where(User.owner_id == payment.owner_id)
            session.execute(more.values(balance=User.balance + payment.charged))


def is_asking(payment: Payment, now: datetime, waits: Waits) -> bool:
    """Whether the app is being asked about this payment."""
    return payment.asking_at is not None and payment.asking_at > now - waits.callback


def _settle(session: Session, payment: Payment, before: Status, after: Status, now: datetime) -> bool:
    moved = (
        update(Payment)
        .where(Payment.code == payment.code, Payment.status == before)
        .values(status=after, updated_at=now, asking_at=None, refused=None)
        .returning(Payment.code)
    )
    return session.execute(moved).first() is not None


def _free(session: Session, payment: Payment, now: datetime, waits: Waits) -> int:
    balance = session.scalar(select(User.balance).where(User.owner_id == payment.owner_id)) or 0
    about_to_take = (
        Payment.owner_id == payment.owner_id,
        Payment.code != payment.code,
        Payment.is_test.is_(False),
        Payment.asking_at > now - waits.callback,
    )
    reserved = session.scalar(select(func.sum(Payment.points)).where(*about_to_take)) or 0
    return balance - int(reserved)
