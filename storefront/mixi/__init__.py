"""Selling for points: mixi asks us, then takes.

Our `200 OK` to a callback is the commit of the sale, so the goods are durable before it is said;
acknowledging first and working later would be wrong here.

Verbs: `payments.start` (one tap, one payment), `payments.settle` (exactly once).
"""

import requests
from flask import Flask

from storefront.config import Settings
from storefront.mixi import channel, entrance, views
from storefront.mixi.client import session
from storefront.shop import catalog, visit
from storefront.shop.catalog_file import PriceRule

# Source: mixi Payment Program, spending mixi points: 10 to 5,000 on mobile.
PRICES = PriceRule(unit="point", minimum=10, maximum=5000)


def init_app(app: Flask, settings: Settings, http: requests.Session | None) -> None:
    app.register_blueprint(views.blueprint)
    channel.init_app(app, settings, http or session())
    catalog.add_channel(app, channel.NAME, PRICES)
    with app.app_context():
        visit.add_entrance(app, entrance.entrance())
