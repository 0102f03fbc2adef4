"""Migrations: from nothing, from the version before, by two processes at once, to the models exactly."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree

import flask_migrate
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from sqlalchemy import Connection, Engine, create_engine, inspect, select, text
from sqlalchemy.exc import IntegrityError

from storefront import Settings, cli, clock, create_app
from storefront.db import LOCK_SECONDS, db, migrate, transaction
from storefront.mixi.payments import Status
from storefront.shop import catalog, changes, ledger, visits
from storefront.shop.adjustments import Field
from storefront.shop.catalog import Item
from storefront.shop.devices import Device
from storefront.shop.inventory import Grant
from tests.command import run, run_apart
from tests.databases import on_postgresql, on_sqlite
from tests.demo import wait_for
from tests.street import HANAKO, Books, Container

pytestmark = [pytest.mark.long, pytest.mark.empty_database]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
# One row of each table, as the first version knew it.
ROWS = {
    "item": {
        "id": "excalibur",
        "position": 1,
        "names": '{"ja": "剣"}',
        "descriptions": '{"ja": "古い"}',
        "art": "old.svg",
        "consumable": False,
        "withdrawn": False,
    },
    "price": {"item_id": "excalibur", "channel": "mixi", "amount": 90, "unit": "point"},
    "customer": {"id": 1, "channel": "mixi", "external_id": HANAKO, "first_seen_at": NOW},
    "grant": {
        "id": 1,
        "customer_id": 1,
        "item_id": "excalibur",
        "quantity": 1,
        "key": "mixi:sold",
        "granted_at": NOW,
    },
    "entry": {
        "id": 1,
        "customer_id": 1,
        "kind": "sale",
        "amount": 90,
        "unit": "point",
        "key": "mixi:sold",
        "entered_at": NOW,
    },
    "payment": {
        "point_code": "sold",
        "customer_id": 1,
        "owner_id": HANAKO,
        "item_id": "excalibur",
        "item_name": "剣",
        "points": 90,
        "is_test": False,
        "language": "ja",
        "status": "complete",
        "created_at": NOW,
        "settled_at": NOW,
        "ok_at": NOW,
    },
    "intent": {
        "token": "t",
        "customer_id": 1,
        "item_id": "excalibur",
        "started_at": NOW,
        "failed_at": None,
        "reference": "R",
        "point_code": "sold",
        "redirect": "http://platform.test/point/1",
    },
}


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The shop on a database that is still empty."""
    app = create_app(settings)
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    engine = create_engine(settings.database_url)
    yield engine
    engine.dispose()


def differences(engine: Engine) -> list[object]:
    """What the models have and the database has not, or the other way round.

    Tables of a counter that was taken away stay, and nobody asks them.
    """
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "include_name": lambda name, kind, _: kind != "table" or name in db.metadata.tables,
            },
        )
        return list(compare_metadata(context, db.metadata))


def checks(connection: Connection) -> dict[str, set[str]]:
    """The names of the rules that the database itself keeps, by table."""
    found = inspect(connection)
    return {
        table: {str(rule["name"]) for rule in found.get_check_constraints(table)}
        for table in db.metadata.tables
    }


@pytest.mark.long
def test_two_processes_at_once(app: Flask, settings: Settings, engine: Engine) -> None:
    """Two upgrades of an empty database at the same moment both succeed, and leave one schema."""
    with ThreadPoolExecutor(2) as operators:
        runs = list(operators.map(run_apart, [settings] * 2, ["upgrade"] * 2))
    assert [run.returncode for run in runs] == [0, 0], [run.stderr[-500:] for run in runs]
    assert differences(engine) == []
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar() == 1
        items = connection.execute(text("SELECT count(*) FROM item")).scalar()
    assert app.test_client().get("/readyz").status_code == 200
    assert run(settings, "upgrade").returncode == 0
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM item")).scalar() == items


@on_postgresql
def test_while_a_backup_reads(app: Flask, settings: Settings, engine: Engine) -> None:
    """A table that is to be changed is read by somebody who takes long: sales pass, then it is changed."""
    with app.app_context():
        flask_migrate.upgrade(directory=migrate.directory, revision="0015")
    with ThreadPoolExecutor(1) as operator, reading(engine) as backup:
        upgrade = operator.submit(run, settings, "upgrade")
        wait_for(lambda: is_anybody_waiting(engine))
        for _ in range(4):
            began = clock.monotonic()
            with engine.begin() as sale:
                sale.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
                sale.execute(text('SELECT count(*) FROM "grant"'))
            assert clock.monotonic() - began < LOCK_SECONDS
            clock.sleep(1)
        assert not upgrade.done()
        backup.rollback()
        said = upgrade.result()
    assert said.returncode == 0, said.stderr
    assert "pg_dump (process " in said.stdout
    assert differences(engine) == []


@on_postgresql
def test_while_somebody_does_not_end(
    app: Flask, settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said who, and nothing has changed."""
    monkeypatch.setattr(cli, "WAIT_SECONDS", 0)
    with app.app_context():
        flask_migrate.upgrade(directory=migrate.directory, revision="0015")
    with reading(engine) as forgotten:
        said = run(settings, "upgrade")
        assert said.returncode == 1
        assert f"pg_dump (process {forgotten.scalar(text('SELECT pg_backend_pid()'))})" in said.stderr
        assert forgotten.scalar(text("SELECT version_num FROM alembic_version")) == "0015"


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Somebody has what a dump has of a table, from its beginning to its end."""
    with engine.connect() as connection:
        connection.execute(text("SET application_name = 'pg_dump'"))
        connection.execute(text('LOCK TABLE "grant" IN ACCESS SHARE MODE'))
        yield connection


WAITING = """SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
WHERE NOT granted AND datname = current_database()"""


def is_anybody_waiting(engine: Engine) -> bool:
    with engine.connect() as connection:
        return bool(connection.scalar(text(WAITING)))


def test_from_the_version_before(app: Flask, settings: Settings, engine: Engine) -> None:
    """Every row is kept as it was, the new columns say what its key did, and the shop goes on selling."""
    fill_the_version_before(app, engine)
    assert app.test_client().get("/readyz").status_code == 503
    with engine.connect() as connection:
        before = rows(connection)
    with app.app_context():
        flask_migrate.upgrade(directory=migrate.directory)
    with engine.connect() as connection:
        after = rows(connection)
        for table, old in before.items():
            (new,) = after[table]
            assert {name: new[name] for name in old[0]} == old[0]
            added = new.keys() - old[0].keys() - {"written"}  # which test_what_the_file_said looks at
            assert {new[name] for name in added} <= {None, False, "sold", "mixi", "excalibur"}
        assert after["entry"][0]["item_id"] == "excalibur"
    assert differences(engine) == []
    wait_for(
        lambda: app.test_client().get("/readyz").status_code == 200
    )  # what was found before speaks a while
    with app.app_context(), transaction() as session:
        catalog.load(session, settings.catalog)
    page = Container(app).get("/inventory")
    assert page.status_code == 200
    assert 'data-item="excalibur" data-quantity="1"' in page.text
    assert Books(app).status("sold") is Status.COMPLETE


def rows(connection: Connection) -> dict[str, list[dict[str, object]]]:
    return {
        table: [dict(row) for row in connection.execute(text(f'SELECT * FROM "{table}"')).mappings()]  # noqa: S608  # our own words
        for table in ROWS
    }


def fill_the_version_before(app: Flask, engine: Engine) -> None:
    """The schema of the version before, with a row in every table."""
    with app.app_context():
        flask_migrate.upgrade(directory=migrate.directory, revision="0001")
    with engine.begin() as connection:
        for table, row in ROWS.items():
            names, values = ", ".join(row), ", ".join(f":{name}" for name in row)
            connection.execute(text(f'INSERT INTO "{table}" ({names}) VALUES ({values})'), row)  # noqa: S608  # our own words


# What a shop of the version before sold: the key of each grant, how many, and whether its payment is a test.
SOLD = [
    ("mixi:a", 1, False),
    ("mixi:b", 1, False),
    ("void:b", -1, False),
    ("mixi:c", 1, True),
    ("mixi:d", 1, True),
    ("pay_back:d", -1, True),
    ("external:e", 1, False),
    ("use:f", -1, False),
    ("use:g", -1, False),
    ("use:h", -1, False),
    ("use:i", -1, False),
]


def test_what_was_sold_is_counted(app: Flask, engine: Engine) -> None:
    """Each grant learns whether it was a test, stocks and holdings below zero are kept; and back again."""
    fill_the_version_before(app, engine)
    with app.app_context():
        flask_migrate.upgrade(directory=migrate.directory, revision="0003")
    with engine.begin() as connection:
        connection.execute(text("UPDATE item SET stock = 9"))
        connection.execute(text('DELETE FROM "grant"'))
        for key, quantity, is_test in SOLD:
            code = key.partition(":")[2]
            if key.startswith("mixi"):
                names = ", ".join(ROWS["payment"])
                values = ", ".join(f":{name}" for name in ROWS["payment"])
                sold = {**ROWS["payment"], "point_code": code, "is_test": is_test}
                connection.execute(text(f"INSERT INTO payment ({names}) VALUES ({values})"), sold)  # noqa: S608  # our own words
            add = 'INSERT INTO "grant" (customer_id, item_id, quantity, key, granted_at)'
            given = {"quantity": quantity, "key": key, "now": NOW}
            connection.execute(text(f"{add} VALUES (1, 'excalibur', :quantity, :key, :now)"), given)
    for _ in range(2):
        with app.app_context():
            flask_migrate.upgrade(directory=migrate.directory)
        with engine.begin() as connection:
            grants = connection.execute(text('SELECT key, quantity, is_test FROM "grant" ORDER BY id')).all()
            assert [tuple(row) for row in grants] == SOLD
            assert connection.execute(text("SELECT * FROM tally")).one() == ("excalibur", 2, 1)
            assert connection.execute(text("SELECT * FROM overdrawn")).one() == (1, "excalibur")
            connection.execute(text("UPDATE payment SET refusal = 'withdrawn'"))
        assert differences(engine) == []
        with app.app_context():
            flask_migrate.downgrade(directory=migrate.directory, revision="0003")


# What the eighth version's columns say, and the keys said before.
GRANTED = {
    "mixi:a": (1, "sold"),
    "void:a": (-1, "taken_back"),
    "mixi:b": (1, "sold"),
    "test:b:sale": (-1, "recounted"),
    "test:b:test": (1, "recounted"),
    "use:c": (-1, "used"),
    "external:d": (1, "sold"),
    "chargeback:d": (-1, "taken_back"),
}
ENTERED = {
    ("sale", "mixi:a"): ("mixi", None),
    ("void", "void:a"): ("mixi", "mixi:a"),
    ("refund", "pay_back:e"): ("mixi", "mixi:e"),
    ("void", "test:b"): ("mixi", "mixi:b"),
    ("test", "test:b"): ("mixi", "mixi:b"),
    ("test", "mixi:f"): ("mixi", None),
    ("sale", "external:d"): ("external", None),
    ("refund", "chargeback:d"): ("external", "external:d"),
    ("refund", "refunded:g"): ("external", "external:g"),
}
GRANT = 'INSERT INTO "grant" (customer_id, item_id, quantity, key, is_test, granted_at)'
ENTRY = "INSERT INTO entry (customer_id, kind, amount, unit, key, entered_at)"
START = "INSERT INTO start (key, customer_id, device, opened_at) VALUES ('k', 1, 'pc', :now)"


def test_keys_of_a_counter_of_ones_own(app: Flask, engine: Engine) -> None:
    """What a counter that only a clone has sold is booked there: by its key's name, or its customer's."""
    fill_the_version_before(app, engine)
    with app.app_context():
        flask_migrate.upgrade(directory=migrate.directory, revision="0007")
    pat = "INSERT INTO customer (id, channel, external_id, first_seen_at) VALUES (2, 'arcade', 'pat', :now)"
    price = "INSERT INTO price (item_id, channel, amount, unit) VALUES ('excalibur', 'arcade', 3, 'token')"
    of_pat = ENTRY + " VALUES (2, 'refund', 3, 'token', 'returned:n1', :now)"
    of_hanako = ENTRY + " VALUES (1, 'sale', 3, 'token', 'arcade:n1', :now)"
    with engine.begin() as connection:
        for statement in ("DELETE FROM entry", pat, price, of_pat, of_hanako):
            connection.execute(text(statement), {"now": NOW} if ":now" in statement else {})
    with app.app_context():
        flask_migrate.upgrade(directory=migrate.directory)
    with engine.connect() as connection:
        entries = connection.execute(text("SELECT key, channel, \"of\" FROM entry WHERE unit = 'token'"))
        assert {tuple(row) for row in entries} == {
            ("arcade:n1", "arcade", None),
            ("returned:n1", "arcade", None),
        }


def test_what_keys_said(app: Flask, engine: Engine) -> None:
    """Grants say why, entries where and what they undo, and open visits go on; and back again."""
    fill_the_version_before(app, engine)
    with app.app_context():
        flask_migrate.upgrade(directory=migrate.directory, revision="0007")
    with engine.begin() as connection:
        connection.execute(text('DELETE FROM "grant"'))
        connection.execute(text("DELETE FROM entry"))
        for key, (quantity, _) in GRANTED.items():
            values = {"quantity": quantity, "key": key, "no": False, "now": NOW}
            connection.execute(text(f"{GRANT} VALUES (1, 'excalibur', :quantity, :key, :no, :now)"), values)
        for kind, key in ENTERED:
            values = {"kind": kind, "key": key, "now": NOW}
            connection.execute(text(f"{ENTRY} VALUES (1, :kind, 90, 'point', :key, :now)"), values)
        connection.execute(text(START), {"now": clock.now()})
    for _ in range(2):
        with app.app_context():
            flask_migrate.upgrade(directory=migrate.directory)
            opened = visits.find("k", None, clock.now())
            assert opened is not None
            assert (opened.customer.external_id, opened.device) == (HANAKO, Device.PC)
            db.session.remove()
        assert differences(engine) == []
        with engine.connect() as connection:
            grants = connection.execute(text('SELECT key, quantity, kind FROM "grant"'))
            assert {row.key: (row.quantity, row.kind) for row in grants} == GRANTED
            entries = connection.execute(text('SELECT kind, key, channel, "of" FROM entry'))
            assert {(row.kind, row.key): (row.channel, row[3]) for row in entries} == ENTERED
            assert connection.scalar(text("SELECT key FROM start")) == "k"
        with app.app_context():
            flask_migrate.downgrade(directory=migrate.directory, revision="0007")
        with engine.connect() as connection:
            assert connection.execute(text("SELECT key, device FROM start")).one() == ("k", "pc")
            assert connection.scalar(text('SELECT count(*) FROM "grant"')) == len(GRANTED)


def test_filled_at_every_version(app: Flask, engine: Engine) -> None:
    """What each earlier version has written is there after all upgrades, and the shop sells from it."""
    fill_the_version_before(app, engine)
    for number in range(2, 8):
        with app.app_context():
            flask_migrate.upgrade(directory=migrate.directory, revision=f"000{number}")
        with engine.begin() as connection:
            sale = {**ROWS["entry"], "id": number, "key": f"mixi:{number}"}
            names, values = ", ".join(sale), ", ".join(f":{name}" for name in sale)
            connection.execute(text(f"INSERT INTO entry ({names}) VALUES ({values})"), sale)  # noqa: S608  # our own words
    with app.app_context():
        flask_migrate.upgrade(directory=migrate.directory)
        assert next((one.channel, one.count, one.amount) for one in ledger.totals()) == ("mixi", 7, 630)
        db.session.remove()
    assert differences(engine) == []
    assert app.test_client().get("/readyz").status_code == 200


# What the twelfth version's kinds say, and what is left of them in the one before.
CORRECTED = {
    "hand:a": ("given", "given", "sold", "sale"),
    "hand:b": ("taken", "taken", "taken_back", "void"),
    "hand:c": (None, "struck", None, "void"),
}


def test_put_right_by_hand(app: Flask, engine: Engine) -> None:
    """From a filled database of the version before, and back: every sum stays, whatever its kind."""
    fill_the_version_before(app, engine)
    with app.app_context():
        flask_migrate.upgrade(directory=migrate.directory, revision="0011")
    with engine.begin() as connection:
        login = "INSERT INTO operator_login (nonce, opened_at) VALUES ('n', :now)"
        connection.execute(text(login), {"now": NOW})
    with app.app_context():
        flask_migrate.upgrade(directory=migrate.directory)
    assert differences(engine) == []
    entry = (
        "INSERT INTO entry (customer_id, channel, kind, amount, unit, key, entered_at)"
        " VALUES (1, 'mixi', :kind, 5, 'point', :key, :now)"
    )
    grant = (
        'INSERT INTO "grant" (customer_id, item_id, kind, quantity, key, is_test, granted_at)'
        " VALUES (1, 'excalibur', :kind, 1, :key, :no, :now)"
    )
    with engine.begin() as connection:
        connection.execute(text('DELETE FROM "grant"'))
        connection.execute(text("DELETE FROM entry"))
        for key, (granted, entered, *_) in CORRECTED.items():
            connection.execute(text(entry), {"kind": entered, "key": key, "now": NOW})
            if granted:
                values = {"kind": granted, "key": key, "no": False, "now": NOW}
                connection.execute(text(grant), values)
    with app.app_context():
        flask_migrate.downgrade(directory=migrate.directory, revision="0011")
    with engine.connect() as connection:
        entries = connection.execute(text("SELECT key, kind FROM entry WHERE key LIKE 'hand:%'"))
        assert {row.key: row.kind for row in entries} == {
            key: entered for key, (*_, entered) in CORRECTED.items()
        }
        grants = connection.execute(text("SELECT key, kind FROM \"grant\" WHERE key LIKE 'hand:%'"))
        assert {row.key: row.kind for row in grants} == {
            key: granted for key, (*_, granted, _) in CORRECTED.items() if granted
        }
        assert connection.scalar(text("SELECT nonce FROM operator_login")) == "n"
    with app.app_context():
        flask_migrate.upgrade(directory=migrate.directory)
    assert differences(engine) == []


def test_what_the_file_said(app: Flask, engine: Engine) -> None:
    """Of each item of a filled shop it is written down, to the second, and nothing is set; and back again."""
    fill_the_version_before(app, engine)
    with app.app_context():
        flask_migrate.upgrade(directory=migrate.directory, revision="0013")
    with engine.begin() as connection:
        window = "UPDATE item SET stock = 5, on_sale_until = :now"
        connection.execute(
            text(window), {"now": NOW if engine.dialect.name == "postgresql" else str(NOW)[:19]}
        )
        connection.execute(text("UPDATE payment SET refusal = 'over'"))
    for _ in range(2):
        with app.app_context():
            flask_migrate.upgrade(directory=migrate.directory)
            item = db.session.get_one(Item, "excalibur")
            said = {
                Field.STOCK: 5,
                Field.PER_CUSTOMER: None,
                Field.ON_SALE_FROM: None,
                Field.ON_SALE_UNTIL: NOW,
            }
            assert item.said_in_file == said
            assert (item.paused, item.stock, item.on_sale_until) == (False, 5, NOW)
            db.session.remove()
        assert differences(engine) == []
        with engine.begin() as connection:
            connection.execute(text("UPDATE payment SET refusal = 'paused'"))
        with app.app_context():
            flask_migrate.downgrade(directory=migrate.directory, revision="0013")
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT refusal FROM payment")) is None


FORBIDDEN = [
    "UPDATE payment SET status = 'sold'",
    "UPDATE payment SET refusal = 'no wish'",
    "UPDATE entry SET kind = 'gift'",
    """UPDATE "grant" SET kind = 'found'""",
    'INSERT INTO "grant" (id, customer_id, item_id, kind, quantity, key, is_test, granted_at)'
    ' SELECT 2, customer_id, item_id, kind, quantity, key, is_test, granted_at FROM "grant"',
    "INSERT INTO entry (id, customer_id, channel, kind, amount, unit, key, entered_at)"
    " SELECT 2, customer_id, channel, kind, amount, unit, key, entered_at FROM entry",
    "INSERT INTO customer (id, channel, external_id, first_seen_at)"
    " SELECT 2, channel, external_id, first_seen_at FROM customer",
    "INSERT INTO payment SELECT * FROM payment",
    "INSERT INTO intent SELECT * FROM intent",
]


def test_what_the_database_refuses(app: Flask, engine: Engine) -> None:
    """After the migrations the database still refuses what no code should ever write."""
    fill_the_version_before(app, engine)
    with app.app_context():
        flask_migrate.upgrade(directory=migrate.directory)
    with engine.begin() as connection:
        connection.execute(text("UPDATE entry SET kind = 'void'"))  # a word that is new since then
        assert checks(connection)["payment"] >= {"ck_payment_status", "ck_payment_reason"}
    for statement in FORBIDDEN:
        with engine.connect() as connection, pytest.raises(IntegrityError):
            connection.execute(text(statement))


# As alembic before 1.20 left it on SQLite: beside the rule of today the one of the first version.
LEFT = "CONSTRAINT reason CHECK (refusal IN ('sold_out', 'limit_reached', 'over')), CONSTRAINT"


def leave_a_check(engine: Engine) -> None:
    """Put the old rule back into the table, where no ALTER could."""
    file = sqlite3.connect(str(engine.url.database))
    with closing(file), file:
        file.execute("PRAGMA writable_schema = ON")
        file.execute(
            "UPDATE sqlite_master SET sql = substr(sql, 1, instr(sql, 'CONSTRAINT') - 1) || ?"
            " || substr(sql, instr(sql, 'CONSTRAINT') + length('CONSTRAINT')) WHERE name = 'payment'",
            [LEFT],
        )
    engine.dispose()


@on_sqlite
def test_a_check_that_was_left_behind(app: Flask, engine: Engine) -> None:
    """The rule that alembic of old did not take away is taken away, with every row and every other rule."""
    fill_the_version_before(app, engine)
    with app.app_context():
        flask_migrate.upgrade(directory=migrate.directory, revision="0005")
    leave_a_check(engine)
    with engine.connect() as connection, pytest.raises(IntegrityError):
        connection.execute(text("UPDATE payment SET refusal = 'withdrawn'"))
    with app.app_context():
        flask_migrate.upgrade(directory=migrate.directory)
    with engine.begin() as connection:
        connection.execute(text("UPDATE payment SET refusal = 'withdrawn'"))
        names = [rule["name"] for rule in inspect(connection).get_check_constraints("payment")]
        assert sorted(map(str, names)) == ["ck_payment_device", "ck_payment_reason", "ck_payment_status"]
        assert {index["name"] for index in inspect(connection).get_indexes("payment")} == {
            index.name for index in db.metadata.tables["payment"].indexes
        }
        assert connection.scalar(text("SELECT count(*) FROM payment")) == 1
    assert differences(engine) == []


@on_sqlite
def test_a_folder_of_any_name(app: Flask, tmp_path: Path) -> None:
    """A checkout may stand below a folder with a `%` in its name."""
    folder = tmp_path / "feature%2Fshop 100%" / "migrations"
    copytree(str(migrate.directory), folder)
    with app.app_context():
        flask_migrate.upgrade(directory=str(folder))
        assert inspect(db.engine).has_table("item")


# What is taken back or recounted, and the sale that this is of: as its entry says, or as the key itself does.
OF = {
    "mixi:a": None,
    "void:a": "mixi:a",
    "mixi:b": None,
    "test:b:sale": "mixi:b",
    "test:b:test": "mixi:b",
    "chargeback:d": "external:d",
    "colorme:con:2027-01-01:1": None,
    "undone:colorme:con:2027-01-01:1": "colorme:con:2027-01-01:1",
    "undone:another's": "another's",
    "use:c": None,
}
GRANT_0015 = 'INSERT INTO "grant" (customer_id, item_id, kind, quantity, key, is_test, granted_at)'
KINDS = {
    "void": "taken_back",
    "chargeback": "taken_back",
    "undone": "taken_back",
    "test": "recounted",
    "use": "used",
}
ENTRY_0015 = 'INSERT INTO entry (customer_id, channel, kind, amount, unit, key, "of", entered_at)'


def test_what_a_taking_back_is_of(app: Flask, engine: Engine) -> None:
    """Grants of before name their sale as later ones do, and none has a place until somebody follows them."""
    fill_the_version_before(app, engine)
    with app.app_context():
        flask_migrate.upgrade(directory=migrate.directory, revision="0015")
    with engine.begin() as connection:
        connection.execute(text('DELETE FROM "grant"'))
        connection.execute(text("DELETE FROM entry"))
        for key in OF:
            values = {"kind": KINDS.get(key.partition(":")[0], "sold"), "key": key, "no": False, "now": NOW}
            connection.execute(
                text(f"{GRANT_0015} VALUES (1, 'excalibur', :kind, 1, :key, :no, :now)"), values
            )
        for kind, (channel, sale) in ENTERED.items():
            values = {"kind": kind[0], "key": kind[1], "channel": channel, "of": sale, "now": NOW}
            statement = f"{ENTRY_0015} VALUES (1, :channel, :kind, 90, 'point', :key, :of, :now)"
            connection.execute(text(statement), values)
    for _ in range(2):
        with app.app_context():
            flask_migrate.upgrade(directory=migrate.directory)
            assert dict(db.session.execute(select(Grant.key, Grant.of)).all()) == OF
            assert changes.count_following(0, 99) == len(OF)
            assert [one.key for one in changes.following(0, 99)[0]] == list(OF)
            db.session.remove()
            flask_migrate.downgrade(directory=migrate.directory, revision="0015")
