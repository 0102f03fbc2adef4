"""What every answer tells the browser to forbid, what no request may do, and the one thing we mend in one."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug import routing

from storefront.config import Settings

NO_ROBOTS = "User-agent: *\nDisallow: /\n"
BARE = re.compile(r"[^!-~]")  # what an address may not contain as it is


class Rule(routing.Rule):
    """A route answers HEAD only if it says so: behind a GET of ours there may be a sale."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.methods and "HEAD" not in options["methods"]:
            self.methods.discard("HEAD")


def init_app(app: Flask, settings: Settings) -> None:
    container, provider = (
        _site(url) for url in (settings.mixi_container_url, settings.external_provider_url)
    )
    app.add_url_rule("/robots.txt", view_func=_robots, methods=["GET", "HEAD"])
    app.wsgi_app = _escaped(app.wsgi_app)  # type: ignore[method-assign]  # as Flask's manual has it
    policy = _policy(settings.public_url, container, provider)

    @app.after_request
    def forbid(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
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
    """Percent-escape the bare bytes of a query, which the framework could not read; no signature changes."""

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        query = environ.get("QUERY_STRING", "")
        environ["QUERY_STRING"] = BARE.sub(lambda byte: f"%{ord(byte[0]):02X}", query)
        return inner(environ, start_response)

    return application


def _site(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if url else ""


def _policy(shop: str, container: str, provider: str) -> str:
    """No script at all, no inline style; frames only around us, and only the container's."""
    return "; ".join(
        [
            "default-src 'none'",
            f"img-src {shop} {container}",
            f"style-src {shop}",
            f"form-action {shop} {container} {provider}".strip(),
            f"frame-ancestors {container}",
            "base-uri 'none'",
        ]
    )
