"""Stages: each has a cast, payments, weather, a clock and switches of its own, and belongs to one browser.

current(), own()      the stage this browser plays on; own() makes it one if it has none
make(), begin()       a fresh stage, and this browser goes to it
of_owner(), by_id()   the stage on which somebody lives
turn(), turn_clock()  what can be changed on it

A browser that has done nothing yet looks at the first stage, on which nobody plays.
"""

import secrets
from collections.abc import Mapping, Sequence, Set
from datetime import datetime, timedelta
from enum import StrEnum

from flask import g, request
from flask import session as browser
from sqlalchemy import String, bindparam, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.sandbox import clock, people
from storefront.sandbox.context import sandbox
from storefront.sandbox.devices import Device
from storefront.sandbox.key_pairs import START_NAMES
from storefront.sandbox.language import N_
from storefront.sandbox.people import FIRST_STAGE, PLAYED, User
from storefront.sandbox.settings import SandboxSettings
from storefront.sandbox.store import Base, reading, transaction
from storefront.sandbox.storefile import Moment

MAINTENANCE = N_("The platform is closed for maintenance. The app was not asked.")
MADE_BY = "browser"  # in the browser's session: what it is called where it made a stage
ID_BYTES = 16
SEEDS = 1_000_000
# A played set of walkthroughs makes some two hundred, each in a browser of its own. Those that have not been
# used for longest are forgotten with all that is on them.
KEEP = 1000
MOST_OF_ONE = 250
MOST_FROM_ONE = 500  # address: whoever comes without a cookie each time pushes nobody else out
MOST_LEFT = 250  # of those, to which nobody came back: a team behind one address keeps what it plays on
MINUTE = timedelta(minutes=1)
LOOKED_UP = "stages"  # in the context of a request
LATELY = 12  # stages of one browser


class Switch(StrEnum):
    """What the developer of the app can turn on and off."""

    IN_DEVELOPMENT = "in_development"
    APPROVED = "approved"
    REPLACE_ERROR_PAGES = "replace_error_pages"
    HOLD_EVENTS = "hold_events"


class Stage(Base):
    """One stage: its clock, its switches, and what is played on it."""

    __tablename__ = "stage"

    id: Mapped[str] = mapped_column(String(22), primary_key=True)
    made_at: Mapped[datetime] = mapped_column(Moment)
    # When its browser last looked, to the minute.
    used_at: Mapped[datetime] = mapped_column(Moment, index=True)
    # How far its clock is ahead of the real one; signatures never heed it.
    clock_seconds: Mapped[int] = mapped_column(default=0)
    # Which browser made it, at which address; and what it was set up for: a situation's query, or a
    # walkthrough's name.
    made_by: Mapped[str | None] = mapped_column(index=True)
    made_from: Mapped[str | None]
    situation: Mapped[str | None]
    walkthrough: Mapped[str | None]
    device: Mapped[Device | None]
    seed: Mapped[int]
    in_development: Mapped[bool]
    approved: Mapped[bool]
    replace_error_pages: Mapped[bool]
    hold_events: Mapped[bool]
    # The keys under which start addresses are signed now.
    smartphone_key: Mapped[str]
    pc_key: Mapped[str]

    def now(self) -> datetime:
        """What the clock of this stage shows: for expiry, windows and dates, never for signatures."""
        return clock.now() + timedelta(seconds=self.clock_seconds)

    def key_name(self, device: Device) -> str:
        """The name of the key under which the start address of this device is signed now."""
        return {Device.SMARTPHONE: self.smartphone_key, Device.PC: self.pc_key}[device]


# Put together once, since every request asks for one of them.
_BY_ID = select(Stage).where(Stage.id == bindparam("id"))
_LIVES = select(User.stage_id).where(User.owner_id == bindparam("owner"))
_OF_OWNER = select(Stage).where(Stage.id == _LIVES.order_by(*people.LAST_OPENED).limit(1).scalar_subquery())


def open_house(session: Session, settings: SandboxSettings) -> None:
    """See to the first stage; and what the settings say of switches holds on every stage from now on."""
    if session.get(Stage, FIRST_STAGE) is None:
        session.add(_new(settings, FIRST_STAGE))
        session.flush()
        people.invite(session, FIRST_STAGE, {})
    told = {switch.value: getattr(settings, switch.value) for switch in _told(settings)}
    if told:
        session.execute(update(Stage).values(told))


def make(
    *,
    situation: str | None = None,
    walkthrough: str | None = None,
    device: Device | None = None,
    seed: int | None = None,
    points: Mapping[str, int] | None = None,
) -> Stage:
    """A fresh stage. `points` says what somebody of the cast starts with, by the persona's key."""
    fresh = _new(sandbox().settings, secrets.token_urlsafe(ID_BYTES))
    fresh.situation, fresh.walkthrough, fresh.device = situation, walkthrough, device
    fresh.made_by = browser.setdefault(MADE_BY, secrets.token_urlsafe(ID_BYTES))
    fresh.made_from = request.remote_addr
    fresh.seed = secrets.randbelow(SEEDS) if seed is None else seed
    with transaction() as session:
        session.add(fresh)
        session.flush()
        people.invite(session, fresh.id, points or {})
        lately = select(Stage.id).where(Stage.id != FIRST_STAGE).order_by(Stage.used_at.desc())
        by_one = lately.where(Stage.made_by == fresh.made_by).offset(MOST_OF_ONE)
        from_one = lately.where(Stage.made_from == fresh.made_from)
        left = from_one.where(Stage.used_at == Stage.made_at).offset(MOST_LEFT)
        for outworn in (by_one, left, from_one.offset(MOST_FROM_ONE), lately.offset(KEEP)):
            session.execute(delete(Stage).where(Stage.id.in_(outworn)))
    return fresh


def mine(situation: str) -> Stage | None:
    """The last stage that this browser made for this situation."""
    made = (Stage.made_by == browser.get(MADE_BY, ""), Stage.situation == situation)
    with reading() as session:
        newest = select(Stage).where(*made).order_by(Stage.made_at.desc()).limit(1)
        return session.scalars(newest).one_or_none()


def is_mine(stage: Stage) -> bool:
    """Whether this browser has made that stage, or plays on it."""
    return stage.made_by == browser.get(MADE_BY, "") or stage.id == browser.get(PLAYED)


def begin(stage: Stage) -> None:
    """From now on this browser plays on this stage, and nobody is in its hand."""
    browser[PLAYED] = stage.id
    people.put_down()


def current() -> Stage:
    """The stage this browser plays on, or the first one, to look at. Changes nothing on it."""
    on = by_id(people.stage_played()) or by_id(FIRST_STAGE)
    assert on
    return _used(on)


def own() -> Stage:
    """The stage this browser plays on; made if it has none. For whatever changes something."""
    mine = by_id(browser.get(PLAYED, ""))
    if mine is None:
        mine = make()
        begin(mine)
    return _used(mine)


def lately() -> Sequence[Stage]:
    """The stages that this browser made lately, newest first; before them the one it plays on."""
    on, made = current(), Stage.made_by == browser.get(MADE_BY, "")
    others = select(Stage).where(made, Stage.id != on.id).order_by(Stage.made_at.desc()).limit(LATELY)
    with reading() as session:
        return [on, *session.scalars(others)]


def by_id(stage_id: str) -> Stage | None:
    """The stage of this id, unless it has been forgotten.

    Looked up once in a request, and again after it has changed something.
    """
    known: dict[str, Stage | None] = g.setdefault(LOOKED_UP, {})
    if stage_id not in known:
        with reading() as session:
            known[stage_id] = session.scalars(_BY_ID, {"id": stage_id}).one_or_none()
    return known[stage_id]


def of_owner(owner_id: str) -> Stage | None:
    """The stage on which the user of this id lives; of who lives on all, where they opened the app last."""
    with reading() as session:
        return session.scalars(_OF_OWNER, {"owner": owner_id}).one_or_none()


def turn(stage: Stage, switch: Switch, on: bool) -> None:
    """Set one switch."""
    with transaction() as session:
        session.execute(update(Stage).where(Stage.id == stage.id).values({switch.value: on}))
    _forget()


def turn_clock(stage: Stage, seconds: int) -> None:
    """Let the clock of this stage be so far ahead of the real one; 0 is back to now."""
    with transaction() as session:
        session.execute(update(Stage).where(Stage.id == stage.id).values(clock_seconds=seconds))
    _forget()


def sign_with(stage: Stage, device: Device, new: str, instead_of: str) -> None:
    """From now on the start address of this device is signed under another key; once, of two at once."""
    column = _column(device)
    with transaction() as session:
        still = (Stage.id == stage.id, getattr(Stage, column) == instead_of)
        session.execute(update(Stage).where(*still).values({column: new}))
    _forget()


def keys_used(device: Device) -> Set[str]:
    """The names of all keys under which some stage signs start addresses of this device."""
    with reading() as session:
        return set(session.scalars(select(getattr(Stage, _column(device))).distinct()))


def _used(on: Stage) -> Stage:
    """It is in use; so that is written down, not more than once a minute."""
    now = clock.now()
    if on.id != FIRST_STAGE and now - on.used_at >= MINUTE:
        with transaction() as session:
            session.execute(update(Stage).where(Stage.id == on.id).values(used_at=now))
        on.used_at = now
    return on


def _forget() -> None:
    g.pop(LOOKED_UP, None)


def _new(settings: SandboxSettings, stage_id: str) -> Stage:
    now = clock.now()
    return Stage(
        id=stage_id,
        made_at=now,
        used_at=now,
        clock_seconds=0,
        seed=0,
        **{switch.value: getattr(settings, switch.value) for switch in Switch},
        **{_column(device): name for device, name in START_NAMES.items()},
    )


def _told(settings: SandboxSettings) -> list[Switch]:
    return [switch for switch in Switch if switch.value in settings.model_fields_set]


def _column(device: Device) -> str:
    return f"{device.value}_key"
