"""A third counter needs its folder and one line: the shop knows nothing of it, and nothing is missing."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from flask import Flask, url_for
from lxml import html
from sqlalchemy import select
from werkzeug.test import TestResponse

from storefront import Settings, create_app
from storefront.db import db, transaction
from storefront.sandbox.key_pairs import KeyPair
from storefront.shop import buy_form, catalog, catalog_file, counter, ledger, visit
from storefront.shop.catalog_file import CatalogError
from storefront.shop.counter import SideDoor
from storefront.shop.customers import Customer
from storefront.shop.devices import Device
from storefront.shop.form_tokens import StaleForm
from storefront.shop.ledger import Kind
from storefront.shop.visits import Opened, PlainLinks, Visit
from tests.databases import on_sqlite
from tests.rooms import IS_DOOR_OUT_HERE
from tests.shop import arcade
from tests.street import HANAKO, SHOP, Browser, Container, form_to, says, sign, start_address, words

pytestmark = on_sqlite
FORGED = "forged"
# Asked by servers and by the operator, or by somebody whom nobody knows yet.
FOR_ANYBODY = {"start", "programme", "callback", "event", "notice"}
GOODS = """
- id: rope
  name: {ja: 綱, en: Rope}
  description: {ja: 長い綱。, en: A long rope.}
  art: emptybag.svg
  prices: {mixi: 22, arcade: 20, external: 22}
"""


@pytest.fixture
def app(settings: Settings, tmp_path: Path) -> Iterator[Flask]:
    """The shop with a third counter, and what is sold at all of them."""
    app = create_app(settings, requests.Session())
    arcade.init_app(app, settings)
    goods = tmp_path / "goods.yaml"
    goods.write_text(GOODS)
    with app.app_context(), transaction() as session:
        catalog.load(session, goods)
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def hanako(app: Flask, pair: KeyPair) -> Browser:
    """hanako at her desk, in by mixi."""
    browser = Browser(app)
    assert browser.get(start_address(pair)).status_code == 303
    return browser


def ended(app: Flask) -> list[bool]:
    """Of every visit, in the order of their beginning, whether it has ended."""
    with app.app_context():
        return [bool(one) for one in db.session.scalars(select(Opened.ended_at).order_by(Opened.opened_at))]


class Guest:
    """Somebody in the arcade's frame: every request is signed."""

    def __init__(self, app: Flask, name: str = "pat") -> None:
        self.client, self.name = app.test_client(), name

    def send(self, method: str, path: str, signed_for: str = "", **more: object) -> TestResponse:
        given = f"{self.name} {arcade.seal(self.name, signed_for or path.partition('?')[0])}"
        return self.client.open(path, method=method, headers={arcade.HEADER: given}, **more)  # type: ignore[arg-type]

    def buy(self) -> TestResponse:
        fields = form_to(self.send("GET", "/items/rope?lang=en").text, "/arcade/checkout?lang=en")
        return self.send("POST", "/arcade/checkout", data=fields)


def test_its_shelf_and_pages(app: Flask) -> None:
    """Prices as they are asked for, in its unit; its places beside the shop's; its terms, law and frame."""
    guest = Guest(app)
    shelf = guest.send("GET", "/?lang=en")
    assert shelf.status_code == 200
    assert "22 M" in words(shelf.text)
    *own, prizes = html.fromstring(shelf.text).cssselect("nav.places a")
    paths = [urlsplit(str(a.get("href"))).path for a in own]
    assert paths[:3] == ["/", "/inventory", "/history"]
    assert "Prizes" in words(guest.send("GET", str(prizes.get("href"))).text)
    assert "as soon as you press" in guest.send("GET", "/items/rope").text
    assert "medals of the arcade" in guest.send("GET", "/legal").text
    assert "Arcade" in app.test_client().get("/").text


def test_the_legal_notice_says_whose_price_it_means(app: Flask) -> None:
    """To everybody it names each platform over its own price; who is in reads of theirs alone."""
    notice = html.fromstring(app.test_client().get("/legal?lang=en").text)
    with app.test_request_context("/?lang=en"):
        platforms = [str(one.platform) for one in visit.entrances()]
    assert len(platforms) > 1
    assert [one.text_content() for one in notice.cssselect("main h2")] == platforms
    assert not html.fromstring(Guest(app).send("GET", "/legal").text).cssselect("main h2")


@pytest.mark.changed(under_age_limits="15:5")
def test_a_purchase(app: Flask) -> None:
    """In the bag, and in the history in its words; ages count at the counters that say so."""
    guest = Guest(app)
    assert guest.buy().status_code == 302
    assert 'data-item="rope" data-quantity="1"' in guest.send("GET", "/inventory").text
    page = words(guest.send("GET", "/history?lang=en").text)
    assert "Won" in page
    assert "22 M" in page
    item = html.fromstring(Container(app).get("/items/rope", lang="en").text)
    assert len(item.cssselect("[data-says=age_unknown] + p a")) == 1


def test_sums_of_its_own(app: Flask) -> None:
    """What it earned is added to nothing that another counter did."""
    assert Guest(app).buy().status_code == 302
    with app.app_context():
        sums = {(one.channel, one.unit): one.amount for one in ledger.totals() if one.kind is Kind.SALE}
    assert sums == {("arcade", "medal"): 22}


def test_strangers_and_forgers(app: Flask) -> None:
    """Each platform's signature opens its own door; what falsely claims to be somebody's is a forgery."""
    assert Container(app).get("/inventory").status_code == 200
    assert Guest(app).send("GET", "/inventory").status_code == 200
    forged = Guest(app).send("GET", "/inventory", signed_for="/elsewhere")
    assert (forged.status_code, FORGED in says(forged.text)) == (401, True)
    another = app.test_client().get("/inventory", headers=sign("GET", "/inventory", key="another"))
    assert (another.status_code, FORGED in says(another.text)) == (401, False)


def test_a_claim_that_another_door_knows(app: Flask) -> None:
    """Who is known at one door is let in, whatever another makes of the request."""
    target = f"/inventory?opensocial_owner_id={HANAKO}"
    assert Guest(app).send("GET", target).status_code == 200


def test_a_form_is_its_counters(app: Flask, hanako: Browser) -> None:
    """At the same price, too: whoever came in by one door buys nothing at another's counter."""
    form = form_to(hanako.get("/items/rope").text, "/mixi/payments")
    assert hanako.post("/arcade/checkout", form).status_code == 404
    guest = Guest(app)
    form = form_to(guest.send("GET", "/items/rope").text, "/arcade/checkout")
    assert guest.send("POST", "/mixi/payments", data=form).status_code == 404
    with app.app_context():
        assert list(ledger.totals()) == []


def test_a_form_sealed_for_another_counter(app: Flask, hanako: Browser) -> None:
    """Even for who may buy at both, and at one price."""
    if not IS_DOOR_OUT_HERE:
        pytest.skip("this counter is gone already")
    hanako.get("/")
    with app.test_request_context():
        customer = db.session.scalars(select(Customer)).one()
        here = Visit(customer, Device.PC, PlainLinks(), None)
        there, other = (catalog.offer("rope", channel) for channel in ("mixi", "external"))
        assert there
        assert other
        assert there.amount == other.amount
        token = buy_form.seal(here, there)
    with app.test_request_context(method="POST", data={"token": token}):
        with pytest.raises(StaleForm):
            buy_form.accept(here, other)
        assert buy_form.accept(here, there)


def test_pages_of_another_counter(app: Flask, hanako: Browser) -> None:
    """None of a counter's pages opens to whom it does not serve, and every answer leads back to the shelf."""
    guest = Guest(app)

    def hanako_sends(method: str, path: str) -> TestResponse:
        return hanako.client.open(path, method=method, base_url=SHOP)

    asking: dict[str, Callable[[str, str], TestResponse]] = {"arcade": hanako_sends}
    for rule in app.url_map.iter_rules():
        room, _, name = rule.endpoint.partition(".")
        if room not in ("mixi", "external", "arcade") or name in FOR_ANYBODY:
            continue
        parts: dict[str, Any] = dict.fromkeys(rule.arguments, "rope")
        with app.test_request_context():
            path = url_for(rule.endpoint, **parts)
        for method in (rule.methods or set()) - {"OPTIONS"}:
            answer = asking.get(room, guest.send)(method, path)
            assert answer.status_code in (401, 404), (method, path)
            assert answer.status_code == 401 or 'class="places"' in answer.text, path


def test_nobodys_visit_is_swapped_unasked(app: Flask, hanako: Browser, pair: KeyPair) -> None:
    """One browser is in one visit: by whatever door another comes, who is in says whether it ends."""
    asked = hanako.get(arcade.start_address("pat"))
    assert (asked.status_code, "mixi …" in hanako.get("/inventory").text) == (303, True)
    form = form_to(hanako.get(str(asked.location)).text, "/change")
    assert (hanako.post("/change", form).status_code, "Arcade …pat" in hanako.get("/").text) == (303, True)
    assert ended(app) == [True, False]
    hanako.get(start_address(pair))
    assert "Arcade …pat" in hanako.get("/").text
    hanako.press("/", "/arcade/leave")
    assert (sum(ended(app)), hanako.get("/inventory").status_code) == (2, 401)


def test_a_counter_that_is_gone(app: Flask, settings: Settings) -> None:
    """Taken away again, its visits are nobody's, and its prices and its customers' goods lie idle."""
    browser = Browser(app)
    browser.get(arcade.start_address("pat"))
    assert browser.get("/inventory").status_code == 200
    browser.client.application = create_app(settings, requests.Session())
    assert browser.get("/inventory").status_code == 401
    assert Container(browser.client.application).get("/items/rope").status_code == 200


def test_side_doors_stand_beside_whom_they_name(app: Flask, settings: Settings) -> None:
    """A door out beside the arcade is none of mixi's, and lets nobody in."""
    door = SideDoor(beside=frozenset({arcade.NAME}), leads_out=lambda here: True, payee=lambda: "the bank")
    counter.add(app, replace(arcade.COUNTER, channel="door", entrance=None, side_door=door), settings)
    with app.test_request_context(headers={arcade.HEADER: f"pat {arcade.seal('pat', '/')}"}):
        assert [one.channel for one in visit.ways_out(visit.current())] == ["door"]
        assert "door" not in [one.channel for one in visit.entrances()]
    target = f"/?opensocial_app_id=12345&opensocial_owner_id={HANAKO}"
    with app.test_request_context(target, headers=sign("GET", target), base_url=SHOP):
        assert "door" not in [one.channel for one in visit.ways_out(visit.current())]


@pytest.mark.changed(under_age_limits="15:5000")
def test_an_age_that_only_a_side_door_asks_for(app: Flask, settings: Settings) -> None:
    """Whoever must say it somewhere can say it."""
    assert Guest(app).send("GET", "/age").status_code == 302
    door = SideDoor(beside=frozenset({arcade.NAME}), leads_out=lambda here: True, payee=lambda: "the bank")
    beside = replace(arcade.COUNTER, channel="door", entrance=None, side_door=door, ages_count=True)
    counter.add(app, beside, settings)
    assert Guest(app).send("GET", "/age").status_code == 200


def test_two_units_of_one_name(app: Flask, settings: Settings) -> None:
    """Each counter shows amounts as its own unit wants it, whatever another calls its own."""
    unit = replace(arcade.COUNTER.unit, code="point", pattern="%s GP")
    counter.add(app, replace(arcade.COUNTER, channel="game", entrance=None, unit=unit), settings)
    page = Container(app).get("/").text
    assert ("22pt" in words(page), "GP" in page, "art/point" in page) == (True, False, True)


def test_whose_frame_a_page_is_in(app: Flask, hanako: Browser) -> None:
    """That of its visitor's own platform; as long as nobody is known, that of each."""
    everybody = ["http://platform.test", arcade.SITE]
    for answer, frames, elsewhere in (
        (hanako.get("/items/rope"), everybody[:1], arcade.SITE),
        (hanako.get("/arcade/prizes"), everybody[:1], arcade.SITE),
        (Guest(app).send("GET", "/items/rope"), everybody[1:], everybody[0]),
        (app.test_client().get("/"), everybody, "elsewhere"),
    ):
        policy = answer.headers["Content-Security-Policy"]
        said = policy.partition("frame-ancestors ")[2].partition(";")[0].split()
        assert set(frames) <= set(said) if frames == everybody else said == frames
        assert elsewhere not in policy


def test_what_is_asked_is_held_against_the_rule(app: Flask, tmp_path: Path) -> None:
    """Five hundred medals are allowed, and come to more than that with the tax."""
    goods = tmp_path / "goods.yaml"
    with app.app_context():
        rules = counter.price_rules(counter.counters())
    goods.write_text(GOODS.replace("arcade: 20", "arcade: 454"))
    assert catalog_file.read(goods, rules)
    goods.write_text(GOODS.replace("arcade: 20", "arcade: 500"))
    with pytest.raises(CatalogError, match="500 comes to 550, which is not within 1 to 500 medals"):
        catalog_file.read(goods, rules)


def test_what_breaks_an_entrance(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who breaks it is not believed; the shop's other doors and its error pages stand."""

    def broken() -> None:
        raise ZeroDivisionError

    assert arcade.COUNTER.entrance
    entrance = replace(arcade.COUNTER.entrance, recognise=broken)
    counters = app.extensions[counter.COUNTERS]
    monkeypatch.setitem(counters, "arcade", replace(arcade.COUNTER, entrance=entrance))
    forged = app.test_client().get("/inventory")
    assert (forged.status_code, FORGED in says(forged.text)) == (401, True)
    assert app.test_client().get("/nowhere").status_code == 404
    assert Container(app).get("/inventory").status_code == 200


@pytest.mark.parametrize(
    ("path", "said"), [("/inventory", "pat é"), ("/nowhere", "pat é"), ("/arcade/start?at=é&seal=é", None)]
)
def test_what_is_no_seal(app: Flask, path: str, said: str | None) -> None:
    """Letters of another alphabet are a forgery like any other."""
    answer = app.test_client().get(path, headers={arcade.HEADER: said} if said else {})
    assert answer.status_code == (404 if path == "/nowhere" else 401)


def test_a_start_address_is_good_once(app: Flask) -> None:
    """Whoever has seen it has nothing; its own browser may reload it; an old one opens nothing."""
    guest, other, address = Browser(app), Browser(app), arcade.start_address("pat")
    for _ in range(2):
        assert guest.get(address).status_code == 303
        assert other.get(address).status_code == 401
        assert other.get("/inventory").status_code == 401
        assert guest.get("/inventory").status_code == 200
    assert guest.press("/", "/arcade/leave").status_code == 302
    assert guest.get(address).status_code == 401
    for at in (-arcade.WINDOW - 2, arcade.WINDOW + 2):
        assert guest.get(arcade.start_address("pat", at)).status_code == 401
    assert guest.get(arcade.start_address("pat")).status_code == 303


def test_logging_out_of_the_arcade_needs_its_form(app: Flask) -> None:
    """No other site logs a guest out."""
    guest = Browser(app)
    guest.get(arcade.start_address("pat"))
    assert guest.post("/arcade/leave").status_code == 400
    assert guest.get("/inventory").status_code == 200


def test_pressed_twice(app: Flask) -> None:
    """It is one sale, and both presses lead to the bag."""
    guest = Guest(app)
    form = form_to(guest.send("GET", "/items/rope").text, "/arcade/checkout")
    for _ in range(2):
        assert guest.send("POST", "/arcade/checkout", data=form).status_code == 302
    with app.app_context():
        assert [(one.count, one.amount) for one in ledger.totals() if one.count] == [(1, 22)]


def test_a_form_from_before_selling_stopped(app: Flask, settings: Settings) -> None:
    """No counter sells to it."""
    guest = Guest(app)
    form = form_to(guest.send("GET", "/items/rope").text, "/arcade/checkout")
    app.config["SETTINGS"] = settings.model_copy(update={"selling": False})
    assert guest.send("POST", "/arcade/checkout", data=form).status_code == 409
    with app.app_context():
        assert list(ledger.totals()) == []
