"""What a mobile phone gets: little, readable without styles, reached by number keys, and never a way out."""

import json
import re
import struct
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import pytest
from flask import Flask
from lxml import html
from lxml.html import HtmlElement
from sqlalchemy import update

from storefront import clock
from storefront.db import Model, transaction
from storefront.mixi import taps
from storefront.mixi.payments import Payment, Status
from storefront.mixi.taps import Intent
from storefront.sandbox.mixi.addresses import App
from storefront.sandbox.mixi.links import forbidden
from storefront.shop import catalog, inventory, visit
from storefront.shop.catalog import Item
from storefront.shop.customers import identify
from storefront.shop.limits import Reason
from storefront.shop.views import MOBILE_ROWS
from storefront.shop.visit import MOBILE_PAGE
from tests.databases import on_sqlite
from tests.street import APP_ID, HANAKO, Container, ScriptedApi, claims, links, only_form, words

ORIGIN = "https://shop.harbour-tools.example.co.jp"
CONTAINER = "http://container.platform-of-the-harbour.example.co.jp/12345/"
MOST = 10 * 1024  # bytes of a page that old handsets still take
MOST_STYLE = 1800  # bytes of its style
STATIC = Path(__file__).parents[2] / "static"
SENTENCE = "灯台の町の港のとなりにある道具屋の、長くて、ていねいな説明です。"
TAPS = 25
pytestmark = pytest.mark.changed(
    public_url=ORIGIN,
    mixi_container_url=CONTAINER,
    mixi_taps_per_minute=TAPS,
    legal_operator="灯台の町の道具屋株式会社",
    legal_representative="灯台 守",
    legal_address="北海道函館市末広町一丁目二番三号 灯台ビル四階",
    legal_phone="0138-00-0000",
    legal_contact=SENTENCE,
    legal_devices=SENTENCE,
    legal_privacy=SENTENCE * 3,
)


@pytest.fixture
def container(app: Flask, api: ScriptedApi) -> Container:
    """A shop at a long address, in a container at another."""
    return Container(app, ORIGIN)


Pages = dict[str, str]  # what each is, and its markup


class Walk:
    """hanako goes to all the places there are, in one language."""

    def __init__(self, container: Container, api: ScriptedApi, language: str) -> None:
        self.container = container
        self.api = api
        self.language = language

    def get(self, path: str, **query: str) -> str:
        return self.container.get(path, lang=self.language, **query).text

    def press(self, form: tuple[str, dict[str, str]]) -> str:
        return self.container.post(*form, lang=self.language).text

    def form(self, item: str = "fireworks") -> tuple[str, dict[str, str]]:
        return only_form(self.get(f"/items/{item}"))

    def pay(self, code: str) -> None:
        """Begin a payment, with this code."""
        self.api.body = self.api.entry(code)
        assert self.container.post(*self.form()).status_code == 302
        self.api.body = None

    def change(self, model: type[Model], *which: Any, **values: object) -> None:
        with self.container.app.app_context(), transaction() as session:
            session.execute(update(model).where(*which).values(values))


def shelf(walk: Walk) -> Pages:
    page = walk.get("/")
    walk.api.status = "500 ERROR"
    walk.press(walk.form())
    walk.api.status = "200 OK"
    return {"shelf": page, "shelf with a notice": walk.get("/")}


def items(walk: Walk) -> Pages:
    paths = {urlsplit(address).path for address in links(walk.get("/"))}
    return {path: walk.get(path) for path in sorted(paths) if path.startswith("/items/")}


def bag(walk: Walk) -> Pages:
    empty = walk.get("/inventory")
    with walk.container.app.app_context():
        customer, offers = identify("mixi", HANAKO, clock.now()), catalog.listing("mixi")
        with transaction() as session:
            for key in range(3 * len(offers)):
                item_id = offers[key % len(offers)].item.id
                inventory.grant(session, customer.id, item_id, str(key), clock.now())
    return {"empty bag": empty, "full bag": walk.get("/inventory")}


def history(walk: Walk) -> Pages:
    pages = {"empty history": walk.get("/history")}
    for number in range(20):
        walk.pay(f"{number:040d}")
    for status in Status:
        walk.change(Payment, status=status, settled_at=clock.now(), is_test=status is Status.COMPLETE)
        pages[f"history of twenty: {status}"] = walk.get("/history")
    return pages


def finish(walk: Walk) -> Pages:
    pages, code = {}, "9" * 40
    walk.pay(code)
    for refusal in (None, *Reason):
        walk.change(Payment, refusal=refusal)
        pages[f"finish, refused: {refusal}"] = walk.get("/mixi/finish", point_code=code)
    for status in Status:
        for confirmed_at in (None, clock.now()):
            walk.change(Payment, status=status, settled_at=clock.now(), confirmed_at=confirmed_at)
            sure = "unconfirmed" if confirmed_at is None else "confirmed"
            pages[f"finish: {status}, {sure}"] = walk.get("/mixi/finish", point_code=code)
    return pages


def halts(walk: Walk) -> Pages:
    pages, spent, waiting, late = {}, walk.form(), walk.form(), walk.form("coat")
    walk.press(spent)
    walk.change(Intent, started_at=clock.now() - timedelta(minutes=5))
    pages["spent"] = walk.press(spent)
    walk.press(waiting)
    walk.change(Intent, Intent.token.is_not(None), started_at=clock.now(), redirect=None)
    pages["being prepared"] = walk.press(waiting)
    walk.change(Item, Item.id == "coat", stock=0)
    pages["not for sale"] = walk.press(late)
    pages["stale form"] = walk.press((late[0], {"item": "loaf", "token": "x"}))
    walk.api.status = "500 ERROR"
    pages["not started"] = walk.press(walk.form())
    pages["too many"] = [walk.press(walk.form("moss")) for _ in range(TAPS)][-1]
    return pages


def others(walk: Walk) -> Pages:
    return {
        "legal notice": walk.get("/legal"),
        "no such page": walk.get("/nowhere"),
        "no such method": walk.get("/mixi/payments"),
        "nothing older": walk.get("/history", page="7"),
    }


@pytest.fixture(params=["ja", "en"])
def walk(
    container: Container, api: ScriptedApi, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Walk:
    monkeypatch.setattr(taps, "SECOND_TAP_SECONDS", 0.2)
    return Walk(container, api, request.param)


EVERYWHERE = pytest.mark.parametrize("visit", [shelf, items, bag, history, finish, halts, others])
Visit = Callable[[Walk], Pages]
SEEN: dict[tuple[str, Visit], Pages] = {}


def seen(walk: Walk, visit: Visit) -> Pages:
    """What hanako finds there; a walk is the same each time, so she goes once in each language."""
    if (walk.language, visit) not in SEEN:
        SEEN[walk.language, visit] = visit(walk)
    return SEEN[walk.language, visit]


def read(page: str) -> HtmlElement:
    return html.fromstring(page)


@pytest.mark.long
@on_sqlite
@EVERYWHERE
def test_they_are_small(walk: Walk, visit: Visit) -> None:
    """Every page is at most ten kilobytes of markup, however long the shop's own address is."""
    sizes = {name: len(page.encode()) for name, page in seen(walk, visit).items()}
    assert not {name: size for name, size in sizes.items() if size > MOST}, f"of {MOST}: {sizes}"


@on_sqlite
def test_a_full_shelf_is_small(walk: Walk) -> None:
    """As many items as a phone shows at once weigh no more than a page may, if all are as these are."""
    for name, text in seen(walk, shelf).items():
        rows = [html.tostring(row, encoding="utf-8") for row in read(text).cssselect(".shelf > li")]
        more = sum(len(row) for row in rows) // len(rows) * (MOBILE_ROWS - len(rows))
        assert len(text.encode()) + more <= MOST, name


@on_sqlite
@EVERYWHERE
def test_all_a_phone_finds_on_them(walk: Walk, visit: Visit) -> None:
    """No script, one small style; links stay in the container, keys are said, pictures are GIFs we have."""
    for name, text in seen(walk, visit).items():
        page = read(text)
        (style,) = page.cssselect("style, link")
        assert 0 < len(style.text_content()) < MOST_STYLE, name
        assert not re.search(r"var\(|url\(|@import", style.text_content()), name
        assert not re.search(r"<script|\sstyle=\son\w+=|javascript:|mailto:|tel:|sms:", text), name
        for link in [*page.iter("a"), *page.forms]:
            leads = str(link.get("href", link.get("action")))
            assert leads.startswith(("?guid=ON&url=", "#")), name
            assert parse_qs(urlsplit(leads).query)["url"][0].startswith(f"{ORIGIN}/"), name
        for form in page.forms:
            assert str(form.method).upper() == "POST", name
        keyed = page.cssselect("[accesskey]")
        keys = [(str(one.get("accesskey")), one.get("value") or one.text_content()) for one in keyed]
        assert len({key for key, _ in keys}) == len(keys) >= 4, name
        assert all(said.strip().startswith(f"{key}.") for key, said in keys), name
        for image in page.iter("img"):
            path = urlsplit(str(image.get("src"))).path
            assert path.endswith(".gif"), name
            assert (STATIC / path.removeprefix("/static/")).read_bytes().startswith(b"GIF8"), name
            assert image.get("alt") is not None, name
            assert image.get("width"), name


@on_sqlite
@EVERYWHERE
def test_they_speak_without_pictures_and_styles(walk: Walk, visit: Visit) -> None:
    """Every link and button has words of its own, every field a label; each page says where it is."""
    for name, text in seen(walk, visit).items():
        page = read(text)
        assert not page.cssselect("button"), f"{name}: handsets know input type=submit"
        for target in page.cssselect("a, input[type=submit]"):
            assert (target.get("value") or target.text_content()).strip(), name
        for given in page.cssselect("input:not([type=hidden]):not([type=submit])"):
            assert page.cssselect(f'label[for="{given.get("id")}"]'), name
        assert not page.cssselect("[hidden], [aria-hidden]"), name
        assert page.cssselect("h1")[0].text_content().strip(), name
        assert page.get("lang") == walk.language, name


@on_sqlite
@EVERYWHERE
def test_no_link_is_forbidden(walk: Walk, visit: Visit) -> None:
    """No page has a link that the platform allows no app: to the outside, to a mail, to a call."""
    app = App(APP_ID, ORIGIN, urljoin(CONTAINER, "/").rstrip("/"))
    for name, text in seen(walk, visit).items():
        assert forbidden(text.encode(), app) == [], name


@on_sqlite
@EVERYWHERE
def test_amounts(walk: Walk, visit: Visit) -> None:
    """An amount is mixi's icon, 16 by 16, then the number and pt; no number of points stands without it."""
    for name, text in seen(walk, visit).items():
        page = read(text)
        for amount in page.cssselect(".amount"):
            (icon,) = amount.cssselect("img")
            assert urlsplit(str(icon.get("src"))).path == "/static/art/point.gif", name
            assert (icon.get("width"), icon.get("height")) == ("16", "16"), name
            assert icon.get("alt"), name
            assert re.fullmatch(r"\s*[\d,]+pt", amount.text_content()), name
        counted = re.findall(r"[\d,]+\s?pt(?![A-Za-z])", page.text_content())
        assert len(counted) == len(page.cssselect(".amount")), name


def test_the_icon_is_as_large_as_it_says() -> None:
    """16 by 16, as the naming rules have it."""
    assert struct.unpack("<HH", (STATIC / "art/point.gif").read_bytes()[6:10]) == (16, 16)


@pytest.mark.parametrize("twin", sorted(path.stem for path in (STATIC / "art").glob("*.svg")))
def test_every_drawing_has_a_twin(twin: str) -> None:
    """Phones that know no SVG get every picture as a GIF of little weight."""
    assert 0 < (STATIC / f"art/{twin}.gif").stat().st_size <= 4096


@on_sqlite
@pytest.mark.parametrize("language", ["ja", "en"])
def test_a_picture_without_a_twin(container: Container, tmp_path: Path, language: str) -> None:
    """Where there is no GIF the phone gets the words in place of the picture, and no broken image."""
    item = {
        "id": "thing",
        "name": {"ja": "なにか", "en": "Something"},
        "description": {"ja": "-", "en": "-"},
        "art": "nowhere.svg",
        "consumable": True,
        "prices": {"mixi": 10},
    }
    path = tmp_path / "catalog.yaml"
    path.write_text(json.dumps([item]))
    with container.app.app_context(), transaction() as session:
        catalog.load(session, path)
    for address in ("/", "/items/thing"):
        page = read(container.get(address, lang=language).text)
        assert "nowhere" not in html.tostring(page, encoding="unicode")
        icons = {str(icon.get("alt")).strip() for icon in page.cssselect(".amount img")}
        assert len(icons - {""}) == 1  # the unit's name
        assert {str(image.get("alt")).strip() for image in page.iter("img")} <= {"", *icons}
    stage = page.cssselect(".stage")[0]
    assert stage.text_content() == item["name"][language]  # type: ignore[index]  # as written above


@on_sqlite
@EVERYWHERE
def test_words_stand_apart_without_styles(walk: Walk, visit: Visit) -> None:
    """No two texts run into each other on a phone that knows no styles."""
    for name, text in seen(walk, visit).items():
        for first in read(text).cssselect("span, strong, a, time"):
            follows = first.getnext()
            if follows is not None and follows.tag in ("span", "strong", "a", "time") and not first.tail:
                both = f"{first.text_content().strip()}|{follows.text_content().strip()}"
                assert both.startswith("|") or both.endswith("|"), f"{name}: {both}"


@on_sqlite
def test_what_the_text_alone_says(walk: Walk) -> None:
    """Prices, what is left, how many one may buy, and how a purchase stands: in words."""
    pages = {**seen(walk, shelf), **seen(walk, history)}
    for item, number in {"fireworks": "5", "ticket": "1"}.items():
        (limits,) = read(pages["shelf"]).cssselect(f"[data-item={item}] .limits")
        assert re.findall(r"\d+", limits.text_content()) == [number], item
    assert len(re.findall(r"\d+pt", words(pages["shelf"]))) == 11
    said = {}
    for status in (Status.CREATE, Status.CANCEL, Status.PAY_BACK):
        states = read(pages[f"history of twenty: {status}"]).cssselect(".state")
        assert len(states) >= MOBILE_PAGE, status
        (said[status],) = {state.text_content() for state in states}
        assert said[status].isascii() == (walk.language != "ja"), status
    assert len(set(said.values())) == len(said)


@on_sqlite
def test_the_door_leads_to_the_container(container: Container) -> None:
    """Unsigned requests get a link that stays inside the platform; any other is another counter's."""
    answer = container.app.test_client().get(f"/inventory?{urlencode(claims(HANAKO))}")
    assert answer.status_code == 401
    links = [link.get("href") for link in read(answer.text).iter("a")]
    with container.app.app_context():
        assert len(links) == len(visit.entrances())
    assert CONTAINER in links
    assert len(answer.data) <= MOST
