"""A shop begins on SQLite and goes on in PostgreSQL: all that it knows arrives as it was, or nothing does."""

import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    Enum,
    Integer,
    create_engine,
    insert,
    make_url,
    text,
)

from storefront import Settings, create_app
from storefront.db import Moment, db
from storefront.mixi.payments import Status
from tests.command import environment, run
from tests.databases import ask, new_database, on_sqlite
from tests.demo import COMMAND, wait_for
from tests.moving import file_of, move, moved, new_home, put_down
from tests.street import HANAKO, TARO, Books, Container
from tests.test_operations import state

pytestmark = on_sqlite

SENTENCE = "長い文 \\t \t \r\n ' \" \\. \\N \U0001f40d é e\u0301 " * 500
NOTED = datetime(2027, 1, 31, 23, 59, 59, 1, tzinfo=UTC)
NEVER = datetime.max.replace(tzinfo=UTC) - timedelta(hours=9)  # or the day after that would be Japan's
# Three of each kind: one in the middle, and both ends.
OF_KIND = {
    Boolean: (True, False, True),
    JSON: (12, {"ja": SENTENCE, "nul": "\0"}, [None, True, -0.1, 1e300, "007"]),
    Moment: (NOTED, datetime.min.replace(tzinfo=UTC), NEVER),
    Date: (NOTED.date(), date.min, date.max),
    BigInteger: (0, -(2**63), 2**63 - 1),
    Integer: (0, -(2**31), 2**31 - 1),
}
COUNTED = (1, 2, 2**31 - 1)  # by a sequence
# What SQLite keeps: where it is, and what it says.
REFUSED = {
    "UPDATE customer SET external_id = 'tar' || char(0) || 'o'": "customer",
    "UPDATE customer SET external_id = hex(zeroblob(40))": "line 1, column external_id",
    "UPDATE customer SET external_id = CAST(x'ff746172' AS TEXT)": "line 1 of customer",
    "UPDATE customer SET external_id = x'746172'": "line 1 of customer has not arrived",
    "UPDATE customer SET first_seen_at = 'yesterday'": "line 1 of customer",  # PostgreSQL knows what that is
    "UPDATE customer SET first_seen_at = 'tar'": "column first_seen_at",
    "UPDATE entry SET amount = 2147483648": "column amount",
    "UPDATE entry SET kind = 'tar'": "ck_entry_kind",
    "UPDATE entry SET customer_id = 9": "fk_entry_customer_id",
    "UPDATE item SET names = 'tar'": "column names",
}
# As the server does by itself, once it notices that its client has gone.
END_OTHERS = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""
ASLEEP = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event = 'PgSleep'"""
# What a database does with a row on its way in.
CHANGED, LOST, SLEPT = (
    "NEW.amount = NEW.amount + 1; RETURN NEW",
    "RETURN NULL",
    "PERFORM pg_sleep(60); RETURN NEW",
)


@pytest.fixture
def home(settings: Settings, postgresql: str, full_shelf_on_postgresql: str) -> Settings:
    """A database of PostgreSQL as `storefront upgrade` leaves it."""
    return new_home(settings, postgresql, full_shelf_on_postgresql)


@pytest.fixture
def sold(app: Flask, container: Container) -> str:
    """The code of a loaf that hanako bought; the shop then stops."""
    code = container.start("loaf")
    assert container.callback(code).text == "OK"
    put_down(app)
    return code


def test_a_shop_goes_on(app: Flask, container: Container, settings: Settings, home: Settings) -> None:
    """What was begun on SQLite is settled in PostgreSQL by mixi's callback, once, and the shop sells on."""
    sold, begun = container.start("loaf"), container.start("excalibur", TARO)
    assert container.callback(sold).text == "OK"
    with moved(app, settings, home) as shop:
        street, books = Container(shop), Books(shop)
        assert books.status(begun) is Status.CREATE
        for code, owner in ((begun, TARO), (begun, TARO), (sold, HANAKO)):
            assert street.callback(code, owner).text == "OK"
        assert (books.grants(), books.earned()) == (2, 110)
        newer = street.start("loaf", "mo3newcomer")
        assert street.callback(newer, "mo3newcomer").text == "OK"
        assert books.grants() == 3
        again = move(settings, home)
        assert (again.returncode, books.grants()) == (1, 3)
        assert "in use already" in again.stderr


@pytest.mark.long
def test_every_column(app: Flask, settings: Settings, home: Settings) -> None:
    """Both ends of time and of numbers, nothing, truths, lists, long and odd words arrive as they were."""
    with app.app_context(), db.engine.connect() as connection:
        tables = [table for table in db.metadata.sorted_tables if table.name != "fit"]
        for table in reversed(tables):
            connection.execute(table.delete())
        for table in tables:
            rows = [{one.name: value(one, number) for one in table.columns} for number in range(3)]
            connection.execute(insert(table), rows)
        connection.commit()
    before = state(app)
    put_down(app)
    done = move(settings, home)
    assert done.returncode == 0, done.stderr
    shop = create_app(home)
    assert state(shop) == before
    put_down(shop)


def value(column: Column[object], number: int) -> object:
    """Of the first row it is nothing, where that may be; rows refer to one of the same number."""
    kind = column.type
    if column.nullable and not number:
        return None
    if isinstance(kind, Enum):
        return kind.python_type(kind.enums[-number])
    if isinstance(kind, Integer) and (column.primary_key or column.foreign_keys):
        return COUNTED[number]
    for one, values in OF_KIND.items():
        if isinstance(kind, one):
            return values[number]
    return ("a", "", SENTENCE[: getattr(kind, "length", None)])[number]


@pytest.mark.long
def test_what_postgresql_refuses(
    app: Flask, sold: str, settings: Settings, home: Settings, tmp_path: Path
) -> None:
    """It is said where it is and not whom it names; nothing has changed, and the shop can still be moved."""
    target = create_app(home)
    before = state(target)
    put_down(target)
    for number, (statement, place) in enumerate(REFUSED.items()):
        file = tmp_path / f"{number}.db"
        shutil.copy(file_of(settings), file)
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("PRAGMA ignore_check_constraints=ON")
            connection.execute(statement)
        copied = file.read_bytes()
        refused = run(home, "move", str(file))
        assert (refused.returncode, file.read_bytes() == copied) == (1, True), statement
        said = refused.stderr.partition("Error: nothing was moved: ")[2]
        assert place in said, refused.stderr
        assert "customer SET external_id" not in statement or "tar" not in said
        assert state(target) == before
        put_down(target)
    with moved(app, settings, home):
        pass


@pytest.mark.long
def test_where_nothing_can_be_moved(
    app: Flask, sold: str, settings: Settings, home: Settings, postgresql: str, tmp_path: Path
) -> None:
    """Whatever is wrong with either side is told in a sentence, before anything is written."""
    file, empty, other = file_of(settings), tmp_path / "empty.db", tmp_path / "text"
    empty.touch()
    other.write_text("a copy of pg_dump's, or something else that is no database")
    old, wider = (shutil.copy(file, tmp_path / name) for name in ("old.db", "wider.db"))
    for changed, statement in (
        (old, "UPDATE alembic_version SET version_num = '0017'"),
        (wider, "ALTER TABLE customer ADD COLUMN shoe_size INTEGER"),
    ):
        with closing(sqlite3.connect(changed)) as connection, connection:
            connection.execute(statement)
    address = make_url(home.database_url)
    for source, url, said in (
        (file, settings.database_url, "the settings name SQLite"),
        (empty, home.database_url, f"{empty} has no shop in it"),
        (other, home.database_url, "file is not a database"),
        (old, home.database_url, "is at 0017, this code at"),
        (wider, home.database_url, "the same tables or columns: customer"),
        (file, new_database(postgresql, "bare"), "PostgreSQL has no shop in it"),
        (file, address.set(database="nowhere"), 'database "nowhere" does not exist'),
        (file, address.set(username="nobody"), 'role "nobody" does not exist'),
        (file, address.set(query={"host": str(tmp_path)}), "No such file or directory"),
    ):
        there = url if isinstance(url, str) else url.render_as_string(hide_password=False)
        refused = run(settings.model_copy(update={"database_url": there}), "move", str(source))
        assert refused.returncode == 1, said
        assert said in refused.stderr
    assert app.test_client().get("/readyz").text == "ready\n"  # and keeps the file open
    refused = move(settings, home)
    assert (refused.returncode, "stop the shop" in refused.stderr) == (1, True), refused.stderr


@pytest.mark.long
@pytest.mark.parametrize("what", [CHANGED, LOST])
def test_what_arrives_otherwise(sold: str, settings: Settings, home: Settings, what: str) -> None:
    """A row that PostgreSQL has made something else of, or nothing, is found before the commit."""
    on_its_way_in(home, "entry", what)
    shop = create_app(home)
    before = state(shop)
    put_down(shop)
    refused = move(settings, home)
    assert (refused.returncode, "line 1 of entry has not arrived as it was" in refused.stderr) == (1, True)
    assert state(shop) == before
    put_down(shop)


@pytest.mark.long
def test_killed_in_the_middle(
    app: Flask, sold: str, container: Container, settings: Settings, home: Settings
) -> None:
    """Meanwhile SQLite sells nothing; PostgreSQL is as before, and the shop can be moved again."""
    on_its_way_in(home, "payment", SLEPT)
    command = [COMMAND, "move", str(file_of(settings))]
    with subprocess.Popen(command, env=environment(home), stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: sleeps(home))
            assert container.callback(sold).status_code == 503
        finally:
            process.send_signal(signal.SIGKILL)
    ask(home.database_url, END_OTHERS, 'DROP TRIGGER changed ON "payment"')
    put_down(app)
    with moved(app, settings, home) as shop:
        assert Container(shop).callback(sold).text == "OK"


def on_its_way_in(home: Settings, table: str, what: str) -> None:
    """Have PostgreSQL do something with each row of a table."""
    function = f"CREATE FUNCTION changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {what}; END $$"
    trigger = f'CREATE TRIGGER changed BEFORE INSERT ON "{table}" FOR EACH ROW EXECUTE FUNCTION changed()'
    ask(home.database_url, function, trigger)


def sleeps(home: Settings) -> bool:
    engine = create_engine(home.database_url)
    with engine.connect() as connection:
        found = connection.scalar(text(ASLEEP))
    engine.dispose()
    return bool(found)
