"""The catalogue as a shopkeeper writes it: read, held against the rules, every problem with its line."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from storefront import clock
from storefront.clock import JAPAN
from storefront.languages import LANGUAGES, WRITTEN
from storefront.shop import yaml_file
from storefront.shop.yaml_file import Place, Problem, Unreadable, Written, line_of, plain

ITEM_ID = re.compile(r"[0-9A-Za-z]{1,64}")  # seed: the id of an item
NAME_COLUMNS = 128  # seed: the name of an item
MOST = 2**31 - 1  # pieces that the database can count
MOMENT = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)"
    r"(?:[Tt ] *(\d\d?):(\d\d)(?::(\d\d))?(?: *(?P<zone>[Zz]|[+-]\d\d:\d\d))?)?",
    re.ASCII,
)


@dataclass(frozen=True)
class PriceRule:
    """What a channel's platform lets an item cost; `maximum` is that of its most generous device.

    `asked` is what an amount of the catalogue comes to on a day; the limits are those of what is asked.
    """

    unit: str
    minimum: int
    maximum: int
    units: str = ""  # of it in English, where an s makes no plural
    asked: Callable[[int, date], int] = lambda amount, on: amount

    def forbids(self, amount: int, on: date) -> str:
        """What is wrong with an amount; nothing if it is within the limits."""
        asked = self.asked(amount, on)
        comes_to = "" if asked == amount else f" comes to {asked}, which"
        return "" if self.minimum <= asked <= self.maximum else f"{amount}{comes_to} is not within {self}"

    def __str__(self) -> str:
        return f"{self.minimum} to {self.maximum} {self.units or f'{self.unit}s'}"


class CatalogError(Exception):
    """The catalogue breaks a rule; each line names the place and the rule."""


def read(path: Path, rules: Mapping[str, PriceRule], drawings: Path | None = None) -> list["Entry"]:
    """The entries of a catalogue file, or CatalogError with every broken rule and its line.

    With a folder of drawings each item's must be there, too.
    """
    try:
        root = yaml_file.read(path)
    except Unreadable as error:
        raise CatalogError(str(error)) from None
    if not isinstance(root, SequenceNode) or not root.value:
        raise CatalogError(f"{path}:1: a catalogue is a list of at least one item, each beginning with - id:")
    problems: list[str] = []
    entries: list[Entry] = []
    lines: dict[str, int] = {}
    for node in root.value:
        line = line_of(node)
        entry, found = _entry(node, rules)
        problems += [f"{path}:{at}: {plain(reason)}" for at, reason in found]
        if entry is None:
            continue
        if entry.id in lines:
            problems.append(f"{path}:{line}: id {entry.id!r} stands already on line {lines[entry.id]}")
        if drawings and not (drawings / entry.art).is_file():
            problems.append(f"{path}:{line}: art: {drawings} has no {entry.art}")
        lines.setdefault(entry.id, line)
        entries.append(entry)
    if problems:
        raise CatalogError("\n".join(problems))
    return entries


def columns(text: str) -> int:
    """Half-width columns of a text: full-width characters count two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WFA" else 1 for char in text)


def _fits(name: str) -> str:
    if not name.strip() or any(unicodedata.category(char).startswith("C") for char in name):
        raise ValueError("a name is printable text")
    if columns(name) > NAME_COLUMNS:
        raise ValueError(f"a name has at most {NAME_COLUMNS} half-width columns, a full-width one counts 2")
    return name


def _reads(text: str) -> str:
    if not text.strip() or any(unicodedata.category(char) in ("Cc", "Cs") for char in text if char != "\n"):
        raise ValueError("must be text without control characters")
    return text


def _language(code: str) -> str:
    if code not in LANGUAGES:
        raise ValueError(f"a language is {' or '.join(map(repr, LANGUAGES))}")
    return code


def _in_each(texts: dict[str, str]) -> dict[str, str]:
    missing = [repr(language) for language in WRITTEN if language not in texts]
    if missing:
        raise ValueError(f"needs {' and '.join(missing)} as well")
    return texts


def moment(text: str) -> datetime:
    """A moment as a shopkeeper writes it, or ValueError."""
    return _moment(text)


def _moment(value: object, *, end_of_day: bool = False) -> datetime:
    """A moment as it stands in the file; without a zone it is Japan's, where the buyers are."""
    found = MOMENT.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("a moment is written 2027-01-31 18:00, in Japan's time, or 2027-01-31 for a day")
    *numbers, zone = found.groups()
    year, month, day, hour, minute, second = (int(number or 0) for number in numbers)
    more = timedelta(days=1 if end_of_day and ":" not in found[0] else 0)
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=_zone(zone)) + more
        return moment.astimezone(UTC).astimezone(JAPAN)  # the database keeps the one, pages show the other
    except (ValueError, OverflowError):
        raise ValueError(f"there is no such day or time as {found[0]}: look into a calendar") from None


def _until(value: object) -> datetime:
    """The same; of a bare day its end, since what is sold until a day is sold on it."""
    return _moment(value, end_of_day=True)


def _zone(name: str | None) -> tzinfo:
    if name is None:
        return JAPAN
    hours, _, minutes = name[1:].partition(":")
    away = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    return timezone(-away if name.startswith("-") else away)


Language = Annotated[str, AfterValidator(_language)]
Name = Annotated[dict[Language, Annotated[str, AfterValidator(_fits)]], AfterValidator(_in_each)]
Description = Annotated[dict[Language, Annotated[str, AfterValidator(_reads)]], AfterValidator(_in_each)]
Art = Annotated[str, Field(pattern=r"^[0-9a-z_-]{1,60}\.svg$")]
From = Annotated[datetime, BeforeValidator(_moment)]
Until = Annotated[datetime, BeforeValidator(_until)]


class Entry(BaseModel):
    """One item of the file. Source of the rules: seed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    id: Annotated[str, Field(pattern=f"^{ITEM_ID.pattern}$")]
    name: Name
    description: Description
    art: Art
    consumable: bool = False
    stock: Annotated[int | None, Field(ge=0, le=MOST)] = None
    per_customer: Annotated[int | None, Field(ge=1, le=MOST)] = None
    on_sale_from: From | None = None
    on_sale_until: Until | None = None
    prices: Annotated[dict[str, int], Field(min_length=1)]

    @field_validator("on_sale_until")
    @classmethod
    def _window(cls, until: datetime | None, others: ValidationInfo) -> datetime | None:
        since = others.data.get("on_sale_from")
        if since and until and since >= until:
            raise ValueError("lies before on_sale_from, or at the same moment")
        return until


OF_ART = "is the name of an .svg file in static/art, in small letters, digits, - and _"
# The rules of fields that have one of their own.
OF_FIELD = {
    "id": "an id is 1 to 64 half-width letters and digits",
    "art": OF_ART,
    "prices": "must be a mapping of channels to amounts with at least 1 price, as {channel: 10}",
}


def _entry(node: Node, rules: Mapping[str, PriceRule]) -> tuple[Entry | None, list[Problem]]:
    """An item, and what is wrong with it by line; no item where nothing can be made of it."""
    if not isinstance(node, MappingNode):
        return None, [(line_of(node), "an item is a mapping that starts with its id: - id: …")]
    written = Written()
    entry = written.made(Entry, node, "an item", OF_FIELD)
    mispriced = _mispriced(entry, rules, written.lines) if entry else ()
    return entry, [*written.problems, *mispriced]


def _mispriced(entry: Entry, rules: Mapping[str, PriceRule], lines: Mapping[Place, int]) -> Iterator[Problem]:
    for channel, amount in entry.prices.items():
        rule = rules.get(channel)
        # Without a rule it is of a counter that was taken away, or is to come: such a price lies idle.
        if rule and (forbidden := rule.forbids(amount, clock.day(clock.now()))):
            yield lines["prices", channel], f"prices.{channel}: {forbidden}"
