"""Walks: one playing of a walkthrough, on a stage of its own."""

from datetime import datetime

from sqlalchemy import ForeignKey, select, update
from sqlalchemy.orm import Mapped, mapped_column

from storefront.sandbox import clock
from storefront.sandbox.stage import Stage
from storefront.sandbox.store import Base, reading, transaction
from storefront.sandbox.storefile import Moment


class Walk(Base):
    """One playing: which walkthrough, how far, and how it went."""

    __tablename__ = "walk"

    id: Mapped[int] = mapped_column(primary_key=True)
    stage_id: Mapped[str] = mapped_column(ForeignKey("stage.id", ondelete="CASCADE"), unique=True)
    name: Mapped[str]
    step: Mapped[int] = mapped_column(default=0)
    begun_at: Mapped[datetime] = mapped_column(Moment)
    verdict: Mapped[str] = mapped_column(default="open")


def begin(stage: Stage, name: str) -> Walk:
    """Somebody begins to play a walkthrough on this stage."""
    walk = Walk(stage_id=stage.id, name=name, step=0, begun_at=clock.now(), verdict="open")
    with transaction() as session:
        session.add(walk)
    return walk


def by_id(number: int) -> Walk | None:
    with reading() as session:
        return session.get(Walk, number)


def on(stage: Stage) -> Walk | None:
    """The walk that is played on this stage."""
    with reading() as session:
        return session.scalars(select(Walk).where(Walk.stage_id == stage.id)).one_or_none()


def keep(number: int, step: int, verdict: str) -> None:
    """How far a walk has come, as it was judged last."""
    with transaction() as session:
        session.execute(update(Walk).where(Walk.id == number).values(step=step, verdict=verdict))
