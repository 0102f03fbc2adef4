"""Requests written and signed beforehand, so that sending them costs next to nothing."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urlencode

from oauthlib.oauth1 import Client

from tests.street import CONSUMER_KEY, CONSUMER_SECRET, claims

HOST = "127.0.0.1"
Method = Literal["GET", "POST"]
AHEAD = 60  # seconds: signed for a moment to come, so that waiting to be sent makes no letter stale


@dataclass(frozen=True)
class Letters:
    """Writes signed requests to the server on one port."""

    port: int

    def get(self, path: str, query: Mapping[str, str]) -> bytes:
        return self._write("GET", path, query, b"")

    def post(self, path: str, query: Mapping[str, str], body: bytes, kind: str) -> bytes:
        return self._write("POST", path, query, body, f"Content-Type: {kind}\r\n")

    def press(self, path: str, owner: str, form: Mapping[str, str]) -> bytes:
        """A form sent from inside the container: its body is never signed, the query is."""
        body = urlencode(form).encode()
        return self.post(path, claims(owner), body, "application/x-www-form-urlencoded")

    def callback(self, path: str, code: str, owner: str) -> bytes:
        """What the platform sends when a buyer has confirmed."""
        updated = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return self.get(path, {**claims(owner), "point_code": code, "status": "10", "updated": updated})

    def _write(
        self, method: Method, path: str, query: Mapping[str, str], body: bytes, more: str = ""
    ) -> bytes:
        target = f"{path}?{urlencode(query)}"
        moment = str(int(time.time()) + AHEAD)
        client = Client(CONSUMER_KEY, client_secret=CONSUMER_SECRET, timestamp=moment)
        _, headers, _ = client.sign(f"http://{HOST}:{self.port}{target}", method)
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: {HOST}:{self.port}\r\n"
            f"Authorization: {headers['Authorization']}\r\n"
            f"{more}Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode("ascii") + body
