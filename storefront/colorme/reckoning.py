"""What a contract costs, bill by bill, and on which days. Pure: of periods and amounts alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from storefront.colorme.amounts import (
    Line,
    Part,
    first_postpaid_lines,
    first_prepaid_lines,
    rate_on,
    whole_line,
    with_tax,
)
from storefront.colorme.periods import (
    Period,
    due_on,
    finalised_on,
    first_postpaid_period,
    first_prepaid_period,
    postpaid_period,
    prepaid_period,
    renewed_on,
    running_block,
)
from storefront.colorme.plan_file import Form


@dataclass(frozen=True)
class Terms:
    """What a contract was made on, in yen before tax.

    `in_block` where a first postpaid period is read to end with the running 10th to 9th.
    """

    form: Form
    charged_from: date
    price: int | None = None
    monthly: int | None = None
    initial: int | None = None
    in_block: bool = False


@dataclass(frozen=True)
class Bill:
    """What is collected at once, before tax by lines; what is bought for good has no period.

    `fixed_on` is when nothing can change any more, `due_on` the last day to pay: what is prepaid is
    collected on that same day.
    """

    lines: tuple[Line, ...]
    period: Period | None
    rate: Fraction
    fixed_on: date
    due_on: date

    @property
    def yen(self) -> int:
        return sum(line.yen for line in self.lines)

    @property
    def total(self) -> int:
        return with_tax(self.yen, self.rate)

    @property
    def tax(self) -> int:
        return self.total - self.yen


def bills(terms: Terms) -> Iterator[Bill]:
    """Every bill in its order, without usage; none of a free plan, one of what is bought for good."""
    if terms.form is Form.ONE_TIME:
        yield _collected((Line(Part.PRICE, terms.price or 0),), None, terms.charged_from)
    yield from (bill(terms, period) for period in periods(terms))


def bill(terms: Terms, period: Period, usage: int = 0) -> Bill:
    """What one period of a contract comes to, with the usage that belongs to it."""
    lines = _monthly_lines(terms, period)
    if not terms.form.has_usage:
        return _collected(lines, period, period.first)
    used = (Line(Part.USAGE, usage, period, period),) if usage else ()
    return Bill((*lines, *used), period, rate_on(period.last), finalised_on(period), due_on(period))


def periods(terms: Terms) -> Iterator[Period]:
    """The contract periods one after another, as long as nobody ends them; none where nothing is renewed."""
    found = first_period(terms)
    while found:
        yield found
        found = period_at(terms, renewed_on(found))


def first_period(terms: Terms) -> Period | None:
    if terms.form.has_usage:
        return (running_block if terms.in_block else first_postpaid_period)(terms.charged_from)
    return first_prepaid_period(terms.charged_from) if terms.form.has_monthly else None


def period_at(terms: Terms, day: date) -> Period | None:
    """The one that a day belongs to; none before the first paid day."""
    first = first_period(terms)
    if first is None or day < first.first:
        return None
    return first if day in first else (postpaid_period if terms.form.has_usage else prepaid_period)(day)


def upcoming(terms: Terms, day: date, usage: int = 0) -> Bill | None:
    """The bill that comes next after a day; a postpaid one is that of the running period."""
    if terms.form.has_usage:
        running = period_at(terms, max(day, terms.charged_from))
        return bill(terms, running, usage) if running else None
    return next((one for one in _from(terms, day) if one.due_on > day), None)


def _from(terms: Terms, day: date) -> Iterator[Bill]:
    """The bills from the running period on."""
    running = period_at(terms, day)
    if running is None:
        yield from bills(terms)
        return
    yield bill(terms, running)
    yield bill(terms, period_at(terms, renewed_on(running)) or running)


def _monthly_lines(terms: Terms, period: Period) -> tuple[Line, ...]:
    if terms.monthly is None:
        return ()
    if period != first_period(terms):
        return (whole_line(terms.monthly, period),)
    if terms.form.has_usage:
        return tuple(first_postpaid_lines(terms.monthly, period))
    return tuple(first_prepaid_lines(terms.monthly, terms.initial, period))


def _collected(lines: tuple[Line, ...], period: Period | None, day: date) -> Bill:
    return Bill(lines, period, rate_on(day), day, day)
