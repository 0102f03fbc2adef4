"""The provider's own database: one SQLite file, thrown away whenever its shape changes."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, event
from sqlalchemy.orm import DeclarativeBase, Session

from storefront.sandbox.store import LOCK_SECONDS

# Raise it with every change of a table: the old file is then emptied.
SCHEMA = 1
POLL_SECONDS = 0.02

db = SQLAlchemy()


class Base(DeclarativeBase):
    """The tables of the provider; the sandbox has its own."""

    metadata = db.metadata


@contextmanager
def reading() -> Iterator[Session]:
    """A look at the store. Nothing stays open after it; rows read inside may be kept."""
    with Session(db.engine, expire_on_commit=False) as session:
        yield session


@contextmanager
def transaction() -> Iterator[Session]:
    """Everything written inside is kept together or not at all. The only writer while it lasts."""
    with Session(db.engine, expire_on_commit=False) as session:
        session.connection(execution_options={"writes": True})
        yield session
        session.commit()


def init_app(app: Flask) -> None:
    """Open the database and give it this version's tables."""
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"connect_args": {"timeout": LOCK_SECONDS}}
    db.init_app(app)
    with app.app_context():
        event.listen(db.engine, "connect", _on_connect)
        event.listen(db.engine, "begin", _on_begin)
        with transaction() as session:
            _shape(session.connection())


def _shape(connection: Connection) -> None:
    if connection.exec_driver_sql("PRAGMA user_version").scalar() == SCHEMA:
        return
    Base.metadata.drop_all(connection)
    Base.metadata.create_all(connection)
    connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA}")


def _on_connect(connection: Any, _record: object) -> None:
    # sqlite3 would begin by itself, and too late: the begin event below speaks instead.
    connection.isolation_level = None
    _write_ahead(connection)
    # The shop acts on what we tell it, so that must not be forgotten when the power fails.
    connection.execute("PRAGMA synchronous = FULL")
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
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
