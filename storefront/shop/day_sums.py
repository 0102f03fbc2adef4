"""What each day in Japan came to: summed up once it is over, and kept; by our moments, and by the platforms'.

An entry is never changed and never taken away, so a day's sums are right as long as they count as many
entries as the day has. Of two who sum up a day at the same moment the database refuses one, who then reads
the entries themselves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import structlog
from sqlalchemy import BigInteger, ColumnElement, String, Subquery, delete, func, insert, select, union_all
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from storefront.clock import JAPAN
from storefront.db import Model, fresh, transaction, words
from storefront.shop.ledger import Entry, Kind, between

ONE_DAY = timedelta(days=1)

log = structlog.get_logger()


class Kept:
    """A day's entries of a kind at a counter, of one item and device; these are empty where not known."""

    day: Mapped[date] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(String(16), primary_key=True)
    unit: Mapped[str] = mapped_column(String(8), primary_key=True)
    kind: Mapped[Kind] = mapped_column(words(Kind), primary_key=True)
    item_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    device: Mapped[str] = mapped_column(String(16), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    amount: Mapped[int] = mapped_column(BigInteger)


class DaySum(Kept, Model):
    """Of a day on which they were entered."""

    __tablename__ = "day_sum"


class PlatformDaySum(Kept, Model):
    """Of a day on which they happened, as the platform says; where it says nothing, were entered."""

    __tablename__ = "platform_day_sum"


@dataclass(frozen=True)
class Calendar:
    """By whose moments days are told apart. Each of the `halves` of a time has an index that answers it."""

    table: type[DaySum] | type[PlatformDaySum]
    at: ColumnElement[datetime]
    halves: Callable[[datetime, datetime], Sequence[ColumnElement[bool]]]


def _ours(since: datetime, until: datetime) -> Sequence[ColumnElement[bool]]:
    (first, last) = between(since, until)
    return [first & last]


def _platforms(since: datetime, until: datetime) -> Sequence[ColumnElement[bool]]:
    told = (Entry.platform_at >= since) & (Entry.platform_at < until)
    untold = [Entry.platform_at.is_(None) & half for half in _ours(since, until)]
    return [told, *untold]


OURS = Calendar(DaySum, Entry.entered_at.expression, _ours)
PLATFORMS = Calendar(PlatformDaySum, func.coalesce(Entry.platform_at, Entry.entered_at), _platforms)


def begin(day: date) -> datetime:
    """Midnight in Japan."""
    return datetime.combine(day, time(), JAPAN)


def entries(calendar: Calendar, since: datetime, until: datetime) -> Subquery:
    """Those from `since` to just before `until`, with the moment by which they belong there as `at`."""
    said = (Entry.channel, Entry.unit, Entry.kind, Entry.item_id, Entry.device, Entry.amount)
    found = select(*said, calendar.at.label("at"))
    return union_all(*(found.where(half) for half in calendar.halves(since, until))).subquery()


def keep(calendar: Calendar, first: date, last: date) -> bool:
    """See to it that the sums of all these days are kept, and right. False where they cannot be written."""
    try:
        _keep(calendar, first, last)
    except SQLAlchemyError as failure:
        fresh()
        log.warning("sums of days not kept", reason=type(failure).__name__)
        return False
    return True


def _keep(calendar: Calendar, first: date, last: date) -> None:
    if first > last or _kept(calendar, first, last) == _entered(calendar, first, last):
        return
    if first == last:
        _sum_up(calendar, first)
        return
    middle = first + (last - first) // 2
    _keep(calendar, first, middle)
    _keep(calendar, middle + ONE_DAY, last)


def _kept(calendar: Calendar, first: date, last: date) -> int:
    counted = select(func.sum(calendar.table.count)).where(calendar.table.day.between(first, last))
    return int(fresh().scalar(counted) or 0)


def _entered(calendar: Calendar, first: date, last: date) -> int:
    """The indexes of moments answer this by themselves."""
    count = select(func.count()).select_from(Entry)
    halves = calendar.halves(begin(first), begin(last + ONE_DAY))
    return sum(fresh().scalar(count.where(half)) or 0 for half in halves)


def _sum_up(calendar: Calendar, day: date) -> None:
    """Read first and write then, so that no sale waits for the reading."""
    found = _sums(calendar, day)
    with transaction() as session:
        session.execute(delete(calendar.table).where(calendar.table.day == day))
        if found:
            session.execute(insert(calendar.table), found)


def _sums(calendar: Calendar, day: date) -> Sequence[dict[str, object]]:
    found = entries(calendar, begin(day), begin(day + ONE_DAY)).c
    said = (found.channel, found.unit, found.kind, found.item_id, found.device)
    sums = (func.count().label("count"), func.sum(found.amount).label("amount"))
    rows = fresh().execute(select(*said, *sums).group_by(*said)).mappings()
    return [
        {"day": day, **row, "item_id": row["item_id"] or "", "device": row["device"] or ""} for row in rows
    ]
