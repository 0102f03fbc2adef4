"""Payments as the platform keeps them. Points move in complete() and pay_back(), nowhere else.

create -> cancel            the buyer cancelled, and the app said OK
create -> complete          the buyer bought, and the app said OK
complete -> pay_back        the points were given back

`now` is what the stage's clock shows; how long a question has been under way goes by the real one.
"""

import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from sqlalchemy import ColumnElement, ForeignKey, bindparam, func, literal_column, or_, select, true, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.sandbox import doors
from storefront.sandbox.devices import Device
from storefront.sandbox.happenings import Happening
from storefront.sandbox.mixi.atom import PointRequest
from storefront.sandbox.people import User
from storefront.sandbox.store import Base, reading, transaction
from storefront.sandbox.storefile import Moment
from storefront.sandbox.wirelog import Exchange

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
    stage_id: Mapped[str] = mapped_column(ForeignKey("stage.id", ondelete="CASCADE"), index=True)
    owner_id: Mapped[str] = mapped_column(index=True)
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
    # What weather clings to it, by name, with commas between; what the app said last had waited so long;
    # and what it did to its buyer's points in all.
    weather: Mapped[str] = mapped_column(default="")
    queued_seconds: Mapped[int] = mapped_column(default=0)
    points_moved: Mapped[int] = mapped_column(default=0)

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


# In the order in which they were made; by a stage's clock, which one can turn, that is not always so.
MADE: ColumnElement[int] = literal_column("payment.rowid")


def create(user: User, request: PointRequest, is_test: bool, now: datetime, waits: Waits) -> Payment:
    """Keep a new payment. Nothing is taken yet."""
    payment = Payment(
        code="".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH)),
        token=secrets.token_urlsafe(24),
        stage_id=user.stage_id,
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
        return session.scalars(_BY_TOKEN, {"token": token}).one_or_none()


def recent(stage_id: str, number: int) -> Sequence[Payment]:
    """The newest payments of a stage."""
    with reading() as session:
        return session.scalars(_NEWEST, {"stage": stage_id, "number": number}).all()


def all_of(stage_id: str) -> Sequence[Payment]:
    """Every payment of a stage, oldest first."""
    mine = select(Payment).where(Payment.stage_id == stage_id).order_by(MADE)
    with reading() as session:
        return session.scalars(mine).all()


def enter(token: str, user: User, now: datetime, waits: Waits) -> None:
    """The app has just redirected this user to the interface: in the container, or straight.

    Of who lives on several stages nobody knows, until then, on which of them a payment was begun.
    """
    entered = {"screen": token, "owner": user.owner_id, "here": user.stage_id, "now": now}
    with transaction() as session:
        code = session.scalar(_ENTER, {**entered, "until": now + waits.interface})
        for moved in _MOVED if code and user.persona.is_everywhere else ():
            session.execute(moved, {"payment": code, "here": user.stage_id})


def renew(code: str, now: datetime, waits: Waits) -> None:
    """The buyer has taken a step: an open screen stays open for another while."""
    with transaction() as session:
        session.execute(_RENEW, {"payment": code, "now": now, "until": now + waits.interface})


def claim(
    payment: Payment,
    question: Question,
    now: datetime,
    waits: Waits,
    *,
    real: datetime,
    late: bool = False,
) -> bool:
    """Win the right to ask the app: once at a time, with enough free points, in an open screen or `late`."""
    idle = or_(Payment.asking_at.is_(None), Payment.asking_at <= real - waits.callback)
    in_time = true() if late else Payment.expires_at > now
    open_one = (Payment.code == payment.code, Payment.status == Status.CREATE, in_time, idle)
    with transaction() as session:
        if question is Question.BUY and payment.charged > _free(session, payment, real, waits):
            return False
        values = {"asking_at": real, "refused": None}
        won = session.execute(update(Payment).where(*open_one).values(values).returning(Payment.code))
        return won.first() is not None


def free(payment: Payment, waits: Waits, *, real: datetime) -> int:
    """The buyer's points that no other payment is just about to take."""
    with reading() as session:
        return _free(session, payment, real, waits)


def complete(payment: Payment, now: datetime) -> bool:
    """The app said OK to the purchase: the payment is complete and its points are taken, together.

    Whether this call did it.
    """
    with transaction() as session:
        if not _settle(session, payment, Status.CREATE, Status.COMPLETE, now, moved=-payment.charged):
            return False
        enough = (*_buyer(payment), User.balance >= payment.charged)
        taken = update(User).where(*enough).values(balance=User.balance - payment.charged)
        if session.execute(taken.returning(User.id)).first() is None:
            raise Overdrawn(payment.code)
    return True


def cancel(payment: Payment, now: datetime) -> bool:
    """The app said OK to the cancellation; whether this call did it."""
    with transaction() as session:
        return _settle(session, payment, Status.CREATE, Status.CANCEL, now)


def refuse(payment: Payment, question: Question, now: datetime, waits: Waits) -> None:
    """The app did not say OK: the payment stays as it was, and may be tried again for a while."""
    values = {"asking_at": None, "refused": int(question), "expires_at": now + waits.interface}
    still = (Payment.code == payment.code, Payment.status == Status.CREATE)
    with transaction() as session:
        session.execute(update(Payment).where(*still).values(values))


def release(payment: Payment) -> None:
    """The question is no longer under way; its screen is as open as it was."""
    still = (Payment.code == payment.code, Payment.status == Status.CREATE)
    with transaction() as session:
        session.execute(update(Payment).where(*still).values(asking_at=None))


def pay_back(payment: Payment, now: datetime) -> bool:
    """Give the points of a complete payment back; whether this call did."""
    with transaction() as session:
        if not _settle(session, payment, Status.COMPLETE, Status.PAY_BACK, now, moved=payment.charged):
            return False
        more = update(User).where(*_buyer(payment))
        session.execute(more.values(balance=User.balance + payment.charged))
    return True


def touch(payment: Payment, weather: str) -> None:
    """Weather of this name clings to the payment from now on."""
    with transaction() as session:
        kept = session.get_one(Payment, payment.code)
        kept.weather = ",".join(dict.fromkeys([*filter(None, kept.weather.split(",")), weather]))
        payment.weather = kept.weather


def expire(payment: Payment, now: datetime) -> None:
    """The time of its screen is up."""
    with transaction() as session:
        open_one = (Payment.code == payment.code, Payment.status == Status.CREATE)
        session.execute(update(Payment).where(*open_one).values(expires_at=now))


def is_asking(payment: Payment, waits: Waits, *, real: datetime) -> bool:
    """Whether the app is being asked about this payment."""
    return payment.asking_at is not None and payment.asking_at > real - waits.callback


def _buyer(payment: Payment) -> tuple[ColumnElement[bool], ...]:
    return User.owner_id == payment.owner_id, User.stage_id == payment.stage_id


def _settle(
    session: Session, payment: Payment, before: Status, after: Status, now: datetime, *, moved: int = 0
) -> bool:
    values = {"status": after, "updated_at": now, "asking_at": None, "refused": None}
    settled = (
        update(Payment)
        .where(Payment.code == payment.code, Payment.status == before)
        .values(**values, points_moved=Payment.points_moved + moved)
        .returning(Payment.code)
    )
    return session.execute(settled).first() is not None


def _free(session: Session, payment: Payment, real: datetime, waits: Waits) -> int:
    buyer = {"owner": payment.owner_id, "here": payment.stage_id, "payment": payment.code}
    free: int | None = session.scalar(_FREE, {**buyer, "since": real - waits.callback})
    return free or 0


# Put together once, since every purchase asks for them.
_BY_TOKEN = select(Payment).where(Payment.token == bindparam("token"))
_NEWEST = (
    select(Payment)
    .where(Payment.stage_id == bindparam("stage"))
    .order_by(MADE.desc())
    .limit(bindparam("number"))
)
_ENTER = (
    update(Payment)
    .where(
        Payment.token == bindparam("screen"),
        Payment.owner_id == bindparam("owner"),
        Payment.expires_at > bindparam("now"),
        or_(Payment.stage_id == bindparam("here"), Payment.entered.is_(False)),
    )
    .values(entered=True, expires_at=bindparam("until"), stage_id=bindparam("here"))
    .returning(Payment.code)
    .execution_options(synchronize_session=False)
)
_MOVED = [
    update(row)
    .where(row.point_code == bindparam("payment"), row.stage_id != bindparam("here"))
    .values(stage_id=bindparam("here"))
    .execution_options(synchronize_session=False)
    for row in (Happening, Exchange)
]
_RENEW = (
    update(Payment)
    .where(
        Payment.code == bindparam("payment"),
        Payment.status == Status.CREATE,
        Payment.expires_at > bindparam("now"),
    )
    .values(expires_at=bindparam("until"))
    .execution_options(synchronize_session=False)
)
_RESERVED = select(func.coalesce(func.sum(Payment.points), 0)).where(
    Payment.owner_id == bindparam("owner"),
    Payment.stage_id == bindparam("here"),
    Payment.code != bindparam("payment"),
    Payment.is_test.is_(False),
    Payment.asking_at > bindparam("since"),
)
_FREE = select(User.balance - _RESERVED.scalar_subquery()).where(
    User.owner_id == bindparam("owner"), User.stage_id == bindparam("here")
)
