"""The sandbox's own database: one SQLite file, thrown away whenever its shape changes."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, DateTime, Dialect, TypeDecorator, event
from sqlalchemy.orm import DeclarativeBase, Session

# Raise it with every change of a table: the old file is then emptied and filled anew.
SCHEMA = 3
# A writer waits for another at most this long; each holds the file for a few milliseconds.
LOCK_SECONDS = 15

db = SQLAlchemy()


class Base(DeclarativeBase):
    """The tables of the sandbox. Plain SQLAlchemy, on the metadata of its own Flask-SQLAlchemy."""

    metadata = db.metadata


class Moment(TypeDecorator[datetime]):
    """An aware moment, kept as UTC where the database knows no zones."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and value.replace(tzinfo=UTC)


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
    """Open the database and give it this version's tables; the caller fills new ones."""
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"connect_args": {"timeout": LOCK_SECONDS}}
    db.init_app(app)
    with app.app_context():
        event.listen(db.engine, "connect", _on_connect)
        event.listen(db.engine, "begin", _on_begin)


def is_current(session: Session) -> bool:
    """Whether the file has this version's tables; if not, it now has them, empty."""
    connection = session.connection()
    if connection.exec_driver_sql("PRAGMA user_version").scalar() == SCHEMA:
        return True
    Base.metadata.drop_all(connection)
    Base.metadata.create_all(connection)
    connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA}")
    return False


def _on_connect(connection: Any, _record: object) -> None:
    # sqlite3 would begin by itself, and too late: the begin event below speaks instead.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _on_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
