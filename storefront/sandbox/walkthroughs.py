"""Walkthroughs: what a tester does, and what must be seen, as their files say it.

read()      the chapters of the sandbox and of folders of one's own; Broken names file, line and rule
amount()    a sum of a file, such as price+50
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
from storefront.sandbox.kinds import KINDS

OURS = Path(__file__).with_name("walkthroughs")

# What `play` may say: a verb, and what may follow it.
VERBS: Mapping[str, str] = {
    "open app": r"( mobile| smartphone| pc)?( framed| by post| again| elsewhere| altered| unsigned| as \w+)?",
    "open": r" (shelf|item|bag|history|finish|legal|warning( unapproved| typed)?)",
    "buy": r"( twice| meanwhile| all| rest| dearest| until refused)?",
    "press again": "",
    "press of": r" [a-z]+",
    "confirm": r"( all| \d)?",
    "cancel": "",
    "top up": "",
    "leave": "",
    "return": "",
    "use": r"( again)?",
    "send": r" [a-z_]+",
    "switch": r" (in_development|approved|replace_error_pages|hold_events) (on|off)",
    "turn clock": r" (now|[+-]\d+)",
    "remove app": "",
    "pay back": r"( all)?",
    "rotate key": "",
    "as": r" [a-z]+",
    "outside": r" (open|pay|cancel|decline|again|refund|expire)",
    "wait": r" (void|pause|parked|withdrawn)",
    "weather": r" (clear|[a-z0-9_.]+(:-?\d+)?(\*\d+)?( create| confirm)?)",
    "say age": r" \d+",
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
SUM = r"(?:(\d+)\*)?price([+-]\d+)?"
# The rules of those words that have one.
RULES: Mapping[str, str] = {
    "screen": "|".join(SCREENS),
    "page": "|".join(PAGES),
    "status": r"\d{3}",
    "state": "|".join(STATES),
    "held": r"\+?\d+",
    "balance": rf"unchanged|[+-]{SUM}|[+-]\d+",
    "calls": r"\d+(\.\.\d+)?",
    "refusal": "[a-z_]+",
    "notice": "not-started|none",
    "happened": "|".join(Name),
    "never": "|".join(Name),
    "weather_met": "|".join(map(re.escape, KINDS)),
    "times": r"\d+(\.\.\d+)?",
}
CHECKS = (
    *("screen", "page", "status", "state", "held", "balance", "calls", "answer", "refusal", "notice"),
    *("happened", "never", "weather_met", "books"),
)


class Weather(Strict):
    """Weather of a walk's beginning; met by its own person's requests, or by everybody's."""

    kind: str
    next: Annotated[int | None, Field(ge=1)] = None
    seconds: int | None = None
    api: Literal["create", "confirm", "both"] = "both"

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in KINDS:
            raise ValueError(f"there is no weather {kind!r}")
        return kind


class Check(chapters.Check):
    """One thing that must be seen. Exactly one of the first fourteen, and what narrows it."""

    WORDS: ClassVar[Sequence[str]] = CHECKS
    RULES: ClassVar[Mapping[str, str]] = RULES

    screen: Word | None = None
    page: Word | None = None
    status: Word | None = None
    state: Word | None = None
    held: Word | None = None
    balance: Word | None = None
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


class Walkthrough(chapters.Script):
    """One walkthrough of a file."""

    RULES: ClassVar[Mapping[str, str]] = {
        "points": "points are a sum such as price+50, 2*price or 300",
        "on": "names at least one device",
    }

    who: str
    on: Annotated[list[Device], Field(min_length=1)]
    item: Literal["any", "once", "few", "dear", "consumable", "outside"]
    points: Annotated[Word, Field(pattern=rf"^({SUM}|\d+)$")]
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
        found |= chapters.folder(Walkthrough, folder, found)
    return list(found.values())


def amount(words: str, price: int) -> int:
    """A sum such as price+50, 2*price or 300."""
    found = re.fullmatch(SUM, words)
    return int(words) if found is None else int(found[1] or 1) * price + int(found[2] or 0)


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
