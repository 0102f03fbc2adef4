"""A file as a shopkeeper writes it, in YAML 1.2: its values, and of every problem the line."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scanner import Scanner, ScannerError

NO_CHARACTER = "has a character that no text has: take it out"
DEEPEST = 20  # a catalogue is four deep
LARGEST = 4_000_000  # bytes; an item has some 400
YAML_TAG = "tag:yaml.org,2002:"

Place = tuple[str, ...]  # of a key: the keys above it, and its own
Problem = tuple[int, str]  # a line and what is wrong there
Kind = TypeVar("Kind", bound=BaseModel)

# Said in place of pydantic's words, which a shopkeeper need not read, by kind of error.
REASONS: Mapping[str, str | Callable[[Any], str]] = {
    "missing": "is missing: add it",
    "string_type": "must be text: put it in quotes",
    "int_type": "must be a whole number: write digits only, without quotes",
    "bool_type": "must be true or false, without quotes",
    "dict_type": "must be a mapping, written as {ja: 綱, en: Rope} is",
    "model_type": "must be a mapping that starts with its id, as {id: …}",
    "list_type": "must be a list: a line for each, beginning with -, or [one, another]",
    "tuple_type": "must be a list, written as [one, another]",
    "greater_than_equal": lambda problem: f"must be at least {problem['ctx']['ge']}",
    "less_than_equal": lambda problem: f"must be at most {problem['ctx']['le']:,}: leave it out for no limit",
}


class Unreadable(Exception):
    """The file is no YAML; says from which line on, and why."""


def read(path: Path) -> Node | None:
    """The tree of a file, None of an empty one; or Unreadable."""
    try:
        if path.exists() and not path.is_file():
            raise Unreadable(f"{path}: cannot be read: it is no file")
        if path.stat().st_size > LARGEST:
            raise Unreadable(f"{path}: cannot be read: it has more than {LARGEST:,} bytes")
        return _parsed(path.read_bytes())
    except OSError as error:
        raise Unreadable(f"{path}: cannot be read: {error.strerror}") from None
    except _Broken as error:
        raise Unreadable(f"{path}:{error.line}: {plain(error.reason)}") from None


def plain(text: str) -> str:
    """What a terminal may be told of a file's own words."""
    return "".join(char if char.isprintable() else "?" for char in text)


def line_of(node: Node) -> int:
    return int(node.start_mark.line) + 1


@dataclass
class Written:
    """A mapping as it was written: its values, the line of each key, and what could not be read."""

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
                return list(self._list(node, place))
            if isinstance(node, ScalarNode):
                return _scalar(node)
            raise ValueError(f"{node.tag} is not read here: leave it out")
        except ValueError as error:
            self.problems.append((line_of(node), f"{'.'.join(place)}: {error}" if place else str(error)))
            return None

    def _list(self, node: SequenceNode, place: Place) -> Iterator[Any]:
        for number, one in enumerate(node.value):
            here = (*place, str(number))
            self.lines[here] = line_of(one)
            yield self.value(one, here)

    def _pairs(self, node: MappingNode, place: Place) -> Iterator[tuple[str, Any]]:
        for key, value in node.value:
            line, name = line_of(key), key.value
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

    def made(
        self, kind: type[Kind], node: MappingNode, noun: str, of_field: Mapping[str, str]
    ) -> Kind | None:
        """What stands there as one of its kind; None where there are problems.

        `of_field` has the rules of those fields that have one of their own.
        """
        said = self.value(node)
        if self.problems:
            return None
        try:
            return kind.model_validate(said)
        except ValidationError as error:
            for problem in error.errors(include_url=False):
                place = tuple(str(part) for part in problem["loc"] if part != "[key]")
                reason = _reason(problem, noun, tuple(kind.model_fields), of_field)
                where = self._line(place) or line_of(node)
                self.problems.append((where, ": ".join([".".join(place), reason]) if place else reason))
            return None

    def _line(self, place: Place) -> int | None:
        """Of a key, or of the nearest one above it that is there."""
        above = (place[:depth] for depth in range(len(place), 0, -1))
        return next((self.lines[one] for one in above if one in self.lines), None)


class _Scanner(Scanner):
    """One that says where an escape means no character; ruamel's falls over it."""

    def scan_flow_scalar_non_spaces(self, double: Any, start_mark: Any) -> Any:
        try:
            return super().scan_flow_scalar_non_spaces(double, start_mark)
        except (ValueError, OverflowError):
            raise ScannerError(None, None, NO_CHARACTER, self.reader.get_mark()) from None


class _Broken(Exception):
    def __init__(self, line: int, reason: str) -> None:
        super().__init__(line, reason)
        self.line, self.reason = line, reason


def _parsed(content: bytes) -> Node | None:
    """The file's tree, of YAML 1.2; or what breaks it."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _Broken(line, "is not in UTF-8: save the file in that encoding") from None
    yaml = YAML(typ="safe", pure=True)
    yaml.Scanner = _Scanner
    yaml.max_depth = DEEPEST
    try:
        root: Node | None = yaml.compose(text)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _Broken(line, NO_CHARACTER) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _Broken(mark.line + 1 if mark else 1, _advice(error)) from None
    except AssertionError:  # its way to refuse a %YAML
        line = text.partition("%YAML")[0].count("\n") + 1
        raise _Broken(line, "asks for a version of YAML that is not read here: take it out") from None
    except (YAMLError, ValueError, AttributeError) as error:  # what its scanner lets through
        raise _Broken(1, f"is not YAML: {error}") from None
    return root


def _advice(error: MarkedYAMLError) -> str:
    problem = str(error.problem or error.context)
    if problem == NO_CHARACTER:
        return problem
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
        number = "a number is a whole number, such as 10, and text stands in quotes"
        raise ValueError(f"{text[:40]} is not read here: {number}")
    raise ValueError(f"{node.tag} is not read here: leave it out")


def _number(text: str) -> int:
    if not re.fullmatch(r"[-+]?[0-9]{1,1000}", text):
        raise ValueError(f"{text[:40]} is no whole number: write digits only, such as 10")
    return int(text)


def _reason(problem: Any, noun: str, fields: Sequence[str], of_field: Mapping[str, str]) -> str:
    kind, place = problem["type"], problem["loc"]
    if kind == "extra_forbidden":
        if len(place) > 1:
            return "is no field here: leave it out"
        near = get_close_matches(str(place[-1]), fields, n=1)
        meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(fields)}"
        return f"is no field of {noun}: {meant}"
    own = of_field.get(str(place[0])) if len(place) == 1 else None
    if kind in ("string_pattern_mismatch", "too_short") or (kind == "dict_type" and own):
        return of_field[str(place[0])]
    reason = REASONS.get(kind) or problem["msg"].removeprefix("Value error, ")
    return reason(problem) if callable(reason) else str(reason)
