"""Two games on each database, killed with the shop; and proof that a broken shop would be noticed."""

import pytest

from tests import postgresql
from tests.conftest import lacking
from tests.proof.games import GAMES, Report, play
from tests.proof.served import Broken

SEED, SECONDS = 20261127, 180.0


def games(database: str, uses: int, broken: Broken | None = None) -> Report:
    if database == "postgresql" and not postgresql.IS_HERE:
        lacking("no PostgreSQL server binary for this platform")
    return play(database, uses, SEED, SECONDS, broken)


@pytest.mark.parametrize("database", [pytest.param("sqlite", marks=pytest.mark.thorough), "postgresql"])
@pytest.mark.long
def test_two_games_and_a_shop_agree(database: str) -> None:
    """Whoever dies meanwhile: every use once, every change once and in order, the same sums everywhere."""
    report = games(database, 2400)
    assert report.holds, str(report)
    assert report.counted["of these taken back"] > 0
    assert report.counted["refused, too few"] > 0


@pytest.mark.thorough
def test_places_by_id_are_caught() -> None:
    """Ids commit out of their order, and a game that follows them misses some."""
    report = games("postgresql", 1000, Broken.BY_ID)
    assert sum(report.wrong[f"{game}: changes missed"] for game in GAMES) > 0, str(report)


@pytest.mark.thorough
def test_uses_without_a_key_are_caught() -> None:
    """A shop that looks at no key uses again what is sent again."""
    report = games("sqlite", 600, Broken.KEYLESS)
    assert report.wrong["keys of both with two answers"] > 0, str(report)
