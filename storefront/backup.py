"""A copy of a SQLite database while the shop goes on selling."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from storefront import health
from storefront.db import PRIVATE, cause, db


class NotPossible(Exception):
    """No copy was made; says why, and what to do instead."""


def backup(file: Path) -> int:
    """Copy the database, as it stands at one moment, into a new `file`; returns its size in bytes.

    Raises NotPossible. An existing file is never touched.
    """
    if db.engine.dialect.name != "sqlite":
        raise NotPossible(
            "this shop is on PostgreSQL: use pg_dump --format=custom, as storefront/README.md says"
        )
    _check_shop()
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE))
    except FileExistsError:
        raise NotPossible(f"{file} exists, and a backup overwrites nothing: choose another name") from None
    except OSError as error:
        raise NotPossible(f"{file} cannot be written: {error.strerror}") from None
    try:
        _copy(file)
    except BaseException:
        file.unlink()
        raise
    return file.stat().st_size


def _check_shop() -> None:
    """A copy of nothing would be taken for a backup."""
    where = db.engine.url.database
    try:
        with db.engine.connect() as connection:
            found = health.revision(connection)
    except SQLAlchemyError as error:
        raise NotPossible(f"{where} cannot be read: {cause(error)}") from None
    if found is None:
        raise NotPossible(f"no shop is in {where}: name its database in STOREFRONT_DATABASE_URL")


def _copy(file: Path) -> None:
    pooled = db.engine.raw_connection()
    try:
        source = pooled.driver_connection
        assert isinstance(source, sqlite3.Connection)
        with closing(sqlite3.connect(file)) as target:
            source.backup(target)  # all pages in one step: one moment, and no writer waits
            target.execute("PRAGMA journal_mode=DELETE")  # one file, with no log beside it
            found = target.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.Error as error:
        raise NotPossible(f"the database could not be copied: {error}") from None
    finally:
        pooled.close()
    if found != "ok":
        raise NotPossible(f"the copy is damaged, and so may be the database: {found}")
