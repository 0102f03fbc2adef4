"""Walkthroughs of shop owners: their verbs, what must be seen, and sums in terms of what a plan costs.

read()    the store's chapters
reckon()  a sum of a file, such as monthly*11/31+monthly+tax
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from storefront.sandbox import chapters
from storefront.sandbox.chapters import Word
from storefront.sandbox.colorme.cast import BY_KEY
from storefront.sandbox.colorme.happened import Name
from storefront.sandbox.colorme.reckoning import Form, tax

FOLDER = Path(__file__).with_name("walkthroughs")
FORMS = "|".join(Form)
TAX = "tax"
# A registered amount or a number, so many times or so many days of a month's; with tax on the whole.
PART = r"(?:(\d+)\*)?(price|monthly|initial|option|piece|\d+)(?:\*(\d+)/(\d+))?"
SUM = re.compile(rf"{PART}(?:\+{PART})*(\+{TAX})?")
OF_YEN = ("yen", "total", "points", "usage")  # facts that a file says as a sum

VERBS: Mapping[str, str] = {
    "open": " (store|plan|piece|bag|history)",
    "install": f" ({FORMS})",
    "let in": "",
    "enter": "",
    "buy": "",
    "press again": "",
    "take": r" \d+",
    "turn": r" (hour|to \d{4}-\d{2}-\d{2})",
    "cron": " (on|off)",
    "weather": r" [a-z]+\.[a-z0-9]+",
    "points": r" \d+",
    "pay": "",
    "close": "",
    "uninstall": "",
    "remove": "",
    "resolve": " (charged|declined)",
}
CHECKS = (
    *("page", "status", "shows", "listed", "contract", "balance", "owed"),
    *("history", "happened", "never", "weather_met"),
)
RULES: Mapping[str, str] = {
    "page": "[a-z-]+",
    "status": r"\d{3}",
    "shows": "[a-z-]+",
    "listed": "[a-z-]+",
    "contract": f"none|{FORMS}",
    "balance": rf"unchanged|[+-]{SUM.pattern}",
    "owed": SUM.pattern,
    "history": "agrees",
    "happened": "|".join(Name),
    "never": "|".join(Name),
    "weather_met": r"[a-z]+\.[a-z0-9]+",
    "times": r"\d+(\.\.\d+)?",
}


class Check(chapters.Check):
    """One thing that must be seen. Exactly one of the first eleven, and what narrows it."""

    WORDS: ClassVar[Sequence[str]] = CHECKS
    RULES: ClassVar[Mapping[str, str]] = RULES

    page: Word | None = None  # of the app
    status: Word | None = None
    shows: Word | None = None  # the app's page has an element with such a mark
    listed: Word | None = None  # so has the store's
    contract: Word | None = None  # what is installed
    balance: Word | None = None
    owed: Word | None = None
    history: Word | None = None  # what the app says it has charged is what the store has
    happened: Word | None = None
    never: Word | None = None
    weather_met: Word | None = None

    @model_validator(mode="after")
    def _has_sums(self) -> Self:
        for name in OF_YEN:
            if name in self.facts and not SUM.fullmatch(self.facts[name]):
                raise ValueError(f"{name}: {self.facts[name]} is no sum such as monthly+initial+tax")
        return self

    @property
    def narrowed(self) -> Sequence[tuple[str, object]]:
        return [*self.facts.items(), *super().narrowed]


class Step(chapters.Step[Check]):
    VERBS: ClassVar[Mapping[str, str]] = VERBS


class Walkthrough(chapters.Script):
    """One walkthrough of a file: in which shop it is played, and from which day on."""

    RULES: ClassVar[Mapping[str, str]] = {"begins": "is a day in quotes, such as '2021-07-10'"}

    who: str
    begins: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] = "2021-07-10"
    daily: Literal["on", "off"] = "off"  # whether the app's cron runs from the beginning
    needs: list[Literal["trial", "daily", "as-written", "operator", "parcel"]] = Field(default_factory=list)
    steps: Annotated[list[Step], Field(min_length=1)]

    @model_validator(mode="after")
    def _can_begin(self) -> Self:
        if self.who not in BY_KEY:
            raise ValueError(f"there is no shop called {self.who}")
        date.fromisoformat(self.begins)
        return self


@cache
def read() -> Sequence[Walkthrough]:
    """The store's chapters, in the order of the files; or Broken."""
    return list(chapters.folder(Walkthrough, FOLDER, {}).values())


def reckon(words: str, amounts: Mapping[str, int], on: date) -> int | None:
    """What a sum comes to, with the tax of a day; None where an amount is not known."""
    parts = words.removesuffix(f"+{TAX}").split("+")
    yen = 0
    for part in parts:
        found = re.fullmatch(PART, part)
        assert found
        base = int(found[2]) if found[2].isdigit() else amounts.get(found[2])
        if base is None:
            return None
        yen += int(found[1] or 1) * base * int(found[3] or 1) // int(found[4] or 1)
    return yen + (tax(yen, on) if words.endswith(f"+{TAX}") else 0)
