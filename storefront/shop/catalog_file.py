"""The catalogue as a shopkeeper writes it: read, held against the rules, every problem with its line."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

ITEM_ID = re.compile(r"[0-9A-Za-z]{1,64}")  # seed: the id of an item
NAME_COLUMNS = 128  # seed: the name of an item
MOST = 2**31 - 1  # pieces that the database can count
LANGUAGES = ("ja", "en")
JAPAN = ZoneInfo("Asia/Tokyo")
DEEPEST = 20  # a catalogue is four deep
MOMENT = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)"
    r"(?:[Tt ] *(\d\d?):(\d\d)(?::(\d\d))?(?: *(?P<zone>[Zz]|[+-]\d\d:\d\d))?)?",
    re.ASCII,
)
YAML_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class PriceRule:
    """What a channel's platform lets an item cost; `maximum` is that of its most generous device."""

    unit: str
    minimum: int
    maximum: int


class CatalogError(Exception):
    """The catalogue breaks a rule; each line names the place and the rule."""


class Unreadable(Exception):
    """The file is no YAML, from this line on."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(line, reason)
        self.line, self.reason = line, reason


def read(path: Path, rules: Mapping[str, PriceRule]) -> list["Entry"]:
    """The entries of a catalogue file, or CatalogError with every broken rule and its line."""
    try:
        root = _parsed(path.read_bytes())
    except OSError as error:
        raise CatalogError(f"{path}: cannot be read: {error.strerror}") from None
    except Unreadable as error:
        raise CatalogError(f"{path}:{error.line}: {_plain(error.reason)}") from None
    if not isinstance(root, SequenceNode) or not root.value:
        raise CatalogError(f"{path}:1: a catalogue is a list of at least one item, each beginning with - id:")
    problems: list[str] = []
    entries: list[Entry] = []
    lines: dict[str, int] = {}
    for node in root.value:
        line = _line(node)
        entry, found = _entry(node, rules)
        problems += [f"{path}:{at}: {_plain(reason)}" for at, reason in found]
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


def _plain(text: str) -> str:
    """What a terminal may be told of a file's own words."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _fits(name: str) -> str:
    if not name.strip() or any(unicodedata.category(char).startswith("C") for char in name):
        raise ValueError("a name is printable text")
    if columns(name) > NAME_COLUMNS:
        raise ValueError(f"a name has at most {NAME_COLUMNS} half-width columns, a full-width one counts 2")
    return name


def _reads(text: str) -> str:
    if not text.strip() or any(unicodedata.category(char) in ("Cc", "Cs") for char in text if char != "\n"):
        raise ValueError("a description is text without control characters")
    return text


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


Name = Annotated[str, AfterValidator(_fits)]
Description = Annotated[str, AfterValidator(_reads)]
From = Annotated[datetime, BeforeValidator(_moment)]
Until = Annotated[datetime, BeforeValidator(_until)]
Place = tuple[str, ...]  # of a key: the keys above it, and its own
Problem = tuple[int, str]  # a line and what is wrong there


class Entry(BaseModel):
    """One item of the file. Source of the rules: seed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    id: Annotated[str, Field(pattern=f"^{ITEM_ID.pattern}$")]
    name: dict[Literal["ja", "en"], Name]
    description: dict[Literal["ja", "en"], Description]
    art: Annotated[str, Field(pattern=r"^[0-9a-z_-]{1,60}\.svg$")]
    consumable: bool = False
    stock: Annotated[int | None, Field(ge=0, le=MOST)] = None
    per_customer: Annotated[int | None, Field(ge=1, le=MOST)] = None
    on_sale_from: From | None = None
    on_sale_until: Until | None = None
    prices: Annotated[dict[str, int], Field(min_length=1)]

    @model_validator(mode="after")
    def _window(self) -> "Entry":
        if self.on_sale_from and self.on_sale_until and self.on_sale_from >= self.on_sale_until:
            raise ValueError("on_sale_from lies before on_sale_until")
        return self


FIELDS = tuple(Entry.model_fields)
# Said in place of pydantic's words, which a shopkeeper need not read; by field, else by kind of error.
OF_FIELD = {
    "id": "an id is 1 to 64 half-width letters and digits",
    "art": "art is the name of an .svg file in static/art, in small letters, digits, - and _",
}
OF_KIND: Mapping[str, str | Callable[[Any], str]] = {
    "missing": "is missing: add it",
    "extra_forbidden": lambda problem: _unknown(str(problem["loc"][-1])),
    "literal_error": "a language is 'ja' or 'en'",
    "string_type": "must be text: put it in quotes",
    "int_type": "must be a whole number: write digits only, without quotes",
    "bool_type": "must be true or false, without quotes",
    "dict_type": "must be a mapping, written as {ja: 綱, en: Rope} is",
    "greater_than_equal": lambda problem: f"must be at least {problem['ctx']['ge']}",
    "less_than_equal": lambda problem: f"must be at most {problem['ctx']['le']:,}: leave it out for no limit",
    "too_short": "needs at least 1 price: a channel and its amount",
}


@dataclass
class Written:
    """An item as it was written: its values, the line of each key, and what could not be read."""

    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def value(self, node: Node, place: Place = ()) -> Any:
        """What a node says; None where it cannot be read."""
        try:
            if node.anchor:
                raise ValueError("& and * are not read here: write it out")
            if isinstance(node, MappingNode) and node.tag == f"{YAML_TAG}map":
                return dict(self._pairs(node, place))
            if isinstance(node, SequenceNode) and node.tag == f"{YAML_TAG}seq":
                return [self.value(one, place) for one in node.value]
            if isinstance(node, ScalarNode):
                return _scalar(node)
            raise ValueError(f"{node.tag} is not read here: leave it out")
        except ValueError as error:
            self.problems.append((_line(node), f"{'.'.join(place)}: {error}" if place else str(error)))
            return None

    def _pairs(self, node: MappingNode, place: Place) -> Iterator[tuple[str, Any]]:
        for key, value in node.value:
            line, name = _line(key), key.value
            is_word = isinstance(key, ScalarNode) and key.tag == f"{YAML_TAG}str" and name.isprintable()
            if not is_word or key.anchor:
                shown = name if isinstance(key, ScalarNode) and name else "this"
                self.problems.append((line, f"{shown} cannot stand before a colon here: write a name, as id"))
                continue
            here = (*place, name)
            if here in self.lines:
                first = self.lines[here]
                self.problems.append((line, f"{'.'.join(here)}: stands already on line {first}: keep one"))
                continue
            self.lines[here] = line
            yield name, self.value(value, here)


def _parsed(content: bytes) -> Any:
    """The file's tree, of YAML 1.2; or Unreadable."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unreadable(line, "is not in UTF-8: save the file in that encoding") from None
    yaml = YAML(typ="safe", pure=True)
    yaml.max_depth = DEEPEST
    try:
        return yaml.compose(text)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Unreadable(line, "has a character that no text has: take it out") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(mark.line + 1 if mark else 1, _advice(error)) from None
    except (YAMLError, ValueError, AttributeError) as error:  # what its scanner lets through
        raise Unreadable(1, f"is not YAML: {error}") from None


def _advice(error: MarkedYAMLError) -> str:
    problem = str(error.problem or error.context)
    for found, advice in (
        ("\\t", "indent with spaces: a tab stands here"),
        ("mapping values", "a colon too many, or a line indented otherwise: put text with a colon in quotes"),
        ("maximum depth", "is nested too deeply for a catalogue: see the other items"),
        ("another document", "a second document begins here: take the --- out"),
    ):
        if found in problem:
            return advice
    return f"is not YAML ({problem}): look at the quotes, brackets and indentation up to this line"


def _scalar(node: ScalarNode) -> object:
    kind, text = str(node.tag).removeprefix(YAML_TAG), str(node.value)
    if kind == "null":
        return None
    if kind == "int":
        return _number(text)
    if kind == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind in ("str", "timestamp", "value", "merge"):
        return text
    if kind in ("bool", "float"):
        raise ValueError(f"{text[:40]} is not read here: write a whole number, true or false, or use quotes")
    raise ValueError(f"{node.tag} is not read here: leave it out")


def _number(text: str) -> int:
    if not re.fullmatch(r"[-+]?[0-9]{1,1000}", text):
        raise ValueError(f"{text[:40]} is no whole number: write digits only, such as 10")
    return int(text)


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _entry(node: Node, rules: Mapping[str, PriceRule]) -> tuple[Entry | None, list[Problem]]:
    """An item, and what is wrong with it by line; no item where nothing can be made of it."""
    line = _line(node)
    if not isinstance(node, MappingNode):
        return None, [(line, "an item is a mapping that starts with its id: - id: …")]
    written = Written()
    said = written.value(node)
    if written.problems:
        return None, written.problems
    try:
        entry = Entry.model_validate(said)
    except ValidationError as error:
        return None, [_problem(problem, written.lines, line) for problem in error.errors(include_url=False)]
    lines = written.lines
    return entry, [*_missing(entry, lines), *_mispriced(entry, rules, lines)]


def _problem(problem: Any, lines: Mapping[Place, int], line: int) -> Problem:
    place = tuple(str(part) for part in problem["loc"] if part != "[key]")
    reason = OF_KIND.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "string_pattern_mismatch":
        reason = OF_FIELD[place[0]]
    words = reason(problem) if callable(reason) else reason
    named = ".".join(place)
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, line), f"{named}: {words}" if named else words


def _unknown(name: str) -> str:
    near = get_close_matches(name, FIELDS, n=1)
    meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(FIELDS)}"
    return f"is no field of an item: {meant}"


def _missing(entry: Entry, lines: Mapping[Place, int]) -> Iterator[Problem]:
    for place, texts in (("name", entry.name), ("description", entry.description)):
        for language in LANGUAGES:
            if language not in texts:
                yield lines[place,], f"{place}: needs {language!r} as well"


def _mispriced(entry: Entry, rules: Mapping[str, PriceRule], lines: Mapping[Place, int]) -> Iterator[Problem]:
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
