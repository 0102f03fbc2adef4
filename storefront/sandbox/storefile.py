"""How the sandbox keeps things: in an SQLite file that is thrown away whenever its shape changes."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import Any, Literal

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, DateTime, Dialect, TypeDecorator, event, inspect
from sqlalchemy.orm import Session

# A writer waits for another at most this long; each holds the file for a few milliseconds.
LOCK_SECONDS = 15
POLL_SECONDS = 0.02
PRIVATE = 0o600  # secrets of the app are in it


class Moment(TypeDecorator[datetime]):
    """An aware moment, kept as UTC where the database knows no zones."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and value.replace(tzinfo=UTC)


class StoreFile:
    """One such file: its tables, the number of their shape, and how safely it keeps what was committed."""

    def __init__(self, db: SQLAlchemy, shape: int, synchronous: Literal["NORMAL", "FULL"]) -> None:
        self.db = db
        self.shape = shape
        self.synchronous = synchronous

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A look at the store. Nothing stays open after it; rows read inside may be kept."""
        with Session(self.db.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Everything written inside is kept together or not at all. The only writer while it lasts."""
        with Session(self.db.engine, expire_on_commit=False) as session:
            session.connection(execution_options={"writes": True})
            yield session
            session.commit()

    def init_app(self, app: Flask) -> None:
        # An error tells nothing of what was to be written: secrets of the app are among it.
        options = {"connect_args": {"timeout": LOCK_SECONDS}, "hide_parameters": True}
        app.config["SQLALCHEMY_ENGINE_OPTIONS"] = options
        self.db.init_app(app)
        with app.app_context():
            event.listen(self.db.engine, "connect", self._on_connect)
            event.listen(self.db.engine, "begin", _on_begin)

    def open(self, app: Flask) -> None:
        """Use the file, and give it tables of this shape unless it has them."""
        self.init_app(app)
        with app.app_context(), self.transaction() as session:
            self.is_current(session)

    def is_current(self, session: Session) -> bool:
        """Whether the file has tables of this shape; if not, it now has them, empty."""
        connection = session.connection()
        if connection.exec_driver_sql("PRAGMA user_version").scalar() == self.shape:
            return True
        # Tables of another shape refer to each other in ways that we no longer know.
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        for name in inspect(connection).get_table_names():
            connection.exec_driver_sql(f'DROP TABLE "{name}"')
        self.db.metadata.create_all(connection)
        connection.exec_driver_sql(f"PRAGMA user_version = {self.shape}")
        return False

    def _on_connect(self, connection: Any, _record: object) -> None:
        # sqlite3 would begin by itself, and too late: the begin event below speaks instead.
        connection.isolation_level = None
        for _, _, file in connection.execute("PRAGMA database_list"):
            if file:
                os.chmod(file, PRIVATE)
        _write_ahead(connection)
        connection.execute(f"PRAGMA synchronous = {self.synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")


def _write_ahead(connection: Any) -> None:
    """Use the write-ahead log. SQLite does not wait while another process turns it on for a new file."""
    until = monotonic() + LOCK_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if monotonic() > until:
                raise
            sleep(POLL_SECONDS)


def _on_begin(connection: Connection) -> None:
    # Said to the driver: nothing of it is SQLAlchemy's to compile, and every look at the store begins so.
    writes = connection.get_execution_options().get("writes")
    driver: Any = connection.connection.dbapi_connection
    driver.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
