"""What every page of the store shares: yen, days, and what it says of errors."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Flask, request
from flask_babel import gettext

from storefront.languages import said
from storefront.sandbox import language
from storefront.sandbox.colorme import api, calendar, oauth, shops, weather
from storefront.sandbox.colorme.calendar import JAPAN
from storefront.sandbox.colorme.context import appstore
from storefront.sandbox.colorme.settings import AppStoreSettings
from storefront.sandbox.language import N_
from storefront.sandbox.manners import Manners
from storefront.sandbox.pages import MINUS

TITLES = {
    400: N_("This form is out of date."),
    403: N_("This form is out of date."),
    404: N_("There is nothing at this address."),
    405: N_("This address does not take that kind of request."),
    413: N_("That was too much to send."),
    421: N_("This is not the store's address."),
}


def _is_api() -> bool:
    return request.path.startswith(api.PREFIXES)


MANNERS = Manners(
    "sandbox/colorme/error.html",
    TITLES,
    N_("The app store stumbled."),
    any_name=lambda: request.endpoint == "views.healthz" or _is_api(),
    is_api=_is_api,
    failed=api.failed,
)
WEEKDAYS = (N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun"))


def init_app(app: Flask, settings: AppStoreSettings) -> None:
    """Dress the pages and the errors of the app, and guard its forms."""
    app.add_template_filter(lambda yen: gettext("¥%(yen)s", yen=f"{yen:,}"), "yen")
    app.add_template_filter(lambda number: f"{number:,}", "grouped")
    app.add_template_filter(lambda points: f"{points:+,}".replace("-", MINUS), "signed")
    app.add_template_filter(lambda at: at.astimezone(JAPAN), "in_japan")
    app.add_template_filter(lambda day: gettext(WEEKDAYS[day.weekday()]), "weekday")
    app.add_template_filter(lambda names: said(names, language.language()), "said")
    # For a text that was marked elsewhere and is shown here, with what stands in it.
    app.add_template_filter(lambda text, values=None: gettext(text, **_shown(values or {})), "translated")
    app.context_processor(_context)
    # From a form of ours the owner goes on to the app, by its redirect or by OAuth's.
    MANNERS.init_app(app, settings.public_url, (settings.shop_url, settings.redirect_address))
    app.register_error_handler(oauth.Unfit, lambda why: MANNERS.page(400, str(why)))


def _context() -> dict[str, Any]:
    store = appstore()
    return {
        "settings": store.settings,
        "app_name": store.settings.app_called(language.language()),
        "standing": calendar.standing,
        "skies": weather.standing,
        "owner_here": oauth.owner,
        "stage": shops.on_stage,
        "in_language": lambda code: f"?{urlencode({**request.args.to_dict(), 'lang': code})}",
        "sky": weather.words,
        "places_of_weather": weather.PLACES,
    }


def _shown(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: f"{value:,}" if type(value) is int else value for name, value in values.items()}
