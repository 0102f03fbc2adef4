"""Selling for points: mixi asks us, then takes.

Our `200 OK` to a callback is the commit of the sale, so the goods are durable before it is said;
acknowledging first and working later would be wrong here.

Verbs: `taps.start` (one tap, one payment), `payments.settle` (exactly once).
"""

from collections.abc import Iterator, Sequence

import requests
from flask import Flask, request
from flask_babel import lazy_gettext as _

from storefront import metrics, security
from storefront.bounded import session
from storefront.mixi import (
    carriers,
    channel,
    charset,
    entrance,
    outstanding,
    payments,
    purchases,
    taps,
    views,
)
from storefront.mixi.settings import MixiSettings
from storefront.operator import matters, pages
from storefront.operator.matters import Case, Matter
from storefront.operator.pages import Page
from storefront.security import Others
from storefront.shop import counter
from storefront.shop.catalog_file import PriceRule
from storefront.shop.counter import Counter, Entrance, Step
from storefront.shop.units import Unit


def _whose(code: str) -> int | None:
    return purchases.whose(code) or taps.whose(code)


def _steps(customer_id: int, most: int) -> Sequence[Step]:
    return [*purchases.steps(customer_id, most), *taps.steps(customer_id, most)]


def _matters() -> Iterator[Matter]:
    """What the operator's home says of this counter."""
    unconfirmed, unknown = outstanding.count_unconfirmed(), outstanding.count_not_known()
    yield Matter(
        _("Payments that mixi has not confirmed"),
        _("Each is asked about when its buyer comes back; “storefront check CODE” asks at once."),
        is_good=not unconfirmed,
        count=unconfirmed,
        cases=[
            Case(payment.customer_id, payment.point_code, payment.ok_at)
            for payment in outstanding.oldest(matters.SHOWN)
        ],
    )
    yield Matter(
        _("Payments that mixi no longer knows"),
        _("“storefront outstanding” lists them. Ask mixi before you undo one."),
        is_good=not unknown,
        count=unknown,
    )


def _origins(settings: MixiSettings) -> Others:
    container = security.site(settings.mixi_container_url)
    shown = security.site(settings.mixi_shown_at)
    leads_to = [container, *security.sites(settings.mixi_platform_hosts)]
    return Others(frames=[shown], forms=leads_to, images=[container])


COUNTER = Counter(
    channel=channel.NAME,
    platform="mixi",
    # Icon, number and pt; in prose by name. Source: naming rules, as one reviewed shop followed them.
    unit=Unit(payments.UNIT, _("mixi points"), "%spt", "point.svg"),
    prices=PriceRule(payments.UNIT, channel.MINIMUM, max(channel.MAXIMUM.values())),
    most=channel.MAXIMUM,
    states=purchases.STATES,
    purchases=purchases.newest,
    find=purchases.purchase,
    entrance=Entrance(
        address=entrance.address,
        recognise=entrance.recognise,
        refresh=entrance.refresh,
        messages=entrance.messages,
    ),
    whose=_whose,
    bars=purchases.bars,
    steps=_steps,
    settings=MixiSettings,
    origins=_origins,
)


def init_app(app: Flask, settings: MixiSettings, http: requests.Session | None) -> None:
    counter.add(app, COUNTER, settings)
    app.register_blueprint(views.blueprint)
    channel.init_app(app, settings, http or session())
    pages.add(app, Page("mixi.programme", _("Rules")))
    matters.add(app, _matters)
    metrics.add_gauge(app, "unconfirmed_payments", outstanding.count_unconfirmed)
    charset.init_app(app, settings)
    app.add_template_global(lambda: carriers.carrier(request.user_agent.string), "carrier")
