"""What the operator reads: what is outstanding, the book, and how external payment is registered."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TextIO

from storefront.db import fresh
from storefront.external import malfunctions as reported
from storefront.external import shelf, wording
from storefront.external.registration import Facts, State, Step, assess, forbidden
from storefront.mixi import payments
from storefront.mixi.payments import Unconfirmed
from storefront.shop import csv_file, inventory, ledger
from storefront.shop.catalog_file import JAPAN
from storefront.shop.devices import Device
from storefront.shop.ledger import Total

Row = Sequence[object]

OUTSTANDING = (
    "what",
    "code",
    "owner",
    "item",
    "points",
    "quantity",
    "last_ok",
    "last_asked",
    "removed",
    "test",
    "unknown",
)
UNCONFIRMED = ("code", "owner", "item", "points", "last_ok", "last_asked", "removed", "test", "unknown")
USED_UP = ("code", "owner", "item", "points", "state")
BELOW_ZERO = ("channel", "customer", "item", "quantity")
BOOK = ("entered_at", "kind", "channel", "customer", "amount", "unit", "key")
TOTALS = ("kind", "entries", "amount", "unit", "channel")
WIDTHS = (20, 6, 8, 24, 7, 6)  # of the book's columns on a terminal, but the last


def registration(out: TextIO, facts: Facts, site: str, today: date) -> None:
    """Step by step how external payment stands, what is next and by when; as on the operator's page."""
    assessment = assess(facts, today)
    closed = not site or forbidden(facts, Device.PC, site, today, on_smartphone=False)
    print(f"On {today} buyers on a PC {'may not' if closed else 'may'} pay outside mixi.\n", file=out)
    if closed and assessment.allowed:
        print(f"  The configured provider is not among those that may be used: {site or 'none'}\n", file=out)
    for step in assessment.steps:
        print(f"  {wording.STATES[step.state]!s:<8} {_step(step)}", file=out)
    if assessment.next:
        print(f"\nNext: {_step(assessment.next)}", file=out)
    for step in assessment.risks:
        print(f"Risk: mixi may stop or delete the app. {_step(step)}", file=out)
    for row in () if closed else shelf.rows(facts, today):
        if row.closed_by:
            approved = f"{row.approved.yen} yen is approved" if row.approved else "no price is approved"
            print(f"Not outside: {row.item.id} costs {row.yen} yen, {approved}.", file=out)


def malfunctions(out: TextIO) -> None:
    """Every malfunction that was reported."""
    found = reported.reports()
    fresh()  # here as below: whoever reads on and pauses holds nothing in the database
    reported.export(out, found)


def outstanding(out: TextIO, as_csv: bool) -> None:
    """Payments that mixi has not confirmed or does not know, those undone in vain, holdings below zero."""
    waiting = [_waiting(one) for one in payments.unconfirmed()]
    unknown = [_waiting(Unconfirmed(payment, None)) for payment in payments.not_known()]
    undone = [
        (payment.point_code, payment.owner_id, payment.item_id, payment.points, payment.status.value)
        for payment in payments.used_up()
    ]
    below = [(one.channel, one.external_id, one.item_id, one.quantity) for one in inventory.negatives()]
    fresh()
    if as_csv:
        unconfirmed = (("unconfirmed", *row[:4], "", *row[4:]) for row in waiting)
        used_up = ((row[4], *row[:4], *[""] * 6) for row in undone)
        negative = (("negative", "", who, item, "", quantity, *[""] * 5) for _, who, item, quantity in below)
        forgotten = (("unknown", *row[:4], "", *row[4:]) for row in unknown)
        csv_file.write(out, OUTSTANDING, [*unconfirmed, *forgotten, *used_up, *negative])
        return
    _table(out, "completed here, not confirmed by mixi", UNCONFIRMED, waiting)
    out.write("\n")
    _table(out, "confirmed once, and not known to mixi any more", UNCONFIRMED, unknown)
    out.write("\n")
    _table(out, "paid back or void, and the goods were used up", USED_UP, undone)
    out.write("\n")
    _table(out, "holdings below zero: used up, then taken back", BELOW_ZERO, below)


def book(out: TextIO, as_csv: bool, first: date | None, last: date | None) -> None:
    """Every entry, a line each, as it comes from the database."""
    since, until = _days(first, last)
    lines = (
        (
            _stamp(line.entered_at),
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
        out.write(_columns(row, WIDTHS))


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
        _table(out, None, TOTALS, rows)


def _waiting(one: Unconfirmed) -> Row:
    payment = one.payment
    return (
        payment.point_code,
        payment.owner_id,
        payment.item_id,
        payment.points,
        _stamp(payment.ok_at),
        _stamp(payment.asked_at),
        _stamp(one.removed_at),
        "test" if payment.is_test else "",
        _stamp(payment.unknown_at),
    )


def _step(step: Step) -> str:
    when = "from" if step.state is State.WAITING else "by"
    due = f"({when} {step.due_on})" if step.due_on else ""
    return " ".join(filter(None, [str(wording.RULES[step.rule]), step.subject, due]))


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


def _stamp(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""


def _table(out: TextIO, title: str | None, heading: Row, rows: Sequence[Row]) -> None:
    if title:
        out.write(f"{len(rows)} {title}\n")
    if rows or not title:
        widths = [max(len(str(row[at])) for row in (heading, *rows)) for at in range(len(heading) - 1)]
        out.writelines(_columns(row, widths) for row in (heading, *rows))


def _columns(row: Row, widths: Sequence[int]) -> str:
    padded = (f"{value!s:<{width}}" for value, width in zip(row, [*widths, 0], strict=True))
    return "  ".join(padded).rstrip() + "\n"
