"""What a game uses: once for each key, never more than there is, and the answer stays the same."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from storefront import clock
from storefront.db import db
from storefront.shop import customers, inventory
from tests.game.conftest import Game, said
from tests.street import HANAKO, TARO

pytestmark = pytest.mark.money

Give = Callable[..., None]


def type_of(answer: TestResponse) -> str:
    assert answer.mimetype == "application/problem+json"
    assert said(answer)["status"] == answer.status_code
    return str(said(answer)["type"]).removeprefix("/game/problems/")


def test_used(game: Game, give: Give) -> None:
    """The game uses two of hanako's five loaves, and hears that three are left."""
    give(5)
    answer = game.use("a", 2)
    assert answer.status_code == 200
    assert answer.json == {
        "channel": "mixi", "external_id": HANAKO, "item": "loaf", "quantity": 2, "left": 3,
    }  # fmt: skip
    assert game.holdings() == {"loaf": 3}


def test_a_whole_number_is_one_however_it_is_written(game: Game, give: Give) -> None:
    """By the description 2.0 is 2, and under the same key the same."""
    give(5)
    first = game.use("a", 2.0)
    assert (first.status_code, said(first)["quantity"]) == (200, 2)
    assert game.use("a", 2).data == first.data
    assert game.holdings() == {"loaf": 3}


def test_the_same_answer_however_much_later(game: Game, give: Give) -> None:
    """Sent again it uses nothing and is told the same bytes, whatever has happened since."""
    give(5)
    first = game.use("a", 2)
    game.use("b", 3)
    give(7)
    again = game.use("a", 2)
    assert (again.status_code, again.data) == (200, first.data)
    assert game.holdings() == {"loaf": 7}


@pytest.mark.parametrize("other", [{"quantity": 1}, {"item": "fireworks"}, {"external_id": TARO}])
def test_a_key_for_something_else(game: Game, give: Give, other: dict[str, Any]) -> None:
    """A key that has used something uses nothing else, for whomever it is sent."""
    for who in (HANAKO, TARO):
        give(5, who=who)
        give(5, "fireworks", who=who)
    game.use("a", 2)
    answer = game.use("a", **{"quantity": 2, **other})
    assert (answer.status_code, type_of(answer)) == (422, "key-reused")
    assert game.holdings() == {"loaf": 3, "fireworks": 5}
    assert game.holdings(TARO) == {"loaf": 5, "fireworks": 5}


def test_too_few(game: Game, give: Give) -> None:
    """Who asks for more than there is gets none, and the key is good for another try."""
    give(2)
    answer = game.use("a", 3)
    assert (answer.status_code, type_of(answer), said(answer)["held"]) == (409, "too-few", 2)
    assert game.holdings() == {"loaf": 2}
    give(1)
    assert said(game.use("a", 3))["left"] == 0


@pytest.mark.parametrize("item", ["excalibur", "no such item"])
def test_not_consumable(game: Game, give: Give, item: str) -> None:
    """A sword is not used up, nor is what the shop does not sell."""
    give(1, "excalibur")
    answer = game.use("a", item=item)
    assert (answer.status_code, type_of(answer)) == (422, "not-consumable")


def test_a_stranger(game: Game, give: Give) -> None:
    """Whom the shop never met it does not make up, and nobody is known in another channel."""
    give(1)
    for more in ({"external_id": "nobody"}, {"channel": "colorme"}, {"channel": "nowhere"}):
        answer = game.use("a", **more)
        assert (answer.status_code, type_of(answer)) == (404, "no-such-customer")


def at_once(app: Flask, count: int, ask: Callable[[Game, int], TestResponse]) -> list[TestResponse]:
    """As many servers of a game, at the same moment."""
    start = Barrier(count)

    def send(number: int) -> TestResponse:
        game = Game(app)
        start.wait()
        return ask(game, number)

    with ThreadPoolExecutor(count) as servers:
        return list(servers.map(send, range(count)))


@pytest.mark.parametrize("held", [3, 4])
def test_one_key_at_the_same_moment(app: Flask, game: Game, give: Give, held: int) -> None:
    """Of four requests with one key one uses, even what there is to the last; all hear the same."""
    give(held)
    answers = at_once(app, 4, lambda server, number: server.use("a", 3))
    assert {(one.status_code, one.data) for one in answers} == {(200, answers[0].data)}
    assert game.holdings() == ({"loaf": held - 3} if held > 3 else {})


def test_one_key_for_two_customers_at_the_same_moment(app: Flask, game: Game, give: Give) -> None:
    """One of them is used for, whoever it is; the other request is refused."""
    for who in (HANAKO, TARO):
        give(1, who=who)
    whom = (HANAKO, TARO)
    answers = at_once(app, 4, lambda server, number: server.use("a", external_id=whom[number % 2]))
    assert sorted(one.status_code for one in answers) == [200, 200, 422, 422]
    assert len([who for who in whom if game.holdings(who)]) == 1


def test_the_buyers_own_button(app: Flask, game: Game, give: Give) -> None:
    """The buyer and the game want the same two loaves: together they have two, and none is below zero."""
    give(2)
    with app.app_context():
        hanako = customers.meet("mixi", HANAKO, clock.now()).id
        db.session.remove()

    def press(server: Game, number: int) -> TestResponse:
        with app.app_context():
            inventory.use(hanako, "loaf", f"press {number}", clock.now())
        return server.use(f"{number}")

    answers = at_once(app, 4, press)
    assert not game.holdings()
    kinds = [one["quantity"] for one in game.changes()["changes"] if one["kind"] == "used"]
    assert kinds == [-1, -1]
    assert {one.status_code for one in answers} <= {200, 409}
