"""Selling by plan, by charge and by use, to shop owners at Color Me.

Color Me takes, then tells us. It knows no key that would make a second call harmless, so we write our intent
first and call after; what has no answer stays unknown until a person resolves it.

Verbs: `installs.install` and `uninstall` (what hooks tell), `starts.come_back` (the way in), `charges.buy`
(one form, one call). `periods`, `amounts` and `reckoning` are rules and nothing else.
"""

from collections.abc import Iterator

import requests
from flask import Flask
from flask_babel import lazy_gettext as _

from storefront import metrics
from storefront.bounded import session
from storefront.colorme import (
    channel,
    charges,
    entrance,
    hook_views,
    oauth,
    operator_page,
    outstanding,
    purchases,
    reckoning_page,
    shelf,
    views,
)
from storefront.colorme.calendar import NoCalendar
from storefront.colorme.settings import NAME, ColormeSettings
from storefront.operator import matters, pages
from storefront.operator.matters import Matter
from storefront.operator.pages import Page
from storefront.shop import counter, errors
from storefront.shop.counter import Counter, Entrance, Place
from storefront.shop.errors import Explanation
from storefront.shop.units import Unit

RESOLVE = _("Look each up at Color Me, and say what you found.")
LOST = _("Color Me takes no report of it any more: ask the shop for it, or let it be.")
UNCONFIRMED = _("Their owners have not come in; till then they take no part in the sums.")
NO_CALENDAR = Explanation(
    _("The shop does not know which day it is."),
    _("Nothing was charged by this page. Please try again in a little while."),
    "no-calendar",
)


def _matters() -> Iterator[Matter]:
    """What the operator's home says of this counter."""
    for words, advice, count in (
        (_("Charges that Color Me has not answered"), RESOLVE, outstanding.count_unknown()),
        (_("Usage that was lost"), LOST, outstanding.count_lost()),
        (_("Installs that are not confirmed"), UNCONFIRMED, outstanding.count_unconfirmed()),
    ):
        yield Matter(words, advice, is_good=not count, count=count, endpoint="colorme_operator.cases")


COUNTER = Counter(
    channel=NAME,
    platform=_("Color Me Shop"),
    unit=Unit(charges.UNIT, _("yen"), _("¥%s"), note=_("tax included")),
    # A metered piece may cost less than the store's hundred; what is registered there the plan file checks.
    prices=shelf.BeforeTax(charges.UNIT, 1, 1_000_000, units="yen", asked=shelf.asked),
    states=purchases.STATES,
    purchases=purchases.newest,
    find=purchases.purchase,
    entrance=Entrance(
        address=entrance.address,
        recognise=entrance.recognise,
        refresh=entrance.refresh,
        messages=entrance.messages,
    ),
    places=[Place("colorme.plan", _("Plan"))],
    ages_count=False,
    withholds=shelf.withheld,
    means=shelf.means,
    whose=purchases.whose,
    bars=purchases.bars,
    steps=purchases.steps,
    settings=ColormeSettings,
)


def init_app(app: Flask, settings: ColormeSettings, http: requests.Session | None) -> None:
    """Open the counter; without keys there is none, and its addresses are 404."""
    app.register_blueprint(hook_views.blueprint)
    if not settings.colorme_is_open:
        return
    counter.add(app, COUNTER, settings)
    channel.init_app(app, settings, http or session())
    oauth.init_app(settings)
    app.register_blueprint(views.blueprint)
    app.register_blueprint(operator_page.blueprint)
    matters.add(app, _matters)
    pages.add(app, Page("colorme_operator.cases", COUNTER.platform))
    reckoning_page.init_app(app)
    app.add_template_test(shelf.is_metered, "metered")
    app.add_template_test(shelf.is_had_by, "had_by")
    app.add_template_filter(shelf.counted_to)
    app.add_template_filter(shelf.on_plan)
    errors.explain(app, NoCalendar, NO_CALENDAR, 503)
    metrics.add_gauge(app, "unknown_charges", outstanding.count_unknown)
    metrics.add_gauge(app, "lost_usage", outstanding.count_lost)
    metrics.add_gauge(app, "unconfirmed_installs", outstanding.count_unconfirmed)
