"""What the operator sees of the game: when it has last asked, and how far behind it is."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from lxml import html
from sqlalchemy import update

from storefront import Settings, clock, create_app, metrics
from storefront.db import transaction
from storefront.game.polls import Poll
from tests.command import run
from tests.databases import on_sqlite
from tests.game.conftest import TOKEN, Game
from tests.operators import Operator

pytestmark = [pytest.mark.long, on_sqlite]

HOME = "/operator/today"
EN, JA = "Changes the game has not fetched", "ゲームが未取得の変更"


def matter(app: Flask, language: str = "en") -> tuple[str, str, str]:
    """Its words, whether all is well, and the number."""
    page = html.fromstring(Operator(app, language).get(HOME).text)
    (found,) = [one for one in page.cssselect(".matters > li") if {EN, JA} & set(heads(one.text_content()))]
    return found.text_content(), found.get("data-good", ""), found.get("data-count", "")


def heads(text: str) -> list[str]:
    return [words for words in (EN, JA) if text.strip().startswith(words)]


def asked_ago(app: Flask, seconds: int) -> None:
    with app.app_context(), transaction() as session:
        session.execute(update(Poll).values(polled_at=clock.now() - timedelta(seconds=seconds)))


def test_today(app: Flask, game: Game, give: Callable[..., None]) -> None:
    """A game that never asked is told of once there is something for it, and one that is silent for long."""
    words, good, count = matter(app)
    assert "never asked" in words
    assert (good, count) == ("yes", "0")
    give(3)
    words, good, count = matter(app)
    assert (good, count) == ("no", "3")
    assert "sends the token" in words
    cursor = game.changes()["cursor"]
    asked_ago(app, 99)
    game.changes(cursor)
    words, good, count = matter(app, "ja")
    assert f"最後の問い合わせ：{clock.now().astimezone(clock.JAPAN):%Y-%m-%d}" in words.replace(" ", "")
    assert (good, count) == ("yes", "0")
    asked_ago(app, 601)
    assert matter(app)[1:] == ("yes", "0")  # silent, and nothing waits
    give(1)
    words, good, count = matter(app, "ja")
    assert (good, count) == ("no", "1")
    assert "トークン" in words
    asked_ago(app, 599)
    assert matter(app)[1:] == ("yes", "1")


def test_the_number(app: Flask, give: Callable[..., None]) -> None:
    give(4)
    with app.app_context():
        assert metrics.gauges()["game_behind"] == 4


def test_without_a_game(settings: Settings) -> None:
    """Where no game is connected the operator's home and the numbers say nothing of one."""
    app = create_app(settings.model_copy(update={"game_token": None}))
    assert EN not in Operator(app).get(HOME).text
    with app.app_context():
        assert "game_behind" not in metrics.gauges()


def test_the_doctor(settings: Settings) -> None:
    """A token that is our own key is found, and the one that is good is counted, never shown."""
    said = run(settings, "doctor").stdout
    assert f"the game's token {len(TOKEN)}" in said
    assert TOKEN not in said
    key = settings.secret_key
    said = run(settings.model_copy(update={"game_token": key}), "doctor").stdout
    assert "SECRET_KEY is the game's token, STOREFRONT_GAME_TOKEN" in said
