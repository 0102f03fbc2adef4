"""What the operator sees of the game: when it has last asked, and how far behind it is."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from lxml import html
from sqlalchemy import update

from storefront import Settings, clock, create_app, metrics
from storefront.db import transaction
from storefront.game import ADVICE, LAST_ASKED, NEVER_ASKED, UNFETCHED
from storefront.shop.inventory import Grant
from tests.command import run
from tests.databases import on_sqlite
from tests.game.conftest import TOKEN, Game
from tests.game.test_changes import fetched
from tests.operators import Operator, in_words

pytestmark = [pytest.mark.long, on_sqlite]

HOME = "/operator/today"


def matter(app: Flask, language: str = "en") -> tuple[str, str, str]:
    """Its words, whether all is well, and the number."""
    page = html.fromstring(Operator(app, language).get(HOME).text)
    called = in_words(app, UNFETCHED, language)
    (found,) = [one for one in page.cssselect(".matters > li") if one.cssselect("strong")[0].text == called]
    return found.text_content(), found.get("data-good", ""), found.get("data-count", "")


def sold_ago(app: Flask, seconds: int) -> None:
    with app.app_context(), transaction() as session:
        session.execute(update(Grant).values(granted_at=clock.now() - timedelta(seconds=seconds)))


def doctor(settings: Settings) -> str:
    (said,) = [line for line in run(settings, "doctor").stdout.splitlines() if line[6:].startswith("game ")]
    return said


def test_today(app: Flask, game: Game, give: Callable[..., None]) -> None:
    """A game is told of once changes have waited for long, whether it is silent or asks for the same."""
    words, good, count = matter(app)
    assert in_words(app, NEVER_ASKED) in words
    assert (good, count) == ("yes", "0")
    give(3)
    assert matter(app)[1:] == ("yes", "3")  # they are new
    sold_ago(app, 601)
    words, good, count = matter(app)
    assert (good, count) == ("no", "3")
    assert in_words(app, ADVICE) in words
    game.changes()
    assert matter(app)[1:] == ("no", "3")  # it has heard of them, and may fail at the first
    fetched(app, game)
    words, good, count = matter(app, "ja")
    asked = f"{in_words(app, LAST_ASKED, 'ja')}{clock.now().astimezone(clock.JAPAN):%Y-%m-%d}"
    assert asked.replace(" ", "") in words.replace(" ", "")
    assert (good, count) == ("yes", "0")
    give(1)
    sold_ago(app, 599)
    assert matter(app)[1:] == ("yes", "1")
    sold_ago(app, 601)
    words, good, count = matter(app, "ja")
    assert (good, count) == ("no", "1")
    assert in_words(app, ADVICE, "ja") in words


def test_the_numbers(app: Flask, give: Callable[..., None]) -> None:
    """They are told to Prometheus, by the names that the kit's alerts have."""
    give(4)
    sold_ago(app, 700)
    with app.app_context():
        told = metrics.gauges()
    assert told["game_behind"] == 4
    assert 700 <= told["game_waiting_seconds"] < 730
    alerts = (Path(__file__).parents[2] / ".deploy" / "alerts-game.yaml").read_text()
    assert {name.removeprefix("storefront_") for name in re.findall(r"storefront_\w+", alerts)} <= told.keys()


def test_without_a_game(settings: Settings) -> None:
    """Where no game is connected the operator's home and the numbers say nothing of one."""
    app = create_app(settings.model_copy(update={"game_token": None}))
    assert in_words(app, UNFETCHED) not in Operator(app).get(HOME).text
    with app.app_context():
        assert "game_behind" not in metrics.gauges()


def test_the_doctor_asks_after_it(
    app: Flask, settings: Settings, game: Game, give: Callable[..., None]
) -> None:
    """When it has last asked, and a warning once changes wait for too long."""
    assert doctor(settings).startswith("ok    game           it has never asked, and 0 changes wait")
    give(2)
    sold_ago(app, 601)
    said = doctor(settings)
    assert said.startswith("warn  game           2 changes wait for it, the first for 60")
    assert "it has never asked; look whether its server runs" in said
    fetched(app, game)
    assert "it has last asked at 20" in doctor(settings)
    assert doctor(settings).startswith("ok")


def test_the_doctor(settings: Settings) -> None:
    """A token that is our own key is found, and the one that is good is counted, never shown."""
    said = run(settings, "doctor").stdout
    assert f"the game's token {len(TOKEN)}" in said
    assert TOKEN not in said
    key = settings.secret_key
    said = run(settings.model_copy(update={"game_token": key}), "doctor").stdout
    assert "SECRET_KEY is the game's token, STOREFRONT_GAME_TOKEN" in said
