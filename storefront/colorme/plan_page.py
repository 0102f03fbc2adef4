"""What an owner reads of their plan: where it stands today, what is collected next, and what was.

The store never tells what it collected. So all of it is our reckoning, and the page says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Row

from storefront import clock
from storefront.colorme import parcels, plans, reckoning, reporting, sources, usage
from storefront.colorme.contracts import Contract
from storefront.colorme.periods import Period
from storefront.colorme.plan_file import Form
from storefront.colorme.reckoning import Bill, Terms
from storefront.colorme.reporting import Expected
from storefront.colorme.settings import FirstPeriod
from storefront.colorme.sources import Asked, Reading
from storefront.shop.catalog import Item

MOST = 12  # bills of the past
# Of days that the page does not name.
ELSEWHERE = (Reading.REMINDERS, Reading.PREPAID_PAYOUT, Reading.SHORT_AT_INSTALL)


@dataclass(frozen=True)
class Standing:
    """A contract at a moment. `trial_left` counts days, that day among them; `coming` are bills not paid yet.

    `counting` is the period of a piece that is taken now: shortly before a period ends, the next one.
    `pieces` are what was taken on account in `period`, `next_pieces` what counts to the next one by now.
    `parcel_on` is when the first parcel comes, where that of the install does not come with it.
    `reckoned` is what the open page of reckoning is to be asked for the same contract.
    """

    trial_left: int | None
    period: Period | None
    counting: Period | None
    usage: Expected
    pieces: Sequence[Row[Item, int, int]]
    next_pieces: Sequence[Row[Item, int, int]]
    coming: Sequence[Bill]
    past: Sequence[Bill]
    readings: Sequence[Reading]
    parcel_on: date | None
    reckoned: Mapping[str, str]
    today: date

    def is_fixed(self, bill: Bill) -> bool:
        """Whether nothing can change of it any more."""
        return bill.fixed_on <= self.today

    def open_until(self, bill: Bill) -> datetime | None:
        """Until when usage is added to it; None if none is any more."""
        return usage.counted_until(bill.period) if bill.period and bill.period == self.counting else None


def standing(contract: Contract, now: datetime) -> Standing:
    today, terms = clock.day(now), contract.terms
    expected = reporting.expected(contract, today)
    period = reckoning.period_at(terms, today)
    counting = usage.counted_to(contract, now) if terms.form.has_usage else None
    bills = [
        bill for bill in _bills(terms, counting.first if counting else today, expected.billed) if bill.yen
    ]
    coming = [bill for bill in bills if not _is_over(bill, terms, today)]
    past = [bill for bill in reversed(bills) if _is_over(bill, terms, today)]
    readings = _readings(contract, terms, expected)
    reckoned = _reckoned(contract, expected.billed.get(contract.charged_from, 0))
    left = trial_left(contract, today)
    waits = parcels.first_on(contract)
    pieces = usage.pieces(contract.id, period) if counting and period else []
    next_pieces = usage.pieces(contract.id, counting) if counting and counting != period else []
    taken = (expected, pieces, next_pieces)
    return Standing(left, period, counting, *taken, coming, past[:MOST], readings, waits, reckoned, today)


def trial_left(contract: Contract, today: date) -> int | None:
    trial = contract.trial
    if trial is None or today > trial.last:
        return None
    return (trial.last - max(today, trial.first)).days + 1


def _bills(terms: Terms, today: date, billed: Mapping[date, int]) -> Iterator[Bill]:
    """All so far, and the one that comes next."""
    if not terms.form.has_usage:
        for bill in reckoning.bills(terms):
            yield bill
            if bill.due_on > today:
                return
        return
    for period in reckoning.periods(terms):
        if period.first > max(today, terms.charged_from):
            return
        yield reckoning.bill(terms, period, billed.get(period.first, 0))


def _is_over(bill: Bill, terms: Terms, today: date) -> bool:
    """What is prepaid is collected in the first moments of its day, what is postpaid until its last."""
    return bill.due_on < today or (bill.due_on == today and not terms.form.has_usage)


def _reckoned(contract: Contract, usage: int) -> Mapping[str, str]:
    reading = FirstPeriod.RUNNING_BLOCK if contract.in_block else FirstPeriod.NEXT_MONTH_9TH
    return {
        "form": contract.form.value,
        "installed_on": contract.installed_on.isoformat(),
        "trial_days": str(contract.trial.days if contract.trial else 0),
        "first_period": reading.value,
        "usage": str(usage),
        **{name: str(getattr(contract, name)) for name in contract.form.amounts},
    }


def _readings(contract: Contract, terms: Terms, expected: Expected) -> Sequence[Reading]:
    told = [one for one in sources.readings(_asked(contract, terms, expected)) if one not in ELSEWHERE]
    plan = plans.find(contract.plan_id)
    on_trust = plan and plan.parcel and (contract.trial or not terms.form.prepaid)
    told += [Reading.NOT_PAID_BACK] if terms.form.prepaid else []
    told += [Reading.BILLED_TO_ITS_END] if terms.form is Form.MONTHLY_USAGE else []
    return [*told, Reading.PARCEL_ON_TRUST] if on_trust else told


def _asked(contract: Contract, terms: Terms, expected: Expected) -> Asked:
    amounts = {name: getattr(contract, name) or 0 for name in ("price", "monthly", "initial")}
    days = contract.trial.days if contract.trial else 0
    taken = sum(expected.taken.values())
    return Asked(contract.form, contract.installed_on, days, usage=taken, in_block=terms.in_block, **amounts)
