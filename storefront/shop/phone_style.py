"""The look of a mobile phone's pages: small, and inside each page.

Its container reroutes images and no style sheet, and a handset knows no custom property: so the theme's tokens
are written out.
"""

import re
from functools import cache
from pathlib import Path

from storefront.config import folder

RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
TOKEN = re.compile(r"var\(--([\w-]+)\)")
DECLARED = re.compile(r"--([\w-]+): ([^;]+);")
DARK = "@media (prefers-color-scheme: dark)"


def current() -> str:
    """What stands in a page's style element."""
    static = folder("static")
    style, theme = static / "phone.css", static / "theme.css"
    return _written(style, theme, style.stat().st_mtime_ns, theme.stat().st_mtime_ns)


def written(style: str, theme: str) -> str:
    """A sheet with the tokens of a theme written out, light, and dark where that differs."""
    light, dark = (dict(DECLARED.findall(half)) for half in theme.split(DARK))
    rules = RULE.findall(re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL))
    by_day = [_rule(chosen, said.split(";"), light) for chosen, said in rules]
    differ = [(chosen, [one for one in said.split(";") if _uses(one, dark)]) for chosen, said in rules]
    by_night = [_rule(chosen, said, light | dark) for chosen, said in differ if said]
    return f"{''.join(by_day)}{_small(DARK)}{{{''.join(by_night)}}}"


@cache
def _written(style: Path, theme: Path, *changed: int) -> str:
    return written(style.read_text(), theme.read_text())


def _uses(declaration: str, tokens: dict[str, str]) -> bool:
    return any(name in tokens for name in TOKEN.findall(declaration))


def _rule(chosen: str, said: list[str], tokens: dict[str, str]) -> str:
    inked = (TOKEN.sub(lambda found: tokens[found[1]], one) for one in said)
    return f"{_small(chosen)}{{{';'.join(_small(one) for one in inked if one.strip())}}}"


def _small(text: str) -> str:
    return re.sub(r"\s*([,:;>])\s+", r"\1", " ".join(text.split()))
