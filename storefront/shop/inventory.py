"""Who holds what: a sum of grants, which are only ever added.

What would have to be summed over everything sold is kept beside them, where it changes and in the
same transaction: how much of a stock is sold, and which holdings may be below zero. `books` holds
it against the grants.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import cast

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    String,
    Subquery,
    Table,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.db import BY_UPGRADE, Model, db, insert_once, transaction, upsert, words
from storefront.shop import customers
from storefront.shop.catalog import Item
from storefront.shop.customers import Customer

NEW, PLACED = "place IS NULL", "place IS NOT NULL"


class NotConsumable(Exception):
    """There is no such item, or it is not used up."""


class TooFew(Exception):
    """The customer holds fewer than are to be used; says how many."""

    def __init__(self, held: int) -> None:
        super().__init__(held)
        self.held = held


class Kind(StrEnum):
    """Why there is more of an item, or less."""

    SOLD = "sold"
    TAKEN_BACK = "taken_back"
    USED = "used"
    RECOUNTED = "recounted"  # a sale that turned out to be a test: one less of those, one more of these
    GIVEN = "given"  # by the operator's hand, and so is what was taken
    TAKEN = "taken"


class Grant(Model):
    """So many more, or fewer, of an item. The key names the cause, and no cause counts twice.

    `of` is the key of the sale that it concerns: which it undoes, or which turned out to be a test. `place`
    is where it stands among all of them, for those who follow them: `changes` gives it, once, and changes
    nothing else.
    """

    __tablename__ = "grant"
    # All that one customer's holdings are sums of, side by side.
    # And what became of one item lately.
    # And what has a place, and what has none yet: a sale writes into one of the two alone.
    __table_args__ = (
        Index("ix_grant_holding", "customer_id", "item_id", "quantity"),
        Index("ix_grant_item", "item_id", "id"),
        Index(
            "ix_grant_place", "place", unique=True, sqlite_where=text(PLACED), postgresql_where=text(PLACED)
        ),
        Index("ix_grant_new", "id", sqlite_where=text(NEW), postgresql_where=text(NEW)),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    item_id: Mapped[str] = mapped_column(ForeignKey("item.id"))
    kind: Mapped[Kind] = mapped_column(words(Kind))
    quantity: Mapped[int]
    key: Mapped[str] = mapped_column(String(80), unique=True)
    is_test: Mapped[bool]
    granted_at: Mapped[datetime]
    of: Mapped[str | None] = mapped_column(String(80))
    place: Mapped[int | None]


class Tally(Model):
    """How many were sold, and not taken back, of an item that has a stock; test purchases apart.

    An item without a stock has no row, so that its sales share nothing.
    """

    __tablename__ = "tally"
    __table_args__ = BY_UPGRADE

    item_id: Mapped[str] = mapped_column(ForeignKey("item.id"), primary_key=True)
    sold: Mapped[int]
    tested: Mapped[int]


class Overdrawn(Model):
    """A holding that was below zero after a taking back; what it is today, its grants say.

    So the sale that fills it again has nothing to write here.
    """

    __tablename__ = "overdrawn"

    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), primary_key=True)
    item_id: Mapped[str] = mapped_column(ForeignKey("item.id"), primary_key=True)


@dataclass(frozen=True)
class Holding:
    """An item and how many of it a customer has."""

    item: Item
    quantity: int


@dataclass(frozen=True)
class Used:
    """An item of which one was used up, and how many are left."""

    item: Item
    left: int


@dataclass(frozen=True)
class Negative:
    """An item that was used up and then taken back: the customer had what was never paid for."""

    channel: str
    external_id: str
    item_id: str
    quantity: int
    customer_id: int


_grant, _tally = (cast(Table, model.__table__) for model in (Grant, Tally))
# Built once, since they stand in the way of every sale. The first says whether the item has a tally.
ADDED: ColumnElement[str] = literal_column(
    '"grant".item_id'
)  # by its table, which SQLAlchemy leaves out here on SQLite
ADD = insert(_grant).returning(exists().where(_tally.c.item_id == ADDED))
HELD = (
    select(_tally.c.sold, _tally.c.tested)
    .where(_tally.c.item_id == bindparam("item"))
    .with_for_update(key_share=True)
)
COUNT = (
    update(_tally)
    .where(_tally.c.item_id == bindparam("item"))
    .values(sold=_tally.c.sold + bindparam("real"), tested=_tally.c.tested + bindparam("test"))
)


def grant(
    session: Session, customer_id: int, item_id: str, key: str, now: datetime, *, is_test: bool = False
) -> None:
    """Give one of an item, and count it as sold. The database refuses the same key twice."""
    if _add(session, Kind.SOLD, customer_id, item_id, 1, key, now, is_test):
        _count(session, item_id, 1, is_test)


def was_given(key: str) -> ColumnElement[bool]:
    """Whether there was ever a grant of this key, for a statement's condition."""
    return exists().where(Grant.key == key)


def take_back(
    session: Session,
    customer_id: int,
    item_id: str,
    key: str,
    now: datetime,
    *,
    of: str | None = None,
    is_test: bool = False,
) -> None:
    """Take one of an item back, even if it is used up already: the holding then shows below zero.

    What was taken from the stock, as a sale or as a test, is in it again. `of` is the key of that sale.
    """
    _add(session, Kind.TAKEN_BACK, customer_id, item_id, -1, key, now, is_test, of)
    _count(session, item_id, -1, is_test)
    customers.hold(session, customer_id)
    if _quantity(session, customer_id, item_id) < 0:
        insert_once(session, Overdrawn, customer_id=customer_id, item_id=item_id)


def count_as_test(
    session: Session, customer_id: int, item_id: str, key: str, now: datetime, *, of: str | None = None
) -> None:
    """What was granted as sold turns out to be a test: it stays where it is, and is counted as one.

    The database refuses the same key twice. `of` is the key of that sale.
    """
    _add(session, Kind.RECOUNTED, customer_id, item_id, -1, f"{key}:sale", now, is_test=False, of=of)
    _add(session, Kind.RECOUNTED, customer_id, item_id, 1, f"{key}:test", now, is_test=True, of=of)
    _count(session, item_id, -1, is_test=False)
    _count(session, item_id, 1, is_test=True)


def put_right(
    session: Session, customer_id: int, item_id: str, quantity: int, key: str, now: datetime
) -> bool:
    """Give so many by hand, or take them (negative); false if the customer holds too few to take.

    They count as sales do, out of the stock or back in it; what a test has given is taken as one. No limit
    forbids it.
    """
    is_test = quantity < 0 and _quantity(session, customer_id, item_id, ~Grant.is_test) + quantity < 0
    _count(session, item_id, quantity, is_test)
    customers.hold(session, customer_id)
    if quantity < 0 and _quantity(session, customer_id, item_id) + quantity < 0:
        return False
    kind = Kind.GIVEN if quantity > 0 else Kind.TAKEN
    _add(session, kind, customer_id, item_id, quantity, key, now, is_test)
    return True


def use(customer_id: int, item_id: str, key: str, now: datetime) -> bool:
    """Use up one of a consumable item; the same key uses it once. Says whether one was used up now."""
    try:
        with transaction() as session:
            return use_up(session, customer_id, item_id, 1, _use_key(key), now) is not None
    except (NotConsumable, TooFew):
        return False


def use_up(
    session: Session, customer_id: int, item_id: str, quantity: int, key: str, now: datetime
) -> int | None:
    """Use up so many of a consumable item, and say how many are left; nothing if this key has used before.

    Raises NotConsumable and TooFew.
    """
    # The item before the customer, as everywhere.
    found = select(Item.consumable).filter_by(id=item_id).with_for_update(read=True, key_share=True)
    consumable = session.scalar(found)
    customers.hold(session, customer_id)
    if session.scalar(select(was_given(key))):
        return None
    if not consumable:
        raise NotConsumable
    held = _quantity(session, customer_id, item_id)
    if held < quantity:
        raise TooFew(held)
    values = {"customer_id": customer_id, "item_id": item_id, "quantity": -quantity, "is_test": False}
    first = insert_once(session, Grant, kind=Kind.USED, key=key, granted_at=now, **values)
    return held - quantity if first else None


def used(customer_id: int, key: str) -> Used | None:
    """What this customer used up with this key, if they did."""
    query = select(Item).join(Grant, Grant.item_id == Item.id)
    item = db.session.scalar(query.where(Grant.key == _use_key(key), Grant.customer_id == customer_id))
    return Used(item, _quantity(db.session(), customer_id, item.id)) if item else None


def hold_sold(session: Session, item_id: str, *, is_test: bool) -> int:
    """How much of a stock is sold, which nobody else changes until the commit.

    A real purchase is held against the real ones; a test against the tests, too.
    """
    row = session.execute(HELD, {"item": item_id}).one_or_none()
    if row is None:  # not counted since there is a stock
        tally(session, item_id)
        row = session.execute(HELD, {"item": item_id}).one()
    return int(row.sold + row.tested if is_test else row.sold)


def sold(session: Session, item_ids: Collection[str]) -> Mapping[str, int]:
    """How much of each stock is sold, for a page."""
    if not item_ids:
        return {}
    return dict(session.execute(select(Tally.item_id, Tally.sold).where(Tally.item_id.in_(item_ids))).all())


def bought(
    session: Session, customer_id: int, item_ids: Collection[str], *, is_test: bool = False
) -> Mapping[str, int]:
    """How many of each a customer has bought; using one up gives none back.

    A real purchase is held against the real ones; a test against the tests, too.
    """
    if not item_ids:
        return {}
    mine = [Grant.customer_id == customer_id, Grant.item_id.in_(item_ids), _is_sale()]
    query = select(Grant.item_id, func.sum(Grant.quantity)).group_by(Grant.item_id)
    rows = session.execute(query.where(*mine, *([] if is_test else [~Grant.is_test])))
    return {item_id: int(count) for item_id, count in rows}


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


def tested(customer_id: int) -> Mapping[str, int]:
    """How many of each item a customer was given by test purchases, and they were not taken back."""
    given = select(Grant.item_id, func.sum(Grant.quantity)).where(
        Grant.customer_id == customer_id, Grant.is_test
    )
    return {item_id: int(count) for item_id, count in db.session.execute(given.group_by(Grant.item_id))}


def newest(customer_id: int, most: int) -> Sequence[Grant]:
    """The newest of a customer's grants."""
    mine = select(Grant).where(Grant.customer_id == customer_id)
    return db.session.scalars(mine.order_by(Grant.id.desc()).limit(most)).all()


def negatives(most: int | None = None) -> list[Negative]:
    """Every holding below zero, or the first so many, for the operator to see."""
    quantity = _today()
    query = (
        select(Customer.channel, Customer.external_id, Overdrawn.item_id, quantity, Customer.id)
        .join(Customer, Customer.id == Overdrawn.customer_id)
        .where(quantity < 0)
        .order_by(Overdrawn.customer_id, Overdrawn.item_id)
    )
    return [
        Negative(channel, who, item, int(count), customer_id)
        for channel, who, item, count, customer_id in db.session.execute(query.limit(most))
    ]


def below_zero() -> ColumnElement[bool]:
    """Whether an overdrawn holding is below zero today."""
    return _today() < 0


def count_negatives() -> int:
    """How many holdings are below zero."""
    below = select(func.count()).select_from(Overdrawn).where(below_zero())
    return db.session.scalar(below) or 0


def tally(session: Session, item_id: str | None = None) -> None:
    """Count what was sold of an item with a stock, or of every one; what is counted already stays.

    Nothing may be sold of them meanwhile. Items that have no stock any more are counted no more.
    """
    wanted = Item.stock.is_not(None) if item_id is None else Item.id == item_id
    new = session.scalars(select(Item.id).where(wanted, Item.id.not_in(select(Tally.item_id)))).all()
    if new:  # nothing is summed that is kept already
        counted = sales(new)
        sums = [func.coalesce(column, 0) for column in (counted.c.sold, counted.c.tested)]
        rows = select(Item.id, *sums).outerjoin(counted, counted.c.item_id == Item.id).where(Item.id.in_(new))
        columns = ["item_id", "sold", "tested"]
        session.execute(upsert(session, Tally).from_select(columns, rows).on_conflict_do_nothing())
    if item_id is None:
        stockless = select(Item.id).where(Item.stock.is_(None))
        session.execute(delete(Tally).where(Tally.item_id.in_(stockless)))


def sales(item_ids: Collection[str] | None = None) -> Subquery:
    """What was sold and not taken back, by item, as its grants say; of some items, or of all."""
    real = func.sum(case((Grant.is_test, 0), else_=Grant.quantity))
    test = func.sum(case((Grant.is_test, Grant.quantity), else_=0))
    query = select(Grant.item_id, real.label("sold"), test.label("tested")).where(_is_sale())
    if item_ids is not None:
        query = query.where(Grant.item_id.in_(item_ids))
    return query.group_by(Grant.item_id).subquery()


def _add(
    session: Session,
    kind: Kind,
    customer_id: int,
    item_id: str,
    quantity: int,
    key: str,
    now: datetime,
    is_test: bool,
    of: str | None = None,
) -> bool:
    """Add a grant; says whether sales of the item are counted."""
    values = {"kind": kind, "customer_id": customer_id, "item_id": item_id, "quantity": quantity}
    return bool(session.scalar(ADD, {**values, "key": key, "is_test": is_test, "granted_at": now, "of": of}))


def _use_key(key: str) -> str:
    return f"use:{key}"


def _count(session: Session, item_id: str, quantity: int, is_test: bool) -> None:
    """Keep the tally of an item, if it has one."""
    real, test = (0, quantity) if is_test else (quantity, 0)
    session.execute(COUNT, {"item": item_id, "real": real, "test": test})


def _is_sale() -> ColumnElement[bool]:
    return Grant.kind != Kind.USED


def _today() -> ColumnElement[int]:
    """What an overdrawn holding comes to; by its own few grants, however many there are of others."""
    own = (Grant.customer_id == Overdrawn.customer_id) & (Grant.item_id == Overdrawn.item_id)
    return select(func.sum(Grant.quantity)).where(own).correlate(Overdrawn).scalar_subquery()


def _quantity(session: Session, customer_id: int, item_id: str, *only: ColumnElement[bool]) -> int:
    mine = (Grant.customer_id == customer_id) & (Grant.item_id == item_id)
    return session.scalar(select(func.coalesce(func.sum(Grant.quantity), 0)).where(mine, *only)) or 0
