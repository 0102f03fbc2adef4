"""Usage: pieces taken on account, and what of them is reported for each contract period."""

from datetime import date, datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from storefront.colorme.intents import Intent
from storefront.db import Model


class Usage(Model):
    """Pieces of one item, taken by one form, and the period they count to; `reported` once it is closed."""

    __tablename__ = "colorme_usage"
    __table_args__ = (Index("ix_colorme_usage_open", "reported", "period_last"),)

    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    contract_id: Mapped[str] = mapped_column(ForeignKey("colorme_contract.id"), index=True)
    item_id: Mapped[str] = mapped_column(ForeignKey("item.id"))
    quantity: Mapped[int]
    yen: Mapped[int]  # for all of them, before tax
    taken_at: Mapped[datetime]  # by the calendar
    period_first: Mapped[date]
    period_last: Mapped[date]
    reported: Mapped[bool] = mapped_column(default=False)


class Report(Intent, Model):
    """One part of a period's usage, as it is reported; parts count from 1."""

    __tablename__ = "colorme_report"

    contract_id: Mapped[str] = mapped_column(ForeignKey("colorme_contract.id"), primary_key=True)
    period_first: Mapped[date] = mapped_column(primary_key=True)
    part: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    yen: Mapped[int]  # before tax
    description: Mapped[str] = mapped_column(String(50))
    is_late: Mapped[bool]  # sent after its period: at the store it belongs to the next
    is_lost: Mapped[bool]  # the store takes no report of it any more
