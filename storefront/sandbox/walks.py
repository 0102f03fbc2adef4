"""Walks: one playing of a walkthrough, on a stage of its own."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from storefront.sandbox.store import Base
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
