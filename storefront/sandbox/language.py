"""In which of the languages a page speaks: by `?lang=`, kept in the cookie, else as the browser asks."""

from typing import cast

from babel import Locale
from babel.support import NullTranslations
from flask import Flask, g, request, session
from flask_babel import Babel, get_locale, get_translations

from storefront import languages
from storefront.languages import DEFAULT_LANGUAGE, LANGUAGES

CATALOGUE = "catalogue"  # in the context of a request


def init_app(app: Flask) -> None:
    """Give the app its languages."""
    app.before_request(_remember)
    app.context_processor(lambda: {"language": language(), "languages": LANGUAGES})
    languages.check()
    Babel(app, locale_selector=_choose)
    # Flask-Babel looks for the catalogue at every text of a page anew.
    install = app.jinja_env.install_gettext_callables  # type: ignore[attr-defined]  # jinja2.ext.i18n has it
    install(translated, _counted, newstyle=True)
    app.jinja_env.globals["_"] = app.jinja_env.globals["gettext"]


def language() -> str:
    """The language of this request."""
    return languages.code(get_locale())


def translated(text: str) -> str:
    """This text of the catalogue in the language of this request."""
    return str(_catalogue().ugettext(text))


def N_(text: str) -> str:  # noqa: N802  # the name under which gettext tools know it
    """Marks a text for the catalogue where it is written down before it is shown."""
    return text


def _remember() -> None:
    if request.args.get("lang") in LANGUAGES and not request.path.startswith(("/ma/", "/mm/")):
        session["language"] = request.args["lang"]


def _choose() -> Locale:
    asked = languages.asked(request.headers.get("Accept-Language", ""))
    return languages.locale(session.get("language") or asked or DEFAULT_LANGUAGE)


def _counted(one: str, many: str, number: int) -> str:
    return str(_catalogue().ungettext(one, many, number))


def _catalogue() -> NullTranslations:
    if CATALOGUE not in g:
        setattr(g, CATALOGUE, get_translations())
    return cast(NullTranslations, getattr(g, CATALOGUE))
