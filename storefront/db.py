"""The database: one metadata, UTC moments on both engines, and the one place that commits."""

import os
import sqlite3
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import ceil, inf
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    URL,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Enum,
    ExceptionContext,
    MetaData,
    String,
    event,
    literal,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DisconnectionError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Session, registry
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from storefront import clock
from storefront.clock import Deadline, TooLate, monotonic, sleep
from storefront.config import PACKAGE, HouseSettings
from storefront.places import Places

# Nobody waits longer than this for a row that somebody else holds.
LOCK_SECONDS = 5.0
BOUNDS = dict.fromkeys(("lock_timeout", "statement_timeout"), f"{LOCK_SECONDS:.0f}s")
# Whatever the server, the database or the role would have: psycopg reads moments in this style alone.
SESSION = " ".join(f"-c {name}={value}" for name, value in {**BOUNDS, "datestyle": "ISO"}.items())
# A server that lives cuts a statement off itself; what says nothing for longer is given up.
SILENT_SECONDS = LOCK_SECONDS + 1
MEMORY = ":memory:"
LOG = "log"  # which one stands beside SQLite's file, in a connection's `info`
SILENCE = "silence"  # another bound in a connection's `info`, until it is given back
DARK_SECONDS = 4  # without any sign of the other host, of its kernel even
GLANCE_SECONDS = 1.0  # for the question whether a connection still lives
RESTED_SECONDS = 1.0  # under load connections are too busy to be asked
LINK = {
    "connect_timeout": DARK_SECONDS,
    "tcp_user_timeout": DARK_SECONDS * 1000,
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": DARK_SECONDS - 1,
}

ASK_SECONDS = 0.0004  # a sale holds SQLite's one writer for a few times as long
WAIT, NO_WAIT = (f"PRAGMA busy_timeout={milliseconds}" for milliseconds in (int(LOCK_SECONDS * 1000), 0))
Upsert = sqlite.Insert | postgresql.Insert  # it can say what to do on a conflict
INSERTS: Mapping[str, Callable[[Any], Upsert]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
# Where a server, a database, a role or an address would have commits that do not wait for its disk. The other
# values all do, and may wait for a standby's as well.
DURABLE = """SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') = 'off'"""
READ_ONLY = "25006"  # an error's code (source: PostgreSQL, Error Codes)
PRIVATE = 0o600  # a database holds what buyers hold, so its file is its owner's alone
PRIMARY = 0xFF  # of an error code of SQLite, whose other bits say more (source: SQLite, Result Codes)


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


class japan_day(FunctionElement[str]):  # noqa: N801  # a function of SQL
    """The day on which a moment falls in Japan, as 2027-01-31."""

    inherit_cache = True
    type = String()


@compiles(japan_day, "sqlite")
def _by_nine_hours(element: japan_day, compiler: SQLCompiler, **more: Any) -> str:
    return f"date({compiler.process(element.clauses, **more)}, '+9 hours')"  # no clock is ever changed there


@compiles(japan_day, "postgresql")
def _by_its_zone(element: japan_day, compiler: SQLCompiler, **more: Any) -> str:
    moment = compiler.process(element.clauses, **more)
    return f"to_char({moment} AT TIME ZONE '{clock.JAPAN.key}', 'YYYY-MM-DD')"


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


# Of a table that `storefront upgrade` fills: what stands there is no shop yet.
BY_UPGRADE = {"info": {"by_upgrade": True}}
NAMES = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}

Talk = Generator[Any, Any, Any]  # psycopg's: says what it waits for, and is told what is ready

db = SQLAlchemy(metadata=MetaData(naming_convention=NAMES))
# One line for each SQLite database; who forks leaves it to the parent.
LINES: WeakKeyDictionary[Engine, Places] = WeakKeyDictionary()
os.register_at_fork(after_in_child=LINES.clear)
# Which file each SQLite database was opened in, by device and number.
OPENED: WeakKeyDictionary[Engine, tuple[int, int] | None] = WeakKeyDictionary()
NOWHERE = (-1, -1)  # once it was moved: what is there afterwards has missed what was written meanwhile


class _Migrations(Migrate):
    """In Alembic's settings a `%` stands for something else, unless there are two."""

    def get_config(self, directory: str | None = None, *rest: Any, **more: Any) -> Any:
        folder = str(directory or self.directory)
        return super().get_config(folder.replace("%", "%%"), *rest, **more)


migrate = _Migrations(directory=str(PACKAGE / "migrations"))


class Moved(SQLAlchemyError):
    """Another file stands where SQLite's was opened, or none: what is written now would be lost."""


class Model(DeclarativeBase):
    """The base of every table."""

    registry = registry(metadata=db.metadata, type_annotation_map={datetime: Moment})


def init_app(app: Flask) -> None:
    db.init_app(app)
    migrate.init_app(app, db)
    with app.app_context():
        _prepare(db.engine)


def address(settings: HouseSettings, folder: str) -> URL:
    """Where the database is; the file of a relative path is in `folder`. Nothing is made."""
    url = make_url(settings.database_url)
    scheme = "file:" if url.query.get("uri") else ""
    name = (url.database or "").removeprefix(scheme)
    if url.get_backend_name() != "sqlite" or name in ("", MEMORY):
        return url
    return url.set(database=scheme + os.path.join(folder, name))


def file_of(engine: Engine) -> Path | None:
    """The file of a SQLite database; None if it is in memory, or on a server."""
    name = (engine.url.database or "").removeprefix("file:")
    return None if engine.dialect.name != "sqlite" or name in ("", MEMORY) else Path(name)


def make_file(engine: Engine) -> None:
    """An empty file for SQLite, unless there is one. Whoever only opens a database makes none."""
    file = file_of(engine)
    if file and not file.exists():
        file = file.resolve()  # it may be a link to what is not there yet
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(PRIVATE)


def cause(error: Exception) -> str:
    """What the database itself said, in one line, without the statement."""
    said = str(getattr(error, "orig", None) or error).strip().splitlines()
    return f"{type(error).__name__}, {said[0]}" if said else type(error).__name__


def engine_options(settings: HouseSettings) -> dict[str, Any]:
    """How the engine keeps its connections."""
    silent = {"hide_parameters": True}  # of a failed statement: they may be what nobody should read
    url = make_url(settings.database_url)
    if url.get_backend_name() == "sqlite":
        in_file = url.database not in (None, "", MEMORY)
        pool = {"pool_size": settings.threads, "pool_timeout": LOCK_SECONDS} if in_file else {}
        return silent | pool
    return silent | {
        "pool_size": settings.database_pool_size,
        "max_overflow": 0,
        "pool_timeout": LOCK_SECONDS,  # who waits longer for a connection answers 503
        # Whatever the server would do by itself: who has waited for a row must see it as it is then.
        "isolation_level": "READ COMMITTED",
        "connect_args": {**LINK, "options": _session(url), "client_encoding": "UTF8"},
    }


def _session(url: URL) -> str:
    """What the address says of sessions, and what we say, which goes before."""
    theirs = url.query.get("options", ())
    return " ".join([theirs, SESSION] if isinstance(theirs, str) else [*theirs, SESSION])


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
    longest = _longest_wait(deadline)
    wait = Deadline.after(longest / 1000)
    with _turn(session.get_bind(), wait):
        try:
            connection = session.connection(execution_options={"lock_wait": _longest_wait(wait)})
            if connection.dialect.name == "postgresql" and longest < _longest_wait(None):
                _bound_waits(session, longest)
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


def clock_seconds() -> float:
    """How far this host's clock runs ahead of the database's; SQLite has no clock but the host's."""
    before = clock.now()
    theirs = db.session.scalars(select(this_moment())).one()
    return -clock.seconds_off(theirs, before, clock.now())


def fresh() -> Session:
    """The session with nothing remembered, to read what others have committed meanwhile."""
    session = db.session()
    session.rollback()
    return session


def unhurried(session: Session) -> None:
    """Let the statements of this transaction take what time they need; for what no buyer waits for."""
    if session.get_bind().dialect.name == "postgresql":
        session.connection().info[SILENCE] = inf
        session.execute(text("SET LOCAL statement_timeout = 0"))


def insert_once(session: Session, model: type[Model], **values: Any) -> bool:
    """Insert a row unless one with the same unique value stands; says whether it did."""
    statement = upsert(session, model).values(**values).on_conflict_do_nothing()
    return session.execute(statement.returning(*model.__table__.primary_key)).first() is not None


def upsert(session: Session, model: type[Model]) -> Upsert:
    """An INSERT that can say what to do on a conflict, in the engine's own dialect."""
    return INSERTS[session.get_bind().dialect.name](model)


def _longest_wait(deadline: Deadline | None) -> int:
    """Milliseconds to wait for a lock: at their end the deadline has passed, too."""
    left = LOCK_SECONDS if deadline is None else min(LOCK_SECONDS, deadline.left())
    return max(1, ceil(left * 1000))


def _turn(engine: Engine | Connection, wait: Deadline) -> AbstractContextManager[bool]:
    """SQLite has one writer: of a process only the thread that has waited longest asks for it.

    Who waits in vain asks all the same, and hears from SQLite that the database is locked.
    """
    if not isinstance(engine, Engine) or engine.dialect.name != "sqlite":
        return nullcontext(True)
    return LINES.setdefault(engine, Places(1)).one(wait.left())


def _bound_waits(session: Session, milliseconds: int) -> None:
    session.execute(
        text("SELECT set_config('lock_timeout', :ms, true), set_config('statement_timeout', :ms, true)"),
        {"ms": str(milliseconds)},
    )


def _prepare(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine)
    else:
        _prepare_postgresql(engine)


def _prepare_postgresql(engine: Engine) -> None:
    """No wait is without an end, no commit without the disk, and a restarted server costs no sale."""

    @event.listens_for(engine, "connect")
    def bound(connection: Any, record: ConnectionPoolEntry) -> None:
        wait = connection.wait

        def hear(talk: Talk, *rest: Any) -> Any:
            until = Deadline.after(record.info.get(SILENCE, SILENT_SECONDS))
            try:
                return wait(_within(until, talk), *rest)
            except TooLate:
                connection.close()
                raise engine.dialect.loaded_dbapi.OperationalError("the server is silent") from None

        connection.wait = hear
        connection.autocommit = True  # or the next rollback would take it back
        connection.execute(DURABLE)
        connection.autocommit = False

    @event.listens_for(engine, "handle_error")
    def part(context: ExceptionContext) -> None:
        """Who may only read there stays connected to a standby, while another server has become the first."""
        if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
            context.is_disconnect = True

    @event.listens_for(engine, "checkin")
    def rest(connection: Any, record: ConnectionPoolEntry) -> None:
        record.info.pop(SILENCE, None)
        record.info["resting_since"] = monotonic()

    @event.listens_for(engine, "checkout")
    def wake(connection: Any, record: ConnectionPoolEntry, proxy: Any) -> None:
        """Ask a connection that has rested whether it lives."""
        if monotonic() - record.info.get("resting_since", monotonic()) < RESTED_SECONDS:
            return
        record.info[SILENCE] = GLANCE_SECONDS
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error  # the pool then makes a new one
        del record.info[SILENCE]


def _within(until: Deadline, talk: Talk) -> Talk:
    """The same talk with the server, as psycopg holds it; TooLate once it has been silent until then."""
    heard = None
    while True:
        try:
            wish = talk.send(heard)
        except StopIteration as end:
            return end.value
        heard = yield wish  # nothing, every now and then, while there is nothing to hear
        if not heard:
            until.check()


def _prepare_sqlite(engine: Engine) -> None:
    file = file_of(engine)
    if file:
        _keep_to(file, engine)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # so that BEGIN is ours to say
        connection.create_function("this_moment", 1, _hosts_moment)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")  # NORMAL forgets sales when the power fails
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA cache_size=-16384")  # KiB: codes come at random, so do their index pages
        connection.execute(WAIT)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        lock_wait = connection.get_execution_options().get("lock_wait")
        if lock_wait:
            _begin_to_write(connection, Deadline.after(lock_wait / 1000))
        else:
            connection.exec_driver_sql("BEGIN")


def _keep_to(file: Path, engine: Engine) -> None:
    """Open the file that is there, and never another one in its place."""

    @event.listens_for(engine, "do_connect")
    def open_only(dialect: Dialect, record: ConnectionPoolEntry, names: Any, options: Any) -> None:
        if engine in OPENED:
            _check_place(file, engine, {})
        name = names[0] if options.get("uri") else file.resolve().as_uri()
        if "mode=" not in name:
            names[0] = f"{name}{'&' if '?' in name else '?'}mode=rw"
        options["uri"] = True

    @event.listens_for(engine, "checkout")
    def before_use(connection: Any, record: ConnectionPoolEntry, proxy: Any) -> None:
        _check_place(file, engine, record.info)

    @event.listens_for(engine, "commit")
    def before_commit(connection: Connection) -> None:
        _check_place(file, engine, connection.info)


def _check_place(file: Path, engine: Engine, kept: dict[Any, Any]) -> None:
    """SQLite would write on into a file that has been moved, and into a log that has been deleted."""
    target = file.resolve()  # beside which, and beside no link to it, SQLite keeps its log
    here, log = _identity(target), _identity(target.with_name(f"{target.name}-wal"))
    known = kept.get(LOG) or log  # it is there from a connection's first statement to its last
    if OPENED.setdefault(engine, here) != here or known != log:
        OPENED[engine] = NOWHERE
        raise Moved(f"{file} is not what was opened, or the log beside it is not")
    kept[LOG] = known


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _begin_to_write(connection: Connection, wait: Deadline) -> None:
    """Ask for the writer's place often: SQLite itself would sleep ever longer, and be overtaken.

    A deferred writer would fail at its first write if another came between.
    """
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.execute(NO_WAIT)
    try:
        while (trouble := _refusal(driver)) == sqlite3.SQLITE_BUSY and wait.left() > 0:
            sleep(ASK_SECONDS)
        if trouble:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # so that it is raised as any other
    finally:
        driver.execute(WAIT)


def _refusal(driver: sqlite3.Connection) -> int:
    """Begin to write, at once; why that cannot be, or 0."""
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & PRIMARY
    return sqlite3.SQLITE_OK


def _hosts_moment(seconds_ago: float) -> str:
    """As SQLAlchemy writes moments into SQLite."""
    return (clock.now() - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%d %H:%M:%S.%f")
