"""The door out: paying at a provider that is not mixi's, where and while mixi allows it.

`registration` holds the rules, `facts` what the operator recorded, and nobody leaves but past the
warning page. The provider takes the money, then tells us; `payments.settle` gives the goods once.
"""

import requests
from flask import Flask
from flask_babel import lazy_gettext as _

from storefront import security
from storefront.external import channel, operator_pages, payments, views, wording
from storefront.external.settings import ExternalSettings
from storefront.shop import catalog, operators, visit
from storefront.shop.catalog_file import PriceRule
from storefront.shop.units import Unit, add_unit

# Ours: no source names a limit for what is paid outside.
PRICES = PriceRule(unit=payments.UNIT, minimum=1, maximum=1_000_000)


def init_app(app: Flask, settings: ExternalSettings, http: requests.Session | None) -> None:
    app.register_blueprint(views.blueprint)
    app.register_blueprint(operator_pages.blueprint)
    channel.init_app(app, settings)
    wording.init_app(app)
    app.add_template_test(views.has_door, "approved_outside")
    add_unit(app, Unit(payments.UNIT, _("yen"), _("%s yen")))
    catalog.add_channel(app, channel.NAME, PRICES)
    visit.add_side_door(app, visit.SideDoor(channel.NAME, views.leads_out, payments.purchases))
    operators.add_page(app, operators.Page("operator_pages.checklist", _("Registration")))
    operators.add_page(app, operators.Page("operator_pages.reports", _("Malfunctions")))
    if settings.external_provider_url:
        provider = security.site(settings.external_provider_url)
        security.allow(app, forms=[provider, *security.sites(settings.external_provider_hosts)])
