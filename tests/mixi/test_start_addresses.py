"""Visits from PC and smartphone: a signed address opens one, once, and a cookie carries it on."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from flask import Flask
from itsdangerous import TimestampSigner
from lxml import html
from sqlalchemy import event, func, select, update
from structlog.testing import capture_logs

from storefront import Settings, clock, create_app
from storefront.db import db, transaction
from storefront.mixi.starts import Start
from storefront.sandbox.key_pairs import KeyPair
from storefront.shop.visits import Opened
from tests.databases import on_sqlite
from tests.street import (
    APP_ID,
    HANAKO,
    PLATFORM,
    SHOP,
    TARO,
    Books,
    Browser,
    Container,
    ScriptedApi,
    at_once,
    buy_button,
    claims,
    form_to,
    heading,
    says,
    sign,
    start_address,
    start_form,
    tell,
)

SAFE = "https://shop.test"
DEVICES = ["pc", "smartphone"]
PAGES = ["/", "/items/loaf", "/inventory", "/history", "/legal"]
VISIT = 1800  # seconds, as the settings have it unless told otherwise


@pytest.fixture
def browser(app: Flask, api: ScriptedApi) -> Browser:
    return Browser(app)


def opened(app: Flask) -> int:
    """How many visits were ever opened."""
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(Start)) or 0


def copied(app: Flask, browser: Browser) -> Browser:
    """Another browser with the first one's cookie."""
    other = Browser(app)
    cookie = browser.client.get_cookie("visit", "shop.test")
    assert cookie
    other.client.set_cookie("visit", cookie.value, domain="shop.test")
    return other


@pytest.mark.parametrize("device", DEVICES)
def test_a_start_address_opens_a_visit(browser: Browser, pair: KeyPair, device: str) -> None:
    """mixi says who looks and on what, and the shelf is theirs."""
    answer = browser.get(start_address(pair, device))
    assert (answer.status_code, answer.location) == (303, f"{SHOP}/")
    page = browser.get("/")
    assert page.status_code == 200
    assert f'<body class="{device}">' in page.text


COMMON = {"httponly", "path=/"}


@pytest.mark.parametrize(
    ("origin", "name", "attributes"),
    [
        pytest.param(SHOP, "visit", COMMON | {"samesite=lax"}, id="http"),
        pytest.param(
            SAFE,
            "__Host-visit",
            COMMON | {"samesite=none", "secure", "partitioned"},
            id="https",
            marks=pytest.mark.changed(public_url=SAFE, visit_seconds=600),
        ),
    ],
)
def test_the_cookie(
    app: Flask, settings: Settings, pair: KeyPair, origin: str, name: str, attributes: set[str]
) -> None:
    """Out of reach of scripts and soon over; over TLS no other host's, and kept apart for the page around."""
    answer = Browser(app, origin).get(start_address(pair, origin=origin))
    first, *said = answer.headers["Set-Cookie"].split("; ")
    assert first.partition("=")[0] == name
    assert HANAKO not in first
    timed = {one.partition("=")[0].lower(): one.partition("=")[2] for one in said}
    left = parsedate_to_datetime(timed.pop("expires")) - datetime.now(UTC)
    assert abs(left.total_seconds() - settings.visit_seconds) < 10
    assert timed.pop("max-age") == str(settings.visit_seconds)
    assert {one.lower() for one in said if one.partition("=")[0].lower() in timed} == attributes


def test_links_are_plain(browser: Browser, pair: KeyPair) -> None:
    """On our own domain every link and form is a path, and every link leads to a page."""
    browser.get(start_address(pair))
    for path in PAGES:
        page = html.fromstring(browser.get(path).text)
        for form in page.forms:
            assert str(form.action).startswith("/"), form.action
        for link in page.iter("a"):
            assert str(link.get("href")).startswith("/"), link.get("href")
            assert browser.get(str(link.get("href"))).status_code == 200


def test_the_language_goes_on(browser: Browser, pair: KeyPair) -> None:
    """A start address may ask for a language, which every link then carries."""
    answer = browser.get(start_address(pair, lang="en"))
    assert answer.location == f"{SHOP}/?lang=en"
    assert 'href="/items/loaf?lang=en"' in browser.get(answer.location).text


@pytest.mark.parametrize("device", ["mobile", *DEVICES])
def test_what_a_device_may_pay(
    container: Container, browser: Browser, books: Books, pair: KeyPair, device: str
) -> None:
    """9,800 points are paid on a PC and nowhere else; 4,800 everywhere."""
    here: Container | Browser = container
    if device != "mobile":
        here = browser
        browser.get(start_address(pair, device))
    page = here.get("/items/telescope").text
    assert ("9,800pt" in buy_button(page)) == (device == "pc")
    assert ("elsewhere" in says(page)) == (device != "pc")
    assert "4,800pt" in buy_button(here.get("/items/coat").text)
    # The form is hanako's own, and good: it was made on her PC.
    desk = Browser(browser.client.application)
    desk.get(start_address(pair, "pc"))
    form = form_to(desk.get("/items/telescope").text, "/mixi/payments")
    answer = here.post("/mixi/payments", form)
    assert answer.status_code == (302 if device == "pc" else 409)
    assert books.payments() == (1 if device == "pc" else 0)
    if device != "pc":
        assert says(answer.text) >= {"elsewhere", "nothing-paid"}


def test_the_viewer_visits(browser: Browser, container: Container, pair: KeyPair) -> None:
    """Whose page the app stands on and who looks at it may be two: the bag is the one's who looks."""
    container.callback(container.start("loaf"))
    browser.get(start_address(pair, viewer=HANAKO, opensocial_owner_id=TARO))
    assert 'data-item="loaf"' in browser.get("/inventory").text


@pytest.mark.parametrize("device", DEVICES)
def test_an_address_is_good_once(app: Flask, browser: Browser, pair: KeyPair, device: str) -> None:
    """Whoever has seen an address that was used has nothing; its own browser may reload it."""
    address = start_address(pair, device)
    assert browser.get(address).status_code == 303
    other = Browser(app)
    answer = other.get(address)
    assert answer.status_code == 401
    assert "forged" in says(answer.text)
    assert "Set-Cookie" not in answer.headers
    assert other.get("/inventory").status_code == 401
    again = browser.get(address)
    assert (again.status_code, again.location) == (303, f"{SHOP}/")
    assert browser.get("/inventory").status_code == 200
    assert opened(app) == 1


def test_an_address_in_somebody_elses_browser(app: Flask, browser: Browser, pair: KeyPair) -> None:
    """hanako's used address does not make taro's browser hers, nor end his visit."""
    address = start_address(pair)
    browser.get(address)
    other = Browser(app)
    other.get(start_address(pair, "smartphone", TARO))
    assert other.get(address).status_code == 401
    assert 'class="smartphone"' in other.get("/inventory").text


def test_logging_out(app: Flask, browser: Browser, pair: KeyPair) -> None:
    """After it neither the cookie, copied before, nor the address leads back in."""
    address = start_address(pair)
    browser.get(address)
    other = copied(app, browser)
    assert other.get("/inventory").status_code == 200
    left = browser.press("/", "/mixi/leave")
    assert left.status_code == 200
    assert f'href="{PLATFORM}/ma/{APP_ID}/"' in left.text
    assert "data-item" not in left.text
    for who in (browser, other):
        assert who.get("/inventory").status_code == 401
        assert who.get(address).status_code == 401
        assert who.get("/inventory").status_code == 401
    assert browser.get(start_address(pair)).status_code == 303
    assert browser.get("/inventory").status_code == 200


@pytest.mark.parametrize("token", ["", "x", "taro's", "for buying"])
def test_logging_out_needs_our_form(app: Flask, browser: Browser, pair: KeyPair, token: str) -> None:
    """Nobody is logged out by a form that is not their own."""
    browser.get(start_address(pair))
    other = Browser(app)
    other.get(start_address(pair, viewer=TARO))
    if token == "taro's":
        token = form_to(other.get("/").text, "/mixi/leave")["token"]
    elif token == "for buying":
        token = form_to(browser.get("/items/loaf").text, "/mixi/payments")["token"]
    assert browser.post("/mixi/leave", {"token": token}).status_code == 400
    assert browser.get("/mixi/leave").status_code == 405
    assert browser.get("/inventory").status_code == 200


def test_the_container_has_no_log_out(container: Container) -> None:
    """There is no visit to end where every request says who asks."""
    assert "/mixi/leave" not in container.get("/").text
    assert "mixi%2Fleave" not in container.get("/").text


Forge = Callable[[KeyPair, KeyPair], str]  # from the key and another by the same name to an address

OAUTH = [
    "oauth_consumer_key",
    "oauth_nonce",
    "oauth_signature",
    "oauth_signature_method",
    "oauth_timestamp",
    "xoauth_signature_publickey",
]
SIGNED = [*OAUTH, "oauth_version", "opensocial_app_id", "opensocial_owner_id", "opensocial_viewer_id"]


def made(at: int = 0, **changes: Any) -> Forge:
    """Rightly signed, for what it says."""
    return lambda pair, other: start_address(pair, at=at, **changes)


def changed(name: str, value: str = "another") -> Forge:
    """Another value for one of its parameters."""

    def forge(pair: KeyPair, other: KeyPair) -> str:
        path, _, query = start_address(pair).partition("?")
        assert f"{name}=" in query
        return f"{path}?{urlencode({**dict(parse_qsl(query)), name: value})}"

    return forge


def without(name: str) -> Forge:
    def forge(pair: KeyPair, other: KeyPair) -> str:
        path, _, query = start_address(pair).partition("?")
        return f"{path}?{urlencode([one for one in parse_qsl(query) if one[0] != name])}"

    return forge


def twice(name: str) -> Forge:
    def forge(pair: KeyPair, other: KeyPair) -> str:
        address = start_address(pair)
        return f"{address}&{urlencode({name: dict(parse_qsl(urlsplit(address).query))[name]})}"

    return forge


FORGERIES: dict[str, Forge] = {
    "bare": lambda pair, other: f"{SHOP}/mixi/start/pc",
    "unsigned": lambda pair, other: f"{SHOP}/mixi/start/pc?{urlencode(claims(HANAKO))}",
    "wrong key": lambda pair, other: start_address(other),
    "of another device": lambda pair, other: start_address(pair).replace("/pc?", "/smartphone?"),
    "added": lambda pair, other: start_address(pair) + "&more=1",
    "many": lambda pair, other: start_address(pair) + "&a=1" * 200,
    "stale": made(at=-700),
    "future": made(at=700),
    "no viewer": made(opensocial_viewer_id=None),
    "nobody": made(opensocial_viewer_id=None, opensocial_owner_id=None),
    "empty viewer": made(opensocial_viewer_id=""),
    "two viewers": made(opensocial_viewer_id=[HANAKO, TARO]),
    "long viewer": made(opensocial_viewer_id="x" * 65),
    "strange viewer": made(opensocial_viewer_id="a\0b"),
    "viewer of bytes": made(opensocial_viewer_id=b"\xff\xfe"),
    "other app": made(opensocial_app_id="54321"),
    "no app": made(opensocial_app_id=None),
    "two apps": made(opensocial_app_id=[APP_ID, APP_ID]),
    "other method": changed("oauth_signature_method", "HMAC-SHA1"),
    "no base64": changed("oauth_signature", "%%%"),
    "wide digits": changed("oauth_timestamp", "１８００００００００"),
    **{f"changed {name}": changed(name) for name in SIGNED},
    **{f"without {name}": without(name) for name in OAUTH},
    **{f"twice {name}": twice(name) for name in OAUTH},
}


@on_sqlite
def test_what_opens_nothing(app: Flask, pair: KeyPair, stranger: KeyPair) -> None:
    """What mixi did not sign so, for somebody here, now, opens nothing; the log has the reason alone."""
    for what, forge in FORGERIES.items():
        address, browser = forge(pair, stranger), Browser(app)
        with capture_logs() as lines:
            answer = browser.get(address)
        assert answer.status_code == 401, what
        assert "forged" in says(answer.text), what
        assert "Set-Cookie" not in answer.headers, what
        assert browser.get("/inventory").status_code == 401, what
        assert opened(app) == 0, what
        assert [line["event"] for line in lines] == ["start refused"], what
        assert set(lines[0]) == {"event", "log_level", "reason"}, what
        given = {value for _, value in parse_qsl(urlsplit(address).query, errors="replace")}
        assert not [value for value in given - {"1", "1.0", ""} if value in lines[0]["reason"]], what


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD", "DELETE"])
def test_only_opening_it_opens_it(app: Flask, browser: Browser, pair: KeyPair, method: str) -> None:
    """What was signed for a GET opens by GET; whatever else is done with it neither enters nor uses it up."""
    address = start_address(pair)
    answer = browser.client.open(address.removeprefix(SHOP), method=method, base_url=SHOP)
    assert answer.status_code in (401, 405)
    assert "Set-Cookie" not in answer.headers
    assert opened(app) == 0
    assert browser.get(address).status_code == 303


@pytest.mark.parametrize("device", DEVICES)
def test_a_posted_start_address(app: Flask, browser: Browser, pair: KeyPair, device: str) -> None:
    """mixi may post it as well, its words in the signed form; it opens the same visit, and once."""
    address, form = start_form(pair, device, query="lang=en")
    answer = browser.post(address, form)
    assert (answer.status_code, answer.location) == (303, f"{SHOP}/?lang=en")
    assert f'<body class="{device}">' in browser.get("/").text
    assert Browser(app).post(address, form).status_code == 401
    assert browser.post(address, form).status_code == 303
    assert opened(app) == 1


def test_posted_with_everything_in_its_query(browser: Browser, pair: KeyPair) -> None:
    """A form may be empty, where the address has all of it."""
    address = start_address(pair, method="POST")
    assert browser.get(address).status_code == 401
    assert browser.post(address, {}).status_code == 303


def test_one_nonce_for_both_ways(app: Flask, browser: Browser, pair: KeyPair) -> None:
    """What a posted address has used up is used up for a link, too."""
    browser.post(*start_form(pair, nonce="the same"))
    assert Browser(app).get(start_address(pair, nonce="the same")).status_code == 401
    assert opened(app) == 1


Post = tuple[str, dict[str, Any], dict[str, Any]]  # where to, the fields, and how they are sent


def posted(pair: KeyPair, *, query: str = "", unsigned: dict[str, Any] | None = None, **more: Any) -> Post:
    """A posted start address; beside what was signed, more fields or other values."""
    how = {name: more.pop(name) for name in ("content_type",) if name in more}
    address, form = start_form(pair, query=query, **more)
    return address, {**form, **(unsigned or {})}, how


def unsigned_body(pair: KeyPair) -> Post:
    """As if a form were not signed at all, as it is on mobile."""
    address = start_address(pair, method="POST", opensocial_viewer_id=None)
    return address, {"opensocial_viewer_id": TARO}, {}


WRONG_POSTS: dict[str, Callable[[KeyPair, KeyPair], Post]] = {
    "empty": lambda pair, other: (f"{SHOP}/mixi/start/pc", {}, {}),
    "wrong key": lambda pair, other: posted(other),
    "other viewer": lambda pair, other: posted(pair, unsigned={"opensocial_viewer_id": TARO}),
    "two viewers": lambda pair, other: posted(pair, unsigned={"opensocial_viewer_id": [HANAKO, TARO]}),
    "viewer in the query, too": lambda pair, other: posted(pair, query=f"opensocial_viewer_id={HANAKO}"),
    "another in the query": lambda pair, other: posted(pair, query=f"opensocial_viewer_id={TARO}"),
    "app in the query, too": lambda pair, other: posted(pair, query=f"opensocial_app_id={APP_ID}"),
    "nonce in the query, too": lambda pair, other: posted(pair, query="oauth_nonce=x"),
    "anything in both": lambda pair, other: posted(pair, query="x=1", x="1"),
    "nonce twice": lambda pair, other: posted(pair, unsigned={"oauth_nonce": ["x", "x"]}),
    "added": lambda pair, other: posted(pair, unsigned={"more": "1"}),
    "many": lambda pair, other: posted(pair, unsigned={"a": ["1"] * 200}),
    "no viewer": lambda pair, other: posted(pair, opensocial_viewer_id=None),
    "other app": lambda pair, other: posted(pair, opensocial_app_id="54321"),
    "stale": lambda pair, other: posted(pair, at=-700),
    "future": lambda pair, other: posted(pair, at=60),
    "body not signed": lambda pair, other: unsigned_body(pair),
    "no form": lambda pair, other: posted(pair, content_type="text/plain"),
    "in parts": lambda pair, other: posted(pair, content_type="multipart/form-data"),
}


@pytest.mark.parametrize("forge", WRONG_POSTS.values(), ids=WRONG_POSTS.keys())
@on_sqlite
def test_what_posted_opens_nothing(
    app: Flask,
    browser: Browser,
    pair: KeyPair,
    stranger: KeyPair,
    forge: Callable[[KeyPair, KeyPair], Post],
) -> None:
    """A field and a parameter of one name are refused, never picked from; so is whatever was not signed."""
    address, form, how = forge(pair, stranger)
    assert browser.post(address, form, **how).status_code == 401
    assert browser.get("/inventory").status_code == 401
    assert opened(app) == 0


@on_sqlite
def test_a_form_that_is_too_long(app: Flask, browser: Browser, pair: KeyPair) -> None:
    """However well signed, it is not read."""
    assert browser.post(*start_form(pair, more="x" * 70_000)).status_code == 413
    assert opened(app) == 0


@on_sqlite
def test_a_link_has_no_form(browser: Browser, pair: KeyPair) -> None:
    """What lies in the body of a GET is not signed and counts for nothing."""
    more = {"data": urlencode({"opensocial_viewer_id": TARO}), "content_type": "text/plain"}
    assert browser.get(start_address(pair), **more).status_code == 303
    assert browser.get("/inventory").status_code == 200


@on_sqlite
@pytest.mark.changed(mixi_clock_skew=3)
@pytest.mark.parametrize(("ahead", "status"), [(2, 303), (20, 401)])
def test_from_the_future(browser: Browser, pair: KeyPair, ahead: int, status: int) -> None:
    """mixi's clock may run ahead of ours by as much as the settings say, and no more."""
    assert browser.get(start_address(pair, at=ahead)).status_code == status
    assert browser.post(*start_form(pair, at=ahead)).status_code == status


@pytest.mark.parametrize("device", ["mobile", "tablet", "", "pc/x"])
def test_no_such_device(app: Flask, browser: Browser, pair: KeyPair, device: str) -> None:
    """Only PC and smartphone have start addresses, however well they are signed."""
    assert browser.get(start_address(pair, device)).status_code in (401, 404)
    assert opened(app) == 0


def test_an_unknown_key_name(app: Flask, browser: Browser, pair: KeyPair) -> None:
    """A certificate that nobody gave us vouches for nobody."""
    unknown = KeyPair("pc_another", pair.private, pair.certificate, pair.path)
    with capture_logs() as lines:
        assert browser.get(start_address(unknown)).status_code == 401
    assert [line["reason"] for line in lines] == ["consumer_key_unknown"]


def test_without_a_certificate(app: Flask, settings: Settings, pair: KeyPair) -> None:
    """A shop that holds no certificate opens no visit, and says so in its log."""
    shop = create_app(settings.model_copy(update={"mixi_certificates": {}}))
    with capture_logs() as lines:
        assert Browser(shop).get(start_address(pair)).status_code == 401
    assert [line["reason"] for line in lines] == ["NoCertificate"]


def test_eight_at_once(app: Flask, api: ScriptedApi, pair: KeyPair) -> None:
    """One address in eight browsers at the same moment: one of them is in."""
    address = start_address(pair)
    browsers = [Browser(app) for _ in range(8)]
    answers: list[int] = []
    at_once(*[lambda one=one: answers.append(one.get(address).status_code) for one in browsers])
    assert sorted(answers) == [303] + [401] * 7
    assert sorted(one.get("/inventory").status_code for one in browsers) == [200] + [401] * 7
    assert opened(app) == 1


@pytest.mark.parametrize(("rested", "status"), [(VISIT - 60, 200), (VISIT + 60, 401)])
def test_a_visit_that_rests_ends(
    browser: Browser, pair: KeyPair, monkeypatch: pytest.MonkeyPatch, rested: int, status: int
) -> None:
    """The cookie says when it was signed, and is believed for as long as the settings say."""
    with monkeypatch.context() as past:
        past.setattr(TimestampSigner, "get_timestamp", lambda self: int(time.time()) - rested)
        browser.get(start_address(pair))
    assert browser.get("/inventory").status_code == status


def test_every_step_prolongs_a_visit(
    browser: Browser, pair: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three pages, each most of a visit's time after the one before: all of one visit."""
    for ago in (3, 2, 1):
        with monkeypatch.context() as past:
            past.setattr(
                TimestampSigner, "get_timestamp", lambda self, ago=ago: int(time.time()) - ago * (VISIT - 60)
            )
            assert browser.get(start_address(pair) if ago == 3 else "/inventory").status_code in (303, 200)
    assert browser.get("/inventory").status_code == 200


@pytest.mark.parametrize(("age", "status"), [(timedelta(hours=23), 200), (timedelta(hours=25), 401)])
def test_no_visit_outlives_a_day(
    app: Flask, browser: Browser, pair: KeyPair, age: timedelta, status: int
) -> None:
    """Even one that never rested, and its address does not open it again."""
    address = start_address(pair)
    browser.get(address)
    with app.app_context(), transaction() as session:
        session.execute(update(Opened).values(opened_at=clock.now() - age))
    assert browser.get("/inventory").status_code == status
    assert browser.get(address).status_code == (303 if status == 200 else 401)


def test_used_addresses_are_forgotten_in_time(app: Flask, browser: Browser, pair: KeyPair) -> None:
    """A used address is kept until its timestamp alone refuses it and its visit is over, and no longer."""
    for age in (timedelta(days=1), timedelta(days=1, seconds=1300)):
        browser.get(start_address(pair))
        with app.app_context(), transaction() as session:
            newest = select(func.max(Start.opened_at)).scalar_subquery()
            moved = update(Start).where(Start.opened_at == newest)
            session.execute(moved.values(opened_at=clock.now() - age))
    Browser(app).get(start_address(pair))
    assert opened(app) == 2


def test_who_removes_the_app_is_out(app: Flask, browser: Browser, pair: KeyPair) -> None:
    """A visit ends everywhere when mixi says that its customer has left, and a new start begins a new one."""
    address = start_address(pair)
    browser.get(address)
    other = Browser(app)
    other.get(start_address(pair, viewer=TARO))
    assert tell(app, pair, "event.removeapp").status_code == 200
    for path in PAGES[1:4]:
        assert browser.get(path).status_code == 401
    assert browser.get(address).status_code == 401
    assert other.get("/inventory").status_code == 200
    assert browser.get(start_address(pair)).status_code == 303
    assert browser.get("/inventory").status_code == 200


@pytest.mark.parametrize("again", ["added", "started", "on the phone"])
def test_a_removal_is_for_good(
    app: Flask, browser: Browser, container: Container, pair: KeyPair, again: str
) -> None:
    """Whatever brings a customer back, a visit from before the removal is over; a new one opens."""
    address = start_address(pair)
    browser.get(address)
    assert tell(app, pair, "event.removeapp", at=1).status_code == 200
    if again == "added":
        tell(app, pair, "event.addapp", at=2)
    elif again == "started":
        assert Browser(app).get(start_address(pair, at=2)).status_code == 303
    else:
        assert container.get("/").status_code == 200
    assert browser.get("/inventory").status_code == 401
    assert browser.get(address).status_code == 401
    assert browser.get(start_address(pair, at=2)).status_code == 303
    assert browser.get("/inventory").status_code == 200


@pytest.mark.parametrize("added", [True, False])
def test_a_removal_from_before_the_visit(app: Flask, browser: Browser, pair: KeyPair, added: bool) -> None:
    """A removal that mixi signed earlier and that arrives late ends no visit, whatever else arrives."""
    old = Browser(app)
    old.get(start_address(pair, at=-20))
    if added:
        tell(app, pair, "event.addapp", at=-5)
    browser.get(start_address(pair))
    assert tell(app, pair, "event.removeapp", at=-10).status_code == 200
    assert browser.get("/inventory").status_code == 200
    assert old.get("/inventory").status_code == 401


def test_an_address_from_before_the_removal(app: Flask, browser: Browser, pair: KeyPair) -> None:
    """A start address that was signed earlier, and not used yet, opens nothing after the removal."""
    browser.get(start_address(pair, at=-20))
    address = start_address(pair, at=-10)
    tell(app, pair, "event.removeapp", at=-5)
    with capture_logs() as lines:
        assert browser.get(address).status_code == 401
    assert [line["reason"] for line in lines] == ["signed before its viewer removed the app"]
    tell(app, pair, "event.addapp", at=-4)
    assert browser.get("/inventory").status_code == 401
    assert browser.get(start_address(pair)).status_code == 303


def test_a_removal_beside_the_start(app: Flask, browser: Browser, pair: KeyPair) -> None:
    """A removal that comes just as a visit is written down waits for that, and then ends it."""
    Browser(app).get(start_address(pair, at=-20))
    removal = threading.Thread(target=tell, args=(app, pair, "event.removeapp"), kwargs={"at": -5})

    def meanwhile(*statement: Any) -> None:
        if statement[2].startswith("INSERT INTO start") and not removal.ident:
            removal.start()
            removal.join(1)  # it has its chance to be first

    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", meanwhile)
    # The removal may end the visit even before the answer to its start is said.
    assert browser.get(start_address(pair, at=-10)).status_code in (303, 401)
    removal.join(30)
    assert browser.get("/inventory").status_code == 401
    tell(app, pair, "event.addapp", at=-4)
    assert browser.get("/inventory").status_code == 401


def test_buying_on_a_pc(
    container: Container, browser: Browser, books: Books, api: ScriptedApi, pair: KeyPair
) -> None:
    """hanako buys the telescope at her desk: button, mixi, callback, and back by a plain address."""
    browser.get(start_address(pair))
    answer = browser.press("/items/telescope", "/mixi/payments")
    assert (answer.status_code, answer.location) == (302, api.href)
    assert b'point="9800"' in api.requests[0]["body"]
    assert f"xoauth_requestor_id={HANAKO}" in api.requests[0]["QUERY_STRING"]
    code = html.fromstring(browser.get("/history").text).cssselect("[data-payment]")[0].get("data-payment")
    page = browser.get(f"/mixi/finish?point_code={code}&status=10")
    assert f'data-payment="{code}" data-state="create"' in page.text
    assert books.grants() == 0
    assert container.callback(str(code)).text == "OK"
    page = browser.get(f"/mixi/finish?point_code={code}&status=10")
    assert f'data-payment="{code}" data-state="complete"' in page.text
    assert "灯台の望遠鏡" in heading(page.text)
    assert 'data-item="telescope"' in browser.get("/inventory").text
    assert (books.grants(), books.earned()) == (1, 9800)
    assert Browser(container.app).get(f"/mixi/finish?point_code={code}&status=10").status_code == 401


def test_using_on_a_pc(container: Container, browser: Browser, pair: KeyPair) -> None:
    """What was bought on the phone is in the bag on the PC, and is used there."""
    container.callback(container.start("loaf"))
    browser.get(start_address(pair))
    used = browser.press("/inventory", "/inventory/loaf/use")
    assert (used.status_code, used.location.partition("?")[0]) == (302, f"{SHOP}/inventory")
    assert 'data-item="loaf"' not in container.get("/inventory").text


def test_the_container_beside_a_cookie(browser: Browser, container: Container, pair: KeyPair) -> None:
    """A request that the container signed is the container's person, whatever the cookie says."""
    container.callback(container.start("loaf", TARO), TARO)
    browser.get(start_address(pair, viewer=HANAKO))
    target = f"/inventory?{urlencode(claims(TARO))}"
    page = browser.get(target, headers=sign("GET", target))
    assert "guid=ON" in page.text
    assert 'data-item="loaf"' in page.text
    assert 'data-item="loaf"' not in browser.get("/inventory").text


@pytest.mark.parametrize("claimed", [f"?opensocial_owner_id={TARO}", f"?opensocial_app_id={APP_ID}"])
def test_a_false_claim_beside_a_cookie(browser: Browser, pair: KeyPair, claimed: str) -> None:
    """Who claims to come through the container is held to it, cookie or not; without a key nobody claims."""
    browser.get(start_address(pair))
    assert browser.get(f"/inventory{claimed}").status_code == 401
    assert browser.get("/inventory", headers={"Authorization": "OAuth x"}).status_code == 200
    assert browser.get("/inventory").status_code == 200


@pytest.mark.parametrize("cookie", ["", "x", "eyJzdGFydCI6IngifQ.x.y", "\0", "a" * 5000])
def test_a_cookie_that_is_none_of_ours(browser: Browser, cookie: str) -> None:
    """A made-up cookie is no visit and breaks nothing."""
    for path, status in (("/inventory", 401), ("/", 200), ("/legal", 200)):
        assert browser.get(path, headers={"Cookie": f"visit={cookie}"}).status_code == status


@pytest.mark.parametrize(
    ("page", "action"),
    [("/items/loaf", "/mixi/payments"), ("/inventory", "/inventory/loaf/use"), ("/", "/mixi/leave")],
)
def test_forms_are_their_customers_own(
    app: Flask, browser: Browser, container: Container, books: Books, pair: KeyPair, page: str, action: str
) -> None:
    """hanako's form does nothing in taro's hands, on a page as on the phone."""
    for owner in (HANAKO, TARO):
        container.callback(container.start("loaf", owner), owner)
    browser.get(start_address(pair))
    form = form_to(browser.get(page).text, action)
    taro = Browser(app)
    taro.get(start_address(pair, viewer=TARO))
    before = (books.payments(), books.grants())
    assert taro.post(action, form).status_code == 400
    assert container.post(action, form, TARO).status_code == 400
    assert (books.payments(), books.grants()) == before
    assert taro.get("/inventory").status_code == 200
    assert browser.post(action, form).status_code in (200, 302)
