"""What is bought stands in the town, is used there once, and goes when it is taken back."""

import json
from collections.abc import Callable, Sequence

import pytest
from flask import Flask
from lxml import html
from sqlalchemy import select
from werkzeug import Response

from storefront import clock
from storefront.db import db, transaction
from storefront.sandbox.game import holdings
from storefront.sandbox.happened import Name
from storefront.sandbox.happenings import Happening, of_name
from storefront.sandbox.people import FIRST_STAGE
from storefront.shop.inventory import Grant, take_back
from tests.demo import wait_for
from tests.sandbox.conftest import owner
from tests.sandbox.game.conftest import DESK, TOKEN, Town
from tests.street import at_once

pytestmark = pytest.mark.long


def granted(shop: Flask, item: str) -> int:
    """How many of an item the shop's own book has."""
    with shop.app_context():
        rows = db.session.scalars(select(Grant.quantity).where(Grant.item_id == item)).all()
        db.session.remove()
    return sum(rows)


def take_all_back(shop: Flask, item: str) -> None:
    """As when the platform pays back what was sold."""
    with shop.app_context():
        with transaction() as session:
            sold = session.scalars(select(Grant).where(Grant.item_id == item, Grant.quantity > 0)).all()
            for one in sold:
                key = f"void:{one.id}"
                take_back(session, one.customer_id, item, key, clock.now(), of=one.key)
        db.session.remove()


def happened(town: Town, name: Name) -> Sequence[Happening]:
    with town.platform.app_context():
        return of_name(FIRST_STAGE, name)


def test_what_is_bought_stands_there(town: Town, give: Callable[..., None]) -> None:
    """With the lantern every window is lit; what was bought for a test says so."""
    assert not town.look().cssselect(".lit")
    give("lantern")
    give("loaf", 2, is_test=True)
    give("coat", persona="taro")
    page = town.look()
    assert town.things(page) == {"lantern": 1, "loaf": 2}
    assert page.cssselect(".lit")
    (loaf,) = page.cssselect('[data-item="loaf"]')
    assert loaf.get("data-tests") == "2"
    assert loaf.cssselect(".badge")
    assert not page.cssselect('[data-item="lantern"] form')


def test_a_loaf_is_eaten(town: Town, give: Callable[..., None], selling: Flask) -> None:
    """The shop holds one less, the harbour is full, and the button pressed twice eats once."""
    give("loaf", 2)
    button = town.button()
    assert town.press(*button).status_code == 303
    assert town.outcome() == "used"
    assert town.things() == {"loaf": 1}
    assert granted(selling, "loaf") == 1
    assert town.press(*button).status_code == 303
    assert town.outcome() == "again"
    assert granted(selling, "loaf") == 1
    (loaf,) = town.look().cssselect('[data-item="loaf"]')
    assert loaf.get("data-used") == "1"


def test_one_button_at_the_same_moment(town: Town, give: Callable[..., None], selling: Flask) -> None:
    """Pressed eight times at once, it eats one loaf, and the desk hears of one."""
    give("loaf", 9)
    action, fields = town.button()
    cookies = town.client._cookies
    windows = [town.another() for _ in range(8)]
    for window in windows:
        window.client._cookies = dict(cookies or {})
    at_once(*(lambda one=window: one.press(action, fields) for window in windows))
    assert granted(selling, "loaf") == 8
    assert town.things() == {"loaf": 8}
    assert len(happened(town, Name.TOWN_USED)) == 1


@pytest.mark.parametrize("held", [2, 1])
def test_a_lost_answer(town: Town, give: Callable[..., None], selling: Flask, held: int) -> None:
    """Nobody knows whether it was eaten, so the button sends the same key again, and it was eaten once.

    It stays where that was the last one: else its key would wait for the next loaf, and feed nobody with it.
    """
    give("loaf", held)
    town.fault("lost")
    first = town.button()
    town.press(*first)
    assert town.outcome() == "asked"
    assert granted(selling, "loaf") == held - 1
    again = town.button()
    assert again[1]["key"] == first[1]["key"]
    town.press(*again)
    assert town.outcome() == "used"
    assert granted(selling, "loaf") == held - 1
    keys = [one.headers["Idempotency-Key"] for one in town.line.heard if one.method == "POST"]
    assert keys == [first[1]["key"]] * 2
    give("loaf")
    assert town.button()[1]["key"] != first[1]["key"]


def test_a_key_is_for_one_thing(town: Town, give: Callable[..., None]) -> None:
    """A key that was used for a loaf uses nothing else, and is not even sent."""
    give("loaf")
    give("moss")
    _, loaf = town.button("loaf")
    action, moss = town.button("moss")
    assert town.press(action, loaf).status_code == 303
    asked = len(town.line.heard)
    assert town.press(action, {**moss, "key": loaf["key"]}).status_code == 409
    assert len(town.line.heard) == asked


def test_the_last_one_was_used_elsewhere(town: Town, give: Callable[..., None], selling: Flask) -> None:
    """The shop refuses, and nothing is used."""
    give("loaf")
    old = town.button()
    assert town.use() == "used"
    action, fields = old
    assert town.press(action, {**fields, "key": "another-key-of-this-page"}).status_code == 303
    assert town.outcome() == "too-few"
    assert granted(selling, "loaf") == 0


@pytest.mark.parametrize("used_before", [False, True])
def test_taken_back(town: Town, give: Callable[..., None], selling: Flask, *, used_before: bool) -> None:
    """What went back to the shop is gone from the town, which says so kindly; what it was used for stays."""
    give("loaf")
    if used_before:
        town.use()
    take_all_back(selling, "loaf")
    (loaf,) = town.look(headers={"Accept-Language": "en"}).cssselect('[data-item="loaf"]')
    assert loaf.get("data-quantity") == ("-1" if used_before else "0")
    assert "Nobody is cross" in loaf.text_content()
    assert ("had been used" in loaf.text_content()) is used_before
    assert not loaf.cssselect("form")


def test_goods_that_the_town_does_not_know(town: Town, give: Callable[..., None]) -> None:
    """They come as a crate that can be opened; of what cannot be used up the shop says so."""
    whose = {"channel": "mixi", "external_id": owner("hanako"), "item": "<b>hat</b>"}
    news = {"changes": [{**whose, "quantity": 1, "kind": "sold", "test": False}]}
    town.line.says(json.dumps({**news, "cursor": "1.00000000", "more": False}))
    assert town.things() == {"<b>hat</b>": 1}
    refusal = json.dumps({"type": "/game/problems/not-consumable", "status": 422})
    nothing_new = json.dumps({"changes": [], "cursor": "1.00000000", "more": False})
    town.line.script = lambda asked: (
        Response(refusal, 422) if asked.method == "POST" else Response(nothing_new)
    )
    assert town.use("<b>hat</b>") == "not-consumable"
    assert town.things() == {"<b>hat</b>": 1}


def test_the_desk_is_told(town: Town, give: Callable[..., None]) -> None:
    """Each look and each use is a happening on the stage of whose town it is."""
    give("loaf", 2)
    town.use()
    (used,) = happened(town, Name.TOWN_USED)
    assert used.owner_id == owner("hanako")
    last = happened(town, Name.TOWN_SHOWN)[-1]
    assert last.facts["marks"] == [{"item": "loaf", "quantity": "1", "tests": "0"}]


@pytest.mark.parametrize(
    ("token", "told", "status"),
    [
        ("another", {"owner": owner("hanako"), "things": []}, 401),
        ("", {"owner": owner("hanako"), "things": []}, 401),
        (DESK, {"owner": "mo3nobody", "things": []}, 404),
        (DESK, {"owner": owner("hanako")}, 400),
        (DESK, {"owner": owner("hanako"), "things": [{"item": "loaf", "quantity": "1"}]}, 400),
        (DESK, {"owner": owner("hanako"), "things": []}, 204),
    ],
)
def test_who_may_tell_the_desk(town: Town, token: str, told: object, status: int) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    base = "http://platform.test:8001"
    client = town.platform.test_client()
    answer = client.post("/desk/towns/shown", json=told, headers=headers, base_url=base)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("words", "body", "status"),
    [
        (DESK, b"{}", 401),
        (f"Basic {DESK}", b"{}", 401),
        (f"Bearer {DESK}", b"[" * 100_000 + b"]" * 100_000, 400),
        (f"Bearer {DESK}", b"[1]", 400),
    ],
)
def test_how_the_desk_is_told(town: Town, words: str, body: bytes, status: int) -> None:
    """By a bearer's word and an object: anything else is refused, and no depth of it is a crash."""
    headers = {"Authorization": words, "Content-Type": "application/json"}
    answer = town.platform.test_client().post(
        "/desk/towns/shown", data=body, headers=headers, base_url="http://platform.test:8001"
    )
    assert answer.status_code == status


def test_what_was_asked(town: Town, give: Callable[..., None]) -> None:
    """The page of requests has this browser's own and no token; of other people's changes it has a number."""
    give("loaf", 2)
    give("loaf", persona="taro")
    town.use()
    other = town.another().enter("taro")
    mine, theirs = (one.get("/calls").text for one in (town, other))
    assert "/game/uses" in mine
    assert "/game/uses" not in theirs
    for page in (mine, theirs):
        assert "/game/changes" in page
        assert TOKEN not in page
    assert owner("taro") not in mine
    assert owner("hanako") not in theirs
    assert html.fromstring(mine).cssselect("[data-call]")


def test_it_reads_by_itself(make_town: Callable[..., Town], give: Callable[..., None]) -> None:
    """Nobody need look: the town asks the shop by itself every few seconds."""
    town = make_town(poll_seconds=1)
    give("lantern")

    def is_known() -> bool:
        with town.app.app_context():
            return bool(holdings.things("mixi", owner("hanako")))

    wait_for(is_known, 15)
    town.app.extensions["game"].closing.set()
