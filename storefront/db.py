"""The database: one metadata, UTC moments on both engines, and the one place that commits."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import DateTime, Dialect, Engine, Enum, MetaData, event, literal, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DisconnectionError, OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Session, registry
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from storefront import clock
from storefront.clock import Deadline, TooLate, monotonic
from storefront.config import PACKAGE, Settings

# Nobody waits longer than this for a row that somebody else holds.
LOCK_SECONDS = 5.0
RESTED_SECONDS = 1.0  # under load connections are too busy to be asked
WAITS = f"-c lock_timeout={LOCK_SECONDS:.0f}s -c statement_timeout={LOCK_SECONDS:.0f}s"


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime. SQLite stores no zone, so it is taken off and put on here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class this_moment(FunctionElement[datetime]):  # noqa: N801  # a function of SQL
    """The moment at which the statement is carried out, less some seconds, by the database's own clock.

    Two hosts that write such moments agree on their order. SQLite has no clock but the host's.
    """

    inherit_cache = True
    type = Moment()

    def __init__(self, seconds_ago: float = 0) -> None:
        super().__init__(literal(float(seconds_ago)))


@compiles(this_moment, "sqlite")
def _by_the_hosts_clock(element: this_moment, compiler: SQLCompiler, **more: Any) -> str:
    return f"this_moment({compiler.process(element.clauses, **more)})"


@compiles(this_moment, "postgresql")
def _by_the_servers_clock(element: this_moment, compiler: SQLCompiler, **more: Any) -> str:
    return f"clock_timestamp() - make_interval(secs => {compiler.process(element.clauses, **more)})"


def words(kind: type[StrEnum]) -> Enum:
    """A column type that holds an enum's own words; the database refuses any other."""
    return Enum(
        kind,
        native_enum=False,
        length=16,
        create_constraint=True,
        name=kind.__name__.lower(),
        values_callable=lambda members: [member.value for member in members],
    )


NAMES = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}

db = SQLAlchemy(metadata=MetaData(naming_convention=NAMES))
migrate = Migrate(directory=str(PACKAGE / "migrations"))


class Model(DeclarativeBase):
    """The base of every table."""

    registry = registry(metadata=db.metadata, type_annotation_map={datetime: Moment})


def init_app(app: Flask) -> None:
    db.init_app(app)
    migrate.init_app(app, db)
    with app.app_context():
        _prepare(db.engine)


def engine_options(settings: Settings) -> dict[str, Any]:
    """How the engine keeps its connections."""
    silent = {"hide_parameters": True}  # of a failed statement: they may be what nobody should read
    if settings.database_url.startswith("sqlite"):
        return silent
    return silent | {
        "pool_size": settings.database_pool_size,
        "max_overflow": 0,
        "pool_timeout": LOCK_SECONDS,  # who waits longer for a connection answers 503
        "connect_args": {"connect_timeout": int(LOCK_SECONDS), "options": WAITS},
    }


@contextmanager
def transaction(deadline: Deadline | None = None) -> Iterator[Session]:
    """All of one use case, or nothing of it.

    Waits for locks no longer than the deadline leaves, and checks it as the last act before the
    commit. Raises TooLate if it has passed.
    """
    session = db.session()
    if session.new or session.dirty or session.deleted:
        raise RuntimeError("something was written outside a transaction")
    session.rollback()
    try:
        patience = _patience(deadline)
        connection = session.connection(execution_options={"patience": patience})
        if connection.dialect.name == "postgresql" and patience < _patience(None):
            _bound_waits(session, patience)
        yield session
        session.flush()
        if deadline:
            deadline.check()
        session.commit()
    except OperationalError:
        session.rollback()
        if deadline and deadline.left() <= 0:
            raise TooLate from None
        raise
    except BaseException:
        session.rollback()
        raise


def fresh() -> Session:
    """The session with nothing remembered, to read what others have committed meanwhile."""
    session = db.session()
    session.rollback()
    return session


def unhurried(session: Session) -> None:
    """Let the statements of this transaction take what time they need; for what no buyer waits for."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET LOCAL statement_timeout = 0"))


def insert_once(session: Session, model: type[Model], **values: Any) -> bool:
    """Insert a row unless one with the same unique value stands; says whether it did."""
    statement = upsert(session, model).values(**values).on_conflict_do_nothing()
    return session.execute(statement.returning(*model.__table__.primary_key)).first() is not None


def upsert(session: Session, model: type[Model]) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that can say what to do on a conflict, in the engine's own dialect."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement: sqlite.Insert | postgresql.Insert = dialect.insert(model)
    return statement


def _patience(deadline: Deadline | None) -> int:
    """Milliseconds to wait for a lock."""
    left = LOCK_SECONDS if deadline is None else min(LOCK_SECONDS, deadline.left())
    return max(1, int(left * 1000))


def _bound_waits(session: Session, milliseconds: int) -> None:
    session.execute(
        text("SELECT set_config('lock_timeout', :ms, true), set_config('statement_timeout', :ms, true)"),
        {"ms": str(milliseconds)},
    )


def _prepare(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine)
    else:
        _prepare_pool(engine)


def _prepare_pool(engine: Engine) -> None:
    """Ask a connection that has rested whether it lives: a restarted server then costs no sale."""

    @event.listens_for(engine, "checkin")
    def rest(connection: Any, record: ConnectionPoolEntry) -> None:
        record.info["resting_since"] = monotonic()

    @event.listens_for(engine, "checkout")
    def wake(connection: Any, record: ConnectionPoolEntry, proxy: Any) -> None:
        if monotonic() - record.info.get("resting_since", monotonic()) < RESTED_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error  # the pool then makes a new one


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # so that BEGIN is ours to say
        connection.create_function("this_moment", 1, _hosts_moment)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")  # NORMAL forgets sales when the power fails
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA cache_size=-16384")  # KiB: codes come at random, so do their index pages

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        patience = connection.get_execution_options().get("patience")
        driver = connection.connection.driver_connection
        driver.execute(f"PRAGMA busy_timeout={patience or _patience(None)}")
        # A deferred writer fails at its first write if another came between.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if patience else "BEGIN")


def _hosts_moment(seconds_ago: float) -> str:
    """As SQLAlchemy writes moments into SQLite."""
    return (clock.now() - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%d %H:%M:%S.%f")
