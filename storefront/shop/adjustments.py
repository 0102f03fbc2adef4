"""What the operator sets about an item without a deploy; it wins over its file until it is given back.

Only inserted: the newest of an item's field counts, and all of them say who set what, and when.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.db import Model, db, words

NAME_LENGTH, REMARK_LENGTH = 64, 200

Value = bool | int | datetime | None


class Field(StrEnum):
    """What of an item can be set; the file says all but whether it is paused."""

    PAUSED = "paused"
    STOCK = "stock"
    PER_CUSTOMER = "per_customer"
    ON_SALE_FROM = "on_sale_from"
    ON_SALE_UNTIL = "on_sale_until"


class Adjustment(Model):
    """One field of an item as the operator has set it, or (`wins` is false) has given it back to the file."""

    __tablename__ = "adjustment"

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[str] = mapped_column(ForeignKey("item.id"), index=True)
    field: Mapped[Field] = mapped_column(words(Field))
    value: Mapped[Any] = mapped_column(JSON)
    wins: Mapped[bool]
    by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    remark: Mapped[str] = mapped_column(String(REMARK_LENGTH))
    set_at: Mapped[datetime]

    @property
    def says(self) -> Value:
        return unpacked({self.field: self.value})[self.field]


def current(session: Session, item_id: str | None = None) -> Mapping[str, Mapping[Field, Adjustment]]:
    """What wins over the file today, by item and field; of one item, or of all."""
    newest = select(func.max(Adjustment.id)).group_by(Adjustment.item_id, Adjustment.field)
    if item_id is not None:
        newest = newest.where(Adjustment.item_id == item_id)
    found: dict[str, dict[Field, Adjustment]] = {}
    for one in session.scalars(select(Adjustment).where(Adjustment.id.in_(newest), Adjustment.wins)):
        found.setdefault(one.item_id, {})[one.field] = one
    return found


def of(item_id: str, most: int) -> Sequence[Adjustment]:
    """The newest of an item."""
    mine = select(Adjustment).where(Adjustment.item_id == item_id)
    return db.session.scalars(mine.order_by(Adjustment.id.desc()).limit(most)).all()


def mark(session: Session, item_id: str) -> int:
    """What changes whenever something is set about an item."""
    return session.scalar(select(func.max(Adjustment.id)).where(Adjustment.item_id == item_id)) or 0


def keep(
    session: Session,
    item_id: str,
    set_: Mapping[Field, Value],
    given_back: Sequence[Field],
    by: str,
    remark: str,
    now: datetime,
) -> None:
    """Note what was set and what was given back, in the caller's transaction."""
    said = {"item_id": item_id, "by": by, "remark": remark, "set_at": now}
    session.add_all(
        Adjustment(field=one, value=value, wins=True, **said) for one, value in packed(set_).items()
    )
    session.add_all(Adjustment(field=one, value=None, wins=False, **said) for one in given_back)
    session.flush()


def packed(values: Mapping[Field, Value]) -> dict[Field, Any]:
    """The same as JSON has it."""
    return {
        one: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        for one, value in values.items()
    }


def unpacked(values: Mapping[Field, Any]) -> dict[Field, Value]:
    return {
        one: datetime.fromisoformat(value) if isinstance(value, str) else value
        for one, value in values.items()
    }
