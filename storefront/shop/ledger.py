"""What was earned: entries, one for each cause, never changed."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.db import Model, db, words


class Kind(StrEnum):
    SALE = "sale"
    TEST = "test"
    REFUND = "refund"


class Entry(Model):
    """An amount that came in, or went back (negative), and the key of its cause."""

    __tablename__ = "entry"
    __table_args__ = (UniqueConstraint("kind", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    kind: Mapped[Kind] = mapped_column(words(Kind))
    amount: Mapped[int]
    unit: Mapped[str] = mapped_column(String(8))
    key: Mapped[str] = mapped_column(String(80))
    entered_at: Mapped[datetime]


def record(
    session: Session, customer_id: int, kind: Kind, amount: int, unit: str, key: str, now: datetime
) -> None:
    """Enter an amount. The database refuses the same kind and key twice."""
    session.add(Entry(customer_id=customer_id, kind=kind, amount=amount, unit=unit, key=key, entered_at=now))
    session.flush()


def statement(customer_id: int) -> list[Entry]:
    """The entries of one customer, oldest first."""
    return list(db.session.scalars(select(Entry).filter_by(customer_id=customer_id).order_by(Entry.id)))
