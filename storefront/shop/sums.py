"""The book summed up: always by counter, unit and kind, and by what else is asked for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, func, not_, or_, select

from storefront.db import db, fresh, japan_day
from storefront.shop import day_sums, ledger
from storefront.shop.day_sums import ONE_DAY, DaySum, begin
from storefront.shop.ledger import Entry, Kind, Total

PLATFORMS_MOMENT = func.coalesce(Entry.platform_at, Entry.entered_at)


class Part(StrEnum):
    """What sums may be told apart by, beside counter, unit and kind, by which they always are."""

    DAY = "day"
    ITEM = "item"
    DEVICE = "device"


@dataclass(frozen=True)
class Sum:
    """What a kind of entry comes to at a counter, for one of each part that was asked for."""

    parts: Mapping[Part, str]  # empty where it is not known
    total: Total


def of(by: Collection[Part], first: date, last: date, today: date) -> Sequence[Sum]:
    """The sums from the first day to the last, told apart by these parts.

    Those of days that are over are kept.
    """
    over = min(last, today - ONE_DAY)
    is_kept = day_sums.keep(first, over)
    found = _of_kept(by, first, over) if is_kept else []
    rest = max(first, today) if is_kept else first
    if rest <= last:
        found += _of_entries(by, begin(rest), begin(last + ONE_DAY))
    return _together(found)


def by_platform(by: Collection[Part], since: datetime, until: datetime) -> Sequence[Sum]:
    """The sums from `since` to just before `until` by the platform's own moments, where there are any."""
    return _together(_of_entries(by, since, until, PLATFORMS_MOMENT))


def elsewhere(since: datetime, until: datetime, most: int) -> Sequence[Entry]:
    """The newest entries that belong into this time by our moments alone, or by the platform's alone."""
    here, there = and_(*ledger.between(since, until)), _when(since, until)
    moved = select(Entry).where(or_(here & not_(there), there & not_(here)))
    return db.session.scalars(moved.order_by(Entry.id.desc()).limit(most)).all()


def _of_kept(by: Collection[Part], first: date, last: date) -> list[Sum]:
    columns = {Part.DAY: DaySum.day, Part.ITEM: DaySum.item_id, Part.DEVICE: DaySum.device}
    parts = [one for one in Part if one in by]
    said = (*(columns[one] for one in parts), DaySum.channel, DaySum.unit, DaySum.kind)
    query = select(*said, func.sum(DaySum.count), func.sum(DaySum.amount))
    rows = fresh().execute(query.where(DaySum.day.between(first, last)).group_by(*said))
    return [_sum(parts, tuple(row)) for row in rows]


def _of_entries(
    by: Collection[Part], since: datetime, until: datetime, at: ColumnElement[datetime] | None = None
) -> list[Sum]:
    columns = {
        Part.DAY: japan_day(Entry.entered_at if at is None else at),
        Part.ITEM: Entry.item_id,
        Part.DEVICE: Entry.device,
    }
    parts = [one for one in Part if one in by]
    said = (*(columns[one] for one in parts), Entry.channel, Entry.unit, Entry.kind)
    when = and_(*ledger.between(since, until)) if at is None else _when(since, until)
    rows = db.session.execute(select(*said, func.count(), func.sum(Entry.amount)).where(when).group_by(*said))
    return [_sum(parts, tuple(row)) for row in rows]


def _sum(parts: Sequence[Part], row: tuple[Any, ...]) -> Sum:
    *said, channel, unit, kind, count, amount = row
    texts = {one: "" if value is None else str(value) for one, value in zip(parts, said, strict=True)}
    return Sum(texts, Total(channel, kind, unit, int(count), int(amount)))


def _together(found: Sequence[Sum]) -> Sequence[Sum]:
    """What is alike added up, in the order in which it is read."""
    added: dict[tuple[object, ...], Sum] = {}
    for one in found:
        place, total = _place(one), one.total
        before = added[place].total if place in added else replace(total, count=0, amount=0)
        both = replace(total, count=before.count + total.count, amount=before.amount + total.amount)
        added[place] = replace(one, total=both)
    return [added[place] for place in sorted(added)]


def _place(one: Sum) -> tuple[Any, ...]:
    return (*one.parts.values(), one.total.channel, one.total.unit, list(Kind).index(one.total.kind))


def _when(since: datetime, until: datetime) -> ColumnElement[bool]:
    """By the platform's moments; each half has an index."""
    told = (Entry.platform_at >= since) & (Entry.platform_at < until)
    return or_(told, Entry.platform_at.is_(None) & and_(*ledger.between(since, until)))
