"""What the operator looks for: a customer's id, a code, a reference, or an item."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from storefront.db import db
from storefront.shop import catalog, corrections, counter, customers
from storefront.shop.catalog import Item
from storefront.shop.customers import Customer
from storefront.shop.inventory import Grant, Kind

LONGEST = 100  # characters of what is looked for
NEWEST = 50  # grants of an item that are shown


@dataclass(frozen=True)
class Found:
    customers: Sequence[Customer]
    items: Sequence[Item]


@dataclass(frozen=True)
class Moved:
    """A grant of an item, and whose it is."""

    at: datetime
    kind: Kind
    quantity: int
    customer: Customer


def find(text: str) -> Found:
    """Whoever and whatever is called so: by the whole of an id or code, of an item by part of its name."""
    wanted = text.strip()
    if not wanted or len(wanted) > LONGEST or not wanted.isprintable():
        return Found([], [])
    owners = {one.whose(wanted) for one in counter.counters()} | {corrections.whose(wanted)}
    ids = {one.id for one in customers.named(wanted)} | {one for one in owners if one is not None}
    people = db.session.scalars(select(Customer).where(Customer.id.in_(ids)).order_by(Customer.id))
    return Found(people.all(), [item for item in catalog.everything() if _is_called(item, wanted)])


def moved(item_id: str) -> Sequence[Moved]:
    """What became of an item lately, the newest first."""
    newest = (
        select(Grant.granted_at, Grant.kind, Grant.quantity, Customer)
        .join(Customer, Customer.id == Grant.customer_id)
        .where(Grant.item_id == item_id)
        .order_by(Grant.id.desc())
        .limit(NEWEST)
    )
    return [Moved(*row) for row in db.session.execute(newest)]


def _is_called(item: Item, wanted: str) -> bool:
    names = [name.casefold() for name in item.names.values()]
    return item.id == wanted or any(wanted.casefold() in name for name in names)
