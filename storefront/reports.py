"""What the operator reads: what is outstanding, the book, and how the platforms' procedures stand."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import TextIO

from storefront.clock import JAPAN
from storefront.db import fresh
from storefront.rim import rims
from storefront.shop import csv_file, inventory, ledger
from storefront.shop.ledger import Total
from storefront.tables import Row, Section, in_columns, merged, stamp, table

BELOW_ZERO = ("channel", "customer", "item", "quantity")
BOOK = ("entered_at", "kind", "channel", "customer", "amount", "unit", "key")
TOTALS = ("kind", "entries", "amount", "unit", "channel")
WIDTHS = (20, 6, 8, 24, 7, 6)  # of the book's columns on a terminal, but the last


def registrations(out: TextIO) -> None:
    """How the platforms' own procedures stand."""
    for room in rims():
        room.registration(out)


def outstanding(out: TextIO, as_csv: bool) -> None:
    """What each counter waits for, and holdings below zero."""
    sections = [*(section for room in rims() for section in room.outstanding()), _below_zero()]
    fresh()  # here as below: whoever reads on and pauses holds nothing in the database
    if as_csv:
        csv_file.write(out, *merged(sections))
        return
    for number, section in enumerate(sections):
        out.write("\n" if number else "")
        table(out, section.title, section.heading, section.rows)


def book(out: TextIO, as_csv: bool, first: date | None, last: date | None) -> None:
    """Every entry, a line each, as it comes from the database."""
    since, until = _days(first, last)
    lines = (
        (
            stamp(line.entered_at),
            line.kind.value,
            line.channel,
            line.external_id,
            line.amount,
            line.unit,
            line.key,
        )
        for line in ledger.entries(since, until)
    )
    if as_csv:
        csv_file.write(out, BOOK, lines)
        return
    for row in lines:
        out.write(in_columns(row, WIDTHS))


def totals(out: TextIO, as_csv: bool, first: date | None, last: date | None) -> None:
    """What each kind of entry comes to at each counter, and all of that counter's together."""
    sums = ledger.totals(*_days(first, last))
    fresh()
    rows = [
        *((total.kind.value, total.count, total.amount, total.unit, total.channel) for total in sums),
        *_overall(sums),
    ]
    if as_csv:
        csv_file.write(out, TOTALS, rows)
    else:
        table(out, None, TOTALS, rows)


def _below_zero() -> Section:
    below = [(one.channel, one.external_id, one.item_id, one.quantity) for one in inventory.negatives()]
    lines = [
        {"what": "negative", "owner": who, "item": item, "quantity": quantity}
        for _, who, item, quantity in below
    ]
    title = "holdings below zero: used up, then taken back"
    return Section(title, BELOW_ZERO, below, ("what", "owner", "item", "quantity"), lines)


def _overall(sums: Sequence[Total]) -> Iterator[Row]:
    for unit, channel in dict.fromkeys((total.unit, total.channel) for total in sums):
        own = [total for total in sums if (total.unit, total.channel) == (unit, channel)]
        yield "all", sum(total.count for total in own), sum(total.amount for total in own), unit, channel


def _days(first: date | None, last: date | None) -> tuple[datetime | None, datetime | None]:
    """From the first moment of one day to the first moment after another, in Japan."""
    # Nothing was entered at either end of the calendar, where a day cannot be reckoned with.
    since = datetime.combine(first, time(), JAPAN) if first and first > date.min else None
    until = datetime.combine(last + timedelta(days=1), time(), JAPAN) if last and last < date.max else None
    return since, until
