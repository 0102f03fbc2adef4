"""The sandbox: the platform, imitated, across the street from the shop.

It stands in for mixi so that a purchase can be tried and tested without it: the container that
shows the shop on a mobile phone, the signed address that opens it on a smartphone or PC, the
point API, the screen where a buyer confirms, and the callback that asks the shop. It really
signs, really verifies and really waits, and it acts on the answers. Nothing in it is real: the
people are a cast, the points are play money.

It shares with the shop the rules of signing, the languages, and how calls are bounded, and nothing else;
the two meet on the wire.
"""

from pathlib import Path

import requests
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from storefront.sandbox import (
    developer,
    form_tokens,
    key_pairs,
    language,
    log,
    mixi,
    pages,
    phone,
    stage,
    store,
    town,
)
from storefront.sandbox.context import Sandbox
from storefront.sandbox.desk import actions as desk_actions
from storefront.sandbox.desk import bookkeeping, checklist, situations, told
from storefront.sandbox.desk import signatures as desk_signatures
from storefront.sandbox.desk import views as desk_views
from storefront.sandbox.key_pairs import START_NAMES
from storefront.sandbox.mixi import start
from storefront.sandbox.mixi.calls import new_session
from storefront.sandbox.people import FIRST_STAGE
from storefront.sandbox.process import new_app
from storefront.sandbox.settings import SandboxSettings
from storefront.sandbox.walks import Walk  # noqa: F401  # its table


def create_sandbox(settings: SandboxSettings | None = None, http: requests.Session | None = None) -> Flask:
    """The sandbox as one Flask app. Without arguments it is configured by the environment."""
    # The environment gives what the call leaves out, and the error names what is missing.
    settings = settings or SandboxSettings()
    # The app leads to the payment screen from a frame, so to a browser it is the app's request.
    same_site = "None" if settings.public_url.startswith("https:") else "Lax"
    app = new_app(__name__, "sandbox", settings, same_site)
    if settings.proxies:  # nobody else's word is believed of where a request comes from
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.proxies, x_proto=0)  # type: ignore[method-assign]  # as Flask's manual has it
    for room in (store, language, form_tokens, pages, mixi):
        room.init_app(app)
    key_folder = settings.keys or _beside_database(app)
    pair = key_pairs.keep(key_folder, settings.lifecycle_key_name)
    app.extensions["sandbox"] = platform = Sandbox(
        settings, http or new_session(settings.shop_ca), pair, key_folder
    )
    app.register_blueprint(phone.blueprint)
    app.register_blueprint(developer.blueprint)
    app.register_blueprint(log.blueprint)
    app.register_blueprint(town.blueprint)
    for room in (desk_views, desk_actions, situations, told, bookkeeping, desk_signatures):
        app.register_blueprint(room.blueprint)
    checklist.init_app(app, settings)
    _fill(app, settings)
    with app.app_context():
        first = stage.by_id(FIRST_STAGE)
        assert first
        for device in START_NAMES:
            start.key(platform, first, device)
    return app


def _beside_database(app: Flask) -> Path:
    with app.app_context():
        database = store.db.engine.url.database
    return (Path(database).parent if database else Path(app.instance_path)) / "keys"


def _fill(app: Flask, settings: SandboxSettings) -> None:
    with app.app_context(), store.transaction() as session:
        store.is_current(session)
        stage.open_house(session, settings)
