"""What waits for a person: on a terminal, on the operator's page, with the doctor, as numbers; said once."""

import csv
import io
import re
from datetime import date
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from flask import Flask
from lxml import html

from storefront import Settings
from storefront.colorme import checks, daily, reporting
from storefront.colorme.reports import OF_NONE
from storefront.findings import Verdict
from storefront.operator import login
from tests.colorme.conftest import HERE, KONDO, Hooks, Kept, Store, as_json, come_in
from tests.command import run
from tests.databases import on_sqlite
from tests.street import Browser, form_to

pytestmark = on_sqlite
CHARGES = "/appstore/v1/application_charges.json"


@pytest.fixture
def code(owner: Browser, store: Store, kept: Kept) -> str:
    """An option of kondo's that the store has not answered."""
    store.answers[CHARGES] = lambda asked: as_json("x", 500)
    assert owner.press("/items/cloak", "/colorme/charges").status_code == 303
    return kept.charges()[0].code


@pytest.fixture
def operator(app: Flask) -> Browser:
    with app.test_request_context():
        address = login.address()
    browser = Browser(app, HERE)
    assert browser.post("/operator", dict(parse_qsl(urlsplit(address).query))).status_code == 303
    return browser


def test_on_a_terminal(app: Flask, settings: Settings, code: str, kept: Kept, hooks: Hooks) -> None:
    """Listed by contract with the evidence, and settled by one word, once."""
    hooks.install("CONTR2", account="PA00000002")
    real = settings.model_copy(update={"colorme_calendar_url": ""})
    rows = list(csv.DictReader(io.StringIO(run(real, "outstanding", "--csv").stdout.removeprefix("\ufeff"))))
    said = {row["what"]: row for row in rows}
    assert (said["unknown"]["code"], said["unknown"]["contract"]) == (code, "CONTR1")
    assert said["unknown"]["yen"] == "500"
    assert "500" in said["unknown"]["answer"]
    assert " ¥ " in run(real, "outstanding").stdout
    assert said["not_confirmed"]["contract"] == "CONTR2"
    unsent = run(real, "resolve", code, "unsent")
    assert (unsent.returncode, "never sent again" in unsent.stderr) == (1, True)
    done = run(real, "resolve", code, "charged")
    assert done.returncode == 0
    assert ("¥500 before tax" in done.stdout, "now charged" in done.stdout) == (True, True)
    assert kept.holdings()["cloak"] == 1
    assert run(real, "resolve", code, "declined").returncode == 1
    assert run(real, "resolve", code, "unknown").returncode == 2
    assert [amount for _, _, amount in kept.book()] == [500]


def test_on_the_operators_page(operator: Browser, code: str, kept: Kept) -> None:
    """The evidence, two buttons, and nobody else's: what was said is not said again."""
    page = operator.get("/colorme/outstanding")
    (case,) = html.fromstring(page.text).cssselect("[data-case]")
    assert (case.get("data-case"), case.get("data-state")) == (code, "unknown")
    assert KONDO in case.text_content()
    assert "500" in case.text_content()
    assert "2021-07-10 12:00" in case.text_content()
    form = {**form_to(page.text, "/colorme/outstanding"), "state": "declined"}
    assert Browser(operator.client.application, HERE).post("/colorme/outstanding", form).status_code == 401
    assert operator.post("/colorme/outstanding", {**form, "state": "unknown"}).status_code == 400
    assert operator.post("/colorme/outstanding", {**form, "code": "another"}).status_code == 400
    for state in ("declined", "charged"):
        assert operator.post("/colorme/outstanding", {**form, "state": state}).status_code == 303
    assert [charge.state.value for charge in kept.charges()] == ["declined"]
    assert "data-case" not in operator.get("/colorme/outstanding").text


def test_a_report_that_the_store_does_not_have(
    app: Flask, operator: Browser, store: Store, hooks: Hooks
) -> None:
    """Beside charged or not there is a third word, for usage alone: it is sent by the next run."""
    counted(app, store, hooks, "CONTR1")
    page = operator.get("/colorme/outstanding")
    (case,) = html.fromstring(page.text).cssselect("[data-case]")
    assert case.xpath(".//button/@value") == ["charged", "declined", "waiting"]
    form = {**form_to(page.text, "/colorme/outstanding"), "state": "waiting"}
    assert operator.post("/colorme/outstanding", form).status_code == 303
    with app.app_context():
        assert [report.code for report in reporting.waiting(date(2021, 8, 10))] == [case.get("data-case")]
    assert "data-without-token" not in operator.get("/colorme/outstanding").text
    hooks.install("CONTR2", "SPRAY1")
    (waits,) = html.fromstring(operator.get("/colorme/outstanding").text).cssselect("[data-without-token]")
    assert "2021-08-31" in waits.text_content()


@pytest.mark.long
def test_an_option_is_not_sent_again(operator: Browser, code: str, kept: Kept) -> None:
    """That is its owner's to do, who presses anew: whoever says so changes nothing."""
    page = operator.get("/colorme/outstanding")
    (case,) = html.fromstring(page.text).cssselect("[data-case]")
    assert case.xpath(".//button/@value") == ["charged", "declined"]
    form = {**form_to(page.text, "/colorme/outstanding"), "state": "waiting"}
    operator.post("/colorme/outstanding", form)
    assert [charge.state.value for charge in kept.charges()] == ["unknown"]


def test_usage_that_was_counted_on_none(
    app: Flask, operator: Browser, settings: Settings, store: Store, hooks: Hooks
) -> None:
    """What was reported of an install that the store never had stays for a person, and it is said why."""
    hooks.install("CONTR1", "SPRAY1")
    counted(app, store, hooks, "CONTR2")
    assert "data-of-none" not in operator.get("/colorme/outstanding").text
    hooks.uninstall("CONTR1", "SPRAY1", at="2021-08-12T12:00:00+09:00")
    page = html.fromstring(operator.get("/colorme/outstanding?lang=en").text)
    (case,) = page.cssselect("[data-case]")
    assert case.xpath(".//@data-of-none") == ["CONTR2"]
    assert case.cssselect("[data-says=of-none]")[0].text
    real = settings.model_copy(update={"colorme_calendar_url": ""})
    assert OF_NONE in run(real, "outstanding", "--csv").stdout


def counted(app: Flask, store: Store, hooks: Hooks, contract: str) -> None:
    """A piece that was taken under this contract, on the day after, and whose report was declined."""
    store.now = "2021-07-11T12:00:00+09:00"
    hooks.install(contract, "SPRAY1")
    assert come_in(app).press("/items/moss", "/colorme/charges").status_code == 303
    store.now = "2021-08-09T23:30:00+09:00"
    with app.app_context():
        daily.run()


@pytest.mark.long
def test_seen_to(operator: Browser, app: Flask, owner: Browser, store: Store) -> None:
    """What needs no answer, but an eye, leaves the page once a person has seen to it."""
    store.points["CLOAK01"] = 400
    assert owner.press("/items/cloak", "/colorme/charges").status_code == 303
    page = operator.get("/colorme/outstanding")
    assert "data-otherwise" in page.text
    form = {**form_to(page.text, "/colorme/outstanding"), "state": "seen"}
    assert operator.post("/colorme/outstanding", form).status_code == 303
    assert "data-otherwise" not in operator.get("/colorme/outstanding").text


def test_installs_that_were_none(
    operator: Browser, owner: Browser, settings: Settings, store: Store, hooks: Hooks
) -> None:
    """Named on the page and on the terminal."""
    store.now = "2021-07-11T12:00:00+09:00"
    hooks.install("CONTR2")
    hooks.uninstall()
    assert 'data-never-made="CONTR2"' in operator.get("/colorme/outstanding").text
    real = settings.model_copy(update={"colorme_calendar_url": ""})
    assert "never_made" in run(real, "outstanding", "--csv").stdout


@pytest.mark.changed(metrics_token="a token of the tests, and of nobody else")
def test_as_numbers(app: Flask, code: str, hooks: Hooks) -> None:
    """The gauges of this counter stand beside the others'."""
    hooks.install("CONTR2", account="PA00000002")
    headers = {"Authorization": "Bearer a token of the tests, and of nobody else"}
    said = app.test_client().get("/metrics", headers=headers).text
    assert "storefront_unknown_charges 1.0" in said
    assert "storefront_unconfirmed_installs 1.0" in said
    alerts = (Path(__file__).parents[2] / ".deploy" / "alerts-colorme.yaml").read_text()
    assert all(f"\n{name} " in said for name in re.findall(r"storefront_\w+", alerts))
    assert 'storefront_api_calls_total{call="colorme.charge",result="unknown"} 1.0' in said


def test_with_the_doctor(app: Flask, settings: Settings, code: str, store: Store) -> None:
    """The day, the plans against the goods, the hooks' address, and what is open."""
    http = requests.Session()

    def found() -> dict[str, Verdict]:
        with app.app_context():
            looked = [checks.hooks, checks.closing, checks.day, checks.plans_on_offer, checks.open_cases]
            return {one.check: one.verdict for check in looked for one in check(settings, http)}

    assert found() == {
        "hooks": Verdict.FAIL,  # the tests' shop is on this machine, their store is not
        "closing": Verdict.OK,
        "calendar": Verdict.WARN,
        "plans": Verdict.OK,
        "charges": Verdict.WARN,
        "waiting usage": Verdict.OK,
        "lost usage": Verdict.OK,
        "installs": Verdict.OK,
    }
    del store.answers["/calendar.json"]
    assert found()["calendar"] is Verdict.FAIL
    settings = settings.model_copy(update={"colorme_closing_minutes": 59})
    assert found()["closing"] is Verdict.WARN
