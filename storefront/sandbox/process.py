"""What every process of the sandbox is made of: a Flask app with its own cookie, file and languages."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from flask import Flask
from pydantic import SecretStr

from storefront.sandbox.settings import MIB, cookie_name

NOWHERE = "nowhere.invalid"
PLAIN = {"Content-Type": "text/plain; charset=utf-8"}


class Told(Protocol):
    """What each process is told from outside."""

    @property
    def secret_key(self) -> SecretStr: ...
    @property
    def database_url(self) -> SecretStr: ...
    @property
    def public_url(self) -> str: ...


def new_app(import_name: str, name: str, settings: Told, same_site: str = "Lax") -> Flask:
    """A process that has no room yet; `name` is its cookie's."""
    app = Flask(import_name, template_folder=folder("templates"), static_folder=folder("static"))
    app.config.update(
        SECRET_KEY=settings.secret_key.get_secret_value(),
        SQLALCHEMY_DATABASE_URI=settings.database_url.get_secret_value(),
        SESSION_COOKIE_NAME=cookie_name(name, settings.public_url),
        SESSION_COOKIE_SAMESITE=same_site,
        SESSION_COOKIE_SECURE=settings.public_url.startswith("https:"),
        MAX_CONTENT_LENGTH=MIB,
        # The whole sandbox has one catalogue.
        BABEL_TRANSLATION_DIRECTORIES=folder("sandbox/translations"),
    )
    # To mend an address the framework redirects to whatever host the request names.
    app.url_map.merge_slashes = app.url_map.strict_slashes = False
    app.wsgi_app = _somewhere(app.wsgi_app)  # type: ignore[method-assign]  # as Flask's manual has it
    app.add_url_rule("/robots.txt", "robots", lambda: ("User-agent: *\nDisallow: /\n", PLAIN))
    return app


def folder(name: str) -> str:
    """The folder inside the installed package, or beside it in the repository."""
    package = Path(__file__).parent.parent
    return str(package / name if (package / name).is_dir() else package.parent / name)


def _somewhere(inner: Callable[..., Any]) -> Callable[..., Any]:
    """Under a name that no host can have the framework could not write an error page; it gets another."""

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        try:
            environ.get("HTTP_HOST", "").partition(":")[0].encode("idna")
        except UnicodeError:
            environ["HTTP_HOST"] = NOWHERE
        return inner(environ, start_response)

    return application
