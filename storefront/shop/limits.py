"""What may be sold to whom now: shown on the page, and enforced where the sale is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import Row, Table, bindparam, func, select
from sqlalchemy.orm import Session

from storefront.config import settings
from storefront.db import db
from storefront.shop import ages
from storefront.shop.catalog import Item, Offer
from storefront.shop.customers import Customer
from storefront.shop.inventory import USE, Grant


class Reason(StrEnum):
    SOLD_OUT = "sold_out"
    LIMIT_REACHED = "limit_reached"
    NOT_YET = "not_yet"
    OVER = "over"
    STOPPED = "stopped"  # the shop sells nothing
    ELSEWHERE = "elsewhere"  # too dear for this device
    AGE_UNKNOWN = "age_unknown"
    AGE_LIMIT = "age_limit"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"  # its payment was started too long ago


class NotForSale(Exception):
    """The item cannot be sold to this customer now; `reason` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True)
class Standing:
    """How an item stands with a customer: what is left, how many they may still buy, what forbids it."""

    left: int | None
    allowed: int | None
    reason: Reason | None


_table = cast(Table, Item.__table__)
# Built once, since it stands in the way of every sale.
LIMITS = select(
    _table.c.id,
    _table.c.stock,
    _table.c.per_customer,
    _table.c.on_sale_from,
    _table.c.on_sale_until,
).where(_table.c.id == bindparam("item_id"))


def enforce(session: Session, item_id: str, customer_id: int, amount: int, now: datetime) -> None:
    """Raise NotForSale unless one more may be sold; call it before the grant, in the sale's transaction.

    Whoever comes first holds the item's and the customer's row until the commit, so that several
    payment screens, open at once, are counted one after the other.
    """
    item = session.execute(LIMITS, {"item_id": item_id}).one()
    by_age = settings().under_age_limits
    if item.stock is not None:
        session.scalar(select(Item.id).filter_by(id=item_id).with_for_update(key_share=True))
    if item.per_customer is not None or by_age:
        session.scalar(select(Customer.id).filter_by(id=customer_id).with_for_update(key_share=True))
    reason = _counted(session, item, customer_id, now).reason
    if reason is None and by_age:
        reason = _too_young(session, by_age, customer_id, amount, now)
    if reason:
        raise NotForSale(reason)


def check(offer: Offer, customer_id: int, most: int, now: datetime) -> None:
    """Raise NotForSale if this customer should not even start buying; what counts is `enforce`."""
    reason = standing(offer, customer_id, most, now).reason
    if reason:
        raise NotForSale(reason)


def standings(offers: Sequence[Offer], customer_id: int, most: int, now: datetime) -> dict[str, Standing]:
    """How each item stands with a customer, by item id."""
    return {offer.item.id: standing(offer, customer_id, most, now) for offer in offers}


def standing(offer: Offer, customer_id: int, most: int, now: datetime) -> Standing:
    """How one offer stands with a customer whose device may pay `most` at once."""
    session, by_age = db.session(), settings().under_age_limits
    counted = _counted(session, offer.item, customer_id, now)
    reason = counted.reason
    if not settings().selling:
        reason = Reason.STOPPED
    elif reason is None and offer.price.amount > most:
        reason = Reason.ELSEWHERE
    elif reason is None and by_age:
        reason = _too_young(session, by_age, customer_id, offer.price.amount, now)
    return replace(counted, reason=reason)


def _counted(
    session: Session, item: Item | Row[*tuple[Any, ...]], customer_id: int, now: datetime
) -> Standing:
    """How an item's own limits stand; asks the database only about items that have any."""
    left = None if item.stock is None else max(0, item.stock - _sold(session, item.id))
    bought = None if item.per_customer is None else _sold(session, item.id, customer_id)
    allowed = None if item.per_customer is None or bought is None else max(0, item.per_customer - bought)
    return Standing(left, allowed, _reason(item, left, allowed, now))


def _too_young(
    session: Session, by_age: Mapping[int, int], customer_id: int, amount: int, now: datetime
) -> Reason | None:
    """Whether a buyer's age forbids one more purchase this month; who never said it, may not buy."""
    born = session.scalar(select(Customer.born).filter_by(id=customer_id))
    if born is None:
        return Reason.AGE_UNKNOWN
    most = ages.monthly_limit(by_age, born, now)
    if most is not None and ages.spent(session, customer_id, now) + amount > most:
        return Reason.AGE_LIMIT
    return None


def _reason(
    item: Item | Row[*tuple[Any, ...]], left: int | None, allowed: int | None, now: datetime
) -> Reason | None:
    if item.on_sale_from and now < item.on_sale_from:
        return Reason.NOT_YET
    if item.on_sale_until and now >= item.on_sale_until:
        return Reason.OVER
    if left == 0:
        return Reason.SOLD_OUT
    if allowed == 0:
        return Reason.LIMIT_REACHED
    return None


def _sold(session: Session, item_id: str, customer_id: int | None = None) -> int:
    """How many were sold and not taken back; using one up gives none back."""
    query = select(func.coalesce(func.sum(Grant.quantity), 0)).where(
        Grant.item_id == item_id, ~Grant.key.startswith(USE, autoescape=True)
    )
    if customer_id is not None:
        query = query.where(Grant.customer_id == customer_id)
    return session.scalar(query) or 0
