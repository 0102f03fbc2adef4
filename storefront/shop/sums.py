"""The book summed up: always by counter, unit and kind, and by what else is asked for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select, union_all

from storefront.db import db, fresh, japan_day
from storefront.shop import day_sums
from storefront.shop.day_sums import ONE_DAY, OURS, PLATFORMS, Calendar, begin
from storefront.shop.ledger import Entry, Kind, Total


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


def of(
    by: Collection[Part], first: date, last: date, today: date, calendar: Calendar = OURS
) -> Sequence[Sum]:
    """The sums from the first day to the last of a calendar, told apart by these parts.

    Those of days that are over are kept.
    """
    over = min(last, today - ONE_DAY)
    is_kept = day_sums.keep(calendar, first, over)
    found = _of_kept(calendar, by, first, over) if is_kept else []
    rest = max(first, today) if is_kept else first
    if rest <= last:
        found += _of_entries(calendar, by, begin(rest), begin(last + ONE_DAY))
    return _together(found)


def elsewhere(since: datetime, until: datetime, most: int) -> Sequence[Entry]:
    """The newest entries that belong into this time by our moments alone, or by the platform's alone."""
    (here,) = OURS.halves(since, until)
    there, _ = PLATFORMS.halves(since, until)
    # Apart, each is answered by an index.
    moved = [select(Entry.id).where(here & ~there), select(Entry.id).where(there & ~here)]
    found = select(Entry).where(Entry.id.in_(union_all(*moved)))
    return db.session.scalars(found.order_by(Entry.id.desc()).limit(most)).all()


def _of_kept(calendar: Calendar, by: Collection[Part], first: date, last: date) -> list[Sum]:
    kept = calendar.table
    columns = {Part.DAY: kept.day, Part.ITEM: kept.item_id, Part.DEVICE: kept.device}
    parts = [one for one in Part if one in by]
    said = (*(columns[one] for one in parts), kept.channel, kept.unit, kept.kind)
    query = select(*said, func.sum(kept.count), func.sum(kept.amount))
    rows = fresh().execute(query.where(kept.day.between(first, last)).group_by(*said))
    return [_sum(parts, tuple(row)) for row in rows]


def _of_entries(calendar: Calendar, by: Collection[Part], since: datetime, until: datetime) -> list[Sum]:
    found = day_sums.entries(calendar, since, until).c
    columns = {Part.DAY: japan_day(found.at), Part.ITEM: found.item_id, Part.DEVICE: found.device}
    parts = [one for one in Part if one in by]
    said = (*(columns[one] for one in parts), found.channel, found.unit, found.kind)
    rows = db.session.execute(select(*said, func.count(), func.sum(found.amount)).group_by(*said))
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
