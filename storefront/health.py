"""Whether the process lives, and whether it is able to sell."""

import hmac
from collections.abc import Callable
from datetime import datetime
from functools import cache
from hashlib import sha256
from math import inf
from threading import Lock
from typing import Any, NamedTuple

import structlog
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask, Response, after_this_request, current_app, request
from flask.typing import ResponseReturnValue
from pydantic import SecretStr
from sqlalchemy import Connection, String, select, text, update
from sqlalchemy.exc import SQLAlchemyError, TimeoutError
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.clock import Deadline, TooLate, monotonic
from storefront.config import HouseSettings, settings
from storefront.db import BY_UPGRADE, LOCK_SECONDS, Model, Moved, cause, migrate, this_moment, transaction
from storefront.places import Places

PLAIN = {"Content-Type": "text/plain"}
MARK = "X-Storefront-Mark"
HEARD = {"query": "X-Storefront-Query", "authorization": "X-Storefront-Authorization"}
ALIVE = "/healthz"
TRY_SECONDS = 2.0  # for all that a try takes; a sale has the same wait for a lock, and more
KEPT_SECONDS = 1.0  # so long what was found speaks for others, so that asking costs no sale and no thread
READINESS = "storefront.readiness"
STUCK_SECONDS = 1.0  # without anybody coming or going: so long takes no request that is served
REFUSED = "storefront.refused"
COUNTED = "metrics"  # the endpoint
# More than work_mem holds goes to the server's disk: a row that fits into an old page shows no full one.
SPILL = "SET LOCAL work_mem = '64kB'; SELECT count(*) FROM generate_series(1, 20000)"

log = structlog.get_logger()


class Pulse(Model):
    """The one row that is written to find out whether a sale could be."""

    __tablename__ = "pulse"
    __table_args__ = BY_UPGRADE

    id: Mapped[int] = mapped_column(primary_key=True)
    beat_at: Mapped[datetime]


class Fit(Model):
    """A revision whose code can live with the database as it is; the migrations keep the list."""

    __tablename__ = "fit"
    __table_args__ = BY_UPGRADE

    revision: Mapped[str] = mapped_column(String(32), primary_key=True)


class Trouble(NamedTuple):
    """What is in the way of a sale, and what to do."""

    found: str
    advice: str
    cause: str = ""  # in the database's words, which are not for strangers


DOCTOR = "`storefront doctor` says more"
LOCKED = Trouble(
    "the database was locked or silent for too long",
    DOCTOR,
    "another program writes into it and does not end, or its host is slow: look who has it open",
)


class Readiness:
    """What was found when it was last tried to sell. One tries, the others wait for it a while."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._tried = -inf
        self._found: Trouble | None = None

    def trouble(self) -> Trouble | None:
        if not self._lock.acquire(timeout=TRY_SECONDS):
            return LOCKED
        try:
            if monotonic() - self._tried >= KEPT_SECONDS:
                self._found = try_to_sell()
                self._tried = monotonic()
            return self._found
        finally:
            self._lock.release()


def init_app(app: Flask, settings: HouseSettings) -> None:
    known()  # now, since a deployment may change the files below a process that runs
    app.extensions[READINESS] = Readiness()
    app.add_url_rule(ALIVE, view_func=healthz, methods=["GET", "HEAD"])
    app.add_url_rule("/readyz", view_func=readyz, methods=["GET", "HEAD"])
    app.before_request(_refuse)
    if settings.threads > 1:
        app.wsgi_app = _with_one_to_spare(app.wsgi_app, Places(settings.threads - 1))  # type: ignore[method-assign]  # as Flask's manual has it


def healthz() -> ResponseReturnValue:
    """The process answers, and shows which shop it is and what has come through to it."""
    came = {
        "query": request.query_string.decode("latin-1"),
        "authorization": request.headers.get("Authorization", ""),
    }
    heard = {HEARD[part]: trace(words) for part, words in came.items()}
    return "ok\n", {**PLAIN, MARK: mark(settings(), settings().secret_key), **heard}


def readyz() -> ResponseReturnValue:
    """What a sale needs was tried, and could be done."""
    trouble: Trouble | None = current_app.extensions[READINESS].trouble()
    if trouble:
        log.error("not ready", found=trouble.found, cause=trouble.cause)
        return f"{trouble.found}: {trouble.advice}\n", 503, PLAIN
    return "ready\n", PLAIN


def try_to_sell() -> Trouble | None:
    """Write and commit as a sale does, on a database of a revision that this code can live with."""
    try:
        with transaction(Deadline.after(TRY_SECONDS)) as session:
            unfit = misfit(session.connection())
            if unfit is None:
                _beat(session)
            return unfit
    except Moved as error:
        moved = "SQLite's file was moved or replaced, or the log beside it"
        return Trouble(moved, "start the shop again; until then no sale is answered OK", str(error))
    except TooLate:
        return LOCKED
    except SQLAlchemyError as error:
        return Trouble("the database does not answer, or cannot be written", DOCTOR, cause(error))


def misfit(connection: Connection) -> Trouble | None:
    """Why this code cannot live with the database's revision; None if it can."""
    found, head = revision(connection), known()[0]
    if found == head:
        return None
    if found is None or found in known():
        at = f"the database is at {found or 'none'}, this code at {head}"
        return Trouble(at, "run `storefront upgrade` before serving")
    if connection.scalar(select(Fit.revision).filter_by(revision=head)):
        return None
    return Trouble(
        f"the database is at {found}, which is too new for this code, at {head}",
        f"deploy the version that brought {found}, or restore the backup from before it",
    )


def mark(shop: HouseSettings, key: SecretStr) -> str:
    """The same for every process of one shop, different for any other; says nothing about the key."""
    text = f"storefront.mark {shop.public_url}"
    return hmac.new(key.get_secret_value().encode(), text.encode(), sha256).hexdigest()[:16]


def trace(words: str) -> str:
    """The same for the same words: whoever sent them learns whether they came through as they were."""
    return sha256(words.encode()).hexdigest()[:16]


def revision(connection: Connection) -> str | None:
    """The migration the database is at."""
    return MigrationContext.configure(connection).get_current_revision()


@cache
def known() -> tuple[str, ...]:
    """The migrations this code knows, the newest first; read from the disk once."""
    return tuple(script.revision for script in ScriptDirectory(migrate.directory).walk_revisions())


def _beat(session: Session) -> None:
    """Whose row another try holds need not wait for it: then it was just written."""
    mine = select(Pulse.id).with_for_update(skip_locked=True)
    beat = update(Pulse).where(Pulse.id.in_(mine)).values(beat_at=this_moment())
    session.execute(beat, execution_options={"synchronize_session": False})
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(SPILL))


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
