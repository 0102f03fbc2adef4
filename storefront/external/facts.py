"""The facts of the registration as the operator recorded them. Nothing is overwritten: the newest counts."""

from datetime import date, datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import JSON, func, select
from sqlalchemy.orm import Mapped, mapped_column

from storefront.clock import JAPAN
from storefront.db import Model, db, insert_once, transaction
from storefront.external.registration import Facts

FACTS = TypeAdapter(Facts)


class Record(Model):
    """All facts, as they stood from one moment on."""

    __tablename__ = "registration"

    id: Mapped[int] = mapped_column(primary_key=True)
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)
    recorded_at: Mapped[datetime]


def current() -> Facts:
    """What counts now; nothing, as long as nothing was recorded."""
    newest = db.session.scalar(select(Record.facts).order_by(Record.id.desc()).limit(1))
    return FACTS.validate_python(newest) if newest else Facts()


def number() -> int:
    """Which record counts now; 0 as long as nothing was recorded."""
    return db.session.scalar(select(func.max(Record.id))) or 0


def record(facts: Facts, now: datetime, after: int) -> bool:
    """From now on these count; false if `after` is not the number of those that did.

    Whoever records has seen what they replace: an old page would undo what it does not show.
    """
    values = {"facts": FACTS.dump_python(facts, mode="json"), "recorded_at": now}
    with transaction() as session:
        return number() == after and insert_once(session, Record, id=after + 1, **values)


def day(now: datetime) -> date:
    """The day that a moment falls on where mixi's office is."""
    return now.astimezone(JAPAN).date()
