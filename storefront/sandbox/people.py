"""The simulated users: what they own, and who of them this browser plays, on which device."""

from collections.abc import Sequence
from datetime import datetime

from flask import session as browser
from sqlalchemy import CheckConstraint, String, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.sandbox.cast import BY_OWNER, CAST, Persona
from storefront.sandbox.devices import Device
from storefront.sandbox.store import Base, reading, transaction
from storefront.sandbox.storefile import Moment


class User(Base):
    """A member of the cast and the points it has now."""

    __tablename__ = "user"
    __table_args__ = (CheckConstraint("balance >= 0"),)

    owner_id: Mapped[str] = mapped_column(String(13), primary_key=True)
    balance: Mapped[int]
    topped_up: Mapped[int] = mapped_column(default=0)
    added_at: Mapped[datetime | None] = mapped_column(Moment)
    removed_at: Mapped[datetime | None] = mapped_column(Moment)
    # When they last were in the app, as far as the platform sees it: its pages, its start, payment screens.
    used_at: Mapped[datetime | None] = mapped_column(Moment)
    # Where they last opened the app.
    device: Mapped[Device] = mapped_column(default=Device.MOBILE)

    @property
    def persona(self) -> Persona:
        return BY_OWNER[self.owner_id]

    @property
    def has_app(self) -> bool:
        """Whether the app is theirs; without it nothing about them is told."""
        return self.added_at is not None

    @property
    def change(self) -> int:
        """Points won or lost since the start."""
        return self.balance - self.persona.points


def invite(session: Session) -> None:
    """Fill a new store with the cast."""
    session.add_all(User(owner_id=persona.owner_id, balance=persona.points) for persona in CAST)


def everyone() -> Sequence[User]:
    """The cast, in the order of the programme."""
    with reading() as session:
        users = {user.owner_id: user for user in session.scalars(select(User))}
    return [users[persona.owner_id] for persona in CAST]


def find(owner_id: str) -> User | None:
    """The user with this id, if there is one."""
    with reading() as session:
        return session.get(User, owner_id)


def pick_up(persona: Persona, device: Device) -> None:
    """From now on this browser is that device of that persona."""
    browser["owner"], browser["device"] = persona.owner_id, device.value
    with transaction() as session:
        session.execute(update(User).where(User.owner_id == persona.owner_id).values(device=device))


def visitor() -> User | None:
    """Whoever this browser plays."""
    return find(browser.get("owner", ""))


def hand() -> Device:
    """The device that this browser plays."""
    device = browser.get("device")
    return Device(device) if device in list(Device) else Device.MOBILE


def add_app(session: Session, owner_id: str, now: datetime) -> bool:
    """From now on this user has the app; False if they had it."""
    without = update(User).where(User.owner_id == owner_id, User.added_at.is_(None))
    values = {"added_at": now, "removed_at": None, "used_at": now}
    added = session.execute(without.values(values).returning(User.owner_id))
    return added.first() is not None


def use(owner_id: str, now: datetime) -> None:
    """This user is in the app."""
    with transaction() as session:
        session.execute(update(User).where(User.owner_id == owner_id).values(used_at=now))


def remove_app(session: Session, owner_id: str, now: datetime) -> bool:
    """From now on this user does not have the app; False if they had not."""
    having = update(User).where(User.owner_id == owner_id, User.added_at.is_not(None))
    removed = session.execute(having.values(added_at=None, removed_at=now).returning(User.owner_id))
    return removed.first() is not None


def top_up(owner_id: str, points: int) -> None:
    """Add points, as if they had been paid for."""
    with transaction() as session:
        more = {"balance": User.balance + points, "topped_up": User.topped_up + points}
        session.execute(update(User).where(User.owner_id == owner_id).values(more))


def reset() -> None:
    """Give everyone the points they started with."""
    with transaction() as session:
        for persona in CAST:
            again = {"balance": persona.points, "topped_up": 0}
            session.execute(update(User).where(User.owner_id == persona.owner_id).values(again))
