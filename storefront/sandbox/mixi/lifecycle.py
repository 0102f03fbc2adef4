"""Telling the app who has added it and who has removed it: late, several at once, and in our own name."""

from collections.abc import Sequence
from enum import StrEnum
from itertools import groupby
from time import monotonic
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import ForeignKey, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from storefront.sandbox import clock, people
from storefront.sandbox.cast import BY_KEY, Persona
from storefront.sandbox.context import Sandbox
from storefront.sandbox.happened import Name
from storefront.sandbox.happenings import Line, line, note
from storefront.sandbox.language import N_
from storefront.sandbox.mixi.calls import Answer, Call, Forgery, NoAnswer
from storefront.sandbox.people import User
from storefront.sandbox.stage import Stage
from storefront.sandbox.store import Base, reading, transaction
from storefront.sandbox.wirelog import Kind

# So that the address stays short enough for the servers of most apps; ours.
BATCH = 100
MAX_ANSWER_BYTES = 64 * 1024
BELIEVED = N_("The app believed a forged event!")


class Type(StrEnum):
    """The platform's words for what happened."""

    ADD = "event.addapp"
    REMOVE = "event.removeapp"


class Event(Base):
    """Something that the app has not been told yet."""

    __tablename__ = "event"

    id: Mapped[int] = mapped_column(primary_key=True)
    type: Mapped[Type]
    stage_id: Mapped[str] = mapped_column(ForeignKey("stage.id", ondelete="CASCADE"), index=True)
    owner_id: Mapped[str]
    persona_key: Mapped[str]

    @property
    def persona(self) -> Persona:
        return BY_KEY[self.persona_key]


def add(sandbox: Sandbox, on: Stage, user: User) -> None:
    """This user has the app from now on; nothing new if they have it already."""
    with transaction() as session:
        if not people.add_app(session, user, on.now()):
            return
        session.add(_event(Type.ADD, user))
    note(on.id, Name.APP_ADDED, owner_id=user.owner_id)
    _tell(sandbox, on)


def remove(sandbox: Sandbox, on: Stage, user: User) -> None:
    """This user no longer has the app; nothing new if they do not have it."""
    with transaction() as session:
        if not people.remove_app(session, user, on.now()):
            return
        session.add(_event(Type.REMOVE, user))
    note(on.id, Name.APP_REMOVED, owner_id=user.owner_id)
    _tell(sandbox, on)


def untold(on: Stage) -> Sequence[Event]:
    """What the app has not been told yet of this stage, oldest first."""
    with reading() as session:
        return session.scalars(select(Event).where(Event.stage_id == on.id).order_by(Event.id)).all()


def send(sandbox: Sandbox, on: Stage) -> None:
    """Tell the app all that it has not been told, in as few requests as the sequence allows.

    Takes no longer than one event may. What an app that is down did not hear is kept for the next time.
    """
    until = monotonic() + sandbox.settings.lifecycle_seconds
    for kind, events in groupby(untold(on), key=lambda event: event.type):
        together = list(events)
        for start in range(0, len(together), BATCH):
            batch = together[start : start + BATCH]
            left = until - monotonic()
            if left <= 0 or not _deliver(sandbox, on, kind, batch, left):
                return
            with transaction() as session:
                session.execute(delete(Event).where(Event.id.in_([event.id for event in batch])))


def forge(sandbox: Sandbox, on: Stage, kind: Type, user: User, *, by_consumer: bool) -> int:
    """Tell the app what is not so: unsigned, or signed as nobody signs events. The row of the wire log."""
    said = [("eventtype", kind.value), ("opensocial_app_id", sandbox.settings.app_id), ("id", user.owner_id)]
    call = Call(
        on,
        Kind.LIFECYCLE,
        "GET",
        f"{sandbox.settings.lifecycle_address}?{urlencode(said)}",
        clock.now(),
        seconds=sandbox.settings.lifecycle_seconds,
        max_bytes=MAX_ANSWER_BYTES,
        forged=None if by_consumer else Forgery(unsigned=True),
        owner_id=user.owner_id,
    )
    try:
        refused = 400 <= call.send(sandbox).status < 500
        verdict = N_("The app refused the forged event, as it must.") if refused else BELIEVED
    except NoAnswer as silence:
        refused, verdict = False, silence.reason
    told = _told(on, kind, user.owner_id, call, forged=True)
    return call.log(verdict, good=refused, happened=[told])


def _event(kind: Type, user: User) -> Event:
    return Event(type=kind, stage_id=user.stage_id, owner_id=user.owner_id, persona_key=user.persona_key)


def _tell(sandbox: Sandbox, on: Stage) -> None:
    if not on.hold_events:
        send(sandbox, on)


def _deliver(sandbox: Sandbox, on: Stage, kind: Type, events: Sequence[Event], seconds: float) -> bool:
    """Whether the app has heard it, or does not want to: only silence and 5xx are tried again. Ours."""
    parameters = [("eventtype", kind.value), ("opensocial_app_id", sandbox.settings.app_id)]
    ids = [("id", event.owner_id) for event in events]
    call = Call(
        on,
        Kind.LIFECYCLE,
        "GET",
        f"{sandbox.settings.lifecycle_address}?{urlencode([*parameters, *ids])}",
        clock.now(),
        seconds=seconds,
        max_bytes=MAX_ANSWER_BYTES,
        in_own_name=True,
        owner_id=events[0].owner_id,
    )
    try:
        verdict, good, done = _judged(call.send(sandbox))
    except NoAnswer as silence:
        verdict, good, done = silence.reason, False, False
    told = [_told(on, kind, event.owner_id, call, forged=False) for event in events]
    call.log(verdict, good=good, happened=told)
    return done


def _told(on: Stage, kind: Type, owner_id: str, call: Call, *, forged: bool) -> Line:
    facts: dict[str, Any] = {"type": kind.value, "status": call.answer and call.answer.status}
    return line(on.id, Name.EVENT_TOLD, owner_id=owner_id, **facts, forged=forged)


def _judged(answer: Answer) -> tuple[str, bool, bool]:
    if 200 <= answer.status < 300:
        return N_("The app has taken the event."), True, True
    if answer.status < 500:
        return N_("The app refused the event. It is not sent again."), False, True
    return N_("The app could not take the event. It is sent again with the next one."), False, False
