"""A shop that sells, and a game's server before it, with the token."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from storefront import Settings, clock
from storefront.db import db, transaction
from storefront.sandbox.key_pairs import KeyPair
from storefront.shop import customers, inventory
from tests.street import HANAKO, SETTINGS, for_all

TOKEN = "the token of the game, of 32 characters"


def said(answer: TestResponse) -> Any:
    """What an answer says."""
    return answer.json


class Game:
    """Asks the shop as a game's server does."""

    def __init__(self, app: Flask, token: str = TOKEN) -> None:
        self.client = app.test_client()
        self.headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str, **query: Any) -> TestResponse:
        return self.client.get(f"/game{path}", query_string=query or None, headers=self.headers)

    def holdings(self, who: str = HANAKO, channel: str = "mixi") -> Mapping[str, int]:
        answer = self.get(f"/customers/{channel}/{who}/holdings")
        assert answer.status_code == 200, answer.text
        return {one["item"]: one["quantity"] for one in said(answer)["holdings"]}

    def use(self, key: str | None, quantity: Any = 1, item: str = "loaf", **more: Any) -> TestResponse:
        wish = {"channel": "mixi", "external_id": HANAKO, "item": item, "quantity": quantity, **more}
        headers = {**self.headers, **({"Idempotency-Key": key} if key is not None else {})}
        return self.client.post("/game/uses", json=wish, headers=headers)

    def changes(self, after: str | None = None, **query: Any) -> Mapping[str, Any]:
        answer = self.get("/changes", **query, **({"after": after} if after else {}))
        assert answer.status_code == 200, answer.text
        page: Mapping[str, Any] = said(answer)
        return page


@pytest.fixture(scope="session")
def usual_settings(pair: KeyPair) -> Settings:
    """A shop that a game is connected to."""
    return Settings.model_validate({**SETTINGS, "mixi_certificates": for_all(pair), "game_token": TOKEN})


@pytest.fixture
def game(app: Flask) -> Game:
    return Game(app)


@pytest.fixture
def give(app: Flask) -> Callable[..., None]:
    return partial(give_in, app)


def give_in(
    app: Flask, count: int = 1, item: str = "loaf", who: str = HANAKO, key: str = "", is_test: bool = False
) -> None:
    """So many of an item for somebody, each under a key of its own, or the one that is named."""
    with app.app_context():
        customer, now = customers.meet("mixi", who, clock.now()).id, clock.now()
        with transaction() as session:
            for number in range(count):
                named = key or f"mixi:{item}{now.timestamp()}{number}"
                inventory.grant(session, customer, item, named, now, is_test=is_test)
        db.session.remove()
