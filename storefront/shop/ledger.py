"""What was earned: entries, one for each cause, never changed."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import cast

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    String,
    Table,
    UniqueConstraint,
    func,
    insert,
    or_,
    select,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.db import Model, db, fresh, words
from storefront.shop import customers
from storefront.shop.customers import Customer
from storefront.shop.devices import Device

PAGE = 1000  # entries read at a time


class Kind(StrEnum):
    SALE = "sale"
    TEST = "test"
    REFUND = "refund"
    VOID = "void"
    GIVEN = "given"  # by the operator's hand, with what its buyer has paid for it
    TAKEN = "taken"  # likewise; of an amount that went back the entry is struck
    STRUCK = "struck"  # another entry, by hand


class Entry(Model):
    """An amount that came in, or went back (negative), and the key of its cause.

    `of` is the key of the sale that it concerns: which it undoes, or which turned out to be the test
    entered here.
    """

    __tablename__ = "entry"
    __table_args__ = (
        UniqueConstraint("kind", "key"),
        Index("ix_entry_moments", "entered_at", "platform_at"),
        Index("ix_entry_platforms_moments", "platform_at", "entered_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    channel: Mapped[str] = mapped_column(String(16))  # of the counter that sold; buyers may be another's
    kind: Mapped[Kind] = mapped_column(words(Kind))
    amount: Mapped[int]
    unit: Mapped[str] = mapped_column(String(8))
    key: Mapped[str] = mapped_column(String(80))
    of: Mapped[str | None] = mapped_column(String(80))
    entered_at: Mapped[datetime]
    item_id: Mapped[str | None] = mapped_column(ForeignKey("item.id"))  # of what is no fee
    device: Mapped[Device | None] = mapped_column(words(Device))  # on which it was bought, if that is known
    platform_at: Mapped[datetime | None]  # when it happened, as the platform says


BOOK = (
    Entry.id,
    Entry.entered_at,
    Entry.kind,
    Customer.channel,
    Customer.external_id,
    Entry.amount,
    Entry.unit,
    Entry.key,
)


@dataclass(frozen=True)
class About:
    """What an entry is about, as far as it is known."""

    item_id: str | None = None
    device: Device | None = None
    platform_at: datetime | None = None


@dataclass(frozen=True)
class Line:
    """An entry as the books show it: with the customer as their channel knows them."""

    entered_at: datetime
    kind: Kind
    channel: str
    external_id: str
    amount: int
    unit: str
    key: str


@dataclass(frozen=True)
class Total:
    """How many entries of a kind a counter has, and what they come to."""

    channel: str
    kind: Kind
    unit: str
    count: int
    amount: int


UNKNOWN = About()
ADD = insert(cast(Table, Entry.__table__))  # built once, since it stands in the way of every sale


def record(
    session: Session,
    customer_id: int,
    kind: Kind,
    amount: int,
    unit: str,
    key: str,
    now: datetime,
    *,
    channel: str,
    of: str | None = None,
    about: About = UNKNOWN,
) -> None:
    """Enter an amount. The database refuses the same kind and key twice."""
    values = {"customer_id": customer_id, "channel": channel, "kind": kind, "amount": amount, "unit": unit}
    session.execute(ADD, {**values, "key": key, "of": of, "entered_at": now, **vars(about)})


def undo(
    session: Session,
    customer_id: int,
    kind: Kind,
    unit: str,
    key: str,
    now: datetime,
    *,
    channel: str,
    of: str,
    about: About = UNKNOWN,
) -> None:
    """Enter what undoes a sale: as much as is left of it, which is nothing once it was struck by hand."""
    customers.hold(session, customer_id)
    amount = -left(session, customer_id, of)
    record(session, customer_id, kind, amount, unit, key, now, channel=channel, of=of, about=about)


def left(session: Session, customer_id: int, sale: str) -> int:
    """What a customer's sale and all that was entered about it come to; hold the customer meanwhile."""
    about_it = or_(Entry.key == sale, Entry.of == sale)
    return int(
        session.scalar(select(func.sum(Entry.amount)).filter_by(customer_id=customer_id).where(about_it)) or 0
    )


def entered(customer_id: int, key: str) -> datetime | None:
    """When a customer's amount was first entered under this key."""
    mine = select(func.min(Entry.entered_at)).filter_by(customer_id=customer_id, key=key)
    return db.session.scalar(mine)


def booked(customer_id: int, sales: Collection[str]) -> Mapping[str, int]:
    """What these sales of a customer come to, by their keys, with all that undoes them or concerns them."""
    sale = func.coalesce(Entry.of, Entry.key)
    query = select(sale, func.sum(Entry.amount)).where(Entry.customer_id == customer_id, sale.in_(sales))
    return {key: int(amount) for key, amount in db.session.execute(query.group_by(sale))}


def statement(customer_id: int) -> list[Entry]:
    """The entries of one customer, oldest first."""
    return list(db.session.scalars(select(Entry).filter_by(customer_id=customer_id).order_by(Entry.id)))


def newest(customer_id: int, most: int) -> Sequence[Entry]:
    """The newest of a customer's entries."""
    mine = select(Entry).where(Entry.customer_id == customer_id)
    return db.session.scalars(mine.order_by(Entry.id.desc()).limit(most)).all()


def entries(since: datetime | None = None, until: datetime | None = None) -> Iterator[Line]:
    """Every entry from `since` to just before `until`, oldest first, to the last there was at the start.

    They come a page at a time. Nothing is held in the database between two pages: a reader who pauses
    would keep SQLite's log growing, and PostgreSQL's old rows from being swept.
    """
    last = fresh().scalar(select(func.max(Entry.id)).where(*between(since, until))) or 0
    page = select(*BOOK).join(Customer, Customer.id == Entry.customer_id).order_by(Entry.id).limit(PAGE)
    read = 0
    while read < last:
        wanted = page.where(Entry.id > read, Entry.id <= last, *between(since, until))
        rows = fresh().execute(wanted).all()
        fresh()
        if not rows:
            return
        for row in rows:
            yield Line(*row[1:])
        read = rows[-1].id


def totals(since: datetime | None = None, until: datetime | None = None) -> Sequence[Total]:
    """The sums of each kind by counter. All together are what it took, net; of a test that is 0."""
    said = (Entry.unit, Entry.channel, Entry.kind)
    query = select(*said, func.count(), func.sum(Entry.amount)).where(*between(since, until))
    sums = {tuple(row[:3]): (int(row[3]), int(row[4])) for row in db.session.execute(query.group_by(*said))}
    counters = sorted({(unit, channel) for unit, channel, _ in sums})
    return [
        Total(channel, kind, unit, *sums.get((unit, channel, kind), (0, 0)))
        for unit, channel in counters
        for kind in Kind
    ]


def between(since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    """Entered from `since` to just before `until`."""
    bounds = []
    if since:
        bounds.append(Entry.entered_at >= since)
    if until:
        bounds.append(Entry.entered_at < until)
    return bounds
