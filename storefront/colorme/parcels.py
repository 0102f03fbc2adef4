"""Parcels: what a plan with a monthly part brings, when its owner first comes in and at every renewal."""

from collections.abc import Iterator
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from storefront.colorme import plans, reckoning
from storefront.colorme.contracts import Contract
from storefront.colorme.periods import renewed_on
from storefront.colorme.settings import NAME
from storefront.shop import inventory
from storefront.shop.inventory import Grant


def bring(session: Session, contract: Contract, today: date, now: datetime) -> None:
    """Give every parcel that is due by today, each once, in the caller's transaction."""
    plan = plans.current().plans.get(contract.plan_id)
    for first in _days(contract, today) if plan and plan.parcel else ():
        for number, item_id in enumerate(plan.parcel if plan else (), 1):
            key = f"{_key(contract, first)}:{number}"
            if not session.scalar(select(inventory.was_given(key))):
                inventory.grant(session, contract.customer_id, item_id, key, now, is_test=contract.is_test)


def take_back(session: Session, contract: Contract, first: date, now: datetime) -> None:
    """Take back what was given at a renewal on this day, which was not paid for after all."""
    if first == contract.installed_on:
        return
    own, of_that_day = Grant.customer_id == contract.customer_id, f"{_key(contract, first)}:"
    for one in session.scalars(select(Grant).where(own, Grant.key.startswith(of_that_day))).all():
        key = f"unpaid:{one.key}"
        inventory.take_back(session, one.customer_id, one.item_id, key, now, is_test=one.is_test)


def _days(contract: Contract, today: date) -> Iterator[date]:
    """That of the install, and of every renewal."""
    yield contract.installed_on
    for period in reckoning.periods(contract.terms):
        if renewed_on(period) > today:
            return
        yield renewed_on(period)


def _key(contract: Contract, first: date) -> str:
    return f"{NAME}:{contract.id}:{first}"
