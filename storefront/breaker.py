"""Holds a demo's shop still, on request: its workers, or its database. Run by the demo and by nobody else.

`python -P breaker.py PIPE SOCKET PROCESS`, with token and database in the environment. Whoever started it has
the other end of the pipe: at its end, however that came, all that is held is let go.

    POST /frozen    {"seconds": 12}    the process and all that it started stand still
    POST /database  {"seconds": 12}    nobody else can write to the database; on PostgreSQL nor read it
"""

import hmac
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any

from sqlalchemy import Engine, create_engine, inspect
from sqlalchemy.exc import SQLAlchemyError

TOKEN, DATABASE = "BREAKER_TOKEN", "STOREFRONT_DATABASE_URL"
MOST_SECONDS = 30
MAX_BYTES = 1000
POLL_SECONDS = 0.05


class Breaker:
    """What can be held, one thing at a time, until it is let go."""

    def __init__(self, process: int, database: str) -> None:
        self.process = process
        self.engine = create_engine(database, hide_parameters=True)
        self.one_at_a_time = Lock()
        self.over = Event()
        self.ways: dict[str, Callable[[], Any]] = {"/frozen": self._frozen, "/database": self._locked}

    def hold(self, way: str, seconds: int) -> bool:
        """Hold it for so long, from now on; False if something is held already, or cannot be."""
        if not self.one_at_a_time.acquire(blocking=False):
            return False
        begun = Event()
        holding = Thread(target=self._holding, args=(self.ways[way], seconds, begun))
        holding.start()
        while holding.is_alive() and not begun.wait(POLL_SECONDS):
            pass
        return begun.is_set()

    def let_go(self) -> None:
        """Let go of everything, and hold nothing any more."""
        self.over.set()
        self.one_at_a_time.acquire()

    def _holding(self, way: Callable[[], Any], seconds: int, begun: Event) -> None:
        with suppress(OSError, SQLAlchemyError), way():
            begun.set()
            self.over.wait(seconds)
        self.one_at_a_time.release()

    @contextmanager
    def _frozen(self) -> Iterator[None]:
        try:
            os.killpg(self.process, signal.SIGSTOP)
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.process, signal.SIGCONT)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self.engine.connect() as connection:
            for statement in _locking(self.engine):
                connection.exec_driver_sql(statement)
            yield
            connection.rollback()


def _locking(engine: Engine) -> list[str]:
    if engine.dialect.name == "sqlite":
        return ["BEGIN IMMEDIATE"]
    tables = ", ".join(f'"{name}"' for name in inspect(engine).get_table_names())
    return [f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE"]


class Requests(BaseHTTPRequestHandler):
    """Takes requests from whoever knows the token, on this machine."""

    breaker: Breaker
    token: str

    def do_POST(self) -> None:  # the library's name
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            self._answer(401)
        elif self.path not in self.breaker.ways:
            self._answer(404)
        elif (seconds := self._seconds()) is None:
            self._answer(400)
        else:
            self._answer(204 if self.breaker.hold(self.path, seconds) else 409)

    def log_message(self, *words: object) -> None:
        """Nothing is said in between the demo's words."""

    def _seconds(self) -> int | None:
        with suppress(ValueError, KeyError, TypeError):
            length = min(int(self.headers.get("Content-Length", 0)), MAX_BYTES)
            seconds = json.loads(self.rfile.read(length))["seconds"]
            return seconds if type(seconds) is int and 1 <= seconds <= MOST_SECONDS else None
        return None

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


def main() -> None:
    pipe, listening, process = map(int, sys.argv[1:4])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # whoever started us ends us by letting go of the pipe
    Requests.breaker = Breaker(process, os.environ[DATABASE])
    Requests.token = os.environ[TOKEN]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Requests, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=listening)
    Thread(target=server.serve_forever, daemon=True).start()
    os.read(pipe, 1)  # nothing is ever said: it ends
    Requests.breaker.let_go()


if __name__ == "__main__":
    main()
