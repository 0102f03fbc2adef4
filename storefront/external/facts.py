"""The facts of the registration as the operator recorded them. Nothing is overwritten: the newest counts."""

from datetime import date, datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import JSON, select
from sqlalchemy.orm import Mapped, mapped_column

from storefront.clock import JAPAN
from storefront.db import Model, db, transaction
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


def record(facts: Facts, now: datetime) -> None:
    """From now on these count."""
    with transaction() as session:
        session.add(Record(facts=FACTS.dump_python(facts, mode="json"), recorded_at=now))


def day(now: datetime) -> date:
    """The day that a moment falls on where mixi's office is."""
    return now.astimezone(JAPAN).date()
