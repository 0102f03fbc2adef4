"""storefront: a reference item shop for social application providers. Here the rooms meet."""

import os
from collections.abc import Mapping
from http import HTTPStatus
from importlib import import_module
from typing import Any

import requests
import structlog
from flask import Flask, Response
from flask_compress import Compress

from storefront import config, db, health, logs, metrics, operator, security, shop
from storefront.config import HouseSettings
from storefront.shop import inventory, pages
from storefront.shop.counter import Counter

# No form of a visitor's comes near it.
MAX_FORM_BYTES = 64 * 1024
CODINGS = ["br", "gzip"]
log = structlog.get_logger()

# A line for each room that can be taken away. To do so, delete its line, its folders and its tests.
ROOMS = (
    "storefront.colorme",
    "storefront.external",
    "storefront.game",
    "storefront.mixi",
)
LOADED = tuple(map(import_module, ROOMS))


def _settings(room: Any) -> type[HouseSettings] | None:
    """Those of a room; of a counter, as its value says."""
    kind: type[HouseSettings] | None = room.COUNTER.settings if hasattr(room, "COUNTER") else room.SETTINGS
    return kind


COUNTERS: tuple[Counter, ...] = tuple(room.COUNTER for room in LOADED if hasattr(room, "COUNTER"))
SETTINGS: Mapping[str, type[HouseSettings]] = {
    room.__name__.rpartition(".")[2]: kind for room in LOADED if (kind := _settings(room))
}


class Settings(*SETTINGS.values(), HouseSettings):  # type: ignore[misc]  # only the table above knows whose they are
    """Every setting: the house's, and those of each room."""


class _Compress(Compress):
    """All but parts: who has asked for some bytes of a file counts those of the file."""

    def after_request(self, response: Response | None) -> Response:
        if response and response.status_code == HTTPStatus.PARTIAL_CONTENT:
            return response
        return super().after_request(response)


def create_app(settings: Settings | None = None, http: requests.Session | None = None) -> Flask:
    """The shop, configured by the environment unless `settings` are given.

    `http` is the session that reaches the platform. Raises config.SettingsError.
    """
    settings = settings or config.read(Settings)
    templates, static = (str(config.folder(name)) for name in ("templates", "static"))
    app = Flask("storefront", template_folder=templates, static_folder=static)
    app.url_rule_class = security.Rule
    app.config.update(
        SETTINGS=settings,
        SQLALCHEMY_DATABASE_URI=db.address(settings, app.instance_path),
        SQLALCHEMY_ENGINE_OPTIONS=db.engine_options(settings),
        MAX_CONTENT_LENGTH=MAX_FORM_BYTES,
        COMPRESS_ALGORITHM=CODINGS,
        COMPRESS_ALGORITHM_STREAMING=CODINGS,
        COMPRESS_MIMETYPES=["text/html", "text/css", "image/svg+xml"],
    )
    logs.init_app(app)
    _warn(settings)
    _Compress(app)  # first, so that it acts last: on what all others have written
    db.init_app(app)
    health.init_app(app, settings)
    security.init_app(app, settings)
    metrics.init_app(app, settings, _standing)
    metrics.add_gauge(app, "clock_seconds", db.clock_seconds)
    metrics.add_gauge(app, "negative_holdings", inventory.count_negatives)
    shop.init_app(app)
    operator.init_app(app)
    for room in LOADED:
        room.init_app(app, settings, http)
    return app


def read_pages(app: Flask) -> None:
    """Read every page of the shop's, and what they say, in each language.

    A deployment changes the files below a process that runs.
    """
    with app.app_context():
        pages.read_languages()
        for name in app.jinja_env.list_templates(["html"]):
            room, folder, _ = name.partition("/")
            is_hidden = "/." in f"/{name}"  # such as what another machine's archive leaves there
            if not is_hidden and (not folder or room in app.blueprints):  # the sandbox's are none of ours
                app.jinja_env.get_template(name)


def _standing() -> Mapping[str, float]:
    """What the operator should know of at any time."""
    health.spare_the_database()
    return metrics.gauges()


def _warn(settings: Settings) -> None:
    """What the shop starts with all the same."""
    for name in config.exposed(settings):
        log.warning("not https: what is said there can be read and changed on the way", setting=name)
    for name in config.unknown(Settings, os.environ) if settings.allow_unknown else ():
        log.warning("unknown setting", setting=name)
