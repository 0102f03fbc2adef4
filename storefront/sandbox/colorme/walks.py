"""Walks: one playing of a walkthrough at the store, and what happened meanwhile.

There is one calendar, so there is one walk at a time: it is over when the next begins.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Connection, ForeignKey, insert, literal, select, update
from sqlalchemy.orm import Mapped, mapped_column

from storefront.sandbox import clock
from storefront.sandbox.colorme import calendar
from storefront.sandbox.colorme.calendar import ONE, Calendar
from storefront.sandbox.colorme.happened import Name
from storefront.sandbox.colorme.store import Base, reading, transaction
from storefront.sandbox.storefile import Moment


class Walk(Base):
    """One playing: which walkthrough, how far, and how it went."""

    __tablename__ = "walk"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    begun_at: Mapped[datetime] = mapped_column(Moment)
    is_on: Mapped[bool] = mapped_column(default=True, index=True)
    verdict: Mapped[str] = mapped_column(default="open")


class Noted(Base):
    """One thing that happened during a walk."""

    __tablename__ = "noted"

    id: Mapped[int] = mapped_column(primary_key=True)
    walk_id: Mapped[int] = mapped_column(ForeignKey(Walk.id), index=True)
    at: Mapped[datetime] = mapped_column(Moment)  # by the store's calendar
    name: Mapped[Name]
    account: Mapped[str | None]
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)
    # The row of the wire log that shows it.
    wire_id: Mapped[int | None]


def begin(name: str, **facts: Any) -> Walk:
    """Somebody begins to play; whatever was played before is over."""
    walk = Walk(name=name, begun_at=clock.now(), is_on=True, verdict="open")
    with transaction() as session:
        session.add(walk)
        session.flush()
        note(session.connection(), Name.WALK_BEGUN, walkthrough=name, **facts)
    return walk


def end() -> None:
    """Nobody plays any more: nothing is noted."""
    with transaction() as session:
        session.execute(update(Walk).values(is_on=False))


def note(
    connection: Connection,
    name: Name,
    account: str | None = None,
    wire_id: int | None = None,
    **facts: Any,
) -> None:
    """This happened, if a walk is on; in the transaction in which it did."""
    now = select(Calendar.at).where(Calendar.id == ONE).scalar_subquery()
    kinds = Noted.__table__.c
    said = {"name": name, "account": account, "facts": facts, "wire_id": wire_id}
    values = [literal(value, kinds[field].type) for field, value in said.items()]
    row = select(Walk.id, now, *values).where(Walk.is_on)
    connection.execute(insert(Noted).from_select(["walk_id", "at", *said], row))


def write(name: Name, account: str | None = None, **facts: Any) -> None:
    """The same in a transaction of its own."""
    with transaction() as session:
        note(session.connection(), name, account, **facts)


def told(walk_id: int) -> Sequence[Noted]:
    """What happened during a walk, oldest first."""
    with reading() as session:
        return session.scalars(select(Noted).where(Noted.walk_id == walk_id).order_by(Noted.id)).all()


def by_id(number: int) -> Walk | None:
    with reading() as session:
        return session.get(Walk, number)


def current() -> Walk | None:
    """The walk that is played now."""
    with reading() as session:
        return session.scalars(select(Walk).where(Walk.is_on).order_by(Walk.id.desc()).limit(1)).first()


def keep(number: int, verdict: str) -> None:
    """How a walk stood when it was judged last."""
    with transaction() as session:
        session.execute(update(Walk).where(Walk.id == number).values(verdict=verdict))


def lines(noted: Sequence[Noted]) -> Sequence[Mapping[str, Any]]:
    """What happened, for the robot's report."""
    return [
        {
            "id": one.id,
            "at": one.at.astimezone(calendar.JAPAN).isoformat(),
            "name": one.name.value,
            "account": one.account,
            "facts": one.facts,
            "wire": one.wire_id and f"/log/{one.wire_id}",
        }
        for one in noted
    ]
