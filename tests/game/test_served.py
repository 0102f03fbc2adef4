"""The shop as it is served, before a game as README has it, and before strangers with slow bodies."""

import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from storefront.config import PACKAGE
from tests.demo import free_ports
from tests.game.conftest import TOKEN
from tests.proof.served import AS_IN_PRODUCTION, HOST, ROOT, gunicorn, without_settings
from tests.street import APP_ID, CONSUMER_KEY, CONSUMER_SECRET, GOODS
from tests.test_serving import Shop

pytestmark = pytest.mark.long

SOLD = """
INSERT INTO customer (id, channel, external_id, first_seen_at)
  VALUES (1, 'mixi', 'hanako', '2027-01-01 00:00:00');
INSERT INTO "grant" (customer_id, item_id, kind, quantity, key, is_test, granted_at)
  VALUES (1, 'loaf', 'sold', 3, 'mixi:one', 0, '2027-01-01 00:00:00')
"""
PLAY = """
made = []
assert ask("/customers/mixi/hanako/holdings")["holdings"] == [{"item": "loaf", "quantity": 3, "tests": 0}]
assert [use("one-key", "mixi", "hanako", "loaf", 2) for _ in range(2)] == [1, 1]
for _ in range(2):
    follow(Path("cursor"), made.append)
assert [one["cause"] for one in made] == ["mixi:one", "game:one-key"], made
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("game")
    (port,) = free_ports(1)
    environment = {
        "STOREFRONT_SECRET_KEY": "a secret of the tests, and of nobody else",
        "STOREFRONT_PUBLIC_URL": f"http://{HOST}:{port}",
        "STOREFRONT_DATABASE_URL": f"sqlite:///{folder}/shop.db",
        "STOREFRONT_CATALOG": str(GOODS),
        "STOREFRONT_MIXI_APP_ID": APP_ID,
        "STOREFRONT_MIXI_CONSUMER_KEY": CONSUMER_KEY,
        "STOREFRONT_MIXI_CONSUMER_SECRET": CONSUMER_SECRET,
        "STOREFRONT_MIXI_CONTAINER_URL": "http://platform.test/ma/1/",
        "STOREFRONT_MIXI_PLATFORM_HOSTS": "platform.test",
        "STOREFRONT_GAME_TOKEN": TOKEN,
    }
    upgrade = [sys.executable, "-c", "from storefront.cli import main; main(['upgrade'])"]
    subprocess.run(upgrade, cwd=ROOT, env=without_settings(environment), check=True, timeout=60)
    with closing(sqlite3.connect(folder / "shop.db")) as database:
        database.executescript(SOLD)
    size = [*AS_IN_PRODUCTION, "--workers", "1", "--threads", "2"]
    with gunicorn(folder, "shop", port, "storefront:create_app()", size, environment) as process:
        yield Shop(port, folder / "shop.log", process.pid)


def test_the_client_of_the_readme(shop: Shop, tmp_path: Path) -> None:
    """Those lines run as they stand: they ask, use once, and follow without hearing anything twice."""
    (client,) = re.findall(r"```python\n(.+?)```", (PACKAGE / "game" / "README.md").read_text(), re.DOTALL)
    environment = {**os.environ, "SHOP": f"http://{HOST}:{shop.port}", "GAME_TOKEN": TOKEN, "NO_PROXY": HOST}
    game = [sys.executable, "-c", client + PLAY]
    done = subprocess.run(game, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr + shop.log.read_text()
    assert TOKEN not in shop.log.read_text()


def head(length: int, *more: str) -> bytes:
    lines = (
        "POST /game/uses HTTP/1.1", "Host: shop", f"Authorization: Bearer {TOKEN}", "Idempotency-Key: slow",
        "Content-Type: application/json", f"Content-Length: {length}", *more,
    )  # fmt: skip
    return "\r\n".join([*lines, "", ""]).encode()


def test_slow_bodies(shop: Shop) -> None:
    """More sockets than threads have sent half a request: another is answered at once, and they are ended."""
    slow = [shop.line() for _ in range(8)]
    for line in slow:
        line.sendall(head(100) + b"{")
    begun = time.monotonic()
    asked = f"GET /game/changes HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    assert shop.said(asked).startswith(b"HTTP/1.1 200 OK")
    assert time.monotonic() - begun < 2
    for line in slow:
        assert line.recv(65536).startswith(b"HTTP/1.1 408")
        line.close()


def test_one_body_behind_another(shop: Shop) -> None:
    """What comes on a line behind a whole request is the next one, and is not taken for its body."""
    body = b'{"channel": "mixi"}'
    said = shop.all_said(head(len(body)) + body + head(2, "Connection: close") + b"{}")
    assert said.count(b"HTTP/1.1 400") == 2
    assert said.count(b"/game/problems/malformed") == 2


def test_headers_sent_twice(shop: Shop) -> None:
    """Two keys are none, and two tokens open nothing."""
    body = b"{}"
    twice = shop.all_said(head(2, "Idempotency-Key: other", "Connection: close") + body)
    assert b"HTTP/1.1 400" in twice
    assert b"one Idempotency-Key" in twice
    twice = shop.all_said(head(2, f"Authorization: Bearer {TOKEN}", "Connection: close") + body)
    assert b"HTTP/1.1 401" in twice


def test_a_large_body(shop: Shop) -> None:
    """Five kilobytes are refused in the game's own shape, a gigabyte before it is sent."""
    said = shop.all_said(head(5000, "Connection: close") + b" " * 5000)
    assert b"HTTP/1.1 413" in said
    assert b"application/problem+json" in said
    assert b"413" in shop.said(head(10**9)).splitlines()[0]
