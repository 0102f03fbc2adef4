"""Is everything there that the shop depends on? A line for each thing, and what to do about it."""

from collections.abc import Iterator

import requests
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from storefront import Settings, clock, config, create_app
from storefront.config import PREFIX, SettingsError
from storefront.db import cause, db
from storefront.doctor import house, postgresql, sqlite, tallies, wire
from storefront.doctor.finding import Check, Finding, fail, ok, warn
from storefront.external import facts
from storefront.external.channel import channel as door_out
from storefront.external.registration import forbidden
from storefront.mixi.client import session
from storefront.shop.devices import Device

IN_MEMORY = "sqlite://"


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
            yield fail("settings", line.strip(), "see Settings in the README")
        return
    yield ok("settings", "complete")
    yield from lacking
    for check in CHECKS:
        if not lacking or check not in ON_DATABASE:
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
        advice = (
            postgresql.DIRECTLY
            if "startup parameter" in said
            else f"start it, or correct {PREFIX}DATABASE_URL"
        )
        yield fail("database", f"does not answer: {said}", advice)


def _door_out(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    if not settings.external_provider_url:
        return
    today = facts.day(clock.now())
    closed = forbidden(facts.current(), Device.PC, door_out().site, today, on_smartphone=False)
    if closed:
        advice = "`storefront operator` prints the list; until then buyers do not see it"
        yield warn("door out", f"closed by {closed.value}", advice)
    else:
        yield ok("door out", f"leads to {door_out().site}, and the registration allows it")


CHECKS: tuple[Check, ...] = (
    house.secrets,
    house.https,
    house.translations,
    house.catalog,
    house.addresses,
    house.certificates,
    _database,
    _door_out,
    wire.platform_clock,
    wire.confirming,
    wire.public_url,
)
ON_DATABASE = (_database, _door_out)
