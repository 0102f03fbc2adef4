"""Where each value of a reckoning comes from: what the documents say, and what they leave open. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from storefront.colorme import periods, reckoning
from storefront.colorme.amounts import Line, Part, rate_on, usage_reports
from storefront.colorme.periods import POSTPAID_FROM, Period
from storefront.colorme.plan_file import Form
from storefront.colorme.reckoning import Bill, Terms

SHOWN = 3  # bills of a contract that goes on


class Source(StrEnum):
    """From the surest to what is ours alone."""

    STATED = "stated"  # the pages on billing and on plan billing
    API = "api"  # the API's document
    READ = "read"  # they say it, and can be read in another way
    OURS = "ours"  # they do not say it


class Reading(StrEnum):
    """What the documents leave open, and how it is reckoned here."""

    FIRST_PERIOD = "first_period"
    AFTER_TRIAL = "after_trial"
    PRORATION = "proration"
    RATE_DAY = "rate_day"
    MONTH_START = "month_start"
    REMINDERS = "reminders"
    PREPAID_PAYOUT = "prepaid_payout"
    SHORT_AT_INSTALL = "short_at_install"
    NOT_PAID_BACK = "not_paid_back"
    BILLED_TO_ITS_END = "billed_to_its_end"
    REPORTS = "reports"
    NO_BILL = "no_bill"
    PARCEL_ON_TRUST = "parcel_on_trust"


@dataclass(frozen=True)
class Origin:
    """A source, and the reading that lies in it."""

    source: Source
    reading: Reading | None = None

    def with_(self, *others: "Origin") -> "Origin":
        """What follows from several is as sure as the least sure of them."""
        return max((self, *others), key=lambda origin: ORDER.index(origin.source))


ORDER = list(Source)
STATED, API = Origin(Source.STATED), Origin(Source.API)
FIRST_PERIOD = Origin(Source.READ, Reading.FIRST_PERIOD)
AFTER_TRIAL = Origin(Source.READ, Reading.AFTER_TRIAL)
MONTH_START = Origin(Source.READ, Reading.MONTH_START)
REMINDERS = Origin(Source.READ, Reading.REMINDERS)
PRORATION = Origin(Source.OURS, Reading.PRORATION)
RATE_DAY = Origin(Source.OURS, Reading.RATE_DAY)
PREPAID_PAYOUT = Origin(Source.OURS, Reading.PREPAID_PAYOUT)
SHORT_AT_INSTALL = Origin(Source.OURS, Reading.SHORT_AT_INSTALL)
REPORTS = Origin(Source.OURS, Reading.REPORTS)
NO_BILL = Origin(Source.OURS, Reading.NO_BILL)


class What(StrEnum):
    """What happens on a day."""

    INSTALLED = "installed"
    TRIAL = "trial"
    REMINDED = "reminded"
    CHARGED_FROM = "charged_from"
    PAID_AT_ONCE = "paid_at_once"
    SHORT = "short"
    COLLECTED = "collected"
    RENEWED = "renewed"
    FIXED = "fixed"
    DUE = "due"
    FORCED_OUT = "forced_out"
    CLOSING = "closing"
    PAID_OUT = "paid_out"


@dataclass(frozen=True)
class Dated:
    """A day, or the first and the last of several."""

    what: What
    first: date
    origin: Origin
    last: date | None = None


@dataclass(frozen=True)
class Asked:
    """A contract as somebody thinks of it, in yen before tax; what its form does not have is passed over."""

    form: Form
    installed_on: date
    trial_days: int
    price: int
    monthly: int
    initial: int
    usage: int
    in_block: bool

    @property
    def has_trial(self) -> bool:
        return self.form.has_trial and self.trial_days > 0

    @property
    def terms(self) -> Terms:
        days = self.trial_days if self.has_trial else 0
        paid_from = periods.charged_from(self.installed_on, days)
        own = {name: getattr(self, name) for name in self.form.amounts}
        return Terms(self.form, paid_from, in_block=self.in_block, **own)


@dataclass(frozen=True)
class Told:
    """A bill with the origins of its period, its lines and its sums, and the days that follow from it."""

    bill: Bill
    period: Origin
    lines: Sequence[tuple[Line, Origin]]
    tax: Origin
    total: Origin
    days: Sequence[Dated]


def before(asked: Asked) -> Iterator[Dated]:
    """The days up to the first paid one."""
    yield Dated(What.INSTALLED, asked.installed_on, STATED)
    if asked.has_trial:
        free = periods.trial(asked.installed_on, asked.trial_days)
        yield Dated(What.TRIAL, free.first, STATED, free.last)
        for day in periods.reminders(free):
            yield Dated(What.REMINDED, day, REMINDERS)
    if asked.form is not Form.FREE:
        yield Dated(What.CHARGED_FROM, asked.terms.charged_from, STATED)


def told(asked: Asked) -> Iterator[Told]:
    """The first bills; usage belongs to the first of them."""
    terms = asked.terms
    if asked.form is Form.ONE_TIME:
        yield from (_told(asked, bill) for bill in reckoning.bills(terms))
        return
    usage = sum(usage_reports(asked.usage)[0])
    for number, period in zip(range(SHOWN), reckoning.periods(terms), strict=False):
        yield _told(asked, reckoning.bill(terms, period, 0 if number else usage))


def readings(asked: Asked) -> Sequence[Reading]:
    """Those that any value of this contract depends on, each once."""
    bills = list(told(asked))
    origins = [day.origin for day in before(asked)]
    for one in bills:
        lines = [origin for _, origin in one.lines]
        origins += [one.period, *lines, one.tax, one.total, *(day.origin for day in one.days)]
    if asked.form.has_usage and asked.usage:
        origins.append(REPORTS)
    found = {origin.reading for origin in origins}
    return [reading for reading in Reading if reading in found]


def _told(asked: Asked, bill: Bill) -> Told:
    period = _period(asked, bill.period)
    lines = [(line, _line(line, period)) for line in bill.lines]
    tax = _tax(bill)
    total = tax.with_(*(origin for _, origin in lines)) if lines else NO_BILL
    return Told(bill, period, lines, tax, total, list(_days(asked, bill, period)))


def _period(asked: Asked, period: Period | None) -> Origin:
    if not asked.form.has_usage or period is None or period.first != asked.terms.charged_from:
        return STATED
    if period.first.day < POSTPAID_FROM:
        return FIRST_PERIOD
    return AFTER_TRIAL if asked.has_trial else STATED


def _line(line: Line, period: Origin) -> Origin:
    if line.part is Part.PRORATED:
        return PRORATION
    return REPORTS.with_(period) if line.part is Part.USAGE else period


def _tax(bill: Bill) -> Origin:
    """Sure, unless the rate changes between the days it might be the rate of."""
    days = [bill.due_on, bill.fixed_on]
    if bill.period:
        days += [bill.period.first, bill.period.last]
    return STATED if len({rate_on(day) for day in days}) == 1 else RATE_DAY


def _days(asked: Asked, bill: Bill, period: Origin) -> Iterator[Dated]:
    if not asked.form.has_usage:
        if bill.due_on == asked.installed_on:
            yield Dated(What.PAID_AT_ONCE, bill.due_on, STATED)
            yield Dated(What.SHORT, bill.due_on, SHORT_AT_INSTALL)
        else:
            yield Dated(What.COLLECTED, bill.due_on, STATED)
        yield Dated(What.PAID_OUT, periods.prepaid_paid_out_by(bill.due_on), PREPAID_PAYOUT)
    if bill.period:
        yield Dated(What.RENEWED, periods.renewed_on(bill.period), period)
    if asked.form.has_usage and bill.period:
        fixed = MONTH_START.with_(period)
        yield Dated(What.CLOSING, periods.closing_on(bill.period), API.with_(period))
        yield Dated(What.FIXED, periods.finalised_on(bill.period), fixed)
        yield Dated(What.DUE, bill.due_on, period)
        yield Dated(What.FORCED_OUT, periods.forced_out_on(bill.period), period)
        yield Dated(What.PAID_OUT, periods.paid_out_by(bill.period), period)
