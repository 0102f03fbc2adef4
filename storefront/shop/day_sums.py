"""What each day in Japan came to: summed up once it is over, and kept.

An entry is never changed and never taken away, so a day's sums are right as long as they count as many
entries as the day has. Of two who sum up a day at the same moment the database refuses one, who then reads
the entries themselves.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

import structlog
from sqlalchemy import BigInteger, String, delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from storefront.clock import JAPAN
from storefront.db import Model, fresh, transaction, words
from storefront.shop.ledger import Entry, Kind, between

ONE_DAY = timedelta(days=1)

log = structlog.get_logger()


class DaySum(Model):
    """A day's entries of a kind at a counter, of one item and device; these are empty where not known."""

    __tablename__ = "day_sum"

    day: Mapped[date] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(String(16), primary_key=True)
    unit: Mapped[str] = mapped_column(String(8), primary_key=True)
    kind: Mapped[Kind] = mapped_column(words(Kind), primary_key=True)
    item_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    device: Mapped[str] = mapped_column(String(16), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    amount: Mapped[int] = mapped_column(BigInteger)


def begin(day: date) -> datetime:
    """Midnight in Japan."""
    return datetime.combine(day, time(), JAPAN)


def keep(first: date, last: date) -> bool:
    """See to it that the sums of all these days are kept, and right. False where they cannot be written."""
    try:
        _keep(first, last)
    except SQLAlchemyError as failure:
        fresh()
        log.warning("sums of days not kept", reason=type(failure).__name__)
        return False
    return True


def _keep(first: date, last: date) -> None:
    if first > last or _kept(first, last) == _entered(first, last):
        return
    if first == last:
        _sum_up(first)
        return
    middle = first + (last - first) // 2
    _keep(first, middle)
    _keep(middle + ONE_DAY, last)


def _kept(first: date, last: date) -> int:
    counted = select(func.sum(DaySum.count)).where(DaySum.day.between(first, last))
    return int(fresh().scalar(counted) or 0)


def _entered(first: date, last: date) -> int:
    """The index of moments answers this by itself."""
    found = select(func.count()).select_from(Entry).where(*between(begin(first), begin(last + ONE_DAY)))
    return fresh().scalar(found) or 0


def _sum_up(day: date) -> None:
    """Read first and write then, so that no sale waits for the reading."""
    found = _sums(day)
    with transaction() as session:
        session.execute(delete(DaySum).where(DaySum.day == day))
        if found:
            session.execute(insert(DaySum), found)


def _sums(day: date) -> Sequence[dict[str, object]]:
    said = (Entry.channel, Entry.unit, Entry.kind, Entry.item_id, Entry.device)
    sums = (func.count().label("count"), func.sum(Entry.amount).label("amount"))
    of_day = between(begin(day), begin(day + ONE_DAY))
    rows = fresh().execute(select(*said, *sums).where(*of_day).group_by(*said)).mappings()
    return [
        {"day": day, **row, "item_id": row["item_id"] or "", "device": row["device"] or ""} for row in rows
    ]
