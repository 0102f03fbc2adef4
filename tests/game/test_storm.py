"""Two games before a shop that sells while everybody dies; and proof that the storm would notice a fault."""

import os

import pytest

from tests import postgresql
from tests.conftest import lacking
from tests.databases import ENGINES
from tests.game.storm import Broken, Report, storm

pytestmark = pytest.mark.long

# Another number blows another storm; a failure says which it was.
SEED = int(os.environ.get("PROOF_SEED", "20261127"))
FEW, SOME, MANY = 60, 400, 10_000
SECONDS = 900.0


def blow(database: str, requests: int, broken: Broken | None = None) -> Report:
    if database == "postgresql" and not postgresql.IS_HERE:
        lacking("no PostgreSQL server binary for this platform")
    return storm(database, requests, SEED, SECONDS, broken)


def assert_all_agree(report: Report) -> None:
    assert report.holds, str(report)
    assert report.blows["game killed"] >= 2
    assert report.counted["taken back"] > 0, str(report)
    assert report.counted["requests that were too few"] == 0


def test_all_agree_after_a_few() -> None:
    """Shop, database and games are killed: everybody has the same sums, nothing is seen twice or missed."""
    assert_all_agree(blow("postgresql", FEW))


@pytest.mark.thorough
@pytest.mark.parametrize("database", ENGINES)
def test_all_agree(database: str) -> None:
    """The same with ten thousand uses and polls."""
    assert_all_agree(blow(database, MANY))


@pytest.mark.thorough
def test_a_cursor_of_ids_is_caught() -> None:
    """A shop that reads on from the last id passes over what commits late, and that is noticed."""
    report = blow("postgresql", SOME, Broken.BY_ID)
    missed = [count for name, count in report.wrong.items() if name.endswith("changes missed")]
    assert any(missed), str(report)


@pytest.mark.thorough
@pytest.mark.parametrize("database", ENGINES)
def test_a_use_without_its_key_is_caught(database: str) -> None:
    """A shop that uses as often as it is asked uses what nobody has heard of."""
    report = blow(database, SOME, Broken.KEYLESS)
    assert report.wrong["uses that nobody has heard of"] > 0, str(report)


@pytest.mark.thorough
def test_a_cursor_kept_too_soon_is_caught() -> None:
    """A game that has read on before it keeps what it read loses that when it is killed in between."""
    report = blow("sqlite", SOME, Broken.CARELESS)
    missed = [count for name, count in report.wrong.items() if name.endswith("changes missed")]
    assert any(missed), str(report)
