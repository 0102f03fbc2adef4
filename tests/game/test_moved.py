"""A shop that moves to PostgreSQL while a game follows it."""

from collections.abc import Callable

import pytest
from flask import Flask

from storefront import Settings
from tests.databases import on_sqlite
from tests.game.conftest import Game, give_in
from tests.moving import moved, new_home
from tests.street import HANAKO


@pytest.mark.long
@on_sqlite
def test_a_game_reads_on(
    app: Flask,
    game: Game,
    give: Callable[..., None],
    settings: Settings,
    postgresql: str,
    full_shelf_on_postgresql: str,
) -> None:
    """Its cursor is still good, a use that is sent again is the same, and nothing is told twice or missed."""
    give(3)
    cursor = game.changes()["cursor"]
    first = game.use("a")
    give(key="mixi:unread")
    with moved(app, settings, new_home(settings, postgresql, full_shelf_on_postgresql)) as shop:
        there = Game(shop)
        assert there.use("a").data == first.data
        page = there.changes(cursor)
        assert [change["cause"] for change in page["changes"]] == ["game:a", "mixi:unread"]
        give_in(shop, key="mixi:new")
        assert [change["cause"] for change in there.changes(page["cursor"])["changes"]] == ["mixi:new"]
        assert there.holdings(HANAKO) == {"loaf": 4}
