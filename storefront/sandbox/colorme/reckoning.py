"""The store's own reckoning, from its documents: periods, lines, tax, and the days when things fall due.

Pure, and nobody else's: an app that reckons for itself is proved by this one, and this one by it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from storefront.sandbox.language import N_

DAY = timedelta(days=1)
RENEWED_PREPAID, RENEWED_POSTPAID = 1, 10  # days of a month
# The document states no rate. These are the law's, each from its day on; the older one is never before us.
RATES = ((date(2019, 10, 1), 10), (date.min, 8))
LEAST_TRIAL, LONGEST_TRIAL = 3, 90
REMINDED = (3, 1)  # days before a trial ends
LEAST_YEN, MOST_YEN = 100, 1_000_000

TO_NEXT_MONTH, RUNNING = "next_month_9th", "running_block"


class Form(StrEnum):
    """The six forms of a plan charge."""

    FREE = "free"
    ONE_TIME = "one_time"
    MONTHLY = "monthly"
    MONTHLY_INITIAL = "monthly_initial"
    MONTHLY_USAGE = "monthly_usage"
    USAGE = "usage"

    @property
    def amounts(self) -> Sequence[str]:
        """The amounts that are registered for it."""
        return AMOUNTS[self]

    @property
    def prepaid(self) -> bool:
        return self in (Form.ONE_TIME, Form.MONTHLY, Form.MONTHLY_INITIAL)

    @property
    def postpaid(self) -> bool:
        return self in (Form.MONTHLY_USAGE, Form.USAGE)

    @property
    def renews(self) -> bool:
        return self not in (Form.FREE, Form.ONE_TIME)

    @property
    def has_trial(self) -> bool:
        return self in (Form.MONTHLY, Form.MONTHLY_INITIAL, Form.MONTHLY_USAGE)

    @property
    def has_usage(self) -> bool:
        return self.postpaid


AMOUNTS: Mapping[Form, Sequence[str]] = {
    Form.FREE: (),
    Form.ONE_TIME: ("price",),
    Form.MONTHLY: ("monthly",),
    Form.MONTHLY_INITIAL: ("monthly", "initial"),
    Form.MONTHLY_USAGE: ("monthly",),
    Form.USAGE: (),
}
FORMS: Mapping[Form, str] = {
    Form.FREE: N_("Free"),
    Form.ONE_TIME: N_("One-time purchase"),
    Form.MONTHLY: N_("Monthly fee"),
    Form.MONTHLY_INITIAL: N_("Monthly fee and initial fee"),
    Form.MONTHLY_USAGE: N_("Monthly fee and usage"),
    Form.USAGE: N_("Usage only"),
}
AMOUNT_NAMES: Mapping[str, str] = {
    "price": N_("Price"),
    "monthly": N_("Monthly fee"),
    "initial": N_("Initial fee"),
}


@dataclass(frozen=True)
class Period:
    """From one day to another; both belong to it."""

    first: date
    last: date

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1


@dataclass(frozen=True)
class Terms:
    """What a contract is reckoned by: form and amounts of its plan, and the first day that is paid for."""

    form: Form
    charged_from: date
    price: int = 0
    monthly: int = 0
    initial: int = 0
    reading: str = TO_NEXT_MONTH


@dataclass(frozen=True)
class Line:
    """One line of a collection. `what` is a text; `part` of `whole` days where it is a part of a month."""

    what: str
    yen: int
    part: int = 0
    whole: int = 0


def trial(installed_on: date, days: int) -> Period:
    """Day one is the day after the install."""
    return Period(installed_on + DAY, installed_on + days * DAY)


def reminders(term: Period) -> Sequence[tuple[int, date]]:
    """How many days before its end the owner is reminded of a trial, and when that is."""
    return [(before, term.last - before * DAY) for before in REMINDED]


def periods(terms: Terms) -> Iterator[Period]:
    """The contract's periods one after another, without an end."""
    period = _first(terms)
    while True:
        yield period
        start = period.last + DAY
        period = month_of(start) if terms.form.prepaid else block_of(start)


def period_at(terms: Terms, day: date) -> Period | None:
    """The period that this day belongs to; none before the first, nor of a form that has none."""
    if not terms.form.renews or day < terms.charged_from:
        return None
    return next(period for period in periods(terms) if day in period)


def periods_until(terms: Terms, day: date) -> Iterator[Period]:
    """Those that began by this day."""
    if not terms.form.renews:
        return
    for period in periods(terms):
        if period.first > day:
            return
        yield period


def lines(terms: Terms, period: Period) -> Sequence[Line]:
    """What the plan itself takes for this period of it; usage comes on top."""
    first = period.first == terms.charged_from
    if terms.form is Form.ONE_TIME:
        return [Line(N_("Price"), terms.price)]
    if not terms.monthly:
        return []
    months = _months(terms, period)
    of_plan = [_share(terms.monthly, part, whole) for part, whole in months]
    initial = [Line(N_("Initial fee"), terms.initial)] if first and terms.initial else []
    return [*of_plan, *initial]


def tax(yen: int, day: date) -> int:
    """Of a whole collection, once, and rounded down."""
    return yen * rate_on(day) // 100


def rate_on(day: date) -> int:
    """In per cent."""
    return next(rate for since, rate in RATES if day >= since)


def fixed_on(period: Period) -> date:
    """The 1st of the month after the one in which a postpaid period ended."""
    return _first_of_next(period.last)


def due_on(period: Period) -> date:
    """All of this day is in time."""
    return month_of(fixed_on(period)).last


def forced_out_on(period: Period) -> date:
    return due_on(period) + DAY


def closing_on(period: Period) -> date:
    """Until the end of this day usage of an ended contract can be told."""
    return month_of(period.last).last


def paid_out_on(collected_on: date) -> date:
    """The last day of the month after the one in which it was collected."""
    return month_of(_first_of_next(collected_on)).last


def month_of(day: date) -> Period:
    """The 1st to the last."""
    return Period(day.replace(day=1), _first_of_next(day) - DAY)


def block_of(day: date) -> Period:
    """The 10th to the 9th of the next month."""
    start = day.replace(day=10) if day.day >= RENEWED_POSTPAID else (day.replace(day=1) - DAY).replace(day=10)
    return Period(start, _first_of_next(start).replace(day=9))


def _first(terms: Terms) -> Period:
    start = terms.charged_from
    if terms.form.prepaid:
        month = month_of(start)
        return month if start == month.first else Period(start, month_of(month.last + DAY).last)
    if terms.reading == RUNNING:
        return Period(start, block_of(start).last)
    return Period(start, _first_of_next(start).replace(day=9))


def _months(terms: Terms, period: Period) -> Sequence[tuple[int, int]]:
    """Of each month that the period touches, how many of its days are paid for and how many it has."""
    span = month_of if terms.form.prepaid else block_of
    touched, day = [], period.first
    while day <= period.last:
        month = span(day)
        touched.append(((min(month.last, period.last) - day).days + 1, month.days))
        day = month.last + DAY
    return touched


def _share(yen: int, part: int, whole: int) -> Line:
    if part == whole:
        return Line(N_("Monthly fee"), yen)
    return Line(N_("Monthly fee, %(part)s of %(whole)s days"), yen * part // whole, part, whole)


def _first_of_next(day: date) -> date:
    return (day.replace(day=28) + 4 * DAY).replace(day=1)
