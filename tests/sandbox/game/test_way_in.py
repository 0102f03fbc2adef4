"""Who comes into a town: whom the platform has signed for, once, and nobody who merely knows an id."""

from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from flask import Flask
from lxml import html

from storefront.sandbox import passes
from storefront.sandbox.passes import Pass
from tests.sandbox.conftest import Phone, Sap, owner
from tests.sandbox.game.conftest import DOOR, HERE, Town

pytestmark = pytest.mark.long


def signed(secret: str = DOOR, **changed: str) -> str:
    told = {"number": "a number of its own", "channel": "mixi", "ja": "花子", "en": "Hanako"}
    one = Pass(**{**told, "external_id": owner("hanako"), **changed})
    return f"/enter?{urlencode({'pass': passes.write(one, secret)})}"


def test_somebody_comes_from_the_platform(town: Town) -> None:
    """Home has a way into the town of each of the cast, and the town says whose it is."""
    home = html.fromstring(Phone(town.platform.test_client()).get("/").text)
    ways = [str(link.get("href")) for link in home.cssselect("[data-persona] a[data-town]")]
    assert "/town/hanako" in ways
    assert len(ways) == len(home.cssselect("[data-persona]"))
    page = town.look(headers={"Accept-Language": "ja"})
    assert page.cssselect("h1")[0].text_content() == "花子の港町"
    assert page.cssselect("main")[0].get("data-screen") == "town"
    assert town.things(page) == {}


def test_from_the_phone_and_from_the_pc(town: Town, sap: Sap) -> None:
    """The foot of a phone and the bar above an app on a PC lead into the town of whose device it is."""
    sap.says("/", "<html><body>Shelf</body></html>")
    phone = Phone(town.platform.test_client()).belongs_to("taro")
    assert 'href="/town/taro"' in phone.page("http://shop.test/").text
    phone.opens("yuki", "pc")
    assert 'href="/town/yuki"' in phone.get("/apps/pc").text


def test_the_way_in_is_good_once(town: Town) -> None:
    """Whoever finds the address afterwards, in the same browser or another, stays outside."""
    way = town.way("taro")
    assert town.get(way).status_code == 303
    assert town.get(way).status_code == 401
    assert town.another().get(way).status_code == 401


def test_who_only_looks_at_the_way_in_leaves_it_good(town: Town) -> None:
    """A program that shows what is behind a link asks by HEAD: it is not let in, and takes it from nobody."""
    way = town.way("taro")
    assert town.client.head(way, base_url=HERE).status_code == 204
    assert town.get(way).status_code == 303


def test_the_way_in_is_good_for_a_moment(make_town: Callable[..., Town]) -> None:
    town = make_town(pass_seconds=-1)
    assert town.get(town.way()).status_code == 401


@pytest.mark.parametrize(
    "way",
    [
        "/enter",
        "/enter?pass=",
        "/enter?pass=mo3k7c2hanak0",
        f"/enter?pass={owner('hanako')}",
        signed(secret="another secret of somebody's"),
        signed() + "x",
    ],
)
def test_a_stranger_stays_outside(town: Town, way: str) -> None:
    """To know an owner's id, or to sign with another secret, opens nothing."""
    other = town.another()
    assert other.get(way).status_code == 401
    assert other.get(town.here).status_code == 404
    assert other.get("/").status_code == 200


def test_a_town_belongs_to_the_browser_that_entered_it(town: Town, give: Callable[..., None]) -> None:
    """The number of a town opens it nowhere else, for looking, using or failing."""
    give("loaf")
    action, fields = town.button()
    other = town.another().enter("taro")
    word = html.fromstring(other.get(other.here).text).cssselect("[name=form_token]")[0].get("value")
    assert other.get(town.here).status_code == 404
    assert other.press(action, {**fields, "form_token": str(word)}).status_code == 404
    assert other.press(f"{town.here}/faults/silent", {"form_token": str(word)}).status_code == 404
    assert town.things() == {"loaf": 1}


def test_forms_carry_this_browsers_word(town: Town, give: Callable[..., None]) -> None:
    give("loaf")
    action, fields = town.button()
    assert town.press(action, {**fields, "form_token": "another"}).status_code == 403
    assert town.press(action, {**fields, "key": ""}).status_code == 403
    assert town.press(action, {**fields, "key": "k" * 65}).status_code == 403
    assert town.things() == {"loaf": 1}


def test_several_towns_in_one_browser(town: Town, give: Callable[..., None]) -> None:
    """A button eats what belongs to the town on whose page it stands, whichever was entered last."""
    give("loaf")
    give("loaf", persona="taro")
    hanakos, button = town.here, town.button()
    town.enter("taro")
    assert town.press(*button).status_code == 303
    assert town.things() == {"loaf": 1}
    town.here = hanakos
    assert town.things() == {"loaf": 0}
    names = [link.text_content() for link in html.fromstring(town.get("/").text).cssselect(".towns a")]
    assert names == ["太郎の港町", "花子の港町"]


def test_no_way_without_a_game(make: Callable[..., Flask]) -> None:
    """Where no game runs no page leads to one, and the address leads nowhere."""
    phone = Phone(make().test_client())
    assert "data-town" not in phone.get("/").text
    assert phone.get("/town/hanako").status_code == 404


def test_another_host_gets_nothing(town: Town) -> None:
    assert town.client.get("/", base_url="http://elsewhere.test").status_code == 421
    assert town.client.get("/healthz", base_url="http://elsewhere.test").text == "ok\n"
    policy = town.get("/").headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert HERE not in policy
