"""Who holds what: a sum of grants, which are only ever added."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ForeignKey, String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.db import Model, db, insert_once, transaction
from storefront.shop.catalog import Item
from storefront.shop.customers import Customer


class Grant(Model):
    """So many more, or fewer, of an item. The key names the cause, and no cause counts twice."""

    __tablename__ = "grant"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    item_id: Mapped[str] = mapped_column(ForeignKey("item.id"))
    quantity: Mapped[int]
    key: Mapped[str] = mapped_column(String(80), unique=True)
    granted_at: Mapped[datetime]


@dataclass(frozen=True)
class Holding:
    """An item and how many of it a customer has."""

    item: Item
    quantity: int


def grant(session: Session, customer_id: int, item_id: str, key: str, now: datetime) -> None:
    """Give one of an item. The database refuses the same key twice."""
    session.add(Grant(customer_id=customer_id, item_id=item_id, quantity=1, key=key, granted_at=now))
    session.flush()


def use(customer_id: int, item_id: str, key: str, now: datetime) -> bool:
    """Use up one of a consumable item; the same key uses it once. Says whether one was used up now."""
    with transaction() as session:
        session.scalar(select(Customer.id).filter_by(id=customer_id).with_for_update())
        item = session.get(Item, item_id)
        if item is None or not item.consumable or _quantity(session, customer_id, item_id) < 1:
            return False
        values = {"customer_id": customer_id, "item_id": item_id, "quantity": -1, "granted_at": now}
        return insert_once(session, Grant, key=f"use:{key}", **values)


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


def _quantity(session: Session, customer_id: int, item_id: str) -> int:
    mine = (Grant.customer_id == customer_id) & (Grant.item_id == item_id)
    return session.scalar(select(func.coalesce(func.sum(Grant.quantity), 0)).where(mine)) or 0
