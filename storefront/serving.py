"""How gunicorn serves the shop: its settings, and a worker whose threads never wait for a sender.

    gunicorn --config python:storefront.serving --workers 4 --threads 8 wsgi:app

A request takes a thread once it is there in whole. Until then it waits in the worker's main loop, beside
hundreds of others, and only for a while; so does whoever was answered and does not go.
"""

import re
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from socket import SHUT_WR, socket
from typing import Any

from gunicorn import http
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import TConn, ThreadWorker

from storefront.clock import Deadline

worker_class = "storefront.serving.Worker"
limit_request_line = 8190  # a lifecycle event may name hundreds of users at once

# Half of the time in which mixi listens (seed: payment flow, step 5).
SECONDS = 5.0
# No form of ours comes near the one, nor a line and the headers beside it near the other.
BODY_BYTES, HEAD_BYTES = 64 * 1024, 32 * 1024
HEAD_ENDS = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length[ \t]*:[ \t]*([0-9]+)[ \t]*(?=\r\n|\Z)", re.IGNORECASE)
IN_PIECES = re.compile(rb"\r\ntransfer-encoding[ \t]*:", re.IGNORECASE)


class Refused(Exception):
    """The rest of this request is not waited for; says the status."""


def is_whole(request: bytes) -> bool:
    """Whether a request is there, to the end of its body. What it means is gunicorn's to say."""
    head, found, body = request.partition(HEAD_ENDS)
    if len(head) > HEAD_BYTES:
        raise Refused("431 Request Header Fields Too Large")
    if not found:
        return False
    if IN_PIECES.search(head):
        raise Refused("411 Length Required")
    length = LENGTH.search(head)
    if length and int(length[1]) > BODY_BYTES:
        raise Refused("413 Content Too Large")
    return not length or len(body) >= int(length[1])


class Worker(ThreadWorker):
    """A worker of threads that hears requests out before a thread sees them."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        # For whom the main loop waits, how long, and what then; who began first stands first.
        self.waiting: dict[TConn, tuple[Deadline, Callable[[], None]]] = {}

    def enqueue_req(self, conn: TConn) -> None:
        """A request is to come from this connection; some of it may have been read with the one before."""
        if self.cfg.is_ssl:  # only gunicorn can read it
            super().enqueue_req(conn)
            return
        conn.sock.setblocking(False)
        before = conn.parser
        ahead = before.unreader.buf.getvalue() if isinstance(before, RequestParser) else b""
        self._hear(conn, bytearray(ahead))

    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        """The connection was answered: it is kept for another request, or seen off."""
        if fs.cancelled() or fs.exception() or fs.result():
            super().finish_request(conn, fs)
        else:
            self._see_off(conn)

    def murder_pending(self) -> None:
        """The main loop's look at the clock, every second."""
        super().murder_pending()
        for conn, (until, give_up) in list(self.waiting.items()):
            if until.left() > 0:
                break
            self._wait_no_longer(conn)
            give_up()

    def _hear(self, conn: TConn, arrived: bytearray, ready: object = None) -> None:
        piece = _there_now(conn.sock)
        arrived += piece or b""
        try:
            whole = is_whole(bytes(arrived))
        except Refused as refused:
            self._refuse(conn, str(refused))
            return
        if whole:
            self._wait_no_longer(conn)
            # All that its thread can read, so that nothing keeps it waiting.
            conn.parser = http.get_parser(self.cfg, [bytes(arrived)], conn.client)
            conn.initialized = True
            super().enqueue_req(conn)
        elif piece == b"":
            self._close(conn)
        elif conn not in self.waiting:
            self._wait(conn, partial(self._hear, conn, arrived), partial(self._give_up, conn, arrived))

    def _give_up(self, conn: TConn, arrived: bytearray) -> None:
        if arrived:
            self._refuse(conn, "408 Request Timeout")
        else:
            self._close(conn)

    def _refuse(self, conn: TConn, status: str) -> None:
        with suppress(OSError):
            conn.sock.send(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        self._see_off(conn)

    def _see_off(self, conn: TConn) -> None:
        """Close once the other side has read its answer and closed; at once it might lose it."""
        self._wait_no_longer(conn)
        try:
            conn.sock.shutdown(SHUT_WR)
            conn.sock.setblocking(False)
        except OSError:
            self._close(conn)
        else:
            self._wait(conn, partial(self._drain, conn), partial(self._close, conn))

    def _drain(self, conn: TConn, ready: object = None) -> None:
        if _there_now(conn.sock) == b"":
            self._close(conn)

    def _close(self, conn: TConn) -> None:
        self._wait_no_longer(conn)
        self.nr_conns -= 1
        conn.close()

    def _wait(self, conn: TConn, hear: Callable[[object], None], give_up: Callable[[], None]) -> None:
        self.waiting[conn] = Deadline.after(SECONDS), give_up
        self.poller.register(conn.sock, EVENT_READ, hear)

    def _wait_no_longer(self, conn: TConn) -> None:
        if self.waiting.pop(conn, None):
            self.poller.unregister(conn.sock)


def _there_now(sock: socket) -> bytes | None:
    """What has come; None if nothing has, and nothing at all if no more will."""
    try:
        return sock.recv(BODY_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        return b""
