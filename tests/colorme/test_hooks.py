"""Hooks: verified, then parsed, then believed; each does its work once, and every answer is for a machine."""

import base64
import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from storefront import Settings, clock, create_app
from storefront.clock import day
from storefront.colorme import daily, outstanding, plans
from storefront.colorme.contracts import Contract
from storefront.colorme.tokens import decrypted
from storefront.db import db, transaction
from storefront.shop.customers import Customer
from tests.colorme.conftest import (
    HERE,
    KONDO,
    SATO,
    SECRET,
    TESTER,
    Hooks,
    Kept,
    Store,
    come_in,
    installed,
    seconds,
    signature,
    statements,
    trial,
    uninstalled,
)
from tests.databases import on_sqlite
from tests.street import Browser

pytestmark = on_sqlite
# The body of the documents' example, and what we signed it with.
SAMPLE = (
    b'{"account_id":"PA00000001","application_charge_source_id":"LANTERN1",'
    b'"recurring_application_charge_id":"A3FT4N","mail":"shop@example.com"}'
)
TERM = trial("2021-07-11", "2021-07-21")
USAGE = {"api_token": "a-usage-token", "closing_on": seconds("2021-08-31T23:59:59+09:00")}
NEITHER = {"recurring_application_charge_id": None}


def rows(app: Flask) -> int:
    with app.app_context():
        return len(db.session.scalars(select(Contract)).all()) + len(
            db.session.scalars(select(Customer).filter_by(channel="colorme")).all()
        )


def test_a_good_install(hooks: Hooks, kept: Kept, store: Store) -> None:
    """It is answered with where the owner comes in; once or twice, it is one contract."""
    for _ in range(2):
        answer = hooks.send("/colorme/install", SAMPLE)
        assert (answer.status_code, answer.json) == (200, {"redirect_url": f"{HERE}/colorme/start"})
    contract = kept.contract("A3FT4N")
    assert str(contract.installed_on) == str(contract.charged_from) == "2021-07-10"
    assert (contract.form.value, contract.monthly, contract.is_test) == ("monthly", 3000, False)


def test_the_days_of_a_trial(hooks: Hooks, kept: Kept) -> None:
    """They are the store's, not our clock's: the install was on the day before."""
    term = {"starts_at": 1625929200, "ends_at": 1626793200}  # the documents' own ten days
    assert hooks.install(trial_term=term).status_code == 200
    contract = kept.contract()
    days = contract.installed_on, contract.trial_first, contract.trial_last, contract.charged_from
    assert [str(one) for one in days] == ["2021-07-10", "2021-07-11", "2021-07-20", "2021-07-21"]


def test_a_test_shop(hooks: Hooks, kept: Kept) -> None:
    """No hook says that a shop is one; the settings do."""
    hooks.install(account=TESTER)
    assert kept.contract().is_test


GOOD = hmac.digest(SECRET.encode(), SAMPLE, "sha256")
FORGED: Mapping[str, tuple[bytes, str | None]] = {
    "none": (SAMPLE, None),
    "empty": (SAMPLE, ""),
    "another secret's": (SAMPLE, signature(SAMPLE, "another")),
    "hexadecimal": (SAMPLE, GOOD.hex()),
    "without padding": (SAMPLE, base64.b64encode(GOOD).decode().rstrip("=")),
    "of an altered body": (SAMPLE.replace(b"00000001", b"00000002"), signature(SAMPLE)),
    "of a body in other spaces": (SAMPLE.replace(b",", b", "), signature(SAMPLE)),
    "of a body in another order": (
        json.dumps(dict(sorted(json.loads(SAMPLE).items(), reverse=True)), separators=(",", ":")).encode(),
        signature(SAMPLE),
    ),
    "with letters that are none": (SAMPLE, "ー" * 43),
}


def test_forged(app: Flask, hooks: Hooks) -> None:
    """A signature that is not of these very bytes: 401, and nothing is kept."""
    for path in ("/colorme/install", "/colorme/uninstall"):
        for what, (body, given) in FORGED.items():
            headers = {"Content-Type": "application/json"}
            if given is not None:
                headers["X-Appstore-Signature"] = given.encode().decode("latin-1")
            answer = app.test_client().post(path, data=body, headers=headers)
            assert (what, answer.status_code, answer.mimetype) == (what, 401, "application/json")
    assert rows(app) == 0


def test_two_signatures_and_another_alphabet(app: Flask, hooks: Hooks) -> None:
    """Even two good ones are none; nor is one in the alphabet of addresses."""
    body = next(
        one for n in range(100) if set("+/") & set(signature(one := SAMPLE.replace(b"shop@", b"shop%d@" % n)))
    )
    good, kind = signature(body), ("Content-Type", "application/json")
    twice = [("X-Appstore-Signature", good), ("X-Appstore-Signature", good), kind]
    in_addresses = [("X-Appstore-Signature", good.replace("+", "-").replace("/", "_")), kind]
    client = app.test_client()
    for headers in (twice, in_addresses):
        assert client.post("/colorme/install", data=body, headers=headers).status_code == 401
    assert client.post("/colorme/install", data=body, headers=[twice[0], kind]).status_code == 200


@pytest.mark.changed(colorme_webhook_secret="the new one", colorme_webhook_secret_previous=SECRET)
def test_a_secret_that_changes(hooks: Hooks) -> None:
    """While it does, both verify."""
    assert hooks.send("/colorme/install", SAMPLE).status_code == 200
    both = {"X-Appstore-Signature": signature(SAMPLE, "the new one")}
    assert hooks.send("/colorme/install", SAMPLE, **both).status_code == 200


def text(said: Any) -> bytes:
    return json.dumps(said).encode()


BAD_INSTALLS: Mapping[str, bytes] = {
    "empty": b"",
    "not UTF-8": b'{"account_id":"\xff"}',
    "UTF-16": SAMPLE.decode().encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + SAMPLE,
    "not JSON": SAMPLE[:-1],
    "a list": text([1]),
    "a string": text("hook"),
    "null": b"null",
    "a key twice": SAMPLE.replace(b'{"', b'{"mail":"x","', 1),
    "a key twice, deep in what we do not know": SAMPLE[:-1] + b',"more":{"a":[{"b":1,"b":2}]}}',
    "NaN": SAMPLE[:-1] + b',"more":NaN}',
    "Infinity": SAMPLE[:-1] + b',"more":-Infinity}',
    "too deep": SAMPLE[:-1] + b',"more":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "somewhat too deep": SAMPLE[:-1] + b',"more":' + b"[" * 20 + b"]" * 20 + b"}",
    "a number without end": SAMPLE[:-1] + b',"more":' + b"9" * 5000 + b"}",
    "no account": text({key: value for key, value in installed().items() if key != "account_id"}),
    "an account of another form": text(installed(account="PA0000001")),
    "an account with a line break": text(installed(account="PA00000001\n")),
    "an account in other digits": text(installed(account="PA００００００１１")),
    "a number for an account": text(installed(account=1)),  # type: ignore[arg-type]
    "no plan": text({**installed(), "application_charge_source_id": None}),
    "a plan in small letters": text(installed(plan="lantern1")),
    "no contract": text({**installed(), **NEITHER}),
    "a contract that is null": text({**installed(), **NEITHER, "application_charge_id": "CONTR1"}),
    "a contract id too short": text(installed("CONTR")),
    "a contract id too long": text(installed("C" * 33)),
    "two contract ids": text({**installed(), "application_charge_id": "CONTR1"}),
    "a one-time id on a monthly plan": text(
        {"account_id": KONDO, "application_charge_source_id": "LANTERN1", "application_charge_id": "CONTR1"}
    ),
    "a renewed id on a one-time plan": text({**installed(), "application_charge_source_id": "ANCHOR1"}),
    "a trial that is null": text(installed(trial_term=None)),
    "a trial that is text": text(installed(trial_term="10")),
    "a trial without an end": text(installed(trial_term={"starts_at": 1625929200})),
    "a trial in text": text(installed(trial_term={name: str(at) for name, at in TERM.items()})),
    "a trial in fractions": text(installed(trial_term={name: at + 0.5 for name, at in TERM.items()})),
    "a trial in truths": text(installed(trial_term={"starts_at": True, "ends_at": True})),
    "two days of trial": text(installed(trial_term=trial("2021-07-11", "2021-07-13"))),
    "ninety-one days of trial": text(installed(trial_term=trial("2021-07-11", "2021-10-10"))),
    "a trial backwards": text(installed(trial_term=trial("2021-07-21", "2021-07-11"))),
    "half a day of trial": text(installed(trial_term={**TERM, "ends_at": TERM["ends_at"] + 43_200})),
    "a trial from noon to noon": text(installed(trial_term={name: at + 43_200 for name, at in TERM.items()})),
    "a trial beyond all time": text(installed(trial_term={**TERM, "ends_at": 10**18})),
    "a trial on a free plan": text(installed(plan="QUAY01", trial_term=TERM)),
    "a trial on a one-time plan": text(installed(plan="ANCHOR1", trial_term=TERM)),
    "a trial on a usage plan": text(installed(plan="SPRAY1", trial_term=TERM)),
    "an uninstall": text(uninstalled()),
    "the end of usage": text(installed(plan="TIDE01", usage_charge=USAGE)),
    "a reason": text(installed(reason="by_shop_owner")),
    "a moment of the end": text(installed(uninstalled_at=1625929200)),
}
BAD_UNINSTALLS: Mapping[str, bytes] = {
    "an install": text(installed()),
    "another reason": text(uninstalled(reason="by_app")),
    "no reason": text({key: value for key, value in uninstalled().items() if key != "reason"}),
    "no moment": text({key: value for key, value in uninstalled().items() if key != "uninstalled_at"}),
    "a moment in text": text(uninstalled(uninstalled_at="1625929200")),
    "a moment in fractions": text(uninstalled(uninstalled_at=1625929200.5)),
    "a moment that is true": text(uninstalled(uninstalled_at=True)),
    "a moment before all": text(uninstalled(uninstalled_at=-1)),
    "a moment beyond all time": text(uninstalled(uninstalled_at=10**18)),
    "no contract on a monthly plan": text(uninstalled(None)),
    "a contract on a one-time plan": text(uninstalled("CONTR9", plan="ANCHOR1")),
    "usage that is text": text(uninstalled(usage_charge="x")),
    "a usage token that is none": text(uninstalled(usage_charge={**USAGE, "api_token": 1})),
    "a usage token without end": text(uninstalled(usage_charge={**USAGE, "api_token": "x" * 600})),
    "an empty usage token": text(uninstalled(usage_charge={**USAGE, "api_token": ""})),
    "a usage token of two lines": text(uninstalled(usage_charge={**USAGE, "api_token": "a\nb"})),
    "a usage token with its line's end": text(uninstalled(usage_charge={**USAGE, "api_token": "a\n"})),
    "a usage token in kana": text(uninstalled(usage_charge={**USAGE, "api_token": "あ" * 512})),
    "an end of reporting in text": text(uninstalled(usage_charge={**USAGE, "closing_on": "31"})),
}


def test_signed_and_no_hook(app: Flask, hooks: Hooks) -> None:
    """400 for whatever is not what a hook says, and nothing is kept."""
    for what, body in BAD_INSTALLS.items():
        answer = hooks.send("/colorme/install", body)
        assert (what, answer.status_code, answer.mimetype) == (what, 400, "application/json")
        assert rows(app) == 0, what
    for what, body in BAD_UNINSTALLS.items():
        answer = hooks.send("/colorme/uninstall", body)
        assert (what, answer.status_code, answer.mimetype) == (what, 400, "application/json")


def test_plans_that_there_are_not(app: Flask, hooks: Hooks) -> None:
    """422; an option's id is no plan's."""
    for plan in ("NOPLAN1", "CLOAK01"):
        assert hooks.install(plan=plan).status_code == 422
        assert hooks.uninstall("CONTR9", plan=plan).status_code == 422
    assert rows(app) == 0


def test_answers_to_what_is_no_hook_at_all(app: Flask, hooks: Hooks) -> None:
    """404, 415, 413 and 405 are said in JSON, too."""
    for path in ("/colorme/install", "/colorme/uninstall"):
        slash = hooks.send(f"{path}/", SAMPLE)
        assert (slash.status_code, slash.mimetype) == (404, "application/json")
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""):
            assert hooks.send(path, SAMPLE, **{"Content-Type": kind}).status_code == 415
        large = hooks.send(path, b"[" + b" " * 64 * 1024 + b"]")
        assert (large.status_code, large.mimetype) == (413, "application/json")
        for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"):
            answer = app.test_client().open(path, method=method)
            assert (answer.status_code, answer.mimetype) == (405, "application/json")
            assert answer.headers["Allow"] == "POST"
    parameters = {"Content-Type": "application/json; charset=utf-8"}
    assert hooks.send("/colorme/install", SAMPLE, **parameters).status_code == 200


def test_the_database_is_down(settings: Settings, tmp_path: Path) -> None:
    """503, for a machine; the store tells it again, or cancels the install."""
    told = {"database_url": f"sqlite:///{tmp_path}", "colorme_calendar_url": ""}  # a folder is none
    hooks = Hooks(create_app(settings.model_copy(update=told)))
    for answer in (hooks.install(), hooks.uninstall()):
        assert (answer.status_code, answer.mimetype) == (503, "application/json")


def test_no_day(app: Flask, hooks: Hooks, store: Store) -> None:
    """Without the configured calendar nothing is done: the other clock's day might be another one."""
    del store.answers["/calendar.json"]
    answer = hooks.install()
    assert (answer.status_code, answer.mimetype, rows(app)) == (503, "application/json", 0)


def test_a_good_uninstall(app: Flask, hooks: Hooks, kept: Kept) -> None:
    """It ends the contract at the store's moment and brings the usage token, encrypted; once."""
    hooks.install(plan="TIDE01")
    for at in ("2021-07-15T12:00:00+09:00", "2021-07-16T12:00:00+09:00"):
        told = hooks.uninstall(plan="TIDE01", at=at, usage_charge=USAGE)
        assert (told.status_code, told.json) == (200, {})
    contract = kept.contract()
    assert str(day(contract.ended_at)) == "2021-07-15"  # type: ignore[arg-type]
    assert int(contract.closing_at.timestamp()) == USAGE["closing_on"]  # type: ignore[union-attr]
    assert "a-usage-token" not in str(contract.usage_token)
    with app.app_context():
        assert decrypted(contract.usage_token) == "a-usage-token"
    assert hooks.uninstall("CONTR9").status_code == 200
    assert hooks.uninstall(account=SATO).status_code == 200


def test_a_captured_install_revives_nothing(hooks: Hooks, kept: Kept) -> None:
    """The id of a contract is good once, whatever became of it, and in whatever order it was told."""
    hooks.install()
    hooks.uninstall()
    hooks.install("CONTR2")
    assert [hooks.uninstall("CONTR3").status_code for _ in range(2)] == [200, 200]
    assert [hooks.install(one).status_code for one in ("CONTR1", "CONTR3")] == [200, 200]
    assert kept.contracts() == {"CONTR1": "by_shop_owner", "CONTR2": "stands"}


def test_a_trial_of_long_ago(app: Flask, hooks: Hooks, kept: Kept, store: Store) -> None:
    """An install that comes years late brings its parcel, and none for the renewals that are past."""
    hooks.install(trial_term=trial("2019-08-06", "2019-09-05"))
    come_in(app)
    daily_at(app, store, "2021-08-01T00:30:00+09:00")
    assert kept.holdings() == {"lantern": 2, "moss": 2}


def test_a_lost_uninstall(app: Flask, hooks: Hooks, kept: Kept, store: Store) -> None:
    """An install takes the place of what stood; the late uninstall ends the old one only."""
    hooks.install(plan="TIDE01")
    before = come_in(app)
    store.removals += 1
    hooks.install("CONTR2")
    assert kept.contracts() == {"CONTR1": "replaced", "CONTR2": "stands"}
    assert before.get("/inventory").status_code == 401
    after = come_in(app)
    hooks.uninstall(plan="TIDE01", at=store.now, usage_charge=USAGE)
    assert kept.contracts() == {"CONTR1": "by_shop_owner", "CONTR2": "stands"}
    assert kept.contract().usage_token
    assert after.get("/inventory").status_code == 200


@pytest.mark.parametrize("plan", ["LANTERN1", "SPRAY1", "ANCHOR1"])
def test_an_install_that_the_store_never_had(
    app: Flask, hooks: Hooks, kept: Kept, store: Store, plan: str
) -> None:
    """An end later than another install shows that this one was none: all that it brought is undone."""
    hooks.install(plan=plan)
    come_in(app)
    store.now = "2021-07-11T12:00:00+09:00"
    hooks.install("CONTR2", plan="LANTERN1")
    browser = come_in(app)
    daily_at(app, store, "2021-08-02T00:30:00+09:00")
    named = None if plan == "ANCHOR1" else "CONTR1"
    assert hooks.uninstall(named, plan=plan, at="2021-08-03T12:00:00+09:00").status_code == 200
    assert kept.contracts() == {"CONTR1": "by_shop_owner", "CONTR2": "never_made"}
    assert kept.contract("CONTR2").confirmed_at is None
    assert browser.get("/inventory").status_code == 401
    daily_at(app, store, "2021-12-01T12:00:00+09:00")
    own = {"LANTERN1": 5129, "SPRAY1": 0, "ANCHOR1": 9800}[plan]
    assert sum(amount for *_, amount in kept.book()) == own
    assert kept.holdings() == ({"lantern": 1, "moss": 1} if plan == "LANTERN1" else {})
    with app.app_context():
        assert [one.id for one in outstanding.never_made()] == ["CONTR2"]


def test_a_calendar_that_stands_still(app: Flask, hooks: Hooks, kept: Kept, store: Store) -> None:
    """Of one moment on it nothing shows which was first: what was replaced then was an install."""
    hooks.install()
    store.removals += 1
    hooks.install("CONTR2")
    hooks.uninstall("CONTR2", at="2021-07-10T13:00:00+09:00")
    assert kept.contracts() == {"CONTR1": "replaced", "CONTR2": "by_shop_owner"}


def test_usage_of_an_install_that_was_none(app: Flask, hooks: Hooks, kept: Kept, store: Store) -> None:
    """What was taken meanwhile is reported of the contract that stood, with the token of its end."""
    hooks.install(plan="SPRAY1")
    store.now = "2021-07-11T12:00:00+09:00"
    hooks.install("CONTR2", plan="SPRAY1")
    browser = come_in(app)
    store.now = "2021-07-13T12:00:00+09:00"
    browser.press("/items/moss", "/colorme/charges")
    hooks.uninstall(plan="SPRAY1", at="2021-07-14T12:00:00+09:00", usage_charge=USAGE)
    store.say(
        "/appstore/v1/recurring_application_charges/CONTR1/usage_charges.json",
        {"usage_charge": {"id": "U1", "point": 150}},
        201,
    )
    daily_at(app, store, "2021-07-15T00:30:00+09:00")
    assert kept.book() == [("sale", "colorme:CONTR1:2021-07-10:1", 150)]


def test_the_clocks_differ(hooks: Hooks, kept: Kept, store: Store) -> None:
    """An end some seconds after another install, by two clocks, shows nothing."""
    hooks.install()
    store.now = "2021-07-10T12:00:10+09:00"
    hooks.install("CONTR2")
    hooks.uninstall(at="2021-07-10T12:00:30+09:00")
    assert kept.contracts() == {"CONTR1": "by_shop_owner", "CONTR2": "stands"}


def test_a_clock_that_is_slow(app: Flask, hooks: Hooks, kept: Kept, store: Store) -> None:
    """What was taken for no install at all stands again with all that it brought, by its owner's token."""
    hooks.install(plan="QUAY01")
    store.now = "2021-07-15T11:58:50+09:00"  # of a store that has 12:00:20
    hooks.install("CONTR2", plan="LANTERN1")
    come_in(app)
    daily_at(app, store, "2021-07-15T14:30:00+09:00")
    hooks.uninstall(plan="QUAY01", at="2021-07-15T12:00:00+09:00")
    assert kept.contracts()["CONTR2"] == "never_made"
    assert kept.holdings() == {}
    come_in(app)
    daily_at(app, store, "2021-07-15T15:30:00+09:00")
    assert kept.contracts() == {"CONTR1": "by_shop_owner", "CONTR2": "stands"}
    assert kept.holdings() == {"lantern": 1, "moss": 1}
    assert [amount for *_, amount in kept.book()] == [4645, -4645, 4645]


def daily_at(app: Flask, store: Store, at: str) -> None:
    store.now = at
    with app.app_context():
        daily.run()


def test_the_same_contract_of_another(hooks: Hooks, kept: Kept) -> None:
    """Neither another account nor another plan gets a contract that stands."""
    hooks.install()
    assert hooks.install(account=SATO).status_code == 400
    assert hooks.install(plan="BEACON1").status_code == 400
    assert (kept.contract().plan_id, kept.contracts()) == ("LANTERN1", {"CONTR1": "stands"})


def test_one_time_plans(hooks: Hooks, kept: Kept, store: Store) -> None:
    """Their uninstall names no contract: it ends what was installed by then, and no later one."""
    store.now = "2021-07-10T12:00:10+09:00"  # by a clock that is fast
    hooks.install(plan="ANCHOR1")
    ending = {"plan": "ANCHOR1", "at": "2021-07-10T12:00:00+09:00"}
    assert hooks.uninstall(None, **ending).status_code == 200
    hooks.install("CONTR2", plan="ANCHOR1")
    assert hooks.uninstall(None, **ending).status_code == 200
    assert kept.contracts() == {"CONTR1": "by_shop_owner", "CONTR2": "stands"}
    store.now = "2021-07-12T12:00:00+09:00"
    hooks.install("CONTR3", plan="ANCHOR1")
    hooks.uninstall(None, plan="ANCHOR1", at="2021-07-11T12:00:00+09:00")
    assert kept.contracts() == {"CONTR1": "by_shop_owner", "CONTR2": "by_shop_owner", "CONTR3": "stands"}


def test_a_plan_that_is_not_offered_any_more(
    app: Flask, hooks: Hooks, kept: Kept, store: Store, tmp_path: Path
) -> None:
    """Its contracts have their parcels, and end, all the same, named or not."""
    hooks.install(plan="ANCHOR1")
    hooks.install("CONTR2", account=SATO)
    store.account = SATO
    come_in(app)
    fewer = tmp_path / "plans.yaml"
    fewer.write_text("trial_days: 0\nplans:\n  - {id: QUAY01, form: free, name: {ja: 波止場, en: Quay}}\n")
    with app.app_context(), transaction() as session:
        plans.load(session, fewer)
    assert hooks.install("CONTR3").status_code == 422
    assert hooks.install("CONTR2", account=SATO).status_code == 200
    daily_at(app, store, "2021-09-01T00:30:00+09:00")
    assert kept.holdings(SATO) == {"lantern": 2, "moss": 2}
    assert hooks.uninstall(None, plan="ANCHOR1").status_code == 200
    assert hooks.uninstall("CONTR2", account=SATO).status_code == 200
    assert set(kept.contracts().values()) == {"by_shop_owner"}


def test_a_one_time_plan_after_a_lost_answer(hooks: Hooks, kept: Kept, store: Store) -> None:
    """What the store never had is not what it tells the end of: of those before it is the latest."""
    hooks.install(plan="ANCHOR1")
    store.now = "2021-07-11T12:00:00+09:00"
    hooks.install("CONTR2", plan="ANCHOR1")
    assert hooks.uninstall(None, plan="ANCHOR1", at="2021-07-12T12:00:00+09:00").status_code == 200
    assert kept.contracts() == {"CONTR1": "replaced", "CONTR2": "by_shop_owner"}


def test_an_owner_who_never_came_in(hooks: Hooks, kept: Kept) -> None:
    """The end of a contract that the store tells of shows that the store has had it: it is confirmed."""
    hooks.install()
    assert kept.contract().confirmed_at is None
    hooks.uninstall()
    assert kept.contract().confirmed_at == kept.contract().ended_at


def test_unpaid_on_a_renewal(app: Flask, owner: Browser, hooks: Hooks, kept: Kept, store: Store) -> None:
    """The parcel of the day that was not paid for goes back; those before it stay."""
    store.now = "2021-09-01T00:30:00+09:00"
    come_in(app)
    assert kept.holdings() == {"lantern": 2, "moss": 2}
    hooks.uninstall(at="2021-09-01T00:00:00+09:00", reason="by_unpaid")
    assert kept.holdings() == {"lantern": 1, "moss": 1}


def test_what_an_install_asks_of_the_database(app: Flask, hooks: Hooks) -> None:
    """Its plan, its account, and the row that it makes unless something stands in its way: once each."""
    hooks.install()
    with statements(app) as seen:
        assert hooks.install("CONTR2", account=SATO).status_code == 200
    assert len(seen) == 3, seen


def test_the_log_names_reasons_only(hooks: Hooks, capsys: pytest.CaptureFixture[str]) -> None:
    """Never a body, a mail, a token or a secret, nor a word of a stranger's."""
    hooks.install()
    hooks.uninstall(plan="TIDE01", usage_charge=USAGE)
    hooks.send("/colorme/install", SAMPLE, **{"X-Appstore-Signature": "secret-guess"})
    hooks.send("/colorme/install", text({**installed(account="not-an-account"), "evil-key": 1}))
    said = capsys.readouterr()
    written = said.out + said.err
    assert "hook refused" in written
    assert "account_id" in written
    words = ("shop@example.com", "not-an-account", "evil-key", "a-usage-token", "secret-guess", SECRET)
    assert [word for word in words if word in written] == []


def test_a_customer_of_another_counter(app: Flask, hooks: Hooks) -> None:
    """An account is nobody at mixi, by whatever name."""
    with app.app_context(), transaction() as session:
        session.add(Customer(channel="mixi", external_id=KONDO, first_seen_at=clock.now()))
    hooks.install()
    with app.app_context():
        known = db.session.scalars(select(Customer.channel).filter_by(external_id=KONDO)).all()
        assert sorted(known) == ["colorme", "mixi"]
