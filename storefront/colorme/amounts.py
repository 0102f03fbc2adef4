"""What a contract costs: limits, tax, days in proportion, lines. Pure rules, in whole yen before tax.

Sources: the pages on billing and on plan billing. What those leave open is said to be ours where it stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction

from storefront.colorme.periods import Period, postpaid_period, prepaid_period, renewed_on

LEAST, MOST = 100, 1_000_000  # yen, before tax (plan billing: limits; API document: of each usage report)
BEFORE, SINCE_2019 = Fraction(8, 100), Fraction(10, 100)  # consumption tax, by law
RAISED_ON = date(2019, 10, 1)


class Part(StrEnum):
    """What a line of a bill is for."""

    PRORATED = "prorated"  # days in proportion, of the monthly amount
    MONTHLY = "monthly"
    INITIAL = "initial"
    PRICE = "price"
    USAGE = "usage"


@dataclass(frozen=True)
class Line:
    """One line of a bill. `days` are those it is for, `whole` the period they are a part of."""

    part: Part
    yen: int
    days: Period | None = None
    whole: Period | None = None


def rate_on(day: date) -> Fraction:
    return SINCE_2019 if day >= RAISED_ON else BEFORE


def with_tax(yen: int, rate: Fraction) -> int:
    """Once on each collection, never line by line: the source's amount of a collection is the sum."""
    return yen + int(yen * rate)  # the tax is cut off (billing: consumption tax)


def prorated(yen: int, part: Period, whole: Period) -> int:
    """What some days of a period cost, the first one counted (起算); cut off once, which is ours."""
    if part.first not in whole or part.last not in whole:
        raise ValueError(f"{part} is no part of {whole}")
    return yen * part.days // whole.days


def check_limits(yen: int) -> None:
    """Holds for what is registered and what is reported, never for what proportion makes of it."""
    if not LEAST <= yen <= MOST:
        raise ValueError(f"{yen:,} yen is not within {LEAST} to {MOST:,}")


def first_prepaid_lines(monthly: int, initial: int | None, period: Period) -> Sequence[Line]:
    """What is collected on the first paid day: the rest of its month and the next, or one month."""
    lines = _rest_and_whole(monthly, period, prepaid_period(period.first))
    return [*lines, Line(Part.INITIAL, initial)] if initial is not None else lines


def first_postpaid_lines(monthly: int, period: Period) -> Sequence[Line]:
    """The rest of the running block and, where the period reaches beyond it, a whole one; or one block."""
    return _rest_and_whole(monthly, period, postpaid_period(period.first))


def whole_line(monthly: int, period: Period) -> Line:
    """What every later period costs."""
    return Line(Part.MONTHLY, monthly, period, period)


def usage_reports(yen: int) -> tuple[list[int], int]:
    """The fewest reports within the limits, and what is carried on: only what is below them altogether."""
    if yen < 0:
        raise ValueError(f"usage is never below nothing: {yen}")
    if yen < LEAST:
        return [], yen
    whole, rest = divmod(yen, MOST)
    if not rest:
        return [MOST] * whole, 0
    if rest < LEAST:
        return [*[MOST] * (whole - 1), MOST - (LEAST - rest), LEAST], 0
    return [*[MOST] * whole, rest], 0


def _rest_and_whole(monthly: int, period: Period, running: Period) -> list[Line]:
    if period == running:
        return [whole_line(monthly, period)]
    rest = Period(period.first, min(period.last, running.last))
    lines = [Line(Part.PRORATED, prorated(monthly, rest, running), rest, running)]
    if rest.last < period.last:
        lines.append(whole_line(monthly, Period(renewed_on(rest), period.last)))
    return lines
