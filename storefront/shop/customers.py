"""Who buys: a person as one channel knows them."""

from datetime import datetime

from sqlalchemy import String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from storefront.db import Model, db, insert_once, transaction


class Customer(Model):
    """One person in one channel. The id the platform gave them is opaque."""

    __tablename__ = "customer"
    __table_args__ = (UniqueConstraint("channel", "external_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(String(16))
    external_id: Mapped[str] = mapped_column(String(64))
    first_seen_at: Mapped[datetime]


def identify(channel: str, external_id: str, now: datetime) -> Customer:
    """The customer behind a verified id, made at the first visit."""
    known = select(Customer).filter_by(channel=channel, external_id=external_id)
    customer = db.session.scalar(known)
    if customer is None:
        with transaction() as session:
            insert_once(session, Customer, channel=channel, external_id=external_id, first_seen_at=now)
        customer = db.session.scalars(known).one()
    return customer
