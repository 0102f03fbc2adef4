"""An item for nothing: a buyer opens the callback's address in every way that a device has. None grants."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from shutil import copy
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from lxml import html
from werkzeug.test import TestResponse

from storefront import Settings, create_app
from storefront.db import db
from storefront.mixi.payments import Status
from storefront.sandbox import create_sandbox, people, stage, wirelog
from storefront.sandbox.context import Sandbox
from storefront.sandbox.devices import Device
from storefront.sandbox.doors import SECRET_LENGTH
from storefront.sandbox.mixi import payments, start
from storefront.sandbox.people import FIRST_STAGE
from storefront.sandbox.settings import SandboxSettings
from tests.sandbox.conftest import API, APP, KEY, PLATFORM, SECRET, SHOP, Phone, owner
from tests.street import SETTINGS, Books
from tests.wire import Wire

ITEM, WHO = "loaf", "hanako"
OWN_DOMAIN = ["smartphone", "pc"]


@dataclass
class Street:
    """Shop and platform joined in memory, and hanako with a browser in front of each."""

    shop: Flask
    sandbox: Flask
    phone: Phone
    window: FlaskClient
    books: Books

    def enter(self, device: str) -> str:
        """Open the app on this device; where she was sent."""
        address = self.phone.opens(WHO, device)
        if device != Device.MOBILE:
            assert self.look(address).status_code == 303
        return address

    def look(self, address: str) -> TestResponse:
        """Open an address of the shop in her window, with its cookie."""
        return self.window.get(address.removeprefix(SHOP), base_url=SHOP)

    def start(self, device: str) -> payments.Payment:
        """Buy, as far as the payment screen, and leave it; the payment."""
        inside = self.phone.page if device == Device.MOBILE else self.look
        (form,) = [
            form
            for form in html.fromstring(inside(f"{SHOP}/items/{ITEM}").text).forms
            if "payments" in str(form.action)
        ]
        fields = {str(name): str(value) for name, value in form.form_values()}
        if device == Device.MOBILE:
            answer = self.phone.post(f"/ma/{APP}/{form.action}", data=fields)
        else:
            answer = self.window.post(urlsplit(str(form.action)).path, base_url=SHOP, data=fields)
        assert answer.status_code == 302
        with self.sandbox.app_context():
            return payments.recent(FIRST_STAGE, 1)[0]

    def asked(self) -> wirelog.Exchange:
        """What went over the wire last."""
        with self.sandbox.app_context():
            return wirelog.page(FIRST_STAGE, 1)[0][0]

    def assert_nothing_for_nothing(self, payment: payments.Payment) -> None:
        """Nothing was granted or entered in the book, nothing is settled, and no point has moved."""
        assert (self.books.grants(), self.books.earned()) == (0, 0)
        assert self.books.status(payment.code) is Status.CREATE
        with self.sandbox.app_context():
            user, kept = people.find(owner(WHO)), payments.by_code(payment.code)
        assert user
        assert kept
        assert (user.balance, kept.status) == (50_000, payments.Status.CREATE)


@pytest.fixture
def street(settings: SandboxSettings, full_shelf: Path, tmp_path: Path) -> Iterator[Street]:
    copy(full_shelf, tmp_path / "shop.db")
    to_shop, to_platform = requests.Session(), requests.Session()
    sandbox = create_sandbox(settings, to_shop)
    platform: Sandbox = sandbox.extensions["sandbox"]
    with sandbox.test_request_context():
        pairs = {
            "lifecycle": platform.keys,
            **{word: start.key(platform, stage.current(), Device(word)) for word in OWN_DOMAIN},
        }
    own = {
        "database_url": f"sqlite:///{tmp_path}/shop.db",
        "public_url": SHOP,
        "mixi_app_id": APP,
        "mixi_consumer_key": KEY,
        "mixi_consumer_secret": SECRET,
        "mixi_container_url": f"{PLATFORM}/ma/{APP}/",
        "mixi_point_url": API,
        "mixi_confirm_url": API,
        "mixi_platform_hosts": "platform.test:8001",
        "mixi_certificates": {channel: {pair.name: pair.certificate} for channel, pair in pairs.items()},
    }
    shop = create_app(Settings.model_validate({**SETTINGS, **own}), to_platform)
    to_shop.mount(SHOP, Wire(shop))
    to_platform.mount(PLATFORM, Wire(sandbox))
    yield Street(shop, sandbox, Phone(sandbox.test_client()), shop.test_client(), Books(shop))
    with shop.app_context():
        db.session.remove()
        db.engine.dispose()


def bare(payment: payments.Payment, other: payments.Payment) -> str:
    """The address without what is the payment's own, if it has that."""
    before, _, end = payment.callback_url.rpartition("/")
    return before if len(end) >= SECRET_LENGTH else payment.callback_url


def guessed(payment: payments.Payment, other: payments.Payment) -> str:
    return f"{bare(payment, other)}/{'A' * 22}"


def of_another(payment: payments.Payment, other: payments.Payment) -> str:
    return other.callback_url


Address = Callable[[payments.Payment, payments.Payment], str]
ADDRESSES: tuple[Address, ...] = (bare, guessed, of_another)
WAYS = ("page", "form", "image")


def filled_in(address: str, payment: payments.Payment) -> str:
    """The address with all that a callback says, as far as a buyer may write it."""
    updated = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{address}?{urlencode({'point_code': payment.code, 'status': 10, 'updated': updated})}"


def test_on_a_mobile_phone(street: Street) -> None:
    """The container signs it with the callback's key; the shop has no such address, and the log marks it."""
    street.enter("mobile")
    other, payment = street.start("mobile"), street.start("mobile")
    for address, way in product(ADDRESSES, WAYS):
        asked = quote(filled_in(address(payment, other), payment), safe="")
        through = "mm" if way == "image" else "ma"
        send = street.phone.post if way == "form" else street.phone.get
        answer = send(f"/{through}/{APP}/?guid=ON&url={asked}")
        row = street.asked()
        assert row.attack, (address, way)
        assert f"point_code%3D{payment.code}" in row.base_string, (address, way)
        assert row.status in ((404, 405) if way == "form" else (404,)), (address, way)
        assert answer.text != "OK", (address, way)
        street.assert_nothing_for_nothing(payment)


@pytest.mark.parametrize("device", OWN_DOMAIN)
@pytest.mark.long
def test_on_their_own_domain(street: Street, device: str) -> None:
    """No container signs there, and neither a visit's cookie nor a start address opens the callback."""
    entered = street.enter(device)
    other, payment = street.start(device), street.start(device)
    claims = urlencode({"opensocial_app_id": APP, "opensocial_owner_id": owner(WHO)})
    signed = urlsplit(entered).query
    ways = product(("GET", "POST", "HEAD"), (SHOP, "http://127.0.0.1"))
    for address, (method, host) in product(ADDRESSES, ways):
        plain = filled_in(address(payment, other), payment).removeprefix(SHOP)
        for tried in (plain, f"{plain}&{claims}", f"{plain}&{signed}", f"{plain}&{claims}&{signed}"):
            for window in (street.window, street.shop.test_client()):
                answer = window.open(tried, base_url=host, method=method)
                assert answer.status_code in (401, 404, 405), (method, host, tried)
                assert answer.text != "OK", (method, host, tried)
        street.assert_nothing_for_nothing(payment)


@pytest.mark.parametrize("device", OWN_DOMAIN)
def test_a_start_address_leads_to_no_callback(street: Street, device: str) -> None:
    """What the platform signs for a browser says nothing at another address, nor with anything added."""
    entered = street.enter(device)
    payment = street.start(device)
    more = parse_qs(urlsplit(filled_in("", payment)).query)
    window = street.shop.test_client()
    for path in (urlsplit(payment.callback_url).path, urlsplit(entered).path):
        query = f"{urlsplit(entered).query}&{urlencode(more, doseq=True)}"
        answer = window.get(f"{path}?{query}", base_url=SHOP)
        assert answer.status_code in (401, 404)
    street.assert_nothing_for_nothing(payment)


@pytest.mark.parametrize("device", ["mobile", *OWN_DOMAIN])
def test_the_platform_itself_is_answered(street: Street, device: str) -> None:
    """The same payment is sold when the platform's own server asks: what was refused above was the way."""
    street.enter(device)
    payment = street.start(device)
    assert street.phone.buy(f"{PLATFORM}/point/{payment.token}") == "bought"
    assert street.books.status(payment.code) is Status.COMPLETE
    assert not street.asked().attack
