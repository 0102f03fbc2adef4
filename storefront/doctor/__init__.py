"""Is everything there that the shop depends on? A line for each thing, and what to do about it."""

from collections.abc import Iterator

import requests
from flask import Flask
from sqlalchemy.exc import NoSuchTableError, ProgrammingError, SQLAlchemyError

from storefront import Settings, config, create_app
from storefront.bounded import session
from storefront.config import PREFIX, SettingsError
from storefront.db import cause, db
from storefront.doctor import house, postgresql, sqlite, tallies, wire
from storefront.doctor.schema import MIGRATIONS
from storefront.findings import Check, Finding, Verdict, fail, ok
from storefront.rim import rims

IN_MEMORY = "sqlite://"
HOUSE = (house.secrets, house.https, house.metrics, house.translations, house.catalog)


def examine(settings: Settings | None = None, http: requests.Session | None = None) -> Iterator[Finding]:
    """Every check to its end, whatever the others found or fell over, the quick ones first. Makes nothing.

    Of the environment, unless `settings` are given.
    """
    http = http or session()
    try:
        settings = settings or config.read(Settings)
        app, lacking = _shop(settings, http)
    except SettingsError as error:
        for line in str(error).splitlines()[1:]:  # below a heading
            yield fail("settings", line.strip(), "`storefront settings` lists them all")
        return
    yield ok("settings", "complete")
    yield from lacking
    rooms, fit = rims(), False
    for check in [*HOUSE, *(check for room in rooms for check in room.configured)]:
        yield from _inside(app, check, settings, http)
    if not lacking:
        found = _inside(app, _database, settings, http)
        fit = any(one.check == MIGRATIONS and one.verdict is Verdict.OK for one in found)
        yield from found
    for check in [check for room in rooms for check in room.recorded if fit]:
        yield from _inside(app, check, settings, http)
    for check in [*(check for room in rooms for check in room.reached), wire.public_url]:
        yield from _inside(app, check, settings, http)
    with app.app_context():
        db.engine.dispose()


def books(app: Flask, *, rebuild: bool) -> Iterator[Finding]:
    """What is kept of sales, held against all grants; or written anew, with what was wrong."""
    with app.app_context():
        yield from tallies.rebuild() if rebuild else tallies.check()


def _shop(settings: Settings, http: requests.Session) -> tuple[Flask, list[Finding]]:
    """The shop to look at; if its database cannot even be named, without one."""
    quiet = settings.model_copy(update={"metrics_token": None})  # metrics have a folder, which would be made
    try:
        return create_app(quiet, http), []
    except (SQLAlchemyError, ImportError) as error:
        found = f"{PREFIX}DATABASE_URL cannot be used ({type(error).__name__})"
        advice = "write sqlite:///FILE, or postgresql+psycopg://… with storefront[postgres] installed"
        homeless = quiet.model_copy(update={"database_url": IN_MEMORY})
        return create_app(homeless, http), [fail("database", found, advice)]


def _inside(app: Flask, check: Check, settings: Settings, http: requests.Session) -> list[Finding]:
    name = check.__name__.strip("_").replace("_", " ")
    findings = []
    with app.app_context():
        try:
            for finding in check(settings, http):
                findings.append(finding)  # what it found before it fell counts
        except SQLAlchemyError as error:
            findings.append(fail(name, f"could not be checked ({cause(error)})", "mend the database first"))
        except Exception as error:
            found = f"could not be checked ({type(error).__name__}: {error})"
            findings.append(fail(name, found, "mend what this names, and ask again"))
    return findings


def _database(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    try:
        if db.engine.dialect.name == "sqlite":
            yield from sqlite.database()
        else:
            yield from postgresql.database()
    except SQLAlchemyError as error:
        said = cause(error)
        if isinstance(error, NoSuchTableError | ProgrammingError) or "no such" in said:
            restore = "something was taken out of it: restore a backup"
            yield fail("database", f"is not whole: {said}", restore)
        elif db.engine.dialect.name == "sqlite":
            yield fail("database", f"cannot be read: {said}", sqlite.ANOTHER)
        elif "startup parameter" in said:
            yield fail("database", f"does not answer: {said}", postgresql.DIRECTLY)
        else:
            yield fail("database", f"does not answer: {said}", f"start it, or correct {PREFIX}DATABASE_URL")
