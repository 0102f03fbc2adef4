"""The store and the real app, joined in memory: each is believed by the other, and both reckon the same."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from flask import Flask
from lxml import html
from pydantic import SecretStr
from sqlalchemy import select

from storefront import Settings, create_app
from storefront.colorme import plans
from storefront.colorme.contracts import Contract
from storefront.db import db, transaction
from storefront.sandbox.colorme import contracts, create_appstore
from storefront.sandbox.colorme.settings import AppStoreSettings
from storefront.sandbox.colorme.shops import TEST_RANGE
from storefront.shop import ledger
from tests.colorme.conftest import PLANS
from tests.databases import fill
from tests.sandbox.colorme.conftest import CLIENT, CLIENT_SECRET, HOOK_SECRET, LONG, STORE, App, Street
from tests.street import GOODS, SETTINGS, Browser
from tests.wire import Wire

pytestmark = pytest.mark.long  # two apps for each test

HERE = "http://127.0.0.1:8000"
SHIPPED = ["QUAY01", "ANCHOR1", "LANTERN1", "BEACON1", "TIDE01", "SPRAY1"]


@dataclass
class Both(Street):
    """The street, with the real app on the other side, and one browser that goes to both."""

    shop_app: Flask = None  # type: ignore[assignment]
    page: Browser = None  # type: ignore[assignment]

    def chosen(self, plan: str) -> str:
        """Install on a plan and let the app in; its page of the plan."""
        answer = self.install(plan, follows=False)
        assert "data-item" in self.follow(answer.headers["Location"])
        return self.page.get("/colorme/").text

    def follow(self, address: str) -> str:
        """Whatever redirects there are, over both sites, pressing *let it in* on the way."""
        for _ in range(8):
            parts = urlsplit(address)
            site = self.browser if address.startswith(STORE) else self.page
            answer = site.get(f"{parts.path}?{parts.query}" if parts.query else parts.path)
            if 'data-screen="authorize"' in answer.text:
                form = html.fromstring(answer.text).forms[0]
                fields = {str(name): str(value) for name, value in form.form_values()}
                answer = self.browser.post("/oauth/authorize", {**fields, "answer": "allow"})
            if answer.status_code not in (302, 303):
                return answer.text
            address = str(answer.headers["Location"])
            address = address if address.startswith("http") else f"{parts.scheme}://{parts.netloc}{address}"
        raise AssertionError(address)

    def kept(self) -> Mapping[str, Contract]:
        """The app's contracts, by their ids."""
        with self.shop_app.app_context():
            return {one.id: one for one in db.session.scalars(select(Contract))}

    def book(self) -> list[tuple[str, str, int]]:
        with self.shop_app.app_context():
            return [(line.kind.value, line.key, line.amount) for line in ledger.entries()]


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    to_shop, to_store = requests.Session(), requests.Session()
    for http in (to_shop, to_store):
        http.trust_env = False
    app = create_app(
        Settings.model_validate(
            {
                **SETTINGS,
                "public_url": HERE,
                "database_url": f"sqlite:///{tmp_path}/shop.db",
                "colorme_client_id": CLIENT,
                "colorme_client_secret": CLIENT_SECRET,
                "colorme_webhook_secret": HOOK_SECRET,
                "colorme_api_url": STORE,
                "colorme_store_url": f"{STORE}/",
                "colorme_calendar_url": f"{STORE}/calendar.json",
                "colorme_test_accounts": f"{TEST_RANGE}*",
            }
        ),
        to_store,
    )
    fill(app)
    with app.app_context(), transaction() as session:
        plans.load(session, PLANS)
    store = create_appstore(
        AppStoreSettings(
            public_url=STORE,
            secret_key=SecretStr("for the tests only, never elsewhere"),
            client_id=CLIENT,
            client_secret=SecretStr(CLIENT_SECRET),
            webhook_secret=SecretStr(HOOK_SECRET),
            shop_url=HERE,
            catalog=GOODS,
            database_url=SecretStr(f"sqlite:///{tmp_path}/appstore.db"),
            page_seconds=LONG,
        ),
        to_shop,
    )
    to_shop.mount("http://", Wire(app))
    to_store.mount("http://", Wire(store))
    yield Both(store, App(), Browser(store, STORE), shop_app=app, page=Browser(app, HERE))
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def marked(page: str, name: str) -> list[str]:
    """The values of a mark on a page, in order."""
    return [str(one.get(name)) for one in html.fromstring(page).cssselect(f"[{name}]")]


@pytest.mark.parametrize("plan", SHIPPED)
def test_both_reckon_the_same(both: Both, plan: str) -> None:
    """Of each form the app believes the hook, the owner comes in, and its page has the store's own days."""
    both.be("bakery")
    page = both.chosen(plan)
    with both.app.app_context():
        standing = contracts.of(both.account)
        assert standing
        first = standing.period(standing.charged_from)
    assert marked(page, "data-plan")[:1] == [plan]
    assert marked(page, "data-charged-from")[:1] == [standing.charged_from.isoformat()]
    assert standing.id in both.kept()
    if first:
        assert first.first.isoformat() in marked(page, "data-period-first")
        assert first.last.isoformat() in marked(page, "data-period-last")


def test_an_option_is_bought(both: Both) -> None:
    """One press, one charge at the store, one entry of the same yen in the app's book."""
    both.be("bakery")
    both.chosen("QUAY01")
    page = both.page.get("/items/cloak")
    form = next(one for one in html.fromstring(page.text).forms if "/colorme/charges" in str(one.action))
    fields = {str(name): str(value) for name, value in form.form_values()}
    both.page.post(str(form.action), fields)
    ((kind, state, yen, _),) = both.bills()
    assert (kind, state) == ("option", "collected")
    assert [amount for *_, amount in both.book()] == [yen]


def test_an_uninstall_is_heard(both: Both) -> None:
    """The owner leaves at the store: the app's visit ends, and its contract has the store's moment."""
    both.be("bakery")
    both.chosen("LANTERN1")
    both.uninstall()
    (kept,) = both.kept().values()
    assert kept.ended_at == both.contract.ended_at
    assert kept.reason
    assert kept.reason.value == "by_shop_owner"
    assert "data-charged-from" not in both.page.get("/colorme/").text


def test_begin_again_leaves_nothing(both: Both) -> None:
    """All that was installed has ended at the app, too; new shops are new customers."""
    both.be("bakery")
    both.chosen("TIDE01")
    both.until("2021-08-20")
    both.browser.press("/calendar", "/calendar/again")
    assert all(one.ended_at for one in both.kept().values())
    both.be("bakery")
    both.chosen("TIDE01")
    assert sum(one.ended_at is None for one in both.kept().values()) == 1
