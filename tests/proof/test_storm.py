"""A small storm on each database; and proof that the storm would notice a broken shop."""

import os

import pytest

from tests import postgresql
from tests.conftest import lacking
from tests.proof.served import Broken
from tests.proof.storm import (
    BEFORE,
    LATE_OKS,
    MISCOUNTED,
    MIXED_OKS,
    OVERSOLD,
    REFUSED_OKS,
    Report,
    Sort,
    make_plan,
    storm,
)

pytestmark = pytest.mark.long

# Another number blows another storm; a failure says which it was.
SEED = int(os.environ.get("PROOF_SEED", "20261121"))
DELIVERIES, FEW = 700, 600
SECONDS = 120.0


def blow(database: str, count: int, broken: Broken | None = None) -> Report:
    if database == "postgresql" and not postgresql.IS_HERE:
        lacking("no PostgreSQL server binary for this platform")
    return storm(database, count, SEED, SECONDS, broken)


@pytest.mark.parametrize("database", [pytest.param("sqlite", marks=pytest.mark.thorough), "postgresql"])
def test_the_books_survive_a_storm(database: str) -> None:
    """Whatever is sent and whoever dies: no wrong grant, no lost OK, none too late, even books at the end."""
    report = blow(database, DELIVERIES)
    assert report.holds, str(report)
    assert report.kills > 0
    assert report.restarts == (database == "postgresql")
    assert report.answers[Sort.FIRST, "OK"] > 0
    assert report.counted["buyers who came back"] > 0


def test_read_then_write_is_caught() -> None:
    """A shop that looks first and writes afterwards says OK to both sides, and the storm notices."""
    report = blow("postgresql", FEW, Broken.READ_THEN_WRITE)
    assert report.wrong[MIXED_OKS] > 0, str(report)
    assert not report.holds


@pytest.mark.thorough
def test_no_look_at_the_clock_is_caught() -> None:
    """A shop that never checks its deadline says OK too late, and the storm notices."""
    report = blow("sqlite", FEW, Broken.CLOCKLESS)
    assert report.wrong[REFUSED_OKS] > 0, str(report)
    assert report.wrong[LATE_OKS] > 0
    assert not report.holds


@pytest.mark.thorough
def test_no_count_is_caught() -> None:
    """A shop that counts no sales sells more than there is, and the storm notices."""
    report = blow("sqlite", FEW, Broken.UNCOUNTED)
    assert report.wrong[f"{BEFORE}: {OVERSOLD}"] > 0, str(report)
    assert report.wrong[f"{BEFORE}: {MISCOUNTED}"] > 0
    assert not report.holds


def test_a_seed_plans_one_storm() -> None:
    """The same seed plans the same deliveries, all sorts of them; another seed others."""
    plan = make_plan(SEED, DELIVERIES)
    assert plan == make_plan(SEED, DELIVERIES)
    assert plan != make_plan(SEED + 1, DELIVERIES)
    assert {delivery.sort for delivery in plan.deliveries} == set(Sort)
