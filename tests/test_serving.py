"""Strangers at the shop's own port: what they send, or never take, costs nobody else an answer."""

import os
import resource
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from selectors import DefaultSelector

import pytest
from gunicorn.config import Config
from gunicorn.workers.gthread import TConn

from storefront import serving
from storefront.client_socket import BODY_BYTES, ClientSocket
from storefront.clock import Deadline
from tests.demo import free_ports, wait_for
from tests.proof.idle import heard, is_left_alone
from tests.proof.served import AS_IN_PRODUCTION, HOST, gunicorn
from tests.street import APP_ID, CONSUMER_KEY, CONSUMER_SECRET

pytestmark = pytest.mark.long

THREADS = 2
GREETING = b"GET /robots.txt HTTP/1.1\r\nHost: shop\r\n\r\n"
FAREWELL = b"GET /robots.txt HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
SHEET = b"GET /static/shop.css HTTP/1.1\r\nHost: shop\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Shop:
    port: int
    log: Path
    pid: int  # of its server, and of the group of its workers

    def line(self) -> socket.socket:
        return socket.create_connection((HOST, self.port), timeout=20)

    def all_said(self, *pieces: bytes) -> bytes:
        """To all of this, until it closes."""
        with self.line() as line:
            for piece in pieces:
                line.sendall(piece)
            return heard(line)

    def said(self, request: bytes) -> bytes:
        """First to this."""
        with self.line() as line:
            line.sendall(request)
            return line.recv(65536)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    yield from served(tmp_path_factory.mktemp("serving"), *AS_IN_PRODUCTION)


def served(folder: Path, *server: str) -> Iterator[Shop]:
    (port,) = free_ports(1)
    environment = {
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "STOREFRONT_SECRET_KEY": "a secret of the tests, and of nobody else",
        "STOREFRONT_PUBLIC_URL": f"http://{HOST}:{port}",
        "STOREFRONT_DATABASE_URL": f"sqlite:///{folder}/shop.db",
        "STOREFRONT_MIXI_APP_ID": APP_ID,
        "STOREFRONT_MIXI_CONSUMER_KEY": CONSUMER_KEY,
        "STOREFRONT_MIXI_CONSUMER_SECRET": CONSUMER_SECRET,
        "STOREFRONT_MIXI_CONTAINER_URL": "http://platform.test/ma/1/",
        "STOREFRONT_MIXI_PLATFORM_HOSTS": "platform.test",
    }
    size = [*server, "--workers", "1", "--threads", str(THREADS)]
    with gunicorn(folder, "shop", port, "storefront:create_app()", size, environment) as process:
        yield Shop(port, folder / "shop.log", process.pid)


@pytest.mark.parametrize(
    ("length", "status"),
    [
        ("9" * 5000, b"413"),
        ("0" * 100 + f"{BODY_BYTES + 1}", b"413"),
        ("0" * 100 + "3", b"405"),
        ("0" * 5000, b"400"),
    ],
)
def test_lengths_of_many_digits(shop: Shop, length: str, status: bytes) -> None:
    """A length may be written with more digits than a number may have: it is answered, and so is the next."""
    request = f"POST /robots.txt HTTP/1.1\r\nHost: shop\r\nContent-Length: {length}\r\n\r\nabc".encode()
    assert shop.said(request).startswith(b"HTTP/1.1 " + status)
    assert shop.said(GREETING).startswith(OK)


def test_what_is_too_large(shop: Shop) -> None:
    """A body is heard out as far as any form of ours goes; of more it is said what to do, on a page."""
    head = b"POST /robots.txt HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    assert shop.said(head % BODY_BYTES + b"x" * BODY_BYTES).startswith(b"HTTP/1.1 405")
    refused = shop.said(head % (BODY_BYTES + 1))
    assert b"text/html" in refused
    assert serving.TOO_LARGE.encode() in refused


class Stumbling(serving.Worker):
    """Wrong on purpose: it cannot hear one certain word."""

    def _hear(self, conn: TConn, line: ClientSocket) -> None:
        super()._hear(conn, line)
        if b"stumble" in line.arrived:
            raise RuntimeError("over a word that is nobody's")


def test_nothing_ends_the_main_loop(tmp_path: Path) -> None:
    """Whatever breaks while one connection is heard drops that one, and its kind is logged, without words."""
    for shop in served(tmp_path, *AS_IN_PRODUCTION, "--worker-class", "tests.test_serving.Stumbling"):
        with shop.line() as other:
            other.sendall(FAREWELL[:-2])
            assert shop.all_said(b"GET /stumble") == b""
            other.sendall(FAREWELL[-2:])
            assert heard(other).startswith(OK)
        assert "RuntimeError" in shop.log.read_text()
        assert "nobody" not in shop.log.read_text()
        assert "Worker exiting" not in shop.log.read_text()


class Spent(serving.Worker):
    """Wrong on purpose: once somebody has come, it may open nothing until its next look at the clock."""

    limits: tuple[int, int] | None = None

    def accept(self, listener: socket.socket) -> None:
        if self.limits is None:
            self.limits = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, self.limits[1]))
        super().accept(listener)

    def murder_pending(self) -> None:
        super().murder_pending()
        if self.limits:
            resource.setrlimit(resource.RLIMIT_NOFILE, self.limits)


def test_nobody_is_let_in_for_a_moment(tmp_path: Path) -> None:
    """While a process has no file left, whoever comes waits, and is answered by the same process."""
    for shop in served(tmp_path, *AS_IN_PRODUCTION, "--worker-class", "tests.test_serving.Spent"):
        assert shop.said(GREETING).startswith(OK)
        assert "let in for a moment" in shop.log.read_text()
        assert "Worker exiting" not in shop.log.read_text()


class Signalled(serving.Worker):
    """A worker whose signal to end has come while it was about to listen again."""

    def __init__(self, listener: socket.socket) -> None:
        self.sockets, self.poller, self.pause = [listener], DefaultSelector(), Deadline.after(0)
        self.alive, self._accepting, self.nr_conns, self.worker_connections = False, False, 0, 1


def test_a_signal_at_any_moment() -> None:
    """What it waits for is never closed: whoever came then would end it in the middle of its answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        worker = Signalled(listener)
        worker.set_accept_enabled(True)
        assert listener.fileno() == -1
        assert not worker.poller.get_map()


def test_who_comes_as_it_ends(tmp_path: Path) -> None:
    """Whoever stood in the queue is answered; whoever comes after is refused at once: a proxy goes on."""
    for shop in served(tmp_path, *AS_IN_PRODUCTION):
        with shop.line() as unfinished, ExitStack() as queue:
            unfinished.sendall(FAREWELL[:-2])
            assert shop.all_said(FAREWELL).startswith(OK)
            os.killpg(shop.pid, signal.SIGSTOP)
            lines = [queue.enter_context(shop.line()) for _ in range(8)]
            for line in lines:
                line.sendall(FAREWELL)
            for number in (signal.SIGTERM, signal.SIGCONT):
                os.killpg(shop.pid, number)
            assert [heard(line)[: len(OK)] for line in lines] == [OK] * len(lines)
            with pytest.raises(ConnectionRefusedError):
                shop.line()
            unfinished.sendall(FAREWELL[-2:])
            assert heard(unfinished).startswith(OK)


def test_there_is_no_second_way_in(tmp_path: Path) -> None:
    """The server listens at the port it was told, and at no socket in somebody's home."""
    for shop in served(tmp_path, *AS_IN_PRODUCTION):
        assert shop.said(GREETING).startswith(OK)
        assert not any(file.is_socket() for file in tmp_path.rglob("*"))


def test_connections_leave_files() -> None:
    """A worker holds as many connections as leave its threads the files that they need; some in any case."""
    configuration = Config()
    for threads, connections in ((8, 1024 - 64 - 8 * 8), (200, 201)):
        configuration.set("threads", threads)
        with few_files(1024):
            worker = serving.Worker(0, 0, [], None, 0, configuration, None)
        worker.tmp.close()
        assert worker.worker_connections == connections
        assert worker.max_keepalived == connections - threads


@contextmanager
def few_files(most: int) -> Iterator[None]:
    """Meanwhile this process may hold no more files than these."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_answers_that_nobody_takes(shop: Shop) -> None:
    """Whoever does not read holds no thread: others are answered meanwhile, and it is dropped."""
    with ExitStack() as stack:
        lines = [stack.enter_context(narrow(shop, 2304)) for _ in range(4 * THREADS)]
        for line in lines:
            line.setblocking(False)
            with suppress(OSError):
                while line.send(SHEET * 100):
                    pass
        wait_for(lambda: shop.said(GREETING).startswith(OK) and all(map(is_cut, lines)))


def narrow(shop: Shop, size: int) -> socket.socket:
    """A line that takes so few bytes before somebody reads."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    line.settimeout(20)
    line.connect((HOST, shop.port))
    return line


def is_cut(line: socket.socket) -> bool:
    """Whether the other side hears no more."""
    try:
        line.send(b"x")
    except BlockingIOError:
        return False
    except OSError:
        return True
    return False


def test_answers_taken_slowly(shop: Shop) -> None:
    """Whoever reads slowly gets all of it: only who stops is dropped."""
    count, said = 500, b""
    with narrow(shop, 64 * 1024) as line:
        line.sendall(SHEET * count + FAREWELL)
        slow = Deadline.after(1.5 * serving.SECONDS)
        while slow.left() > 0:
            said += line.recv(4096)
            time.sleep(0.1)
        said += heard(line)
    assert said.count(OK) == count + 1


def test_requests_ahead(shop: Shop) -> None:
    """What is sent ahead is read when its turn comes: the worker holds a head and a body of it, no more."""
    asked, answered, block = 0, 0, GREETING * 2000
    with shop.line() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        while answered < 400:
            line.settimeout(0)
            with suppress(BlockingIOError):
                asked += line.send(block)
            line.settimeout(20)
            answered += line.recv(65536).count(OK)
    assert asked < 8 * MEGABYTE


@pytest.mark.parametrize(
    ("head", "first", "then"),
    [
        (b"Content-Length: 3\r\n", CONTINUE, b"HTTP/1.1 405"),
        (b"Content-Length: %d\r\n" % (BODY_BYTES + 1), b"HTTP/1.1 413", b""),
        (b"Transfer-Encoding: chunked\r\n", b"HTTP/1.1 411 Length Required\r\nContent-Type: text/plain", b""),
    ],
)
def test_expectations(shop: Shop, head: bytes, first: bytes, then: bytes) -> None:
    """Who asks first whether to send the body is told so, once; or what becomes of the request without it."""
    request = b"POST /robots.txt HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n" + head
    with shop.line() as line:
        line.sendall(request + b"Expect: 100-Continue\r\n\r\n")
        assert line.recv(65536).startswith(first)
        if then:
            assert is_left_alone(line)
            line.sendall(b"abc")
            assert heard(line).startswith(then)


def test_no_expectation_is_answered_in_vain(shop: Shop) -> None:
    """The body that came with its head needs no word before the answer, nor does a client of old know it."""
    whole = b"POST /robots.txt HTTP/1.%d\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    assert shop.said(whole % 1 + b"abc").startswith(b"HTTP/1.1 405")
    assert shop.all_said(whole % 0, b"abc").startswith(b"HTTP/1.0 405")


@pytest.mark.parametrize(
    ("path", "head", "status"),
    [
        (b"/foo/robots.txt", b"SCRIPT_NAME: /foo", b"404"),
        (b"/robots.txt", b"SCRIPT_NAME: /foo", b"200"),
        (b"/foo", b"PATH_INFO: /robots.txt", b"404"),
        (b"/robots.txt", b"X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off", b"200"),
    ],
)
def test_headers_that_only_a_proxy_may_set(shop: Shop, path: bytes, head: bytes, status: bytes) -> None:
    """A stranger says neither where the shop stands nor whether it is spoken to in TLS."""
    request = b"GET " + path + b" HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n" + head + b"\r\n\r\n"
    assert shop.all_said(request).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /mixi/callback/THEWORD?x=\x01 HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /mixi/callback/THEWORD\xff HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /mixi/callback/THEWORD x HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /mixi/callback/THEWORD" + b"x" * 8200 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\nTHEWORD here: x\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nTHEWORD\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nExpect: THEWORD\r\n\r\n", b"417"),
        (b"GET / HTTP/1.1\r\n" + b"a: THEWORD\r\n" * 101 + b"\r\n", b"431"),
    ],
)
def test_what_is_refused_is_not_repeated(shop: Shop, request_: bytes, status: bytes) -> None:
    """What no server understands may hold the word of a payment: neither answer nor log has it."""
    said = shop.all_said(request_)
    assert said.startswith(b"HTTP/1.1 " + status)
    assert b"THEWORD" not in said
    assert "THEWORD" not in shop.log.read_text()
    assert "refused" in shop.log.read_text()


@pytest.mark.parametrize("query", [b"q=\x82\xa0", b"?\xff", b"a b\xe3".replace(b" ", b"%20")])
def test_bare_bytes_of_a_query(shop: Shop, query: bytes) -> None:
    """Phones send the bytes of their characters as they are: the shop reads them escaped."""
    request = b"GET /robots.txt?" + query + b" HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
    assert shop.all_said(request).startswith(OK)
