"""Shop owners: their points, how these are debited, and every point that came or went."""

import secrets
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ForeignKey, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.sandbox.colorme.cast import BY_KEY, CAST, Debit, Part
from storefront.sandbox.colorme.store import Base, reading, transaction
from storefront.sandbox.language import N_
from storefront.sandbox.storefile import Moment

BOUGHT, PAID_IN = N_("Points bought by card"), N_("Points paid in")
LENGTH = 10  # of an account
# The test shop has an account of this range at every beginning, so that an app can be told beforehand.
TEST_RANGE = "PA999"


class Shop(Base):
    """One shop, by its account id."""

    __tablename__ = "shop"

    account: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str]  # of its part in the cast
    points: Mapped[int]
    debit: Mapped[Debit]
    is_test: Mapped[bool]
    # Once per app; only an install that has begun with a trial uses it up.
    trial_used: Mapped[bool]
    # A shop of before the calendar began again has left the stage.
    is_gone: Mapped[bool] = mapped_column(default=False)
    closed_at: Mapped[datetime | None] = mapped_column(Moment)

    @property
    def part(self) -> Part:
        return BY_KEY[self.key]

    @property
    def mail(self) -> str:
        return f"{self.key}@example.com"


class Movement(Base):
    """Points that came or went."""

    __tablename__ = "movement"

    id: Mapped[int] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey(Shop.account), index=True)
    at: Mapped[datetime] = mapped_column(Moment)
    points: Mapped[int]
    balance: Mapped[int]
    text: Mapped[str]


def open_all(session: Session) -> None:
    """New shops, with new accounts; those of before are gone."""
    session.execute(update(Shop).values(is_gone=True))
    taken = set(session.scalars(select(Shop.account)))
    for part in CAST:
        session.add(
            Shop(
                account=_account(taken, is_test=part.is_test),
                key=part.key,
                points=part.points,
                debit=part.debit,
                is_test=part.is_test,
                trial_used=part.trial_used,
            )
        )


def on_stage() -> Sequence[Shop]:
    """Those that can be played, in the order of the cast."""
    with reading() as session:
        shops = session.scalars(select(Shop).where(Shop.is_gone.is_(False))).all()
    return sorted(shops, key=lambda shop: CAST.index(shop.part))


def find(account: str) -> Shop | None:
    with reading() as session:
        return session.get(Shop, account)


def movements(account: str, count: int) -> Sequence[Movement]:
    """The newest movements of its points."""
    chosen = select(Movement).where(Movement.account == account).order_by(Movement.id.desc()).limit(count)
    with reading() as session:
        return session.scalars(chosen).all()


def take(session: Session, account: str, points: int, text: str, now: datetime, *, buys: bool) -> bool:
    """Take points, if they are there; a card that works buys what is lacking where it may."""
    shop = session.get_one(Shop, account)
    lacking = points - shop.points
    if lacking > 0 and not (buys and shop.debit is Debit.CARD):
        return False
    if lacking > 0:
        give(session, account, lacking, BOUGHT, now)
    give(session, account, -points, text, now)
    return True


def give(session: Session, account: str, points: int, text: str, now: datetime) -> None:
    """Points come; or go, if they are fewer than none."""
    shop = session.get_one(Shop, account)
    shop.points += points
    session.add(Movement(account=account, at=now, points=points, balance=shop.points, text=text))
    session.flush()


def charge_up(account: str, points: int, now: datetime) -> None:
    """The owner pays points in."""
    with transaction() as session:
        give(session, account, points, PAID_IN, now)


def set_debit(account: str, debit: Debit) -> None:
    """The owner sets up how points are debited."""
    with transaction() as session:
        session.execute(update(Shop).where(Shop.account == account).values(debit=debit))


def _account(taken: set[str], *, is_test: bool) -> str:
    """An account that nobody has or had."""
    begins = TEST_RANGE if is_test else "PA"
    digits = LENGTH - len(begins)
    while True:
        account = f"{begins}{secrets.randbelow(10**digits):0{digits}}"
        if account not in taken and account.startswith(TEST_RANGE) is is_test:
            taken.add(account)
            return account
