"""What holds for every day of install from 2019 to 2035, every trial and every form."""

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import islice, pairwise, product

import pytest

from storefront.colorme import periods, reckoning
from storefront.colorme.amounts import LEAST, MOST, Part, prorated, usage_reports
from storefront.colorme.periods import ONE_DAY, Period, charged_from, trial
from storefront.colorme.plan_file import Form
from storefront.colorme.reckoning import Terms

Days = tuple[date, date]
A_SPRING = (date(2024, 1, 15), date(2024, 3, 15))  # with a leap day in it
ALL = (date(2019, 1, 1), date(2035, 12, 31))
TRIALS = (0, 3, 10, 30, 90)
MONTHLY, INITIAL = 2999, 4999
PREPAID = (Form.MONTHLY, Form.MONTHLY_INITIAL)
SHOWN = 4  # periods of each contract

installed = pytest.mark.parametrize(
    "installed", [A_SPRING, pytest.param(ALL, marks=pytest.mark.long)], ids=["a spring", "2019 to 2035"]
)


@installed
def test_trials(installed: Days) -> None:
    """The trial begins the day after the install, has its days, and the first paid day follows it."""
    for installed_on, length in product(days(*installed), TRIALS):
        paid_from = charged_from(installed_on, length)
        if not length:
            assert paid_from == installed_on
            continue
        free = trial(installed_on, length)
        assert (free.first, free.days, free.last + ONE_DAY) == (installed_on + ONE_DAY, length, paid_from)
        assert [(free.last - mail).days for mail in periods.reminders(free)] == [3, 1]


@installed
@pytest.mark.parametrize("form", PREPAID)
def test_prepaid(form: Form, installed: Days) -> None:
    """Months without gap or overlap; the first ends with the next month unless it begins with one."""
    for paid_from in paid_from_on(installed):
        bills = list(islice(reckoning.bills(terms_of(form, paid_from)), SHOWN))
        found = [bill.period for bill in bills if bill.period]
        assert_seamless(found, paid_from)
        for later in found[1:]:
            assert later.first.day == 1
            assert (later.last + ONE_DAY).day == 1
        months = month(found[0].last) - month(paid_from)
        assert months == (0 if paid_from.day == 1 else 1)
        assert [bill.due_on for bill in bills] == [period.first for period in found]
        running = periods.prepaid_period(paid_from)
        rest = prorated(MONTHLY, Period(paid_from, running.last), running)
        assert bills[0].yen == rest + months * MONTHLY + (INITIAL if form is Form.MONTHLY_INITIAL else 0)
        assert {bill.yen for bill in bills[1:]} == {MONTHLY}


@installed
@pytest.mark.parametrize("in_block", [False, True])
def test_postpaid(in_block: bool, installed: Days) -> None:
    """From the 10th to the 9th without gap or overlap, and each has its days one after another."""
    for paid_from in paid_from_on(installed):
        bills = list(islice(reckoning.bills(terms_of(Form.MONTHLY_USAGE, paid_from, in_block)), SHOWN))
        found = [bill.period for bill in bills if bill.period]
        assert_seamless(found, paid_from)
        for period in found:
            assert period.last.day == 9
        for later in found[1:]:
            assert later.first.day == 10
            assert later.days in (28, 29, 30, 31)
        is_long = paid_from.day < 10 and not in_block
        assert found[0].days <= (40 if is_long else 31)
        block = periods.postpaid_period(paid_from)
        part = Period(paid_from, block.last)
        assert bills[0].yen == prorated(MONTHLY, part, block) + (MONTHLY if is_long else 0)
        assert {bill.yen for bill in bills[1:]} == {MONTHLY}
        for bill, period in zip(bills, found, strict=True):
            assert month(bill.fixed_on) == month(bill.due_on) == month(period.last) + 1
            assert (bill.fixed_on.day, (bill.due_on + ONE_DAY).day) == (1, 1)
            assert periods.forced_out_on(period) == bill.due_on + ONE_DAY
            assert month(periods.paid_out_by(period)) == month(period.last) + 2
            assert period.last < periods.closing_on(period) < bill.fixed_on


@installed
@pytest.mark.parametrize("form", [*PREPAID, Form.MONTHLY_USAGE])
def test_lines(form: Form, installed: Days) -> None:
    """Days of the lines are those of the period, none twice; sum and tax are those of the lines."""
    for paid_from in paid_from_on(installed):
        bill = next(reckoning.bills(terms_of(form, paid_from)))
        dated = [line for line in bill.lines if line.days]
        assert_seamless([line.days for line in dated if line.days], paid_from)
        assert bill.period == Period(paid_from, dated[-1].days.last) if dated[-1].days else False
        for line in dated:
            assert line.whole
            assert line.days
            assert line.yen == MONTHLY * line.days.days // line.whole.days
            assert (line.part is Part.MONTHLY) == (line.days == line.whole)
        assert bill.tax == bill.yen * bill.rate.numerator // bill.rate.denominator
        assert bill.total == bill.yen + bill.tax


@pytest.mark.parametrize("form", [*PREPAID, Form.MONTHLY_USAGE, Form.USAGE])
def test_every_day_has_its_period(form: Form) -> None:
    """What is asked of a day is what the periods one after another say of it, over a year of days."""
    for paid_from in (date(2023, 12, 1), date(2023, 12, 9), date(2023, 12, 10), date(2024, 2, 29)):
        for in_block in (False, True):
            terms = terms_of(form, paid_from, in_block)
            found = list(islice(reckoning.periods(terms), 14))
            for day in days(paid_from, paid_from + timedelta(days=365)):
                assert reckoning.period_at(terms, day) == next(one for one in found if day in one)
            assert reckoning.period_at(terms, paid_from - ONE_DAY) is None


@pytest.mark.parametrize("form", PREPAID)
def test_what_comes_next(form: Form) -> None:
    """Before its first day the first bill is next; on a collection day the one after it."""
    for paid_from in (date(2021, 4, 1), date(2021, 4, 15), date(2021, 4, 30)):
        terms = terms_of(form, paid_from)
        bills = list(islice(reckoning.bills(terms), 6))
        for day in days(paid_from - 3 * ONE_DAY, paid_from + timedelta(days=80)):
            assert reckoning.upcoming(terms, day) == next(bill for bill in bills if bill.due_on > day)


def test_usage_reports() -> None:
    """Every sum is reported to the yen within the limits, in as few reports as can be."""
    near = (whole * MOST + rest for whole in (1, 2, 7) for rest in range(-201, 202))
    for yen in [*range(3 * LEAST), *near]:
        reports, carried = usage_reports(yen)
        assert sum(reports) + carried == yen
        assert all(LEAST <= report <= MOST for report in reports)
        assert carried < LEAST
        assert not (carried and reports)
        assert len(reports) == (-(-yen // MOST) if yen >= LEAST else 0)


def terms_of(form: Form, paid_from: date, in_block: bool = False) -> Terms:
    initial = INITIAL if form is Form.MONTHLY_INITIAL else None
    monthly = None if form is Form.USAGE else MONTHLY
    return Terms(form, paid_from, monthly=monthly, initial=initial, in_block=in_block)


def paid_from_on(installed: Days) -> Iterator[date]:
    """The first paid days of all installs and trials, each once: no rule beyond asks for more."""
    yield from sorted({charged_from(day, free) for day, free in product(days(*installed), TRIALS)})


def days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


def month(day: date) -> int:
    return day.year * 12 + day.month


def assert_seamless(found: list[Period], start: date) -> None:
    assert found[0].first == start
    assert all(before.last + ONE_DAY == after.first for before, after in pairwise(found))
