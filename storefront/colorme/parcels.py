"""Parcels: what a plan with a monthly part brings, when its owner first comes in and at every renewal.

On a trial, and where the plan is paid afterwards, the first one comes on trust. An owner who had one and left
before a plan fee was paid waits for the next, or goods were to be had by installing anew.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from storefront import clock
from storefront.colorme import fees, plans, reckoning
from storefront.colorme.contracts import Contract, Reason
from storefront.colorme.periods import renewed_on
from storefront.colorme.settings import NAME
from storefront.db import db
from storefront.shop import inventory
from storefront.shop.inventory import Grant

UNDONE = "undone:"  # before the key of what was taken back
AGAIN = "+"  # at the end of a key: what was taken back is due after all


def bring(session: Session, contract: Contract, today: date, now: datetime) -> None:
    """Give every parcel that is due by today and was not given, in the caller's transaction.

    What a day has brought is closed: an item that the plan file adds to a parcel comes with the next.
    """
    session.refresh(contract)
    plan, closed = plans.find(contract.plan_id), contract.parcels_until or date.min
    days = _days(contract, today, waits=_waits(session, contract, today))
    due = (day for day in days if day > closed and not _is_gone(contract, day))
    for first in due:
        for number, item_id in enumerate(plan.parcel if plan else (), 1):
            key = f"{_key(contract, first)}:{number}"
            inventory.grant(session, contract.customer_id, item_id, key, now, is_test=contract.is_test)
    contract.parcels_until = max(today, closed)


def undo(session: Session, contract: Contract) -> None:
    """Take back what was given at renewals after the contract's end, or at one that was not paid for.

    And all that a contract brought which the store never had.
    """
    for key, one in _brought(session, contract).items():
        if _is_gone(contract, _first(key)) and not _is_undone(session, key):
            at, undone = contract.ended_at or one.granted_at, f"{UNDONE}{key}"
            inventory.take_back(
                session, one.customer_id, one.item_id, undone, at, of=key, is_test=one.is_test
            )


def redo(session: Session, contract: Contract, now: datetime) -> None:
    """Give again what was taken back for an end that was none, or another."""
    session.refresh(contract)
    brought = _brought(session, contract)
    for key, one in brought.items():
        again = f"{key}{AGAIN}"
        if not _is_gone(contract, _first(key)) and _is_undone(session, key) and again not in brought:
            inventory.grant(session, one.customer_id, one.item_id, again, now, is_test=one.is_test)


def first_on(contract: Contract) -> date | None:
    """When the first parcel comes to who does not get one on trust; None if one has come."""
    if contract.parcels_until is None or _brought(db.session(), contract):
        return None
    if contract.form.prepaid:
        return contract.charged_from
    return next(map(renewed_on, reckoning.periods(contract.terms)), None)


def _waits(session: Session, contract: Contract, today: date) -> bool:
    """Whether that of the install does not come with it."""
    if contract.parcels_until:  # decided when its owner first came in
        return f"{_key(contract, contract.installed_on)}:1" not in _brought(session, contract)
    return _is_owed_for(session, contract, today)


def _is_owed_for(session: Session, contract: Contract, today: date) -> bool:
    """Whether the last contract of the same owner that has brought any was never paid for."""
    others = and_(Contract.customer_id == contract.customer_id, Contract.id != contract.id)
    made = select(Contract).where(others, Contract.reason.is_distinct_from(Reason.NEVER_MADE))
    before = session.scalars(made.order_by(Contract.arrived_at.desc())).all()
    last = next((one for one in before if _brought(session, one)), None)
    return last is not None and not fees.were_paid(last, today)


def _brought(session: Session, contract: Contract) -> Mapping[str, Grant]:
    """All that it ever brought, by its key."""
    own = and_(Grant.customer_id == contract.customer_id, Grant.key.startswith(f"{NAME}:{contract.id}:"))
    return {one.key: one for one in session.scalars(select(Grant).where(own))}


def _first(key: str) -> date:
    return date.fromisoformat(key.split(":")[2])


def _is_undone(session: Session, key: str) -> bool:
    return bool(session.scalar(select(inventory.was_given(f"{UNDONE}{key}"))))


def _is_gone(contract: Contract, first: date) -> bool:
    if contract.reason is Reason.NEVER_MADE or first == contract.installed_on:
        return contract.reason is Reason.NEVER_MADE
    ended_on = clock.day(contract.ended_at) if contract.ended_at else date.max
    unpaid = contract.form.prepaid and contract.reason is Reason.BY_UNPAID
    return first > ended_on or (unpaid and first == ended_on)


def _days(contract: Contract, today: date, *, waits: bool) -> Iterator[date]:
    """That of the install, and of every renewal since we have known of it, however old its trial is."""
    if not waits:
        yield contract.installed_on
    elif contract.form.prepaid and contract.charged_from <= today:
        yield contract.charged_from
    for period in reckoning.periods(contract.terms):
        if renewed_on(period) > today:
            return
        if renewed_on(period) >= clock.day(contract.arrived_at):
            yield renewed_on(period)


def _key(contract: Contract, first: date) -> str:
    return f"{NAME}:{contract.id}:{first}"
