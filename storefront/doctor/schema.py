"""What stands in the database: its revision, and what a person should look at."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import Connection, Enum, Table, inspect

from storefront import clock, health
from storefront.config import PREFIX
from storefront.db import db
from storefront.doctor import tallies
from storefront.doctor.finding import Finding, fail, ok, warn
from storefront.mixi import payments, questions
from storefront.mixi.channel import EVERYBODY, channel
from storefront.shop import inventory

WORD = re.compile(r"'([^']*)'")
OVERDUE = timedelta(days=1)  # the finish page, moments after a purchase, confirms all but a few


def migrated(connection: Connection) -> Iterator[Finding]:
    unfit = health.misfit(connection)
    if unfit:
        yield fail("migrations", unfit.found, unfit.advice)
        return
    found, head = health.revision(connection), health.known()[0]
    newer = f", newer than this code's {head}, which can live with it"
    yield ok("migrations", f"at {found}" + (", the newest" if found == head else newer))
    yield _checks(connection)
    yield _sale()
    yield from _outstanding()
    yield from _tests()
    yield from tallies.check()


def _checks(connection: Connection) -> Finding:
    """Whether the database allows the words that the code knows: a rule left behind refuses newer ones."""
    tables = db.metadata.sorted_tables
    wrong = [table.name for table in tables if _allowed(connection, table) != _known(table)]
    if wrong:
        found = f"another CHECK than the code's in {', '.join(wrong)}: what it refuses is answered 503"
        advice = "load the rows into a new database that `storefront upgrade` has made"
        return fail("checks", found, advice)
    return ok("checks", "the database refuses what the code does")


def _allowed(connection: Connection, table: Table) -> Counter[frozenset[str]]:
    """The words in each CHECK, whichever way the database writes it."""
    checks = inspect(connection).get_check_constraints(table.name)
    return Counter(frozenset(WORD.findall(check["sqltext"])) for check in checks)


def _known(table: Table) -> Counter[frozenset[str]]:
    kinds = (column.type for column in table.columns)
    return Counter(frozenset(map(str, kind.enums)) for kind in kinds if isinstance(kind, Enum))


def _sale() -> Finding:
    trouble = health.try_to_sell()
    if trouble:
        why = trouble.cause or trouble.advice
        return fail("sales", trouble.found, f"no sale can be kept: {why}")
    return ok("sales", "what a sale writes can be written and kept")


def _outstanding() -> Iterator[Finding]:
    show = "see `storefront outstanding`"
    waiting = payments.unconfirmed()
    overdue = [one for one in waiting if one.payment.ok_at and one.payment.ok_at < clock.now() - OVERDUE]
    removed = [one for one in waiting if one.removed_at]
    below = inventory.negatives()
    yield _count(
        "unconfirmed", len(overdue), "payments that mixi has not confirmed for more than a day", show
    )
    yield _count("removed", len(removed), "unconfirmed payments of buyers who removed the app", show)
    yield _count("negative", len(below), "holdings below zero", show)


def _tests() -> Iterator[Finding]:
    """Whether shop and mixi agree on which purchases are tests, as far as the shop can know."""
    name = f"{PREFIX}MIXI_TEST_OWNERS"
    found = questions.tests_found(clock.now() - OVERDUE)
    if EVERYBODY in channel().test_owners:
        yield warn("tests", "every purchase is one", f"take {EVERYBODY} out of {name} when the app is public")
    elif found:
        what = f"{found} purchases of the last day were booked as sales and were tests at mixi"
        yield warn("tests", what, f"while the app is in development there, set {name}={EVERYBODY}")
    else:
        yield ok("tests", "no sale of the last day was a test at mixi")


def _count(check: str, number: int, what: str, show: str) -> Finding:
    return warn(check, f"{number} {what}", show) if number else ok(check, f"no {what}")
