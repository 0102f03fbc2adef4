"""An external payment provider, imitated: the company that a shop may send its PC buyers to.

A process, a port and a file of its own. No source describes any provider's protocol; this one is
ours, and its signatures are those of `external.signing`. It takes play money, tells the shop, and
acts on the answer:

arrivals    read()                        the buyer comes, at an address that the shop signed
payments    keep(), pay(), undo() …       one row for each payment, one conditional update for each step
notices     tell(), tell_again(), say()   what the shop is told, one notice at a time, and what it said
"""

import requests
from flask import Flask

from storefront.sandbox import folder, form_tokens, language
from storefront.sandbox.mixi.calls import new_session
from storefront.sandbox.provider import pages, store, views, weather
from storefront.sandbox.provider.context import Provider
from storefront.sandbox.provider.settings import ProviderSettings
from storefront.sandbox.settings import MIB, cookie_name


def create_provider(settings: ProviderSettings | None = None, http: requests.Session | None = None) -> Flask:
    """The provider as one Flask app. Without arguments it is configured by the environment."""
    # The environment gives what the call leaves out, and the error names what is missing.
    settings = settings or ProviderSettings()
    app = Flask(__name__, template_folder=folder("templates"), static_folder=folder("static"))
    app.config.update(
        SECRET_KEY=settings.secret_key.get_secret_value(),
        SQLALCHEMY_DATABASE_URI=settings.database_url.get_secret_value(),
        SESSION_COOKIE_NAME=cookie_name("provider", settings.public_url),
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.public_url.startswith("https:"),
        MAX_CONTENT_LENGTH=MIB,
        # The whole sandbox has one catalogue.
        BABEL_TRANSLATION_DIRECTORIES=folder("sandbox/translations"),
    )
    # To mend an address the framework redirects to whatever host the request names.
    app.url_map.merge_slashes = False
    for room in (store, language, form_tokens, pages):
        room.init_app(app)
    app.extensions["provider"] = Provider(settings, http or new_session(settings.shop_ca))
    for room in (views, weather):
        app.register_blueprint(room.blueprint)
    return app
