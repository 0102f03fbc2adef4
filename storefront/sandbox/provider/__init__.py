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

from storefront.sandbox import form_tokens, language
from storefront.sandbox.mixi.calls import new_session
from storefront.sandbox.process import new_app
from storefront.sandbox.provider import pages, store, views, weather
from storefront.sandbox.provider.context import Provider
from storefront.sandbox.provider.settings import ProviderSettings


def create_provider(settings: ProviderSettings | None = None, http: requests.Session | None = None) -> Flask:
    """The provider as one Flask app. Without arguments it is configured by the environment."""
    # The environment gives what the call leaves out, and the error names what is missing.
    settings = settings or ProviderSettings()
    app = new_app(__name__, "provider", settings)
    for room in (store, language, form_tokens):
        room.init_app(app)
    pages.init_app(app, settings)
    app.extensions["provider"] = Provider(settings, http or new_session(settings.shop_ca))
    for room in (views, weather):
        app.register_blueprint(room.blueprint)
    return app
