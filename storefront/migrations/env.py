"""How Alembic reaches the shop's database; run through `storefront upgrade`."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

from alembic import context
from flask import current_app
from sqlalchemy import Connection, inspect, text

from storefront.db import SILENCE, make_file

ONE_AT_A_TIME = 6_494_101  # any number, the same for every process that migrates
LOCK_WAIT = 60_000  # milliseconds a second process waits for the first
# For a table that somebody has: whoever wants it after us stands behind us, be it only to read.
IN_THE_WAY = "1s"


def run() -> None:
    database = current_app.extensions["migrate"].db
    make_file(database.engine)
    with (
        database.engine.connect().execution_options(lock_wait=LOCK_WAIT) as connection,
        _tables_may_be_rebuilt(connection),
    ):
        context.configure(
            connection=connection,
            target_metadata=database.metadata,
            transactional_ddl=True,
            render_as_batch=True,
            compare_type=True,
        )
        with context.begin_transaction():
            if connection.dialect.name == "postgresql":
                connection.info[SILENCE] = math.inf
                connection.execute(text("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ONE_AT_A_TIME})
                connection.execute(text(f"SET LOCAL lock_timeout = '{IN_THE_WAY}'"))
            context.run_migrations()
            _say_whom_it_fits(connection)


def _say_whom_it_fits(connection: Connection) -> None:
    """The code of this revision, and any before it that only additive migrations followed."""
    if not inspect(connection).has_table("fit"):
        return
    connection.execute(text("DELETE FROM fit"))
    revision = context.get_context().get_current_revision()
    while revision:
        connection.execute(text("INSERT INTO fit (revision) VALUES (:revision)"), {"revision": revision})
        script = context.script.get_revision(revision)
        before = script.down_revision if getattr(script.module, "additive", False) else None
        revision = before if isinstance(before, str) else None


@contextmanager
def _tables_may_be_rebuilt(connection: Connection) -> Iterator[None]:
    """SQLite changes a table by rebuilding it, which its foreign keys would forbid half-way."""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
        assert not driver.execute("PRAGMA foreign_key_check").fetchall()
    finally:
        driver.execute("PRAGMA foreign_keys=ON")


run()
