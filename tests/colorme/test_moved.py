"""A shop that moves to PostgreSQL amid two months of owners, in whatever weather."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from storefront import create_app
from storefront.sandbox.colorme.context import appstore
from tests.colorme import accounts, year
from tests.colorme.year import BEGINS, World
from tests.databases import fill
from tests.moving import moved, new_home, put_down, reports
from tests.street import words
from tests.wire import Wire

SHOPS, DAYS, SEED = 9, 31, 12
PAGES = ("/", "/items/coat", "/inventory", "/history", "/colorme/")


@pytest.mark.thorough
@pytest.mark.long
def test_a_month_before_and_after(tmp_path: Path, postgresql: str) -> None:
    """Pages and reports say the same, and in the end the book is the store's bill, to the yen."""
    with year.world(tmp_path, SHOPS, SEED) as world:
        world.live(DAYS)
        there, settings = pages(world), world.shop.config["SETTINGS"]
        home = new_home(settings, postgresql)
        fill(empty := create_app(home))
        put_down(empty)
        with moved(world.shop, settings, home) as shop:
            lead_to(shop, world)
            assert pages(world) == there
            assert reports(home) == reports(settings)
            world.live(DAYS, after=DAYS)
            world.settle(BEGINS + timedelta(days=2 * DAYS))
            found = accounts.audit(shop, world.statement())
    assert not found.problems, found
    assert found.sums["billed by the store"] > 0


def pages(world: World) -> Sequence[str]:
    """What every owner sees."""
    return [words(owner.browser.get(page).text) for owner in world.owners for page in PAGES]


def lead_to(shop: Flask, world: World) -> None:
    """The address is the same, and so are the cookies."""
    world.shop = shop
    for owner in world.owners:
        owner.browser.client.application = shop
    with world.store.app_context():
        appstore().http.mount("http://", Wire(shop))
