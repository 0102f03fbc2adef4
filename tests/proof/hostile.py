"""A world that is not kind: a point API that misbehaves over real sockets, a shop that stops dead.

A behaviour is a generator of steps: bytes to send, seconds to wait, or an ending. Any of them is over
after some seconds, so that a client that never gives up fails its test instead of stopping it.
"""

import gzip
import os
import secrets
import select
import signal
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from ipaddress import ip_address
from itertools import count, repeat
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session

from storefront import create_app
from tests.street import PLATFORM

HOST = "127.0.0.1"
POINTS = "/atom/mobile/point/@me"
THREAD = "point api"
LASTS = 20.0  # seconds until any behaviour is over
PAUSE = 0.2  # between two bytes of a slow answer: a third of the read time-out of the tests
STOP_FILE = "PROOF_STOP_FILE"

ENTRY = (
    '<entry xmlns="http://www.w3.org/2005/Atom" xmlns:point="http://mixi.jp/atom/ns#point">'
    '<id>{code}</id><content type="text/xml"><point:status>complete</point:status></content>'
    f'<link href="{PLATFORM}/point/1" rel="related"/></entry>'
)
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


class Ending(Enum):
    RESET = "reset"  # the connection is torn down, whatever was on its way
    KEEP = "keep"  # it stays open for another request


@dataclass(frozen=True)
class Asked:
    """A request as the point API saw it, and the number of the connection it came by."""

    connection: int
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The payment that is asked about, or a fresh one."""
        return parse_qs(urlsplit(self.target).query).get("point_code", [secrets.token_hex(10)])[0]

    @property
    def nonce(self) -> str:
        return self.headers["authorization"].split('oauth_nonce="')[1].split('"')[0]


Step = bytes | float | Ending
Behaviour = Callable[[Asked], Iterator[Step]]


class HostileApi:
    """A point API on a real port; at first, a good one. With a certificate it speaks TLS."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.behaviour: Behaviour = good
        self.asked: list[Asked] = []
        self.open = 0
        self.outlasted: list[Asked] = []  # the client was still there when the behaviour was over
        self._count = threading.Lock()
        self._listener = socket.create_server((HOST, 0))
        self.port = self._listener.getsockname()[1]
        self.address = f"{'https' if certificate else 'http'}://{HOST}:{self.port}{POINTS}"
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
        if self._tls and certificate:
            self._tls.load_cert_chain(certificate)
        _start(self._accept)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            for number in count():
                connection, _ = self._listener.accept()
                connection.settimeout(LASTS)
                _start(self._serve, connection, number)

    def _serve(self, connection: socket.socket, number: int) -> None:
        with self._count:
            self.open += 1
        try:
            with connection, suppress(OSError), self._secured(connection) as line:
                while asked := _read(line, number):
                    self.asked.append(asked)
                    if not self._plays(line, asked):
                        break
        finally:
            with self._count:
                self.open -= 1

    def _plays(self, line: socket.socket, asked: Asked) -> bool:
        try:
            return _play(line, self.behaviour(asked))
        except TimeoutError:
            self.outlasted.append(asked)
            return False

    def _secured(self, connection: socket.socket) -> socket.socket:
        return self._tls.wrap_socket(connection, server_side=True) if self._tls else connection


@contextmanager
def point_api(certificate: Path | None = None) -> Iterator[HostileApi]:
    api = HostileApi(certificate)
    try:
        yield api
    finally:
        api.close()


@contextmanager
def hangs_up_later(listener: socket.socket) -> Iterator[None]:
    """Who talks to this listener has to give up before it does."""
    end = threading.Timer(LASTS, listener.close)
    end.daemon = True
    end.start()
    yield
    assert end.is_alive()
    end.cancel()


def write_certificate(
    file: Path, host: str = HOST, since: timedelta = -timedelta(days=1), until: timedelta = timedelta(days=1)
) -> None:
    """A key and a certificate of its own for this host, in one file; good from and until then."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, THREAD)])
    hosts = x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now + since)
        .not_valid_after(now + until)
        .add_extension(hosts, critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    file.write_bytes(secret + certificate.public_bytes(encoding))


def _start(work: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=work, args=arguments, name=THREAD, daemon=True).start()


def _read(connection: socket.socket, number: int) -> Asked | None:
    """The next request of a connection."""
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        if not more:
            return None
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    length = int(headers.get("content-length", 0))
    while len(body) < length:
        more = connection.recv(length - len(body))
        if not more:
            return None
        body += more
    return Asked(number, method, target, headers, body)


def _play(connection: socket.socket, steps: Iterator[Step]) -> bool:
    """Take these steps as long as the client is there; says whether the connection stays open.

    Raises TimeoutError if the client is there to the end.
    """
    until = time.monotonic() + LASTS
    for step in steps:
        if isinstance(step, bytes):
            connection.sendall(step)
        elif isinstance(step, float):
            if _is_left(connection, min(step, until - time.monotonic())):
                return False
        elif step is Ending.RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        else:
            return True
        if time.monotonic() > until:
            raise TimeoutError
    return False


def _is_left(connection: socket.socket, seconds: float) -> bool:
    """Wait, but not for a client that is gone: one that waits for an answer sends nothing."""
    readable, _, _ = select.select([connection], [], [], max(0.0, seconds))
    return bool(readable)


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *lines, "")).encode()


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


def entry(asked: Asked) -> bytes:
    return ENTRY.format(code=asked.code).encode()


def answer(body: bytes, *lines: str, status: str = "200 OK") -> bytes:
    return head(f"Content-Length: {len(body)}", *lines, status=status) + body


def slowly(text: bytes) -> Iterator[Step]:
    for number in range(len(text)):
        yield text[number : number + 1]
        yield PAUSE


def for_ever(text: bytes, pause: float | None = None) -> Iterator[Step]:
    for each in repeat(text):
        yield each
        if pause:
            yield pause


def good(asked: Asked) -> Iterator[Step]:
    yield answer(entry(asked))
    yield Ending.KEEP


def another_code(asked: Asked) -> Iterator[Step]:
    yield answer(ENTRY.format(code="another").encode())


def closed(asked: Asked) -> Iterator[Step]:
    yield b""


def silence(asked: Asked) -> Iterator[Step]:
    yield 60.0


def slow_head(asked: Asked) -> Iterator[Step]:
    yield from slowly(answer(entry(asked)))


def slow_header_lines(asked: Asked) -> Iterator[Step]:
    yield b"HTTP/1.1 200 OK\r\n"
    yield from for_ever(b"X-More: x\r\n", PAUSE)


def header_lines_for_ever(asked: Asked) -> Iterator[Step]:
    yield b"HTTP/1.1 200 OK\r\n"
    yield from for_ever(b"X-More: x\r\n")


def one_header_line_for_ever(asked: Asked) -> Iterator[Step]:
    yield b"HTTP/1.1 200 OK\r\nX-More: "
    yield from for_ever(b"x" * 4096)


def continue_for_ever(asked: Asked) -> Iterator[Step]:
    yield from for_ever(b"HTTP/1.1 100 Continue\r\n\r\n", PAUSE)


def slow_body(asked: Asked) -> Iterator[Step]:
    body = entry(asked)
    yield head(f"Content-Length: {len(body)}")
    yield from slowly(body)


def slow_chunks(asked: Asked) -> Iterator[Step]:
    yield head("Transfer-Encoding: chunked")
    for byte in entry(asked):
        yield chunk(bytes([byte]))
        yield PAUSE


def slow_chunk_length(asked: Asked) -> Iterator[Step]:
    yield head("Transfer-Encoding: chunked") + b"1;"
    yield from for_ever(b"x", PAUSE)


def slow_trailers(asked: Asked) -> Iterator[Step]:
    yield head("Transfer-Encoding: chunked") + chunk(entry(asked)) + b"0\r\n"
    yield from for_ever(b"X-More: x\r\n", PAUSE)


def trailers_for_ever(asked: Asked) -> Iterator[Step]:
    yield head("Transfer-Encoding: chunked") + chunk(entry(asked)) + b"0\r\n"
    yield from for_ever(b"X-More: x\r\n")


def slow_gzip_of_nothing(asked: Asked) -> Iterator[Step]:
    """The file name in the head of the archive has no end."""
    yield head("Content-Encoding: gzip") + b"\x1f\x8b\x08\x08" + bytes(6)
    yield from for_ever(b"n", PAUSE)


def gzip_of_nothing_for_ever(asked: Asked) -> Iterator[Step]:
    yield head("Content-Encoding: gzip") + b"\x1f\x8b\x08\x08" + bytes(6)
    yield from for_ever(b"n" * 4096)


def hundred_megabytes(asked: Asked) -> Iterator[Step]:
    yield head("Content-Length: 104857600")
    yield from repeat(b" " * 65536, 1600)


def chunks_for_ever(asked: Asked) -> Iterator[Step]:
    yield head("Transfer-Encoding: chunked")
    yield from for_ever(chunk(b" " * 4096))


def gzip_bomb(asked: Asked) -> Iterator[Step]:
    packer = zlib.compressobj(wbits=31)
    yield head("Content-Encoding: gzip")
    for part in repeat(b" " * 1048576, 100):
        yield packer.compress(part)
    yield packer.flush()


@cache
def prepare() -> bytes:
    """A hundred megabytes, packed twice; made once, beforehand where memory is measured."""
    return gzip.compress(gzip.compress(b" " * 104857600, 1), 9)


def bomb_in_a_bomb(asked: Asked) -> Iterator[Step]:
    yield answer(prepare(), "Content-Encoding: gzip, gzip")


def billion_laughs(asked: Asked) -> Iterator[Step]:
    document = f'<!DOCTYPE entry [<!ENTITY l0 "ha">{LAUGHS}]>' + ENTRY.format(code="&l9;")
    yield answer(document.encode())


def external_entity(asked: Asked) -> Iterator[Step]:
    address = f"http://{asked.headers['host']}/fetched"
    document = f'<!DOCTYPE entry [<!ENTITY x SYSTEM "{address}">]>' + ENTRY.format(code="a&x;")
    yield answer(document.encode())


def external_doctype(asked: Asked) -> Iterator[Step]:
    address = f"http://{asked.headers['host']}/fetched"
    yield answer(f'<!DOCTYPE entry SYSTEM "{address}">'.encode() + entry(asked))


def reset(asked: Asked) -> Iterator[Step]:
    yield Ending.RESET


def reset_in_the_body(asked: Asked) -> Iterator[Step]:
    yield answer(entry(asked))[:-20]
    yield Ending.RESET


def closed_in_the_body(asked: Asked) -> Iterator[Step]:
    yield answer(entry(asked))[:-20]


def redirect(asked: Asked) -> Iterator[Step]:
    yield answer(b"", "Location: /elsewhere", status="302 Found")


def redirect_to_itself(asked: Asked) -> Iterator[Step]:
    yield answer(b"", f"Location: {asked.target}", status="307 Temporary Redirect")


def redirect_with_a_slow_body(asked: Asked) -> Iterator[Step]:
    yield head("Location: /elsewhere", status="302 Found")
    yield from for_ever(b" ", PAUSE)


def redirect_with_hundred_megabytes(asked: Asked) -> Iterator[Step]:
    yield head("Location: /elsewhere", "Content-Length: 104857600", status="302 Found")
    yield from repeat(b" " * 65536, 1600)


def refusal_with_a_slow_body(asked: Asked) -> Iterator[Step]:
    yield head(status="400 Bad Request")
    yield from for_ever(b" ", PAUSE)


def failure_with_a_body_for_ever(asked: Asked) -> Iterator[Step]:
    yield head("Transfer-Encoding: chunked", status="500 Internal Server Error")
    yield from for_ever(chunk(b" " * 4096))


def not_http(asked: Asked) -> Iterator[Step]:
    yield b"SSH-2.0-OpenSSH_9.6\r\n"


def not_http_for_ever(asked: Asked) -> Iterator[Step]:
    yield from for_ever(b"\0" * 4096)


def too_short_a_length(asked: Asked) -> Iterator[Step]:
    yield head("Content-Length: 20") + entry(asked)


def two_lengths(asked: Asked) -> Iterator[Step]:
    yield head("Content-Length: 20", "Content-Length: 2000") + entry(asked)


def no_length_at_all(asked: Asked) -> Iterator[Step]:
    yield head("Content-Length: much") + entry(asked)[:-1]
    yield 60.0


def create_stopping_shop() -> Flask:
    """The shop, which stops dead (SIGSTOP) at the moment of a transaction that a file names, once."""
    file = Path(os.environ[STOP_FILE])

    def stop_at(moment: str) -> Callable[..., None]:
        def stop(*_: object) -> None:
            with suppress(FileNotFoundError):
                if file.read_text() == moment:
                    file.unlink()
                    os.kill(os.getpid(), signal.SIGSTOP)

        return stop

    claimed = stop_at("claim")

    def executed(connection: Connection, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE payment"):
            claimed()

    event.listen(Engine, "after_cursor_execute", executed)
    for moment in ("before_commit", "after_commit"):
        event.listen(Session, moment, stop_at(moment))
    return create_app()
