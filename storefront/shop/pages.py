"""What every page has at hand: language, moments, addresses of art."""

from datetime import datetime
from pathlib import Path

from flask import Flask, Response, request
from flask_babel import Babel, force_locale, get_locale, get_translations
from markupsafe import Markup

from storefront import languages, security
from storefront.clock import JAPAN
from storefront.config import settings
from storefront.languages import LANGUAGES, said
from storefront.shop import counter, form_tokens, identity, phone_style, visit
from storefront.shop.devices import Device

# The number keys of a mobile phone, no two the same; the places have theirs in the order of their tabs.
KEYS = {"places": "1234", "buy": "5", "back": "7", "next": "8", "legal": "9", "language": "0"}
KEPT = "public, max-age=31536000, immutable"
CHECKED = "public, no-cache"


def init_app(app: Flask) -> None:
    languages.check()
    Babel(app, locale_selector=lambda: languages.locale(visit.language()))
    app.jinja_env.filters["moment"] = moment
    app.jinja_env.filters["said"] = lambda texts: said(texts, language())
    app.context_processor(_common)
    app.after_request(_keep)
    app.after_request(_narrow)


def read_languages() -> None:
    """Read all that pages say: of a language, Babel keeps what it found when it was first spoken."""
    for code in LANGUAGES:
        with force_locale(str(languages.locale(code))):
            get_translations()


def language() -> str:
    """The language of this answer, which is one that we have."""
    return languages.code(get_locale())


def moment(value: datetime) -> str:
    """A moment in Japan, where the buyers are."""
    return value.astimezone(JAPAN).strftime("%Y-%m-%d %H:%M")


def key(name: str, position: int = 0) -> str:
    """The number key that leads there on a mobile phone; empty elsewhere, and where none is left."""
    here = visit.known()
    return KEYS[name][position : position + 1] if here and here.device is Device.MOBILE else ""


def picture(name: str) -> str:
    """The file of a drawing as this device can show it; empty if there is none."""
    here = visit.known()
    if here is None or here.device is not Device.MOBILE:
        return name
    twin = f"{Path(name).stem}.gif"
    return twin if visit.mark(f"art/{twin}") else ""


def _keep(response: Response) -> Response:
    """A file that is asked for by the mark of its content never changes; any other may."""
    if request.endpoint == "static" and response.status_code in (200, 304):
        named = request.args.get("v") == visit.mark(str((request.view_args or {}).get("filename")))
        response.headers["Cache-Control"] = KEPT if named else CHECKED
    return response


def _narrow(response: Response) -> Response:
    """What other sites may do with a page is up to its visitor's counters."""
    here = visit.known()
    if here:
        security.narrow([one.channel for one in visit.serving(here)])
    return response


def _phone_style(body: str) -> Markup:
    """What stands inside the page of this body, which may have no other style."""
    style = phone_style.of(body)
    security.style(style)
    return Markup(style)  # noqa: S704  # of our own files


def _common() -> dict[str, object]:
    return {
        "identity": identity.current(),
        "visit": visit.known(),
        "who": visit.who,
        "places": visit.places,
        "counter": counter.of,
        "language": language(),
        "languages": LANGUAGES,
        "settings": settings(),
        "static": visit.static,
        "phone_style": _phone_style,
        "picture": picture,
        "key": key,
        "seal": lambda purpose: form_tokens.seal(visit.whoever().customer.id, purpose),
    }
