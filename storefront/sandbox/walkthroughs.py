"""Walkthroughs: what a tester does, and what must be seen, as their files say it.

read()      the chapters of the sandbox and of folders of one's own; Broken names file, line and rule
amount()    a sum of a file, such as price+50
shortage()  what such a sum needs the item to cost at least
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from storefront.sandbox.cast import BY_KEY
from storefront.sandbox.devices import Device
from storefront.sandbox.happened import Name
from storefront.sandbox.kinds import KINDS, MOST, MOST_SECONDS, fits
from storefront.shop import yaml_file
from storefront.shop.yaml_file import Unreadable, Written, line_of, plain

OURS = Path(__file__).with_name("walkthroughs")

MOST_TIMES = 1_000_000
# What is sent beside: by the platform, by who forges it, or by a phone.
SENT = (
    *("replayed", "bought", "cancelled", "container", "another_word", "events", "forged_event"),
    *("unsigned_page", "notice_forged", "notice_sum", "notice_currency"),
    *("altered", "unsigned", "wrong_key", "stale", "unknown_code", "another_owner", "another_app"),
    *("bare", "wrong", "another"),
)
KIND = f"({'|'.join(map(re.escape, KINDS))})"
SOMEBODY = f"({'|'.join(BY_KEY)})"
# What `play` may say: a verb, and what may follow it.
VERBS: Mapping[str, str] = {
    "open app": r"( mobile| smartphone| pc)?"
    rf"( framed| by post| again| elsewhere| altered| unsigned| as {SOMEBODY})?",
    "open": r" (shelf|item|bag|history|finish|legal|warning( unapproved| typed)?)",
    "buy": r"( twice| meanwhile| all| rest| dearest| until refused)?",
    "press again": "",
    "press of": f" {SOMEBODY}",
    "confirm": r"( all| \d)?",
    "cancel": "",
    "top up": "",
    "leave": "",
    "return": "",
    "use": r"( again)?",
    "send": f" ({'|'.join(SENT)})",
    "switch": r" (in_development|approved|replace_error_pages|hold_events) (on|off)",
    "turn clock": r" (now|[+-]\d{1,9})",
    "remove app": "",
    "pay back": r"( all)?",
    "rotate key": "",
    "as": f" {SOMEBODY}",
    "outside": r" (open|pay|cancel|decline|again|refund|expire)",
    "wait": r" (void|pause|parked|withdrawn|stopped)",
    "weather": rf" (clear|{KIND}(:-?\d{{1,7}})?(\*[1-9]\d{{0,5}})?( create| confirm)?)",
    "say age": r" \d{1,3}",
}
PLAY = re.compile("|".join(f"(?:{verb}{after})" for verb, after in VERBS.items()))
SCREENS = (
    *("confirm", "shortage", "asking", "bought", "failed", "cancelled", "paid_back", "too_much"),
    *("expired", "closed", "maintenance", "error"),
    *("waiting", "paid", "refunded", "chargeback"),
)
PAGES = (
    *("shelf", "item", "bag", "history", "finish", "warning", "legal", "age", "door", "error", "change"),
    *("not-started", "too-many", "being-prepared", "spent", "closed", "stale"),
)
STATES = ("create", "complete", "cancel", "pay_back", "void", "refund", "refunded", "chargeback")
SUM = r"(?:(\d{1,3})\*)?price([+-]\d{1,6})?"
# The rules of those words that have one.
RULES: Mapping[str, str] = {
    "screen": "|".join(SCREENS),
    "page": "|".join(PAGES),
    "status": r"\d{3}",
    "state": "|".join(STATES),
    "held": r"\+?\d{1,6}",
    "balance": rf"unchanged|[+-]{SUM}|[+-]\d{{1,6}}",
    "price": "shown",
    "calls": r"\d{1,4}(\.\.\d{1,4})?",
    "refusal": "[a-z_]+",
    "notice": "not-started|none",
    "happened": "|".join(Name),
    "never": "|".join(Name),
    "weather_met": "|".join(map(re.escape, KINDS)),
    "times": r"\d{1,4}(\.\.\d{1,4})?",
}
CHECKS = (
    *("screen", "page", "status", "state", "held", "balance", "price", "calls", "answer", "refusal"),
    *("notice", "happened", "never", "weather_met", "books"),
)


# The rules of those fields of a file that have one of their own.
OF_FIELD = {
    "name": "a name is small letters, digits and -",
    "points": "points are a sum such as price+50, 2*price or 300",
    "on": "names at least one device",
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


class Weather(Strict):
    """Weather of a walk's beginning; met by its own person's requests, or by everybody's."""

    kind: str
    next: Annotated[int | None, Field(ge=1, le=MOST_TIMES)] = None
    seconds: int | None = None
    api: Literal["create", "confirm", "both"] = "both"

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in KINDS:
            raise ValueError(f"there is no weather {kind!r}")
        return kind

    @model_validator(mode="after")
    def _lasts(self) -> "Weather":
        _check_seconds(self.kind, self.seconds)
        return self


class Check(Strict):
    """One thing that must be seen. Exactly one of the first fifteen, and what narrows it."""

    screen: Word | None = None
    page: Word | None = None
    status: Word | None = None
    state: Word | None = None
    held: Word | None = None
    balance: Word | None = None
    price: Word | None = None
    calls: Word | None = None
    answer: Word | list[Word] | None = None
    refusal: Word | None = None
    notice: Word | None = None
    happened: Word | None = None
    never: Word | None = None
    weather_met: Word | None = None
    books: Literal["green", "amber", "red"] | None = None

    who: str | None = None
    payment: Annotated[int | None, Field(ge=1)] = None  # the first, the second … that was created
    doubt: Literal["yes", "no"] | None = None
    api: Literal["create", "confirm"] | None = None
    times: Word | None = None
    facts: dict[str, Word] = Field(default_factory=dict)
    on: list[Device] | None = None  # only there

    @field_validator("on", mode="before")
    @classmethod
    def _devices(cls, value: object) -> object:
        return _as_devices(value)

    @model_validator(mode="after")
    def _is_one(self) -> "Check":
        said = [name for name in CHECKS if getattr(self, name) is not None]
        if len(said) != 1:
            raise ValueError(f"must say exactly one of {', '.join(CHECKS)}")
        for name, rule in RULES.items():
            value = getattr(self, name, None)
            if value is not None and not re.fullmatch(rule, value):
                raise ValueError(f"{name}: {value} is not one of its words")
        if self.who is not None and self.who not in BY_KEY:
            raise ValueError(f"there is nobody called {self.who}")
        return self

    @property
    def name(self) -> str:
        return next(name for name in CHECKS if getattr(self, name) is not None)

    @property
    def wanted(self) -> str:
        """What must be seen, in one word."""
        value = getattr(self, self.name)
        return " ".join(value) if isinstance(value, list) else str(value)

    def __str__(self) -> str:
        narrowed = [("of", self.who), ("payment", self.payment), ("doubt", self.doubt), ("times", self.times)]
        more = [f"{name} {value}" for name, value in narrowed if value is not None]
        return " ".join([self.name, self.wanted, *more])


class Step(Strict):
    """What is done, how the robot does it, and what must be seen then."""

    do: Words
    play: Annotated[list[str], Field(min_length=1)]
    see: Annotated[list[Check], Field(min_length=1)]

    @field_validator("play")
    @classmethod
    def _plays(cls, play: list[str]) -> list[str]:
        for words in play:
            if not PLAY.fullmatch(words):
                raise ValueError(f"{words!r} is nothing the robot can do; it can {', '.join(VERBS)}")
            struck = re.match(rf"weather {KIND}(?::(-?\d+))?", words)
            if struck:
                _check_seconds(struck[1], int(struck[2]) if struck[2] else None)
        return play


class Walkthrough(Strict):
    """One walkthrough of a file. `chapter` is where it stands, and no field of the file's."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    chapter: str = ""
    title: Words
    rule: Words
    source: Annotated[str, Field(min_length=1)]
    row: str | None = None
    who: str
    on: Annotated[list[Device], Field(min_length=1)]
    item: Literal["any", "once", "few", "dear", "consumable", "outside"]
    points: Annotated[Word, Field(pattern=rf"^({SUM}|\d{{1,6}})$")]
    weather: list[Weather] = Field(default_factory=list)
    needs: list[Literal["outside", "ages", "stopped", "breaker"]] = Field(default_factory=list)
    steps: Annotated[list[Step], Field(min_length=1)]
    books: Literal["green", "amber", "red"] = "green"  # at worst

    @field_validator("on", mode="before")
    @classmethod
    def _devices(cls, value: object) -> object:
        return _as_devices(value)

    @field_validator("who")
    @classmethod
    def _somebody(cls, who: str) -> str:
        if who not in BY_KEY:
            raise ValueError(f"there is nobody called {who}")
        return who

    @property
    def people(self) -> set[str]:
        """Everybody who plays in it."""
        spoken = [
            re.fullmatch(r"(?:open app )?as ([a-z]+)", words) for step in self.steps for words in step.play
        ]
        return {self.who, *(found[1] for found in spoken if found)}


def read(*folders: Path) -> Sequence[Walkthrough]:
    """Ours, then those of other folders, chapter by chapter, in the order of the files; or Broken."""
    found = {one.name: one for one in _ours()}
    for folder in folders:
        if not folder.is_dir():
            raise Broken(f"{folder}: is no folder")
        found |= _folder(folder, found)
    return list(found.values())


def amount(words: str, price: int) -> int:
    """A sum such as price+50, 2*price or 300."""
    found = re.fullmatch(SUM, words)
    return int(words) if found is None else int(found[1] or 1) * price + int(found[2] or 0)


def _check_seconds(kind: str, seconds: int | None) -> None:
    if not fits(kind, seconds):
        most = MOST.get(kind, MOST_SECONDS)
        has = f"from 1 to {most:,} {KINDS[kind].unit}" if KINDS[kind].seconds is not None else "no seconds"
        raise ValueError(f"weather {kind} has {has}, not {seconds}")


def shortage(words: str) -> int:
    """The price that an item has at least of which somebody can be so many points short."""
    found = re.fullmatch(SUM, words)
    return max(0, -int(found[2] or 0)) if found else 0


def _as_devices(value: object) -> object:
    known = list(Device)
    if isinstance(value, list):
        if any(one not in known for one in value):
            raise ValueError(f"a device is {', '.join(known)}")
        return [Device(one) for one in value]
    return value


@cache
def _ours() -> Sequence[Walkthrough]:
    return list(_folder(OURS, {}).values())


def _folder(folder: Path, known: Mapping[str, Walkthrough]) -> Mapping[str, Walkthrough]:
    """What a folder's files say, by name; or Broken with all that is wrong in them."""
    problems: list[str] = []
    found: dict[str, Walkthrough] = {}
    for path in _files(folder):
        for line, one, reasons in _entries(path):
            problems += [f"{path}:{at}: {plain(reason)}" for at, reason in reasons]
            if one and (one.name in known or one.name in found):
                problems.append(f"{path}:{line}: name: there is another {one.name}")
            elif one:
                found[one.name] = one
    if problems:
        raise Broken("\n".join(problems))
    return found


def _files(folder: Path) -> Sequence[Path]:
    """The chapters of a folder; one without any is a mistake of whoever names it."""
    found = sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
    if not found:
        raise Broken(f"{folder}: has no file of walkthroughs, such as 1-buying.yaml")
    return found


def _entries(path: Path) -> Iterable[tuple[int, Walkthrough | None, list[tuple[int, str]]]]:
    """Each walkthrough of a file with its line, or what is wrong with it."""
    try:
        root = yaml_file.read(path)
    except Unreadable as error:
        raise Broken(str(error)) from None
    if not isinstance(root, SequenceNode):
        raise Broken(f"{path}:1: a chapter is a list of walkthroughs, each beginning with - name:")
    return [(line_of(node), *_entry(node, path)) for node in root.value]


def _entry(node: Node, path: Path) -> tuple[Walkthrough | None, list[tuple[int, str]]]:
    if not isinstance(node, MappingNode):
        return None, [(line_of(node), "a walkthrough is a mapping that starts with its name: - name: …")]
    written = Written()
    one = written.made(Walkthrough, node, "a walkthrough", OF_FIELD)
    chapter = path.stem.partition("-")[2] or path.stem
    return one and one.model_copy(update={"chapter": chapter}), written.problems
