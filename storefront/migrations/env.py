"""How Alembic reaches the shop's database; run through `storefront upgrade`."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

from alembic import context
from flask import current_app
from sqlalchemy import Connection, text

ONE_AT_A_TIME = 6_494_101  # any number, the same for every process that migrates
PATIENCE = 60_000  # milliseconds a second process waits for the first


def run() -> None:
    database = current_app.extensions["migrate"].db
    with (
        database.engine.connect().execution_options(patience=PATIENCE) as connection,
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
                connection.info["silence"] = math.inf  # as storefront.db bounds it
                connection.execute(text("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ONE_AT_A_TIME})
            context.run_migrations()


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
