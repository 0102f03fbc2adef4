"""Contracts: one install's agreement each, with the amounts as they were at the install."""

import secrets
from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, exists, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.sandbox.colorme.charges import PlanCharge
from storefront.sandbox.colorme.reckoning import Form, Period, Terms, period_at, trial
from storefront.sandbox.colorme.shops import Shop
from storefront.sandbox.colorme.store import Base, reading
from storefront.sandbox.language import N_
from storefront.sandbox.storefile import Moment

# Digits and capitals, without those that are taken for one another.
LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
CODE_LENGTH = 8


class State(StrEnum):
    INSTALLING = "installing"  # the app has not answered yet
    STANDING = "standing"
    ENDED = "ended"


class Reason(StrEnum):
    """Why a contract ended, as the hook says it; the app's own removal is told by no hook."""

    OWNER = "by_shop_owner"
    UNPAID = "by_unpaid"
    APP = "by_app"


REASONS = {
    Reason.OWNER: N_("by the owner"),
    Reason.UNPAID: N_("unpaid"),
    Reason.APP: N_("by the app"),
}


class Contract(Base):
    """One install."""

    __tablename__ = "contract"

    id: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey(Shop.account), index=True)
    plan_id: Mapped[str] = mapped_column(ForeignKey(PlanCharge.id))
    form: Mapped[Form]
    price: Mapped[int]
    monthly: Mapped[int]
    initial: Mapped[int]
    reading: Mapped[str]
    is_test: Mapped[bool]
    installed_at: Mapped[datetime] = mapped_column(Moment)
    installed_on: Mapped[date]
    charged_from: Mapped[date]
    trial_days: Mapped[int] = mapped_column(default=0)
    state: Mapped[State] = mapped_column(default=State.INSTALLING)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
    ended_on: Mapped[date | None]
    reason: Mapped[Reason | None]
    # Only after the uninstall of a plan with usage, and not in the trial.
    usage_token: Mapped[str | None] = mapped_column(unique=True)
    closing_on: Mapped[date | None]

    # The database itself refuses a second install of a shop while one stands.
    __table_args__ = (Index("one_install", account, unique=True, sqlite_where=ended_at.is_(None)),)

    @property
    def terms(self) -> Terms:
        return Terms(self.form, self.charged_from, self.price, self.monthly, self.initial, self.reading)

    @property
    def trial(self) -> Period | None:
        return trial(self.installed_on, self.trial_days) if self.trial_days else None

    def in_trial(self, day: date) -> bool:
        """Whether nothing is charged yet; the install day before day one counts, too."""
        return bool(self.trial_days) and day < self.charged_from

    def may_be_told(self, day: date) -> bool:
        """Whether the app may still tell usage of it, though it has ended."""
        return bool(self.usage_token and self.closing_on and day <= self.closing_on)

    def period(self, day: date) -> Period | None:
        """The period in force on this day; of an ended contract never one after its last."""
        return period_at(self.terms, min(day, self.ended_on) if self.ended_on else day)


def code(length: int = CODE_LENGTH) -> str:
    """A new id, as the store writes them."""
    return "".join(secrets.choice(LETTERS) for _ in range(length))


def find(contract_id: str) -> Contract | None:
    with reading() as session:
        return session.get(Contract, contract_id)


def of(account: str) -> Contract | None:
    """What is installed in this shop."""
    standing = (Contract.account == account, Contract.state == State.STANDING)
    with reading() as session:
        return session.scalars(select(Contract).where(*standing)).one_or_none()


def is_begun(account: str) -> bool:
    """Whether the app is installed in this shop, or about to be."""
    not_over = exists().where(Contract.account == account, Contract.ended_at.is_(None))
    with reading() as session:
        return bool(session.scalar(select(not_over)))


def all_of(account: str) -> Sequence[Contract]:
    """Whatever was ever installed in this shop, newest first."""
    chosen = select(Contract).where(Contract.account == account, Contract.state != State.INSTALLING)
    with reading() as session:
        return session.scalars(chosen.order_by(Contract.installed_at.desc(), Contract.id)).all()


def on_stage(session: Session | None = None) -> Sequence[Contract]:
    """Those of shops that can be played, ended ones, too."""
    chosen = (
        select(Contract)
        .join(Shop, Shop.account == Contract.account)
        .where(Shop.is_gone.is_(False), Contract.state != State.INSTALLING)
        .order_by(Contract.installed_at, Contract.id)
    )
    if session:
        return session.scalars(chosen).all()
    with reading() as own:
        return own.scalars(chosen).all()


def everything() -> Sequence[Contract]:
    """All, also of shops of before."""
    with reading() as session:
        return session.scalars(select(Contract).where(Contract.state != State.INSTALLING)).all()
