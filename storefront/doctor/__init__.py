"""Is everything there that the shop depends on? A line for each thing, and what to do about it."""

from collections.abc import Iterator

import requests
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from storefront import clock, config, create_app
from storefront.config import PREFIX, Settings, SettingsError
from storefront.db import db, transaction
from storefront.doctor import house, wire
from storefront.doctor.finding import Check, Finding, Verdict, fail, ok, warn
from storefront.doctor.postgresql import postgresql
from storefront.doctor.sqlite import sqlite
from storefront.external import facts
from storefront.external.channel import channel as door_out
from storefront.external.registration import forbidden
from storefront.mixi.client import session
from storefront.shop import books as kept
from storefront.shop.books import Miscount
from storefront.shop.devices import Device


def examine(settings: Settings | None = None, http: requests.Session | None = None) -> Iterator[Finding]:
    """Every check in turn, the quick ones first; of the environment, unless `settings` are given."""
    http = http or session()
    try:
        settings = settings or config.read()
        app = create_app(settings, http)
    except SettingsError as error:
        for line in str(error).splitlines()[1:]:  # below a heading
            yield fail("settings", line.strip(), "see Settings in the README")
        return
    except (SQLAlchemyError, ImportError) as error:
        yield fail(
            "database",
            f"{PREFIX}DATABASE_URL cannot be used ({type(error).__name__})",
            "write sqlite:///FILE, or postgresql+psycopg://… with storefront[postgres] installed",
        )
        return
    yield ok("settings", "complete")
    for check in CHECKS:
        yield from _inside(app, check, settings, http)
    with app.app_context():
        db.engine.dispose()


def books(app: Flask, *, rebuild: bool) -> Iterator[Finding]:
    """What is kept of sales, held against all grants; or written anew, with what was wrong."""
    with app.app_context():
        if rebuild:
            with transaction() as session:
                differences = kept.rebuild(session)
        else:
            differences = kept.check(db.session())
    found = [
        *(("stock", _miscount(one)) for one in differences.stocks),
        *(
            ("below zero", f"{one.channel} {one.external_id} has {one.quantity} of {one.item_id}, unseen")
            for one in differences.unseen
        ),
    ]
    for check, words in found:
        if rebuild:
            yield ok(check, f"{words}; put right")
        else:
            yield fail(check, words, "run `storefront doctor --books --rebuild`")
    if not found:
        yield ok("books", "what is kept is what the grants say")


def _inside(app: Flask, check: Check, settings: Settings, http: requests.Session) -> list[Finding]:
    with app.app_context():
        return list(check(settings, http))


def _miscount(one: Miscount) -> str:
    kept, granted = (f"{sold} sold, {tested} as tests" for sold, tested in (one.kept, one.granted))
    return f"{one.item_id} has {kept}; the grants say {granted}"


def _database(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    try:
        if db.engine.dialect.name == "sqlite":
            yield from sqlite()
        else:
            yield from postgresql()
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines() or [""]
        yield fail(
            "database",
            f"does not answer: {type(error).__name__}, {cause[0]}",
            f"start it, or correct {PREFIX}DATABASE_URL",
        )


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
    house.translations,
    house.catalog,
    house.addresses,
    house.certificates,
    _database,
    _door_out,
    wire.platform_clock,
    wire.public_url,
)
