"""The senders: one thread that keeps many connections busy, at full speed or at a steady rate."""

import gc
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from selectors import EVENT_READ, SelectSelector
from time import perf_counter

from tests.bench.letters import HOST

GIVES_UP = 30.0  # seconds without any answer after which a run is given up
GOOD = (200, 302)
WORKERS = 2  # of every server; each gets the same number of connections
TRIES = 50
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Unexpected(Exception):
    """A server said something else than yes, or nothing."""


@dataclass(frozen=True)
class Outcome:
    """How long a round took, and how long each of its requests waited for the answer; in seconds."""

    seconds: float
    waits: list[float]
    refused: int = 0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.waits) / self.seconds


class Line:
    """One keep-alive connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.good: Sequence[int] = GOOD
        self.socket = socket.create_connection((HOST, port), GIVES_UP)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.began = 0.0
        self.worker = b""
        self.status = 0
        self._come = b""

    def fileno(self) -> int:
        return self.socket.fileno()

    def send(self, message: bytes, began: float) -> None:
        self.began = began
        self.socket.sendall(message)

    def answer(self) -> bytes | None:
        """The body, once all of it is here; call when there is something to read."""
        piece = self.socket.recv(65536)
        if not piece:
            raise Unexpected("the server closed a connection")
        self._come += piece
        head, gap, body = self._come.partition(b"\r\n\r\n")
        if not gap or len(body) < int(_field(head, b"content-length")):
            return None
        self._come = b""
        self.worker = _field(head, b"x-worker")
        self.status = int(head.split(b" ", 2)[1])
        if self.status not in self.good:
            raise Unexpected(f"{head.splitlines()[0].decode()}: {body[:200].decode(errors='replace')}")
        return body


def flood(port: int, messages: Sequence[bytes], connections: int, good: Sequence[int] = GOOD) -> Outcome:
    """Send all messages, on each connection the next as soon as the last was answered."""
    return _drive(port, messages, connections, 0.0, good)


def stream(port: int, messages: Sequence[bytes], connections: int, per_second: float) -> Outcome:
    """Send at a steady rate whatever the answers do; waits count from the planned moment."""
    return _drive(port, messages, connections, 1 / per_second)


def ask(port: int, messages: Sequence[bytes]) -> list[bytes]:
    """The bodies of the answers, asked one after the other on one connection."""
    bodies: list[bytes] = []
    with _lines(port, 1) as (line,):
        for message in messages:
            line.send(message, 0)
            while (body := line.answer()) is None:
                pass
            bodies.append(body)
    return bodies


def _drive(
    port: int, messages: Sequence[bytes], connections: int, gap: float, good: Sequence[int] = GOOD
) -> Outcome:
    """Send with `gap` seconds between two requests, or, if it is 0, whenever a connection is idle."""
    waits: list[float] = []
    sent, refused, count = 0, 0, len(messages)
    # Not epoll: it rounds its timeouts up to whole milliseconds.
    with _lines(port, connections) as lines, SelectSelector() as ready, _no_collection():
        for line in lines:
            ready.register(line, EVENT_READ, line)
            line.good = good
        idle = deque(lines)
        start = perf_counter()
        while len(waits) < count:
            while idle and sent < count and (planned := start + sent * gap) <= (now := perf_counter()):
                idle.popleft().send(messages[sent], planned if gap else now)
                sent += 1
            due = start + sent * gap if idle and sent < count else None
            answered = ready.select(GIVES_UP if due is None else max(0.0, due - perf_counter()))
            if due is None and not answered:
                raise Unexpected(f"no answer for {GIVES_UP:g} seconds")
            for key, _ in answered:
                answering: Line = key.data
                if answering.answer() is not None:
                    waits.append(perf_counter() - answering.began)
                    refused += answering.status not in GOOD
                    idle.append(answering)
        return Outcome(perf_counter() - start, waits, refused)


def _field(head: bytes, wanted: bytes) -> bytes:
    for field in head.split(b"\r\n")[1:]:
        name, _, value = field.partition(b":")
        if name.lower() == wanted:
            return value.strip()
    raise Unexpected(f"an answer without {wanted.decode()}")


@contextmanager
def _lines(port: int, count: int) -> Iterator[list[Line]]:
    """Open connections; if there are several, every worker has accepted as many as the others."""
    opened: list[Line] = []
    chosen: list[Line] = []
    try:
        chosen = _shared_out(port, count, opened) if count > 1 else [Line(port)]
        for line in set(opened) - set(chosen):
            line.socket.close()
        yield chosen
    finally:
        for line in (*opened, *chosen):
            line.socket.close()


def _shared_out(port: int, count: int, opened: list[Line]) -> list[Line]:
    """`count` connections, the workers in turn; all that were opened for it go to `opened`."""
    accepted: dict[bytes, list[Line]] = {}
    for _ in range(TRIES):
        # All at once, or the same worker is the first to wake up each time.
        fresh = [Line(port) for _ in range(count)]
        opened += fresh
        for line in fresh:
            line.send(HEALTH, 0)
        for line in fresh:
            while line.answer() is None:
                pass
            accepted.setdefault(line.worker, []).append(line)
        if len(accepted) == WORKERS and all(len(each) >= count // WORKERS for each in accepted.values()):
            return [
                line
                for turn in islice(zip(*accepted.values(), strict=False), count // WORKERS)
                for line in turn
            ]
    raise Unexpected("one worker accepts all connections")


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without pauses of our own garbage collector, which would count as the server's."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
