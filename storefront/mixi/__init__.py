"""Selling for points: mixi asks us, then takes.

Our `200 OK` to a callback is the commit of the sale, so the goods are durable before it is said;
acknowledging first and working later would be wrong here.

Verbs: `payments.start` (one tap, one payment), `payments.settle` (exactly once).
"""

import requests
from flask import Flask, request
from flask_babel import lazy_gettext as _

from storefront import metrics, security
from storefront.mixi import carriers, channel, charset, entrance, payments, views
from storefront.mixi.client import session
from storefront.mixi.settings import MixiSettings
from storefront.shop import catalog, operators, visit
from storefront.shop.catalog_file import PriceRule
from storefront.shop.units import Unit, add_unit

# Icon, number and pt; in prose by name. Source: naming rules, as one reviewed shop followed them.
POINT = Unit("point", _("mixi points"), "%spt", "point.svg")
# What a device may pay at once is held against its own maximum where it buys.
PRICES = PriceRule(unit="point", minimum=channel.MINIMUM, maximum=max(channel.MAXIMUM.values()))


def init_app(app: Flask, settings: MixiSettings, http: requests.Session | None) -> None:
    app.register_blueprint(views.blueprint)
    channel.init_app(app, settings, http or session())
    add_unit(app, POINT)
    operators.add_page(app, operators.Page("mixi.programme", _("Rules")))
    catalog.add_channel(app, channel.NAME, PRICES)
    metrics.add_gauge(app, "unconfirmed_payments", payments.count_unconfirmed)
    charset.init_app(app, settings)
    app.add_template_global(lambda: carriers.carrier(request.user_agent.string), "carrier")
    with app.app_context():
        visit.add_entrance(app, entrance.entrance())
    container = security.site(settings.mixi_container_url)
    shown = security.site(settings.mixi_app_url or settings.mixi_container_url)
    leads_to = [container, *security.sites(settings.mixi_platform_hosts)]
    security.allow(app, frames=[shown], forms=leads_to, images=[container])
