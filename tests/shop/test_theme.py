"""The tokens of the look: what theme.css says, the other style sheet uses, and everybody can read."""

import re

import pytest

from storefront.config import folder
from storefront.release.accent import DARK as BY_NIGHT
from storefront.release.accent import READABLE, contrast, tokens

THEME = (folder("static") / "theme.css").read_text()
STYLES = (folder("static") / "shop.css").read_text()
LIGHT, DARK = THEME.split(BY_NIGHT)
SCENE = folder("static") / "scene"
COLOUR = re.compile("#[0-9a-f]{3,6}")
ON_PAPER = ("ink", "quiet", "accent", "good", "warn", "bad")


def test_tokens_and_nothing_else() -> None:
    """theme.css has custom properties only, so that a look can be changed without reading styles."""
    assert {selector.strip() for selector in re.findall(r"([^{}*/]+)\{", THEME)} <= {
        ":root",
        BY_NIGHT,
    }
    declared = re.findall(r"^\s*([\w-]+):", THEME, re.M)
    assert {name for name in declared if not name.startswith("--")} == {"color-scheme"}


def test_every_token_is_used_and_there() -> None:
    """What the styles ask for is in theme.css, and what is there is asked for."""
    assert set(re.findall(r"var\(--([\w-]+)\)", STYLES)) == set(tokens(THEME))
    assert ":root" not in STYLES


@pytest.mark.parametrize("half", ["light", "dark"])
@pytest.mark.parametrize("paper", ["paper", "card", "sky"])
def test_words_can_be_read(half: str, paper: str) -> None:
    """Every kind of word stands out from what it is written on, by day and by night."""
    shown = {**tokens(LIGHT), **(tokens(DARK) if half == "dark" else {})}
    faint = {ink: contrast(shown[ink], shown[paper]) for ink in ON_PAPER}
    faint["on-accent"] = contrast(shown["on-accent"], shown["accent"])
    faint["warn-paper"] = contrast(shown["warn"], shown["warn-paper"])
    assert {name: ratio for name, ratio in faint.items() if ratio < READABLE} == {}


def test_the_scene_by_night() -> None:
    """It is as large as by day, so that a page has the same room for both, and has other colours."""
    day, night = ((SCENE / name).read_text() for name in ("day.svg", "night.svg"))
    assert day.partition("\n")[0] == night.partition("\n")[0]
    assert set(COLOUR.findall(day)) != set(COLOUR.findall(night))
    assert re.search(r'"(scene/\w+\.svg)"', LIGHT)[1] == "scene/day.svg"  # type: ignore[index]
    assert re.search(r'"(scene/\w+\.svg)"', DARK)[1] == "scene/night.svg"  # type: ignore[index]
