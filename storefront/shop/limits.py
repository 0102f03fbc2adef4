"""Stock, limits per customer, sale windows: shown on the page, and enforced where the sale is made."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import Row, Table, bindparam, func, select
from sqlalchemy.orm import Session

from storefront.db import db
from storefront.shop.catalog import Item
from storefront.shop.customers import Customer
from storefront.shop.inventory import USE, Grant


class Reason(StrEnum):
    SOLD_OUT = "sold_out"
    LIMIT_REACHED = "limit_reached"
    NOT_YET = "not_yet"
    OVER = "over"


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


def enforce(session: Session, item_id: str, customer_id: int, now: datetime) -> None:
    """Raise NotForSale unless one more may be sold; call it before the grant, in the sale's transaction.

    Whoever comes first holds the item's and the customer's row until the commit, so that several
    payment screens, open at once, are counted one after the other.
    """
    item = session.execute(LIMITS, {"item_id": item_id}).one()
    if item.stock is not None:
        session.scalar(select(Item.id).filter_by(id=item_id).with_for_update(key_share=True))
    if item.per_customer is not None:
        session.scalar(select(Customer.id).filter_by(id=customer_id).with_for_update(key_share=True))
    reason = standing(session, item, customer_id, now).reason
    if reason:
        raise NotForSale(reason)


def check(item: Item, customer_id: int, now: datetime) -> None:
    """Raise NotForSale if this customer should not even start buying; what counts is `enforce`."""
    reason = standing(db.session(), item, customer_id, now).reason
    if reason:
        raise NotForSale(reason)


def standings(items: Sequence[Item], customer_id: int, now: datetime) -> dict[str, Standing]:
    """How each item stands with a customer, by item id."""
    return {item.id: standing(db.session(), item, customer_id, now) for item in items}


def standing(
    session: Session, item: Item | Row[*tuple[Any, ...]], customer_id: int, now: datetime
) -> Standing:
    """How one item stands with a customer; asks the database only about items that have limits."""
    left = None if item.stock is None else max(0, item.stock - _sold(session, item.id))
    bought = None if item.per_customer is None else _sold(session, item.id, customer_id)
    allowed = None if item.per_customer is None or bought is None else max(0, item.per_customer - bought)
    return Standing(left, allowed, _reason(item, left, allowed, now))


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
