"""Sockets on which something is begun and nothing more comes: callbacks pass them."""

import socket
from collections.abc import Iterator

import pytest

from storefront.client_socket import BODY_BYTES, HEAD_BYTES
from tests.conftest import lacking
from tests.demo import wait_for
from tests.proof.idle import NGINX, Idle, heard, is_left_alone, left_open, served
from tests.proof.pressure import Shop
from tests.proof.served import AS_IN_PRODUCTION, HOST

pytestmark = pytest.mark.long

WORKERS, THREADS = 1, 2
SOCKETS = 40
WHOLE = b"GET /healthz HTTP/1.1\r\nHost: shop\r\n\r\n"
ANSWERS = {
    Idle.NOTHING: b"",
    Idle.HALF_A_HEAD: b"HTTP/1.1 408 Request Timeout\r\n",
    Idle.A_BYTE_OF_A_BODY: b"HTTP/1.1 408 Request Timeout\r\n",
    Idle.NO_FAREWELL: b"HTTP/1.1 200 OK\r\n",
}


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with served(AS_IN_PRODUCTION, WORKERS, THREADS) as shop:
        yield shop


def said(shop: Shop, request: bytes) -> bytes:
    with socket.create_connection((HOST, shop.port), timeout=60) as line:
        line.sendall(request)
        return line.recv(65536)


def test_callbacks_pass_idle_sockets(shop: Shop) -> None:
    """While many more sockets than threads are silent, a callback is answered, and they only then."""
    owner = "mo3idle"
    with left_open(shop.port, Idle.NO_FAREWELL, SOCKETS) as answered:
        assert all(line.recv(65536).startswith(ANSWERS[Idle.NO_FAREWELL]) for line in answered)
        for idle in (Idle.NOTHING, Idle.HALF_A_HEAD, Idle.A_BYTE_OF_A_BODY):
            code = shop.start(owner)
            with left_open(shop.port, idle, SOCKETS) as sockets:
                assert shop.callback(code, owner).is_ok
                assert all(is_left_alone(line) for line in sockets)


def test_a_request_has_a_deadline(shop: Shop) -> None:
    """What is not there in whole by then is told so, and closed; drop by drop buys no time."""
    with (
        left_open(shop.port, Idle.NOTHING, 1) as (silent,),
        left_open(shop.port, Idle.HALF_A_HEAD, 1) as (half,),
        left_open(shop.port, Idle.A_BYTE_OF_A_BODY, 1) as (dripping,),
    ):

        def closed() -> bool:
            if is_left_alone(dripping):
                dripping.sendall(b"x")
                return False
            return True

        wait_for(closed)
        for idle, line in {
            Idle.NOTHING: silent,
            Idle.HALF_A_HEAD: half,
            Idle.A_BYTE_OF_A_BODY: dripping,
        }.items():
            assert heard(line).startswith(ANSWERS[idle])
    assert said(shop, WHOLE).startswith(b"HTTP/1.1 200 OK")


def test_in_pieces(shop: Shop) -> None:
    """A request may come byte by byte, and two at once: each is answered."""
    with socket.create_connection((HOST, shop.port), timeout=60) as line:
        for byte in WHOLE:
            line.sendall(bytes([byte]))
        assert line.recv(65536).startswith(b"HTTP/1.1 200 OK")
        line.sendall(WHOLE + WHOLE.replace(b"Host", b"Connection: close\r\nHost"))
        assert heard(line).count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (f"Content-Length: {BODY_BYTES + 1}", b"413"),
        ("Transfer-Encoding: chunked", b"411"),
        (f"X: {'x' * HEAD_BYTES}", b"431"),
        ("Content-Length: 1\r\nContent-Length: 2", b"400"),
    ],
)
def test_what_is_not_waited_for(shop: Shop, head: str, status: bytes) -> None:
    """A body or head beyond all forms, and one without a length, is refused at once."""
    request = f"POST / HTTP/1.1\r\nHost: shop\r\n{head}\r\n\r\nx".encode()
    assert said(shop, request).startswith(b"HTTP/1.1 " + status)


@pytest.mark.thorough
def test_behind_a_proxy() -> None:
    """nginx in front keeps such sockets to itself, and changes nothing that was signed."""
    if not NGINX:
        lacking("no nginx")
    owner = "mo3idle"
    with served(AS_IN_PRODUCTION, WORKERS, THREADS, behind=True) as shop:
        code = shop.start(owner)
        with left_open(shop.port, Idle.A_BYTE_OF_A_BODY, SOCKETS) as sockets:
            assert shop.callback(code, owner).is_ok
            assert all(is_left_alone(line) for line in sockets)
