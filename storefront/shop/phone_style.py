"""The look of a mobile phone's pages: small, and inside each page, which has of it what it has use for.

Its container reroutes images and no style sheet, and a handset knows no custom property: so the theme's
tokens are written out.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from storefront.config import folder

RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
TOKEN = re.compile(r"var\(--([\w-]+)\)")
DECLARED = re.compile(r"--([\w-]+): ([^;]+);")
CLASS = re.compile(r"\.([a-z][\w-]*)")
CLASSES = re.compile(r'\sclass="([^"]*)"')
DARK = "@media (prefers-color-scheme: dark)"


@dataclass(frozen=True)
class Rule:
    """What it is for, what it says by day, and what else it says by night; either may be nothing."""

    selectors: Sequence[str]
    by_day: str
    by_night: str


def of(body: str) -> str:
    """What stands in the style element of a page that has this body."""
    static = folder("static")
    style, theme = static / "phone.css", static / "theme.css"
    rules = _rules(style, theme, style.stat().st_mtime_ns, theme.stat().st_mtime_ns)
    classes = {name for found in CLASSES.findall(body) for name in found.split()}
    by_day = (_said(rule.selectors, rule.by_day, classes) for rule in rules)
    by_night = (_said(rule.selectors, rule.by_night, classes) for rule in rules)
    return f"{''.join(by_day)}{_small(DARK)}{{{''.join(by_night)}}}"


def read(style: str, theme: str) -> Sequence[Rule]:
    """The rules of a sheet, with the tokens of a theme written out."""
    light, dark = (dict(DECLARED.findall(half)) for half in theme.split(DARK))
    found = RULE.findall(re.sub(r"(?s)/\*.*?\*/", "", style))
    return [_rule(selectors, said, light, dark) for selectors, said in found]


@cache
def _rules(style: Path, theme: Path, *changed: int) -> Sequence[Rule]:
    return read(style.read_text("utf-8"), theme.read_text("utf-8"))


def _rule(selectors: str, said: str, light: dict[str, str], dark: dict[str, str]) -> Rule:
    lines = [line for line in said.split(";") if line.strip()]
    differing = [line for line in lines if dark.keys() & set(TOKEN.findall(line))]
    by_day, by_night = _written(lines, light), _written(differing, light | dark)
    return Rule([_small(one) for one in selectors.split(",")], by_day, by_night)


def _written(lines: Sequence[str], tokens: dict[str, str]) -> str:
    return ";".join(_small(TOKEN.sub(lambda found: tokens[found[1]], line)) for line in lines)


def _said(selectors: Sequence[str], said: str, classes: Collection[str]) -> str:
    used = [one for one in selectors if all(name in classes for name in CLASS.findall(one))]
    return f"{','.join(used)}{{{said}}}" if used and said else ""


def _small(text: str) -> str:
    return re.sub(r"\s*([,:])\s+", r"\1", " ".join(text.split()))
