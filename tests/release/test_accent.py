"""The colour of a shop: read by everybody, by day and by night."""

import pytest

from storefront.release.accent import DARK, READABLE, coloured, contrast, tokens
from storefront.release.git import Refused
from storefront.release.new import THEME as PLACE
from tests.release.conftest import TEXTS

THEME = TEXTS[PLACE]


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21),
        ("#777777", "#ffffff", 4.478),
        ("#767676", "#ffffff", 4.542),
        ("#ff0000", "#ffffff", 3.998),
    ],
)
def test_contrast(one: str, other: str, ratio: float) -> None:
    """As others reckon it."""
    assert contrast(one, other) == pytest.approx(ratio, abs=0.001)
    assert contrast(other, one) == contrast(one, other)


@pytest.mark.parametrize("accent", ["#000000", "#0f5c73", "#AA0000", "#1a1aff", "#993300", "#56646f"])
def test_by_day_and_by_night(accent: str) -> None:
    """By day it is the one that was asked for, by night as much lighter as it must be; the rest stays."""
    day, _, night = coloured(THEME, accent).partition(DARK)
    assert tokens(day)["accent"] == accent.lower()
    for shown in (tokens(day), {**tokens(day), **tokens(night)}):
        for beside in ("paper", "card", "on-accent"):
            assert contrast(shown["accent"], shown[beside]) >= READABLE
    before, _, after = THEME.partition(DARK)
    for was, now in ((before, day), (after, night)):
        assert {**tokens(was), "accent": ""} == {**tokens(now), "accent": ""}


@pytest.mark.parametrize("accent", ["#ffcc00", "#ffffff", "#8a8a8a"])
def test_too_faint(accent: str) -> None:
    """A colour that cannot be read on the shop's paper is refused with what it lacks."""
    with pytest.raises(Refused, match=r"stands out from --paper \(#\w{6}\) by \d\.\d, and words need 4\.5"):
        coloured(THEME, accent)


@pytest.mark.parametrize("accent", ["", "teal", "#fff", "0f5c73", "#0f5c7g", "#0f5c73 ", "#0f5c73;}"])
def test_no_colour(accent: str) -> None:
    """A colour is written in one way, and nothing else gets into the style sheet."""
    with pytest.raises(Refused, match="write it as #rrggbb"):
        coloured(THEME, accent)


@pytest.mark.parametrize(
    ("written", "instead", "reason"),
    [
        (DARK, "@media print", "has no --accent by day, or none by night"),
        ("--accent: #6fc3d8;", "", "has no --accent by day, or none by night"),
        ("#fbf8f2", "#fff", "has --paper as #fff"),
        ("#ffffff", "white", "has --card as white"),
        ("--paper: #10171d;", "--paper: var(--card);", r"has --paper as var\(--card\)"),
        ("--paper: #fbf8f2;", "", "has --paper as nothing"),
        ("#08222b", "#ffffff", "cannot be read by night, however light"),
    ],
)
def test_a_theme_of_ones_own(written: str, instead: str, reason: str) -> None:
    """A copy of a shop whose theme is written otherwise is refused with what to write."""
    assert written in THEME
    with pytest.raises(Refused, match=reason):
        coloured(THEME.replace(written, instead), "#993300")


def test_a_theme_without_spaces() -> None:
    """Where it has the colour does not depend on how it is laid out."""
    close = THEME.replace(": ", ":").replace("(prefers-color-scheme:", "(prefers-color-scheme: ")
    day, _, night = coloured(close, "#993300").partition(DARK)
    assert tokens(day)["accent"] == "#993300"
    assert tokens(night)["accent"] not in ("#993300", "#6fc3d8")
