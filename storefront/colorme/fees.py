"""Plan fees in the book. The store tells the app nothing of them, so they are entered by reckoning.

What is prepaid is entered on the day of its collection, what is postpaid when it is fixed. A contract that
ended has paid for what was collected before, and owes the period in which it ended.
"""

from collections.abc import Iterator
from datetime import date, datetime, time

from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.orm import Session

from storefront import clock
from storefront.clock import JAPAN
from storefront.colorme import reckoning
from storefront.colorme.contracts import Contract, Reason
from storefront.colorme.periods import forced_out_on, renewed_on
from storefront.colorme.reckoning import Bill
from storefront.colorme.settings import NAME
from storefront.shop import ledger
from storefront.shop.ledger import Entry, Kind

UNIT = "yen"  # before tax
NEVER = date.max
AGAIN = "+"  # at the end of a key: what was void is due after all


def is_due(today: date) -> ColumnElement[bool]:
    """The contracts that have something to be entered or brought; one that has not begun is left alone."""
    looked_at = or_(Contract.reckon_on.is_(None), Contract.reckon_on <= today)
    return and_(Contract.confirmed_at.is_not(None), Contract.installed_on <= today, looked_at)


def reconcile(session: Session, contract: Contract, today: date) -> None:
    """Enter what is due by today, and void what was entered and is not: safe to do at any time.

    Says on the contract when to look at it again.
    """
    due = _owed_until(contract, today)
    known = _known(contract)
    for bill in due:
        key = _key(contract, bill)
        while (Kind.VOID, key) in known:
            key += AGAIN
        if bill.yen and (Kind.SALE, key) not in known:
            _enter(session, contract, bill, key)
    undo(session, contract)
    contract.reckon_on = _look_again(contract, today)


def undo(session: Session, contract: Contract) -> None:
    """Void what was entered for days that the contract's end, of which nobody had told, has taken away."""
    known = _known(contract)
    for (kind, key), entry in known.items():
        day = key.removeprefix(_prefix(contract)).rstrip(AGAIN)
        if kind is Kind.SALE and ":" not in day and (Kind.VOID, key) not in known and _is_gone(contract, day):
            at, who = contract.ended_at or entry.entered_at, contract.customer_id
            ledger.undo(session, who, Kind.VOID, UNIT, key, at, channel=NAME, of=key)


def unpaid(contract: Contract) -> Iterator[Bill]:
    """What a contract that ended for want of a payment still owes: that bill, and all that came after it."""
    if contract.reason is not Reason.BY_UNPAID or contract.ended_at is None or contract.form.prepaid:
        return
    ended_on = clock.day(contract.ended_at)
    for bill in owed(contract):
        if bill.period and forced_out_on(bill.period) >= ended_on:
            yield bill


def were_paid(contract: Contract, today: date) -> bool:
    """Whether a fee of it was collected by then, as far as we know: the store does not tell."""
    still_owed = set(map(_first, unpaid(contract)))
    return any(
        bill.due_on <= today and _first(bill) not in still_owed for bill in _owed_until(contract, today)
    )


def owed(contract: Contract) -> Iterator[Bill]:
    """Every bill of the plan in its order, to the last one that its end leaves; without end if it stands."""
    if contract.reason is Reason.NEVER_MADE:
        return
    ended_on = clock.day(contract.ended_at) if contract.ended_at else NEVER
    for bill in reckoning.bills(contract.terms):
        begun = _first(bill)
        if begun > ended_on:
            return
        if contract.form.prepaid and contract.reason is Reason.BY_UNPAID and begun == ended_on:
            return
        yield bill


def _owed_until(contract: Contract, today: date) -> list[Bill]:
    found = []
    for bill in owed(contract):
        if bill.fixed_on > today:
            break
        found.append(bill)
    return found


def _known(contract: Contract) -> dict[tuple[Kind, str], Entry]:
    """What the book has of this contract's fees; a test counts as entered."""
    entries = ledger.statement(contract.customer_id)
    own = (entry for entry in entries if entry.key.startswith(_prefix(contract)))
    return {(Kind.SALE if entry.kind is Kind.TEST else entry.kind, entry.key): entry for entry in own}


def _enter(session: Session, contract: Contract, bill: Bill, key: str) -> None:
    kind, yen = (Kind.TEST, 0) if contract.is_test else (Kind.SALE, bill.yen)
    at = datetime.combine(bill.fixed_on, time(), JAPAN)
    ledger.record(session, contract.customer_id, kind, yen, UNIT, key, at, channel=NAME)


def _is_gone(contract: Contract, day: str) -> bool:
    """Whether no bill of this first day is left."""
    last = date.fromisoformat(day)
    for bill in owed(contract):
        first = _first(bill)
        if first >= last:
            return first != last
    return True


def _look_again(contract: Contract, today: date) -> date:
    """The next day on which a fee is to be entered, or a parcel brought at a renewal."""
    fee = next((bill.fixed_on for bill in owed(contract) if bill.fixed_on > today), NEVER)
    if contract.ended_at or not contract.form.has_monthly:
        return fee
    running = reckoning.period_at(contract.terms, max(today, contract.charged_from))
    return min(fee, renewed_on(running)) if running else fee


def _key(contract: Contract, bill: Bill) -> str:
    return f"{_prefix(contract)}{_first(bill)}"


def _prefix(contract: Contract) -> str:
    return f"{NAME}:{contract.id}:"


def _first(bill: Bill) -> date:
    return bill.period.first if bill.period else bill.due_on
