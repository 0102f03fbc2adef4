"""Walkthroughs as their files say them, whatever is played in them: each platform brings its own words.

Check     what must be seen: a platform says its words, and their rules
Step      what is done: a platform says the verbs that its robot plays
Script    a walkthrough, but for what only its platform knows
folder()  what the files of a folder say; Broken names file, line and rule
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Generic, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from storefront.shop import yaml_file
from storefront.shop.yaml_file import Unreadable, Written, line_of, plain

# The rules of those fields of a file that have one of their own.
OF_FIELD = {
    "name": "a name is small letters, digits and -",
    "steps": "has at least one step, each with something to play and to see",
}


class Broken(Exception):
    """A file of walkthroughs that cannot be used; each line names file, line and rule."""


def _word(value: object) -> object:
    return str(value).lower() if isinstance(value, int) else value


Word = Annotated[str, BeforeValidator(_word)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Words(Strict):
    """The same in both languages."""

    ja: Annotated[str, Field(min_length=1)]
    en: Annotated[str, Field(min_length=1)]

    def of(self, language: str) -> str:
        return self.ja if language == "ja" else self.en


class Check(Strict):
    """One thing that must be seen: exactly one of the platform's words, and what narrows it."""

    WORDS: ClassVar[Sequence[str]] = ()
    RULES: ClassVar[Mapping[str, str]] = {}  # of those words that have one

    facts: dict[str, Word] = Field(default_factory=dict)
    times: Word | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        said = [name for name in self.WORDS if getattr(self, name) is not None]
        if len(said) != 1:
            raise ValueError(f"must say exactly one of {', '.join(self.WORDS)}")
        for name, rule in self.RULES.items():
            value = getattr(self, name, None)
            if value is not None and not re.fullmatch(rule, value):
                raise ValueError(f"{name}: {value} is not one of its words")
        return self

    @property
    def name(self) -> str:
        return next(name for name in self.WORDS if getattr(self, name) is not None)

    @property
    def wanted(self) -> str:
        """What must be seen, in one word."""
        value = getattr(self, self.name)
        return " ".join(value) if isinstance(value, list) else str(value)

    @property
    def narrowed(self) -> Sequence[tuple[str, object]]:
        """What narrows it, as far as it is said."""
        return [("times", self.times)]

    def __str__(self) -> str:
        more = [f"{name} {value}" for name, value in self.narrowed if value is not None]
        return " ".join([self.name, self.wanted, *more])


C = TypeVar("C", bound=Check)


class Step(Strict, Generic[C]):
    """What is done, how the robot does it, and what must be seen then."""

    # What `play` may say: a verb, and what may follow it.
    VERBS: ClassVar[Mapping[str, str]] = {}

    do: Words
    play: Annotated[list[str], Field(min_length=1)]
    see: Annotated[list[C], Field(min_length=1)]

    @field_validator("play")
    @classmethod
    def _plays(cls, play: list[str]) -> list[str]:
        known = "|".join(f"(?:{verb}{after})" for verb, after in cls.VERBS.items())
        for words in play:
            if not re.fullmatch(known, words):
                raise ValueError(f"{words!r} is nothing the robot can do; it can {', '.join(cls.VERBS)}")
        return play


class Script(Strict):
    """One walkthrough of a file. `chapter` is where it stands, and no field of the file's."""

    RULES: ClassVar[Mapping[str, str]] = {}  # of those fields that have one of their own

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    chapter: str = ""
    title: Words
    rule: Words
    source: Annotated[str, Field(min_length=1)]
    row: str | None = None


S = TypeVar("S", bound=Script)


def folder(kind: type[S], place: Path, known: Mapping[str, S]) -> Mapping[str, S]:
    """What a folder's files say, by name, in their order; or Broken with all that is wrong in them."""
    problems: list[str] = []
    found: dict[str, S] = {}
    for path in _files(place):
        for line, one, reasons in _entries(kind, path):
            problems += [f"{path}:{at}: {plain(reason)}" for at, reason in reasons]
            if one and (one.name in known or one.name in found):
                problems.append(f"{path}:{line}: name: there is another {one.name}")
            elif one:
                found[one.name] = one
    if problems:
        raise Broken("\n".join(problems))
    return found


def _files(place: Path) -> Sequence[Path]:
    """The chapters of a folder; one without any is a mistake of whoever names it."""
    found = sorted(path for path in place.iterdir() if path.suffix in (".yaml", ".yml"))
    if not found:
        raise Broken(f"{place}: has no file of walkthroughs, such as 1-buying.yaml")
    return found


def _entries(kind: type[S], path: Path) -> Iterable[tuple[int, S | None, list[tuple[int, str]]]]:
    """Each walkthrough of a file with its line, or what is wrong with it."""
    try:
        root = yaml_file.read(path)
    except Unreadable as error:
        raise Broken(str(error)) from None
    if not isinstance(root, SequenceNode):
        raise Broken(f"{path}:1: a chapter is a list of walkthroughs, each beginning with - name:")
    return [(line_of(node), *_entry(kind, node, path)) for node in root.value]


def _entry(kind: type[S], node: Node, path: Path) -> tuple[S | None, list[tuple[int, str]]]:
    if not isinstance(node, MappingNode):
        return None, [(line_of(node), "a walkthrough is a mapping that starts with its name: - name: …")]
    written = Written()
    one = written.made(kind, node, "a walkthrough", {**OF_FIELD, **kind.RULES})
    chapter = path.stem.partition("-")[2] or path.stem
    return one and one.model_copy(update={"chapter": chapter}), written.problems
