"""Comma-separated values as spreadsheets should take them: UTF-8 that says so, no formulas, text as text."""

import csv
import re
from collections.abc import Iterable, Sequence
from io import TextIOWrapper
from typing import TextIO

UTF_8 = "\ufeff"  # at the beginning of a file: what follows is UTF-8
# What begins a formula, in full width as well, behind whatever a spreadsheet looks past; and what it drops.
OBEYED = re.compile("[\\s\ufeff\u200b-\u200f\u2060]*[=+\\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n\ufeff]")

# What is taken for a number, a date, a time or a truth, and then shown in other words: 007, 1e5, 2-3, MAR1.
# In Japan the years of an era, too: R5.1.1, 令和元年5月1日.
# A moment in full, with its T, is taken for what it is; up to eleven figures are shown as they are.
ERAS = (
    "[mtshr\u660e\u5927\u662d\u5e73\u4ee4\u337b-\u337e\u32ff]"
    "|\u660e\u6cbb|\u5927\u6b63|\u662d\u548c|\u5e73\u6210|\u4ee4\u548c"
)
MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
READ = re.compile(
    rf"""(?!(?:0|[1-9][0-9]{{0,10}})\Z)(?:
        [$\\\u00a5\uffe5(]?\s?\.?\d[\d\s.,:/%\u5e74\u6708\u65e5\u6642\u5206\u79d2-]*
            (?:e[+-]?\d+|[ap]\.?m?\.?)?\)?
        | (?:\d+[\s,./-]*)?(?:{MONTHS})[a-z]*[\s,./-]*\d[\d\s,./:-]*
        | \d+[\s,./-]*(?:{MONTHS})[a-z]*
        | (?:{ERAS})\s?(?:\d+|\u5143)[./\u5e74-][\d\s./:\u5e74\u6708\u65e5\u6642\u5206\u79d2-]*
        | true | false
    )""",
    re.IGNORECASE | re.VERBOSE,
)


def write(file: TextIO, heading: Sequence[object], rows: Iterable[Sequence[object]]) -> None:
    """The rows below their heading. A number stays one, whatever its sign; and so does a text."""
    if isinstance(file, TextIOWrapper):
        file.reconfigure(encoding="utf-8")
    file.write(UTF_8)
    writer = csv.writer(file)
    writer.writerow(heading)
    writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: object) -> object:
    changed = isinstance(value, str) and (OBEYED.match(value) or READ.fullmatch(value.strip()))
    return f"'{value}" if changed else value
