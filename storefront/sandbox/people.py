"""The simulated users: what they own on their stage, and who of them this browser plays, on which device."""

import secrets
import string
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from flask import session as browser
from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    String,
    UniqueConstraint,
    bindparam,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.sandbox.cast import BY_KEY, CAST, Persona
from storefront.sandbox.devices import Device
from storefront.sandbox.store import Base, reading, transaction
from storefront.sandbox.storefile import Moment

FIRST_STAGE = "first"
# In the browser's session.
PLAYED, OWNER, DEVICE = "stage", "owner", "device"

# As the platform's own; with these letters in front, so that a log shows whose they are.
ID_LENGTH = 13
ID_PREFIX = "mo3"
ID_LETTERS = string.ascii_lowercase + string.digits


class User(Base):
    """A member of a stage's cast and the points it has now."""

    __tablename__ = "user"
    __table_args__ = (CheckConstraint("balance >= 0"), UniqueConstraint("stage_id", "persona_key"))

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[str] = mapped_column(String(ID_LENGTH), index=True)
    stage_id: Mapped[str] = mapped_column(ForeignKey("stage.id", ondelete="CASCADE"))
    persona_key: Mapped[str]
    balance: Mapped[int]
    # Points at the start, and what was obtained since. The books count both.
    given: Mapped[int]
    topped_up: Mapped[int] = mapped_column(default=0)
    added_at: Mapped[datetime | None] = mapped_column(Moment)
    removed_at: Mapped[datetime | None] = mapped_column(Moment)
    # When they last were in the app, as far as the platform sees it: its pages, its start, payment screens.
    used_at: Mapped[datetime | None] = mapped_column(Moment)
    # Where they last opened the app, and when, by the real clock.
    device: Mapped[Device] = mapped_column(default=Device.MOBILE)
    opened_at: Mapped[datetime | None] = mapped_column(Moment)

    @property
    def persona(self) -> Persona:
        return BY_KEY[self.persona_key]

    @property
    def has_app(self) -> bool:
        """Whether the app is theirs; without it nothing about them is told."""
        return self.added_at is not None

    @property
    def change(self) -> int:
        """Points won or lost since the start."""
        return self.balance - self.given


SECOND = timedelta(seconds=1)
# Who lives on several stages belongs to the one where they opened the app last.
LAST_OPENED = (User.opened_at.desc().nulls_last(), User.id)
# Put together once, since every request asks for one of them.
_BY_ID = select(User).where(User.owner_id == bindparam("owner")).order_by(*LAST_OPENED).limit(1)
_ON_STAGE = _BY_ID.where(User.stage_id == bindparam("stage"))
_CAST = select(User).where(User.stage_id == bindparam("stage"))
_WHO_PLAYS = _CAST.where(User.persona_key == bindparam("persona"))
_THE_USER = update(User).where(User.id == bindparam("user")).execution_options(synchronize_session=False)
_PICK_UP = _THE_USER.values(device=bindparam("in_hand"), opened_at=bindparam("now"))
_USE = _THE_USER.values(used_at=bindparam("now"))


def invite(session: Session, stage_id: str, points: Mapping[str, int]) -> None:
    """Give a new stage its cast, with ids of their own, and with these points or what is usual."""
    for persona in CAST:
        start = points.get(persona.key, persona.points)
        owner_id = _owner_id(persona, stage_id)
        session.add(
            User(owner_id=owner_id, stage_id=stage_id, persona_key=persona.key, balance=start, given=start)
        )


def everyone(stage_id: str) -> Sequence[User]:
    """The cast of a stage, in the order of the programme."""
    with reading() as session:
        users = {user.persona_key: user for user in session.scalars(_CAST, {"stage": stage_id})}
    return [users[persona.key] for persona in CAST]


def playing(stage_id: str, persona: Persona) -> User:
    """Who plays this persona on a stage."""
    with reading() as session:
        return session.scalars(_WHO_PLAYS, {"stage": stage_id, "persona": persona.key}).one()


def find(owner_id: str, stage_id: str | None = None) -> User | None:
    """The user with this id, if there is one: on this stage, or where they opened the app last."""
    chosen = _BY_ID if stage_id is None else _ON_STAGE
    with reading() as session:
        return session.scalars(chosen, {"owner": owner_id, "stage": stage_id}).one_or_none()


def pick_up(user: User, device: Device, now: datetime) -> None:
    """From now on this browser is that device of that user. `now` is the real clock's."""
    browser[OWNER], browser[DEVICE] = user.owner_id, device.value
    with transaction() as session:
        session.execute(_PICK_UP, {"user": user.id, "in_hand": device, "now": now})


def put_down() -> None:
    """From now on nobody is in this browser's hand."""
    browser.pop(OWNER, None)
    browser.pop(DEVICE, None)


def stage_played() -> str:
    """The id of the stage that this browser plays on, or of the first."""
    return str(browser.get(PLAYED, FIRST_STAGE))


def visitor() -> User | None:
    """Whoever this browser plays."""
    return find(browser.get(OWNER, ""), stage_played())


def hand() -> Device:
    """The device that this browser plays."""
    device = browser.get(DEVICE)
    return Device(device) if device in list(Device) else Device.MOBILE


def add_app(session: Session, user: User, now: datetime) -> bool:
    """From now on this user has the app; False if they had it."""
    without = update(User).where(User.id == user.id, User.added_at.is_(None))
    values = {"added_at": now, "removed_at": None, "used_at": now}
    added = session.execute(without.values(values).returning(User.id))
    return added.first() is not None


def use(user: User, now: datetime) -> None:
    """This user is in the app; so that is written down, not more than once a second."""
    if user.used_at and timedelta(0) <= now - user.used_at < SECOND:
        return
    with transaction() as session:
        session.execute(_USE, {"user": user.id, "now": now})


def remove_app(session: Session, user: User, now: datetime) -> bool:
    """From now on this user does not have the app; False if they had not."""
    having = update(User).where(User.id == user.id, User.added_at.is_not(None))
    removed = session.execute(having.values(added_at=None, removed_at=now).returning(User.id))
    return removed.first() is not None


def give(user: User, points: int) -> None:
    """Let somebody of a stage on which nothing has happened yet start with so many points."""
    with transaction() as session:
        untouched = (User.id == user.id, User.balance == User.given, User.topped_up == 0)
        session.execute(update(User).where(*untouched).values(balance=points, given=points))


def top_up(user: User, points: int) -> None:
    """Add points, as if they had been paid for."""
    with transaction() as session:
        more = {"balance": User.balance + points, "topped_up": User.topped_up + points}
        session.execute(update(User).where(User.id == user.id).values(more))


def _owner_id(persona: Persona, stage_id: str) -> str:
    if persona.is_everywhere or stage_id == FIRST_STAGE:
        return persona.owner_id
    return ID_PREFIX + "".join(secrets.choice(ID_LETTERS) for _ in range(ID_LENGTH - len(ID_PREFIX)))
