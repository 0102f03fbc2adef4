"""Walkthroughs: what a tester does, and what must be seen, as their files say it.

read()      the chapters of the sandbox and of folders of one's own; Broken names file, line and rule
amount()    a sum of a file, such as price+50
shortage()  what such a sum needs the item to cost at least
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from storefront.sandbox import chapters
from storefront.sandbox.cast import BY_KEY
from storefront.sandbox.chapters import Broken, Strict, Word
from storefront.sandbox.devices import Device
from storefront.sandbox.happened import Name
from storefront.sandbox.kinds import KINDS, MOST, MOST_SECONDS, fits

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
    "open": rf" (shelf|item|bag( of {SOMEBODY})?|history|finish|legal|warning( unapproved| typed)?)",
    "buy": r"( twice| meanwhile| altered| all| rest| dearest| until refused)?",
    "press again": "",
    "press bare": "",
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
    "town": r" (look|use|use again)",
    "wait": r" (void|pause|parked|withdrawn|stopped)",
    "weather": rf" (clear|{KIND}(:-?\d{{1,7}})?(\*[1-9]\d{{0,5}})?( create| confirm)?)",
    "say age": r" \d{1,3}",
}
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
    "town": r"\d{1,6}",
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
    *("notice", "happened", "never", "weather_met", "books", "town"),
)


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


class Check(chapters.Check):
    """One thing that must be seen. Exactly one of the first sixteen, and what narrows it."""

    WORDS: ClassVar[Sequence[str]] = CHECKS
    RULES: ClassVar[Mapping[str, str]] = RULES

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
    town: Word | None = None

    who: str | None = None
    payment: Annotated[int | None, Field(ge=1)] = None  # the first, the second … that was created
    doubt: Literal["yes", "no"] | None = None
    api: Literal["create", "confirm"] | None = None
    on: list[Device] | None = None  # only there

    @field_validator("on", mode="before")
    @classmethod
    def _devices(cls, value: object) -> object:
        return _as_devices(value)

    @model_validator(mode="after")
    def _of_somebody(self) -> Self:
        if self.who is not None and self.who not in BY_KEY:
            raise ValueError(f"there is nobody called {self.who}")
        return self

    @property
    def narrowed(self) -> Sequence[tuple[str, object]]:
        mine = [("of", self.who), ("payment", self.payment), ("doubt", self.doubt)]
        return [*mine, *super().narrowed]


class Step(chapters.Step[Check]):
    VERBS: ClassVar[Mapping[str, str]] = VERBS

    @field_validator("play")
    @classmethod
    def _lasts(cls, play: list[str]) -> list[str]:
        struck = (re.match(rf"weather {KIND}(?::(-?\d+))?", words) for words in play)
        for found in filter(None, struck):
            _check_seconds(found[1], int(found[2]) if found[2] else None)
        return play


class Walkthrough(chapters.Script):
    """One walkthrough of a file."""

    RULES: ClassVar[Mapping[str, str]] = {
        "points": "points are a sum such as price+50, 2*price or 300",
        "on": "names at least one device",
    }

    who: str
    on: Annotated[list[Device], Field(min_length=1)]
    item: Literal["any", "once", "few", "dear", "consumable", "outside"]
    points: Annotated[Word, Field(pattern=rf"^({SUM}|\d{{1,6}})$")]
    weather: list[Weather] = Field(default_factory=list)
    needs: list[Literal["outside", "ages", "stopped", "breaker", "game"]] = Field(default_factory=list)
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
        found |= chapters.folder(Walkthrough, folder, found)
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
    return list(chapters.folder(Walkthrough, OURS, {}).values())
