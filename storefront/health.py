"""Whether the process lives, and whether it is fit to serve."""

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from storefront.db import db, migrate

PLAIN = {"Content-Type": "text/plain"}


def init_app(app: Flask) -> None:
    app.add_url_rule("/healthz", view_func=healthz)
    app.add_url_rule("/readyz", view_func=readyz)


def healthz() -> ResponseReturnValue:
    """The process answers."""
    return "ok\n", PLAIN


def readyz() -> ResponseReturnValue:
    """The database answers and is migrated."""
    try:
        found = MigrationContext.configure(db.session.connection()).get_current_revision()
    except SQLAlchemyError:
        return "the database does not answer\n", 503, PLAIN
    if found != head():
        return "the database is not migrated: run `storefront upgrade`\n", 503, PLAIN
    return "ready\n", PLAIN


def head() -> str | None:
    """The newest migration this code knows."""
    return ScriptDirectory(migrate.directory).get_current_head()
