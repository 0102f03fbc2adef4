"""The store reckons as its documents say: the worked examples, to the yen and to the day."""

from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise

import pytest

from storefront.sandbox.colorme import reckoning
from storefront.sandbox.colorme.reckoning import RUNNING, TO_NEXT_MONTH, Form, Period, Terms

D = date.fromisoformat


def first(form: Form, start: str, reading: str = TO_NEXT_MONTH, **amounts: int) -> tuple[Period, int, int]:
    """The first period, what it comes to before tax, and with it."""
    terms = Terms(form, D(start), reading=reading, **amounts)
    period = reckoning.period_at(terms, D(start))
    assert period
    yen = sum(line.yen for line in reckoning.lines(terms, period))
    return period, yen, yen + reckoning.tax(yen, D(start) if form.prepaid else period.last)


@pytest.mark.parametrize(
    ("monthly", "initial", "start", "last", "yen", "total"),
    [
        (3000, 0, "2021-04-01", "2021-04-30", 3000, 3300),  # P1
        (3000, 0, "2021-04-15", "2021-05-31", 4600, 5060),  # P2
        (3000, 0, "2021-04-30", "2021-05-31", 3100, 3410),  # P3
        (3000, 0, "2021-04-02", "2021-05-31", 5900, 6490),  # P4
        (980, 0, "2024-02-29", "2024-03-31", 1013, 1114),  # P6
        (980, 0, "2024-01-31", "2024-02-29", 1011, 1112),  # P8
        (980, 0, "2021-12-01", "2021-12-31", 980, 1078),  # P10
        (3000, 0, "2021-07-21", "2021-08-31", 4064, 4470),  # P11
        (3000, 5000, "2021-04-01", "2021-04-30", 8000, 8800),  # I1
        (3000, 5000, "2021-04-15", "2021-05-31", 9600, 10560),  # I2
        (555, 333, "2021-05-30", "2021-06-30", 923, 1015),  # I4
    ],
)
def test_prepaid(monthly: int, initial: int, start: str, last: str, yen: int, total: int) -> None:
    """To the end of next month with part of this one; of this month alone if it is the 1st; tax once."""
    form = Form.MONTHLY_INITIAL if initial else Form.MONTHLY
    assert first(form, start, monthly=monthly, initial=initial) == (Period(D(start), D(last)), yen, total)
    terms = Terms(form, D(start), monthly=monthly, initial=initial)
    renewal = reckoning.period_at(terms, D(last) + timedelta(1))
    assert renewal
    assert renewal.first.day == 1
    assert [line.yen for line in reckoning.lines(terms, renewal)] == [monthly]


@pytest.mark.parametrize(
    ("start", "reading", "last", "yen", "total", "days"),
    [
        (
            "2021-04-10",
            TO_NEXT_MONTH,
            "2021-05-09",
            2000,
            2200,
            "06-01 06-30 07-01 07-31",
        ),  # Q1 without usage
        ("2021-04-20", TO_NEXT_MONTH, "2021-05-09", 1333, 1466, "06-01 06-30 07-01 07-31"),  # Q2
        ("2021-04-05", TO_NEXT_MONTH, "2021-05-09", 2322, 2554, "06-01 06-30 07-01 07-31"),  # Q4
        ("2021-04-05", RUNNING, "2021-04-09", 322, 354, "05-01 05-31 06-01 06-30"),  # Q4'
        ("2021-04-09", TO_NEXT_MONTH, "2021-05-09", 2064, 2270, "06-01 06-30 07-01 07-31"),  # Q5
        ("2021-04-09", RUNNING, "2021-04-09", 64, 70, "05-01 05-31 06-01 06-30"),  # Q5'
        ("2021-04-01", TO_NEXT_MONTH, "2021-05-09", 2580, 2838, "06-01 06-30 07-01 07-31"),  # Q6
        ("2023-12-10", TO_NEXT_MONTH, "2024-01-09", 2000, 2200, "02-01 02-29 03-01 03-31"),  # Q8
        ("2021-07-21", TO_NEXT_MONTH, "2021-08-09", 1290, 1419, "09-01 09-30 10-01 10-31"),  # Q10
        ("2021-07-01", TO_NEXT_MONTH, "2021-08-09", 2600, 2860, "09-01 09-30 10-01 10-31"),  # Q12
        ("2021-07-01", RUNNING, "2021-07-09", 600, 660, "08-01 08-31 09-01 09-30"),  # Q12'
    ],
)
def test_postpaid(start: str, reading: str, last: str, yen: int, total: int, days: str) -> None:
    """To the 9th, in both readings; fixed, due, forced out and paid out a month apart from each other."""
    assert first(Form.MONTHLY_USAGE, start, reading, monthly=2000) == (Period(D(start), D(last)), yen, total)
    period = Period(D(start), D(last))
    due = reckoning.due_on(period)
    steps = (
        reckoning.fixed_on(period),
        due,
        reckoning.forced_out_on(period),
        reckoning.paid_out_on(due),
    )
    assert [f"{day:%m-%d}" for day in steps] == days.split()


def test_trial() -> None:
    """The document's own example: ten days from 7/10 are 7/11 to 7/20, reminders on 7/17 and 7/19."""
    term = reckoning.trial(D("2021-07-10"), 10)
    assert term == Period(D("2021-07-11"), D("2021-07-20"))
    assert [day for _, day in reckoning.reminders(term)] == [D("2021-07-17"), D("2021-07-19")]
    assert reckoning.reminders(reckoning.trial(D("2021-12-28"), 3))[0] == (3, D("2021-12-28"))


@pytest.mark.parametrize(("day", "closing"), [("2021-01-09", "2021-01-31"), ("2021-01-10", "2021-02-28")])
def test_closing(day: str, closing: str) -> None:
    """After an uninstall usage can be told until the month's end in which the period in force ends."""
    period = reckoning.period_at(Terms(Form.USAGE, D("2020-06-10")), D(day))
    assert period
    assert reckoning.closing_on(period) == D(closing)


def test_tax_has_the_rate_of_its_day() -> None:
    """8% until the end of September 2019, and 10% after; rounded down."""
    assert [reckoning.tax(999, D(day)) for day in ("2019-09-30", "2019-10-01")] == [79, 99]


@pytest.mark.parametrize("form", [Form.MONTHLY, Form.MONTHLY_USAGE])
@pytest.mark.parametrize("reading", [TO_NEXT_MONTH, RUNNING])
def test_no_day_twice_and_none_left_out(form: Form, reading: str) -> None:
    """From any first day on, periods follow each other without a gap, and each comes to what its days do."""
    for offset in range(0, 800, 3):
        terms = Terms(form, D("2023-01-01") + timedelta(offset), monthly=2971, reading=reading)
        found = list(reckoning.periods_until(terms, terms.charged_from + timedelta(100)))
        assert found[0].first == terms.charged_from
        for one, following in pairwise(found):
            assert following.first == one.last + timedelta(1)
            assert [line.yen for line in reckoning.lines(terms, following)] == [2971]
        span = reckoning.month_of if form.prepaid else reckoning.block_of
        days = (found[0].first + timedelta(number) for number in range(found[0].days))
        exact = sum(Fraction(2971, span(day).days) for day in days)
        assert sum(line.yen for line in reckoning.lines(terms, found[0])) == int(exact)
