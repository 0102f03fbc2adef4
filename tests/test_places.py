"""Places for threads, and the one place of SQLite's writer: first come, first served, and never for ever."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from storefront import db as database
from storefront.clock import Deadline, TooLate
from storefront.db import db, transaction
from storefront.places import Places
from tests.databases import on_sqlite
from tests.demo import wait_for

CROWD = 12
FOREVER = 60.0


def waiting(places: Places) -> int:
    return len(places._line)


def in_line(places: Places, act: Callable[[int], None]) -> list[threading.Thread]:
    """A crowd of threads that come one after the other, each when the one before it stands in line."""
    crowd = []
    for number in range(CROWD):
        crowd.append(threading.Thread(target=act, args=(number,)))
        crowd[-1].start()
        wait_for(lambda: waiting(places) == len(crowd) + 1)
    return crowd


def test_first_come_first_served() -> None:
    """Threads are let in in the order in which they came, one when one leaves."""
    places, served = Places(1), list[int]()

    def act(number: int) -> None:
        with places.one(FOREVER) as came:
            assert came
            served.append(number)

    with places.one(0):
        crowd = in_line(places, act)
        assert served == []
    for thread in crowd:
        thread.join()
    assert served == list(range(CROWD))


def test_so_many_at_once() -> None:
    """As many as there are places; the next is told, within its time, that there is none."""
    places = Places(2)
    with places.one(0) as first, places.one(0) as second, places.one(0) as third:
        assert (first, second, third) == (True, True, False)
    with places.one(0) as again:
        assert again


def test_who_gives_up_leaves_the_line() -> None:
    """Whoever waited in vain, or failed inside, holds nobody up."""
    places = Places(1)

    def fail(comes: bool) -> None:
        with places.one(0.01) as came:
            assert came == comes
            raise ZeroDivisionError

    with places.one(0), pytest.raises(ZeroDivisionError):
        fail(comes=False)
    with pytest.raises(ZeroDivisionError):
        fail(comes=True)
    assert waiting(places) == 0
    with places.one(0) as came:
        assert came


def test_who_waits_in_vain_moves_nothing() -> None:
    """Whether anything moves is told by those who come in and leave, not by those who are sent away."""
    places = Places(1)
    with places.one(0):
        wait_for(lambda: places.still_for() > 0.05)
        with places.one(0):
            pass
        assert places.still_for() > 0.05
    assert places.still_for() < 0.05


@on_sqlite
def test_writers_stand_in_line(app: Flask) -> None:
    """Of the transactions of one process that wait to write, the one that came first writes first."""
    written: list[int] = []

    def write(number: int) -> None:
        with app.app_context(), transaction() as session:
            session.execute(text("UPDATE item SET id = id"))
            written.append(number)

    with app.app_context():
        line = database.LINES.setdefault(db.engine, Places(1))
        with transaction():
            crowd = in_line(line, write)
            assert written == []
        for thread in crowd:
            thread.join()
    assert written == list(range(CROWD))


@on_sqlite
def test_one_of_a_process_asks(app: Flask, asking: list[int]) -> None:
    """While another process writes, one thread of ours asks for its turn; the others wait in line."""

    def write() -> None:
        with app.app_context(), transaction():
            pass

    with app.app_context(), other_writer() as other, ThreadPoolExecutor(CROWD) as threads:
        writing = [threads.submit(write) for _ in range(CROWD)]
        line = database.LINES.setdefault(db.engine, Places(1))
        wait_for(lambda: waiting(line) == CROWD and len(asking) > CROWD)
        assert len(set(asking)) == 1
        other.execute("COMMIT")
        for each in writing:
            each.result()


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The thread of every question to SQLite whether it may write."""
    threads: list[int] = []
    refusal = database._refusal

    def seen(driver: sqlite3.Connection) -> int:
        threads.append(threading.get_ident())
        return refusal(driver)

    monkeypatch.setattr(database, "_refusal", seen)
    return threads


def other_writer() -> "closing[sqlite3.Connection]":
    """Somebody who writes, and knows nothing of our line."""
    assert db.engine.url.database
    other = sqlite3.connect(db.engine.url.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return closing(other)


@on_sqlite
def test_waiting_ends(app: Flask) -> None:
    """Whoever waits for the writer hears in the end that it is in vain; reading goes on."""
    with app.app_context():
        with other_writer():
            with pytest.raises(TooLate), transaction(Deadline.after(0.05)):
                pytest.fail("nobody may write here")
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(database, "LOCK_SECONDS", 0.05)
                with pytest.raises(OperationalError, match="database is locked"), transaction():
                    pytest.fail("nobody may write here")
            assert db.session.scalar(text("SELECT count(*) FROM item"))
        with transaction() as session:
            session.execute(text("UPDATE item SET id = id"))


@on_sqlite
def test_waiting_in_line_ends(app: Flask) -> None:
    """Behind a slow transaction of the same process the deadline holds as well."""

    def write() -> None:
        with app.app_context(), transaction(Deadline.after(0.05)):
            pytest.fail("nobody may write here")

    with app.app_context(), ThreadPoolExecutor(1) as thread, transaction(), pytest.raises(TooLate):
        thread.submit(write).result()


@on_sqlite
def test_other_trouble_is_said_at_once(app: Flask, asking: list[int]) -> None:
    """Only while another writes is the question put again; any other answer is passed on."""
    with app.app_context(), db.engine.connect() as connection:
        assert connection.connection.driver_connection
        connection.connection.driver_connection.execute("BEGIN")
        with pytest.raises(OperationalError, match="within a transaction"):
            connection.execution_options(lock_wait=60_000).begin()
    assert len(asking) == 1


SCRIPT = """
import os, sys
from sqlalchemy import text
from storefront import create_app, db as database
from storefront import Settings
from storefront.db import db, transaction
from tests.street import SETTINGS

app = create_app(Settings.model_validate({**SETTINGS, "database_url": sys.argv[1]}))
with app.app_context():
    with transaction():
        db.session.connection()
        child = os.fork()
        if not child:
            assert not database.LINES
            print("held", flush=True)
            os.kill(os.getpid(), 9)
        os.waitpid(child, 0)
        os.kill(os.getpid(), 9)
"""


@pytest.mark.long
@on_sqlite
def test_a_killed_writer_leaves_nothing(app: Flask, database_url: str, tmp_path: Path) -> None:
    """Killed while it writes, a process holds nobody up and leaves no file; a fork has its own line."""
    before = {file.name for file in tmp_path.iterdir()}
    killed = subprocess.run(
        [sys.executable, "-c", SCRIPT, database_url], capture_output=True, cwd=Path(__file__).parents[1]
    )
    assert (killed.returncode, killed.stdout) == (-9, b"held\n"), killed.stderr
    with app.app_context(), transaction(Deadline.after(1)) as session:
        session.execute(text("UPDATE item SET id = id"))
    left = {file.name for file in tmp_path.iterdir()} - before
    assert left <= {"shop.db-wal", "shop.db-shm"}  # SQLite's own
