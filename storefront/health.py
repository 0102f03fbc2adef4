"""Whether the process lives, and whether it is fit to serve."""

import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask, Response, after_this_request, request
from flask.typing import ResponseReturnValue
from pydantic import SecretStr
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError, TimeoutError

from storefront.config import Settings, settings
from storefront.db import LOCK_SECONDS, db, migrate
from storefront.places import Places

PLAIN = {"Content-Type": "text/plain"}
MARK = "X-Storefront-Mark"
ALIVE = "/healthz"
STUCK_SECONDS = 1.0  # without anybody coming or going: so long takes no request that is served
REFUSED = "storefront.refused"
COUNTED = "metrics"  # the endpoint


def init_app(app: Flask, settings: Settings) -> None:
    app.add_url_rule(ALIVE, view_func=healthz, methods=["GET", "HEAD"])
    app.add_url_rule("/readyz", view_func=readyz, methods=["GET", "HEAD"])
    app.before_request(_refuse)
    if settings.threads > 1:
        app.wsgi_app = _with_one_to_spare(app.wsgi_app, Places(settings.threads - 1))  # type: ignore[method-assign]  # as Flask's manual has it


def healthz() -> ResponseReturnValue:
    """The process answers, and shows which shop it is."""
    return "ok\n", {**PLAIN, MARK: mark(settings(), settings().secret_key)}


def readyz() -> ResponseReturnValue:
    """The database answers and is migrated."""
    try:
        found = revision(db.session.connection())
    except SQLAlchemyError:
        return "the database does not answer\n", 503, PLAIN
    if found != head():
        return "the database is not migrated: run `storefront upgrade`\n", 503, PLAIN
    return "ready\n", PLAIN


def mark(shop: Settings, key: SecretStr) -> str:
    """The same for every process of one shop, different for any other; says nothing about the key."""
    text = f"storefront.mark {shop.public_url}"
    return hmac.new(key.get_secret_value().encode(), text.encode(), sha256).hexdigest()[:16]


def revision(connection: Connection) -> str | None:
    """The migration the database is at."""
    return MigrationContext.configure(connection).get_current_revision()


def head() -> str | None:
    """The newest migration this code knows."""
    return ScriptDirectory(migrate.directory).get_current_head()


def _with_one_to_spare(inner: Callable[..., Any], places: Places) -> Callable[..., Any]:
    """While the database hangs, and every request with it, one thread of the process stays free.

    It refuses at once whatever else comes, so that it can always say that the process lives.
    """

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] == ALIVE or not environ["wsgi.multithread"]:
            return inner(environ, start_response)
        with places.one(STUCK_SECONDS - places.still_for()) as came:
            environ[REFUSED] = not came
            return inner(environ, start_response)

    return application


def spare_the_database() -> None:
    """Nothing may wait for the database on the thread that stays free while it hangs."""
    if request.environ.get(REFUSED):
        raise TimeoutError("no request was answered for a while")


def _refuse() -> None:
    if request.endpoint == COUNTED:
        return  # its numbers are wanted just then, and those of the database it can do without
    try:
        spare_the_database()
    except TimeoutError:
        after_this_request(_later)
        raise


def _later(response: Response) -> Response:
    response.headers["Retry-After"] = f"{LOCK_SECONDS:.0f}"  # by then who waits for a lock has heard
    return response
