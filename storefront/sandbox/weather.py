"""Weather: what goes wrong on purpose, on one stage, for whom, and how often.

set()             from now on: everybody's, a person's or a payment's; the next so many times or until cleared
take()            the doer asks at the point where it would strike; counts it, and says whether it does
clear()           as if it had never been set

Of several that fit the narrowest is taken: a payment's, a person's, everybody's.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from flask import g
from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, bindparam, delete, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from storefront.sandbox import clock, happenings, strokes
from storefront.sandbox.happened import Name
from storefront.sandbox.kinds import KINDS, Call, Kind, Where, fits
from storefront.sandbox.stage import Stage
from storefront.sandbox.store import Base, reading, transaction
from storefront.sandbox.storefile import Moment

MOST_TIMES = 1_000_000
# At once on one stage; and on all together of what strikes on all: every page of theirs reads and shows it.
MOST_OF_ONE = 50
MOST_SHARED = 50
LOOKED_UP = "weather"  # in the context of a request
HUNDRED = 100


class Weather(Base):
    """Weather that was set on a stage."""

    __tablename__ = "weather"
    __table_args__ = (
        CheckConstraint(f"kind IN ({', '.join(repr(name) for name in KINDS)})"),
        CheckConstraint('"left" IS NULL OR "left" >= 0'),
        CheckConstraint("chance IS NULL OR chance BETWEEN 1 AND 100"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    stage_id: Mapped[str] = mapped_column(ForeignKey("stage.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    api: Mapped[Call] = mapped_column(default=Call.BOTH)
    owner_id: Mapped[str | None]
    point_code: Mapped[str | None]
    # How many more it may meet; without it until cleared.
    left: Mapped[int | None]
    seconds: Mapped[int | None]
    # In percent, decided by the seed and the number of those it has met: the same seed, the same run.
    chance: Mapped[int | None]
    seed: Mapped[int]
    met: Mapped[int] = mapped_column(default=0)
    set_at: Mapped[datetime] = mapped_column(Moment)

    @property
    def what(self) -> Kind:
        return KINDS[self.kind]

    @property
    def is_over(self) -> bool:
        return self.left == 0


class Unknown(Exception):
    """There is no such weather, or not with such a number; the message names it."""


class Enough(Exception):
    """There is so much weather already that no more is set."""


def set(
    stage: Stage,
    kind: str,
    *,
    api: Call = Call.BOTH,
    owner_id: str | None = None,
    point_code: str | None = None,
    left: int | None = None,
    seconds: int | None = None,
    chance: int | None = None,
    seed: int | None = None,
) -> Weather:
    """Let it come, or Enough. `left` is the next so many, None until cleared; `chance` is in percent."""
    if kind not in KINDS:
        raise Unknown(kind)
    usual = KINDS[kind].seconds
    chosen = usual if seconds is None else seconds
    if not fits(kind, chosen) or not _counts(left) or (chance is not None and not 1 <= chance <= HUNDRED):
        raise Unknown(kind)
    _check_room(stage, kind)
    row = Weather(
        stage_id=stage.id,
        kind=kind,
        api=api,
        owner_id=owner_id,
        point_code=point_code,
        left=left,
        seconds=chosen if usual is not None else None,
        chance=chance,
        seed=stage.seed if seed is None else seed,
        met=0,
        set_at=clock.now(),
    )
    with transaction() as session:
        session.add(row)
    _forget()
    happenings.note(
        stage.id, Name.WEATHER_SET, owner_id=owner_id, point_code=point_code, kind=kind, left=left
    )
    return row


def take(
    stage: Stage,
    kind: str,
    owner_id: str | None = None,
    point_code: str | None = None,
    *,
    call: Call | None = None,
    strike: Callable[[Weather], bool] | None = None,
) -> Weather | None:
    """The weather of this kind that strikes here and now, counted; None if none does.

    Where somebody else has to do it, `strike` lets them, and says whether they did.
    """
    # Nothing set is nothing in the way: who writes would wait for the file.
    if not any(row.kind == kind for row in standing(stage)):
        return None
    fits = _fitting(stage.id, kind, owner_id, point_code, call)
    narrowest = (Weather.point_code.is_(None), Weather.owner_id.is_(None), Weather.id)
    chosen = select(Weather.id).where(*fits).order_by(*narrowest).limit(1).scalar_subquery()
    counted = update(Weather).where(Weather.id == chosen).values(left=Weather.left - 1, met=Weather.met + 1)
    with transaction() as session:
        row = session.scalars(counted.returning(Weather)).one_or_none()
    _forget()
    if row is None or not strokes.falls(row.seed, kind, row.met, row.chance):
        return None
    if strike and not strike(row):
        _not_met(row)
        return None
    happenings.note(
        stage.id,
        Name.WEATHER_MET,
        owner_id=owner_id,
        point_code=point_code,
        kind=kind,
        seconds=row.seconds,
    )
    return row


def standing(stage: Stage) -> Sequence[Weather]:
    """What is set on this stage and not over, oldest first."""
    return [row for row in felt(stage) if row.stage_id == stage.id]


def felt(stage: Stage) -> Sequence[Weather]:
    """The same, and what is set on other stages and strikes here, too: the provider knows no stages.

    Looked up once in a request, and again after it has changed something.
    """
    known: dict[str, Sequence[Weather]] = g.setdefault(LOOKED_UP, {})
    if stage.id not in known:
        with reading() as session:
            known[stage.id] = session.scalars(_FELT, {"stage": stage.id}).all()
    return known[stage.id]


def stands(
    stage: Stage, kind: str, owner_id: str | None = None, point_code: str | None = None
) -> Weather | None:
    """The weather of this kind that would be taken here; without taking it."""
    fits = _fitting(stage.id, kind, owner_id, point_code, None)
    with reading() as session:
        return session.scalars(select(Weather).where(*fits).limit(1)).first()


def met(number: int, left: int | None, times: int, *, struck: bool) -> bool:
    """Weather that strikes elsewhere has been met there; False if it is nobody's here any more."""
    with transaction() as session:
        change = update(Weather).where(Weather.id == number).values(left=left, met=times)
        row = session.scalars(change.returning(Weather)).one_or_none()
    if row and struck:
        happenings.note(row.stage_id, Name.WEATHER_MET, kind=row.kind, seconds=row.seconds)
    return row is not None


def clear(stage: Stage, weather_id: int | None = None, *, kind: str | None = None) -> Sequence[Weather]:
    """Take one away, all of one kind, or all; what was taken."""
    which = [Weather.stage_id == stage.id]
    which += [Weather.id == weather_id] if weather_id is not None else []
    which += [Weather.kind == kind] if kind is not None else []
    with transaction() as session:
        gone = session.scalars(delete(Weather).where(*which).returning(Weather)).all()
    _forget()
    for one in gone:
        happenings.note(stage.id, Name.WEATHER_CLEARED, kind=one.kind)
    return gone


def _check_room(stage: Stage, kind: str) -> None:
    here = felt(stage)
    shared = sum(row.kind in _SHARED for row in here) if kind in _SHARED else 0
    if sum(row.stage_id == stage.id for row in here) >= MOST_OF_ONE or shared >= MOST_SHARED:
        raise Enough(kind)


def _not_met(row: Weather) -> None:
    """It could not strike after all: it stands as before."""
    with transaction() as session:
        as_before = {"left": Weather.left + 1, "met": Weather.met - 1}
        session.execute(update(Weather).where(Weather.id == row.id).values(as_before))
    _forget()


def _forget() -> None:
    g.pop(LOOKED_UP, None)


def _fitting(
    stage_id: str, kind: str, owner_id: str | None, point_code: str | None, call: Call | None
) -> list[ColumnElement[bool]]:
    fits = [
        Weather.stage_id == stage_id,
        Weather.kind == kind,
        _still(),
        or_(Weather.owner_id.is_(None), Weather.owner_id == owner_id),
        or_(Weather.point_code.is_(None), Weather.point_code == point_code),
    ]
    return [*fits, Weather.api.in_((call, Call.BOTH))] if call else fits


def _still() -> ColumnElement[bool]:
    return or_(Weather.left.is_(None), Weather.left > 0)


def _counts(left: int | None) -> bool:
    return left is None or 1 <= left <= MOST_TIMES


_SHARED = [kind.name for kind in KINDS.values() if kind.where is Where.PROVIDER]
# Put together once, since every page asks for it.
_FELT = (
    select(Weather)
    .where(or_(Weather.stage_id == bindparam("stage"), Weather.kind.in_(_SHARED)), _still())
    .order_by(Weather.id)
)
