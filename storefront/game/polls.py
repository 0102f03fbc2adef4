"""The changes as a game follows them, and when it has last asked for some."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column

from storefront.db import Model, db, transaction, upsert
from storefront.game.cursors import START, Cursor
from storefront.game.problems import CursorGone
from storefront.shop import changes
from storefront.shop.changes import Change

ONLY = 1  # the id of the one row
COUNTED = 10_000  # changes that wait; more are as many
# A poll with nothing new costs no write, and one that has come further not one each time.
IDLE, STEP = timedelta(seconds=10), timedelta(seconds=1)
APART = timedelta(minutes=1)  # between two hosts' clocks; what was noted further ahead, a wrong one has noted


class Poll(Model):
    """When a game was last known to ask, and after which place."""

    __tablename__ = "game_poll"

    id: Mapped[int] = mapped_column(primary_key=True)
    place: Mapped[int]
    polled_at: Mapped[datetime]


@dataclass(frozen=True)
class Page:
    """Some of the changes, each with its cursor, and where to go on from."""

    changes: Sequence[tuple[Cursor, Change]]
    cursor: Cursor
    more: bool


@dataclass(frozen=True)
class Standing:
    """When a game has last asked, if it ever did, and how many changes it has not asked beyond.

    The first of these has waited since a moment; a game that asks the same again and again lets it wait, too.
    """

    polled_at: datetime | None
    behind: int
    waits_since: datetime | None

    def waited(self, now: datetime) -> float:
        """For how many seconds."""
        return max(0.0, (now - self.waits_since).total_seconds()) if self.waits_since else 0.0


def poll(after: Cursor, most: int, now: datetime) -> Page:
    """The changes after a cursor, so many at most. Raises CursorGone."""
    if after != START and not _fits(after):
        raise CursorGone
    _note(after.place, now)
    found, more = changes.following(after.place, most)
    read = [(Cursor.of(one.place, one.key, one.at), one) for one in found]
    return Page(read, read[-1][0] if read else after, more)


def standing() -> Standing:
    """How the game stands, for the operator."""
    last = db.session.get(Poll, ONLY)
    place = last.place if last else 0
    behind = changes.count_following(place, COUNTED)
    return Standing(last.polled_at if last else None, behind, changes.next_at(place))


def _fits(cursor: Cursor) -> bool:
    stands = changes.at(cursor.place)
    return stands is not None and Cursor.of(cursor.place, *stands) == cursor


def _note(place: int, now: datetime) -> None:
    last = db.session.execute(select(Poll.place, Poll.polled_at)).one_or_none()
    if last and -APART < now - last.polled_at < (IDLE if last.place == place else STEP):
        return
    values = {"place": place, "polled_at": now}
    with transaction() as session:
        kept = upsert(session, Poll).values(id=ONLY, **values)
        session.execute(kept.on_conflict_do_update(index_elements=["id"], set_=values))
