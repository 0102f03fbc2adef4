"""storefront: a reference item shop for social application providers. Here the rooms meet."""

import os

import requests
import structlog
from flask import Flask
from flask_compress import Compress

from storefront import config, db, external, health, logs, metrics, mixi, security, shop
from storefront.config import Settings
from storefront.mixi import payments
from storefront.shop import inventory

# No form of ours comes near it.
MAX_FORM_BYTES = 64 * 1024
CODINGS = ["br", "gzip"]
log = structlog.get_logger()
COUNTERS = (mixi.COUNTER, external.COUNTER)


def create_app(settings: Settings | None = None, http: requests.Session | None = None) -> Flask:
    """The shop, configured by the environment unless `settings` are given.

    `http` is the session that reaches the platform. Raises config.SettingsError.
    """
    settings = settings or config.read()
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
    Compress(app)  # first, so that it acts last: on what all others have written
    db.init_app(app)
    health.init_app(app, settings)
    security.init_app(app, settings)
    metrics.init_app(app, settings, _standing)
    shop.init_app(app)
    external.init_app(app, settings)
    mixi.init_app(app, settings, http)
    return app


def _standing() -> dict[str, int]:
    """What the operator should know of at any time."""
    health.spare_the_database()
    return {
        "unconfirmed_payments": payments.count_unconfirmed(),
        "negative_holdings": inventory.count_negatives(),
    }


def _warn(settings: Settings) -> None:
    """What the shop starts with all the same."""
    for name in config.exposed(settings):
        log.warning("not https: what is said there can be read and changed on the way", setting=name)
    for name in config.unknown(os.environ) if settings.allow_unknown else ():
        log.warning("unknown setting", setting=name)
