"""The languages that people are spoken to in, on both sides of the street. A line more is a language more.

What is not translated is said in English; `storefront texts` makes the catalogues to translate.
"""

from collections.abc import Mapping

from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

# By code, as each names itself, in the order of the switch; the first is the default.
LANGUAGES = {"ja": "日本語", "en": "English"}
DEFAULT_LANGUAGE = next(iter(LANGUAGES))
IN_CODE = "en"  # what code and pages say; it stands for any language that does not say it
# What a shopkeeper writes is written in these at least.
WRITTEN = ("ja", IN_CODE)
MOST_ASKED = 256  # characters; browsers say less, and whoever says more makes us work for it


def asked(header: str) -> str | None:
    """Which of them a browser asks for first, by its Accept-Language; of a long one the beginning counts."""
    heard = header if len(header) <= MOST_ASKED else header[:MOST_ASKED].rpartition(",")[0]
    return parse_accept_header(heard, LanguageAccept).best_match(LANGUAGES)


def said(texts: Mapping[str, str], language: str) -> str:
    """One text of those that say the same: in this language, else in English, else as it is there."""
    return next(texts[one] for one in (language, IN_CODE, *texts) if one in texts)
