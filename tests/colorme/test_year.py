"""A year in shops of chance: the book is the store's bill, contract by contract, to the yen."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.colorme import accounts, year
from tests.colorme.year import BEGINS

pytestmark = pytest.mark.long
SHOPS, DAYS, SEED = 9, 365, 12  # of 200 by hand: python -m tests.colorme.year


def test_a_year(tmp_path: Path) -> None:
    """Each charge once; what is not confirmed, owed or lost is listed apart, and is every other yen."""
    with year.world(tmp_path, SHOPS, SEED) as world:
        world.live(DAYS)
        world.settle(BEGINS + timedelta(days=DAYS))
        found = accounts.audit(world.shop, world.statement())
    assert not found.problems, found
    assert found.sums["billed by the store"] > 0
    assert {"install", "leave", "resolved as charged", "resolved as declined"} <= set(world.done)
