"""The languages that people are spoken to in, on both sides of the street. A line more is a language more.

What is not translated is said in English; `storefront texts` makes the catalogues to translate.
"""

from collections.abc import Mapping

# By code, as each names itself, in the order of the switch; the first is the default.
LANGUAGES = {"ja": "日本語", "en": "English"}
DEFAULT_LANGUAGE = next(iter(LANGUAGES))
IN_CODE = "en"  # what code and pages say; it stands for any language that does not say it
# What a shopkeeper writes is written in these at least.
WRITTEN = ("ja", IN_CODE)


def said(texts: Mapping[str, str], language: str) -> str:
    """One text of those that say the same: in this language, else in English, else as it is there."""
    return next(texts[one] for one in (language, IN_CODE, *texts) if one in texts)
