"""A database that is silent, or on a host that cannot be reached any more: refused in time, and alive."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy.engine import make_url

from tests import postgresql
from tests.conftest import lacking
from tests.databases import fill
from tests.demo import free_ports, wait_for
from tests.proof import served
from tests.proof.test_slow_world import NOTHING, SOLD, Answer, Shop, children, halted
from tests.street import says

pytestmark = pytest.mark.long

THREADS = 4
CROWD = 3 * THREADS
PORT = 5432
PAGES = ("/", "/items/loaf", "/inventory", "/mixi/finish")

# Carries bytes between TCP and a socket in the file system, which network namespaces share.
RELAY = """
import asyncio, sys
near, port, far = sys.argv[1:]

async def carry(reader, writer):
    while piece := await reader.read(65536):
        writer.write(piece)
    writer.close()

async def accept(reader, writer):
    other_reader, other_writer = await asyncio.open_unix_connection(far)
    await asyncio.gather(carry(reader, other_writer), carry(other_reader, writer), return_exceptions=True)

async def main():
    server = await asyncio.start_server(accept, near, int(port))
    print("ready", flush=True)
    await server.serve_forever()

asyncio.run(main())
"""

Cut = Callable[[], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def database() -> Iterator[served.Database]:
    if not postgresql.IS_HERE:
        lacking("no PostgreSQL server binary for this platform")
    with TemporaryDirectory() as name, served.database("postgresql", Path(name)) as database:
        yield database


@contextmanager
def shop_on(url: str, database: served.Database, folder: Path) -> Iterator[Shop]:
    """A shop in one process of a few threads that reaches its database at `url`."""
    shop = Shop(database, folder, *free_ports(1))
    fill(shop.app)
    settings = {**shop.settings(), "database_url": url, "threads": str(THREADS)}
    environment = {f"STOREFRONT_{name.upper()}": value for name, value in settings.items()}
    size = [*served.AS_IN_PRODUCTION, "--workers", "1", "--threads", str(THREADS)]
    with served.gunicorn(folder, "shop", shop.port, "storefront:create_app()", size, environment):
        yield shop


def test_a_silent_server(database: served.Database, tmp_path: Path) -> None:
    """The server lives and says nothing: nobody waits for ever, and the process says that it lives."""
    assert database.server
    server = database.server.pid
    with shop_on(database.url, database, tmp_path) as shop:
        assert_survives(shop, lambda: halted([server, *children(server)]))


def test_a_dark_link(database: served.Database, tmp_path: Path) -> None:
    """The server's host is gone from the network without a word: the same."""
    url = make_url(database.url)
    path = f"{url.query['host']}/.s.PGSQL.{url.query.get('port', 5432)}"
    with far_host() as host, relay(host, path):
        there = url.set(host=host.address, port=PORT, query={}).render_as_string(hide_password=False)
        with shop_on(there, database, tmp_path) as shop:
            assert_survives(shop, host.dark)


def assert_survives(shop: Shop, cut: Cut) -> None:
    """Before, while and after the database cannot be heard."""
    before, during = shop.start("loaf"), [shop.start("loaf") for _ in range(CROWD)]
    assert shop.callback(before).is_ok
    with ThreadPoolExecutor(CROWD) as mixi, cut():
        answers = [mixi.submit(shop.callback, code) for code in during]
        wait_for(lambda: len(waiting(answers)) == THREADS - 1)
        assert {answer.result().status for answer in answers if answer.done()} == {503}
        assert shop.ask("/healthz").status == 200
        assert_refused(shop)
        assert len(waiting(answers)) == THREADS - 1  # while those wait that came first
        assert {answer.result().status for answer in answers} == {503}
    assert {shop.standing(code) for code in during} == {NOTHING}
    wait_for(lambda: shop.callback(during[0]).is_ok)
    assert all(shop.callback(code).is_ok for code in during)
    assert {shop.standing(code) for code in [before, *during]} == {SOLD}
    assert "Traceback" not in (shop.folder / "shop.log").read_text()


def assert_refused(shop: Shop) -> None:
    """Who comes now hears at once that nothing was paid."""
    assert shop.ask("/readyz").status == 503
    for path in PAGES:
        page = shop.page(path)
        assert page.status == 503
        assert "nothing-paid" in says(page.body)


def waiting(answers: list[Future[Answer]]) -> list[Future[Answer]]:
    return [answer for answer in answers if not answer.done()]


class Host:
    """Another host, as far as the network goes: a namespace at the other end of a line."""

    def __init__(self, name: str) -> None:
        self.name = name
        number = secrets.randbelow(2**12)
        network = f"10.213.{number // 64}.{number % 64 * 4}"
        stem, last = network.rsplit(".", 1)
        self.ours, self.address = f"{stem}.{int(last) + 1}", f"{stem}.{int(last) + 2}"

    def inside(self, *command: str) -> list[str]:
        return ["ip", "netns", "exec", self.name, *command]

    @contextmanager
    def dark(self) -> Iterator[None]:
        """The line is cut: what is sent is lost, and nobody says so."""
        must(*self.inside("ip", "link", "set", self.name, "down"))
        yield
        must(*self.inside("ip", "link", "set", self.name, "up"))


@contextmanager
def far_host() -> Iterator[Host]:
    name = f"far{os.getpid()}"
    host = Host(name)
    if os.geteuid() or subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
        pytest.skip("no network namespace can be made here")
    try:
        must("ip", "link", "add", f"{name}n", "type", "veth", "peer", "name", name, "netns", name)
        must("ip", "address", "add", f"{host.ours}/30", "dev", f"{name}n")
        must("ip", "link", "set", f"{name}n", "up")
        must(*host.inside("ip", "address", "add", f"{host.address}/30", "dev", name))
        must(*host.inside("ip", "link", "set", name, "up"))
        yield host
    finally:
        must("ip", "link", "delete", f"{name}n")
        must("ip", "netns", "delete", name)


@contextmanager
def relay(host: Host, path: str) -> Iterator[None]:
    """On the far host, what is said at a port is said to the server."""
    command = host.inside(sys.executable, "-c", RELAY, host.address, str(PORT), path)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        try:
            yield
        finally:
            process.terminate()


def must(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
