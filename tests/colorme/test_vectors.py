"""Every worked example of what the documents say, and of how we read them: dates, lines, yen and days.

Each row bears the name it has there; where the amount or a date needs a reading of ours, the row says so.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

import pytest

from storefront.colorme import amounts, periods, reckoning
from storefront.colorme.amounts import usage_reports, with_tax
from storefront.colorme.periods import Period, charged_from, trial
from storefront.colorme.plan_file import Form
from storefront.colorme.reckoning import Bill, Terms

TEN = Fraction(1, 10)


@dataclass(frozen=True)
class Prepaid:
    monthly: int
    installed: str
    trial: int
    first: str
    last: str
    lines: list[int]
    total: int
    renewed: str
    initial: int | None = None


PREPAID = {
    "P1": Prepaid(3000, "2021-04-01", 0, "2021-04-01", "2021-04-30", [3000], 3300, "2021-05-01"),
    "P2": Prepaid(3000, "2021-04-15", 0, "2021-04-15", "2021-05-31", [1600, 3000], 5060, "2021-06-01"),
    "P3": Prepaid(3000, "2021-04-30", 0, "2021-04-30", "2021-05-31", [100, 3000], 3410, "2021-06-01"),
    "P4": Prepaid(3000, "2021-04-02", 0, "2021-04-02", "2021-05-31", [2900, 3000], 6490, "2021-06-01"),
    "P6": Prepaid(980, "2024-02-29", 0, "2024-02-29", "2024-03-31", [33, 980], 1114, "2024-04-01"),
    "P8": Prepaid(980, "2024-01-31", 0, "2024-01-31", "2024-02-29", [31, 980], 1112, "2024-03-01"),
    "P10": Prepaid(980, "2021-12-01", 0, "2021-12-01", "2021-12-31", [980], 1078, "2022-01-01"),
    "P11": Prepaid(3000, "2021-07-10", 10, "2021-07-21", "2021-08-31", [1064, 3000], 4470, "2021-09-01"),
    "P12": Prepaid(3000, "2021-06-20", 10, "2021-07-01", "2021-07-31", [3000], 3300, "2021-08-01"),
    "P13": Prepaid(3000, "2021-06-19", 10, "2021-06-30", "2021-07-31", [100, 3000], 3410, "2021-08-01"),
    "P15": Prepaid(980, "2023-02-18", 10, "2023-03-01", "2023-03-31", [980], 1078, "2023-04-01"),
    "P17": Prepaid(3000, "2021-12-28", 3, "2022-01-01", "2022-01-31", [3000], 3300, "2022-02-01"),
    "I1": Prepaid(3000, "2021-04-01", 0, "2021-04-01", "2021-04-30", [3000, 5000], 8800, "2021-05-01", 5000),
    "I2": Prepaid(
        3000, "2021-04-15", 0, "2021-04-15", "2021-05-31", [1600, 3000, 5000], 10560, "2021-06-01", 5000
    ),
    "I4": Prepaid(555, "2021-05-30", 0, "2021-05-30", "2021-06-30", [35, 555, 333], 1015, "2021-07-01", 333),
    "I6": Prepaid(3000, "2021-06-20", 10, "2021-07-01", "2021-07-31", [3000, 5000], 8800, "2021-08-01", 5000),
}


@pytest.mark.parametrize("name", PREPAID)
def test_prepaid(name: str) -> None:
    """First period, lines, tax once, and what is collected on the day of the renewal."""
    row = PREPAID[name]
    form = Form.MONTHLY if row.initial is None else Form.MONTHLY_INITIAL
    paid_from = charged_from(day(row.installed), row.trial)
    first, second, *_ = some_bills(Terms(form, paid_from, monthly=row.monthly, initial=row.initial))
    assert first.period == Period(day(row.first), day(row.last))
    assert [line.yen for line in first.lines] == row.lines
    assert (first.fixed_on, first.due_on) == (day(row.first), day(row.first))
    assert (first.yen, first.total) == (sum(row.lines), row.total)
    assert second.due_on == periods.renewed_on(first.period) == day(row.renewed)
    assert second.yen == row.monthly


@dataclass(frozen=True)
class Postpaid:
    monthly: int | None
    installed: str
    trial: int
    first: str
    last: str
    lines: list[int]
    total: int
    fixed: str
    due: str
    forced_out: str
    paid_out: str
    in_block: bool = False
    usage: int = 0


POSTPAID = {
    "Q1": Postpaid(
        2000, "2021-04-10", 0, "2021-04-10", "2021-05-09", [2000, 1500], 3850,
        "2021-06-01", "2021-06-30", "2021-07-01", "2021-07-31", usage=1500,
    ),
    "Q2": Postpaid(
        2000, "2021-04-20", 0, "2021-04-20", "2021-05-09", [1333], 1466,
        "2021-06-01", "2021-06-30", "2021-07-01", "2021-07-31",
    ),
    "Q4": Postpaid(
        2000, "2021-04-05", 0, "2021-04-05", "2021-05-09", [322, 2000], 2554,
        "2021-06-01", "2021-06-30", "2021-07-01", "2021-07-31",
    ),
    "Q4'": Postpaid(
        2000, "2021-04-05", 0, "2021-04-05", "2021-04-09", [322], 354,
        "2021-05-01", "2021-05-31", "2021-06-01", "2021-06-30", in_block=True,
    ),
    "Q5": Postpaid(
        2000, "2021-04-09", 0, "2021-04-09", "2021-05-09", [64, 2000], 2270,
        "2021-06-01", "2021-06-30", "2021-07-01", "2021-07-31",
    ),
    "Q5'": Postpaid(
        2000, "2021-04-09", 0, "2021-04-09", "2021-04-09", [64], 70,
        "2021-05-01", "2021-05-31", "2021-06-01", "2021-06-30", in_block=True,
    ),
    "Q6": Postpaid(
        2000, "2021-04-01", 0, "2021-04-01", "2021-05-09", [580, 2000], 2838,
        "2021-06-01", "2021-06-30", "2021-07-01", "2021-07-31",
    ),
    "Q8": Postpaid(
        2000, "2023-12-10", 0, "2023-12-10", "2024-01-09", [2000], 2200,
        "2024-02-01", "2024-02-29", "2024-03-01", "2024-03-31",
    ),
    "Q10": Postpaid(
        2000, "2021-07-10", 10, "2021-07-21", "2021-08-09", [1290], 1419,
        "2021-09-01", "2021-09-30", "2021-10-01", "2021-10-31",
    ),
    "Q11": Postpaid(
        2000, "2021-06-29", 10, "2021-07-10", "2021-08-09", [2000], 2200,
        "2021-09-01", "2021-09-30", "2021-10-01", "2021-10-31",
    ),
    "Q12": Postpaid(
        2000, "2021-06-20", 10, "2021-07-01", "2021-08-09", [600, 2000], 2860,
        "2021-09-01", "2021-09-30", "2021-10-01", "2021-10-31",
    ),
    "Q12'": Postpaid(
        2000, "2021-06-20", 10, "2021-07-01", "2021-07-09", [600], 660,
        "2021-08-01", "2021-08-31", "2021-09-01", "2021-09-30", in_block=True,
    ),
    "U1": Postpaid(
        None, "2021-04-10", 0, "2021-04-10", "2021-05-09", [1500], 1650,
        "2021-06-01", "2021-06-30", "2021-07-01", "2021-07-31", usage=1500,
    ),
    "U3": Postpaid(
        None, "2021-04-10", 0, "2021-04-10", "2021-05-09", [1998], 2197,
        "2021-06-01", "2021-06-30", "2021-07-01", "2021-07-31", usage=999 + 999,
    ),
    "U8": Postpaid(
        None, "2021-04-10", 0, "2021-04-10", "2021-05-09", [], 0,
        "2021-06-01", "2021-06-30", "2021-07-01", "2021-07-31",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", POSTPAID)
def test_postpaid(name: str) -> None:
    """First period, lines, tax once, and the days on which it is fixed, due, forced and paid out."""
    row = POSTPAID[name]
    form = Form.USAGE if row.monthly is None else Form.MONTHLY_USAGE
    paid_from = charged_from(day(row.installed), row.trial)
    terms = Terms(form, paid_from, monthly=row.monthly, in_block=row.in_block)
    period = Period(day(row.first), day(row.last))
    assert reckoning.first_period(terms) == period
    bill = reckoning.bill(terms, period, row.usage)
    assert [line.yen for line in bill.lines] == row.lines
    assert bill.total == row.total
    assert (bill.fixed_on, bill.due_on) == (day(row.fixed), day(row.due))
    assert periods.listed_on(period) == day(row.fixed)
    assert periods.forced_out_on(period) == day(row.forced_out)
    assert periods.paid_out_by(period) == day(row.paid_out)


def test_second_postpaid_period() -> None:
    """Q15: a period without usage costs the monthly amount, with days of its own."""
    terms = Terms(Form.MONTHLY_USAGE, day("2021-04-20"), monthly=2000)
    _, second, *_ = some_bills(terms)
    assert second.period == Period(day("2021-05-10"), day("2021-06-09"))
    assert (second.yen, second.total) == (2000, 2200)
    assert (second.fixed_on, second.due_on) == (day("2021-07-01"), day("2021-07-31"))
    assert periods.paid_out_by(second.period) == day("2021-08-31")


@pytest.mark.parametrize(
    ("used", "first", "last"),
    [
        ("2021-05-01", "2021-04-10", "2021-05-09"),  # U1
        ("2021-05-09", "2021-04-10", "2021-05-09"),  # U2a
        ("2021-05-10", "2021-05-10", "2021-06-09"),  # U2b
        ("2022-01-01", "2021-12-10", "2022-01-09"),  # U5
        ("2021-01-09", "2020-12-10", "2021-01-09"),  # U9
        ("2021-01-10", "2021-01-10", "2021-02-09"),  # U9
    ],
)
def test_period_of_usage(used: str, first: str, last: str) -> None:
    """Usage belongs to the 10th to the 9th in which it was made."""
    assert periods.postpaid_period(day(used)) == Period(day(first), day(last))


def test_usage_across_the_year() -> None:
    """U5: what ends on a 9th of January is due at the end of February."""
    assert periods.due_on(periods.postpaid_period(day("2022-01-01"))) == day("2022-02-28")


@pytest.mark.parametrize(("left", "closing"), [("2021-01-09", "2021-01-31"), ("2021-01-10", "2021-02-28")])
def test_closing(left: str, closing: str) -> None:
    """U9: late usage may be reported to the end of the month in which the last period ends."""
    assert periods.closing_on(periods.postpaid_period(day(left))) == day(closing)


def test_late_usage() -> None:
    """U11: reported after the uninstall, it belongs to the last contract and is due with it."""
    terms = Terms(Form.USAGE, day("2020-06-10"))
    period = reckoning.period_at(terms, day("2021-01-10"))
    assert period == Period(day("2021-01-10"), day("2021-02-09"))
    bill = reckoning.bill(terms, period, 2000)
    assert (bill.total, bill.fixed_on, bill.due_on) == (2200, day("2021-03-01"), day("2021-03-31"))
    assert periods.paid_out_by(period) == day("2021-04-30")


@pytest.mark.parametrize("installed", ["2021-04-01", "2021-04-15", "2021-04-30"])
def test_one_time(installed: str) -> None:
    """O1, O4: the price on the day of the install, whatever day and trial; nothing follows."""
    (bill,) = reckoning.bills(Terms(Form.ONE_TIME, day(installed), price=9800))
    assert (bill.yen, bill.tax, bill.total, bill.due_on) == (9800, 980, 10780, day(installed))
    assert bill.period is None


def test_free() -> None:
    """F1, F2: nothing is ever collected, and no day can be charged."""
    terms = Terms(Form.FREE, day("2021-04-15"))
    assert list(reckoning.bills(terms)) == []
    assert reckoning.period_at(terms, day("2022-01-10")) is None
    assert reckoning.upcoming(terms, day("2021-05-01")) is None


def test_options() -> None:
    """N1, O3: tax is added to the registered amount and cut off."""
    assert [with_tax(yen, TEN) for yen in (100, 500, 1_000_000)] == [110, 550, 1_100_000]
    assert [with_tax(yen, TEN) for yen in (923, 1998, 999, 1)] == [1015, 2197, 1098, 1]


@pytest.mark.parametrize("yen", [100, 101, 999_999, 1_000_000])
def test_within_limits(yen: int) -> None:
    """O3, U7: the bounds themselves are allowed."""
    amounts.check_limits(yen)


@pytest.mark.parametrize("yen", [-1, 0, 99, 1_000_001])
def test_beyond_limits(yen: int) -> None:
    """O3, U7: a yen less or more is not."""
    with pytest.raises(ValueError, match="is not within 100 to 1,000,000"):
        amounts.check_limits(yen)


@pytest.mark.parametrize(
    ("installed", "days", "first", "last", "mails"),
    [
        ("2021-07-10", 10, "2021-07-11", "2021-07-20", ("2021-07-17", "2021-07-19")),  # P11, and the source
        ("2021-06-20", 10, "2021-06-21", "2021-06-30", ("2021-06-27", "2021-06-29")),  # P12
        ("2021-12-28", 3, "2021-12-29", "2021-12-31", ("2021-12-28", "2021-12-30")),  # P17
        ("2019-08-05", 30, "2019-08-06", "2019-09-04", ("2019-09-01", "2019-09-03")),  # the API's sample
    ],
)
def test_trial(installed: str, days: int, first: str, last: str, mails: tuple[str, str]) -> None:
    """Day one is the day after the install; the store writes three days and one day before the last."""
    free = trial(day(installed), days)
    assert free == Period(day(first), day(last))
    assert periods.reminders(free) == tuple(map(day, mails))
    assert charged_from(day(installed), days) == day(last) + timedelta(days=1)


@pytest.mark.parametrize("days", [-1, 0, 1, 2, 91, 1000])
def test_no_such_trial(days: int) -> None:
    """A trial has 3 to 90 days."""
    with pytest.raises(ValueError, match="a trial has 3 to 90 days"):
        trial(day("2021-07-10"), days)


def test_no_trial_is_no_trial() -> None:
    """Without one the day of the install is paid; one or two days are no trial there either."""
    assert charged_from(day("2021-07-10"), 0) == day("2021-07-10")
    for days in (1, 2, 91):
        with pytest.raises(ValueError, match="a trial has"):
            charged_from(day("2021-07-10"), days)


@pytest.mark.parametrize(
    ("on", "rate"),
    [
        ("2019-09-30", Fraction(8, 100)),
        ("2019-10-01", TEN),
        ("2014-04-01", Fraction(8, 100)),
        ("2035-12-31", TEN),
    ],
)
def test_rate(on: str, rate: Fraction) -> None:
    """8 % until the end of September 2019, 10 % after."""
    assert amounts.rate_on(day(on)) == rate


def test_whose_day_makes_the_rate() -> None:
    """Ours: the day of the collection prepaid, the last day of the contract postpaid."""
    (prepaid, *_) = some_bills(Terms(Form.MONTHLY, day("2019-09-30"), monthly=1000))
    (postpaid, *_) = some_bills(Terms(Form.MONTHLY_USAGE, day("2019-09-10"), monthly=1000))
    (before, *_) = some_bills(Terms(Form.MONTHLY_USAGE, day("2019-08-10"), monthly=1000))
    assert [bill.rate for bill in (prepaid, postpaid, before)] == [Fraction(8, 100), TEN, Fraction(8, 100)]


@pytest.mark.parametrize(
    ("yen", "reports", "carried"),
    [
        (0, [], 0),
        (1, [], 1),
        (99, [], 99),
        (100, [100], 0),
        (1_000_000, [1_000_000], 0),
        (1_000_001, [999_901, 100], 0),
        (1_000_050, [999_950, 100], 0),  # the issue's own
        (1_000_100, [1_000_000, 100], 0),
        (2_000_000, [1_000_000] * 2, 0),
        (2_000_099, [1_000_000, 999_999, 100], 0),
    ],
)
def test_usage_reports(yen: int, reports: list[int], carried: int) -> None:
    """The fewest reports within the limits; nothing is carried unless all of it is below 100."""
    assert usage_reports(yen) == (reports, carried)


def test_no_usage_below_nothing() -> None:
    """What is below nothing is a mistake of the caller's."""
    with pytest.raises(ValueError, match="below nothing"):
        usage_reports(-1)


@pytest.mark.parametrize("collected", ["2021-04-01", "2021-04-15", "2021-04-30"])
def test_paid_out_prepaid(collected: str) -> None:
    """Ours: what is collected before is paid out by the end of the next month."""
    assert periods.prepaid_paid_out_by(day(collected)) == day("2021-05-31")


def test_days_of_the_postpaid_alone() -> None:
    """A prepaid period has no day on which it is fixed, due or closed: who asks has mixed the two up."""
    month = periods.prepaid_period(day("2021-04-15"))
    for asked in (periods.finalised_on, periods.due_on, periods.closing_on, periods.paid_out_by):
        with pytest.raises(ValueError, match="ends on a 9th"):
            asked(month)


def test_a_period_has_days() -> None:
    """Both of its ends belong to it, and it does not end before it begins."""
    one = Period(day("2021-04-10"), day("2021-04-10"))
    assert one.days == 1
    assert str(one) == "2021-04-10/2021-04-10"
    with pytest.raises(ValueError, match="lies before"):
        Period(day("2021-04-10"), day("2021-04-09"))


def test_a_part_lies_within() -> None:
    """Days in proportion are days of the period they are a part of."""
    month = periods.prepaid_period(day("2021-04-30"))
    with pytest.raises(ValueError, match="is no part of"):
        amounts.prorated(1000, Period(month.last, day("2021-05-01")), month)


def some_bills(terms: Terms) -> list[Bill]:
    """The first three."""
    return [bill for bill, _ in zip(reckoning.bills(terms), range(3), strict=False)]


def day(text: str) -> date:
    return date.fromisoformat(text)
