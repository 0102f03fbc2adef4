"""In which of the languages a page speaks: by `?lang=`, kept in the cookie, else as the browser asks."""

from babel import Locale
from flask import Flask, request, session
from flask_babel import Babel, get_locale

from storefront import languages
from storefront.languages import DEFAULT_LANGUAGE, LANGUAGES


def init_app(app: Flask) -> None:
    """Give the app its languages."""
    app.before_request(_remember)
    app.context_processor(lambda: {"language": language(), "languages": LANGUAGES})
    languages.check()
    Babel(app, locale_selector=_choose)


def language() -> str:
    """The language of this request."""
    return languages.code(get_locale())


def N_(text: str) -> str:  # noqa: N802  # the name under which gettext tools know it
    """Marks a text for the catalogue where it is written down before it is shown."""
    return text


def _remember() -> None:
    if request.args.get("lang") in LANGUAGES and not request.path.startswith(("/ma/", "/mm/")):
        session["language"] = request.args["lang"]


def _choose() -> Locale:
    asked = languages.asked(request.headers.get("Accept-Language", ""))
    return languages.locale(session.get("language") or asked or DEFAULT_LANGUAGE)
