"""What happened on a stage, noted once and in order by those who do it; the desk and the judge read it.

note()    one line more
line()    the same, to be written down with something else by write()
all_of()  what is kept of a stage, oldest first
since()   the next of its lines after one that is known already, so many at once
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ColumnElement, Delete, ForeignKey, Index, bindparam, delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.sandbox import clock
from storefront.sandbox.devices import Device
from storefront.sandbox.happened import Name
from storefront.sandbox.store import Base, reading, transaction
from storefront.sandbox.storefile import Moment

KEEP = 2000  # of a stage: so many pages, and so many of all else
MOST = 1000  # at once

Line = Mapping[str, Any]


class Happening(Base):
    """One thing that happened."""

    __tablename__ = "happening"
    __table_args__ = (Index("of_a_stage", "stage_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    stage_id: Mapped[str] = mapped_column(ForeignKey("stage.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(Moment)
    name: Mapped[Name]
    owner_id: Mapped[str | None]
    point_code: Mapped[str | None]
    device: Mapped[Device | None]
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)
    # The row of the wire log that shows it; the row may be forgotten first.
    wire_id: Mapped[int | None]


def _forget(alike: ColumnElement[bool]) -> Delete:
    """The oldest lines of a stage go. Put together once, since every line that is noted asks for it."""
    mine = (Happening.stage_id == bindparam("stage"), alike)
    kept = select(Happening.id).where(*mine).order_by(Happening.id.desc()).offset(bindparam("keep"))
    old = delete(Happening).where(*mine, Happening.id.in_(kept), Happening.name != Name.WALK_BEGUN)
    return old.execution_options(synchronize_session=False)


_NOTE = insert(Base.metadata.tables[Happening.__tablename__])
# Pages are most of what happens: however many there are, they push nothing else out.
_FORGET_PAGES = _forget(Happening.name == Name.PAGE_SHOWN)
_FORGET_ELSE = _forget(Happening.name != Name.PAGE_SHOWN)


def note(stage_id: str, name: Name, **told: Any) -> None:
    """This happened now; what is told of it are the columns and the facts of a line."""
    # What is still under way when its stage is forgotten has nowhere to be noted.
    with suppress(IntegrityError), transaction() as session:
        write(session, [line(stage_id, name, **told)])


def line(
    stage_id: str,
    name: Name,
    *,
    owner_id: str | None = None,
    point_code: str | None = None,
    device: Device | None = None,
    wire_id: int | None = None,
    **facts: Any,
) -> Line:
    """That this happened now, by the real clock."""
    return {
        "stage_id": stage_id,
        "at": clock.now(),
        "name": name,
        "owner_id": owner_id,
        "point_code": point_code,
        "device": device,
        "facts": facts,
        "wire_id": wire_id,
    }


def write(session: Session, lines: Sequence[Line]) -> None:
    """Write these down, and forget the oldest of their stage."""
    for one in lines:
        session.execute(_NOTE, one)
        forget = _FORGET_PAGES if one["name"] is Name.PAGE_SHOWN else _FORGET_ELSE
        session.execute(forget, {"stage": one["stage_id"], "keep": KEEP})


def all_of(stage_id: str) -> Sequence[Happening]:
    """All that is kept of a stage, oldest first."""
    with reading() as session:
        mine = select(Happening).where(Happening.stage_id == stage_id)
        return session.scalars(mine.order_by(Happening.id)).all()


def since(stage_id: str, after: int = 0) -> Sequence[Happening]:
    """What happened on this stage after the happening of this id, oldest first; the first of many."""
    later = (Happening.stage_id == stage_id, Happening.id > after)
    with reading() as session:
        return session.scalars(select(Happening).where(*later).order_by(Happening.id).limit(MOST)).all()


def newest(stage_id: str, number: int) -> Sequence[Happening]:
    """The last so many of a stage, newest first."""
    with reading() as session:
        mine = select(Happening).where(Happening.stage_id == stage_id)
        return session.scalars(mine.order_by(Happening.id.desc()).limit(number)).all()


def about(stage_id: str, point_code: str) -> Sequence[Happening]:
    """What happened to this payment, oldest first."""
    mine = (Happening.stage_id == stage_id, Happening.point_code == point_code)
    with reading() as session:
        return session.scalars(select(Happening).where(*mine).order_by(Happening.id)).all()


def last(stage_id: str, names: Sequence[Name]) -> Mapping[str, datetime]:
    """When one of these happened last to each payment of a stage, by its code."""
    mine = (Happening.stage_id == stage_id, Happening.name.in_(names))
    with reading() as session:
        rows = session.scalars(select(Happening).where(*mine).order_by(Happening.id)).all()
    return {row.point_code: row.at for row in rows if row.point_code}


def forged(stage_id: str) -> Collection[int | None]:
    """The rows of the wire log with callbacks that the payment server never sent."""
    answered = (Happening.stage_id == stage_id, Happening.name == Name.CALLBACK_ANSWERED)
    with reading() as session:
        rows = session.scalars(select(Happening).where(*answered)).all()
    return {row.wire_id for row in rows if row.facts.get("fault")}


def of_name(stage_id: str, name: Name) -> Sequence[Happening]:
    """Those of one name, oldest first."""
    alike = (Happening.stage_id == stage_id, Happening.name == name)
    with reading() as session:
        return session.scalars(select(Happening).where(*alike).order_by(Happening.id)).all()


def pages(stage_id: str) -> Sequence[Happening]:
    """The pages that were seen on a stage, oldest first."""
    seen = (Happening.stage_id == stage_id, Happening.name.in_((Name.PAGE_SHOWN, Name.SEEN)))
    with reading() as session:
        return session.scalars(select(Happening).where(*seen).order_by(Happening.id)).all()
