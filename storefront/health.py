"""Whether the process lives, and whether it is fit to serve."""

import hmac
from hashlib import sha256

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from storefront.config import Settings, settings
from storefront.db import db, migrate

PLAIN = {"Content-Type": "text/plain"}
MARK = "X-Storefront-Mark"


def init_app(app: Flask) -> None:
    app.add_url_rule("/healthz", view_func=healthz, methods=["GET", "HEAD"])
    app.add_url_rule("/readyz", view_func=readyz, methods=["GET", "HEAD"])


def healthz() -> ResponseReturnValue:
    """The process answers, and shows which shop it is."""
    return "ok\n", {**PLAIN, MARK: mark(settings())}


def readyz() -> ResponseReturnValue:
    """The database answers and is migrated."""
    try:
        found = revision(db.session.connection())
    except SQLAlchemyError:
        return "the database does not answer\n", 503, PLAIN
    if found != head():
        return "the database is not migrated: run `storefront upgrade`\n", 503, PLAIN
    return "ready\n", PLAIN


def mark(shop: Settings) -> str:
    """The same for every process of one shop, different for any other; says nothing about the key."""
    text = f"storefront.mark {shop.public_url}"
    return hmac.new(shop.secret_key.get_secret_value().encode(), text.encode(), sha256).hexdigest()[:16]


def revision(connection: Connection) -> str | None:
    """The migration the database is at."""
    return MigrationContext.configure(connection).get_current_revision()


def head() -> str | None:
    """The newest migration this code knows."""
    return ScriptDirectory(migrate.directory).get_current_head()
