"""How often a customer may do what costs somebody: so many turns within a while.

A turn is a slot that is free again when the while has passed, and the database refuses a slot taken
twice. So requests that come at once share the turns, and no row is held that others wait for.
"""

from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.db import Model, upsert


class Turn(Model):
    """One slot, and when it was last taken."""

    __tablename__ = "turn"

    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), primary_key=True)
    action: Mapped[str] = mapped_column(String(32), primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    taken_at: Mapped[datetime]


class TooMany(Exception):
    """This customer does it more often than a person shops."""


def take(
    session: Session, customer_id: int, action: str, most: int, within: timedelta, now: datetime
) -> None:
    """Take one of `most` turns `within` a while, in the caller's transaction; or TooMany."""
    named = {"customer_id": customer_id, "action": action}
    # A clock that was set back leaves turns in the future; they count for nothing.
    past, future = now - within, now + within
    lately = Turn.taken_at.between(past, future)
    taken = set(session.scalars(select(Turn.slot).filter_by(**named).where(lately)))
    for slot in range(most):
        if slot in taken:
            continue
        turn = upsert(session, Turn).values(**named, slot=slot, taken_at=now)
        free = turn.on_conflict_do_update(
            index_elements=["customer_id", "action", "slot"],
            set_={"taken_at": now},
            where=~lately,
        )
        if session.scalar(free.returning(Turn.slot)) is not None:
            return
    raise TooMany
