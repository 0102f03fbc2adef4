"""The door out: paying at a provider that is not mixi's, where and while mixi allows it.

`registration` holds the rules, `facts` what the operator recorded, and nobody leaves but past the
warning page. The provider takes the money, then tells us; `payments.settle` gives the goods once.
"""

from collections.abc import Iterator

import requests
from flask import Flask
from flask_babel import lazy_gettext as _

from storefront import clock, security
from storefront.external import channel, facts, operator_pages, payments, registration, views, wording
from storefront.external.settings import ExternalSettings
from storefront.operator import matters, pages
from storefront.operator.matters import Matter
from storefront.operator.pages import Page
from storefront.security import Others
from storefront.shop import counter
from storefront.shop.catalog_file import PriceRule
from storefront.shop.counter import Counter, SideDoor
from storefront.shop.devices import Device
from storefront.shop.units import Unit


def _origins(settings: ExternalSettings) -> Others:
    if not settings.external_provider_url:
        return Others()
    provider = security.site(settings.external_provider_url)
    return Others(forms=[provider, *security.sites(settings.external_provider_hosts)])


def _matters() -> Iterator[Matter]:
    """What the operator's home says of the door out, and of mixi's procedure."""
    today, door = clock.day(clock.now()), channel.channel()
    recorded = facts.current()
    closed = not door or registration.forbidden(recorded, Device.PC, door.site, today, on_smartphone=False)
    yield Matter(
        _("The door out is closed") if closed else _("The door out is open"),
        _("Buyers pay in points alone, until what the registration asks for is done."),
        is_good=not closed,
        endpoint="operator_pages.checklist",
    )
    late = registration.assess(recorded, today).risks
    yield Matter(
        _("Check sheets that are overdue"),
        _("mixi may stop or delete the app."),
        is_good=not late,
        count=len(late),
        endpoint="operator_pages.checklist",
    )


COUNTER = Counter(
    channel=channel.NAME,
    platform="mixi",
    unit=Unit(payments.UNIT, _("yen"), _("¥%s"), note=_("tax included")),
    # Ours: no source names a limit for what is paid outside.
    prices=PriceRule(payments.UNIT, 1, 1_000_000, units="yen"),
    states=payments.STATES,
    purchases=payments.purchases,
    find=payments.purchase,
    side_door=SideDoor(beside=frozenset({"mixi"}), leads_out=views.leads_out, payee=facts.payee),
    whose=payments.whose,
    bars=payments.bars,
    steps=payments.steps,
    settings=ExternalSettings,
    origins=_origins,
)


def init_app(app: Flask, settings: ExternalSettings, http: requests.Session | None) -> None:
    counter.add(app, COUNTER, settings)
    app.register_blueprint(views.blueprint)
    app.register_blueprint(operator_pages.blueprint)
    channel.init_app(app, settings)
    wording.init_app(app)
    app.add_template_test(views.has_door, "approved_outside")
    app.add_template_global(facts.payee, "payee")
    matters.add(app, _matters)
    pages.add(app, Page("operator_pages.checklist", _("Registration")))
    pages.add(app, Page("operator_pages.reports", _("Malfunctions")))
