"""A point API that grants every wish at once, in a process of its own."""

import secrets
from collections.abc import Callable
from typing import Any

from tests.street import ScriptedApi


def create_point_api() -> Callable[..., list[bytes]]:
    """Answers every request with a fresh payment."""
    scripted = ScriptedApi()

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        if environ["PATH_INFO"] == "/healthz":
            start_response("200 OK", [("Content-Length", "0")])
            return []
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        body = scripted.entry(secrets.token_hex(10))
        start_response(
            "200 OK",
            [
                ("Content-Type", "application/atom+xml;type=entry;charset=utf-8"),
                ("Content-Length", str(len(body))),
            ],
        )
        return [body]

    return answer
