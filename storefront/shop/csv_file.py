"""Comma-separated values as spreadsheets should take them: UTF-8 that says so, and no formulas."""

import csv
import re
from collections.abc import Iterable, Sequence
from io import TextIOWrapper
from typing import TextIO

UTF_8 = "\ufeff"  # at the beginning of a file: what follows is UTF-8
# What begins a formula, in full width as well, behind whatever a spreadsheet looks past; and what it drops.
OBEYED = re.compile("[\\s\ufeff\u200b-\u200f\u2060]*[=+\\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n\ufeff]")


def write(file: TextIO, heading: Sequence[object], rows: Iterable[Sequence[object]]) -> None:
    """The rows below their heading. A number stays one, whatever its sign."""
    if isinstance(file, TextIOWrapper):
        file.reconfigure(encoding="utf-8")
    file.write(UTF_8)
    writer = csv.writer(file)
    writer.writerow(heading)
    writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and OBEYED.match(value) else value
