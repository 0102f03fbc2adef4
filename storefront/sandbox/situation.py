"""A situation: who buys what on which device, with how many points, in what weather and at what time. Pure.

It is written as a query, so that it can be sent to a colleague:
`who=hanako&on=mobile&item=any&points=price-20&weather=callback.lost*1,api.slow:3*2&clock=+1d`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qsl, urlencode

from storefront.sandbox.cast import BY_KEY, Persona
from storefront.sandbox.devices import Device
from storefront.sandbox.kinds import KINDS, fits

T = TypeVar("T")
ROLES = ("any", "once", "few", "dear", "consumable", "outside")
PRICE = "price"
NAMES = ("who", "on", "item", "points", "weather", "clock")
ITEM = re.compile(r"[0-9A-Za-z_-]{1,64}")
POINTS = re.compile(r"(price)?(?:([+-]?)([0-9]{1,6}))?")
WEATHER = re.compile(r"([a-z_]+\.[a-z0-9_]+)(?::(-?[0-9]{1,7}))?(?:\*([1-9][0-9]{0,2}))?")
CLOCK = re.compile(r"([+-]?)([0-9]{1,7})([smhd]?)")
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
MOST_SPELLS = 20
MOST_AHEAD = 10 * 366 * 86_400


class Unknown(Exception):
    """A part of it says what nobody knows; the message names it."""


@dataclass(frozen=True)
class Spell:
    """Weather as a situation names it: kind, seconds or copies, and for the next how many."""

    kind: str
    seconds: int | None = None
    left: int | None = None

    def __str__(self) -> str:
        seconds = "" if self.seconds is None else f":{self.seconds}"
        return f"{self.kind}{seconds}{'' if self.left is None else f'*{self.left}'}"


@dataclass(frozen=True)
class Points:
    """So many points; or the price of the chosen item and so many more or less."""

    number: int = 0
    about_price: bool = False

    def at(self, price: int) -> int:
        return max(0, self.number + (price if self.about_price else 0))

    def __str__(self) -> str:
        number = f"{self.number:+}" if self.about_price and self.number else str(self.number or "")
        return f"{PRICE if self.about_price else ''}{number}" or "0"


@dataclass(frozen=True)
class Situation:
    """What will be set up."""

    persona: Persona
    device: Device = Device.MOBILE
    item: str = "any"
    points: Points | None = None
    weather: Sequence[Spell] = ()
    clock_seconds: int = 0

    @property
    def shortage(self) -> int:
        """What the item costs at least, so that so many points can be missing."""
        return max(0, -self.points.number) if self.points and self.points.about_price else 0

    @property
    def query(self) -> str:
        """The address that says the same, in one way of several."""
        said = {
            "who": self.persona.key,
            "on": self.device.value,
            "item": self.item,
            "points": "" if self.points is None else str(self.points),
            "weather": ",".join(map(str, self.weather)),
            "clock": str(self.clock_seconds or ""),
        }
        return urlencode({name: value for name, value in said.items() if value})

    @property
    def fields(self) -> Mapping[str, str]:
        return dict(parse_qsl(self.query))


def read(said: Mapping[str, str]) -> Situation:
    """The situation that these fields tell of; else Unknown."""
    for name in said:
        if name not in NAMES:
            raise Unknown(name)
    return Situation(
        persona=_one(BY_KEY, "who", said.get("who", "hanako")),
        device=_one({device.value: device for device in Device}, "on", said.get("on") or "mobile"),
        item=_item(said.get("item") or "any"),
        points=_points(said["points"]) if said.get("points") else None,
        weather=_spells(said.get("weather", "")),
        clock_seconds=_clock(said["clock"]) if said.get("clock") else 0,
    )


def spell(words: str) -> Spell:
    """Weather from `kind[:seconds][*next]`; else Unknown."""
    found = WEATHER.fullmatch(words.strip())
    kind = KINDS.get(found[1]) if found else None
    if found is None or kind is None:
        raise Unknown(f"weather={words}")
    seconds = int(found[2]) if found[2] else None
    if seconds is not None and not fits(kind.name, seconds):
        raise Unknown(f"weather={words}")
    return Spell(kind.name, seconds, int(found[3]) if found[3] else None)


def _spells(value: str) -> Sequence[Spell]:
    words = [one for one in value.split(",") if one]
    if len(words) > MOST_SPELLS:
        raise Unknown(f"weather: {len(words)}")
    return tuple(map(spell, words))


def _one(known: Mapping[str, T], name: str, value: str) -> T:
    if value not in known:
        raise Unknown(f"{name}={value}")
    return known[value]


def _item(value: str) -> str:
    if not ITEM.fullmatch(value):
        raise Unknown(f"item={value}")
    return value


def _points(value: str) -> Points:
    # A plus in an address is a space.
    found = POINTS.fullmatch(value.replace(" ", "+").strip())
    if found is None or (found[2] and not found[1]):
        raise Unknown(f"points={value}")
    return Points(int(f"{found[2] or ''}{found[3] or 0}"), bool(found[1]))


def _clock(value: str) -> int:
    found = CLOCK.fullmatch(value.replace(" ", "+").strip())
    seconds = int(f"{found[1]}{found[2]}") * UNITS[found[3]] if found else MOST_AHEAD + 1
    if abs(seconds) > MOST_AHEAD:
        raise Unknown(f"clock={value}")
    return seconds
