"""The in-memory wire: a requests adapter that hands each request to a WSGI application.

Both sides are joined by it in the tests: everything is really signed, sent, parsed and verified;
only the sockets are missing.
"""

import io
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse
from werkzeug.test import Client, EnvironBuilder


class Wire(BaseAdapter):
    """Delivers to `application`; `broken` may be set to an exception that every delivery raises."""

    def __init__(self, application: Callable[..., Any]) -> None:
        super().__init__()
        self.application = application
        self.broken: Exception | None = None

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        if self.broken:
            raise self.broken
        url = urlsplit(str(request.url))
        sent = request.body or b""
        builder = EnvironBuilder(
            path=url.path,
            query_string=url.query,
            method=request.method or "GET",
            base_url=f"{url.scheme}://{url.netloc}/",
            headers=[(_text(name), _text(value)) for name, value in request.headers.items()],
            input_stream=io.BytesIO(sent if isinstance(sent, bytes) else str(sent).encode()),
        )
        try:
            answer = Client(self.application).open(builder)
            body = answer.data  # which may be cut in the middle
        except ConnectionResetError as cut:
            raise requests.ConnectionError(cut) from None
        raw = HTTPResponse(
            body=io.BytesIO(body),
            headers=dict(answer.headers.items()),
            status=answer.status_code,
            preload_content=False,
        )
        response = requests.Response()
        response.status_code = answer.status_code
        response.headers.update(answer.headers.items())
        response.raw = raw
        response.url = str(request.url)
        response.request = request
        return response

    def close(self) -> None:
        pass


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
