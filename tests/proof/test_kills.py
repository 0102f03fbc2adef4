"""A worker dies at every step of a callback; the books are right after the buyer's next visit."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests import postgresql
from tests.conftest import lacking
from tests.databases import ENGINES
from tests.demo import wait_for
from tests.proof.kills import POINTS, Street, street
from tests.proof.served import WORKERS, Step

pytestmark = pytest.mark.long

# The payment at the shop after the kill, and after the buyer's next visit. At the platform it is `create`.
STATES = {
    Step.BEFORE_CLAIM: ("create", "create"),
    Step.AFTER_CLAIM: ("create", "create"),
    Step.AFTER_GRANT: ("create", "create"),
    Step.BEFORE_COMMIT: ("create", "create"),
    Step.AFTER_COMMIT: ("complete", "void"),
    Step.BEFORE_ANSWER: ("complete", "void"),
}


@pytest.fixture(scope="module", params=ENGINES)
def running(request: pytest.FixtureRequest) -> Iterator[Street]:
    if request.param == "postgresql" and not postgresql.IS_HERE:
        lacking("no PostgreSQL server binary for this platform")
    with TemporaryDirectory() as folder, street(request.param, Path(folder)) as running:
        yield running
        assert "Traceback" not in running.shop.words()


def assert_even(running: Street) -> None:
    """Held is what was charged, earned is what was taken, and both workers live."""
    taken = running.taken()
    assert (running.held() * POINTS, running.earned()) == (taken, taken)
    wait_for(lambda: len(running.shop.workers()) == WORKERS)


@pytest.mark.parametrize("step", STATES)
def test_the_next_visit_settles_the_gap(running: Street, step: Step) -> None:
    """Killed at any step: the buyer is not charged, and after the next visit holds nothing unpaid."""
    taken, before = running.taken(), set(running.shop.workers())
    failed = running.buy_until(step)
    assert failed.name == "failed"
    assert (running.phone.state(failed.code), running.taken()) == ("create", taken)
    assert running.status(failed.code) == STATES[step][0]
    running.age(failed.code)
    running.phone.get(failed.finish)
    assert running.status(failed.code) == STATES[step][1]
    assert_even(running)
    assert set(running.shop.workers()) != before


@pytest.mark.parametrize("step", STATES)
def test_pressing_again_buys_once(running: Street, step: Step) -> None:
    """Killed at any step: who presses again on the failure screen gets one, pays once and keeps it."""
    taken, held = running.taken(), running.held()
    failed = running.buy_until(step)
    assert failed.name == "failed"
    bought = running.phone.press(failed, "/buy")
    assert (bought.name, bought.code) == ("bought", failed.code)
    running.phone.get(bought.finish)
    running.age(bought.code)
    running.phone.open("/history")
    assert (running.phone.state(bought.code), running.status(bought.code)) == ("complete", "complete")
    assert running.is_confirmed(bought.code)
    assert (running.taken() - taken, running.held() - held) == (POINTS, 1)
    assert_even(running)
