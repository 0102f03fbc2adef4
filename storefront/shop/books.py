"""Is what is kept of all sales what the grants say? Held against them, and written anew."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, delete, exists, func, insert, or_, select
from sqlalchemy.orm import Session

from storefront.db import unhurried
from storefront.shop import catalog, inventory
from storefront.shop.catalog import Item
from storefront.shop.customers import Customer
from storefront.shop.inventory import Grant, Negative, Overdrawn, Tally


@dataclass(frozen=True)
class Miscount:
    """What is kept of an item's stock, and what the grants say: sold, and sold as tests."""

    item_id: str
    kept: tuple[int, int]
    granted: tuple[int, int]


@dataclass(frozen=True)
class Differences:
    """Stocks that are counted wrongly, and holdings below zero that nobody would see."""

    stocks: Sequence[Miscount]
    unseen: Sequence[Negative]


def check(session: Session) -> Differences:
    """Hold what is kept against the sums of all grants, while the shop goes on selling."""
    unhurried(session)
    return Differences(_miscounted(session), _unseen(session))


def rebuild(session: Session) -> Differences:
    """Write anew what is kept; returns what was wrong. Nothing is sold until the commit."""
    catalog.hold(session)
    differences = check(session)
    session.execute(delete(Tally))
    inventory.tally(session)
    session.execute(delete(Overdrawn))
    below = _below().subquery()
    session.execute(insert(Overdrawn).from_select(["customer_id", "item_id"], select(below.c[0], below.c[1])))
    return differences


def _miscounted(session: Session) -> list[Miscount]:
    """In one statement, so that all of it is as of one moment."""
    sales = inventory.sales()
    kept = [func.coalesce(column, 0) for column in (Tally.sold, Tally.tested)]
    granted = [func.coalesce(column, 0) for column in (sales.c.sold, sales.c.tested)]
    query = (
        select(Item.id, *kept, *granted)
        .outerjoin(Tally, Tally.item_id == Item.id)
        .outerjoin(sales, sales.c.item_id == Item.id)
        .where(or_(Item.stock.is_not(None), Tally.item_id.is_not(None)))
        .where(or_(kept[0] != granted[0], kept[1] != granted[1]))
        .order_by(Item.id)
    )
    return [Miscount(row[0], (row[1], row[2]), (int(row[3]), int(row[4]))) for row in session.execute(query)]


def _unseen(session: Session) -> list[Negative]:
    below = _below().subquery()
    seen = exists().where(Overdrawn.customer_id == below.c.customer_id, Overdrawn.item_id == below.c.item_id)
    query = (
        select(Customer.channel, Customer.external_id, below.c.item_id, below.c.quantity, Customer.id)
        .join(Customer, Customer.id == below.c.customer_id)
        .where(~seen)
        .order_by(Customer.id, below.c.item_id)
    )
    return [
        Negative(channel, who, item, int(count), customer_id)
        for channel, who, item, count, customer_id in session.execute(query)
    ]


def _below() -> Select[int, str, int]:
    quantity = func.sum(Grant.quantity).label("quantity")
    query = select(Grant.customer_id, Grant.item_id, quantity)
    return query.group_by(Grant.customer_id, Grant.item_id).having(quantity < 0)
