"""Whose visit it is: pages say it, nobody takes another's place unasked, and two at once are nobody."""

import pytest
from flask import Flask
from lxml import html
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from storefront.db import db
from storefront.sandbox.key_pairs import KeyPair
from storefront.shop import inventory
from storefront.shop.visits import Opened
from tests.databases import on_sqlite
from tests.street import (
    HANAKO,
    KANA,
    SHOP,
    TARO,
    Browser,
    Container,
    ScriptedApi,
    form_to,
    start_address,
)

SAFE = "https://shop.test"
PAGES = ["/", "/items/loaf", "/inventory", "/history", "/legal", "/nowhere"]
IN = {HANAKO: "mixi …hanak0", TARO: "mixi …tar0fr"}


@pytest.fixture
def browser(app: Flask, api: ScriptedApi, pair: KeyPair) -> Browser:
    """hanako at her desk, the app opened."""
    browser = Browser(app)
    assert browser.get(start_address(pair)).status_code == 303
    return browser


def who_is_in(browser: Browser) -> list[str]:
    """Whom the pages name."""
    named = html.fromstring(browser.get("/inventory").text).cssselect(".who")
    return [name for who in named for name in IN.values() if name in who.text_content()]


def asked(browser: Browser, pair: KeyPair, lang: str | None = None) -> str:
    """taro's start address is opened in the browser; where it asks."""
    answer = browser.get(start_address(pair, viewer=TARO, lang=lang))
    assert answer.status_code == 303
    assert str(answer.location).startswith(f"{SHOP}/change?")
    return str(answer.location).removeprefix(SHOP)


@pytest.mark.parametrize("device", ["pc", "smartphone"])
def test_every_page_says_who_is_in(app: Flask, api: ScriptedApi, pair: KeyPair, device: str) -> None:
    """On PC and smartphone: the platform's name and the end of the id, and not the id."""
    browser = Browser(app)
    browser.get(start_address(pair, device))
    for path in PAGES:
        page = browser.get(path).text
        (who,) = html.fromstring(page).cssselect("header .who")
        assert IN[HANAKO] in who.text_content(), path
        assert HANAKO not in page


def test_a_mobile_phone_need_not_say_it(container: Container) -> None:
    """Nobody opens another's pages in the container, and its pages stay small."""
    assert "nak0" not in container.get("/").text


def test_nobody_is_in(app: Flask) -> None:
    """The door names nobody."""
    assert "who" not in app.test_client().get("/").text


def test_another_persons_address_asks(
    container: Container, browser: Browser, app: Flask, pair: KeyPair
) -> None:
    """It changes nothing by itself: the page names both, and neither choice is dressed up."""
    container.callback(container.start("loaf"))
    question = asked(browser, pair, lang="en")
    assert who_is_in(browser) == [IN[HANAKO]]
    for _ in range(2):  # reloading asks again
        page = browser.get(question)
        assert page.status_code == 200
    (form,) = html.fromstring(page.text).cssselect("form.twins")
    (stay,), (change,) = form.cssselect("a"), form.cssselect("button")
    assert stay.get("class") == change.get("class") == "button plain"
    assert IN[HANAKO] in stay.text_content()
    assert IN[TARO] in change.text_content()
    assert "data-item" in browser.get(str(stay.get("href")).replace("/?", "/inventory?")).text


def test_changing(container: Container, browser: Browser, app: Flask, pair: KeyPair) -> None:
    """One press lets taro in and ends hanako's visit; pressed twice, it is the same."""
    container.callback(container.start("loaf"))
    form = form_to(browser.get(asked(browser, pair)).text, "/change")
    for _ in range(2):
        answer = browser.post("/change", form)
        assert (answer.status_code, answer.location) == (303, f"{SHOP}/")
        assert who_is_in(browser) == [IN[TARO]]
        assert "data-item" not in browser.get("/inventory").text
    with app.app_context():
        ended = db.session.scalars(select(Opened.ended_at).order_by(Opened.opened_at)).all()
    assert sorted(bool(one) for one in ended) == [False, True]


@on_sqlite
def test_only_who_was_asked_changes(app: Flask, browser: Browser, pair: KeyPair) -> None:
    """No form but the one that this browser was shown lets anybody in."""
    mallory = Browser(app)
    mallory.get(start_address(pair, viewer=TARO))
    theirs = form_to(mallory.get("/").text, "/mixi/leave")["token"]
    answer = mallory.get(start_address(pair, viewer="mo3mall0ry000"))
    question = form_to(mallory.get(str(answer.location)).text, "/change")["token"]
    mine = form_to(browser.get("/").text, "/mixi/leave")["token"]
    for token in ("", "x", mine, theirs, question):
        assert browser.post("/change", {"token": token}).status_code in (400, 401)
        assert browser.get("/change", query_string={"token": token}).status_code == 400
        assert who_is_in(browser) == [IN[HANAKO]]
    assert Browser(app).post("/change", {"token": question}).status_code == 401


def test_the_address_is_used_up(app: Flask, browser: Browser, pair: KeyPair) -> None:
    """Whether taro was let in or not, his address opens nothing a second time."""
    address = start_address(pair, viewer=TARO)
    browser.get(address)
    for other in (browser, Browser(app)):
        assert other.get(address).status_code == 401
    assert who_is_in(browser) == [IN[HANAKO]]


def test_the_same_person_is_not_asked(browser: Browser, pair: KeyPair) -> None:
    """hanako may open the app as often as she likes, on another device, too."""
    answer = browser.get(start_address(pair, "smartphone"))
    assert (answer.status_code, answer.location) == (303, f"{SHOP}/")
    assert 'class="smartphone"' in browser.get("/").text


def test_whose_visit_is_over_is_not_asked(browser: Browser, pair: KeyPair) -> None:
    """Where nobody is in, the next one comes in."""
    browser.press("/", "/mixi/leave")
    answer = browser.get(start_address(pair, viewer=TARO))
    assert (answer.status_code, answer.location) == (303, f"{SHOP}/")
    assert who_is_in(browser) == [IN[TARO]]


@pytest.mark.parametrize(
    "origin", [SHOP, pytest.param(SAFE, marks=pytest.mark.changed(public_url=SAFE))], ids=["http", "https"]
)
def test_two_visits_are_none(app: Flask, api: ScriptedApi, pair: KeyPair, origin: str) -> None:
    """Who sends two cookies of the name has one of somebody else's making: nobody is in, in either order."""
    sent = []
    for viewer in (HANAKO, TARO):
        answer = Browser(app, origin).get(start_address(pair, viewer=viewer, origin=origin))
        sent.append(answer.headers["Set-Cookie"].partition(";")[0])
    stranger = app.test_client(use_cookies=False)
    for cookies, status in (
        (sent[:1], 200),
        (sent[1:], 200),
        (sent, 401),
        (sent[::-1], 401),
        (sent[:1] * 2, 401),
    ):
        headers = {"Cookie": "; ".join(cookies)}
        assert stranger.get("/inventory", base_url=origin, headers=headers).status_code == status


@pytest.mark.changed(public_url=SAFE)
def test_another_hosts_cookie_is_no_visit(app: Flask, api: ScriptedApi, pair: KeyPair) -> None:
    """Over TLS only the name that browsers let nobody else set is read."""
    answer = Browser(app, SAFE).get(start_address(pair, origin=SAFE))
    value = answer.headers["Set-Cookie"].partition(";")[0].removeprefix("__Host-")
    stranger = app.test_client(use_cookies=False)
    assert stranger.get("/inventory", base_url=SAFE, headers={"Cookie": value}).status_code == 401


def test_the_choice_is_in_both_languages(browser: Browser, pair: KeyPair) -> None:
    """Japanese unless English was chosen."""
    page = browser.get(asked(browser, pair)).text
    english = browser.get(asked(browser, pair, lang="en")).text
    assert ['<html lang="ja">' in page, '<html lang="en">' in english] == [True, True]
    buttons = [html.fromstring(text).cssselect("form.twins button")[0] for text in (page, english)]
    assert [bool(KANA.search(button.text_content())) for button in buttons] == [True, False]


def test_the_database_dies_on_the_way(
    app: Flask, pair: KeyPair, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of a PC that loses its database says so with 503, and still says who is in."""
    browser = Browser(app)
    browser.get(start_address(pair))

    def dead(*_: object, **__: object) -> None:
        raise OperationalError("", {}, Exception("gone"))

    def holdings(customer_id: int) -> None:
        event.listen(db.engine, "before_cursor_execute", dead)
        db.session.rollback()
        dead()

    monkeypatch.setattr(inventory, "holdings", holdings)
    answer = browser.get("/inventory")
    assert answer.status_code == 503
    assert HANAKO[-4:] in answer.text
