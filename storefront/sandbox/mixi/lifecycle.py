"""Telling the app who has added it and who has removed it: late, several at once, and in our own name."""

from collections.abc import Sequence
from enum import StrEnum
from itertools import groupby
from time import monotonic
from urllib.parse import urlencode

from sqlalchemy import delete, select
from sqlalchemy.orm import Mapped, mapped_column

from storefront.sandbox import clock, people
from storefront.sandbox.application import application
from storefront.sandbox.cast import BY_OWNER, Persona
from storefront.sandbox.context import Sandbox
from storefront.sandbox.language import N_
from storefront.sandbox.mixi.calls import Answer, Call, NoAnswer
from storefront.sandbox.store import Base, reading, transaction
from storefront.sandbox.wirelog import Kind

# So that the address stays short enough for the servers of most apps; ours.
BATCH = 100
MAX_ANSWER_BYTES = 64 * 1024


class Type(StrEnum):
    """The platform's words for what happened."""

    ADD = "event.addapp"
    REMOVE = "event.removeapp"


class Event(Base):
    """Something that the app has not been told yet."""

    __tablename__ = "event"

    id: Mapped[int] = mapped_column(primary_key=True)
    type: Mapped[Type]
    owner_id: Mapped[str]

    @property
    def persona(self) -> Persona:
        return BY_OWNER[self.owner_id]


def add(sandbox: Sandbox, owner_id: str) -> None:
    """This user has the app from now on; nothing new if they have it already."""
    with transaction() as session:
        if not people.add_app(session, owner_id, clock.now()):
            return
        session.add(Event(type=Type.ADD, owner_id=owner_id))
    _tell(sandbox)


def remove(sandbox: Sandbox, owner_id: str) -> None:
    """This user no longer has the app; nothing new if they do not have it."""
    with transaction() as session:
        if not people.remove_app(session, owner_id, clock.now()):
            return
        session.add(Event(type=Type.REMOVE, owner_id=owner_id))
    _tell(sandbox)


def untold() -> Sequence[Event]:
    """What the app has not been told yet, oldest first."""
    with reading() as session:
        return session.scalars(select(Event).order_by(Event.id)).all()


def send(sandbox: Sandbox) -> None:
    """Tell the app all that it has not been told, in as few requests as the sequence allows.

    Takes no longer than one event may. What an app that is down did not hear is kept for the next time.
    """
    until = monotonic() + sandbox.settings.lifecycle_seconds
    for kind, events in groupby(untold(), key=lambda event: event.type):
        together = list(events)
        for start in range(0, len(together), BATCH):
            batch = together[start : start + BATCH]
            left = until - monotonic()
            if left <= 0 or not _deliver(sandbox, kind, batch, left):
                return
            with transaction() as session:
                session.execute(delete(Event).where(Event.id.in_([event.id for event in batch])))


def _tell(sandbox: Sandbox) -> None:
    if not application(sandbox.settings.app_id).hold_events:
        send(sandbox)


def _deliver(sandbox: Sandbox, kind: Type, events: Sequence[Event], seconds: float) -> bool:
    """Whether the app has heard it, or does not want to: only silence and 5xx are tried again. Ours."""
    parameters = [("eventtype", kind.value), ("opensocial_app_id", sandbox.settings.app_id)]
    ids = [("id", event.owner_id) for event in events]
    call = Call(
        Kind.LIFECYCLE,
        "GET",
        f"{sandbox.settings.lifecycle_address}?{urlencode([*parameters, *ids])}",
        clock.now(),
        seconds=seconds,
        max_bytes=MAX_ANSWER_BYTES,
        in_own_name=True,
    )
    try:
        verdict, good, done = _judged(call.send(sandbox))
    except NoAnswer as silence:
        verdict, good, done = silence.reason, False, False
    call.log(verdict, good=good)
    return done


def _judged(answer: Answer) -> tuple[str, bool, bool]:
    if 200 <= answer.status < 300:
        return N_("The app has taken the event."), True, True
    if answer.status < 500:
        return N_("The app refused the event. It is not sent again."), False, True
    return N_("The app could not take the event. It is sent again with the next one."), False, False
