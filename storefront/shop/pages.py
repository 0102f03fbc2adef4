"""What every page has at hand: language, moments, addresses of art."""

from datetime import datetime

from flask import Flask
from flask_babel import Babel, get_locale

from storefront.shop import visit
from storefront.shop.catalog_file import JAPAN


def init_app(app: Flask) -> None:
    Babel(app, default_locale=visit.DEFAULT_LANGUAGE, locale_selector=visit.language)
    app.jinja_env.filters["moment"] = moment
    app.context_processor(_common)


def moment(value: datetime) -> str:
    """A moment in Japan, where the buyers are."""
    return value.astimezone(JAPAN).strftime("%Y-%m-%d %H:%M")


def _common() -> dict[str, object]:
    return {"visit": visit.known(), "language": str(get_locale()), "static": visit.static}
