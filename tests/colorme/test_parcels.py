"""The first parcel comes on trust; who left before a plan fee was paid gets none by installing anew."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from storefront.colorme import daily
from tests.colorme.conftest import Hooks, Kept, Store, come_in, trial
from tests.databases import on_sqlite
from tests.street import Browser

pytestmark = on_sqlite

Install = Callable[..., Browser]


@pytest.fixture
def install(app: Flask, hooks: Hooks, store: Store) -> Install:
    """One contract after another, each with an owner who comes in, after the end of the one before."""
    made: list[tuple[str, str]] = []

    def again(plan: str, at: str, **more: Any) -> Browser:
        store.now = f"{at}T12:00:00+09:00"
        if made:
            assert hooks.uninstall(*made[-1], at=f"{at}T11:00:00+09:00").status_code == 200
            store.removals += 1
        made.append((f"CONTR{len(made)}", plan))
        assert hooks.install(*made[-1], **more).status_code == 200
        return come_in(app)

    return again


def daily_at(app: Flask, store: Store, at: str) -> None:
    store.now = f"{at}T00:30:00+09:00"
    with app.app_context():
        assert daily.run() == 0


def test_installed_again_and_again(app: Flask, install: Install, kept: Kept, store: Store) -> None:
    """A plan that is paid afterwards brings one parcel, however often it is left and chosen anew."""
    assert "data-parcel-on" not in install("TIDE01", "2021-07-10").get("/colorme/").text
    for day in ("11", "12", "13"):
        browser = install("TIDE01", f"2021-07-{day}")
        daily_at(app, store, f"2021-07-{day}")
        assert kept.holdings() == {"tidetable": 1}
    assert 'data-parcel-on="2021-08-10"' in browser.get("/colorme/").text
    assert 'data-reading="parcel_on_trust"' in browser.get("/colorme/").text
    daily_at(app, store, "2021-08-10")
    assert kept.holdings() == {"tidetable": 2}
    assert "data-parcel-on" not in come_in(app).get("/colorme/").text


def test_a_trial_after_a_trial(app: Flask, install: Install, kept: Kept, store: Store) -> None:
    """Where the store gives another one, the parcel comes with the first fee."""
    free = trial("2021-07-11", "2021-07-21")
    install("LANTERN1", "2021-07-10", trial_term=free)
    browser = install("LANTERN1", "2021-07-11", trial_term=trial("2021-07-12", "2021-07-22"))
    assert 'data-parcel-on="2021-07-22"' in browser.get("/colorme/").text
    daily_at(app, store, "2021-07-21")
    assert kept.holdings() == {"lantern": 1, "moss": 1}
    for _ in range(2):
        daily_at(app, store, "2021-07-22")
        assert kept.holdings() == {"lantern": 2, "moss": 2}
    daily_at(app, store, "2021-09-01")
    assert kept.holdings() == {"lantern": 3, "moss": 3}


def test_paid_for_meanwhile(app: Flask, install: Install, kept: Kept, store: Store) -> None:
    """A bill that is fixed is not paid yet; once it is, what waits still comes with the first fee."""
    install("TIDE01", "2021-07-10")
    install("LANTERN1", "2021-09-25", trial_term=trial("2021-09-26", "2021-10-06"))
    for day, lanterns in (("2021-10-05", {}), ("2021-10-06", {"lantern": 1, "moss": 1})):
        daily_at(app, store, day)
        assert kept.holdings() == {"tidetable": 3, **lanterns}


def test_what_is_paid_at_once(install: Install, kept: Kept) -> None:
    """A plan that is collected at the install brings its parcel then, whatever was before."""
    install("TIDE01", "2021-07-10", trial_term=trial("2021-07-11", "2021-07-21"))
    install("LANTERN1", "2021-07-11")
    install("LANTERN1", "2021-07-12")
    assert kept.holdings() == {"tidetable": 1, "lantern": 2, "moss": 2}


def test_trusted_anew(install: Install, kept: Kept) -> None:
    """Once a fee was due and the store has not said that it was not paid, the next comes on trust, too."""
    install("TIDE01", "2021-07-10")
    install("TIDE01", "2021-10-01")
    assert kept.holdings() == {"tidetable": 2}
