"""The app dies at every step of an option, a report and a removal; nothing is charged twice or lost."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from functools import partial, wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from storefront import clock
from storefront.colorme import (
    calendar,
    charges,
    client,
    contracts,
    daily,
    outstanding,
    reckoning,
    reporting,
)
from storefront.colorme.charges import Charge
from storefront.colorme.reporting import Report
from storefront.db import db, transaction
from storefront.sandbox.colorme import contracts as at_the_store
from storefront.sandbox.colorme import store
from storefront.sandbox.colorme.shops import Shop
from tests.colorme import accounts, year
from tests.colorme.year import Owner, World
from tests.databases import ENGINES, new_database
from tests.postgresql import fastest
from tests.street import form_to

pytestmark = pytest.mark.long
CHARGES, REMOVAL = "/colorme/charges", "/colorme/removal"
LONG_AGO = timedelta(minutes=1)  # more than a call and its worker may take


class Step(StrEnum):
    """Where the app is killed."""

    BEFORE_INTENT = "before the intent"
    AFTER_INTENT = "after the intent"
    BEFORE_CALL = "before the call leaves"
    AFTER_CALL = "when the store has done it"
    AFTER_ANSWER = "after the answer"
    BEFORE_COMMIT = "before the commit"
    AFTER_COMMIT = "after the commit"


PARTS = 9  # reports of 14 times 600,001 yen
# How many reports are charged once each step has had its kill: the first kill leaves its row to the second.
CHARGED_BY = {Step.BEFORE_INTENT: 0, Step.AFTER_INTENT: 0, Step.BEFORE_CALL: 0, Step.AFTER_CALL: 1}
CHARGED_BY |= {Step.AFTER_ANSWER: 2, Step.BEFORE_COMMIT: 3, Step.AFTER_COMMIT: 4}
UNDONE = (Step.BEFORE_INTENT, Step.AFTER_INTENT, Step.BEFORE_CALL)  # the store has heard of nothing
SETTLED = (Step.BEFORE_INTENT, Step.AFTER_COMMIT)  # nothing is open afterwards


@pytest.fixture(scope="module", params=ENGINES)
def running(request: pytest.FixtureRequest) -> Iterator[World]:
    """Store and app, and an owner with points for each kill."""
    url = "" if request.param == "sqlite" else new_database(request.getfixturevalue("postgresql"), "kills")
    shops = 2 * len(Step) + 1
    with TemporaryDirectory(dir=fastest()) as folder, year.world(Path(folder), shops, 1, url) as running:
        with running.store.app_context(), store.transaction() as session:
            session.execute(update(Shop).values(points=3_000_000, is_test=False, trial_used=True))
        yield running


@pytest.fixture
def owner(running: World) -> Owner:
    """One who is in, on a plan that is charged by use."""
    owner = running.owners.pop()
    running.send(f"/shops/{owner.account}/install", plan="USED01")
    running.come_in(owner)
    return owner


@pytest.mark.parametrize("step", Step)
def test_an_option(running: World, owner: Owner, step: Step) -> None:
    """It is charged once or not at all, is never sent again, and what is open is found and settled."""
    form = form_to(owner.browser.get("/items/coat").text, CHARGES)
    killed(running, step, (charges, "insert_once"), lambda: owner.browser.post(CHARGES, form))
    assert theirs(running, newest(running, owner), "options") == (step not in UNDONE)
    owner.browser.post(CHARGES, form)
    assert theirs(running, newest(running, owner), "options") == (
        step not in UNDONE or step is Step.BEFORE_INTENT
    )
    age(running, Charge)
    assert open_cases(running) == (step not in SETTLED)
    settled(running)


@pytest.mark.parametrize("step", Step)
def test_a_removal(running: World, owner: Owner, step: Step) -> None:
    """After the next day's work the app is installed on both sides, or on neither."""
    form = form_to(owner.browser.get("/colorme/").text, REMOVAL)
    killed(running, step, (contracts, "ask_to_go"), lambda: owner.browser.post(REMOVAL, form))
    with running.store.app_context():
        stands = at_the_store.of(owner.account) is not None
    assert stands == (step in UNDONE)
    work(running)
    with running.shop.app_context():
        assert (contracts.standing_of(owner.account) is not None) == stands
    settled(running)


def test_reports(running: World, owner: Owner) -> None:
    """Killed at every step in turn: each report is charged once, and what is open is found and settled."""
    for _ in Step:
        press(owner, "crane")
        press(owner, "crane")
    with running.shop.app_context():
        contract = contracts.standing_of(owner.account)
        assert contract
        period = reckoning.period_at(contract.terms, calendar.today())
        assert period
    running.turn(period.last, 23 * 60 + 30)
    for step in Step:
        killed(running, step, (reporting, "_claim"), partial(work, running))
        assert theirs(running, contract.id, "usage") == CHARGED_BY[step]
    age(running, Report)
    assert open_cases(running) == len(Step) - len(SETTLED)
    settled(running)
    assert theirs(running, contract.id, "usage") == PARTS - 2  # two were claimed, and never sent


def killed(running: World, step: Step, intent: tuple[Any, str], act: Callable[[], object]) -> None:
    """Do it in a process that dies at this step; no connection of ours is open meanwhile."""
    with running.shop.app_context():
        db.session.remove()
        db.engine.dispose()
    with running.store.app_context():
        store.db.engine.dispose()
    child = os.fork()
    if not child:
        with suppress(BaseException):
            _await(running, step, intent)
            act()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "nobody was killed"
    assert os.WTERMSIG(status) == signal.SIGKILL


def _await(running: World, step: Step, intent: tuple[Any, str]) -> None:
    """This process dies when it comes to the step."""
    heard = False

    def at(this: Step) -> None:
        if this is step:
            os.kill(os.getpid(), signal.SIGKILL)

    def answered(this: Step) -> None:
        nonlocal heard
        heard = True
        at(this)

    def commits(this: Step) -> None:
        if heard:
            at(this)

    _surround(*intent, partial(at, Step.BEFORE_INTENT))
    _surround(client, "_call", partial(at, Step.AFTER_INTENT), partial(answered, Step.AFTER_ANSWER))
    _surround(running.charging, "send", partial(at, Step.BEFORE_CALL), partial(at, Step.AFTER_CALL))
    _surround(Session, "commit", partial(commits, Step.BEFORE_COMMIT), partial(commits, Step.AFTER_COMMIT))


def _surround(
    owner: Any, name: str, before: Callable[[], None], after: Callable[[], None] = lambda: None
) -> None:
    inner = getattr(owner, name)

    @wraps(inner)
    def outer(*arguments: Any, **more: Any) -> Any:
        before()
        result = inner(*arguments, **more)
        after()
        return result

    setattr(owner, name, outer)


def press(owner: Owner, item: str) -> None:
    assert owner.browser.press(f"/items/{item}", CHARGES).status_code == 303


def work(running: World) -> None:
    with running.shop.app_context():
        daily.run()


def theirs(running: World, contract_id: str, what: str) -> int:
    """How many of these the store has charged."""
    told = next(one for one in running.statement() if one["contract"] == contract_id)
    return len(told[what])


def newest(running: World, owner: Owner) -> str:
    with running.store.app_context():
        return at_the_store.all_of(owner.account)[0].id


def age(running: World, kind: type[Charge] | type[Report]) -> None:
    """As if all of a call's time had passed, which spares every test that wait."""
    with running.shop.app_context(), transaction() as session:
        session.execute(update(kind).values(sent_at=clock.now() - LONG_AGO))


def open_cases(running: World) -> int:
    with running.shop.app_context():
        return len(outstanding.to_resolve())


def settled(running: World) -> None:
    """After a person has looked at the store, and another day's work, everything adds up."""
    running.resolve()
    work(running)
    assert open_cases(running) == 0
    found = accounts.audit(running.shop, running.statement())
    assert not found.problems, found
