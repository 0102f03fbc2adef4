"""A sandbox joined in memory to a small scripted SAP."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from html import unescape
from pathlib import Path
from shutil import copy
from typing import Any
from urllib.parse import quote

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from lxml import html
from pydantic import SecretStr
from werkzeug import Request, Response
from werkzeug.test import TestResponse

from storefront.mixi import signing
from storefront.sandbox import clock, create_sandbox, people, stage, store, wirelog
from storefront.sandbox.cast import BY_KEY
from storefront.sandbox.mixi import payments
from storefront.sandbox.people import FIRST_STAGE
from storefront.sandbox.settings import SandboxSettings
from storefront.sandbox.signing import body_hash
from tests.street import on_first_stage
from tests.wire import Wire

Begin = Callable[..., tuple["Phone", "Purchase"]]

SHOP = "http://shop.test"
PLATFORM = "http://platform.test:8001"
EVENTS = "/mixi/lifecycle"
API = f"{PLATFORM}/atom/mobile/point/@me"
APP = "4242"
STORE = "sandbox.db"
KEY, SECRET = "38dacb31c1759ea5ecc8", "abcdefg"

XML = """<?xml version="1.0" encoding="utf-8"?>
<entry xmlns="http://www.w3.org/2005/Atom"
       xmlns:app="http://www.w3.org/2007/app"
       xmlns:point="http://mixi.jp/atom/ns#point">
  <title /><id /><updated />
  <author><name /></author>
  <content type="text/xml">
    <point:url callback_url="http://shop.test/callback" finish_url="http://shop.test/finish" />
    <point:items>
      <point:item id="excalibur" name="エクスカリバー" point="100" />
    </point:items>
  </content>
</entry>"""
TEST_XML = XML.replace("</point:items>", '</point:items><point:status is_test="true" />')


def ok(_request: Request) -> Response:
    return Response("OK", content_type="text/plain")


def _nothing(_request: Request) -> Response:
    return Response("?", 404, content_type="text/plain")


@dataclass
class Sap:
    """A SAP that says what it is told to say, and remembers what it was asked."""

    scripts: dict[str, Callable[[Request], Response]] = field(default_factory=dict)
    heard: list[Request] = field(default_factory=list)
    events: list[Request] = field(default_factory=list)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        request.get_data()
        (self.events if request.path == EVENTS else self.heard).append(request)
        script = self.scripts.get(request.path, _nothing)
        return script(request)(environ, start_response)

    def says(self, path: str, body: str | bytes = "", status: int = 200, **headers: str) -> None:
        """Answer this path in this way from now on."""
        kind = headers.pop("content_type", "text/html; charset=utf-8")
        self.scripts[path] = lambda _: Response(body, status, headers, content_type=kind)

    def redirects(self, path: str, location: str, status: int = 302) -> None:
        """Redirect this path from now on."""
        self.scripts[path] = lambda _: Response("", status, {"Location": location})

    @property
    def last(self) -> Request:
        return self.heard[-1]


@dataclass
class Phone:
    """A browser in front of the sandbox, on the first stage, where the ids of the cast are known."""

    client: FlaskClient

    def __post_init__(self) -> None:
        on_first_stage(self.client, PLATFORM)

    def get(self, url: str, **kwargs: Any) -> TestResponse:
        return self.client.get(url, base_url=PLATFORM, **kwargs)

    def post(self, url: str, **kwargs: Any) -> TestResponse:
        return self.client.post(url, base_url=PLATFORM, **kwargs)

    def press(self, page: str, action: str, **values: str) -> TestResponse:
        """Send a form as it stands on a page, with the pressed button's value."""
        answer = self.get(page)
        token = re.search(r'name="form_token" value="([^"]+)"', answer.text)
        assert token, answer.text
        return self.post(action, data={"form_token": token[1], **values})

    def belongs_to(self, key: str, device: str = "mobile") -> "Phone":
        """Open the app as this persona, on this device."""
        self.opens(key, device)
        return self

    def opens(self, key: str, device: str) -> str:
        """Open the app as this persona; returns where the browser is sent, or the frame that it is shown."""
        answer = self.press("/", f"/phone/{device}", persona=key)
        assert answer.status_code == 303, answer.text
        location = answer.headers["Location"]
        return self.framed(location) if location == "/apps/pc" else location

    def framed(self, page: str = "/apps/pc") -> str:
        """What stands in the frame of the platform's page."""
        (frame,) = html.fromstring(self.get(page).text).cssselect("iframe")
        return str(frame.get("src"))

    def page(self, url: str, **kwargs: Any) -> TestResponse:
        """Open a page of the app through the container."""
        return self.get(f"/ma/{APP}/?guid=ON&url={quote(url, safe='')}", **kwargs)

    def buy(self, interface: str, action: str = "buy", **values: str) -> str:
        """Press a button of the payment screen; returns the screen that follows."""
        path = interface.removeprefix(PLATFORM)
        answer = self.press(path, f"{path}/{action}", **values)
        assert answer.status_code == 303, answer.text
        return self.screen(interface)

    def screen(self, interface: str) -> str:
        """Which payment screen stands at this address."""
        return self.screen_of(self.get(interface.removeprefix(PLATFORM)))

    @staticmethod
    def screen_of(answer: TestResponse) -> str:
        found = re.search(r'data-screen="(\w+)"', answer.text)
        assert found, answer.text
        return found[1]


@dataclass
class Shop:
    """The SAP's side of the point API."""

    app: Flask

    def ask(self, method: str, query: str, body: bytes = b"", **options: Any) -> TestResponse:
        """One API call, signed as a SAP signs unless `options` say otherwise."""
        secret, key = options.get("secret", SECRET), options.get("consumer_key", KEY)
        at = options.get("timestamp", int(clock.now().timestamp()))
        params = [
            ("oauth_consumer_key", key),
            ("oauth_nonce", options.get("nonce", f"n{len(options)}{id(object())}{clock.now().timestamp()}")),
            ("oauth_signature_method", options.get("signature_method", "HMAC-SHA1")),
            ("oauth_timestamp", str(at)),
            ("oauth_version", options.get("version", "1.0")),
        ]
        if "body_hash" in options or method == "POST":
            params.append(("oauth_body_hash", options.get("body_hash", body_hash(body))))
        params = [(name, value) for name, value in params if value is not None]
        base = signing.base_string(
            method, options.get("signed_url", API), signing.query_pairs(query.encode()), params
        )
        params.append(("oauth_signature", signing.hmac_sha1(base, secret)))
        header = "OAuth " + ", ".join(f'{name}="{quote(value, safe="")}"' for name, value in params)
        return self.app.test_client().open(
            "/atom/mobile/point/@me",
            method=method,
            query_string=query,
            base_url=options.get("base_url", PLATFORM),
            data=options.get("sent", body),
            content_type=options.get("content_type", "application/atom+xml;type=entry"),
            headers={"Authorization": header},
        )

    def create(self, key: str = "hanako", xml: str | bytes = XML, **options: Any) -> TestResponse:
        body = xml if isinstance(xml, bytes) else xml.encode()
        return self.ask("POST", f"xoauth_requestor_id={owner(key)}", body, **options)

    def confirm(self, code: str, key: str = "hanako", **options: Any) -> TestResponse:
        return self.ask("GET", f"xoauth_requestor_id={owner(key)}&point_code={code}", **options)

    def status(self, code: str, key: str = "hanako") -> str:
        """The payment's state, as the API tells it."""
        found = re.search(r"<point:status[^>]*>(\w+)<", self.confirm(code, key).text)
        assert found
        return found[1]


@dataclass
class Purchase:
    """A payment whose screen is open on its buyer's phone."""

    code: str
    url: str


def owner(key: str) -> str:
    return BY_KEY[key].owner_id if key in BY_KEY else key


def first_stage() -> stage.Stage:
    """The stage that the phones of these tests are on."""
    found = stage.by_id(FIRST_STAGE)
    assert found
    return found


def read_created(answer: TestResponse) -> Purchase:
    assert answer.status_code == 200, answer.text
    code, url = re.search(r"<id>(\w+)</id>", answer.text), re.search(r'href="([^"]+)"', answer.text)
    assert code
    assert url
    return Purchase(code[1], unescape(url[1]))


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the platform keeps its keys; they take long to make."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="session")
def full_store(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Path:
    """The store of a sandbox that was started once, to copy."""
    folder = tmp_path_factory.mktemp("store")
    app = create_sandbox(settings_in(folder, keys))
    with app.app_context():
        store.db.engine.dispose()
    return folder / STORE


@pytest.fixture
def settings(tmp_path: Path, keys: Path, full_store: Path) -> SandboxSettings:
    copy(full_store, tmp_path / STORE)
    return settings_in(tmp_path, keys)


def settings_in(folder: Path, keys: Path) -> SandboxSettings:
    return SandboxSettings(
        public_url=PLATFORM,
        shop_url=SHOP,
        app_id=APP,
        consumer_key=KEY,
        consumer_secret=SecretStr(SECRET),
        secret_key=SecretStr("for the tests only, never elsewhere"),
        database_url=SecretStr(f"sqlite:///{folder}/{STORE}"),
        keys=keys,
    )


@pytest.fixture
def sap() -> Sap:
    sap = Sap()
    sap.says("/", "<html><body><h1>Shelf</h1></body></html>")
    sap.says("/callback", "OK", content_type="text/plain")
    sap.says(EVENTS, content_type="text/plain")
    return sap


@pytest.fixture
def wire(sap: Sap) -> Wire:
    return Wire(sap)


@pytest.fixture
def make(settings: SandboxSettings, wire: Wire) -> Callable[..., Flask]:
    """Makes a sandbox, with some settings changed."""

    def make(**changed: object) -> Flask:
        http = requests.Session()
        http.trust_env = False
        http.mount("http://", wire)
        return create_sandbox(settings.model_copy(update=changed), http)

    return make


@pytest.fixture
def app(make: Callable[..., Flask]) -> Flask:
    return make()


@pytest.fixture
def inside(app: Flask) -> Iterator[Flask]:
    """Lets a test look into the store."""
    with app.app_context():
        yield app


@pytest.fixture
def phone(app: Flask) -> Phone:
    return Phone(app.test_client())


@pytest.fixture
def shop(app: Flask) -> Shop:
    return Shop(app)


@pytest.fixture
def begin(app: Flask, sap: Sap, shop: Shop) -> Callable[..., tuple[Phone, Purchase]]:
    """Has someone pick an item: the app creates a payment and redirects to its screen."""

    def begin(key: str = "hanako", xml: str = XML) -> tuple[Phone, Purchase]:
        phone = Phone(app.test_client()).belongs_to(key)
        assert phone.page(f"{SHOP}/").status_code == 200
        purchase = read_created(shop.create(key, xml))
        sap.redirects("/buy", purchase.url)
        assert phone.page(f"{SHOP}/buy").headers["Location"] == purchase.url
        return phone, purchase

    return begin


@pytest.fixture
def balance(app: Flask) -> Callable[[str], int]:
    """Someone's points."""

    def balance(key: str) -> int:
        with app.app_context():
            user = people.find(owner(key))
            assert user
            return user.balance

    return balance


@pytest.fixture
def payment(app: Flask) -> Callable[[Purchase], payments.Payment]:
    """A payment as it is stored."""

    def payment(purchase: Purchase) -> payments.Payment:
        with app.app_context():
            found = payments.by_code(purchase.code)
            assert found
            return found

    return payment


@pytest.fixture
def logged(app: Flask) -> Callable[[], list[wirelog.Exchange]]:
    """The wire log, newest first."""

    def logged() -> list[wirelog.Exchange]:
        with app.app_context():
            return list(wirelog.page(FIRST_STAGE, 1)[0])

    return logged


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets seconds pass."""

    def later(seconds: float) -> None:
        moment = clock.now() + timedelta(seconds=seconds)
        monkeypatch.setattr(clock, "now", lambda: moment)

    return later
