"""What holds a demo's shop still lets go: after its time, at a word, and whenever its starter is gone."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from storefront.demo import HOLDER
from tests.demo import wait_for

pytestmark = pytest.mark.long

TOKEN = "the word of the demo"
TICKING = "import time\nwhile True:\n    print('.', end='', flush=True)\n    time.sleep(0.02)\n"


@dataclass
class Held:
    """A process that ticks, a database, and who can hold them."""

    holder: subprocess.Popen[bytes]
    shop: subprocess.Popen[bytes]
    pipe: int
    url: str
    output: Path
    database: Path

    def ask(self, what: str, seconds: object = 20, token: str = TOKEN) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return requests.post(
            f"{self.url}/{what}", json={"seconds": seconds}, headers=headers, timeout=20
        ).status_code

    def ticks(self) -> bool:
        before = self.output.stat().st_size
        time.sleep(0.3)
        return self.output.stat().st_size > before

    def can_write(self) -> bool:
        try:
            with sqlite3.connect(self.database, timeout=0.1) as file:
                file.execute("INSERT INTO book VALUES (1)")
        except sqlite3.OperationalError:
            return False
        return True


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    output, database = tmp_path / "ticks", tmp_path / "shop.db"
    with sqlite3.connect(database) as file:
        file.execute("CREATE TABLE book (page INTEGER)")
    listening = socket.create_server(("127.0.0.1", 0))
    theirs, ours = os.pipe()
    with output.open("w") as file:
        shop = subprocess.Popen([sys.executable, "-c", TICKING], stdout=file, start_new_session=True)
    holder = subprocess.Popen(
        [sys.executable, "-P", str(HOLDER), str(theirs), str(listening.fileno()), str(shop.pid)],
        pass_fds=[theirs, listening.fileno()],
        env={**os.environ, "BREAKER_TOKEN": TOKEN, "STOREFRONT_DATABASE_URL": f"sqlite:///{database}"},
        start_new_session=True,
    )
    os.close(theirs)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        wait_for(lambda: output.stat().st_size)
        yield Held(holder, shop, ours, url, output, database)
    finally:
        for process in (holder, shop):
            process.kill()
            process.wait()
        listening.close()


def test_frozen(held: Held) -> None:
    """The shop stands still for its seconds, and goes on after them."""
    assert held.ask("frozen", 1) == 204
    assert not held.ticks()
    wait_for(held.ticks)


def test_locked(held: Held) -> None:
    """Nobody writes to the database for its seconds; then everybody does."""
    assert held.ask("database", 1) == 204
    assert not held.can_write()
    wait_for(held.can_write)


@pytest.mark.parametrize("what", ["frozen", "database"])
def test_let_go_when_its_starter_is_gone(held: Held, what: str) -> None:
    """However the demo ends, what it held goes on, and nobody is left who could hold it."""
    assert held.ask(what) == 204
    os.close(held.pipe)
    assert held.holder.wait(20) == 0
    assert held.ticks()
    assert held.can_write()


def test_signals_do_not_end_it(held: Held) -> None:
    """A signal that ends everybody in front of the demo leaves it to let go when the demo does."""
    assert held.ask("frozen") == 204
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        held.holder.send_signal(number)
    assert held.holder.poll() is None
    os.close(held.pipe)
    assert held.holder.wait(20) == 0
    assert held.ticks()


def test_only_as_asked(held: Held) -> None:
    """Without the token, for wrong seconds, of something unknown, and twice at once nothing is held."""
    assert held.ask("frozen", token="guessed") == 401
    assert {held.ask("frozen", seconds) for seconds in (0, -1, 31, "12", None, True, 1.5)} == {400}
    assert held.ask("everything") == 404
    assert requests.get(held.url, timeout=20).status_code == 501
    assert held.ticks()
    assert held.ask("database", 20) == 204
    assert held.ask("frozen", 1) == 409


def test_what_is_gone_cannot_be_held(held: Held) -> None:
    """Whoever asks for a shop that has ended is told so at once, and the next may ask."""
    held.shop.kill()
    held.shop.wait()
    assert held.ask("frozen") == 409
    assert held.ask("database", 1) == 204
