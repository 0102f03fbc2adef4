"""The only reader of the system clock."""

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

# Where the buyers are, whose days and moments the shop shows.
JAPAN = ZoneInfo("Asia/Tokyo")
# Two hosts that both ask a time server are far less apart.
SKEW_SECONDS = 2


class TooLate(Exception):
    """Nobody listens to the answer any more, so nothing may be committed."""


def now() -> datetime:
    """This moment, aware, UTC."""
    return datetime.now(UTC)


def day(moment: datetime) -> date:
    """The day on which a moment falls in Japan."""
    return moment.astimezone(JAPAN).date()


def monotonic() -> float:
    """Seconds since some fixed moment, never set back."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def seconds_off(theirs: datetime, before: datetime, after: datetime) -> float:
    """How far their clock runs ahead of ours, read at some moment between two of ours."""
    return (theirs - (before + (after - before) / 2)).total_seconds()


@dataclass(frozen=True)
class Deadline:
    """A moment after which an answer is worthless, held against a clock that nobody can set."""

    ends: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        return cls(monotonic() + seconds)

    def left(self) -> float:
        """Seconds that remain; negative once it has passed."""
        return self.ends - monotonic()

    def check(self) -> None:
        if self.left() <= 0:
            raise TooLate
