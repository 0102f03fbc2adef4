"""Who buys: a person as one channel knows them."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any, cast

from sqlalchemy import String, Table, UniqueConstraint, bindparam, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.db import INSERTS, Model, Upsert, db, insert_once, transaction


class Customer(Model):
    """One person in one channel. The id the platform gave them is opaque."""

    __tablename__ = "customer"
    __table_args__ = (UniqueConstraint("channel", "external_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(String(16))
    external_id: Mapped[str] = mapped_column(String(64), index=True)
    first_seen_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]  # when they left the channel; empty while they are in it
    event_at: Mapped[datetime | None]  # when they last joined or left, in the platform's time
    born: Mapped[date | None]  # the first day of the month they were born in, if they were asked


_table = cast(Table, Customer.__table__)
# Built once, since it stands in the way of sales.
HOLD = update(_table).where(_table.c.id == bindparam("customer")).values(channel=_table.c.channel)


def _enrol_held(row: Upsert) -> Any:
    as_it_is = {"channel": row.excluded.channel}
    held = row.on_conflict_do_update(index_elements=["channel", "external_id"], set_=as_it_is)
    return held.returning(_table.c.id)


ENROL_HELD = {engine: _enrol_held(insert(_table)) for engine, insert in INSERTS.items()}


def identify(channel: str, external_id: str, now: datetime) -> Customer:
    """The customer behind a verified id, made at the first visit.

    A visit proves that they are in the channel, whatever an earlier event said.
    """
    customer = meet(channel, external_id, now)
    if customer.removed_at:
        with transaction() as session:
            # Events are timed in whole seconds; one of this very second comes after the visit.
            seen = now.replace(microsecond=0)
            rejoin(session, [customer.id], max(seen, customer.event_at or seen))
    return customer


def meet(channel: str, external_id: str, now: datetime) -> Customer:
    """The customer behind a verified id, made at the first visit; says nothing of whether they have left."""
    customer = known(channel, external_id)
    if customer is None:
        with transaction() as session:
            enrol(session, channel, external_id, now)
        customer = known(channel, external_id)
        assert customer
    return customer


def known(channel: str, external_id: str) -> Customer | None:
    """The customer of this id, if there is one."""
    return db.session.scalar(select(Customer).filter_by(channel=channel, external_id=external_id))


def enrol(session: Session, channel: str, external_id: str, now: datetime) -> int:
    """The id of the customer behind a verified id, made if there is none, in the caller's transaction."""
    known = select(Customer.id).filter_by(channel=channel, external_id=external_id)
    found = session.scalar(known)
    if found is None:
        insert_once(session, Customer, channel=channel, external_id=external_id, first_seen_at=now)
        found = session.scalars(known).one()
    return found


def enrol_held(session: Session, channel: str, external_id: str, now: datetime) -> int:
    """The same, and held, in one statement."""
    row = {"channel": channel, "external_id": external_id, "first_seen_at": now}
    customer: int = session.scalars(ENROL_HELD[session.get_bind().dialect.name], row).one()
    return customer


def named(external_id: str) -> Sequence[Customer]:
    """Whoever has this id, in any channel."""
    return db.session.scalars(select(Customer).filter_by(external_id=external_id)).all()


def hold(session: Session, customer_id: int) -> None:
    """Have a customer to oneself until the end of the transaction, to count what is theirs.

    The row is written as it is: a lock alone would let a transaction that keeps to an older snapshot
    count without what was done meanwhile; so it fails.
    """
    session.execute(HOLD, {"customer": customer_id})


def lock(session: Session, channel: str, external_ids: Collection[str]) -> Sequence[int]:
    """Those of these people who are customers, held until the end of the transaction."""
    known = select(Customer.id).where(Customer.channel == channel, Customer.external_id.in_(external_ids))
    # Always in the same sequence, so that two who hold some of them never wait for each other.
    return session.scalars(known.order_by(Customer.id).with_for_update(key_share=True)).all()


def leave(session: Session, customer_ids: Collection[int], at: datetime) -> Sequence[int]:
    """These customers have left the channel; returns those of whom nothing newer is known."""
    return _move(session, customer_ids, at, removed_at=at)


def rejoin(session: Session, customer_ids: Collection[int], at: datetime) -> Sequence[int]:
    """These customers are in the channel again; returns those of whom nothing newer is known."""
    return _move(session, customer_ids, at, removed_at=None)


def has_left(session: Session, customer_id: int) -> bool:
    """Whether the newest word about this customer is that they have left the channel."""
    return session.scalar(select(Customer.removed_at).where(Customer.id == customer_id)) is not None


def _move(
    session: Session, customer_ids: Collection[int], at: datetime, removed_at: datetime | None
) -> Sequence[int]:
    not_newer = or_(Customer.event_at.is_(None), Customer.event_at <= at)
    moved = update(Customer).where(Customer.id.in_(customer_ids), not_newer)
    return session.scalars(moved.values(removed_at=removed_at, event_at=at).returning(Customer.id)).all()
