"""The colour of links and buttons: held against what it stands on, and put into theme.css, light and dark."""

import re
from collections.abc import Iterator, Mapping

from storefront.release.git import Refused

READABLE = 4.5  # WCAG 2.2, 1.4.3: contrast of text, level AA
DARK = "@media (prefers-color-scheme: dark)"
# What the accent is written on, and what is written on it.
BESIDE = ("paper", "card", "on-accent")
WHITE = "#ffffff"
COLOUR = re.compile("#[0-9a-f]{6}")
STEPS = 20  # from a colour to white


def tokens(theme: str) -> Mapping[str, str]:
    """The custom properties of a style sheet, or of a part of one."""
    return dict(re.findall(r"--([\w-]+):\s*([^;}]+?)\s*[;}]", theme))


def contrast(one: str, other: str) -> float:
    """As WCAG 2.2 defines it, 1 to 21."""
    lower, higher = sorted((_luminance(one), _luminance(other)))
    return (higher + 0.05) / (lower + 0.05)


def coloured(theme: str, accent: str) -> str:
    """The theme with this accent, which by night is as much lighter as it must be; or Refused."""
    colour = accent.lower()
    if not COLOUR.fullmatch(colour):
        raise Refused(f"{accent} is no colour: write it as #rrggbb, such as #0f5c73")
    light, _, dark = theme.partition(DARK)
    by_day = tokens(light)
    by_night = {**by_day, **tokens(dark)}
    for shown, part in ((by_day, light), (by_night, dark)):
        _check(shown, part)
    for name, ratio in _faint(colour, by_day):
        raise Refused(
            f"{accent} stands out from --{name} ({by_day[name]}) by {ratio:.1f}, and words need {READABLE}: "
            "choose one that stands out more"
        )
    lighter = next((one for one in _towards_white(colour) if not [*_faint(one, by_night)]), None)
    if lighter is None:
        beside = ", ".join(f"--{name} ({by_night[name]})" for name in BESIDE)
        raise Refused(f"{accent} cannot be read by night, however light it is made, beside {beside}")
    return "".join([_put(light, colour), DARK, _put(dark, lighter)])


def _check(shown: Mapping[str, str], part: str) -> None:
    """Whether the accent has a place there, and what it is held against is written so that it can be."""
    if "accent" not in tokens(part):
        raise Refused(f"this release's theme has no --accent by day, or none by night below {DARK}: add it")
    for name in BESIDE:
        if not COLOUR.fullmatch(shown.get(name, "").lower()):
            raise Refused(
                f"this release's theme has --{name} as {shown.get(name, 'nothing')}, with which no accent "
                "can be compared: write it as #rrggbb"
            )


def _faint(accent: str, shown: Mapping[str, str]) -> Iterator[tuple[str, float]]:
    """Each token beside which the accent cannot be read."""
    found = ((name, contrast(accent, shown[name])) for name in BESIDE)
    return ((name, ratio) for name, ratio in found if ratio < READABLE)


def _towards_white(colour: str) -> Iterator[str]:
    for step in range(STEPS):
        parts = (part + (255 - part) * step // STEPS for part in bytes.fromhex(colour[1:]))
        yield "#" + bytes(parts).hex()
    yield WHITE


def _put(part: str, accent: str) -> str:
    return re.sub(r"(--accent:\s*)[^;}]+?(\s*[;}])", rf"\g<1>{accent}\g<2>", part)


def _luminance(colour: str) -> float:
    parts = [part / 255 for part in bytes.fromhex(colour[1:])]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
