"""One form is one charge, whatever number of sends arrives at the same moment; nobody waits for ever."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event
from werkzeug.test import TestResponse

from storefront.colorme import charges, contracts, daily, installs, plans, usage
from storefront.colorme.contracts import Contract
from storefront.colorme.usage import NotOnAccount
from storefront.db import db, transaction
from storefront.shop import catalog
from tests.colorme.conftest import KONDO, Hooks, Kept, Store, come_in, trial
from tests.databases import on_postgresql
from tests.street import at_once

pytestmark = pytest.mark.long
FORMS, SENDS = 25, 8
LONGEST = 20  # seconds


@pytest.fixture
def kondo(app: Flask, store: Store, hooks: Hooks) -> str:
    """Who is in, on a plan that is charged by use."""
    assert hooks.install(plan="SPRAY1").status_code == 200
    come_in(app)
    return KONDO


def buy(app: Flask, account: str, code: str, *, again: bool = True) -> None:
    with app.app_context():
        contract, option = contracts.standing_of(account), plans.current().option_of("cloak")
        offer = catalog.offer("cloak", "colorme")
        assert contract
        assert option
        assert offer
        charges.buy(contract, option, offer, "a cloak", code, again=again)


def take(app: Flask, account: str, code: str) -> None:
    with app.app_context():
        contract, offer = contracts.standing_of(account), catalog.offer("moss", "colorme")
        assert contract
        assert offer
        usage.take(contract, offer, code, contract.arrived_at)


def test_one_charge_for_eight_sends(app: Flask, kondo: str, store: Store, kept: Kept) -> None:
    """25 forms of an option, 8 sends each: 25 calls, 25 pieces, 25 entries."""
    for number in range(FORMS):
        at_once(*[partial(buy, app, kondo, f"form-{number}")] * SENDS)
    assert len(store.calls("/appstore/v1/application_charges.json")) == FORMS
    assert kept.holdings() == {"cloak": FORMS}
    assert sorted(kept.book()) == sorted(("sale", f"colorme:form-{number}", 500) for number in range(FORMS))


def test_one_piece_for_eight_sends(app: Flask, kondo: str, kept: Kept) -> None:
    """25 forms of a metered piece, 8 sends each: 25 pieces."""
    for number in range(FORMS):
        at_once(*[partial(take, app, kondo, f"form-{number}")] * SENDS)
    assert kept.holdings() == {"moss": FORMS}


@contextmanager
def slowly(app: Flask) -> Iterator[None]:
    """Whoever has come to hold an owner or a contract pauses, so that others come to hold what is next."""

    def pause(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.startswith("UPDATE c") or "colorme_contract" in statement:
            time.sleep(0.1)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "after_cursor_execute", pause)
    try:
        yield
    finally:
        event.remove(engine, "after_cursor_execute", pause)


@on_postgresql
@pytest.mark.parametrize("against", ["end", "option", "removal"])
def test_nobody_waits_for_each_other(
    app: Flask, hooks: Hooks, store: Store, kept: Kept, against: str
) -> None:
    """A piece on account, beside an option, or an end or a removal told late, which take a parcel back."""
    store.now = "2021-07-10T12:00:00+09:00"
    assert hooks.install(plan="TIDE01", trial_term=trial("2021-07-11", "2021-07-14")).status_code == 200
    come_in(app)
    store.now = "2021-09-10T12:00:00+09:00"
    day(app)
    others = {
        "end": lambda: end(hooks),
        "option": lambda: buy(app, KONDO, "an option", again=False),
        "removal": lambda: see_gone(app, store),
    }
    with app.app_context(), slowly(app):
        at_once(others[against], lambda: take_today(app, store))
    assert kept.holdings()["tidetable"] == {"end": 2, "option": 3, "removal": 2}[against]


@contextmanager
def held_up(app: Flask, after: str, until: threading.Event) -> Iterator[threading.Event]:
    """Whoever writes this waits with its commit, for some time; what is set once it is written."""
    written = threading.Event()

    def pause(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.startswith(f"INSERT INTO {after} "):
            written.set()
            until.wait(1)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "after_cursor_execute", pause)
    try:
        yield written
    finally:
        event.remove(engine, "after_cursor_execute", pause)


@pytest.mark.parametrize(
    ("plan", "after"),
    [
        ("LANTERN1", "colorme_contract"),
        ("ANCHOR1", "colorme_contract"),
        ("LANTERN1", "colorme_ended_first"),
    ],
)
def test_an_end_beside_its_install(app: Flask, hooks: Hooks, kept: Kept, plan: str, after: str) -> None:
    """An end that is told while the install is being kept, or the other way round, is one all the same."""
    named = None if plan == "ANCHOR1" else "CONTR1"
    hear: list[Callable[[], TestResponse]] = [
        lambda: hooks.install(plan=plan),
        lambda: Hooks(app).uninstall(named, plan=plan),
    ]
    first, second = hear if after == "colorme_contract" else reversed(hear)
    done = threading.Event()

    def beside() -> None:
        assert written.wait(LONGEST)
        assert second().status_code == 200
        done.set()

    with held_up(app, after, done) as written:
        at_once(first, beside)
    assert "stands" not in kept.contracts().values()


def day(app: Flask) -> None:
    with app.app_context():
        assert daily.run() == 0


def end(hooks: Hooks) -> None:
    assert hooks.uninstall(plan="TIDE01", at="2021-09-09T12:00:00+09:00").status_code == 200


def see_gone(app: Flask, store: Store) -> None:
    store.removals += 1
    with app.app_context():
        with transaction() as session:
            contracts.ask_to_go(session, "CONTR1", datetime.fromisoformat("2021-09-09T12:00:00+09:00"))
        assert installs.see(db.session.get_one(Contract, "CONTR1")) is False


def take_today(app: Flask, store: Store) -> None:
    with app.app_context(), suppress(NotOnAccount):
        contract, offer = db.session.get_one(Contract, "CONTR1"), catalog.offer("moss", "colorme")
        assert offer
        usage.take(contract, offer, "a piece", datetime.fromisoformat(store.now))


@on_postgresql
def test_an_address_that_no_database_knows(app: Flask, kondo: str, store: Store) -> None:
    """PostgreSQL keeps no NUL: nothing is there, and nothing is out of order."""
    browser = come_in(app)
    for address in ("/colorme/charges/%00", "/history/colorme/a%00", "/items/%00"):
        assert browser.get(address).status_code == 404, address
