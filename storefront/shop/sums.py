"""The book summed up: always by counter, unit and kind, and by what else is asked for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, func, not_, or_, select

from storefront.db import db, japan_day
from storefront.shop import ledger
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


def of(by: Collection[Part], since: datetime, until: datetime, *, by_platform: bool = False) -> Sequence[Sum]:
    """The sums from `since` to just before `until`, told apart by these parts.

    `by_platform` goes by the platform's own moments, where there are any.
    """
    at = PLATFORMS_MOMENT if by_platform else Entry.entered_at
    columns = {Part.DAY: japan_day(at), Part.ITEM: Entry.item_id, Part.DEVICE: Entry.device}
    parts = [one for one in Part if one in by]
    said = (*(columns[one] for one in parts), Entry.channel, Entry.unit, Entry.kind)
    when = _when(since, until) if by_platform else and_(*ledger.between(since, until))
    rows = db.session.execute(select(*said, func.count(), func.sum(Entry.amount)).where(when).group_by(*said))
    found = [_sum(parts, tuple(row)) for row in rows]
    return sorted(
        found, key=lambda one: (*one.parts.values(), one.total.channel, one.total.unit, _place(one))
    )


def elsewhere(since: datetime, until: datetime, most: int) -> Sequence[Entry]:
    """The newest entries that belong into this time by our moments alone, or by the platform's alone."""
    here, there = and_(*ledger.between(since, until)), _when(since, until)
    moved = select(Entry).where(or_(here & not_(there), there & not_(here)))
    return db.session.scalars(moved.order_by(Entry.id.desc()).limit(most)).all()


def daily(since: datetime, until: datetime) -> Sequence[tuple[date, Total]]:
    """The sums of each day in Japan, the oldest first; days and kinds without an entry are left out."""
    said = (japan_day(Entry.entered_at), Entry.channel, Entry.kind, Entry.unit)
    query = select(*said, func.count(), func.sum(Entry.amount)).where(*ledger.between(since, until))
    rows = db.session.execute(query.group_by(*said).order_by(*said))
    return [
        (date.fromisoformat(day), Total(channel, kind, unit, count, int(amount)))
        for day, channel, kind, unit, count, amount in rows
    ]


def _sum(parts: Sequence[Part], row: tuple[Any, ...]) -> Sum:
    *said, channel, unit, kind, count, amount = row
    texts = {one: "" if value is None else str(value) for one, value in zip(parts, said, strict=True)}
    return Sum(texts, Total(channel, kind, unit, count, int(amount)))


def _place(one: Sum) -> tuple[object, ...]:
    return (*one.parts.values(), one.total.channel, one.total.unit, list(Kind).index(one.total.kind))


def _when(since: datetime, until: datetime) -> ColumnElement[bool]:
    """By the platform's moments; each half has an index."""
    told = (Entry.platform_at >= since) & (Entry.platform_at < until)
    return or_(told, Entry.platform_at.is_(None) & and_(*ledger.between(since, until)))
