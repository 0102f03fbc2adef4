"""Tables as people read them on a terminal, and the rows that go into one file for machines."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TextIO

Row = Sequence[object]


@dataclass(frozen=True)
class Section:
    """One kind of thing to look at: a table under its title, and the same by columns of the one file."""

    title: str
    heading: Row
    rows: Sequence[Row]
    columns: Sequence[str]
    lines: Sequence[Mapping[str, object]]


def stamp(moment: datetime | None) -> str:
    """A moment in UTC; nothing, if it never came."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""


def table(out: TextIO, title: str | None, heading: Row, rows: Sequence[Row]) -> None:
    """The rows below their heading, as wide as the widest; below a title with their number, if it has one."""
    if title:
        out.write(f"{len(rows)} {title}\n")
    if rows or not title:
        widths = [max(len(str(row[at])) for row in (heading, *rows)) for at in range(len(heading) - 1)]
        out.writelines(in_columns(row, widths) for row in (heading, *rows))


def in_columns(row: Row, widths: Sequence[int]) -> str:
    """One line, of columns this wide and a last one."""
    padded = (f"{value!s:<{width}}" for value, width in zip(row, [*widths, 0], strict=True))
    return "  ".join(padded).rstrip() + "\n"


def merged(sections: Iterable[Section]) -> tuple[list[str], list[Row]]:
    """All sections as one heading and the lines below it."""
    sections = list(sections)
    columns = list(dict.fromkeys(column for section in sections for column in section.columns))
    return columns, [[line.get(name, "") for name in columns] for one in sections for line in one.lines]
