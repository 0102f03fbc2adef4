"""A shop's way to PostgreSQL, as the README says, and what is to be the same there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess

from flask import Flask
from sqlalchemy import make_url

from storefront import Settings, create_app
from storefront.db import db
from tests.command import run
from tests.databases import new_database, preset
from tests.test_operations import state

REPORTS = (
    ["ledger", "--csv"],
    ["ledger", "--totals", "--csv"],
    ["outstanding", "--csv"],
    ["doctor", "--books"],
)


def new_home(settings: Settings, server: str, like: str = "template1") -> Settings:
    """The same shop in PostgreSQL, in a copy of another database, whose zone is not that of the moments."""
    url = new_database(server, "home", like)
    preset(url, "timezone = 'Asia/Tokyo'")
    return settings.model_copy(update={"database_url": url})


def move(settings: Settings, home: Settings) -> CompletedProcess[str]:
    return run(home, "move", str(file_of(settings)))


def file_of(settings: Settings) -> Path:
    return Path(str(make_url(settings.database_url).database))


def put_down(app: Flask) -> None:
    """This process has nothing to do with its database any more."""
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@contextmanager
def moved(app: Flask, settings: Settings, home: Settings) -> Iterator[Flask]:
    """The shop as it goes on in its new home, where every row is what it was."""
    before = state(app)
    put_down(app)
    done = move(settings, home)
    assert done.returncode == 0, done.stderr
    shop = create_app(home, app.extensions["http"])
    try:
        assert state(shop) == before == state(app)
        put_down(app)
        yield shop
    finally:
        put_down(shop)


def reports(settings: Settings) -> list[str]:
    """What the shop's commands say of it."""
    return [run(settings, *words).stdout for words in REPORTS]
