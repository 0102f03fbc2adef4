"""Cookies: what a browser goes on with, signed by us, good for a while after its last page."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, g, request
from itsdangerous import BadData, URLSafeTimedSerializer

from storefront.config import is_here, settings
from storefront.shop import words


@dataclass(frozen=True)
class Cookie:
    """One of our cookies. `framed` says that it comes along inside another site's page, too, and `rotates`
    that it outlives a change of the key.

    Over TLS its name lets nobody but this very host set it; a frame's is kept apart for the page around it.
    """

    name: str
    framed: bool = False
    rotates: bool = True

    def read(self) -> Any:
        """What this browser was given last; None if that is too old, not ours, or not the only one."""
        _written()  # whatever is answered depends on it
        sent = request.cookies.getlist(self._full_name())
        if len(sent) != 1:
            return None
        try:
            return self._serializer.loads(sent[0], max_age=settings().visit_seconds)
        except BadData:
            return None

    def write(self, value: Any) -> None:
        """Give it to this browser with the answer; renewed so, it lasts from the last page."""
        _written()[self] = value

    def drop(self) -> None:
        """Take it from this browser."""
        _written()[self] = None

    def send(self, response: Response, value: Any) -> None:
        framed = self.framed and _over_tls()
        response.set_cookie(
            self._full_name(),
            "" if value is None else self._serializer.dumps(value),
            max_age=0 if value is None else settings().visit_seconds,
            httponly=True,
            secure=_over_tls(),
            # On plain http no browser takes a cookie for foreign frames; those of its own site get this one.
            samesite="None" if framed else "Lax" if self.framed else "Strict",
            partitioned=framed,
        )

    def _full_name(self) -> str:
        name = f"__Host-{self.name}" if _over_tls() else self.name
        # Cookies do not know ports, and on one's own machine several shops may run at once.
        at = settings().public_url
        return f"{name}-{urlsplit(at).port}" if is_here(at) and urlsplit(at).port else name

    @property
    def _serializer(self) -> URLSafeTimedSerializer:
        kind = words.serializer if self.rotates else words.unrotated
        return kind(f"storefront.cookie.{self.name}")


def init_app(app: Flask) -> None:
    @app.after_request
    def send(response: Response) -> Response:
        if "cookies" in g:
            response.vary.add("Cookie")
            for cookie, value in _written().items():
                cookie.send(response, value)
        return response


def _written() -> dict[Cookie, Any]:
    """What goes out with this answer; once it is there at all, a cookie was looked at or changed."""
    if "cookies" not in g:
        g.cookies = {}
    written: dict[Cookie, Any] = g.cookies
    return written


def _over_tls() -> bool:
    return settings().public_url.startswith("https:")
