"""The store's calendar: it stands still until it is turned, and is always in Japan.

OAuth codes, forms and the limit of requests keep real time.
"""

from datetime import date, datetime, time, timedelta, timezone

from sqlalchemy import update
from sqlalchemy.orm import Mapped, mapped_column

from storefront.sandbox.colorme.store import Base, reading, transaction
from storefront.sandbox.storefile import Moment

JAPAN = timezone(timedelta(hours=9))
NOON = time(12)
ONE = 1


class Calendar(Base):
    """The one row: where it stands, and while it is being turned, where it will."""

    __tablename__ = "calendar"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment)
    began_at: Mapped[datetime] = mapped_column(Moment)
    turned_from: Mapped[datetime | None] = mapped_column(Moment)
    target: Mapped[datetime | None] = mapped_column(Moment)
    # Whether the app's cron runs; while it is down, what it does every day is left undone.
    runs_daily: Mapped[bool] = mapped_column(default=True)


def now() -> datetime:
    """The store's moment, in Japan."""
    return standing().at.astimezone(JAPAN)


def today() -> date:
    return now().date()


def standing() -> Calendar:
    with reading() as session:
        return session.get_one(Calendar, ONE)


def at(day: date, hour: time = NOON) -> datetime:
    """This hour of this day in Japan."""
    return datetime.combine(day, hour, JAPAN)


def midnight(day: date) -> datetime:
    """The moment at which this day begins."""
    return at(day, time(0))


def stamp(moment: datetime) -> int:
    return int(moment.timestamp())


def tick() -> datetime:
    """A second passes, so that no two installs or uninstalls share one; never over midnight."""
    with transaction() as session:
        standing = session.get_one(Calendar, ONE)
        here = standing.at.astimezone(JAPAN)
        after = here + timedelta(seconds=1)
        if after.date() == here.date():
            standing.at = here = after
    return here


def move(**values: datetime | bool | None) -> None:
    """Set the calendar."""
    with transaction() as session:
        session.execute(update(Calendar).where(Calendar.id == ONE).values(**values))
