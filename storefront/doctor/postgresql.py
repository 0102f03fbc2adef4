"""PostgreSQL as the shop needs it: durable, in UTF-8, with a clock like ours."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, text

from storefront import clock
from storefront.clock import SKEW_SECONDS, seconds_off
from storefront.db import BOUNDS, db
from storefront.doctor.schema import migrated
from storefront.findings import Finding, fail, ok, warn

MIB = 1024 * 1024
DIRECTLY = "PgBouncer and its like are not supported: name the server itself, the shop has a pool of its own"
ENCODING = "UTF8"
NEW_DATABASE = f"make a new one: createdb --encoding={ENCODING} --template=template0"
DURABILITY = ("synchronous_commit", "fsync", "full_page_writes")
BEGINS_WITH = text("SELECT reset_val FROM pg_settings WHERE name = :name")
LONG = 3600  # seconds; a dump of a large shop takes minutes
# Of those that keep what was replaced since from being tidied up.
OLDEST = text("""
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
""")
DATABASE_CLOCK_SECONDS = SKEW_SECONDS / 2  # then two hosts of one database are no further apart than that


def database() -> Iterator[Finding]:
    with db.engine.connect() as connection:
        version = connection.scalar(text("SHOW server_version"))
        size = connection.scalar(text("SELECT pg_database_size(current_database())")) or 0
        yield ok("database", f"PostgreSQL {version}, {size // MIB:,} MiB")
        yield from migrated(connection)
        yield _commits(connection)
        yield _bounds(connection)
        yield _isolation(connection)
        yield _encoding(connection)
        yield _database_clock(connection)
        yield _oldest(connection)


def _commits(connection: Connection) -> Finding:
    # What a session begins with; the shop's own then raises synchronous_commit from off, others do not.
    values = {name: connection.scalar(BEGINS_WITH, {"name": name}) for name in DURABILITY}
    found = ", ".join(f"{name} {value}" for name, value in values.items())
    commit = values.pop("synchronous_commit")
    if commit == "off" or "off" in values.values():
        return fail(
            "durability",
            found,
            "turn each on: a crash would forget sales that mixi has been told are complete",
        )
    if commit not in ("on", "remote_apply"):
        return warn("durability", found, "set synchronous_commit to on, or a standby may miss sales")
    return ok("durability", found)


def _bounds(connection: Connection) -> Finding:
    """Whether the server has heard how long the shop will wait; a pooler may keep that to itself."""
    values = {name: connection.scalar(text(f"SHOW {name}")) for name in BOUNDS}
    found = ", ".join(f"{name} {value}" for name, value in values.items())
    if values != BOUNDS:
        return fail("limits", f"{found}: the shop's own do not reach the server", DIRECTLY)
    return ok("limits", found)


def _isolation(connection: Connection) -> Finding:
    ours, theirs = (
        connection.scalar(text(f"SHOW {name}"))
        for name in ("transaction_isolation", "default_transaction_isolation")
    )
    return ok("isolation", f"{ours}, as the shop asks for; the server by itself would use {theirs}")


def _encoding(connection: Connection) -> Finding:
    encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding != ENCODING:
        return fail("encoding", f"the database is in {encoding}", NEW_DATABASE)
    return ok("encoding", ENCODING)


def _database_clock(connection: Connection) -> Finding:
    before = clock.now()
    theirs: datetime = connection.scalars(text("SELECT clock_timestamp()")).one()
    off = seconds_off(theirs, before, clock.now())
    found = f"the database server's is {off:+.1f} s from ours"
    if abs(off) > DATABASE_CLOCK_SECONDS:
        return warn("clock", found, "let both hosts ask a time server")
    return ok("clock", found)


def _oldest(connection: Connection) -> Finding:
    """Whether a transaction was forgotten: what is replaced meanwhile stays in tables and indexes."""
    seconds = float(connection.scalars(OLDEST).one())
    if seconds > LONG:
        found = f"one has been open for {seconds / 3600:.1f} hours"
        return warn("transactions", found, "end it (pg_stat_activity names it), since all becomes slower")
    return ok("transactions", "none is open for long")
