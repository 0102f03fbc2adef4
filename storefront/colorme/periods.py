"""Contract periods, trials and the days that follow from them. Pure dates, all of them days in Japan.

Sources: the pages on billing and on plan billing. Two calendars, as two families of functions: prepaid
contracts run from the 1st of a month, postpaid ones from the 10th.
"""

from dataclasses import dataclass
from datetime import date, timedelta

SHORTEST_TRIAL, LONGEST_TRIAL = 3, 90  # days (plan billing: free trial)
REMINDED_BEFORE = (3, 1)  # days before the last one (plan billing; read as ours: of the last day itself)
POSTPAID_FROM = 10  # day of the month (billing: postpaid, contract period)
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Period:
    """Days that follow each other; the first and the last belong to it."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"{self.last} lies before {self.first}")

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    def __str__(self) -> str:
        return f"{self.first}/{self.last}"

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1


def trial(installed_on: date, days: int) -> Period:
    """The free days; day one is the day after the install."""
    if not SHORTEST_TRIAL <= days <= LONGEST_TRIAL:
        raise ValueError(f"a trial has {SHORTEST_TRIAL} to {LONGEST_TRIAL} days, not {days}")
    return Period(installed_on + ONE_DAY, installed_on + timedelta(days=days))


def charged_from(installed_on: date, days: int) -> date:
    """The first paid day: that of the install without a trial (0), else the day after it."""
    return renewed_on(trial(installed_on, days)) if days else installed_on


def reminders(trial: Period) -> tuple[date, date]:
    """When the store writes to the owner; of a trial of three days, first on the day of the install."""
    first, second = (trial.last - timedelta(days=days) for days in REMINDED_BEFORE)
    return first, second


def prepaid_period(day: date) -> Period:
    """The calendar month that a day belongs to."""
    return Period(day.replace(day=1), _month_end(day))


def first_prepaid_period(charged_from: date) -> Period:
    """To the end of next month; of this one, if it begins with it."""
    month = prepaid_period(charged_from)
    return month if month.first == charged_from else Period(charged_from, _month_end(_next_month(month.last)))


def postpaid_period(day: date) -> Period:
    """The 10th to the 9th that a day belongs to."""
    end = day if day.day < POSTPAID_FROM else _next_month(day)
    before = end.replace(day=1) - ONE_DAY
    return Period(before.replace(day=POSTPAID_FROM), end.replace(day=POSTPAID_FROM - 1))


def first_postpaid_period(charged_from: date) -> Period:
    """To the 9th of the next month, as it is written: up to 40 days."""
    return Period(charged_from, _next_month(charged_from).replace(day=POSTPAID_FROM - 1))


def running_block(charged_from: date) -> Period:
    """The other reading of a first postpaid period: to the end of the running 10th to 9th."""
    return Period(charged_from, postpaid_period(charged_from).last)


def renewed_on(period: Period) -> date:
    return period.last + ONE_DAY


def finalised_on(period: Period) -> date:
    """When the sum of a postpaid contract is fixed; that it is the 1st (月初) is our reading."""
    return _next_month(_ninth(period))


def listed_on(period: Period) -> date:
    """When it stands on the developer's sales page: from the month after the contract's end."""
    return finalised_on(period)


def due_on(period: Period) -> date:
    """The last day to pay, all of it."""
    return _month_end(finalised_on(period))


def forced_out_on(period: Period) -> date:
    """When the app of an owner who has not paid is uninstalled."""
    return due_on(period) + ONE_DAY


def closing_on(period: Period) -> date:
    """The last day on which usage may be reported after an uninstall (API document: closing_on)."""
    return _month_end(_ninth(period))


def paid_out_by(period: Period) -> date:
    """The last day on which the developer is paid what a postpaid contract brought."""
    return _month_end(forced_out_on(period))


def prepaid_paid_out_by(collected_on: date) -> date:
    """The same of what was collected before; ours, no source says it: with the lag of the postpaid."""
    return _month_end(_next_month(collected_on))


def _ninth(period: Period) -> date:
    """The last day of a postpaid contract; a prepaid one has none of these days."""
    if period.last.day != POSTPAID_FROM - 1:
        raise ValueError(f"a postpaid contract ends on a 9th, not on {period.last}")
    return period.last


def _next_month(day: date) -> date:
    """Its first day."""
    return _month_end(day) + ONE_DAY


def _month_end(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - ONE_DAY
