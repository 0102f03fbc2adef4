"""The plan page: what an owner has agreed to, what it costs next, and how to leave before it is paid."""

import re
from datetime import datetime

import pytest
import requests
from flask import Flask
from lxml import html
from werkzeug.wrappers import Request, Response

from storefront.colorme import daily, reckoning_page
from storefront.colorme.plan_file import Form
from tests.colorme.conftest import (
    HERE,
    KEYS,
    KONDO,
    STORE,
    TESTER,
    Hooks,
    Kept,
    Store,
    as_json,
    come_in,
    seconds,
    trial,
    way_back,
)
from tests.databases import on_sqlite
from tests.operators import in_words
from tests.street import Browser, form_to, says, sentence
from tests.wire import Wire

pytestmark = on_sqlite
INSTALLATION, CHARGES = "/appstore/v1/installation.json", "/appstore/v1/application_charges.json"
GONE = {
    "account_id": KONDO,
    "application_charge_source_id": "TIDE01",
    "recurring_application_charge_id": "CONTR1",
    "uninstalled_at": seconds("2021-07-12T09:00:00+09:00"),
    "usage_charge": {"api_token": "a-usage-token", "closing_on": seconds("2021-08-31T23:59:59+09:00")},
}


def marks(browser: Browser, *names: str) -> list[str]:
    """The first value of each mark on the plan page."""
    page = browser.get("/colorme/")
    assert page.status_code == 200, page.text
    tree = html.fromstring(page.text)
    return [(tree.xpath(f"//@data-{name}") or [""])[0] for name in names]


def lines(browser: Browser) -> list[tuple[str, int]]:
    """Those of the first bill to come."""
    tree = html.fromstring(browser.get("/colorme/").text)
    first = tree.cssselect("section[data-bill='1'] [data-line]")
    return [(str(line.get("data-line")), int(str(line.get("data-yen")))) for line in first]


def test_reckoned_in_the_open(owner: Browser) -> None:
    """The page leads to the open reckoning, which comes to the same for this very contract."""
    links = html.fromstring(owner.get("/colorme/").text).xpath("//a/@href")
    (address,) = [str(link) for link in links if "/colorme/reckoning" in str(link)]
    bill = html.fromstring(owner.get(address).text).cssselect("section[data-bill='1']")[0]
    said = [(line.get("data-line"), int(str(line.get("data-yen")))) for line in bill.cssselect("[data-line]")]
    assert said == lines(owner)
    assert bill.get("data-period-last") == "2021-08-31"


def test_what_counts(owner: Browser) -> None:
    """All sums are ours, so the page leads to the store's."""
    assert f'href="{KEYS["colorme_store_url"]}"' in owner.get("/colorme/").text


def test_a_charge_without_an_answer(owner: Browser, store: Store) -> None:
    """The page says so, and leads to what is known of it."""
    notice = "//*[@data-notice='unknown']//a/@href"
    assert html.fromstring(owner.get("/colorme/").text).xpath(notice) == []
    store.say("/appstore/v1/application_charges.json", "rubbish", 502)
    bought = owner.press("/items/cloak", "/colorme/charges").location
    (address,) = html.fromstring(owner.get("/colorme/").text).xpath(notice)
    assert bought == f"{HERE}{address}"
    assert 'data-state="unknown"' in owner.get(str(address)).text


def test_in_the_trial(owner: Browser, store: Store) -> None:
    """Days left, the last day to leave unpaid, and the first collection; the documents' example."""
    shelf = owner.get("/?lang=en").text
    assert says(shelf) >= {"free", "parcel"}
    assert re.findall(r"\d+", sentence(shelf, "free")) == ["10"]
    names = ("plan", "charged-from", "trial-left", "period-first", "period-last", "total")
    assert marks(owner, *names) == ["LANTERN1", "2021-07-21", "10", "2021-07-21", "2021-08-31", "4470"]
    assert lines(owner) == [("prorated", 1064), ("monthly", 3000)]
    page = owner.get("/colorme/?lang=en").text
    assert "2021-07-20" in sentence(page, "free-until")
    (prorated,) = html.fromstring(page).cssselect("[data-line=prorated] .quiet")
    assert re.findall(r"\b\d\d\b", prorated.text_content().rpartition("2021-07-31")[2]) == ["11", "31"]
    assert sentence(page, "form") == in_words(owner.client.application, reckoning_page.FORMS[Form.MONTHLY])
    assert KONDO in page
    assert "近藤商店" in page
    store.now = "2021-07-20T23:59:59+09:00"
    assert marks(owner, "trial-left") == ["1"]


def test_after_the_trial(owner: Browser, store: Store) -> None:
    """The period runs, the first collection is past, and the next one is a whole month."""
    store.now = "2021-07-21T00:00:01+09:00"
    names = ("trial-left", "period-first", "period-last", "collected")
    assert marks(owner, *names) == ["", "2021-07-21", "2021-08-31", "2021-07-21"]
    assert lines(owner) == [("monthly", 3000)]


def test_when_a_sum_is_fixed(app: Flask, hooks: Hooks, store: Store) -> None:
    """Of a day to come the page does not speak as of one that is past."""
    hooks.install(plan="TIDE01")
    browser = come_in(app)
    assert "2021-09-01" in sentence(browser.get("/colorme/").text, "to-be-fixed")
    store.now = "2021-09-01T00:00:01+09:00"
    (fixed, *_) = html.fromstring(browser.get("/colorme/").text).cssselect("[data-says=fixed]")
    assert "2021-09-01" in fixed.text_content()


@pytest.mark.long
def test_other_forms(app: Flask, hooks: Hooks, store: Store) -> None:
    """Each has what it has, and a postpaid one all that is not paid yet; only that one leaves a debt."""
    for number, (plan, period, due) in enumerate(
        [
            ("QUAY01", "", []),
            ("ANCHOR1", "", []),
            ("BEACON1", "2021-07-10", [("monthly", 3000)]),
            ("SPRAY1", "2021-07-10", []),
            ("TIDE01", "2021-07-10", [("monthly", 2000)]),
        ]
    ):
        store.removals += 1
        hooks.install(f"CONTR{number}", plan=plan)
        browser = come_in(app)
        assert marks(browser, "plan", "period-first") == [plan, period]
        assert lines(browser) == due, plan
        page = browser.get("/colorme/?lang=en").text
        assert says(page) & {"asked-for", "uninstalled"} == {
            "TIDE01": {"asked-for"},
            "BEACON1": {"uninstalled"},
        }.get(plan, set())
    store.now = "2021-08-31T12:00:00+09:00"
    tree = html.fromstring(browser.get("/colorme/").text)
    assert tree.xpath("//section/@data-period-first") == ["2021-07-10", "2021-08-10"]
    hooks.install("CONTR9", "TIDE01", TESTER)
    store.account = TESTER
    page = come_in(app).get("/colorme/?lang=en").text
    assert ("any-other-shop" in says(page), "data-if-unpaid" in page) == (True, False)


LEAVING = {"not-paid-back", "usage-billed", "billed-to-its-end", "nothing-paid"}


def test_what_leaving_costs(app: Flask, hooks: Hooks, store: Store) -> None:
    """Before the press the page says what is billed all the same; in a trial nothing is."""
    for number, (plan, told) in enumerate(
        {
            "LANTERN1": "not-paid-back",
            "SPRAY1": "usage-billed",
            "TIDE01": "billed-to-its-end",
        }.items()
    ):
        store.removals += 1
        hooks.install(f"CONTR{number}", plan=plan)
        page = come_in(app).get("/colorme/?lang=en").text
        assert says(page) & LEAVING == {told}, plan
        assert ('data-reading="billed_to_its_end"' in page) == (plan == "TIDE01")
    store.removals += 1
    hooks.install("CONTR9", "TIDE01", trial_term=trial("2021-07-11", "2021-07-21"))
    browser = come_in(app)
    assert says(browser.get("/colorme/?lang=en").text) & LEAVING == {"nothing-paid"}
    store.now = "2021-07-21T00:00:01+09:00"
    assert says(browser.get("/colorme/?lang=en").text) & LEAVING == {"billed-to-its-end"}


def test_uninstalled_from_here(app: Flask, hooks: Hooks, store: Store, kept: Kept) -> None:
    """The store's 200 does what its hook would: the contract has ended, every visit with it."""
    hooks.install(plan="TIDE01")
    browser, other = come_in(app), come_in(app)
    store.say(INSTALLATION, GONE)
    page = browser.press("/colorme/", "/colorme/removal")
    assert (page.status_code, 'data-outcome="done"' in page.text) == (200, True)
    (call,) = store.calls(INSTALLATION)
    assert (call.method, call.headers["Authorization"]) == ("DELETE", f"Bearer token-of-{KONDO}")
    assert kept.contracts() == {"CONTR1": "by_app"}
    contract = kept.contract()
    assert (contract.access_token, bool(contract.usage_token)) == (None, True)
    assert int(contract.ended_at.timestamp()) == GONE["uninstalled_at"]  # type: ignore[union-attr]
    assert [one.get("/inventory").status_code for one in (browser, other)] == [401, 401]


def test_uninstalled_while_nobody_knows(app: Flask, owner: Browser, store: Store) -> None:
    """Who leaves while an option is unknown is told so on their last page."""
    store.say(CHARGES, {}, 502)
    owner.press("/items/cloak", "/colorme/charges")
    store.say(INSTALLATION, GONE)
    page = owner.press("/colorme/", "/colorme/removal")
    told = html.fromstring(page.text).cssselect('[data-outcome="done"] [data-notice="unknown"]')
    assert len(told) == 1
    assert "帆布の外とう" in told[0].text_content()


@pytest.mark.long
def test_who_owes_when_gone(app: Flask, owner: Browser, store: Store, hooks: Hooks) -> None:
    """A debt is spoken of where a plan is paid afterwards, and nowhere else."""
    gone = {name: value for name, value in GONE.items() if name != "usage_charge"}
    store.say(INSTALLATION, gone | {"application_charge_source_id": "LANTERN1"})
    prepaid = owner.press("/colorme/", "/colorme/removal").text
    store.removals += 1
    hooks.install("CONTR2", "TIDE01")
    store.say(INSTALLATION, GONE | {"recurring_application_charge_id": "CONTR2"})
    postpaid = come_in(app).press("/colorme/", "/colorme/removal").text
    said = {"nothing-more-collected", "still-collected"}
    told = [says(page) & said for page in (prepaid, postpaid)]
    assert told == [{"nothing-more-collected"}, {"still-collected"}]


def test_a_removal_that_was_declined(app: Flask, owner: Browser, store: Store, kept: Kept) -> None:
    """Nothing has changed, and the page says so; the same where the store was not reached."""
    store.say(INSTALLATION, {"errors": []}, 404)
    page = owner.press("/colorme/", "/colorme/removal")
    assert (page.status_code, 'data-outcome="declined"' in page.text) == (409, True)
    wire = Wire(store)
    wire.broken = requests.ConnectTimeout()
    app.extensions["http"].mount(f"{STORE}/appstore/", wire)
    assert owner.press("/colorme/", "/colorme/removal").status_code == 409
    assert kept.contracts() == {"CONTR1": "stands"}
    assert kept.contract().asked_to_go_at is None


def test_a_removal_without_an_answer(owner: Browser, store: Store, kept: Kept) -> None:
    """It says so, and the next page asks the store: the app is still there, or it is gone."""
    store.say(INSTALLATION, "rubbish", 502)
    page = owner.press("/colorme/", "/colorme/removal")
    assert (page.status_code, 'data-outcome="unknown"' in page.text) == (503, True)
    well = store.answers["/v1/shop.json"]
    store.say("/v1/shop.json", "rubbish", 500)
    assert "removal-unknown" in owner.get("/colorme/").text
    store.answers["/v1/shop.json"] = well
    assert 'data-notice="removal-declined"' in owner.get("/colorme/").text
    assert "data-notice" not in owner.get("/colorme/").text
    assert kept.contracts() == {"CONTR1": "stands"}
    owner.press("/colorme/", "/colorme/removal")
    store.answers["/v1/shop.json"] = lambda asked: as_json({"errors": [{"code": 401010}]}, 401)
    told = owner.get("/colorme/")
    assert (told.status_code, 'data-outcome="done"' in told.text) == (200, True)
    assert owner.get("/inventory").status_code == 401
    assert kept.contracts() == {"CONTR1": "not_found"}


def test_a_removal_pressed_again(owner: Browser, store: Store, kept: Kept) -> None:
    """While the first press has no answer, another sends none: it asks what became of the first."""
    form = form_to(owner.get("/colorme/").text, "/colorme/removal")
    store.say(INSTALLATION, "rubbish", 502)
    well = store.answers["/v1/shop.json"]
    store.say("/v1/shop.json", "rubbish", 500)
    assert [owner.post("/colorme/removal", form).status_code for _ in range(3)] == [503, 503, 503]
    assert kept.contract().asked_to_go_at is not None
    store.answers["/v1/shop.json"] = well
    assert owner.post("/colorme/removal", form).status_code == 409
    assert (len(store.calls(INSTALLATION)), kept.contract().asked_to_go_at) == (1, None)
    assert owner.post("/colorme/removal", form).status_code == 503
    store.answers["/v1/shop.json"] = lambda asked: as_json({"errors": [{"code": 401010}]}, 401)
    assert 'data-outcome="done"' in owner.post("/colorme/removal", form).text
    assert kept.contracts() == {"CONTR1": "not_found"}


def test_seen_meanwhile(owner: Browser, store: Store, kept: Kept) -> None:
    """Who sees it stand while its removal is on its way has seen too early: its answer is lost."""
    form = form_to(owner.get("/colorme/").text, "/colorme/removal")

    def in_between(asked: object) -> Response:
        assert owner.post("/colorme/removal", form).status_code == 409
        return Response(status=502)

    store.answers[INSTALLATION] = in_between
    assert owner.post("/colorme/removal", form).status_code == 503
    assert len(store.calls(INSTALLATION)) == 1
    assert kept.contract().asked_to_go_at is not None


def test_nobody_looks_again(app: Flask, owner: Browser, store: Store, kept: Kept) -> None:
    """A removal that was done without an answer is seen by the day's work, as of when it was asked for."""
    store.say(INSTALLATION, "rubbish", 502)
    owner.press("/colorme/", "/colorme/removal")
    store.answers["/v1/shop.json"] = lambda asked: as_json({"errors": [{"code": 401010}]}, 401)
    asked_at, store.now = store.now, "2021-08-02T00:30:00+09:00"
    with app.app_context():
        daily.run()
    assert kept.contract().ended_at == datetime.fromisoformat(asked_at)
    assert kept.book() == []


def not_found(owner: Browser, store: Store) -> None:
    """A removal has no answer, and then the store does not know the token: once, and by mistake."""
    store.say(INSTALLATION, "rubbish", 502)
    owner.press("/colorme/", "/colorme/removal")
    well = store.answers["/v1/shop.json"]
    store.say("/v1/shop.json", {"errors": []}, 401)
    owner.get("/colorme/")
    store.answers["/v1/shop.json"] = well


def test_it_stands_after_all(app: Flask, owner: Browser, store: Store, kept: Kept) -> None:
    """One 401 has ended it; when its owner comes in, and the store knows its token, it has never ended."""
    not_found(owner, store)
    assert kept.contracts() == {"CONTR1": "not_found"}
    assert come_in(app).get("/inventory").status_code == 200
    assert kept.contracts() == {"CONTR1": "stands"}
    run_daily(app, store, "2021-09-02T00:30:00+09:00")
    assert sum(amount for *_, amount in kept.book()) == 4064 + 3000


@pytest.mark.long
def test_it_is_gone_indeed(app: Flask, owner: Browser, store: Store, kept: Kept) -> None:
    """Whose token the store does not know stays out, whatever other token the owner has now."""
    not_found(owner, store)
    well = store.answers["/v1/shop.json"]
    asked: list[str] = []

    def first_alone(request: Request) -> Response:
        asked.append(request.path)
        return well(request) if len(asked) == 1 else as_json({"errors": []}, 401)

    store.answers["/v1/shop.json"] = first_alone
    browser = Browser(app, HERE)
    assert browser.get(way_back(browser)).status_code == 403
    assert (len(asked), kept.contracts()) == (2, {"CONTR1": "not_found"})


def test_its_own_hook_is_believed(app: Flask, owner: Browser, store: Store, hooks: Hooks, kept: Kept) -> None:
    """The end that the store tells of takes the place of the one that we had concluded."""
    not_found(owner, store)
    assert hooks.uninstall(at="2021-10-15T12:00:00+09:00").status_code == 200
    assert kept.contracts() == {"CONTR1": "by_shop_owner"}
    run_daily(app, store, "2021-12-02T00:30:00+09:00")
    assert sum(amount for *_, amount in kept.book()) == 4064 + 3000 + 3000


def test_what_was_void_is_due_after_all(app: Flask, owner: Browser, store: Store, kept: Kept) -> None:
    """The fee and the parcel that a mistaken end had taken away are entered and given anew, once."""
    store.say(INSTALLATION, "rubbish", 502)
    store.now = "2021-07-25T12:00:00+09:00"
    owner.press("/colorme/", "/colorme/removal")
    well = store.answers["/v1/shop.json"]
    store.say("/v1/shop.json", "rubbish", 500)
    run_daily(app, store, "2021-09-01T00:30:00+09:00")
    store.say("/v1/shop.json", {"errors": []}, 401)
    assert kept.holdings() == {"lantern": 2, "moss": 2}
    run_daily(app, store, "2021-09-02T00:30:00+09:00")
    assert sum(amount for *_, amount in kept.book()) == 4064
    assert kept.holdings() == {"lantern": 1, "moss": 1}
    store.answers["/v1/shop.json"] = well
    for _ in range(2):
        come_in(app)
        run_daily(app, store, "2021-09-03T00:30:00+09:00")
        assert sum(amount for *_, amount in kept.book()) == 4064 + 3000
        assert kept.holdings() == {"lantern": 2, "moss": 2}


@pytest.mark.long
def test_the_parcel_of_a_day_that_it_stood(
    app: Flask, owner: Browser, store: Store, hooks: Hooks, kept: Kept
) -> None:
    """The store tells a later end than we had concluded: what came between is given again."""
    store.say(INSTALLATION, "rubbish", 502)
    owner.press("/colorme/", "/colorme/removal")
    store.say("/v1/shop.json", "rubbish", 500)
    run_daily(app, store, "2021-10-01T00:30:00+09:00")
    store.say("/v1/shop.json", {"errors": []}, 401)
    run_daily(app, store, "2021-10-02T00:30:00+09:00")
    assert kept.holdings() == {"lantern": 1, "moss": 1}
    for _ in range(2):
        assert hooks.uninstall(at="2021-09-15T12:00:00+09:00").status_code == 200
        assert kept.holdings() == {"lantern": 2, "moss": 2}


def run_daily(app: Flask, store: Store, at: str) -> None:
    store.now = at
    with app.app_context():
        daily.run()


def test_a_removal_needs_its_form(owner: Browser, store: Store) -> None:
    """Nobody has the app uninstalled by leading its owner to an address."""
    assert owner.get("/colorme/removal").status_code == 405
    assert owner.post("/colorme/removal", {"token": "x"}).status_code == 400
    assert store.calls(INSTALLATION) == []


def test_a_removal_is_of_one_contract(
    app: Flask, owner: Browser, store: Store, hooks: Hooks, kept: Kept
) -> None:
    """A form of an old contract does not uninstall the new one."""
    form = form_to(owner.get("/colorme/").text, "/colorme/removal")
    hooks.uninstall(at=store.now)
    hooks.install("CONTR2", "BEACON1")
    assert come_in(app).post("/colorme/removal", form).status_code == 400
    assert (store.calls(INSTALLATION), kept.contracts()["CONTR2"]) == ([], "stands")


def test_nobody_in(app: Flask) -> None:
    assert Browser(app, HERE).get("/colorme/").status_code == 401
