"""What everybody holds, as the town knows it: the sum of the shop's changes, each counted once.

read_on()   take in what is new
things()    what somebody holds, as far as we know

The cursor moves in the transaction that takes in its changes, and only from where it stood: of two who read
at once, one takes them in. Where the shop does not know our cursor any more, a round begins: all changes are
read from the first, while the town still shows the round before, or what the shop says somebody holds.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Update, delete, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.sandbox import clock
from storefront.sandbox.game import client
from storefront.sandbox.game.client import Change, News, Refused, Silent
from storefront.sandbox.game.context import Game
from storefront.sandbox.game.faults import Fault
from storefront.sandbox.game.store import Base, reading, transaction
from storefront.sandbox.storefile import Moment

USED, TAKEN_BACK = "used", "taken_back"  # the shop's words


class Bookmark(Base):
    """How far we have read. There is one row."""

    __tablename__ = "bookmark"

    id: Mapped[int] = mapped_column(primary_key=True)
    round: Mapped[int] = mapped_column(default=1)
    shown: Mapped[int] = mapped_column(default=0)  # the last round that was read to its end
    cursor: Mapped[str | None]
    read_at: Mapped[datetime | None] = mapped_column(Moment)

    @property
    def is_whole(self) -> bool:
        return self.round == self.shown


class Thing(Base):
    """What somebody holds of one item; how many they have used, and how many were taken back."""

    __tablename__ = "thing"

    round: Mapped[int] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    item: Mapped[str] = mapped_column(primary_key=True)
    quantity: Mapped[int]
    tests: Mapped[int]
    used: Mapped[int]
    taken_back: Mapped[int]


def read_on(game: Game, fault: Fault | None = None) -> str:
    """Take in what is new. What was in the way, in a word; nothing if nothing was."""
    trouble = ""
    for _ in range(game.settings.pages_at_once):
        before = bookmark()
        try:
            news = client.changes(game, before.cursor, fault)
        except (Silent, Refused) as why:
            if str(why) != client.CURSOR_GONE or trouble:
                return trouble or str(why)
            trouble, fault = client.CURSOR_GONE, None
            _begin_anew(before)
            continue
        fault = None
        _take_in(before, news)
        if not news.more:
            break
    return trouble


def bookmark() -> Bookmark:
    """How far we have read."""
    with reading() as session:
        found = session.get(Bookmark, 1)
    if found is None:
        with transaction() as session:
            first = insert(Bookmark).values(id=1, round=1, shown=0)
            session.execute(first.on_conflict_do_nothing())
            found = session.get_one(Bookmark, 1)
    return found


def things(channel: str, external_id: str) -> Sequence[Thing]:
    """What somebody holds, or held, as the last whole round has it."""
    mine = (Thing.channel == channel, Thing.external_id == external_id)
    shown = select(Bookmark.shown).scalar_subquery()
    with reading() as session:
        return session.scalars(select(Thing).where(*mine, Thing.round == shown).order_by(Thing.item)).all()


def _begin_anew(before: Bookmark) -> None:
    with transaction() as session:
        session.execute(_still(before).values(round=before.round + 1, cursor=None))


def _take_in(before: Bookmark, news: News) -> None:
    with transaction() as session:
        moved = _still(before).values(cursor=news.cursor, read_at=clock.now()).returning(Bookmark.id)
        if session.execute(moved).first() is None:
            return
        for change in news.changes:
            _add(session, before.round, change)
        if not news.more:
            session.execute(update(Bookmark).values(shown=before.round))
            session.execute(delete(Thing).where(Thing.round != before.round))


def _still(before: Bookmark) -> Update:
    stands = (Bookmark.round == before.round, Bookmark.cursor.is_not_distinct_from(before.cursor))
    return update(Bookmark).where(*stands)


def _add(session: Session, number: int, change: Change) -> None:
    sums = {
        "quantity": change.quantity,
        "tests": change.quantity if change.test else 0,
        "used": -change.quantity if change.kind == USED else 0,
        "taken_back": -change.quantity if change.kind == TAKEN_BACK else 0,
    }
    whose = {"channel": change.channel, "external_id": change.external_id, "item": change.item}
    added = insert(Thing).values(round=number, **whose, **sums)
    more = {name: getattr(Thing, name) + getattr(added.excluded, name) for name in sums}
    session.execute(added.on_conflict_do_update(index_elements=["round", *whose], set_=more))
