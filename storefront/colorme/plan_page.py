"""What an owner reads of their plan: where it stands today, what is collected next, and what was.

The store never tells what it collected. So all of it is our reckoning, and the page says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from storefront.colorme import reckoning, reporting, sources
from storefront.colorme.contracts import Contract
from storefront.colorme.periods import Period
from storefront.colorme.reckoning import Bill, Terms
from storefront.colorme.settings import FirstPeriod
from storefront.colorme.sources import Asked, Reading

MOST = 12  # bills of the past
ELSEWHERE = (Reading.REMINDERS, Reading.PREPAID_PAYOUT)  # of days that the page does not name


@dataclass(frozen=True)
class Standing:
    """A contract on a day. `trial_left` counts days, that day among them; `coming` are bills not paid yet.

    `reckoned` is what the open page of reckoning is to be asked for the same contract.
    """

    trial_left: int | None
    period: Period | None
    usage: int
    coming: Sequence[Bill]
    past: Sequence[Bill]
    readings: Sequence[Reading]
    reckoned: Mapping[str, str]


def standing(contract: Contract, today: date) -> Standing:
    terms, usage = contract.terms, reporting.expected(contract, today)
    period = reckoning.period_at(terms, today)
    bills = list(_bills(terms, today, usage))
    coming = [bill for bill in bills if not _is_over(bill, terms, today)]
    past = [bill for bill in reversed(bills) if _is_over(bill, terms, today)]
    used = usage.get(period.first, 0) if period else 0
    readings = [one for one in sources.readings(_asked(contract, terms, used)) if one not in ELSEWHERE]
    reckoned = _reckoned(contract, usage.get(contract.charged_from, 0))
    return Standing(_trial_left(contract, today), period, used, coming, past[:MOST], readings, reckoned)


def _trial_left(contract: Contract, today: date) -> int | None:
    trial = contract.trial
    if trial is None or today > trial.last:
        return None
    return (trial.last - max(today, trial.first)).days + 1


def _bills(terms: Terms, today: date, usage: Mapping[date, int]) -> Iterator[Bill]:
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
        yield reckoning.bill(terms, period, usage.get(period.first, 0))


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


def _asked(contract: Contract, terms: Terms, usage: int) -> Asked:
    amounts = {name: getattr(contract, name) or 0 for name in ("price", "monthly", "initial")}
    days = contract.trial.days if contract.trial else 0
    return Asked(contract.form, contract.installed_on, days, usage=usage, in_block=terms.in_block, **amounts)
