"""The grants one after another, for who follows them: each has a place, and no place is ever skipped.

Neither id nor moment will do: a transaction that commits late has an earlier one of both than what was read
meanwhile, and whoever has read on misses it. So a grant gets its place once it is committed, from whoever
reads next, one reader at a time. While nobody follows, nothing is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Select, Table, func, literal, select, union_all, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.db import BY_UPGRADE, Model, db, transaction
from storefront.shop.customers import Customer
from storefront.shop.inventory import Grant, Kind

MOST = 1000  # that anybody reads at once
BATCH = MOST + 1  # get their places at once: what is read then, and whether there is more
LAST = 2**31 - 1  # that the database can count


class Placing(Model):
    """The one row that says which place was given last; held while places are given."""

    __tablename__ = "placing"
    __table_args__ = BY_UPGRADE

    id: Mapped[int] = mapped_column(primary_key=True)
    last: Mapped[int]


@dataclass(frozen=True)
class Change:
    """A grant in its place, with the customer as their channel knows them."""

    place: int
    at: datetime
    channel: str
    external_id: str
    item_id: str
    quantity: int
    kind: Kind
    is_test: bool
    key: str
    of: str | None


_grant = cast(Table, Grant.__table__)
ROW: tuple[Any, ...] = (
    Grant.place,
    Grant.granted_at,
    Customer.channel,
    Customer.external_id,
    Grant.item_id,
    Grant.quantity,
    Grant.kind,
    Grant.is_test,
    Grant.key,
    Grant.of,
)
NEW = Grant.place.is_(None)


def following(place: int, most: int) -> tuple[Sequence[Change], bool]:
    """The changes after a place, so many at most, and whether there are more; from 0, the first."""
    is_any_new = _is_any_new()  # asked first: what another reader places meanwhile is then read below
    found = _read(place, most + 1)
    if is_any_new and len(found) <= most:
        with transaction() as session:
            _give_places(session)
        found = _read(place, most + 1)
    return found[:most], len(found) > most


def at(place: int) -> tuple[str, datetime] | None:
    """The key and the moment of the change at a place."""
    if place > LAST:
        return None
    row = db.session.execute(select(Grant.key, Grant.granted_at).filter_by(place=place)).one_or_none()
    return row and (row.key, row.granted_at)


def count_following(place: int, most: int) -> int:
    """How many changes there are after a place, counted up to so many."""
    some = [select(literal(1)).where(which).limit(most).subquery() for which in (Grant.place > place, NEW)]
    counted = select(func.count()).select_from(union_all(*(select(one) for one in some)).subquery())
    return min(most, db.session.scalar(counted) or 0)


def next_at(place: int) -> datetime | None:
    """The moment of the first change after a place, if there is one."""
    moment = select(Grant.granted_at).limit(1)
    placed = moment.where(Grant.place > place).order_by(Grant.place)
    return db.session.scalar(placed) or db.session.scalar(moment.where(NEW).order_by(Grant.id))


def _read(place: int, most: int) -> Sequence[Change]:
    query = select(*ROW).join(Customer, Customer.id == Grant.customer_id)
    wanted = query.where(Grant.place > place).order_by(Grant.place).limit(most)
    return [Change(*row) for row in db.session.execute(wanted)]


def _is_any_new() -> bool:
    return db.session.scalar(_new(1)) is not None


def _give_places(session: Session) -> None:
    """Give the next places to what was committed so far; whoever else does so waits, and then sees them."""
    last = session.scalars(select(Placing.last).with_for_update()).one()
    new = _new(BATCH).subquery()
    numbered = select(new.c.id, func.row_number().over(order_by=new.c.id).label("number")).subquery()
    placed = update(_grant).where(_grant.c.id == numbered.c.id).values(place=last + numbered.c.number)
    given = session.scalars(placed.returning(_grant.c.place)).all()
    session.execute(update(Placing).values(last=last + len(given)))


def _new(most: int) -> Select[int]:
    return select(Grant.id).where(NEW).order_by(Grant.id).limit(most)
