"""From SQLite to PostgreSQL: every row of a shop, as it was, in one transaction; or none.

SQLite keeps what PostgreSQL refuses, and each writes moments and truths in its own way. So what has arrived
is read again, and held against what was sent, before the commit.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    DateTime,
    Engine,
    Integer,
    MetaData,
    Row,
    Select,
    StaticPool,
    String,
    Table,
    cast,
    collate,
    create_engine,
    func,
    inspect,
    select,
    text,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import REGCLASS
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import NULLTYPE

from storefront import health
from storefront.db import BY_UPGRADE, Moment, cause, db, transaction, unhurried

VERSION = "alembic_version"  # says the same on both sides, or nothing is moved
ROW, TEXT = ": ", " with text "  # behind these words PostgreSQL, and SQLite, tell what a row says


class NotMoved(Exception):
    """Nothing was moved; says why, and what to do."""


def move(file: Path) -> Sequence[str]:
    """Fill the shop's PostgreSQL database from a SQLite file; says in lines what has arrived.

    The file is only read, and nobody else opens it meanwhile. Raises NotMoved.
    """
    if db.engine.dialect.name == "sqlite":
        raise NotMoved("the settings name SQLite: name the PostgreSQL database in STOREFRONT_DATABASE_URL")
    with _alone(file) as source, transaction() as session:
        unhurried(session)
        target = session.connection()
        target.execute(text("SET LOCAL timezone TO 'UTC'"))  # SQLite's moments name no zone
        for name, side in ((str(file), source), ("PostgreSQL", target)):
            _check_revision(name, health.revision(side))
        tables = _tables(source, target)
        _clear(target, tables)
        counts = {table.name: _carry(source, target, table) for table in tables}
        _go_on(target, tables)
        rows = [f"{count:12,}  {name}" for name, count in counts.items() if count]
        return [*rows, *_book(source, target, tables)]


@contextmanager
def _alone(file: Path) -> Iterator[Connection]:
    """The file, which nobody else has open, as a shop that runs has."""
    creator = partial(sqlite3.connect, f"{file.resolve().as_uri()}?mode=rw", uri=True)
    engine = create_engine("sqlite://", creator=creator, poolclass=StaticPool)
    try:
        with _locked(engine, file) as connection:
            yield connection
    finally:
        engine.dispose()


def _locked(engine: Engine, file: Path) -> Connection:
    try:
        connection = engine.connect()
        for words in ("PRAGMA locking_mode=EXCLUSIVE", "BEGIN EXCLUSIVE", "PRAGMA query_only=ON"):
            connection.exec_driver_sql(words)
    except SQLAlchemyError as error:
        advice = "stop the shop, and whatever else has it open"
        raise NotMoved(f"{file} cannot be had alone: {cause(error)}; {advice}") from None
    return connection


def _check_revision(name: str, found: str | None) -> None:
    head = health.known()[0]
    if found != head:
        at = f"is at {found}, this code at {head}" if found else "has no shop in it"
        raise NotMoved(f"{name} {at}: run `storefront upgrade` on it first")


def _tables(source: Connection, target: Connection) -> Sequence[Table]:
    """Those of the file, as PostgreSQL has them, each behind those that it refers to.

    Not the code's: a counter that was taken away leaves its tables behind, and they are moved, too.
    """
    sent, there = _columns(source), _columns(target)
    del sent[VERSION]
    if other := sorted(name for name, columns in sent.items() if there.get(name) != columns):
        raise NotMoved(f"PostgreSQL does not have the same tables or columns: {', '.join(other)}")
    known = MetaData()
    known.reflect(target, only=list(sent))
    for column in (column for table in known.sorted_tables for column in table.columns):
        if isinstance(column.type, DateTime):
            column.type = Moment()
    return known.sorted_tables


def _columns(side: Connection) -> dict[str, set[str]]:
    found = inspect(side).get_multi_columns()
    return {name: {column["name"] for column in columns} for (_, name), columns in found.items()}


def _clear(target: Connection, tables: Sequence[Table]) -> None:
    """Take out what `storefront upgrade` has put in, while nobody sells there; if there is more, nothing."""
    names = ", ".join(_quoted(target, table) for table in tables)
    target.execute(text(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE"))
    in_use = [table for table in tables if not _is_by_upgrade(table)]
    if full := [table.name for table in in_use if target.scalar(select(1).select_from(table).limit(1))]:
        raise NotMoved(f"PostgreSQL is in use already, see {', '.join(full)}: name a new database")
    target.execute(text(f"TRUNCATE {names}"))


def _is_by_upgrade(table: Table) -> bool:
    known = db.metadata.tables.get(table.name)
    return known is not None and BY_UPGRADE["info"].items() <= known.info.items()


def _carry(source: Connection, target: Connection, table: Table) -> int:
    """All rows of a table; how many, once both sides say the same of each."""
    _send(source, target, table)
    line, both = 0, (_rows(side, table, select(table)) for side in (source, target))
    for sent, arrived in zip_longest(*both):
        line += 1
        if sent != arrived:
            raise NotMoved(f"line {line} of {table.name} has not arrived as it was")
    return line


def _send(source: Connection, target: Connection, table: Table) -> None:
    """Exactly as SQLite keeps them; PostgreSQL then reads them in its own way."""
    kept = select(*[type_coerce(column, NULLTYPE) for column in table.columns])
    columns = ", ".join(map(target.dialect.identifier_preparer.format_column, table.columns))
    cursor: Any = target.connection.cursor()
    line = 1
    try:
        with cursor.copy(f"COPY {_quoted(target, table)} ({columns}) FROM STDIN") as copy:
            for row in _rows(source, table, kept):
                copy.write_row(row)
                line += 1
    except target.dialect.loaded_dbapi.Error as error:
        told = error.diag.context or f"{table.name}, up to line {line}"
        place = told.splitlines()[-1].partition(ROW)[0]
        raise NotMoved(f"PostgreSQL refuses what SQLite has in {place}: {cause(error)}") from None


def _rows(side: Connection, table: Table, query: Select[*tuple[Any, ...]]) -> Iterator[Row[*tuple[Any, ...]]]:
    """In the sequence of their keys, byte by byte on both sides."""
    is_sqlite = side.dialect.name == "sqlite"
    keys = [
        key if is_sqlite or not isinstance(key.type, String) else collate(key, "C")
        for key in table.primary_key
    ]
    line = 1
    try:
        for row in side.execute(query.order_by(*keys), execution_options={"stream_results": not is_sqlite}):
            yield row
            line += 1
    except (SQLAlchemyError, ValueError) as error:
        found = cause(error).partition(TEXT)[0]
        raise NotMoved(f"line {line} of {table.name} cannot be read: {found}") from None


def _go_on(target: Connection, tables: Sequence[Table]) -> None:
    """New rows are counted on from the last, and PostgreSQL knows how many there are."""
    for table in tables:
        for column in (column for column in table.primary_key if isinstance(column.type, Integer)):
            sequence = cast(func.pg_get_serial_sequence(_quoted(target, table), column.name), REGCLASS)
            target.execute(select(func.setval(sequence, func.max(column))))
        target.execute(text(f"ANALYZE {_quoted(target, table)}"))


def _book(source: Connection, target: Connection, tables: Sequence[Table]) -> Sequence[str]:
    """What the ledger comes to at each counter, by the reckoning of either."""
    entry = next(table.c for table in tables if table.name == "entry")
    kept = (entry.channel, entry.unit)
    query = select(*kept, func.sum(entry.amount)).group_by(*kept)
    sent, arrived = ({tuple(row) for row in side.execute(query)} for side in (source, target))
    if sent != arrived:
        raise NotMoved("the ledger does not come to the same")
    return [f"{amount:12,}  {unit} in the ledger of {channel}" for channel, unit, amount in sorted(arrived)]


def _quoted(side: Connection, table: Table) -> str:
    return side.dialect.identifier_preparer.format_table(table)
