"""How gunicorn serves the shop: its settings, and a worker whose threads never wait for the other side.

    gunicorn --config python:storefront.serving --workers 4 --threads 8 wsgi:app

A request takes a thread once it is there in whole, and leaves it when its answer is made. Before and after
it stands in the worker's main loop, beside hundreds of others, and only for a while; so does whoever was
answered and does not go.
"""

import errno
import resource
import sys
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from select import select
from selectors import EVENT_READ, EVENT_WRITE
from socket import SHUT_WR, socket
from typing import Any

from gunicorn import http
from gunicorn.http.errors import ExpectationFailed, LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.http.message import Request
from gunicorn.workers.gthread import TConn, ThreadWorker

from storefront.client_socket import ROOM, ClientSocket, Refused
from storefront.clock import Deadline

worker_class = "storefront.serving.Worker"
limit_request_line = 8190  # a lifecycle event may name hundreds of users at once
sendfile = False  # it would wait for the reader
# gunicorn believes whoever comes from this machine, as everybody does behind a proxy that passes headers on:
# a stranger would say where the shop stands (SCRIPT_NAME), and that plain http is https.
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
control_socket_disable = True  # nobody asks it, and it would lie in a home

# Half of the time in which mixi listens (seed: payment flow, step 5).
SECONDS = 5.0
# What a phone that reads slowly has for a whole answer, as long as it never stops for SECONDS.
ANSWER_SECONDS = 60.0
# For whatever else one process opens, and for whatever else each of its threads does: the database and the
# files beside it, the platform's lines, templates and pictures.
KEPT_FILES, FILES_OF_A_THREAD = 64, 8
# What the machine has no more of; later there may be some.
SPENT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
PAUSE_SECONDS = 0.5
# The application says so in the buyer's language, of what it has heard out; this was more.
TOO_LARGE = """<!doctype html>
<html lang="ja"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>送信内容が大きすぎます</title>
<p>送信内容が大きすぎます。支払いも保存もされていません。前のページに戻り、内容を減らしてもう一度送ってください。
<p lang="en">The form was too large. Nothing was paid or saved. Go back and send less.
"""
SAID = {"413": TOO_LARGE}
BROKEN = "500 Internal Server Error"
REFUSALS: dict[type[Exception], str] = {
    LimitRequestLine: "414 URI Too Long",
    LimitRequestHeaders: "431 Request Header Fields Too Large",
    ExpectationFailed: "417 Expectation Failed",
}


class Worker(ThreadWorker):
    """A worker of threads that hears requests out before a thread sees them, and sends what threads say."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        # For whom the main loop waits, how long, and what then; who began first stands first.
        self.waiting: dict[TConn, tuple[Deadline, Callable[[], None]]] = {}
        self.pause = Deadline.after(0)
        self.worker_connections = min(self.worker_connections, room(self.cfg.threads))
        self.max_keepalived = self.worker_connections - self.cfg.threads

    def accept(self, listener: socket) -> None:
        """Whoever cannot be let in stays in the queue, until somebody has gone."""
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno not in SPENT:
                raise
            self.log.warning("nobody is let in for a moment: %s", error.strerror)
            self.pause = Deadline.after(PAUSE_SECONDS)
            self.set_accept_enabled(False)

    def set_accept_enabled(self, enabled: bool | None) -> None:
        ends = not self.alive  # asked once: a signal may come at any moment
        super().set_accept_enabled(enabled and not ends and self.pause.left() <= 0)
        if ends:
            self._stop_listening()

    def _stop_listening(self) -> None:
        """A worker that ends lets in whoever stands in the queue, and nobody after.

        Otherwise the kernel would take connections until the last was answered, and nobody would hear them.
        """
        listeners, self.sockets = self.sockets, []
        for listener in listeners:
            while self._has_room() and select([listener], [], [], 0)[0]:
                self.accept(listener)
            listener.close()

    def _has_room(self) -> bool:
        return self.nr_conns < self.worker_connections and self.pause.left() <= 0

    def enqueue_req(self, conn: TConn) -> None:
        """A request is to come from this connection; some of it may have come with the one before."""
        if self.cfg.is_ssl:  # only gunicorn can read it
            super().enqueue_req(conn)
            return
        if not isinstance(conn.sock, ClientSocket):
            conn.sock = ClientSocket(conn.sock)
        self._step(conn, partial(self._hear, conn, conn.sock))

    def handle_request(self, req: Request, conn: TConn) -> bool:
        """In a thread: let the application answer."""
        # The client socket has said so, or the body is here.
        req._expected_100_continue = False  # type: ignore[attr-defined]  # left out by the stubs
        return super().handle_request(req, conn)

    def handle_error(self, req: Request | None, client: socket, addr: Any, exc: BaseException) -> None:
        """In a thread: what gunicorn refuses it would log, and the word of a payment with it."""
        if isinstance(exc, ParseException):
            self.log.warning("request refused: %s", type(exc).__name__)
            status = REFUSALS.get(type(exc), "400 Bad Request")
        else:
            self.log.error("request broke", exc_info=exc)
            status = BROKEN
        with suppress(OSError):
            client.sendall(_bare_answer(status))

    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        """The connection was answered: it is kept for another request, or seen off."""
        client = conn.sock
        if not isinstance(client, ClientSocket) or fs.cancelled() or fs.exception():
            super().finish_request(conn, fs)
        elif not fs.result():
            self._answer(conn, client, partial(self._see_off, conn, client))
        elif client.arrived:
            self._answer(conn, client, partial(self.enqueue_req, conn))
        else:
            self._answer(conn, client, partial(super().finish_request, conn, fs))

    def murder_pending(self) -> None:
        """The main loop's look at the clock, every second."""
        super().murder_pending()
        for conn, (until, give_up) in list(self.waiting.items()):
            if until.left() > 0:
                break
            self._wait_no_longer(conn)
            self._step(conn, give_up)

    def _step(self, conn: TConn, step: Callable[[], object], ready: object = None) -> None:
        """Whatever a stranger's bytes break ends the one connection, and never the main loop."""
        try:
            step()
        except (EOFError, OSError):  # the other side is gone
            self._close(conn)
        except Exception as error:
            self.log.error("connection dropped: %s", type(error).__name__)
            self._close(conn)

    def _hear(self, conn: TConn, client: ClientSocket) -> None:
        try:
            is_whole = client.hear()
        except Refused as refused:
            self._refuse(conn, client, str(refused))
            return
        if is_whole:
            self._wait_no_longer(conn)
            # All that its thread can read, so that nothing keeps it waiting.
            conn.parser = http.get_parser(self.cfg, [client.take()], conn.client)
            conn.initialized = True
            super().enqueue_req(conn)
        elif conn not in self.waiting:
            self._wait(
                conn, EVENT_READ, partial(self._hear, conn, client), partial(self._give_up, conn, client)
            )

    def _give_up(self, conn: TConn, client: ClientSocket) -> None:
        if client.arrived:
            self._refuse(conn, client, "408 Request Timeout")
        else:
            self._close(conn)

    def _refuse(self, conn: TConn, client: ClientSocket, status: str) -> None:
        self._wait_no_longer(conn)
        client.sendall(_bare_answer(status))
        self._answer(conn, client, partial(self._see_off, conn, client))

    def _answer(self, conn: TConn, client: ClientSocket, then: Callable[[], None]) -> None:
        """Once all that was said is taken, go on."""
        send = partial(self._send, conn, client, Deadline.after(ANSWER_SECONDS), then)
        self._step(conn, send)

    def _send(
        self,
        conn: TConn,
        client: ClientSocket,
        until: Deadline,
        then: Callable[[], None],
        *,
        stalls: bool = False,
    ) -> None:
        taken = client.send_on()
        if not client.unsent:
            self._wait_no_longer(conn)
            then()
        elif until.left() <= 0 or (stalls and not taken):
            self._close(conn)
        elif taken or conn not in self.waiting:
            send = partial(self._send, conn, client, until, then)
            self._wait(conn, EVENT_WRITE, send, partial(send, stalls=True))

    def _see_off(self, conn: TConn, client: ClientSocket) -> None:
        """Close once the other side has read its answer and closed; at once it might lose it."""
        client.shutdown(SHUT_WR)
        self._wait(conn, EVENT_READ, partial(client.there_now, ROOM), partial(self._close, conn))

    def _close(self, conn: TConn) -> None:
        self._wait_no_longer(conn)
        self.nr_conns -= 1
        conn.close()

    def _wait(self, conn: TConn, what: int, go_on: Callable[[], object], give_up: Callable[[], None]) -> None:
        """Go on as soon as the socket allows it; give up after a while."""
        self._wait_no_longer(conn)
        self.waiting[conn] = Deadline.after(SECONDS), give_up
        self.poller.register(conn.sock, what, partial(self._step, conn, go_on))

    def _wait_no_longer(self, conn: TConn) -> None:
        if self.waiting.pop(conn, None):
            self.poller.unregister(conn.sock)


def room(threads: int) -> int:
    """How many connections a process may hold, so that its threads can still open what they need."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return sys.maxsize
    return max(threads + 1, files - KEPT_FILES - FILES_OF_A_THREAD * threads)


def _bare_answer(status: str) -> bytes:
    page = SAID.get(status[:3])
    said = (page or f"{status}\n").encode()
    kind = "text/html; charset=utf-8" if page else "text/plain"
    length = f"Content-Type: {kind}\r\nContent-Length: {len(said)}"
    head = f"HTTP/1.1 {status}\r\n{length}\r\nConnection: close\r\n\r\n"
    return head.encode() + said
