"""A shop that comes back from its backup while the game goes on asking, over real HTTP."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from flask import Flask

from storefront import Settings, create_app
from storefront.db import db
from tests.command import environment, run
from tests.demo import free_ports, wait_for
from tests.game.conftest import give_in
from tests.game.server import Line
from tests.proof.served import AS_IN_PRODUCTION, gunicorn
from tests.street import HANAKO, TARO
from tests.test_operations import back_up, restore

pytestmark = pytest.mark.long

Give = Callable[..., None]
PAUSE, SECONDS = 0.05, 30.0


class Game(threading.Thread):
    """Sums up what everybody holds, change by change, and begins anew where its cursor is gone."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port, self.ending = port, threading.Event()
        self.answers: Counter[int] = Counter()
        self._forget()

    def run(self) -> None:
        with closing(Line(self.port)) as line:
            while not self.ending.is_set():
                after = f"?after={self.cursor}" if self.cursor else ""
                status, words = line.ask("GET", f"/game/changes{after}")
                if status == 200:
                    self._sum_up(json.loads(words))
                elif status == 410:
                    self._forget()
                self.answers[status] += 1
                self.ending.wait(PAUSE)

    def use(self, key: str) -> str:
        """A loaf of hanako's, with one key until there is an answer."""
        wish = {"channel": "mixi", "external_id": HANAKO, "item": "loaf", "quantity": 1}
        with closing(Line(self.port)) as line:
            while True:
                status, words = line.ask("POST", "/game/uses", wish, key)
                if status == 200:
                    return words
                time.sleep(PAUSE)

    def shop_says(self, who: str) -> int:
        with closing(Line(self.port)) as line:
            _, words = line.ask("GET", f"/game/customers/mixi/{who}/holdings")
        (loaves,) = json.loads(words)["holdings"]
        return int(loaves["quantity"])

    def hears_of(self, *causes: str) -> None:
        wait_for(lambda: {*causes} <= {*self.causes}, SECONDS)

    def _sum_up(self, page: Any) -> None:
        self.cursor = page["cursor"]
        for change in page["changes"]:
            self.causes.append(change["cause"])
            self.held[change["external_id"]] += change["quantity"]

    def _forget(self) -> None:
        self.cursor, self.causes, self.held = None, list[str](), Counter[str]()


def test_a_game_that_goes_on_asking(app: Flask, settings: Settings, give: Give, tmp_path: Path) -> None:
    """It hears that its cursor is gone, begins anew, and sends its uses again: its sums are the shop's."""
    (port,) = free_ports(1)
    game = Game(port)
    game.start()
    try:
        with serve(settings, tmp_path, port):
            give(3)
            give(key="mixi:before")
            first = game.use("before")
            game.hears_of("mixi:before", "game:before")
            back_up(settings, tmp_path / "copy")
            give(key="mixi:lost")
            game.use("after")
            game.hears_of("mixi:lost", "game:after")
            assert game.held == {HANAKO: 3}
        wait_for(lambda: game.answers[0] > 0, SECONDS)
        put_down(app)
        restored = restore(settings, tmp_path / "copy", tmp_path)
        upgraded = run(restored, "upgrade")
        assert upgraded.returncode == 0, upgraded.stderr
        with serve(restored, tmp_path, port):
            wait_for(lambda: game.answers[410] > 0, SECONDS)
            assert game.use("before") == first
            assert game.shop_says(HANAKO) == 3  # what was used after the backup is held again
            for _ in range(2):
                game.use("after")
            shop = create_app(restored)
            give_in(shop, who=TARO, key="mixi:new")
            put_down(shop)
            game.hears_of("game:after", "mixi:new")
            assert game.held == {HANAKO: game.shop_says(HANAKO), TARO: game.shop_says(TARO)}
            assert game.held == {HANAKO: 2, TARO: 1}
            assert len(game.causes) == len({*game.causes})
            assert game.answers[410] == 1
    finally:
        game.ending.set()
        game.join()
    assert set(game.answers) <= {0, 200, 410, 503}


def serve(settings: Settings, folder: Path, port: int) -> AbstractContextManager["Popen[bytes]"]:
    size = [*AS_IN_PRODUCTION, "--workers", "1", "--threads", "4"]
    return gunicorn(folder, "shop", port, "storefront:create_app()", size, environment(settings))


def put_down(app: Flask) -> None:
    """This process has nothing to do with its database any more."""
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
