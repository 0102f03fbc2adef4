"""What strangers send cannot end a line of a log, move its reader's cursor, or hide in it."""

import base64
import io
import logging
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TextIO

import pytest
import structlog
from flask import Flask

from storefront import Settings, logs
from tests.command import environment
from tests.databases import on_sqlite
from tests.demo import free_ports
from tests.proof.served import gunicorn
from tests.street import Books, Container

# Ends of lines in several alphabets, escapes of terminals in 7 and 8 bits, and what turns a text around.
WILD = "a\rb\nc\x1b[31md\x9b31me\x85f\u2028g\u202eh\x7fi\0j"
SHOWN = r"a\rb\nc\x1b[31md\x9b31me\x85f\u2028g\u202eh\x7fi\x00j"


def full_disk() -> TextIO:
    return open("/dev/full", "w", buffering=1)


def nobody_reads() -> TextIO:
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w", buffering=1)


def closed() -> TextIO:
    file = io.StringIO()
    file.close()
    return file


def is_tame(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


@on_sqlite
def test_facts(app: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a fact holds, it is one line of printable signs."""
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(file=(out := io.StringIO())))
    structlog.get_logger().warning("page refused", path=WILD, error=ValueError(WILD), count=3, none=None)
    (line,) = out.getvalue().splitlines()
    assert line.isprintable()
    assert line.replace("\\\\", "\\").count(SHOWN) == 2
    assert "count=3" in line


@on_sqlite
def test_what_the_framework_logs(app: Flask) -> None:
    """An error that nobody expected is logged with its path and its words, and neither can forge a line."""
    handler = logging.StreamHandler(out := io.StringIO())
    app.logger.addHandler(handler)
    app.testing, app.config["PROPAGATE_EXCEPTIONS"] = False, False
    app.add_url_rule("/broken/<path:rest>", view_func=_break)
    try:
        answer = app.test_client().get("/", environ_overrides={"PATH_INFO": "/broken/a\r\x1b[31mb"})
    finally:
        app.logger.removeHandler(handler)
    assert answer.status_code == 500
    assert is_tame(out.getvalue())
    assert r"/broken/a\r\x1b[31mb" in out.getvalue()
    assert "ValueError: " in out.getvalue()


@pytest.mark.long
@on_sqlite
def test_the_servers_own_log(settings: Settings, tmp_path: Path) -> None:
    """gunicorn writes down the page before, browser and user of each request: in one printable line."""
    (port,), user = free_ports(1), base64.b64encode(b"x\n\x1b[31m:secret")
    wild = b"\x9b31m\x85"  # what a server of today lets through
    lines = [
        b"GET / HTTP/1.1",
        b"Host: shop.test",
        b"Connection: close",
        b"Referer: " + wild,
        b"User-Agent: A b" + wild,
        b"Authorization: Basic " + user,
    ]
    size = ["--access-logfile", "-"]
    with (
        gunicorn(tmp_path, "shop", port, "storefront:create_app()", size, environment(settings)),
        socket.create_connection(("127.0.0.1", port), timeout=10) as line,
    ):
        line.sendall(b"\r\n".join([*lines, b"", b""]))
        while line.recv(4096):
            pass
    logged = (tmp_path / "shop.log").read_text()
    (about,) = [line for line in logged.split("\n") if "A b%9B31m%85" in line]
    assert is_tame(logged)
    assert '"%9B31m%85"' in about
    assert " - - [" in about


@on_sqlite
@pytest.mark.parametrize("no_log", [full_disk, nobody_reads, closed, lambda: None])
def test_a_line_that_cannot_be_written(
    container: Container,
    books: Books,
    monkeypatch: pytest.MonkeyPatch,
    no_log: Callable[[], TextIO | None],
) -> None:
    """The goods were given, so the answer is OK, whether or not a line can tell of it; so are pages."""
    code = container.start("loaf")
    file = no_log()
    monkeypatch.setattr(sys, "stderr", file)
    if file is None:
        monkeypatch.setattr(sys, "stdout", None)  # as with a process that has neither
    logs.init_app(container.app)
    assert container.callback(code).text == "OK"
    assert (books.grants(), container.get("/nowhere").status_code) == (1, 404)
    if file:
        with suppress(OSError):  # what it still holds
            file.close()


def _break(rest: str) -> NoReturn:
    raise ValueError(rest)
