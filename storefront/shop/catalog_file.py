"""The catalogue as a shopkeeper writes it: read, held against the rules, every problem with its line."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

ITEM_ID = re.compile(r"[0-9A-Za-z]{1,64}")  # seed: point:item, id
NAME_COLUMNS = 128  # seed: point:item, name
LANGUAGES = ("ja", "en")
JAPAN = ZoneInfo("Asia/Tokyo")


@dataclass(frozen=True)
class PriceRule:
    """What a channel's platform lets an item cost; `maximum` is that of its most generous device."""

    unit: str
    minimum: int
    maximum: int


class CatalogError(Exception):
    """The catalogue breaks a rule; each line names the place and the rule."""


def read(path: Path, rules: Mapping[str, PriceRule]) -> list["Entry"]:
    """The entries of a catalogue file, or CatalogError with every broken rule and its line."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise CatalogError(f"{path}: not YAML: {error}") from None
    if not isinstance(root, yaml.SequenceNode) or not root.value:
        raise CatalogError(f"{path}:1: a catalogue is a list of at least one item")
    problems: list[str] = []
    entries: list[Entry] = []
    lines: dict[str, int] = {}
    for node in root.value:
        line = node.start_mark.line + 1
        entry, found = _entry(node, rules)
        problems += [f"{path}:{at}: {reason}" for at, reason in found]
        if entry is None:
            continue
        if entry.id in lines:
            problems.append(f"{path}:{line}: id {entry.id!r} stands already on line {lines[entry.id]}")
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


def _moment(value: object) -> datetime:
    """A moment as it stands in the file; without a zone it is Japan's, where the buyers are."""
    if not isinstance(value, datetime):
        raise ValueError("a moment is written 2027-01-31 18:00, in Japan's time")
    return value.replace(tzinfo=JAPAN) if value.tzinfo is None else value


Name = Annotated[str, AfterValidator(_fits)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Lines = Mapping[tuple[str, ...], int]  # the line of each key, by its path


class Entry(BaseModel):
    """One item of the file. Source of the rules: seed, point:item."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    id: Annotated[str, Field(pattern=f"^{ITEM_ID.pattern}$")]
    name: dict[Literal["ja", "en"], Name]
    description: dict[Literal["ja", "en"], Annotated[str, Field(min_length=1)]]
    art: Annotated[str, Field(pattern=r"^[0-9a-z_-]+\.svg$")]
    consumable: bool = False
    stock: Annotated[int | None, Field(ge=0)] = None
    per_customer: Annotated[int | None, Field(ge=1)] = None
    on_sale_from: Moment | None = None
    on_sale_until: Moment | None = None
    prices: Annotated[dict[str, int], Field(min_length=1)]

    @model_validator(mode="after")
    def _window(self) -> "Entry":
        if self.on_sale_from and self.on_sale_until and self.on_sale_from >= self.on_sale_until:
            raise ValueError("on_sale_from lies before on_sale_until")
        return self


# Said in place of pydantic's pattern, which a shopkeeper need not read.
RULES = {
    "id": "an id is 1 to 64 half-width letters and digits",
    "art": "art is the name of an .svg file in static/art",
}


def _entry(node: yaml.Node, rules: Mapping[str, PriceRule]) -> tuple[Entry | None, list[tuple[int, str]]]:
    """An item, and what is wrong with it by line; no item where nothing can be made of it."""
    line = node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        return None, [(line, "an item is a mapping that starts with its id")]
    lines = dict(_lines(node))
    try:
        entry = Entry.model_validate(_construct(node))
    except ValidationError as error:
        return None, [_problem(problem, lines, line) for problem in error.errors(include_url=False)]
    return entry, [*_missing(entry, lines), *_mispriced(entry, rules, lines)]


def _problem(problem: Any, lines: Lines, line: int) -> tuple[int, str]:
    place = tuple(str(part) for part in problem["loc"] if part != "[key]")
    reason = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "string_pattern_mismatch":
        reason = RULES[place[0]]
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, line), f"{'.'.join(str(part) for part in problem['loc'])}: {reason}"


def _construct(node: yaml.MappingNode) -> Any:
    loader = yaml.SafeLoader("")
    return loader.construct_document(node)


def _lines(node: yaml.Node, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], int]]:
    """The line of every key below a node."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*place, key.value), key.start_mark.line + 1
            yield from _lines(value, (*place, key.value))


def _missing(entry: Entry, lines: Lines) -> Iterator[tuple[int, str]]:
    for field, texts in (("name", entry.name), ("description", entry.description)):
        for language in LANGUAGES:
            if language not in texts:
                yield lines[field,], f"{field}: needs {language!r} as well"


def _mispriced(entry: Entry, rules: Mapping[str, PriceRule], lines: Lines) -> Iterator[tuple[int, str]]:
    for channel, amount in entry.prices.items():
        rule = rules.get(channel)
        place = f"prices.{channel}"
        if rule is None:
            reason = f"{place}: no such channel here; there is {', '.join(rules)}"
        elif not rule.minimum <= amount <= rule.maximum:
            reason = f"{place}: {amount} is not within {rule.minimum} to {rule.maximum} {rule.unit}s"
        else:
            continue
        yield lines["prices", channel], reason
