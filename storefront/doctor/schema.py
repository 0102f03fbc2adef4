"""What stands in the database: its revision, and what a person should look at."""

import re
from collections import Counter
from collections.abc import Iterator

from sqlalchemy import Connection, Enum, Table, inspect

from storefront import health
from storefront.db import db
from storefront.doctor import tallies
from storefront.findings import Finding, count, fail, ok
from storefront.shop import inventory

MIGRATIONS = "migrations"  # the check on which others rest
WORD = re.compile(r"'([^']*)'")


def migrated(connection: Connection) -> Iterator[Finding]:
    unfit = health.misfit(connection)
    if unfit:
        yield fail(MIGRATIONS, unfit.found, unfit.advice)
        return
    found, head = health.revision(connection), health.known()[0]
    newer = f", newer than this code's {head}, which can live with it"
    yield ok(MIGRATIONS, f"at {found}" + (", the newest" if found == head else newer))
    yield _checks(connection)
    yield _sale()
    yield count("negative", len(inventory.negatives()), "holdings below zero", "see `storefront outstanding`")
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
