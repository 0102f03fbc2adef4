"""A shop with a door out: what the operator recorded, what the provider signs, and browsers to leave with."""

import time
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from flask import Flask
from flask_babel import force_locale
from pydantic import SecretStr
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from storefront import Settings, clock
from storefront.db import db, transaction
from storefront.external import facts, wording
from storefront.external.payments import ExternalPayment, Status
from storefront.external.registration import Certificate, Facts, Paper, Provider, Rule, Service, Sheet
from storefront.external.signing import sealed
from storefront.sandbox.key_pairs import KeyPair
from storefront.shop.catalog import Item
from storefront.shop.counter import counters
from storefront.shop.inventory import Grant
from storefront.shop.ledger import Entry
from tests.operators import Operator
from tests.operators import fields_of as fields_of
from tests.operators import operator_address as operator_address
from tests.street import HANAKO, SHOP, start_address

PROVIDER = "http://provider.test:8002"
PAY_PAGE = f"{PROVIDER}/pay"
MERCHANT, SECRET = "lighthouse", "a secret of the shop & its provider"
MARK, ISMS = "10820001", "IS 500001"
PAY = Provider(
    "Harbour Pay",
    PROVIDER,
    (Service("card", listed=True),),
    privacy_mark=Certificate(MARK),
    isms=Certificate(ISMS),
    listed=True,
)
REFERENCE = "REF123456789"
YEN = 110  # of an excalibur
PRICES = {"excalibur": YEN, "lantern": 330, "fireworks": 550, "coat": 5280, "telescope": 10780}
DAY = timedelta(days=1)

Enter = Callable[..., "Browser"]


class Browser:
    """Somebody's browser, in the shop by an address that mixi signed."""

    def __init__(self, app: Flask, pair: KeyPair, device: str = "pc", who: str = HANAKO) -> None:
        self.app, self.client = app, app.test_client()
        answer = self.client.get(start_address(pair, device, who).removeprefix(SHOP))
        assert answer.status_code == 303, answer.text

    def get(self, path: str, **query: str) -> TestResponse:
        return self.client.get(path, query_string=query or None)

    def post(self, path: str, fields: Mapping[str, str], **query: str) -> TestResponse:
        return self.client.post(path, data=dict(fields), query_string=query or None)

    def warning(self, item: str = "excalibur", **query: str) -> TestResponse:
        return self.get(f"/external/items/{item}", **query)

    def form(self, item: str = "excalibur", **query: str) -> dict[str, str]:
        """What the form of the warning page sends."""
        page = self.warning(item, **query)
        assert page.status_code == 200, page.text
        return fields_of(page.text, "/external/payments")

    def go_on(self, item: str = "excalibur", **query: str) -> TestResponse:
        """Read the warning, and press its button."""
        return self.post("/external/payments", self.form(item, **query), **query)

    def leave(self, item: str = "excalibur", **query: str) -> str:
        """Go on to the provider; the payment's code."""
        answer = self.go_on(item, **query)
        assert answer.status_code == 303, answer.text
        return asked(answer.location)["payment"]

    def finish(self, code: str, **query: str) -> TestResponse:
        return self.get(f"/external/payments/{code}", **query)


class Outside:
    """What the shop's database says of payments made outside."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def payments(self) -> int:
        with self.app.app_context():
            return db.session.scalar(select(func.count()).select_from(ExternalPayment)) or 0

    def payment(self, code: str) -> ExternalPayment:
        with self.app.app_context():
            return db.session.get_one(ExternalPayment, code)

    def status(self, code: str) -> Status:
        return self.payment(code).status

    def grants(self) -> list[tuple[str, str, int]]:
        with self.app.app_context():
            rows = db.session.execute(select(Grant.key, Grant.item_id, Grant.quantity).order_by(Grant.key))
            return [(key, item, quantity) for key, item, quantity in rows]

    def entries(self) -> list[tuple[str, str, int, str]]:
        with self.app.app_context():
            rows = db.session.execute(
                select(Entry.key, Entry.kind, Entry.amount, Entry.unit).order_by(Entry.key)
            )
            return [(key, kind.value, amount, unit) for key, kind, amount, unit in rows]


def asked(location: str) -> dict[str, str]:
    """What an address at the provider says."""
    address, _, query = location.partition("?")
    assert address == PAY_PAGE
    pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def notice(code: str, secret: str = SECRET, off: int = 0, **changed: str | None) -> dict[str, str]:
    """What the provider sends about a payment, signed `off` seconds from now; None leaves a field out."""
    fields = {
        "merchant": MERCHANT,
        "payment": code,
        "reference": REFERENCE,
        "yen": str(YEN),
        "outcome": "paid",
        **changed,
    }
    said = {name: value for name, value in fields.items() if value is not None}
    return sealed(said, secret, int(time.time()) + off)


def tell(app: Flask, fields: Mapping[str, Any], **more: Any) -> TestResponse:
    """Send a notice as the provider does: without a cookie."""
    return app.test_client().post("/external/notices", data=dict(fields), **more)


def answered(answer: TestResponse) -> tuple[int, str, str]:
    """Status, media type and first word of an answer to the provider."""
    return answer.status_code, str(answer.mimetype), answer.text.split()[0]


def today() -> date:
    return clock.day(clock.now())


def lawful() -> Facts:
    """A registration followed to the letter, a while ago."""
    sent = today() - 40 * DAY
    return Facts(
        launched_on=sent - 50 * DAY,
        stable=True,
        registration=Paper(sent, signed=True, received_on=sent + 5 * DAY),
        providers=(PAY,),
        sheet=Sheet(sent + 5 * DAY, sent + 19 * DAY, sent + 12 * DAY),
        prices=PRICES,
    )


def record(app: Flask, recorded: Facts) -> None:
    with app.app_context():
        assert facts.record(recorded, clock.now(), facts.number())


def rule_in_words(app: Flask, rule: Rule, language: str) -> str:
    with app.test_request_context(), force_locale(language):
        return str(wording.RULES[rule])


def points(app: Flask, language: str) -> str:
    """What mixi's unit is called, without the platform's name."""
    with app.test_request_context(), force_locale(language):
        (unit,) = [str(one.unit.name) for one in counters() if one.channel == "mixi"]
    return unit.removeprefix("mixi").strip()


def limit(app: Flask, item: str, **values: object) -> None:
    """Change an item on the shelf."""
    with app.app_context(), transaction() as session:
        session.execute(update(Item).filter_by(id=item).values(values))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """As everywhere, with a provider, unless the test says otherwise."""
    door = {
        "external_provider_url": PAY_PAGE,
        "external_merchant": MERCHANT,
        "external_secret": SecretStr(SECRET),
    }
    left = {name: value for name, value in door.items() if name not in settings.model_fields_set}
    return settings.model_copy(update=left)


@pytest.fixture
def shop(app: Flask) -> Flask:
    """The shop whose registration allows everything that it can."""
    record(app, lawful())
    return app


@pytest.fixture
def enter(app: Flask, pair: KeyPair) -> Enter:
    """Lets somebody in, by device and id."""

    def enter(device: str = "pc", who: str = HANAKO) -> Browser:
        return Browser(app, pair, device, who)

    return enter


@pytest.fixture
def hanako(shop: Flask, enter: Enter) -> Browser:
    """hanako at her PC, where the door stands open."""
    return enter()


@pytest.fixture
def outside(app: Flask) -> Outside:
    return Outside(app)


@pytest.fixture
def operator(app: Flask) -> Operator:
    return Operator(app)
