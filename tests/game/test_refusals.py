"""What a game is refused, and that a stranger is told nothing: every answer in one shape."""

import json
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from pydantic import SecretStr
from sqlalchemy import text
from werkzeug.test import TestResponse

from storefront import Settings, clock, create_app
from storefront.db import db
from storefront.game import problems
from storefront.shop import customers
from tests.databases import on_sqlite
from tests.game.conftest import TOKEN, Game, said
from tests.game.test_uses import type_of
from tests.street import HANAKO, SHOP, Container

pytestmark = pytest.mark.long

Give = Callable[..., None]

BODY = {"channel": "mixi", "external_id": HANAKO, "item": "loaf", "quantity": 1}
ADDRESSES = [
    "/game/changes",
    f"/game/customers/mixi/{HANAKO}/holdings",
    "/game/uses",
    "/game/nothing",
    "/game/",
    "/game",
]
NEW_TOKEN = "the token to come, of 32 characters"


def use(game: Game, body: bytes | str, key: str = "a", **headers: str) -> TestResponse:
    sent = {"Content-Type": "application/json", "Idempotency-Key": key, **headers, **game.headers}
    return game.client.post("/game/uses", data=body, headers=sent)


@on_sqlite
@pytest.mark.parametrize("token", [None, TOKEN])
def test_no_page_says_a_word_of_it(settings: Settings, token: str | None) -> None:
    """Without a token there is no such address, as with any other; with one, buyers see what they saw."""
    app = create_app(settings.model_copy(update={"game_token": token and SecretStr(token)}))
    for address in [*ADDRESSES, "/game/openapi.json"]:
        answer = app.test_client().get(address)
        if not token:
            assert answer.status_code == 404
            assert answer.mimetype == "text/html"
    for page in ("/", "/inventory", "/history", "/items/loaf"):
        assert "game" not in Container(app).get(page).text.lower()


HEADERS = [
    "", "Bearer", "Bearer x", "Bearer é", TOKEN, f"Basic {TOKEN}", f"Token {TOKEN}", f"Bearer {TOKEN}x",
    f"Bearer {TOKEN},Bearer {TOKEN}",
]  # fmt: skip
METHODS = ("GET", "POST", "HEAD", "PUT", "OPTIONS")


@on_sqlite
def test_without_the_token(app: Flask) -> None:
    """Whoever does not send it hears the same at every address, also at those that there are not."""
    stranger = app.test_client()
    for address, header, method in product(ADDRESSES, HEADERS, METHODS):
        answer = stranger.open(address, method=method, headers={"Authorization": header})
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert method == "HEAD" or type_of(answer) == "about:blank"


@on_sqlite
def test_a_token_is_changed_without_a_pause(settings: Settings) -> None:
    """At each step of a change both the token of the step before and that of the step after open."""
    steps = [(TOKEN, None), (TOKEN, NEW_TOKEN), (NEW_TOKEN, TOKEN), (NEW_TOKEN, None)]
    for number, (token, previous) in enumerate(steps):
        told = {"game_token": SecretStr(token), "game_token_previous": previous and SecretStr(previous)}
        app = create_app(settings.model_copy(update=told))
        opened = [Game(app, sent).get("/changes").status_code for sent in (TOKEN, NEW_TOKEN)]
        assert opened == [200 if number < 3 else 401, 200 if number else 401]


@on_sqlite
def test_the_token_is_in_no_log(app: Flask, game: Game, capfd: pytest.CaptureFixture[str]) -> None:
    game.use("a" * 99)
    Game(app, TOKEN[:-1]).get("/changes")
    said = capfd.readouterr()
    assert TOKEN[:-1] not in said.out + said.err


@on_sqlite
def test_keys(game: Game, give: Give) -> None:
    """Without one key, of 1 to 64 visible characters, nothing is used."""
    give(1)
    for key in (None, "", " ", "a b", "é", "a,b", "x" * 65, "\t"):
        answer = game.use(key)
        assert (answer.status_code, type_of(answer)) == (400, "malformed")
        assert "Idempotency-Key" in said(answer)["detail"]
    assert game.holdings() == {"loaf": 1}


def test_any_visible_key(game: Game, give: Give) -> None:
    """Whatever can be seen is a key like another."""
    give(7)
    for left, key in enumerate(("x" * 64, "!", "~", '"quoted"', "%00", "';--", "\\")):
        assert [said(game.use(key))["left"] for _ in range(2)] == [6 - left] * 2


QUANTITIES: list[Any] = [True, False, 1e30, "1", None, [1], {}, 0, -1, 10**6 + 1, 10**30, -(10**30), 1.5]


def test_quantities(game: Game, give: Give) -> None:
    """A quantity is a whole number from one to a million."""
    give(3)
    for quantity in QUANTITIES:
        answer = game.use("a", quantity)
        assert (answer.status_code, type_of(answer)) == (400, "malformed")
        assert "quantity" in said(answer)["detail"]
    assert game.holdings() == {"loaf": 3}


WRITTEN = json.dumps(BODY)
BODIES: Mapping[str, bytes | str] = {
    "nothing": b"",
    "no JSON": b"{",
    "no object": b"[]",
    "null": b"null",
    "a key twice": WRITTEN.replace('"quantity"', '"quantity": 2, "quantity"'),
    "NaN": WRITTEN.replace("1}", "NaN}"),
    "Infinity": WRITTEN.replace("1}", "-Infinity}"),
    "beyond floats": WRITTEN.replace("1}", "1e400}"),
    "more digits than Python reads": WRITTEN.replace("1}", "9" * 3900 + "}")[:4000],
    "deep": b"[" * 2000 + b"]" * 2000,
    "deep inside": WRITTEN.replace("1}", "[" * 1000 + "]" * 1000 + "}"),
    "not UTF-8": WRITTEN.encode().replace(b"loaf", b"\xff"),
    "UTF-16": WRITTEN.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + WRITTEN.encode(),
    "another field": WRITTEN.replace('"quantity"', '"note": 1, "quantity"'),
    "a field less": json.dumps({name: value for name, value in BODY.items() if name != "item"}),
    "NUL": json.dumps({**BODY, "external_id": f"{HANAKO}\0"}),
    "half a sign": WRITTEN.replace("loaf", "\\ud800"),
    "a long id": json.dumps({**BODY, "external_id": "x" * 65}),
    "an empty id": json.dumps({**BODY, "external_id": ""}),
    "a number for an id": json.dumps({**BODY, "external_id": 1}),
}


def test_bodies(game: Game, give: Give) -> None:
    """What is not the JSON that is described is refused, and nothing is used."""
    give(3)
    answers = {name: use(game, body) for name, body in BODIES.items()}
    said = {name: (one.status_code, type_of(one)) for name, one in answers.items()}
    assert said == dict.fromkeys(BODIES, (400, "malformed"))
    assert game.holdings() == {"loaf": 3}


@on_sqlite
def test_too_large(game: Game) -> None:
    """A body of more than four kilobytes is not read."""
    assert use(game, b" " * 5000).status_code == 413
    streamed = {"Transfer-Encoding": "chunked"}
    assert use(game, b" " * 5000, **streamed).status_code in (400, 413)


@on_sqlite
def test_media_types(game: Game) -> None:
    """A body is JSON, and says so."""
    for kind in ("", "text/plain", "application/x-www-form-urlencoded", "application/json5"):
        answer = use(game, WRITTEN, **{"Content-Type": kind})
        assert (answer.status_code, type_of(answer)) == (415, "about:blank")


ODD = (
    "a b", "é", "日本", "%", "a/b", "a//b", "a/holdings", "/a", "//", "..", "a?b#c", "x" * 64,
    "'; DROP TABLE item;--",
)  # fmt: skip


def test_odd_ids(game: Game, give: Give) -> None:
    """Whatever a platform calls somebody, percent-encoded it is them."""
    for who in ODD:
        give(1, who=who, key=f"mixi:{who}")
        answer = game.get(f"/customers/mixi/{quote(who, safe='')}/holdings")
        assert said(answer)["external_id"] == who
        assert said(answer)["holdings"] == [{"item": "loaf", "quantity": 1, "tests": 0}]
        assert said(game.use(f"{hash(who)}", external_id=who))["left"] == 0
    assert [one["external_id"] for one in game.changes()["changes"]] == [who for who in ODD for _ in range(2)]


CHANNELS = ("colorme", "external", "MIXI", "mixi%00", "x" * 99, "%ff", "nowhere")
PEOPLE = (HANAKO, "nobody", "%2Fa", f"{HANAKO}%0A", "%00", f"{HANAKO}%00", "%ff", "x" * 999)


def test_of_nobody(game: Game, give: Give) -> None:
    """Of whom the shop never met it tells nothing, and of hanako nothing in another's channel.

    With a NUL in it, it is not even an address.
    """
    give(1)
    for channel, who in [*product(CHANNELS, PEOPLE), *(("mixi", who) for who in PEOPLE[1:])]:
        answer = game.get(f"/customers/{channel}/{who}/holdings")
        why = "about:blank" if "%00" in channel + who else "no-such-customer"
        assert (answer.status_code, type_of(answer)) == (404, why)


ASKED = (
    "limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "limit=", "limit=01", "limit=1e2", "limit=%00",
    "after=&limit=1", "before=1", "after=0.00000000&after=0.00000000", "after=0.00000000;limit=1",
)  # fmt: skip


@on_sqlite
def test_what_may_be_asked(game: Game) -> None:
    """A word that we do not know might be one mistyped, and begin at the start again."""
    for query in ASKED:
        answer = game.get(f"/changes?{query}")
        assert (answer.status_code, type_of(answer)) == (400, "malformed")


@on_sqlite
def test_methods(game: Game) -> None:
    """Who asks by another method is told which there are; HEAD is GET without its words."""
    for address, allowed in (
        ("/game/changes", {"GET", "HEAD", "OPTIONS"}),
        ("/game/uses", {"POST", "OPTIONS"}),
        (f"/game/customers/mixi/{HANAKO}/holdings", {"GET", "HEAD", "OPTIONS"}),
    ):
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - allowed:
            answer = game.client.open(address, method=method, headers=game.headers)
            assert (answer.status_code, type_of(answer)) == (405, "about:blank")
            assert set(answer.headers["Allow"].split(", ")) == allowed
        options = game.client.options(address, headers=game.headers)
        assert (options.status_code, set(options.allow)) == (200, allowed)
    head = game.client.head("/game/changes", headers=game.headers)
    assert (head.status_code, head.data) == (200, b"")
    for address in ("/game/nothing", "/game/", "/game", "/game/changes/"):
        answer = game.client.get(address, headers=game.headers)
        assert (answer.status_code, type_of(answer)) == (404, "about:blank")


@on_sqlite
def test_the_rest_of_the_shop(game: Game) -> None:
    """What does not lie below /game/ is refused as before, on a page."""
    for address in ("/games", "/gamex/changes", "/nowhere"):
        assert game.client.get(address).mimetype == "text/html"


@on_sqlite
def test_without_the_database(app: Flask, game: Game) -> None:
    """Without its table the shop says that it cannot answer, and when to ask again."""
    with app.app_context():
        customers.meet("mixi", HANAKO, clock.now())
        db.session.execute(text('ALTER TABLE "grant" RENAME TO gone'))
        db.session.commit()
    for answer in (game.get("/changes"), game.use("a"), game.get(f"/customers/mixi/{HANAKO}/holdings")):
        assert (answer.status_code, type_of(answer)) == (503, "about:blank")
        assert int(answer.headers["Retry-After"]) >= 1


@on_sqlite
def test_too_many_at_once(app: Flask, game: Game) -> None:
    """While as many are with it as may be, the next is told to come again."""
    gate = app.extensions["game_gate"]
    places = [gate.place() for _ in range(gate.places)]
    for place in places:
        place.__enter__()
    answer = game.get("/changes")
    assert (answer.status_code, type_of(answer)) == (429, "about:blank")
    assert answer.headers["Retry-After"] == str(problems.SOON)
    for place in places:
        place.__exit__(None, None, None)
    assert game.get("/changes").status_code == 200


@on_sqlite
def test_our_own_mistake(app: Flask, game: Game, monkeypatch: pytest.MonkeyPatch) -> None:
    """What breaks on our side is said in the same shape, without a word of the cause."""
    monkeypatch.setattr("storefront.game.polls.poll", None)
    answer = game.get("/changes")
    assert (answer.status_code, type_of(answer)) == (500, "about:blank")
    assert "NoneType" not in answer.text


@on_sqlite
def test_the_description_is_open(app: Flask) -> None:
    """It is the same in every shop, says nothing of this one, and has every type of problem."""
    answer = app.test_client().get("/game/openapi.json")
    assert answer.status_code == 200
    assert SHOP not in answer.text
    described: Mapping[str, Any] = said(answer)["components"]["schemas"]["Problem"]["properties"]["type"]
    ours = {f"/game/problems/{one.name}" for one in problems.PROBLEMS.values() if one.name}
    assert set(described["enum"]) == {"about:blank", *ours}
