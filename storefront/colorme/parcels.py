"""Parcels: what a plan with a monthly part brings, when its owner first comes in and at every renewal."""

from collections.abc import Iterator
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from storefront.colorme import plans
from storefront.colorme.contracts import Contract
from storefront.colorme.periods import (
    Period,
    first_postpaid_period,
    first_prepaid_period,
    postpaid_period,
    prepaid_period,
    renewed_on,
    running_block,
)
from storefront.colorme.settings import NAME, FirstPeriod, settings
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
    given = select(Grant).where(Grant.key.startswith(f"{_key(contract, first)}:"), Grant.quantity > 0)
    for one in session.scalars(given).all() if first != contract.installed_on else ():
        key = f"unpaid:{one.key}"
        inventory.take_back(session, one.customer_id, one.item_id, key, now, is_test=one.is_test)


def periods(contract: Contract) -> Iterator[Period]:
    """The contract periods from the first paid day on, without an end."""
    if contract.form.prepaid:
        period, later = first_prepaid_period(contract.charged_from), prepaid_period
    else:
        as_written = settings().colorme_first_period is FirstPeriod.NEXT_MONTH_9TH
        first = first_postpaid_period if as_written else running_block
        period, later = first(contract.charged_from), postpaid_period
    while True:
        yield period
        period = later(renewed_on(period))


def _days(contract: Contract, today: date) -> Iterator[date]:
    """That of the install, and of every renewal."""
    yield contract.installed_on
    for period in periods(contract):
        if renewed_on(period) > today:
            return
        yield renewed_on(period)


def _key(contract: Contract, first: date) -> str:
    return f"{NAME}:{contract.id}:{first}"
