"""What every answer tells the browser to forbid, what no request may do, and the one thing we mend in one.

Pages have to do with nobody but us and whom a room names by `allow`.
"""

import re
import sys
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import structlog
from flask import Flask, Response, current_app, g, request
from werkzeug import routing
from werkzeug.exceptions import NotFound

from storefront.config import HouseSettings

log = structlog.get_logger()

NOWHERE = "nowhere.invalid"
NO_ROBOTS = "User-agent: *\nDisallow: /\n"
BARE = re.compile(r"[^!-~]")  # what an address may not contain as it is
ADDRESSES = ("QUERY_STRING", "RAW_URI", "REQUEST_URI", "HTTP_REFERER")
# Servers log a browser's name as well, in which a space is allowed.
ESCAPED = {**dict.fromkeys(ADDRESSES, BARE), "HTTP_USER_AGENT": re.compile(r"[^ -~]")}


@dataclass(frozen=True)
class Others:
    """The sites that may frame our pages, that our forms may lead to, and whose images we show."""

    frames: Sequence[str] = ()
    forms: Sequence[str] = ()
    images: Sequence[str] = ()


def allow(app: Flask, room: str, others: Others) -> None:
    """Let a room's sites do so. Browsers hold a form to it wherever it is redirected to, hop by hop."""
    app.extensions["others"][room] = others


def narrow(rooms: Sequence[str]) -> None:
    """Of all these sites, those of a visitor's rooms alone have to do with this answer.

    Only that of the first, by which they came in, may frame it.
    """
    g.rooms = rooms


def style(sheet: str) -> None:
    """Let this answer have this style inside it, and no other."""
    g.style = f"'sha256-{b64encode(sha256(sheet.encode()).digest()).decode()}'"


def site(url: str) -> str:
    """Scheme, host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def sites(hosts: Iterable[str]) -> Sequence[str]:
    """These hosts, each `host` or `host:port`, in both schemes."""
    return [f"{scheme}://{host}" for host in hosts for scheme in ("http", "https")]


def never_framed() -> None:
    """Whatever this request is answered, nobody puts a frame around it."""
    g.never_framed = True


class Rule(routing.Rule):
    """A route answers HEAD only if it says so: behind a GET of ours there may be a sale."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.methods and "HEAD" not in options["methods"]:
            self.methods.discard("HEAD")


def init_app(app: Flask, settings: HouseSettings) -> None:
    app.extensions["others"] = {}
    # To mend an address with too many slashes the framework redirects to whatever host the request names.
    app.url_map.merge_slashes = False
    app.add_url_rule("/robots.txt", view_func=_robots, methods=["GET", "HEAD"])
    app.wsgi_app = _escaped(app.wsgi_app)  # type: ignore[method-assign]  # as Flask's manual has it

    @app.before_request
    def find() -> None:
        if "\0" in request.path:  # PostgreSQL looks for no such thing, and would say that it is out of order
            raise NotFound

    @app.after_request
    def forbid(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = _policy(settings.public_url)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(), payment=()"
        if settings.public_url.startswith("https:"):
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        if request.endpoint != "static":
            response.headers["Cache-Control"] = "no-store"  # a page is somebody's own
            response.headers["X-Robots-Tag"] = "noindex, nofollow"
        return response


def _robots() -> tuple[str, dict[str, str]]:
    return NO_ROBOTS, {"Content-Type": "text/plain"}


def _escaped(inner: Callable[..., Any]) -> Callable[..., Any]:
    """Percent-escape the bare bytes of a query, which the framework could not read; no signature changes.

    The same for what a server's log says of a request, which is written when it has been answered.
    """

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        for name in environ.keys() & ESCAPED.keys():
            environ[name] = ESCAPED[name].sub(_escape, environ[name])
        if not _is_a_host(environ.get("HTTP_HOST", "")):
            environ["HTTP_HOST"] = NOWHERE  # or the framework could write no page at all
        if environ.get("HTTP_AUTHORIZATION", "").lower().startswith("basic"):
            del environ["HTTP_AUTHORIZATION"]  # of a proxy before us; the log would have its user's name
        try:
            return inner(environ, start_response)
        except Exception as error:  # not even an error page: the server would log the whole address
            log.exception("request broke", kind=type(error).__name__, path=environ["PATH_INFO"])
            start_response("500 INTERNAL SERVER ERROR", [("Content-Type", "text/plain")], sys.exc_info())
            return [b"The shop is out of order. Nothing was paid by this page.\n"]

    return application


def _is_a_host(name: str) -> bool:
    try:
        name.partition(":")[0].encode("idna")
    except UnicodeError:
        return False
    return True


def _escape(byte: re.Match[str]) -> str:
    return f"%{ord(byte[0]):02X}"


def _policy(shop: str) -> str:
    """No script at all, no style but ours; frames only around us, and only of whom a room has named."""
    named: dict[str, Others] = current_app.extensions["others"]
    rooms = g.get("rooms") or list(named)
    # Where nobody is known the page is anybody's way in, and has nothing of anybody's.
    framing = rooms[:1] if "rooms" in g else rooms
    others = [one for room, one in named.items() if room in rooms]
    frames = [] if "never_framed" in g else [site for room in framing for site in named[room].frames]
    rules = {
        "default-src": ["'none'"],
        "img-src": [shop, *(site for one in others for site in one.images)],
        "style-src": [g.get("style", shop)],
        "form-action": [shop, *(site for one in others for site in one.forms)],
        "frame-ancestors": frames or ["'none'"],
        "base-uri": ["'none'"],
    }
    return "; ".join(" ".join([name, *dict.fromkeys(sources)]) for name, sources in rules.items())
