"""An app store joined in memory to a small scripted app, which believes only what is signed."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask import Flask
from lxml import html
from pydantic import SecretStr
from sqlalchemy import text
from werkzeug import Request, Response
from werkzeug.test import TestResponse

from storefront.sandbox.colorme import bills, calendar, contracts, create_appstore, fill, shops, store
from storefront.sandbox.colorme.context import AppStore
from storefront.sandbox.colorme.settings import AppStoreSettings
from tests.street import Browser
from tests.wire import Wire

STORE = "http://store.test:8003"
APP = "http://app.test"
CLIENT, CLIENT_SECRET, WEBHOOK_SECRET = "an app", "a secret of the app", "my_webhook_secret"
SCOPE = "write_application_charge"
BACK = f"{APP}/colorme/oauth"
INSTALL, UNINSTALL = "/colorme/install", "/colorme/uninstall"
REDIRECT = f"{APP}/colorme/start"
LONG = 60

PLANS = """
trial_days: 10
plans:
  - {id: FREE01, form: free, name: {ja: 無料, en: Free}}
  - {id: ONCE01, form: one_time, name: {ja: 買い切り, en: Once}, price: 9800}
  - {id: MONTH1, form: monthly, name: {ja: 月額, en: Monthly}, monthly: 3000}
  - {id: BEGIN1, form: monthly_initial, name: {ja: 初期費用, en: Initial}, monthly: 3000, initial: 5000}
  - {id: BOTH01, form: monthly_usage, name: {ja: 従量, en: Both}, monthly: 2000}
  - {id: USED01, form: usage, name: {ja: 従量のみ, en: Usage}}
options:
  - {id: CLOAK1, item: cloak}
"""
CATALOG = """
- id: cloak
  name: {ja: 外套, en: Cloak}
  prices: {mixi: 300, colorme: 500}
"""


@dataclass
class App:
    """Answers hooks as it is told to, and remembers them; what is ill signed it refuses."""

    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refused: int = 0
    answer: Callable[[Request], Response] | None = None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        return self._said(request)(environ, start_response)

    def _said(self, request: Request) -> Response:
        body = request.get_data()
        mac = hmac.new(WEBHOOK_SECRET.encode(), body, hashlib.sha256).digest()
        if request.headers.get("X-Appstore-Signature") != base64.b64encode(mac).decode():
            self.refused += 1
            return Response("bad signature", 401)
        self.heard.append((request.path, json.loads(body)))
        if self.answer:
            return self.answer(request)
        return Response(json.dumps({"redirect_url": REDIRECT}), content_type="application/json")

    def last(self, path: str) -> dict[str, Any]:
        return [told for at, told in self.heard if at == path][-1]

    def told(self, path: str) -> int:
        return sum(at == path for at, _ in self.heard)


@dataclass
class Street:
    """The store, the app across the wire, and a browser; `be` says whose shop it is in front of."""

    app: Flask
    sap: App
    browser: Browser
    account: str = ""
    word: str = ""

    def be(self, key: str) -> "Street":
        with self.app.app_context():
            self.account = next(shop.account for shop in shops.on_stage() if shop.key == key)
        return self

    @property
    def shop(self) -> shops.Shop:
        with self.app.app_context():
            found = shops.find(self.account)
        assert found
        return found

    @property
    def contract(self) -> contracts.Contract:
        """The newest of this shop."""
        with self.app.app_context():
            return contracts.all_of(self.account)[0]

    def bills(self) -> list[tuple[str, str, int, int]]:
        """Oldest first: kind, state, yen before tax, total."""
        with self.app.app_context():
            of = bills.of_shop(self.account)
        return [(one.kind.value, one.state.value, one.yen, one.total) for one in reversed(of)]

    def install(self, plan: str, *, follows: bool = True) -> TestResponse:
        """Press this plan's button on the detail page."""
        page = self.browser.get(f"/shops/{self.account}/app")
        forms = [form for form in html.fromstring(page.text).forms if form.fields.get("plan") == plan]
        assert forms, page.text
        fields = {str(name): str(value) for name, value in forms[0].form_values()}
        answer = self.browser.post(str(forms[0].action), fields)
        assert answer.status_code == 303
        if follows:
            assert answer.headers["Location"] == REDIRECT, self.said(answer)
        return answer

    def uninstall(self) -> None:
        self.browser.press(f"/shops/{self.account}", f"/shops/{self.account}/uninstall")

    def said(self, answer: TestResponse) -> str:
        """What the page that follows says on top."""
        page = html.fromstring(self.browser.get(urlsplit(answer.headers["Location"]).path).text)
        return " ".join(note.text_content() for note in page.cssselect(".note[role=status]"))

    def form_token(self) -> str:
        """The word of this browser; it stays the same."""
        if not self.word:
            found = re.search(r'name="form_token" value="([^"]+)"', self.browser.get("/weather").text)
            assert found
            self.word = found[1]
        return self.word

    def turn(self, **to: str) -> None:
        """Forward by a step, or to noon of a day."""
        before = self.now()
        answer = self.browser.post("/calendar", {"form_token": self.form_token(), **to})
        assert answer.status_code == 303
        assert self.now() > before, self.said(answer)

    def until(self, day: str) -> None:
        self.turn(day=day)

    def now(self) -> str:
        return str(self.browser.get("/calendar.json").get_json()["now"])

    def weather(self, kind: str, times: int = 1, seconds: int = 1) -> None:
        fields = {"form_token": self.form_token(), "kind": kind, "times": str(times), "seconds": str(seconds)}
        assert self.browser.post("/weather", fields).status_code == 303

    def code(self, scope: str = SCOPE, answer: str = "allow", **changed: str) -> dict[str, str]:
        """Let the app in as this owner; what it is told on its way back."""
        self.browser.get(f"/shops/{self.account}")
        query = {
            "client_id": CLIENT,
            "redirect_uri": BACK,
            "response_type": "code",
            "scope": scope,
            "state": "a state",
            **changed,
        }
        page = self.browser.get("/oauth/authorize", query_string=query)
        form = html.fromstring(page.text).forms[0]
        fields = {str(name): str(value) for name, value in form.form_values()}
        done = self.browser.post("/oauth/authorize", {**fields, "answer": answer})
        assert done.status_code == 303, done.text
        return {
            name: values[0] for name, values in parse_qs(urlsplit(done.headers["Location"]).query).items()
        }

    def exchange(self, code: str, **changed: str) -> TestResponse:
        fields = {
            "client_id": CLIENT,
            "client_secret": CLIENT_SECRET,
            "grant_type": "authorization_code",
            "redirect_uri": BACK,
            "code": code,
            **changed,
        }
        return self.app.test_client().post("/oauth/token", data=fields, base_url=STORE)

    def token(self, scope: str = SCOPE) -> str:
        return str(self.exchange(self.code(scope)["code"]).get_json()["access_token"])

    def call(
        self, method: str, path: str, token: str = "", json_: Any = None, **headers: str
    ) -> TestResponse:
        """One API call as the app makes it."""
        given = {"Authorization": f"Bearer {token}"} if token else {}
        return self.app.test_client().open(
            path, method=method, base_url=STORE, json=json_, headers={**given, **headers}
        )

    def buy(self, token: str, option: str = "CLOAK1") -> TestResponse:
        told = {"application_charge": {"application_charge_source_id": option}}
        return self.call("POST", "/appstore/v1/application_charges.json", token, told)

    def report(
        self, token: str, point: object, text: object = "2021-04 利用分", contract: str = "", **headers: str
    ) -> TestResponse:
        path = f"/appstore/v1/recurring_application_charges/{contract or self.contract.id}/usage_charges.json"
        told = {"usage_charge": {"point": point, "description": text}}
        return self.call("POST", path, token, told, **headers)


Make = Callable[..., Street]


@pytest.fixture(scope="session")
def one_app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """The store of all tests, since one takes long to make; each test has it emptied and set up anew."""
    folder = tmp_path_factory.mktemp("appstore")
    (folder / "plans.yaml").write_text(PLANS)
    (folder / "catalog.yaml").write_text(CATALOG)
    return create_appstore(settings_in(folder))


def settings_in(folder: Path, **changed: Any) -> AppStoreSettings:
    return AppStoreSettings.model_validate(
        {
            "public_url": STORE,
            "secret_key": SecretStr("for the tests only, never elsewhere"),
            "client_id": CLIENT,
            "client_secret": CLIENT_SECRET,
            "webhook_secret": WEBHOOK_SECRET,
            "shop_url": APP,
            "plans": folder / "plans.yaml",
            "catalog": folder / "catalog.yaml",
            "database_url": f"sqlite:///{folder}/appstore.db",
            "patience_seconds": LONG,
            **changed,
        }
    )


@pytest.fixture
def make(tmp_path: Path, one_app: Flask) -> Make:
    """Makes a store whose calendar begins on a day, with some settings changed."""
    (tmp_path / "plans.yaml").write_text(PLANS)
    (tmp_path / "catalog.yaml").write_text(CATALOG)

    def make(begins: str = "2021-07-10", plans: str = PLANS, **changed: Any) -> Street:
        (tmp_path / "plans.yaml").write_text(plans)
        settings, sap = settings_in(tmp_path, begins=begins, **changed), App()
        http = requests.Session()
        http.trust_env = False
        http.mount("http://", Wire(sap))
        one_app.extensions["appstore"] = AppStore(settings, http)
        with one_app.app_context():
            with store.transaction() as session:
                session.execute(text("PRAGMA defer_foreign_keys = ON"))
                for table in store.db.metadata.sorted_tables:
                    session.execute(table.delete())
            fill(settings)
        browser = Browser(one_app, STORE)
        browser.get("/healthz?lang=en")
        return Street(one_app, sap, browser)

    return make


@pytest.fixture
def street(make: Make) -> Street:
    return make()


def today(street: Street) -> str:
    with street.app.app_context():
        return calendar.today().isoformat()
