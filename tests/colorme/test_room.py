"""The room beside the others: an owner is at one counter, a visitor at one door, and nothing is added up."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests
from flask import Flask
from lxml import html
from sqlalchemy import select

from storefront import COUNTERS, Settings, create_app
from storefront.db import db
from storefront.sandbox.key_pairs import KeyPair
from storefront.shop import catalog_file, counter, ledger
from storefront.shop.ledger import Kind
from storefront.shop.visits import Opened
from tests.colorme.conftest import HERE, Hooks, Kept, Store, way_back
from tests.databases import on_sqlite
from tests.street import GOODS, SETTINGS, Browser, form_to, says, start_address

pytestmark = on_sqlite
OUTSIDE = {
    "external_provider_url": "http://provider.test:8002/pay",
    "external_merchant": "lighthouse",
    "external_secret": "a secret of the shop & its provider",
}


@pytest.mark.changed(**OUTSIDE, under_age_limits="15:5")
def test_an_owner_is_at_one_counter(owner: Browser) -> None:
    """No way out, no warning page by address, no question for their age, no other counter's places or law."""
    page = owner.get("/items/cloak?lang=en").text
    assert "data-way" not in page
    assert "/external" not in page
    assert owner.get("/external/items/cloak").status_code == 404
    assert owner.post("/external/payments", {"item": "cloak"}).status_code in (401, 404)
    assert owner.post("/mixi/payments", {"item": "cloak"}).status_code == 404
    assert "age_unknown" not in says(page)
    assert owner.get("/age").status_code == 302
    places = html.fromstring(page).cssselect("nav.places a")
    paths = [urlsplit(str(place.get("href"))).path for place in places]
    assert paths[-1] == "/colorme/"
    assert not [path for path in paths if path.startswith(("/mixi", "/external"))]
    law = owner.get("/legal?lang=en").text
    assert "collected-from-points" in says(law)
    assert "mixi" not in html.fromstring(law).cssselect("main")[0].text_content()


def test_nobody_is_two_customers(app: Flask, hooks: Hooks, store: Store, pair: KeyPair) -> None:
    """One browser is in one visit: coming in by one door ends, once asked, the visit by the other."""
    hooks.install()
    browser = Browser(app, HERE)
    assert browser.get(start_address(pair, origin=HERE)).status_code == 303
    asked = browser.get(way_back(browser)).location
    assert "mixi …" in browser.get("/").text
    answer = browser.post("/change", form_to(browser.get(asked).text, "/change"))
    assert (answer.status_code, "mixi …" in browser.get("/").text) == (303, False)
    assert "…000001" in browser.get("/?lang=en").text
    with app.app_context():
        ended = db.session.scalars(select(Opened.ended_at).order_by(Opened.opened_at)).all()
        assert sorted(map(bool, ended)) == [False, True]


def test_sums_apart(owner: Browser, kept: Kept, app: Flask) -> None:
    """Yen before tax, here, are never added to yen with tax, outside."""
    owner.press("/items/cloak", "/colorme/charges")
    ((_, _, amount),) = kept.book()
    with app.app_context():
        sums = {(one.channel, one.unit): one.amount for one in ledger.totals() if one.kind is Kind.SALE}
        assert sums == {("colorme", "yen"): amount}
        limits = {one.channel: (one.most, one.ages_count) for one in counter.counters()}
    assert limits["colorme"] == ({}, False)


@pytest.fixture
def without(database_url: str) -> Iterator[Flask]:
    """The shop with none of the counter's settings."""
    app = create_app(Settings.model_validate({**SETTINGS, "database_url": database_url}), requests.Session())
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def test_without_settings(without: Flask) -> None:
    """There is no door, its addresses are 404, a hook's for a machine; its prices stay valid."""
    client = without.test_client()
    assert "/colorme" not in client.get("/?lang=en").text
    for path in (
        "/colorme/",
        "/colorme/start",
        "/colorme/oauth",
        "/colorme/reckoning",
        "/colorme/outstanding",
    ):
        assert client.get(path).status_code == 404, path
    for path in ("/colorme/install", "/colorme/uninstall"):
        answer = client.post(path, json={})
        assert (answer.status_code, answer.mimetype) == (404, "application/json")
    entries = catalog_file.read(GOODS, counter.price_rules(COUNTERS))
    assert [entry.id for entry in entries if "colorme" in entry.prices]
