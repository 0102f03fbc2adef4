"""Where a game has read to: a place among the changes, and a check of the change that stands there.

A shop that comes back from a backup gives the same places again, to other changes. The check tells, by the
moment, too: a use that is sent again has the same key, and other changes before it.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

WRITTEN = re.compile(r"([0-9]{1,18})\.([0-9a-f]{8})", re.ASCII)


@dataclass(frozen=True)
class Cursor:
    place: int
    check: str

    @classmethod
    def of(cls, place: int, key: str, at: datetime) -> "Cursor":
        """That of a change, by the key and the moment of its grant."""
        return cls(place, sha256(f"{at.isoformat()} {key}".encode()).hexdigest()[:8])

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """What a game has kept; or ValueError."""
        found = WRITTEN.fullmatch(text)
        if not found:
            raise ValueError("no cursor of ours")
        return cls(int(found[1]), found[2])

    def __str__(self) -> str:
        return f"{self.place}.{self.check}"


START = Cursor(0, "0" * 8)  # before the first change
