"""Which of two contracts is real: by the store's own days, and by the token that it still knows."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.wrappers import Request, Response

from storefront.colorme import daily, outstanding
from storefront.colorme.reporting import Report
from storefront.db import db, transaction
from storefront.shop.catalog import Price
from tests.colorme.conftest import (
    HERE,
    Hooks,
    Kept,
    Store,
    as_json,
    charged_usage,
    come_in,
    seconds,
    trial,
    way_back,
)
from tests.databases import on_sqlite
from tests.street import Browser, form_to

pytestmark = on_sqlite
ACTION, REMOVAL = "/colorme/charges", "/colorme/removal"
SHOP, INSTALLATION = "/v1/shop.json", "/appstore/v1/installation.json"
REPORTS = "/appstore/v1/recurring_application_charges/CONTR1/usage_charges.json"
APRIL_FEE, JUNE_FEE = "colorme:CONTR1:2021-04-10", "colorme:CONTR1:2021-06-01"
APRIL, MAY = "colorme:CONTR1:2021-04-10:1", "colorme:CONTR1:2021-05-10:1"

Daily = Callable[[str], None]


def no_more(asked: Request) -> Response:
    """It knows no such token."""
    return as_json({"errors": [{"code": 401010}]}, 401)


@pytest.fixture
def kondo(app: Flask, store: Store, hooks: Hooks) -> Browser:
    """Who is in, on a plan that is charged by use."""
    store.now = "2021-04-10T12:00:00+09:00"
    store.answers[REPORTS] = charged_usage
    assert hooks.install(plan="SPRAY1").status_code == 200
    return come_in(app)


@pytest.fixture
def daily_at(app: Flask, store: Store) -> Daily:
    def work(at: str) -> None:
        store.now = at
        with app.app_context():
            assert daily.run() == 0

    return work


def test_a_hook_that_is_late_by_its_own_days(kondo: Browser, hooks: Hooks, kept: Kept, store: Store) -> None:
    """An install that was made before the one that stands does not take its place."""
    late = trial("2021-04-02", "2021-04-12")
    assert hooks.install("LATE01", "TIDE01", trial_term=late).status_code == 200
    assert kept.contracts() == {"CONTR1": "stands", "LATE01": "replaced"}
    assert kondo.get("/inventory").status_code == 200
    assert hooks.uninstall("LATE01", "TIDE01", at="2021-04-09T12:00:00+09:00").status_code == 200
    assert kept.contracts() == {"CONTR1": "stands", "LATE01": "by_shop_owner"}


def test_a_late_hook_that_was_right(kondo: Browser, hooks: Hooks, kept: Kept, store: Store) -> None:
    """Its end tells how long it stood: what came meanwhile was none."""
    store.now = "2021-04-10T13:00:00+09:00"
    hooks.install("LATE01", "TIDE01", trial_term=trial("2021-04-02", "2021-04-12"))
    hooks.uninstall("LATE01", "TIDE01", at="2021-04-11T12:00:00+09:00")
    assert kept.contracts() == {"CONTR1": "never_made", "LATE01": "by_shop_owner"}


def test_a_late_hook_without_a_day(
    app: Flask, kondo: Browser, hooks: Hooks, kept: Kept, store: Store, daily_at: Daily
) -> None:
    """The store still knows the token of what was replaced: it stands, and its usage is reported as ever."""
    assert kondo.press("/items/moss", ACTION).status_code == 303
    assert hooks.install("LATE01").status_code == 200
    assert kept.contracts() == {"CONTR1": "replaced", "LATE01": "stands"}
    daily_at("2021-04-11T00:30:00+09:00")
    assert kept.contracts() == {"CONTR1": "stands", "LATE01": "never_made"}
    daily_at("2021-05-09T23:30:00+09:00")
    assert store.calls(REPORTS)[0].headers["Authorization"] == f"Bearer {store.token}"
    assert kept.book() == [("sale", APRIL, 150)]


def test_coming_in_to_what_stands(app: Flask, kondo: Browser, hooks: Hooks, kept: Kept, store: Store) -> None:
    """Whoever comes in after a late hook comes in to what the store has; without its word to nothing."""
    hooks.install("LATE01")
    well = store.answers[SHOP]
    asked = iter(range(10))
    store.answers[SHOP] = lambda told: Response(status=502) if next(asked) else well(told)
    browser = Browser(app, HERE)
    assert browser.get(way_back(browser)).status_code == 503
    assert kept.contract("LATE01").confirmed_at is None
    store.answers[SHOP] = well
    come_in(app)
    assert kept.contracts() == {"CONTR1": "stands", "LATE01": "never_made"}
    assert kept.holdings() == {}


def test_nothing_is_written_off_before_the_store_was_asked(
    app: Flask, kondo: Browser, hooks: Hooks, kept: Kept, store: Store, daily_at: Daily
) -> None:
    """Neither what it takes no more, nor what is too little: both wait for its word."""
    kondo.press("/items/moss", ACTION)
    hooks.install("LATE01")
    well = store.answers.pop(SHOP)
    daily_at("2021-06-01T00:30:00+09:00")
    assert states(app) == [("waiting", 150)]
    store.answers[SHOP] = well
    daily_at("2021-06-02T00:30:00+09:00")
    assert kept.book() == [("sale", APRIL, 150)]


def test_too_little_to_report(
    app: Flask, kondo: Browser, hooks: Hooks, kept: Kept, store: Store, daily_at: Daily
) -> None:
    """What was written off with an end that was none waits for more again."""
    kondo.press("/items/moss", ACTION)
    daily_at("2021-05-09T23:30:00+09:00")
    kondo.press("/items/loaf", ACTION)
    hooks.install("LATE01")
    well = store.answers.pop(SHOP)
    daily_at("2021-05-10T00:30:00+09:00")
    assert states(app) == [("charged", 150), ("declined", 20)]
    store.answers[SHOP] = well
    come_in(app).press("/items/moss", ACTION)
    daily_at("2021-06-09T23:30:00+09:00")
    assert [amount for *_, amount in kept.book()] == [150, 170]


def test_what_was_lost_is_found(
    app: Flask, kondo: Browser, hooks: Hooks, kept: Kept, store: Store, daily_at: Daily
) -> None:
    """Where the store has said that a contract was gone, and knows its token after all, nothing is lost."""
    kondo.press("/items/moss", ACTION)
    store.say(REPORTS, {}, 429)
    store.say(INSTALLATION, {}, 502)
    kondo.press("/colorme/", REMOVAL)
    store.removals += 1
    daily_at("2021-04-11T00:30:00+09:00")
    daily_at("2021-06-01T00:30:00+09:00")
    store.removals -= 1
    store.answers[REPORTS] = charged_usage
    come_in(app)
    daily_at("2021-06-02T00:30:00+09:00")
    assert [amount for *_, amount in kept.book()] == [150]


def test_usage_before_a_removal(
    app: Flask, kondo: Browser, kept: Kept, store: Store, daily_at: Daily
) -> None:
    """It is reported before the app goes, since a lost answer would take the token for it along."""
    form = form_to(kondo.get("/items/moss").text, ACTION)
    kondo.press("/items/moss", ACTION)
    store.say(INSTALLATION, {}, 502)
    kondo.press("/colorme/", REMOVAL)
    well = store.answers.pop(SHOP)
    assert kondo.post(ACTION, form).status_code == 409
    store.answers[SHOP], store.removals = well, 1
    daily_at("2021-04-11T00:30:00+09:00")
    assert kept.contracts() == {"CONTR1": "not_found"}
    assert kept.holdings() == {"moss": 1}
    assert kept.book() == [("sale", APRIL, 150)]


def test_a_removal_while_the_store_is_not_well(app: Flask, kondo: Browser, kept: Kept, store: Store) -> None:
    """Of several reports the first that is not taken is the last: the owner waits for the page."""
    with app.app_context(), transaction() as session:
        session.execute(update(Price).filter_by(item_id="moss", channel="colorme").values(amount=600_001))
    for _ in range(3):
        kondo.press("/items/moss", ACTION)
    store.say(REPORTS, {}, 502)
    store.say(INSTALLATION, {"uninstalled_at": seconds("2021-04-10T12:00:00+09:00")})
    assert kondo.press("/colorme/", REMOVAL).status_code == 200
    assert len(store.calls(REPORTS)) == 1
    assert [state for state, _ in states(app)] == ["unknown", "waiting"]


def test_an_install_while_the_store_is_asked(
    kondo: Browser, hooks: Hooks, kept: Kept, store: Store, daily_at: Daily
) -> None:
    """What came after the question is not thrown out by its answer, but by the next."""
    store.now = "2021-04-10T13:00:00+09:00"
    hooks.install("LATE01")
    well = store.answers[SHOP]

    def meanwhile(asked: Request) -> Response:
        store.now = "2021-04-11T00:31:00+09:00"
        assert hooks.install("LATE02").status_code == 200
        return well(asked)

    store.answers[SHOP] = meanwhile
    daily_at("2021-04-11T00:30:00+09:00")
    assert kept.contracts() == {"CONTR1": "replaced", "LATE01": "never_made", "LATE02": "stands"}
    store.answers[SHOP] = well
    daily_at("2021-04-11T00:45:00+09:00")
    assert kept.contracts() == {"CONTR1": "stands", "LATE01": "never_made", "LATE02": "never_made"}


def test_a_mistaken_no(
    app: Flask, kondo: Browser, hooks: Hooks, kept: Kept, store: Store, daily_at: Daily
) -> None:
    """While usage waits the store is asked again; who had come in to another one comes in to the first."""
    kondo.press("/items/moss", ACTION)
    store.now = "2021-04-10T13:00:00+09:00"
    hooks.install("LATE01")
    well = store.answers[SHOP]
    answers = iter([well, no_more, no_more])
    store.answers[SHOP] = lambda asked: next(answers)(asked)
    come_in(app)
    daily_at("2021-04-11T00:30:00+09:00")
    assert kept.contracts() == {"CONTR1": "replaced", "LATE01": "stands"}
    store.answers[SHOP] = well
    daily_at("2021-04-11T00:45:00+09:00")
    come_in(app)
    assert kept.contracts() == {"CONTR1": "stands", "LATE01": "never_made"}
    daily_at("2021-05-09T23:30:00+09:00")
    assert ("sale", APRIL, 150) in kept.book()
    assert sum(yen for *_, yen in kept.book()) == 150


def test_a_no_that_stays(
    app: Flask, kondo: Browser, hooks: Hooks, kept: Kept, store: Store, daily_at: Daily
) -> None:
    """Nobody is asked any more once the store takes no reports of it; what waited is lost, and listed."""
    kondo.press("/items/moss", ACTION)
    hooks.install("CONTR2", "SPRAY1")
    store.answers[SHOP] = no_more
    daily_at("2021-05-31T23:30:00+09:00")
    assert states(app) == [("waiting", 150)]
    daily_at("2021-06-01T00:30:00+09:00")
    assert states(app) == [("declined", 150)]
    assert kept.contract().access_token is None
    with app.app_context():
        assert [case.code for case in outstanding.lost()] == ["CONTR1:2021-04-10:1"]


def test_coming_in_after_a_removal_without_an_answer(
    app: Flask, kondo: Browser, kept: Kept, store: Store
) -> None:
    """A new token says nothing of the app: the one from before is asked; without a word nobody is in."""
    store.say(INSTALLATION, {}, 502)
    kondo.press("/colorme/", REMOVAL)
    store.removals += 1
    well = store.answers[SHOP]
    asked = iter(range(10))
    store.answers[SHOP] = lambda told: Response(status=502) if next(asked) else well(told)
    browser = Browser(app, HERE)
    assert browser.get(way_back(browser)).status_code == 503
    store.answers[SHOP] = well
    answer = browser.get(way_back(browser))
    assert (answer.status_code, kept.contracts()) == (403, {"CONTR1": "not_found"})


def test_coming_in_before_the_end_is_told(
    app: Flask, kondo: Browser, hooks: Hooks, kept: Kept, store: Store
) -> None:
    """By a token from after its end an old contract seems to stand; once that is told, the new one does."""
    store.removals += 1
    come_in(app)
    store.now = "2021-04-10T13:00:00+09:00"
    hooks.install("CONTR2", "TIDE01")
    come_in(app)
    assert kept.contracts() == {"CONTR1": "stands", "CONTR2": "never_made"}
    hooks.uninstall(plan="SPRAY1", at="2021-04-10T12:30:00+09:00")
    assert kept.contracts() == {"CONTR1": "by_shop_owner", "CONTR2": "stands"}
    come_in(app)
    assert kept.contract("CONTR2").confirmed_at


def test_an_end_that_is_never_told(
    app: Flask, hooks: Hooks, kept: Kept, store: Store, daily_at: Daily
) -> None:
    """The end of the new contract shows that the old one had ended by its install, not that it was none."""
    store.now = "2021-04-10T12:00:00+09:00"
    hooks.install()
    come_in(app)
    daily_at("2021-04-10T12:30:00+09:00")
    store.removals += 1
    come_in(app)
    store.now = "2021-05-10T13:00:00+09:00"
    hooks.install("CONTR2", "QUAY01")
    come_in(app)
    daily_at("2021-06-01T00:30:00+09:00")
    assert kept.contracts() == {"CONTR1": "stands", "CONTR2": "never_made"}
    assert [key for _, key, _ in kept.book()] == [APRIL_FEE, JUNE_FEE]
    hooks.uninstall("CONTR2", "QUAY01", at="2021-06-02T12:00:00+09:00")
    assert kept.contracts() == {"CONTR1": "replaced", "CONTR2": "by_shop_owner"}
    assert kept.contract().ended_at == kept.contract("CONTR2").arrived_at
    assert [line[:2] for line in kept.book()] == [("sale", APRIL_FEE), ("sale", JUNE_FEE), ("void", JUNE_FEE)]


def test_a_mistaken_no_to_a_removal(
    app: Flask, kondo: Browser, kept: Kept, store: Store, daily_at: Daily
) -> None:
    """For three days each day's work asks again, whether its owner comes in or not."""
    store.say(INSTALLATION, {}, 502)
    kondo.press("/colorme/", REMOVAL)
    store.removals += 1
    daily_at("2021-04-10T12:15:00+09:00")
    daily_at("2021-04-12T12:15:00+09:00")
    assert kept.contracts() == {"CONTR1": "not_found"}
    store.removals -= 1
    daily_at("2021-04-13T12:15:00+09:00")
    assert kept.contracts() == {"CONTR1": "not_found"}
    daily_at("2021-04-13T11:45:00+09:00")
    assert kept.contracts() == {"CONTR1": "stands"}


def test_usage_of_an_end_that_is_told_late(
    app: Flask, kondo: Browser, hooks: Hooks, kept: Kept, store: Store, daily_at: Daily
) -> None:
    """What the store refused, since it had no such contract any more, is reported with its usage token."""
    kondo.press("/items/moss", ACTION)
    store.say(REPORTS, {}, 404)
    daily_at("2021-05-09T23:30:00+09:00")
    store.answers[REPORTS] = charged_usage
    told = {"api_token": "a-usage-token", "closing_on": seconds("2021-05-31T23:59:59+09:00")}
    hooks.uninstall(plan="SPRAY1", at="2021-05-09T20:00:00+09:00", usage_charge=told)
    daily_at("2021-05-09T23:45:00+09:00")
    assert states(app) == [("charged", 150)]


@pytest.mark.parametrize("status", [401, 404])
def test_a_report_with_a_void_token(
    app: Flask, kondo: Browser, kept: Kept, store: Store, daily_at: Daily, status: int
) -> None:
    """What was refused as of nobody is sent anew, where the store knows the token after all."""
    kondo.press("/items/moss", ACTION)
    store.say(REPORTS, {}, status)
    daily_at("2021-05-09T23:30:00+09:00")
    store.say(INSTALLATION, {}, 502)
    kondo.press("/colorme/", REMOVAL)
    store.removals += 1
    daily_at("2021-05-09T23:40:00+09:00")
    assert (kept.contracts(), states(app)) == ({"CONTR1": "not_found"}, [("declined", 150)])
    store.removals -= 1
    store.answers[REPORTS] = charged_usage
    come_in(app)
    daily_at("2021-05-09T23:50:00+09:00")
    assert kept.book() == [("sale", APRIL, 150)]


def test_a_new_install_that_is_real(
    app: Flask, kondo: Browser, hooks: Hooks, kept: Kept, store: Store, daily_at: Daily
) -> None:
    """The store knows the old token no more: it is asked once, unless usage waits for the old one's end."""
    store.removals += 1
    hooks.install("CONTR2", "SPRAY1")
    daily_at("2021-04-11T00:30:00+09:00")
    daily_at("2021-04-11T01:30:00+09:00")
    assert kept.contracts() == {"CONTR1": "replaced", "CONTR2": "stands"}
    assert kept.contract().access_token is None
    assert len(store.calls(SHOP)) == 2


def test_usage_of_what_was_replaced(
    app: Flask, kondo: Browser, hooks: Hooks, kept: Kept, store: Store, daily_at: Daily
) -> None:
    """It waits for the end of the old one, and is reported with the token that comes with it."""
    kondo.press("/items/moss", ACTION)
    store.removals += 1
    hooks.install("CONTR2", "SPRAY1")
    daily_at("2021-04-11T00:30:00+09:00")
    assert states(app) == [("waiting", 150)]
    told = {"api_token": "a-usage-token", "closing_on": seconds("2021-05-31T23:59:59+09:00")}
    hooks.uninstall(plan="SPRAY1", at="2021-04-10T12:00:00+09:00", usage_charge=told)
    daily_at("2021-04-12T00:30:00+09:00")
    assert states(app) == [("charged", 150)]
    assert kept.contract().access_token is None


def states(app: Flask) -> list[tuple[str, int]]:
    with app.app_context():
        found = db.session.scalars(select(Report).order_by(Report.period_first, Report.part))
        return [(one.state.value, one.yen) for one in found]
