"""The log: a line of key=value to standard error for every fact, and nothing in it that a terminal obeys."""

import logging
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

import structlog
from flask import Flask

PLAIN = bool | int | float | None  # what no stranger can write a word in


def init_app(app: Flask) -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            _tame,
            structlog.processors.LogfmtRenderer(key_order=["at", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=_Lines,
    )
    app.logger.addFilter(_tame_record)


class _Lines:
    """Lines to standard error. What one tells of has happened, so one that cannot be written is left out."""

    def __init__(self, *_names: object) -> None:
        self._file = sys.stderr

    def msg(self, line: str) -> None:
        if self._file:  # a process may have been started without
            with suppress(OSError, ValueError):
                self._file.write(f"{line}\n")
                self._file.flush()

    debug = info = warning = error = exception = critical = msg


def printable(text: str) -> str:
    """The same text with an escape for every sign that ends a line, moves a cursor or cannot be seen."""
    if text.isprintable():
        return text
    signs = (sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text)
    return "".join(signs)


def _tame(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {
        name: value if isinstance(value, PLAIN) else printable(str(value)) for name, value in event.items()
    }


def _tame_record(record: logging.LogRecord) -> bool:
    """The same for what the framework logs by itself, with a path or an error's words in it."""
    record.msg, record.args = printable(record.getMessage()), ()
    if record.exc_info:
        lines = logging.Formatter().formatException(record.exc_info).splitlines()
        record.exc_text = "\n".join(map(printable, lines))
    return True
