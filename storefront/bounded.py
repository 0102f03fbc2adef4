"""HTTP calls that have an end: an answer that drips is cut off, and nobody is followed or asked twice.

The time-outs of requests and urllib3 bound the wait for the next byte, never for a whole head or body. So
a connection knows its socket, and a timer shuts that down; and a host's addresses share the time to connect,
which they bound for each. How long a name may take to resolve is the system's to say (resolv.conf). Whoever
calls, takes a `session` for the head of an answer and `read` for its body.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from math import inf
from threading import Event, Timer
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection

from storefront.clock import Deadline

CHUNK = 8 * 1024


@dataclass(frozen=True)
class Timeouts:
    """Seconds of one call: to reach the server, between two bytes of its answer, and for all together."""

    connect: float
    read: float
    total: float

    def within(self, left: float = inf) -> tuple[float, float]:
        """As requests takes them, when so many seconds are left."""
        return min(self.connect, left), min(self.read, left)


class TooLarge(Exception):
    """An answer has more bytes than it may have."""


def session() -> requests.Session:
    """Pooled connections, no cookies, and no retries but ours: urllib3's would send the same nonce again."""
    http = _Session()
    http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in POOLS:
        http.mount(f"{scheme}://", _Adapter(pool_maxsize=32, max_retries=0))
    return http


def read(response: requests.Response, seconds: float, most: int, *, decoded: bool = False) -> bytes:
    """The body of an answer that a `session` got.

    Raises TimeoutError when it takes more than so many seconds, TooLarge when it has more than so many bytes.
    """
    deadline, body = Deadline.after(seconds), bytearray()
    # One read may go on for ever: in a chunk's length, in trailers, in an archive of nothing.
    with _cut_after(seconds, getattr(response.raw, "line", None)):
        while chunk := response.raw.read1(CHUNK, decode_content=decoded):
            body += chunk
            _check(deadline)
            if len(body) > most:
                raise TooLarge
    _check(deadline)
    return bytes(body)


def _check(deadline: Deadline) -> None:
    if deadline.left() <= 0:
        raise TimeoutError


@contextmanager
def _cut_after(seconds: float, line: socket.socket | None) -> Iterator[None]:
    """What is read from this line in the block is over by then, however slowly it comes; or TimeoutError."""
    if line is None:  # an answer that came by no socket
        yield
        return

    was_cut = Event()

    def cut() -> None:
        was_cut.set()
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, cut)
    timer.start()
    try:
        yield
    except Exception:
        if not was_cut.is_set():
            raise
    finally:
        timer.cancel()
    if was_cut.is_set():
        raise TimeoutError  # not a connection that broke: nobody is asked again


class _Connection(HTTPConnection):
    """The head of an answer must be complete within the read time-out, even if it comes byte by byte."""

    def _new_conn(self) -> socket.socket:
        return _reach(self)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 has it
        return _answer(self, super().getresponse)


class _SecureConnection(HTTPSConnection):
    """The same, over TLS."""

    def _new_conn(self) -> socket.socket:
        return _reach(self)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 has it
        return _answer(self, super().getresponse)


def _reach(connection: HTTPConnection) -> socket.socket:
    """A line to the first of the host's addresses that answers, within one time-out for all of them."""
    deadline = Deadline.after(float(connection.timeout or 0))
    failure: OSError = TimeoutError("timed out")
    addresses = _addresses(connection)
    for ahead, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
        if deadline.left() <= 0:
            break
        # Half, unless it is the last: one that is deaf leaves time for the next.
        seconds = deadline.left() / min(ahead, 2)
        try:
            line = create_connection(address, seconds, connection.source_address, connection.socket_options)
        except OSError as error:
            failure = error
        else:
            line.settimeout(connection.timeout)
            return line
    if isinstance(failure, TimeoutError):
        raise ConnectTimeoutError(connection, f"{connection.host} takes no connection up") from failure
    raise NewConnectionError(connection, f"no connection to {connection.host}: {failure}") from failure


def _addresses(connection: HTTPConnection) -> list[tuple[str, int]]:
    try:
        host = connection._dns_host.strip("[]")  # as urllib3 does with an IPv6 address
        found = socket.getaddrinfo(host, connection.port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    except UnicodeError as error:
        raise NewConnectionError(connection, f"{connection.host} is no name of a host") from error
    return [(str(address[0]), int(address[1])) for *_, address in found]


def _answer(connection: HTTPConnection, read_head: Callable[[], HTTPResponse]) -> HTTPResponse:
    line = connection.sock  # a connection that ends with this answer forgets it
    with _cut_after(float(connection.timeout or 0), line):
        response = read_head()
    response.line = line  # type: ignore[attr-defined]  # so that the body can be cut off, too
    return response


class _Pool(HTTPConnectionPool):
    """Keeps living connections only: to its reader, one that was cut off looks like one that is done."""

    ConnectionCls: type[HTTPConnection] = _Connection

    def _put_conn(self, conn: Any) -> None:
        if conn and not conn.is_connected:
            conn.close()
        super()._put_conn(conn)


class _SecurePool(_Pool, HTTPSConnectionPool):
    """The same, over TLS."""

    ConnectionCls = _SecureConnection


POOLS = {"http": _Pool, "https": _SecurePool}


class _Session(requests.Session):
    """Follows nothing: even unfollowed, requests would read a redirect's body to its end."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        super().init_poolmanager(*arguments, **more)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *arguments: Any, **more: Any) -> Any:
        pools = super().proxy_manager_for(*arguments, **more)
        pools.pool_classes_by_scheme = POOLS
        return pools
