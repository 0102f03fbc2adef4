"""A shop with the Color Me counter, a store that answers what a test tells it to, and owners' browsers."""

import gzip
import hmac
import json
import sqlite3
from base64 import b64encode
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import requests
from flask import Flask
from sqlalchemy import event, make_url, select
from werkzeug.test import TestResponse
from werkzeug.wrappers import Request, Response

from storefront import Settings, create_app
from storefront.colorme import plans
from storefront.colorme.charges import Charge
from storefront.colorme.contracts import Contract
from storefront.db import db, transaction
from storefront.sandbox.key_pairs import KeyPair
from storefront.shop import inventory, ledger
from storefront.shop.customers import Customer
from tests.databases import ENGINES, fill, new_database
from tests.street import SETTINGS, Browser, for_all
from tests.wire import Wire

PLANS = Path(__file__).with_name("plans.yaml")  # of the tests' own goods
STORE = "http://store.test:8003"
CLIENT_ID, CLIENT_SECRET, SECRET = "app-1", "a client secret", "my_webhook_secret"
KEYS = {
    "colorme_client_id": CLIENT_ID,
    "colorme_client_secret": CLIENT_SECRET,
    "colorme_webhook_secret": SECRET,
    "colorme_api_url": STORE,
    "colorme_store_url": f"{STORE}/apps/lighthouse",
    "colorme_test_accounts": "PA00000009",
    "colorme_calendar_url": f"{STORE}/calendar.json",
    "colorme_plans": str(PLANS),
    "public_url": "http://127.0.0.1:8000",
}
HERE = KEYS["public_url"]
KONDO, SATO, TESTER = "PA00000001", "PA00000002", "PA00000009"
NOON = "2021-07-10T12:00:00+09:00"

Answer = Callable[[Request], Response]


class Store:
    """The store's side of the wire: what it was asked, and what it answers by path."""

    def __init__(self) -> None:
        self.now = NOON
        self.account, self.title = KONDO, "近藤商店"
        self.removals = 0  # each makes the tokens before it void
        self.asked: list[Request] = []
        self.answers: dict[str, Answer] = {
            "/calendar.json": lambda asked: as_json({"now": self.now}),
            "/oauth/token": lambda asked: as_json(
                {"access_token": self.token, "token_type": "Bearer", "scope": SCOPE}
            ),
            "/v1/shop.json": self.shop,
            "/appstore/v1/application_charges.json": self.charged,
        }
        self.points = {"CLOAK01": 500, "COAT01": 4800}

    @property
    def token(self) -> str:
        return f"token-of-{self.account}" + "-anew" * self.removals

    def shop(self, asked: Request) -> Response:
        if asked.headers["Authorization"] != f"Bearer {self.token}":
            return as_json({"errors": [{"code": 401010}]}, 401)
        return as_json({"shop": {"id": self.account, "title": self.title}})

    def charged(self, asked: Request) -> Response:
        wanted = json.loads(asked.get_data())["application_charge"]["application_charge_source_id"]
        made = {"id": f"T{len(self.asked):05}", "point": self.points[wanted]}
        return as_json({"application_charge": made}, 201)

    def calls(self, path: str) -> list[Request]:
        return [asked for asked in self.asked if asked.path == path]

    def say(self, path: str, said: Any, status: int = 200, **headers: str) -> None:
        self.answers[path] = lambda asked: as_json(said, status, **headers)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        asked = Request(environ)
        asked.get_data()
        self.asked.append(asked)
        known = asked.path in self.answers
        answer = self.answers[asked.path](asked) if known else Response(status=404)
        return answer(environ, start_response)


SCOPE = "write_application_charge"
NUMBERS = iter(range(100_000))


def as_json(said: Any, status: int = 200, **headers: str) -> Response:
    text = said if isinstance(said, str) else json.dumps(said)
    return Response(text, status, headers, content_type="application/json")


def charged_usage(asked: Request) -> Response:
    """A usage charge, as it was asked for."""
    said = json.loads(asked.get_data())["usage_charge"]
    return as_json({"usage_charge": {**said, "id": f"U{next(NUMBERS):05}"}}, 201)


def wrapped(said: Any, status: int = 200) -> Response:
    """The same, as a server may have it that heeds no Accept-Encoding: packed, and with a byte order mark."""
    body = gzip.compress(BOM_UTF8 + json.dumps(said).encode())
    return Response(body, status, {"Content-Encoding": "gzip"}, content_type="application/json")


def signature(body: bytes, secret: str = SECRET) -> str:
    return b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()


def installed(contract: str = "CONTR1", plan: str = "LANTERN1", account: str = KONDO, **more: Any) -> Any:
    """What the store says of an install."""
    name = "application_charge_id" if plan == "ANCHOR1" else "recurring_application_charge_id"
    said = {"account_id": account, "application_charge_source_id": plan, name: contract, **more}
    return {**said, "mail": "shop@example.com"}


def uninstalled(
    contract: str | None = "CONTR1",
    plan: str = "LANTERN1",
    account: str = KONDO,
    at: str = "2021-07-15T12:00:00+09:00",
    **more: Any,
) -> Any:
    told = {
        "account_id": account,
        "application_charge_source_id": plan,
        "uninstalled_at": seconds(at),
        "reason": "by_shop_owner",
        **more,
    }
    return told if contract is None else {**told, "recurring_application_charge_id": contract}


def trial(first: str, end: str) -> Any:
    """Of a trial from one midnight in Japan to another."""
    return {"starts_at": seconds(f"{first}T00:00:00+09:00"), "ends_at": seconds(f"{end}T00:00:00+09:00")}


def seconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp())


class Hooks:
    """The store's caller: signed posts to our addresses."""

    def __init__(self, app: Flask) -> None:
        self.client = app.test_client()

    def send(self, path: str, body: bytes, **headers: str) -> TestResponse:
        sent = {"X-Appstore-Signature": signature(body), "Content-Type": "application/json", **headers}
        return self.client.post(path, data=body, headers=sent)

    def install(self, *named: Any, **more: Any) -> TestResponse:
        return self.send("/colorme/install", json.dumps(installed(*named, **more)).encode())

    def uninstall(self, *named: Any, **more: Any) -> TestResponse:
        return self.send("/colorme/uninstall", json.dumps(uninstalled(*named, **more)).encode())


class Kept:
    """What the shop's database says."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def contract(self, contract_id: str = "CONTR1") -> Contract:
        with self.app.app_context():
            return db.session.get_one(Contract, contract_id)

    def contracts(self) -> Mapping[str, str]:
        """Why each has ended, by its id."""
        with self.app.app_context():
            rows = db.session.scalars(select(Contract).order_by(Contract.id))
            return {row.id: row.reason.value if row.reason else "stands" for row in rows}

    def charges(self) -> list[Charge]:
        with self.app.app_context():
            return list(db.session.scalars(select(Charge).order_by(Charge.sent_at)))

    def holdings(self, account: str = KONDO) -> Mapping[str, int]:
        with self.app.app_context():
            who = db.session.scalars(select(Customer).filter_by(channel="colorme", external_id=account)).one()
            return {one.item.id: one.quantity for one in inventory.holdings(who.id)}

    def book(self) -> list[tuple[str, str, int]]:
        with self.app.app_context():
            return [(line.kind.value, line.key, line.amount) for line in ledger.entries()]


@pytest.fixture(scope="session")
def full_shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database with goods and plans in it, to copy."""
    path = tmp_path_factory.mktemp("colorme") / "shop.db"
    prepare(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def full_shelf_on_postgresql(postgresql: str) -> str:
    """The same on PostgreSQL: the name of the database."""
    url = new_database(postgresql, "colorme_shelf")
    prepare(url)
    return str(make_url(url).database)


def prepare(url: str) -> None:
    app = create_app(Settings.model_validate({**SETTINGS, **KEYS, "database_url": url}))
    fill(app)
    with app.app_context():
        with transaction() as session:
            plans.load(session, PLANS)
        db.session.remove()
        db.engine.dispose()


@pytest.fixture(scope="session")
def one_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SQLite database of all tests here, since an app takes long to make; each has it as if new."""
    return tmp_path_factory.mktemp("shop") / "shop.db"


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest, one_file: Path) -> str:
    """As everywhere, a full shelf on each engine in turn."""
    if request.param == "sqlite":
        copied(request.getfixturevalue("full_shelf"), one_file)
        return f"sqlite:///{one_file}"
    like = request.getfixturevalue("full_shelf_on_postgresql")
    return new_database(request.getfixturevalue("postgresql"), "shop", like)


def copied(source: Path, target: Path) -> None:
    """Make one SQLite database what another is, whoever has it open."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


@pytest.fixture
def settings(database_url: str, pair: KeyPair, request: pytest.FixtureRequest) -> Settings:
    """As everywhere, with this counter."""
    changed = request.node.get_closest_marker("changed")
    own = {"database_url": database_url, "mixi_certificates": for_all(pair)}
    return Settings.model_validate({**SETTINGS, **KEYS, **own, **(changed.kwargs if changed else {})})


@pytest.fixture(scope="session")
def apps() -> dict[str, Flask]:
    """Those that were made, by what is special in their settings."""
    return {}


@pytest.fixture
def app(settings: Settings, apps: dict[str, Flask], request: pytest.FixtureRequest) -> Iterator[Flask]:
    changed = request.node.get_closest_marker("changed")
    special = f"{settings.database_url} {changed}"
    if special not in apps:
        http = requests.Session()
        http.trust_env = False
        apps[special] = create_app(settings, http)
        apps[special].extensions["http"] = http
    app = apps[special]
    app.extensions["http"].adapters = requests.Session().adapters
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def store(app: Flask) -> Store:
    store = Store()
    app.extensions["http"].mount(STORE, Wire(store))
    return store


@pytest.fixture
def hooks(app: Flask, store: Store) -> Hooks:
    return Hooks(app)


@pytest.fixture
def kept(app: Flask) -> Kept:
    return Kept(app)


@pytest.fixture
def owner(app: Flask, store: Store, hooks: Hooks) -> Browser:
    """kondo, who has just installed the app on a monthly plan with its trial, and come in."""
    assert hooks.install(trial_term=trial("2021-07-11", "2021-07-21")).status_code == 200
    return come_in(app)


def come_in(app: Flask) -> Browser:
    """A browser that has come in as whoever the store says it is."""
    browser = Browser(app, HERE)
    answer = browser.get(way_back(browser))
    assert answer.status_code == 303, answer.text
    return browser


def way_back(browser: Browser, **said: str) -> str:
    """Where the store sends back who has begun here, with a code unless something else is said."""
    begun = browser.get("/colorme/start")
    assert begun.status_code == 302, begun.text
    query = parse_qs(urlsplit(begun.location).query)
    told = said or {"code": "a-code"}
    return f"/colorme/oauth?state={query['state'][0]}&" + "&".join(f"{k}={v}" for k, v in told.items())


@contextmanager
def statements(app: Flask) -> Iterator[list[str]]:
    """What the database is asked meanwhile."""
    seen: list[str] = []

    def note(*said: object) -> None:
        seen.append(str(said[2]))

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


def asked(location: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(location).query))
