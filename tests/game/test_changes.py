"""The changes in an order that stays: none is seen twice, and none is passed over that commits late."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.orm import Session

from storefront import clock
from storefront.db import db, transaction
from storefront.game import polls
from storefront.game.cursors import Cursor
from storefront.game.polls import Poll
from storefront.shop import changes, customers, inventory
from storefront.shop.changes import Placing
from storefront.shop.inventory import Grant
from tests.databases import on_postgresql
from tests.game.conftest import Game, said
from tests.game.test_uses import type_of
from tests.street import HANAKO

pytestmark = pytest.mark.money

Give = Callable[..., None]


def causes(page: Mapping[str, Any]) -> list[str]:
    return [one["cause"] for one in page["changes"]]


def followed(game: Game, after: str | None = None, **query: Any) -> list[str]:
    """All that there is to be had, page by page."""
    read: list[str] = []
    more = True
    while more:
        page = game.changes(after, **query)
        read, after, more = read + causes(page), page["cursor"], page["more"]
    return read


def test_what_becomes_of_an_item(app: Flask, game: Game, give: Give) -> None:
    """Sold, taken back, found to be a test, given, used: each with its cause, and the sale it is of."""
    give(key="mixi:one")
    give(key="mixi:two")
    with app.app_context(), transaction() as session:
        hanako = session.scalars(select(Grant.customer_id)).first()
        assert hanako
        now = clock.now()
        inventory.take_back(session, hanako, "loaf", "void:one", now, of="mixi:one")
        inventory.count_as_test(session, hanako, "loaf", "test:two", now, of="mixi:two")
        assert inventory.put_right(session, hanako, "loaf", 2, "hand:x", now)
    game.use("a", 2)
    told = [
        (one["kind"], one["quantity"], one["test"], one["cause"], one["of"])
        for one in game.changes()["changes"]
    ]
    assert told == [
        ("sold", 1, False, "mixi:one", None),
        ("sold", 1, False, "mixi:two", None),
        ("taken_back", -1, False, "void:one", "mixi:one"),
        ("recounted", -1, False, "test:two:sale", "mixi:two"),
        ("recounted", 1, True, "test:two:test", "mixi:two"),
        ("given", 2, False, "hand:x", None),
        ("used", -2, False, "game:a", None),
    ]
    (loaf,) = said(game.get(f"/customers/mixi/{HANAKO}/holdings"))["holdings"]
    assert loaf == {"item": "loaf", "quantity": 1, "tests": 1}


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
def test_page_by_page(game: Game, give: Give, limit: int) -> None:
    """However few it takes at a time, a game sees each change once, and then none."""
    give(3)
    game.changes(limit=1)
    give(4)
    read = followed(game, limit=limit)
    assert len(read) == len(set(read)) == 7
    page = game.changes(limit=limit)
    while page["more"]:
        assert len(page["changes"]) == limit
        page = game.changes(page["cursor"], limit=limit)
    empty = game.changes(page["cursor"])
    assert (empty["changes"], empty["cursor"], empty["more"]) == ([], page["cursor"], False)


def test_before_the_first_change(game: Game, give: Give) -> None:
    """The cursor of an empty shop is one to go on from."""
    empty = game.changes()
    assert (empty["changes"], empty["more"]) == ([], False)
    give(1)
    assert len(game.changes(empty["cursor"])["changes"]) == 1


def test_a_shop_that_has_long_sold(game: Game, give: Give, monkeypatch: pytest.MonkeyPatch) -> None:
    """A game that is connected late gets all there was; no poll gives more than its batch of places."""
    monkeypatch.setattr(changes, "BATCH", 11)
    give(25)
    assert len(followed(game, limit=10)) == 25


def test_nothing_new_costs_no_write(app: Flask, game: Game, give: Give) -> None:
    """A poll without news leaves every row as it was, until the operator's moment is old."""
    give(2)
    cursor = game.changes()["cursor"]
    game.changes(cursor)
    with app.app_context(), transaction() as session:
        session.execute(update(Poll).values(place=2))
        before = session.scalars(select(Poll.polled_at)).one()
    for _ in range(3):
        game.changes(cursor)
    with app.app_context():
        assert db.session.scalars(select(Poll.polled_at)).one() == before
        with transaction() as session:
            session.execute(update(Poll).values(polled_at=before - polls.IDLE))
    game.changes(cursor)
    with app.app_context():
        assert db.session.scalars(select(Poll.polled_at)).one() >= before


def test_two_pollers(app: Flask, game: Game, give: Give) -> None:
    """Servers of one game that ask at the same moment hear the same, place by place."""
    give(30)
    with ThreadPoolExecutor(4) as servers:
        heard = list(servers.map(lambda _: followed(Game(app), limit=7), range(4)))
    assert heard == [heard[0]] * 4
    assert len(set(heard[0])) == 30
    with app.app_context():
        last = db.session.scalars(select(Placing.last)).one()
        assert last == db.session.scalar(select(func.max(Grant.place))) == 30


@contextmanager
def open_sale(app: Flask, key: str) -> Iterator[Session]:
    """A sale that is not committed yet, on a connection of its own."""
    with app.app_context():
        engine, hanako = db.engine, customers.meet("mixi", HANAKO, clock.now()).id
        db.session.remove()
    with Session(engine) as session:
        inventory.grant(session, hanako, "loaf", key, clock.now())
        session.flush()
        yield session


def by_id(app: Flask, after: int) -> list[tuple[int, str]]:
    """The naive version: what has a greater id than what was read last."""
    with app.app_context():
        wanted = select(Grant.id, Grant.key).where(Grant.id > after).order_by(Grant.id)
        return [(number, key) for number, key in db.session.execute(wanted)]


@on_postgresql
def test_who_commits_late(app: Flask, game: Game) -> None:
    """The first of two sales to begin commits last: a game that reads in between misses it by ids alone."""
    with open_sale(app, "early") as early, open_sale(app, "late") as late:
        late.commit()
        first, naive = game.changes(), by_id(app, 0)
        early.commit()
    second, missed = game.changes(first["cursor"]), by_id(app, naive[-1][0])
    assert (causes(first), causes(second)) == (["late"], ["early"])
    assert ([key for _, key in naive], missed) == (["late"], [])  # so the naive version is caught


@on_postgresql
@pytest.mark.parametrize("dies", [False, True])
def test_places_are_given_one_poller_at_a_time(app: Flask, game: Game, give: Give, dies: bool) -> None:
    """What one poller has placed stays where it is, also when the next sees an earlier sale meanwhile.

    Who died between giving places and the commit has given none.
    """
    with open_sale(app, "early") as early, app.app_context():
        give(2)
        with Session(db.engine) as first, ThreadPoolExecutor(1) as other:
            changes._give_places(first)
            early.commit()
            second = other.submit(lambda: causes(Game(app).changes()))
            wait_for_a_lock(db.engine)
            first.rollback() if dies else first.commit()
            assert second.result().index("early") == (0 if dies else 2)
        assert db.session.scalars(select(Placing.last)).one() == 3
    assert len(followed(game)) == 3


def wait_for_a_lock(engine: Engine) -> None:
    """Until somebody waits for what another transaction holds."""
    until = clock.Deadline.after(5)
    waits = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    with Session(engine) as watching:
        while not watching.scalar(waits):
            watching.rollback()
            until.check()


def test_after_a_restore(app: Flask, game: Game, give: Give) -> None:
    """Come back from a backup, the shop tells a game that its cursor is of what was lost, and what to do."""
    give(2)
    kept = game.changes()["cursor"]
    give(2)
    lost = game.changes(kept)["cursor"]
    with app.app_context(), transaction() as session:  # as it was when `kept` was answered
        session.execute(text('DELETE FROM "grant" WHERE place > 2'))
        session.execute(update(Placing).values(last=2))
    for _ in range(2):
        answer = game.get("/changes", after=lost)
        assert (answer.status_code, type_of(answer)) == (410, "cursor-gone")
        assert "begin at the start" in said(answer)["detail"]
        give(2)  # and now there is another change at its place
        assert len(game.changes(kept)["changes"]) in (2, 4)


def test_after_a_restore_a_use_is_sent_again(app: Flask, game: Game, give: Give) -> None:
    """The same key at the same place is another change: what was sold before it was never heard of."""
    give(2)
    game.changes()
    give(key="mixi:lost")
    game.use("a")
    lost = game.changes()["cursor"]
    with app.app_context(), transaction() as session:  # as it was before both
        session.execute(text("DELETE FROM game_use"))
        session.execute(text('DELETE FROM "grant" WHERE place > 2'))
        session.execute(update(Placing).values(last=2))
    give(key="mixi:new")
    game.use("a")
    assert causes(game.changes())[2:] == ["mixi:new", "game:a"]
    answer = game.get("/changes", after=lost)
    assert (answer.status_code, type_of(answer)) == (410, "cursor-gone")


@pytest.mark.parametrize(
    "after", ["x", "1", "1.", "-1.00000000", "1.0000000G", "١.00000000", "1.00000000 ", "\0"]
)
def test_no_cursor(game: Game, after: str) -> None:
    """What was never answered is no cursor."""
    answer = game.get("/changes", after=after)
    assert (answer.status_code, type_of(answer)) == (400, "malformed")


def test_a_cursor_of_nowhere(game: Game, give: Give) -> None:
    """A place that nobody was told of leads nowhere, however far it is."""
    give(1)
    game.changes()
    for place in (0, 1, 7, 2**31 - 1, 2**31, 10**17, 10**18 - 1):
        answer = game.get("/changes", after=f"{place}.12345678")
        assert (answer.status_code, type_of(answer)) == (410, "cursor-gone")


def test_cursors_are_read_as_written() -> None:
    now = clock.now()
    cursor = Cursor.of(17, "mixi:one", now)
    assert Cursor.read(str(cursor)) == cursor
    assert Cursor.of(17, "mixi:two", now) != cursor
    assert Cursor.of(17, "mixi:one", now + timedelta(seconds=1)) != cursor


def test_how_far_behind(app: Flask, game: Game, give: Give) -> None:
    """Behind is what has changed beyond the place that was asked after last, with a place or without."""
    give(3)
    with app.app_context():
        assert (polls.standing().polled_at, polls.standing().behind) == (None, 3)
    game.changes(limit=2)
    give(2)
    with app.app_context():
        stands = polls.standing()
        assert stands.behind == 5
        assert stands.polled_at


def fetched(app: Flask, game: Game, **query: Any) -> None:
    """A game has asked for what is new, and later after that."""
    cursor = game.changes(**query)["cursor"]
    with app.app_context(), transaction() as session:
        session.execute(update(Poll).values(polled_at=clock.now() - timedelta(seconds=30)))
    game.changes(cursor)


@pytest.mark.parametrize("asks", [False, True])
def test_how_long_a_change_has_waited(app: Flask, game: Game, give: Give, asks: bool) -> None:
    """From the first one that was not asked beyond, placed or not, however often it is asked for the same."""
    give(2)
    fetched(app, game)
    with app.app_context():
        assert polls.standing().waited(clock.now() + timedelta(hours=1)) == 0
    give(key="first")
    give(key="second")
    if asks:
        fetched(app, game, limit=2)
    with app.app_context():
        first = db.session.scalars(select(Grant.granted_at).filter_by(key="first")).one()
        stands = polls.standing()
        assert stands.waits_since == first
        assert stands.waited(first + timedelta(seconds=9)) == 9
        assert stands.waited(first - timedelta(seconds=9)) == 0  # by a clock that is behind


def test_a_clock_that_was_ahead(app: Flask, game: Game, give: Give) -> None:
    """A poll that a host with a wrong clock has noted for tomorrow does not hide the next."""
    give(2)
    cursor = game.changes()["cursor"]
    tomorrow = clock.now() + timedelta(days=1)
    with app.app_context(), transaction() as session:
        session.execute(update(Poll).values(polled_at=tomorrow))
    game.changes(cursor)
    with app.app_context():
        stands = polls.standing()
        assert stands.polled_at
        assert stands.polled_at < tomorrow
        assert stands.behind == 0
