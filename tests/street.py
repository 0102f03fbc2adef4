"""Walking the street: signed page requests, callbacks, and what the shop's books say afterwards."""

import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from cryptography.x509 import Certificate
from flask import Flask
from flask.testing import FlaskClient
from lxml import html
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from storefront.db import db
from storefront.mixi.payments import Payment, Status
from storefront.mixi.settings import CERTIFIED
from storefront.sandbox.key_pairs import KeyPair
from storefront.sandbox.people import FIRST_STAGE, PLAYED
from storefront.sandbox.signing import PublisherClient, QueryClient, signed_address, signed_form
from storefront.shop.inventory import Grant
from storefront.shop.ledger import Entry

SHOP = "http://shop.test:8000"
PLATFORM = "http://platform.test"
KEY_NAME = "pc_20991231"  # of mixi's key
APP_ID = "12345"
CONSUMER_KEY = "a consumer key"
CONSUMER_SECRET = "a consumer secret & more"
HANAKO = "mo3k7c2hanak0"
TARO = "mo3w9x4tar0fr"
CALLBACK = "/mixi/callback"
NO_WORD = "the-word-of-no-payment"
KANA = re.compile("[ぁ-ゖァ-ヺ]")  # no Japanese sentence is without, and no other
GOODS = Path(__file__).with_name("goods.yaml")
IDENTITY = GOODS.with_name("identity.yaml")
SETTINGS = {
    "catalog": str(GOODS),
    "identity": str(IDENTITY),
    "secret_key": "a secret of the tests, and of nobody else",
    "public_url": SHOP,
    "mixi_app_id": APP_ID,
    "mixi_consumer_key": CONSUMER_KEY,
    "mixi_consumer_secret": CONSUMER_SECRET,
    "mixi_container_url": f"{PLATFORM}/ma/{APP_ID}/",
    "mixi_point_url": f"{PLATFORM}/atom/mobile/point/@me",
    "mixi_confirm_url": f"{PLATFORM}/atom/mobile/point/@me",
    "mixi_platform_hosts": "platform.test",
    "mixi_test_owners": "mo3testmika00",
    "mixi_taps_per_minute": "1000",
}


def on_first_stage(client: FlaskClient, platform: str = PLATFORM) -> FlaskClient:
    """A browser before the sandbox, on the first stage, where the ids of the cast are known."""
    with client.session_transaction(base_url=platform) as browser:
        browser[PLAYED] = FIRST_STAGE
    return client


class Container:
    """Asks the shop for pages as the container would: signed, in somebody's name."""

    def __init__(self, app: Flask, origin: str = SHOP) -> None:
        self.app = app
        self.origin = origin
        self.words: dict[str, str] = {}  # kept, since a test may take the database away

    def get(self, path: str, owner: str = HANAKO, **query: str) -> TestResponse:
        return self.send("GET", path, owner, query)

    def post(self, path: str, form: Mapping[str, str], owner: str = HANAKO, **query: str) -> TestResponse:
        return self.send("POST", path, owner, query, data=form)

    def send(self, method: str, path: str, owner: str, query: Mapping[str, str], **more: Any) -> TestResponse:
        target = f"{path}?{urlencode({**query, **claims(owner)})}"
        headers = sign(method, target, origin=self.origin)
        return self.app.test_client().open(target, method=method, headers=headers, **more)

    def follow(self, answer: TestResponse, owner: str = HANAKO) -> TestResponse:
        """The page that a redirect leads to, inside the container."""
        asked = urlsplit(parse_qs(urlsplit(answer.location).query)["url"][0])
        return self.get(asked.path, owner, **dict(parse_qsl(asked.query)))

    def buy(self, item: str = "excalibur", owner: str = HANAKO) -> TestResponse:
        """Open the item's page and press its button."""
        page = self.get(f"/items/{item}", owner)
        action, fields = only_form(page.text)
        return self.post(action, fields, owner)

    def start(self, item: str = "excalibur", owner: str = HANAKO) -> str:
        """Buy, as far as the point interface; the payment's code."""
        assert self.buy(item, owner).status_code == 302
        with self.app.app_context():
            newest = select(Payment.point_code).order_by(Payment.created_at.desc()).limit(1)
            code = db.session.scalars(newest).one()
        self.word(code)
        return code

    def word(self, code: str) -> str:
        """What only mixi's payment server knows of this payment; of one we never made, something else."""
        if code not in self.words:
            with self.app.app_context():
                payment = db.session.get(Payment, code)
            self.words[code] = str(payment.word) if payment else NO_WORD
        return self.words[code]

    def callback_target(self, code: str, owner: str = HANAKO, status: str = "10", **changes: Any) -> str:
        """Path and query of a callback about this payment."""
        return callback_target(code, owner, status, word=self.word(code), **changes)

    def callback(self, code: str, owner: str = HANAKO, status: str = "10", **changes: Any) -> TestResponse:
        """What mixi's servers send when the buyer has decided."""
        target = self.callback_target(code, owner, status, **changes)
        return self.app.test_client().get(target, headers=sign("GET", target, origin=self.origin))


class Browser:
    """A browser before one site: keeps its cookie, opens addresses, follows plain links, sends forms."""

    def __init__(self, app: Flask, origin: str = SHOP) -> None:
        self.client = app.test_client()
        self.origin = origin

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.client.get(path.removeprefix(self.origin), base_url=self.origin, **more)

    def post(self, path: str, form: Mapping[str, str] | None = None, **more: Any) -> TestResponse:
        return self.client.post(path.removeprefix(self.origin), data=form, base_url=self.origin, **more)

    def press(self, path: str, action: str, **changes: str) -> TestResponse:
        """Send the form of this page that leads to `action`."""
        return self.post(action, {**form_to(self.get(path).text, action), **changes})


class Books:
    """What the shop's database says."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def grants(self, owner: str | None = None) -> int:
        with self.app.app_context():
            return db.session.scalar(select(func.coalesce(func.sum(Grant.quantity), 0))) or 0

    def earned(self) -> int:
        with self.app.app_context():
            return db.session.scalar(select(func.coalesce(func.sum(Entry.amount), 0))) or 0

    def status(self, code: str) -> Status:
        with self.app.app_context():
            return db.session.get_one(Payment, code).status

    def payments(self) -> int:
        with self.app.app_context():
            return db.session.scalar(select(func.count()).select_from(Payment)) or 0


def claims(owner: str) -> dict[str, str]:
    return {"opensocial_app_id": APP_ID, "opensocial_owner_id": owner}


def sign(
    method: str,
    target: str,
    key: str = CONSUMER_KEY,
    secret: str = CONSUMER_SECRET,
    origin: str = SHOP,
    **more: str,
) -> dict[str, str]:
    """The headers under which the shop believes a request for `target`."""
    return dict(QueryClient(key, secret, **more).sign(origin + target, method)[1])  # type: ignore[arg-type]


def callback_target(
    code: str, owner: str = HANAKO, status: str = "10", *, word: str = NO_WORD, **changes: Any
) -> str:
    """Path and query of a callback; a change to None leaves a parameter out."""
    params = {
        **claims(owner),
        "point_code": code,
        "status": status,
        "updated": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **changes,
    }
    return f"{CALLBACK}/{word}?{urlencode({k: v for k, v in params.items() if v is not None}, doseq=True)}"


def start_address(
    pair: KeyPair,
    device: str = "pc",
    viewer: str = HANAKO,
    *,
    at: int = 0,
    origin: str = SHOP,
    method: str = "GET",
    **more: Any,
) -> str:
    """Where mixi opens the app on our own domain, signed `at` seconds from now; None leaves one out."""
    nonce = more.pop("nonce", None) or secrets.token_hex(10)
    params = {**claims(viewer), "opensocial_viewer_id": viewer, **more}
    query = urlencode({k: v for k, v in params.items() if v is not None}, doseq=True)
    address = f"{origin}/mixi/start/{device}?{query}"
    stamp = int(time.time()) + at
    return signed_address(address, pair.name, pair.private, timestamp=stamp, nonce=nonce, method=method)


def start_form(
    pair: KeyPair, device: str = "pc", viewer: str = HANAKO, *, at: int = 0, query: str = "", **more: Any
) -> tuple[str, dict[str, str]]:
    """The same as a form: where mixi posts it to, and its signed fields."""
    nonce = more.pop("nonce", None) or secrets.token_hex(10)
    fields = {**claims(viewer), "opensocial_viewer_id": viewer, **more}
    kept = {name: value for name, value in fields.items() if value is not None}
    address = f"{SHOP}/mixi/start/{device}{query and '?'}{query}"
    stamp = int(time.time()) + at
    return address, signed_form(address, kept, pair.name, pair.private, timestamp=stamp, nonce=nonce)


def tell(app: Flask, pair: KeyPair, kind: str, viewer: str = HANAKO, *, at: int = 0) -> TestResponse:
    """mixi says, so many seconds from now, that somebody has added or removed the app."""
    target = f"/mixi/lifecycle?{urlencode({'eventtype': kind, 'opensocial_app_id': APP_ID, 'id': viewer})}"
    stamp = str(int(time.time()) + at)
    signer = PublisherClient(pair.name, pair.private, timestamp=stamp, nonce=secrets.token_hex(10))
    return app.test_client().get(target, headers=signer.sign(SHOP + target, "GET")[1])


def for_all(pair: KeyPair) -> dict[str, dict[str, Certificate]]:
    """The setting of a shop that takes this key for mixi's in every channel."""
    return {channel: {pair.name: pair.certificate} for channel in CERTIFIED}


def form_to(text: str, action: str) -> dict[str, str]:
    """What the page's form that leads to `action` would send."""
    form = next(form for form in html.fromstring(text).forms if form.action == action)
    return {str(name): str(value) for name, value in form.form_values()}


def only_form(text: str) -> tuple[str, dict[str, str]]:
    """Where the page's form leads inside the shop, and what it would send."""
    form = html.fromstring(text).forms[0]
    address = parse_qs(urlsplit(str(form.action)).query)["url"][0]
    return str(urlsplit(address).path), {str(name): str(value) for name, value in form.form_values()}


def links(text: str) -> list[str]:
    """The addresses inside the shop that a page's links lead to."""
    hrefs = [str(a.get("href")) for a in html.fromstring(text).iter("a")]
    return [parse_qs(urlsplit(href).query)["url"][0] for href in hrefs if "url=" in href]


def words(text: str) -> str:
    """A page without its markup."""
    page = html.fromstring(text).cssselect("body")[0]
    for button in page.cssselect("input[type=submit]"):
        button.tail = f" {button.get('value')} {button.tail or ''}"
    return " ".join(page.text_content().split())


def kind(text: str) -> str | None:
    """Which page of the shop it is."""
    return html.fromstring(text).cssselect("main")[0].get("data-page")


def says(text: str) -> set[str]:
    """What a page says, by the words that mark its sentences; a mark without a sentence says nothing."""
    marked = [one for one in html.fromstring(text).cssselect("[data-says]") if one.text_content().strip()]
    return {word for one in marked for word in str(one.get("data-says")).split()}


def heading(text: str) -> str:
    """The heading of a page."""
    return " ".join(html.fromstring(text).cssselect("h1")[0].text_content().split())


def sentence(text: str, said: str) -> str:
    """The sentence that says this, and no other of the page."""
    (found,) = html.fromstring(text).cssselect(f'[data-says~="{said}"]')
    assert found.text_content().strip(), said
    return " ".join(found.text_content().split())


def in_doubt(text: str) -> bool:
    """Whether the history has a purchase that the platform has not confirmed, and says so beside it."""
    rows = html.fromstring(text).cssselect('li[data-payment][data-doubt="yes"]')
    return bool(rows) and all(any(note.text for note in row.cssselect("p")) for row in rows)


def buy_button(text: str) -> str:
    """What a page's form says that buys something, its price too; nothing where there is none."""
    for form in html.fromstring(text).cssselect("form.buy"):
        if form.cssselect("button, input[type=submit]"):
            return " ".join(form.text_content().split())
    return ""


def at_once(*actions: Callable[[], object]) -> None:
    """Do all of these in threads of their own, let go at the same moment; the first failure is raised."""
    barrier = threading.Barrier(len(actions))

    def act(action: Callable[[], object]) -> None:
        barrier.wait()
        action()

    with ThreadPoolExecutor(len(actions)) as threads:
        for done in [threads.submit(act, action) for action in actions]:
            done.result()


class ScriptedApi:
    """A point API that answers what a test tells it to; at first, a fresh payment each time."""

    ENTRY = (
        '<?xml version="1.0" encoding="utf-8"?><entry xmlns="http://www.w3.org/2005/Atom">'
        "<title/><id>{code}</id><updated>2026-01-01T00:00:00Z</updated><author/><content/>"
        '<link href="{href}" rel="related"/></entry>'
    )

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.status = "200 OK"
        self.body: bytes | None = None
        self.href = f"{PLATFORM}/point/1"

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        self.requests.append({**environ, "body": environ["wsgi.input"].read(length)})
        start_response(self.status, [("Content-Type", "application/atom+xml;type=entry;charset=utf-8")])
        return [self.body if self.body is not None else self.entry(secrets.token_hex(10))]

    def entry(self, code: str) -> bytes:
        return self.ENTRY.format(code=code, href=self.href.replace("&", "&amp;")).encode()
