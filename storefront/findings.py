"""What a check of the doctor finds, and what to do about it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import requests


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """What a check found and, unless all is well, what to do."""

    verdict: Verdict
    check: str
    found: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.verdict.value:<4}  {self.check:<13}  {self.found}" + (
            f"; {self.advice}" if self.advice else ""
        )


# It is given all settings, as the room that brings it knows them.
Check = Callable[[Any, requests.Session], Iterator[Finding]]


def ok(check: str, found: str) -> Finding:
    return Finding(Verdict.OK, check, found)


def warn(check: str, found: str, advice: str) -> Finding:
    return Finding(Verdict.WARN, check, found, advice)


def fail(check: str, found: str, advice: str) -> Finding:
    return Finding(Verdict.FAIL, check, found, advice)


def count(check: str, number: int, what: str, show: str) -> Finding:
    """Well, if there is none of it."""
    return warn(check, f"{number} {what}", show) if number else ok(check, f"no {what}")
