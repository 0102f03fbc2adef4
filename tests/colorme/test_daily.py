"""The work of each day: usage counted and reported, plan fees in the book, each once whatever comes twice."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask
from lxml import html
from requests import ConnectTimeout
from sqlalchemy import select, update
from werkzeug.wrappers import Request, Response

from storefront import Settings, create_app, rim
from storefront.cli import main
from storefront.colorme import contracts, daily, outstanding, reporting, usage
from storefront.colorme.calendar import NoCalendar
from storefront.colorme.contracts import Contract, Reason
from storefront.colorme.intents import State
from storefront.colorme.plans import Offered
from storefront.colorme.purchases import ENDED
from storefront.colorme.reporting import Report
from storefront.colorme.settings import FirstPeriod
from storefront.colorme.usage import NotOnAccount, Usage
from storefront.db import db, transaction
from storefront.shop import catalog
from storefront.shop.customers import Customer
from tests.colorme.conftest import (
    KONDO,
    SATO,
    TESTER,
    Hooks,
    Kept,
    Store,
    as_json,
    charged_usage,
    come_in,
    copied,
    statements,
    trial,
)
from tests.databases import on_sqlite

LOAF, MOSS = 20, 150
APRIL = "2021-04-10:1"
TOKEN = {"usage_charge": {"api_token": "late-token", "closing_on": 1622473199}}  # the end of May


class Owner:
    """kondo's shop on a plan that is charged by use, and the days that pass."""

    def __init__(self, app: Flask, store: Store, hooks: Hooks, kept: Kept) -> None:
        self.app, self.store, self.hooks, self.kept = app, store, hooks, kept

    def install(
        self,
        plan: str = "SPRAY1",
        at: str = "2021-04-10T12:00:00+09:00",
        account: str = KONDO,
        **more: object,
    ) -> None:
        self.store.now, self.store.account = at, account
        assert self.hooks.install("CONTR1", plan, account, **more).status_code == 200
        come_in(self.app)

    def take(self, item: str = "moss", at: str | None = None, code: str = "") -> bool:
        self.store.now = at or self.store.now
        with self.app.app_context():
            offer = catalog.offer(item, "colorme")
            assert offer
            contract = db.session.get_one(Contract, "CONTR1")
            return usage.take(contract, offer, code or f"code-{next(NUMBERS)}", moment(self.store.now))

    def daily(self, at: str) -> None:
        self.store.now = at
        with self.app.app_context():
            daily.run()

    def reports(self) -> dict[str, tuple[str, int]]:
        with self.app.app_context():
            rows = db.session.scalars(select(Report).order_by(Report.period_first, Report.part))
            return {f"{row.period_first}:{row.part}": (row.state.value, row.yen) for row in rows}

    def report(self, code: str = APRIL) -> Report:
        first, part = code.rsplit(":", 1)
        with self.app.app_context():
            return db.session.get_one(Report, ("CONTR1", date.fromisoformat(first), int(part)))

    def sent(self) -> list[tuple[int, str]]:
        said = [json.loads(one.get_data())["usage_charge"] for one in self.calls()]
        return [(one["point"], one["description"]) for one in said]

    def calls(self) -> list[Request]:
        return [one for one in self.store.asked if one.path.endswith("/usage_charges.json")]

    def answer(self, said: object = None, status: int = 201, **headers: str) -> None:
        self.store.answers[PATH] = lambda asked: (
            as_json(said, status, **headers) if said is not None else charged_usage(asked)
        )


PATH = "/appstore/v1/recurring_application_charges/CONTR1/usage_charges.json"
NUMBERS = iter(range(10_000))


@pytest.fixture
def kondo(app: Flask, store: Store, hooks: Hooks, kept: Kept) -> Owner:
    owner = Owner(app, store, hooks, kept)
    owner.answer()
    return owner


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@on_sqlite
def test_a_period_is_reported(kondo: Owner) -> None:
    """Q1, U1: what was taken is granted at once, counted, and reported in the last hour of its period."""
    kondo.install()
    for _ in range(9):
        kondo.take(at="2021-05-01T12:00:00+09:00")
    kondo.take("loaf")
    assert kondo.kept.holdings() == {"moss": 9, "loaf": 1}
    kondo.daily("2021-05-09T22:59:59+09:00")
    assert kondo.sent() == []
    kondo.daily("2021-05-09T23:30:00+09:00")
    assert kondo.sent() == [(9 * MOSS + LOAF, "2021-04-10/2021-05-09 利用分")]
    assert kondo.calls()[0].headers["Authorization"] == f"Bearer token-of-{KONDO}"
    kondo.daily("2021-05-10T00:30:00+09:00")
    assert len(kondo.calls()) == 1
    assert kondo.reports() == {APRIL: ("charged", 9 * MOSS + LOAF)}
    assert kondo.kept.book() == [("sale", "colorme:CONTR1:2021-04-10:1", 9 * MOSS + LOAF)]


@on_sqlite
def test_the_ninth_at_midnight(kondo: Owner) -> None:
    """U14: what is taken once the count has closed counts to the next period, as the store will see it."""
    kondo.install()
    kondo.take(at="2021-05-09T22:59:59+09:00")
    kondo.take(at="2021-05-09T23:00:00+09:00")
    kondo.take(at="2021-05-10T00:00:00+09:00")
    kondo.daily("2021-05-09T23:30:00+09:00")
    kondo.daily("2021-06-09T23:30:00+09:00")
    assert kondo.reports() == {APRIL: ("charged", MOSS), "2021-05-10:1": ("charged", 2 * MOSS)}


@on_sqlite
def test_a_form_counts_once(kondo: Owner) -> None:
    """A form that is sent again takes nothing more."""
    kondo.install()
    assert kondo.take(code="one-form")
    assert not kondo.take(code="one-form")
    assert kondo.kept.holdings() == {"moss": 1}


@pytest.mark.long
@on_sqlite
@pytest.mark.parametrize("plan", ["QUAY01", "LANTERN1"])
def test_not_by_use(kondo: Owner, plan: str) -> None:
    """Nothing is taken on account on a plan without a usage part."""
    kondo.install(plan)
    with pytest.raises(NotOnAccount):
        kondo.take()
    assert "moss" not in kondo.kept.holdings() or plan == "LANTERN1"


@on_sqlite
def test_not_in_the_trial(kondo: Owner) -> None:
    """Q14: refused to the last moment of the trial, and taken from the first paid day on."""
    kondo.install("TIDE01", "2021-07-10T12:00:00+09:00", trial_term=trial("2021-07-11", "2021-07-21"))
    for at in ("2021-07-10T12:00:00+09:00", "2021-07-20T23:59:59+09:00"):
        with pytest.raises(NotOnAccount):
            kondo.take(at=at)
    kondo.take(at="2021-07-21T00:00:00+09:00")
    kondo.daily("2021-08-09T23:30:00+09:00")
    assert kondo.sent() == [(MOSS, "2021-07-21/2021-08-09 利用分")]


@on_sqlite
def test_below_the_least(kondo: Owner) -> None:
    """Less than 100 yen waits for the next period, and is reported with it."""
    kondo.install()
    kondo.take("loaf", "2021-05-01T12:00:00+09:00")
    for day in range(9, 32):
        kondo.daily(f"2021-05-{day:02}T23:30:00+09:00")
    assert kondo.reports() == {}
    kondo.take(at="2021-06-01T12:00:00+09:00")
    kondo.daily("2021-06-09T23:30:00+09:00")
    assert kondo.sent() == [(LOAF + MOSS, "2021-05-10/2021-06-09 利用分")]


@pytest.mark.long
@on_sqlite
def test_the_page_says_what_is_billed(kondo: Owner) -> None:
    """What is carried on, late or declined stands on the plan page in the period that it is billed with."""
    kondo.install("TIDE01")
    kondo.take("loaf", "2021-05-01T12:00:00+09:00")
    kondo.daily("2021-05-09T23:30:00+09:00")
    kondo.take(at="2021-05-20T12:00:00+09:00")
    assert usage_on_page(kondo) == {"2021-05-10": LOAF + MOSS}
    assert "¥20</span> were taken in periods before" in plan_page(kondo)
    kondo.daily("2021-06-10T00:30:00+09:00")
    assert kondo.report("2021-05-10:1").is_late
    kondo.take("loaf", "2021-06-20T12:00:00+09:00")
    assert usage_on_page(kondo) == {"2021-06-10": LOAF + MOSS}
    page = plan_page(kondo)
    assert f'data-waits="{LOAF}"' in page
    assert "¥170</span> were taken in periods before" in page
    kondo.take(at="2021-06-20T12:00:00+09:00")
    kondo.answer({"errors": []}, 422)
    kondo.daily("2021-07-09T23:30:00+09:00")
    assert usage_on_page(kondo) == {"2021-06-10": LOAF + MOSS}


@on_sqlite
def test_the_page_promises_nothing_else(kondo: Owner) -> None:
    """Less than a report may say is no bill, and the last hour of a period counts to the next, as it says."""
    kondo.install()
    kondo.take("loaf", "2021-05-01T12:00:00+09:00")
    page = plan_page(kondo)
    assert ("data-bill" in page, f'data-waits="{LOAF}"' in page) == (False, True)
    kondo.take(at="2021-05-09T22:59:59+09:00")
    assert added_before(plan_page(kondo), "2021-05-09 23:00")
    kondo.take(at="2021-05-09T23:00:00+09:00")
    page = plan_page(kondo)
    assert 'data-counted-to="2021-05-10"' in come_in(kondo.app).get("/items/moss").text
    assert (f'data-usage="{LOAF + MOSS}"' in page, f'data-usage-next="{MOSS}"' in page) == (True, True)
    taken = html.fromstring(page).xpath("//*[@data-taken]")
    pieces = [[one.get(f"data-{name}") for name in ("taken", "quantity", "yen")] for one in taken]
    assert pieces == [["loaf", "1", str(LOAF)], ["moss", "1", str(MOSS)], ["moss", "1", str(MOSS)]]
    assert usage_on_page(kondo) == {"2021-04-10": LOAF + MOSS, "2021-05-10": MOSS}
    assert not added_before(page, "2021-05-09 23:00")


def added_before(page: str, moment: str) -> bool:
    """Whether a bill says that what is taken before this moment is added to it."""
    return any(moment in said.text_content() for said in html.fromstring(page).cssselect("[data-says=added]"))


def plan_page(kondo: Owner) -> str:
    return come_in(kondo.app).get("/colorme/?lang=en").text


def usage_on_page(kondo: Owner) -> dict[str, int]:
    """Yen of usage in each bill, by the first day of its period."""
    tree = html.fromstring(come_in(kondo.app).get("/colorme/").text)
    lines = tree.xpath("//section[@data-period-first]//li[@data-line='usage']")
    return {one.xpath("ancestor::section/@data-period-first")[0]: int(one.get("data-yen")) for one in lines}


@pytest.mark.long
@on_sqlite
def test_written_off(kondo: Owner) -> None:
    """What is below 100 yen at a contract's end is written off, and said to be lost."""
    kondo.install()
    kondo.take("loaf", "2021-05-01T12:00:00+09:00")
    assert (
        kondo.hooks.uninstall("CONTR1", "SPRAY1", at="2021-05-02T12:00:00+09:00", **TOKEN).status_code == 200
    )
    kondo.daily("2021-05-02T23:30:00+09:00")
    assert kondo.calls() == []
    with kondo.app.app_context():
        assert [(one.yen, one.answer) for one in reporting.lost()] == [(LOAF, reporting.WRITTEN_OFF)]
    assert kondo.kept.book() == []


@on_sqlite
def test_beyond_one_report(kondo: Owner) -> None:
    """More than a report may say is reported in parts, each an entry of its own."""
    kondo.install()
    kondo.take(at="2021-05-01T12:00:00+09:00")
    with kondo.app.app_context(), transaction() as session:
        session.execute(update(Usage).values(yen=1_000_050))
    kondo.daily("2021-05-09T23:30:00+09:00")
    assert [yen for yen, _ in kondo.sent()] == [999_950, 100]
    assert [amount for *_, amount in kondo.kept.book()] == [999_950, 100]


@on_sqlite
def test_late(kondo: Owner) -> None:
    """Missed on the 9th it is sent all the same, and marked: at the store it belongs to the next period."""
    kondo.install()
    kondo.take(at="2021-05-01T12:00:00+09:00")
    kondo.daily("2021-05-10T00:30:00+09:00")
    assert kondo.sent() == [(MOSS, "2021-04-10/2021-05-09 利用分")]
    assert kondo.report().is_late
    with kondo.app.app_context():
        assert [one.code for one in reporting.late()] == [f"CONTR1:{APRIL}"]


@on_sqlite
@pytest.mark.parametrize("says_when", [False, True])
def test_midnight_passes(kondo: Owner, says_when: bool) -> None:
    """What is sent after midnight is late, though the run began before; so is what the store made then."""
    kondo.install()
    kondo.take(at="2021-05-01T12:00:00+09:00")
    with kondo.app.app_context(), transaction() as session:
        session.execute(update(Usage).values(yen=1_000_050))
    after = "2021-05-10T00:00:05+09:00"
    when = {"make_date": int(moment(after).timestamp())} if says_when else {}

    def slow(asked: Request) -> Response:
        kondo.store.now = after
        said = json.loads(asked.get_data())["usage_charge"]
        return as_json({"usage_charge": {**said, **when, "id": f"U{next(NUMBERS):05}"}}, 201)

    kondo.store.answers[PATH] = slow
    kondo.daily("2021-05-09T23:59:58+09:00")
    assert [kondo.report(f"2021-04-10:{part}").is_late for part in (1, 2)] == [says_when, True]
    assert str(kondo.report("2021-04-10:2").counts_to) == "2021-05-10"


@on_sqlite
def test_a_month_missed(kondo: Owner) -> None:
    """Each period is reported for itself: what was missed is late, marked, and no part of the next."""
    kondo.install()
    for at in ("2021-05-01", "2021-06-01", "2021-07-01"):
        kondo.take(at=f"{at}T12:00:00+09:00")
    kondo.take("loaf")
    kondo.daily("2021-07-09T23:30:00+09:00")
    months = {APRIL: MOSS, "2021-05-10:1": MOSS, "2021-06-10:1": MOSS + LOAF}
    assert kondo.reports() == {code: ("charged", yen) for code, yen in months.items()}
    assert [kondo.report(code).is_late for code in months] == [True, True, False]


@on_sqlite
@pytest.mark.parametrize("told", [TOKEN, {"usage_charge": {"api_token": "late-token"}}])
def test_after_the_uninstall(kondo: Owner, told: dict[str, object]) -> None:
    """U11: with the usage token in place of the other, once; and it is not late, whatever day it is."""
    kondo.install()
    kondo.take(at="2021-05-01T12:00:00+09:00")
    kondo.hooks.uninstall("CONTR1", "SPRAY1", at="2021-05-02T12:00:00+09:00", **told)
    kondo.daily("2021-05-20T12:00:00+09:00")
    kondo.daily("2021-05-20T12:30:00+09:00")
    (call,) = kondo.calls()
    assert call.headers["X-Appstore-Usage-Charge-Token"] == "late-token"
    assert "Authorization" not in call.headers
    assert not kondo.report().is_late
    assert kondo.reports() == {APRIL: ("charged", MOSS)}


@on_sqlite
@pytest.mark.parametrize("told", [TOKEN, {}])
def test_lost(kondo: Owner, told: dict[str, object]) -> None:
    """U12: after the closing, or without a token, nothing is sent, and it is shown as lost."""
    kondo.install()
    kondo.take(at="2021-05-01T12:00:00+09:00")
    kondo.hooks.uninstall("CONTR1", "SPRAY1", at="2021-05-02T12:00:00+09:00", **told)
    kondo.daily("2021-06-01T00:00:00+09:00" if told else "2021-05-03T00:00:00+09:00")
    assert kondo.calls() == []
    assert (kondo.report().state, kondo.report().is_lost) == (State.DECLINED, True)
    with kondo.app.app_context():
        assert [one.code for one in reporting.lost()] == [f"CONTR1:{APRIL}"]
        assert not reporting.unsettled()


@pytest.mark.long
@on_sqlite
def test_uninstalled_unawares(kondo: Owner) -> None:
    """What the store declines because the app is gone is sent anew, once the uninstall brings its token."""
    kondo.install()
    kondo.take(at="2021-05-01T12:00:00+09:00")
    kondo.answer({"errors": []}, 401)
    kondo.daily("2021-05-09T23:30:00+09:00")
    kondo.answer()
    kondo.daily("2021-05-10T00:30:00+09:00")
    assert kondo.reports() == {APRIL: ("declined", MOSS)}
    kondo.hooks.uninstall("CONTR1", "SPRAY1", at="2021-05-08T12:00:00+09:00", **TOKEN)
    kondo.daily("2021-05-10T01:30:00+09:00")
    assert kondo.reports() == {APRIL: ("charged", MOSS)}
    assert not kondo.report().is_late


@pytest.mark.long
@on_sqlite
@pytest.mark.parametrize("comes", [True, False])
def test_replaced(kondo: Owner, comes: bool) -> None:
    """Of a contract that another took the place of, usage waits for the late uninstall with its token."""
    kondo.install()
    kondo.take(at="2021-05-01T12:00:00+09:00")
    kondo.store.removals += 1
    assert kondo.hooks.install("CONTR2", "SPRAY1").status_code == 200
    kondo.daily("2021-05-02T12:00:00+09:00")
    assert kondo.reports() == {APRIL: ("waiting", MOSS)}
    if comes:
        kondo.hooks.uninstall("CONTR1", "SPRAY1", at="2021-05-01T11:00:00+09:00", **TOKEN)
    kondo.daily("2021-05-31T12:00:00+09:00")
    assert kondo.reports() == {APRIL: ("charged" if comes else "waiting", MOSS)}
    kondo.daily("2021-06-01T12:00:00+09:00")
    assert kondo.report().is_lost is not comes


@pytest.mark.long
@on_sqlite
def test_not_found_by_mistake(kondo: Owner) -> None:
    """Where we only concluded the end of a contract usage waits, and is sent when it stands after all."""
    kondo.install()
    kondo.take(at="2021-05-01T12:00:00+09:00")
    with kondo.app.app_context(), transaction() as session:
        contracts.ask_to_go(session, "CONTR1", moment(kondo.store.now))
    well = kondo.store.answers["/v1/shop.json"]
    kondo.store.say("/v1/shop.json", {"errors": []}, 401)
    kondo.daily("2021-05-02T12:00:00+09:00")
    assert (kondo.kept.contracts(), kondo.reports()) == ({"CONTR1": "not_found"}, {APRIL: ("waiting", MOSS)})
    kondo.store.answers["/v1/shop.json"] = well
    come_in(kondo.app)
    kondo.daily("2021-05-03T12:00:00+09:00")
    assert kondo.reports() == {APRIL: ("charged", MOSS)}


@on_sqlite
@pytest.mark.parametrize(
    ("said", "status", "state"),
    [
        ({"errors": [{"code": 422901}]}, 422, "declined"),
        ({"errors": []}, 429, "waiting"),
        ("", 500, "unknown"),
        pytest.param({"errors": []}, 401, "declined", marks=pytest.mark.long),
        pytest.param({"errors": []}, 404, "declined", marks=pytest.mark.long),
        pytest.param("", 201, "unknown", marks=pytest.mark.long),
        pytest.param({"usage_charge": {"id": 7}}, 201, "unknown", marks=pytest.mark.long),
    ],
)
def test_answers(kondo: Owner, said: object, status: int, state: str) -> None:
    """The next run sends again after 429 alone; a refusal waits for a person, no answer for one who looks."""
    kondo.install()
    kondo.take(at="2021-05-01T12:00:00+09:00")
    kondo.answer(said, status)
    kondo.daily("2021-05-09T23:30:00+09:00")
    assert kondo.reports() == {APRIL: (state, MOSS)}
    assert kondo.kept.book() == []
    kondo.answer()
    kondo.daily("2021-05-09T23:45:00+09:00")
    again = state == "waiting"
    assert len(kondo.calls()) == (2 if again else 1)
    assert kondo.reports() == {APRIL: ("charged" if again else state, MOSS)}


@on_sqlite
def test_not_connected(kondo: Owner) -> None:
    """Where no connection was made the next run sends it; whatever was late before is said."""
    kondo.install()
    kondo.take(at="2021-05-01T12:00:00+09:00")

    def away(asked: Request) -> Response:
        raise ConnectTimeout

    kondo.store.answers[PATH] = away
    kondo.daily("2021-05-09T23:30:00+09:00")
    assert kondo.reports() == {APRIL: ("waiting", MOSS)}
    kondo.answer()
    kondo.daily("2021-05-10T00:30:00+09:00")
    assert kondo.reports() == {APRIL: ("charged", MOSS)}
    assert kondo.report().is_late


@on_sqlite
@pytest.mark.parametrize(("state", "book"), [(State.CHARGED, [MOSS]), (State.DECLINED, [])])
def test_resolved(kondo: Owner, state: State, book: list[int]) -> None:
    """A person says what became of it, once, and the entry follows from that."""
    kondo.install()
    kondo.take(at="2021-05-01T12:00:00+09:00")
    kondo.answer("", 500)
    kondo.daily("2021-05-09T23:30:00+09:00")
    with kondo.app.app_context():
        assert reporting.resolve(f"CONTR1:{APRIL}", state)
        assert not reporting.resolve(f"CONTR1:{APRIL}", State.CHARGED)
    assert [amount for *_, amount in kondo.kept.book()] == book


@on_sqlite
def test_two_operators(kondo: Owner) -> None:
    """Of two who settle one refusal at the same moment, each in another way, one is heard."""
    kondo.install()
    kondo.take(at="2021-05-01T12:00:00+09:00")
    kondo.answer({"errors": []}, 422)
    kondo.daily("2021-05-09T23:30:00+09:00")
    well = kondo.store.answers["/calendar.json"]

    def meanwhile(asked: Request) -> Response:
        kondo.store.answers["/calendar.json"] = well
        with kondo.app.app_context():
            assert reporting.resolve(f"CONTR1:{APRIL}", State.DECLINED)
        return well(asked)

    kondo.store.answers["/calendar.json"] = meanwhile
    with kondo.app.app_context():
        assert not reporting.resolve(f"CONTR1:{APRIL}", State.CHARGED)
    assert (kondo.reports(), kondo.kept.book()) == ({APRIL: ("declined", MOSS)}, [])


def meanwhile(kondo: Owner, said: State, then: Callable[[Request], Response]) -> None:
    """A person takes the worker for lost while its report is still on its way, and then it is answered."""

    def answered(asked: Request) -> Response:
        with kondo.app.app_context():
            with transaction() as session:
                session.execute(update(Report).values(sent_at=moment("2020-01-01T12:00:00+09:00")))
            assert reporting.resolve(f"CONTR1:{APRIL}", said)
        return then(asked)

    kondo.store.answers[PATH] = answered


@on_sqlite
def test_charged_after_all(kondo: Owner) -> None:
    """The store's own word that it has charged a report stands against a person's that it has not."""
    kondo.install()
    kondo.take(at="2021-05-01T12:00:00+09:00")

    meanwhile(kondo, State.DECLINED, charged_usage)
    kondo.daily("2021-05-09T23:30:00+09:00")
    assert kondo.reports() == {APRIL: ("charged", MOSS)}
    assert [amount for *_, amount in kondo.kept.book()] == [MOSS]


@pytest.mark.long
@on_sqlite
@pytest.mark.parametrize(("status", "yen"), [(422, 0), (429, 0), (201, 149)])
def test_otherwise_after_all(kondo: Owner, status: int, yen: int) -> None:
    """What the store says after a person's word that a report was charged is kept, and shown."""
    kondo.install()
    kondo.take(at="2021-05-01T12:00:00+09:00")

    said = {"usage_charge": {"id": "U1", "point": yen}}
    meanwhile(kondo, State.CHARGED, lambda asked: as_json(said, status))
    kondo.daily("2021-05-09T23:30:00+09:00")
    assert kondo.reports() == {APRIL: ("charged", MOSS)}
    with kondo.app.app_context():
        shown = [(case.code, case.yen, case.http_status) for case in outstanding.otherwise()]
    assert shown == [(f"CONTR1:{APRIL}", yen, status)]


@pytest.mark.long
@on_sqlite
@pytest.mark.parametrize("said", [State.CHARGED, State.WAITING])
def test_a_backup_was_put_back(
    kondo: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: State
) -> None:
    """What it does not know to be reported is sent again only when a person has looked, and said so."""
    monkeypatch.setattr(rim, "shop", lambda: kondo.app)
    kondo.install()
    kondo.take(at="2021-05-01T12:00:00+09:00")
    copied(database(kondo.app), tmp_path / "backup.db")
    kondo.daily("2021-05-09T23:30:00+09:00")
    copied(tmp_path / "backup.db", database(kondo.app))
    kondo.store.now = "2021-05-09T23:40:00+09:00"
    assert CliRunner().invoke(main, ["restored"]).exit_code == 0
    kondo.daily("2021-05-09T23:45:00+09:00")
    assert (len(kondo.calls()), kondo.reports()) == (1, {APRIL: ("unknown", MOSS)})
    with kondo.app.app_context():
        assert outstanding.resolve(f"CONTR1:{APRIL}", said)
    kondo.daily("2021-05-09T23:50:00+09:00")
    assert len(kondo.calls()) == (2 if said is State.WAITING else 1)
    assert [amount for *_, amount in kondo.kept.book()] == [MOSS]


def database(app: Flask) -> Path:
    with app.app_context():
        return Path(str(db.engine.url.database))


@pytest.mark.long
@on_sqlite
def test_another_sum(kondo: Owner) -> None:
    """A point other than reported is entered as answered, and the operator is told."""
    kondo.install()
    kondo.take(at="2021-05-01T12:00:00+09:00")
    kondo.answer({"usage_charge": {"id": "U1", "point": 149}})
    kondo.daily("2021-05-09T23:30:00+09:00")
    assert [amount for *_, amount in kondo.kept.book()] == [149]
    assert kondo.report().answer == "201, ¥149 in place of ¥150"
    with kondo.app.app_context():
        assert [case.yen for case in outstanding.otherwise()] == [149]


@pytest.mark.long
@on_sqlite
def test_a_test_shop(kondo: Owner) -> None:
    """U13: a test shop's usage is reported and entered as a test, of nothing."""
    kondo.install("TIDE01", account=TESTER)
    kondo.take(at="2021-05-01T12:00:00+09:00")
    kondo.daily("2021-05-09T23:30:00+09:00")
    kondo.daily("2021-06-01T00:30:00+09:00")
    assert [(kind, amount) for kind, _, amount in kondo.kept.book()] == [("test", 0), ("test", 0)]


@pytest.mark.long
@on_sqlite
def test_a_calendar_that_went_back(kondo: Owner) -> None:
    """What has not begun is left alone."""
    kondo.install("TIDE01", "2022-04-10T12:00:00+09:00")
    kondo.take(at="2022-05-01T12:00:00+09:00")
    kondo.daily("2021-06-01T00:30:00+09:00")
    assert (kondo.calls(), kondo.kept.book()) == ([], [])


NO_MOMENTS = [
    {"now": told}
    for told in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-12:00", "2021-05-01T12:00:00", 1, None)
]


@on_sqlite
def test_no_calendar(kondo: Owner) -> None:
    """Where the calendar does not answer, or no moment, nothing is done, and never by the other clock."""
    kondo.install()
    kondo.take(at="2021-05-01T12:00:00+09:00")
    for said, status in (("", 500), ("[" * 1000, 200), *((told, 200) for told in NO_MOMENTS)):
        kondo.store.say("/calendar.json", said, status)
        with kondo.app.app_context(), pytest.raises(NoCalendar):
            daily.run()
    assert kondo.calls() == []


@pytest.mark.money
def test_two_at_once(kondo: Owner) -> None:
    """Any number of runs at the same moment are one report and one entry."""
    kondo.install()
    kondo.take(at="2021-05-01T12:00:00+09:00")
    kondo.store.now = "2021-05-09T23:30:00+09:00"

    def run(number: int) -> None:
        with kondo.app.app_context():
            daily.run()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(run, range(6)))
    assert len(kondo.calls()) == 1
    assert kondo.kept.book() == [("sale", "colorme:CONTR1:2021-04-10:1", MOSS)]


@on_sqlite
def test_prepaid_fees(kondo: Owner) -> None:
    """P2: entered on the first paid day and at each renewal, before tax, whenever daily comes by."""
    kondo.install("LANTERN1", "2021-04-15T12:00:00+09:00")
    for at in ("2021-04-15T23:30:00+09:00", "2021-04-16T00:30:00+09:00", "2021-05-31T23:30:00+09:00"):
        kondo.daily(at)
        assert fees(kondo) == [("sale", "2021-04-15", 4600)]
    kondo.daily("2021-08-03T00:30:00+09:00")
    later = [("sale", f"2021-{month}-01", 3000) for month in ("06", "07", "08")]
    assert fees(kondo) == [("sale", "2021-04-15", 4600), *later]


@pytest.mark.long
@on_sqlite
def test_trial_left_in_time(kondo: Owner) -> None:
    """An owner who leaves on the last free day has paid nothing, and none is entered."""
    kondo.install("BEACON1", "2021-07-10T12:00:00+09:00", trial_term=trial("2021-07-11", "2021-07-21"))
    kondo.hooks.uninstall("CONTR1", "BEACON1", at="2021-07-20T23:59:59+09:00")
    kondo.daily("2021-09-01T00:30:00+09:00")
    assert fees(kondo) == []


@on_sqlite
def test_unpaid_voids(kondo: Owner) -> None:
    """P19: a forced uninstall of a collection day voids what was entered for it, even told late, once."""
    kondo.install("LANTERN1", "2021-04-15T12:00:00+09:00")
    kondo.daily("2021-06-01T00:30:00+09:00")
    told = {"at": "2021-06-01T00:00:00+09:00", "reason": "by_unpaid"}
    for _ in range(2):
        assert kondo.hooks.uninstall("CONTR1", "LANTERN1", **told).status_code == 200
        kondo.daily("2021-06-02T00:30:00+09:00")
    assert fees(kondo) == [
        ("sale", "2021-04-15", 4600),
        ("sale", "2021-06-01", 3000),
        ("void", "2021-06-01", -3000),
    ]


@pytest.mark.long
@on_sqlite
def test_an_end_told_late(kondo: Owner) -> None:
    """A renewal that was entered after an end nobody had told of is voided when it is told."""
    kondo.install("LANTERN1", "2021-04-15T12:00:00+09:00")
    kondo.daily("2021-06-01T00:30:00+09:00")
    kondo.hooks.uninstall("CONTR1", "LANTERN1", at="2021-05-31T23:00:00+09:00")
    kondo.daily("2021-06-02T00:30:00+09:00")
    assert fees(kondo)[-1] == ("void", "2021-06-01", -3000)
    assert sum(yen for *_, yen in fees(kondo)) == 4600


@on_sqlite
def test_postpaid_fees(kondo: Owner) -> None:
    """Q2, Q15: entered when they are fixed; the period of the uninstall is owed whole."""
    kondo.install("TIDE01", "2021-04-20T12:00:00+09:00")
    kondo.daily("2021-05-31T23:30:00+09:00")
    assert fees(kondo) == []
    kondo.daily("2021-06-01T00:30:00+09:00")
    kondo.hooks.uninstall("CONTR1", "TIDE01", at="2021-06-05T12:00:00+09:00")
    for day in ("2021-07-01", "2021-08-01", "2021-09-01"):
        kondo.daily(f"{day}T00:30:00+09:00")
    assert fees(kondo) == [("sale", "2021-04-20", 1333), ("sale", "2021-05-10", 2000)]


@pytest.mark.long
@on_sqlite
def test_another_reading(kondo: Owner, settings: Settings) -> None:
    """A contract keeps the reading of its first period that it was made with, whatever is set later."""
    kondo.install("TIDE01", "2021-07-05T12:00:00+09:00")
    kondo.daily("2021-09-01T12:00:00+09:00")
    assert fees(kondo) == [("sale", "2021-07-05", 2333)]
    block = settings.model_copy(update={"colorme_first_period": FirstPeriod.RUNNING_BLOCK})
    again = create_app(block, kondo.app.extensions["http"])
    kondo.store.now = "2021-11-01T12:00:00+09:00"
    with again.app_context():
        daily.run()
        db.session.remove()
        db.engine.dispose()
    later = [("sale", "2021-08-10", 2000), ("sale", "2021-09-10", 2000)]
    assert fees(kondo) == [("sale", "2021-07-05", 2333), *later]


@on_sqlite
def test_owed(kondo: Owner) -> None:
    """What an owner was forced out for stays in the book and is listed as owed, with what came after it."""
    kondo.install("TIDE01", "2021-04-20T12:00:00+09:00")
    kondo.take(at="2021-05-01T12:00:00+09:00")
    kondo.daily("2021-05-09T23:30:00+09:00")
    kondo.daily("2021-06-01T00:30:00+09:00")
    told = {"at": "2021-07-01T00:00:00+09:00", "reason": "by_unpaid", **TOKEN}
    kondo.hooks.uninstall("CONTR1", "TIDE01", **told)
    kondo.daily("2021-08-01T00:30:00+09:00")
    with kondo.app.app_context():
        owed = [(str(debt.period), debt.yen) for debt in outstanding.owed()]
    assert owed == [
        ("2021-04-20/2021-05-09", 1333 + MOSS),
        ("2021-05-10/2021-06-09", 2000),
        ("2021-06-10/2021-07-09", 2000),
    ]
    assert sum(amount for *_, amount in kondo.kept.book()) == 1333 + MOSS + 2000 + 2000
    with kondo.app.app_context():
        assert outstanding.put_aside("CONTR1:2021-05-10")
        assert not outstanding.put_aside("CONTR1:2021-05-10")
        assert [str(debt.period.first) for debt in outstanding.owed()] == ["2021-04-20", "2021-06-10"]
    assert sum(amount for *_, amount in kondo.kept.book()) == 1333 + MOSS + 2000 + 2000


@pytest.mark.long
@on_sqlite
def test_one_time_fee(kondo: Owner) -> None:
    """O1: the price, on the day of the install, once."""
    kondo.install("ANCHOR1", "2021-04-15T12:00:00+09:00")
    kondo.daily("2021-04-15T23:30:00+09:00")
    kondo.daily("2021-06-01T00:30:00+09:00")
    assert fees(kondo) == [("sale", "2021-04-15", 9800)]


@pytest.mark.long
@on_sqlite
def test_not_confirmed(kondo: Owner) -> None:
    """An install whose owner never came in takes no part in the sums."""
    kondo.store.now = "2021-04-15T12:00:00+09:00"
    kondo.hooks.install("CONTR1", "LANTERN1")
    kondo.daily("2021-08-01T00:30:00+09:00")
    assert kondo.kept.book() == []


@on_sqlite
def test_parcels_at_renewals(kondo: Owner) -> None:
    """A contract has its parcel at every renewal while it stood, whoever looks, and however late."""
    kondo.install("LANTERN1", "2021-04-15T12:00:00+09:00")
    assert kondo.kept.holdings() == {"lantern": 1, "moss": 1}
    kondo.daily("2021-06-01T00:30:00+09:00")
    kondo.daily("2021-06-01T00:45:00+09:00")
    assert kondo.kept.holdings() == {"lantern": 2, "moss": 2}
    kondo.hooks.uninstall("CONTR1", "LANTERN1", at="2021-08-01T00:10:00+09:00")
    kondo.daily("2021-08-01T00:30:00+09:00")
    assert kondo.kept.holdings() == {"lantern": 4, "moss": 4}


@pytest.mark.long
@on_sqlite
def test_an_item_more_in_the_parcel(kondo: Owner) -> None:
    """What the plan file adds to a parcel comes with the next one, and not for the months that are past."""
    kondo.install("LANTERN1", "2021-04-15T12:00:00+09:00")
    kondo.daily("2021-08-01T00:30:00+09:00")
    assert kondo.kept.holdings() == {"lantern": 4, "moss": 4}
    with kondo.app.app_context(), transaction() as session:
        row = session.scalars(select(Offered)).one()
        more = [
            {**plan, "parcel": [*plan.get("parcel", ()), "telescope"]} if plan["id"] == "LANTERN1" else plan
            for plan in row.said["plans"]
        ]
        row.said = {**row.said, "plans": more}
    come_in(kondo.app)
    assert kondo.kept.holdings() == {"lantern": 4, "moss": 4}
    kondo.daily("2021-09-01T00:30:00+09:00")
    assert kondo.kept.holdings() == {"lantern": 5, "moss": 5, "telescope": 1}


@on_sqlite
@pytest.mark.parametrize("shops", [3, 30])
def test_nothing_due(kondo: Owner, shops: int) -> None:
    """However many contracts there are, a run with nothing due asks the database the same few questions."""
    kondo.install("LANTERN1", "2021-04-15T12:00:00+09:00")
    kondo.daily("2021-04-15T23:30:00+09:00")
    _multiply(kondo.app, shops)
    with statements(kondo.app) as seen:
        kondo.daily("2021-05-15T23:30:00+09:00")
    assert len([one for one in seen if one.startswith("SELECT")]) == QUESTIONS, seen
    assert not [one for one in seen if not one.startswith(("SELECT", "BEGIN"))]


QUESTIONS = 5


def _multiply(app: Flask, shops: int) -> None:
    """So many more contracts like the one there is."""
    with app.app_context(), transaction() as session:
        one = session.get_one(Contract, "CONTR1")
        values = {column.name: getattr(one, column.name) for column in Contract.__table__.columns}
        now = datetime.now().astimezone()
        for number in range(shops):
            buyer = Customer(channel="colorme", external_id=f"PA9{number:07}", first_seen_at=now)
            session.add(buyer)
            session.flush()
            session.add(Contract(**{**values, "id": f"MORE{number:04}", "customer_id": buyer.id}))


def fees(kondo: Owner) -> list[tuple[str, str, int]]:
    """Kind, first day and yen of each plan fee in the book."""
    return [(kind, key.rsplit(":", 1)[1], yen) for kind, key, yen in kondo.kept.book()]


@on_sqlite
def test_one_that_fails(kondo: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """One contract that cannot be reckoned keeps nothing from the others; the command ends with 1."""
    monkeypatch.setattr(rim, "shop", lambda: kondo.app)
    kondo.store.now, kondo.store.account = "2021-04-09T12:00:00+09:00", SATO
    kondo.hooks.install("CONTR0", "LANTERN1", SATO)
    come_in(kondo.app)
    kondo.install("TIDE01")
    kondo.take()
    with kondo.app.app_context(), transaction() as session:
        broken = update(Contract).where(Contract.id == "CONTR0")
        session.execute(broken.values(charged_from=date.max))
    kondo.store.now = "2021-06-01T00:30:00+09:00"
    done = CliRunner().invoke(main, ["daily"])
    assert (done.exit_code, "1 cases were left undone" in done.output) == (1, True)
    assert kondo.reports() == {APRIL: ("charged", MOSS)}
    assert sorted(fees(kondo)) == [("sale", "1", MOSS), ("sale", "2021-04-10", 2000)]


@on_sqlite
def test_the_command(kondo: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """`storefront daily` ends with 0 when its work is done, and with 1 where no calendar answers."""
    monkeypatch.setattr(rim, "shop", lambda: kondo.app)
    kondo.install()
    kondo.take(at="2021-05-01T12:00:00+09:00")
    kondo.answer("", 500)
    kondo.store.now = "2021-05-09T23:30:00+09:00"
    done = CliRunner().invoke(main, ["daily"])
    assert (done.exit_code, done.output.splitlines()[-1]) == (0, "Done.")
    assert kondo.reports() == {APRIL: ("unknown", MOSS)}
    kondo.store.say("/calendar.json", "", 503)
    failed = CliRunner().invoke(main, ["daily"])
    assert failed.exit_code == 1
    assert "nothing was done" in failed.output


def test_every_end_has_words() -> None:
    """The operator reads why a contract ended, not what the table calls it."""
    assert set(ENDED) == set(Reason)
