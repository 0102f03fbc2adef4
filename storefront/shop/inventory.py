"""Who holds what: a sum of grants, which are only ever added."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import ForeignKey, String, Table, func, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.db import Model, db, insert_once, transaction
from storefront.shop.catalog import Item
from storefront.shop.customers import Customer

USE = "use:"  # how the key of a grant begins that uses something up


class Grant(Model):
    """So many more, or fewer, of an item. The key names the cause, and no cause counts twice."""

    __tablename__ = "grant"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    item_id: Mapped[str] = mapped_column(ForeignKey("item.id"), index=True)
    quantity: Mapped[int]
    key: Mapped[str] = mapped_column(String(80), unique=True)
    granted_at: Mapped[datetime]


ADD = insert(cast(Table, Grant.__table__))  # built once, since it stands in the way of every sale


@dataclass(frozen=True)
class Holding:
    """An item and how many of it a customer has."""

    item: Item
    quantity: int


@dataclass(frozen=True)
class Negative:
    """An item that was used up and then taken back: the customer had what was never paid for."""

    channel: str
    external_id: str
    item_id: str
    quantity: int


def grant(session: Session, customer_id: int, item_id: str, key: str, now: datetime) -> None:
    """Give one of an item. The database refuses the same key twice."""
    _add(session, customer_id, item_id, 1, key, now)


def take_back(session: Session, customer_id: int, item_id: str, key: str, now: datetime) -> None:
    """Take one of an item back, even if it is used up already: the holding then shows below zero."""
    _add(session, customer_id, item_id, -1, key, now)


def use(customer_id: int, item_id: str, key: str, now: datetime) -> bool:
    """Use up one of a consumable item; the same key uses it once. Says whether one was used up now."""
    with transaction() as session:
        session.scalar(select(Customer.id).filter_by(id=customer_id).with_for_update(key_share=True))
        item = session.get(Item, item_id)
        if item is None or not item.consumable or _quantity(session, customer_id, item_id) < 1:
            return False
        values = {"customer_id": customer_id, "item_id": item_id, "quantity": -1, "granted_at": now}
        return insert_once(session, Grant, key=f"{USE}{key}", **values)


def holdings(customer_id: int) -> list[Holding]:
    """What a customer holds, in the order of the shelf."""
    quantity = func.sum(Grant.quantity)
    query = (
        select(Item, quantity)
        .join(Grant, Grant.item_id == Item.id)
        .where(Grant.customer_id == customer_id)
        .group_by(Item.id)
        .having(quantity != 0)
        .order_by(Item.position)
    )
    return [Holding(item, int(count)) for item, count in db.session.execute(query)]


def negatives() -> list[Negative]:
    """Every holding below zero, for the operator to see."""
    quantity = func.sum(Grant.quantity)
    below = (
        select(Grant.customer_id, Grant.item_id, quantity.label("quantity"))
        .group_by(Grant.customer_id, Grant.item_id)
        .having(quantity < 0)
        .subquery()
    )
    query = (
        select(Customer.channel, Customer.external_id, below.c.item_id, below.c.quantity)
        .join(below, below.c.customer_id == Customer.id)
        .order_by(Customer.id, below.c.item_id)
    )
    return [
        Negative(channel, who, item, int(count)) for channel, who, item, count in db.session.execute(query)
    ]


def _add(session: Session, customer_id: int, item_id: str, quantity: int, key: str, now: datetime) -> None:
    values = {"customer_id": customer_id, "item_id": item_id, "quantity": quantity}
    session.execute(ADD, {**values, "key": key, "granted_at": now})


def _quantity(session: Session, customer_id: int, item_id: str) -> int:
    mine = (Grant.customer_id == customer_id) & (Grant.item_id == item_id)
    return session.scalar(select(func.coalesce(func.sum(Grant.quantity), 0)).where(mine)) or 0
