"""The languages that people are spoken to in, on both sides of the street. A line more is a language more.

What is not translated is said in English; `storefront texts` makes the catalogues to translate.
"""

from collections.abc import Mapping
from functools import cache

from babel.core import Locale, UnknownLocaleError
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

# By code, as browsers write it (zh-TW), what each calls itself, in the order of the switch; default first.
LANGUAGES = {"ja": "日本語", "en": "English"}
DEFAULT_LANGUAGE = next(iter(LANGUAGES))
IN_CODE = "en"  # what code and pages say; it stands for any language that does not say it
# What a shopkeeper writes is written in these at least.
WRITTEN = ("ja", IN_CODE)
LONGEST = 8  # characters of a code; a payment keeps it
MOST_ASKED = 256  # characters; browsers say less, and whoever says more makes us work for it


def asked(header: str) -> str | None:
    """Which of them a browser asks for first, by its Accept-Language; of a long one the beginning counts."""
    heard = header if len(header) <= MOST_ASKED else header[:MOST_ASKED].rpartition(",")[0]
    return parse_accept_header(heard, LanguageAccept).best_match(LANGUAGES)


def locale(language: str) -> Locale:
    """How Babel knows a language; one that is none of ours, or no more, is the default."""
    return _read(language if language in LANGUAGES else DEFAULT_LANGUAGE)


def code(spoken: Locale | None) -> str:
    """How we write the language that Babel knows as this."""
    return next((one for one in LANGUAGES if locale(one) == spoken), DEFAULT_LANGUAGE)


def check() -> None:
    """ValueError for a code that is none, so that the start breaks and not a page."""
    for language in LANGUAGES:
        try:
            locale(language)
        except (ValueError, UnknownLocaleError) as error:
            raise ValueError(
                f"languages.py: {language!r} is not a language such as 'ja' or 'zh-TW'"
            ) from error
        if len(language) > LONGEST:
            raise ValueError(f"languages.py: {language!r} is longer than {LONGEST} characters")


def said(texts: Mapping[str, str], language: str) -> str:
    """One text of those that say the same: in this language, else in English, else as it is there."""
    return next(texts[one] for one in (language, IN_CODE, *texts) if one in texts)


@cache
def _read(code: str) -> Locale:
    return Locale.parse(code, sep="-")
