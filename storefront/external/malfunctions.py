"""Reports of billing that went wrong, with the fields mixi asks for; kept, corrected, exported."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self, TextIO

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import JSON, select
from sqlalchemy.orm import Mapped, mapped_column

from storefront.clock import JAPAN
from storefront.db import Model, db, transaction
from storefront.external.told import Slip, called, refuse
from storefront.operator import login
from storefront.shop import csv_file

MOST = 2**31 - 1  # reports that the database can number


class Progress(StrEnum):
    """How far the handling is."""

    INVESTIGATING = "investigating"
    HANDLING = "handling"
    RECOVERED = "recovered"


class Harm(StrEnum):
    """What kind of harm it is. Source: triggers of a trouble report; other is billing itself."""

    LEAK = "leak"
    VULNERABILITY = "vulnerability"
    DATA_LOSS = "data_loss"
    MALWARE = "malware"
    OTHER = "other"


Text = Annotated[str, Field(min_length=1), called("blank")]
Mail = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$"), called("mail")]
Count = Annotated[int, Field(ge=0, le=1_000_000), called("number")]
# Other years are slips of the pen.
Moment = Annotated[
    AwareDatetime,
    Field(ge=datetime(2000, 1, 1, tzinfo=JAPAN), lt=datetime(3000, 1, 1, tzinfo=JAPAN)),
    called("moment"),
]


class Malfunction(BaseModel):
    """What happened, since when, and who can be asked. Source of the fields: trouble report."""

    model_config = ConfigDict(frozen=True)

    contact_name: Text
    contact_mail: Mail
    app_id: Text
    app_name: Text
    progress: Progress
    harm: Harm
    occurred_at: Moment
    discovered_at: Moment
    handled_at: Moment | None = None  # or planned for
    recovered_at: Moment | None = None
    inquiries: Count
    description: Text

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        refuse(self._slips())
        return self

    def _slips(self) -> Iterator[Slip]:
        if self.discovered_at < self.occurred_at:
            yield ("discovered_at",), "discovered"
        if self.recovered_at and self.recovered_at < self.occurred_at:
            yield ("recovered_at",), "recovered"
        if self.progress is Progress.RECOVERED and not self.recovered_at:
            yield ("recovered_at",), "unrecovered"


class Report(Model):
    """A malfunction as it was reported last."""

    __tablename__ = "malfunction"

    id: Mapped[int] = mapped_column(primary_key=True)
    malfunction: Mapped[dict[str, Any]] = mapped_column(JSON)
    reported_at: Mapped[datetime]
    changed_at: Mapped[datetime]


@dataclass(frozen=True)
class Row:
    """A report, read."""

    id: int
    malfunction: Malfunction
    reported_at: datetime
    changed_at: datetime

    @property
    def version(self) -> str:
        """What tells this state of the report from later ones."""
        return self.changed_at.isoformat()


def add(malfunction: Malfunction, nonce: str, now: datetime) -> bool:
    """Keep a new report; false if its form, whose nonce it is, has brought one before."""
    with transaction() as session:
        is_first = login.spend(session, nonce, now)
        if is_first:
            session.add(Report(malfunction=_kept(malfunction), reported_at=now, changed_at=now))
    return is_first


def correct(report_id: int, malfunction: Malfunction, now: datetime, version: str) -> bool:
    """Keep what is new about a report; false if it is not in the version that its editor has seen."""
    with transaction() as session:
        report = session.get_one(Report, report_id, with_for_update=True)
        if _row(report).version != version:
            return False
        report.malfunction, report.changed_at = _kept(malfunction), now
    return True


def reports() -> Sequence[Row]:
    """Every report, the newest first."""
    newest = db.session.scalars(select(Report).order_by(Report.id.desc()))
    return [_row(report) for report in newest]


def find(report_id: int) -> Row | None:
    report = db.session.get(Report, report_id) if report_id <= MOST else None
    return _row(report) if report else None


def export(file: TextIO, rows: Sequence[Row]) -> None:
    """The reports as CSV: a line each, moments in Japan's time."""
    names = list(Malfunction.model_fields)
    reported = (
        (row.id, *(getattr(row.malfunction, name) for name in names), row.reported_at, row.changed_at)
        for row in rows
    )
    lines = ([_cell(value) for value in values] for values in reported)
    csv_file.write(file, ["report", *names, "reported_at", "changed_at"], lines)


def _kept(malfunction: Malfunction) -> dict[str, Any]:
    return malfunction.model_dump(mode="json")


def _row(report: Report) -> Row:
    return Row(
        report.id, Malfunction.model_validate(report.malfunction), report.reported_at, report.changed_at
    )


def _cell(value: object) -> object:
    return value.astimezone(JAPAN).isoformat(timespec="minutes") if isinstance(value, datetime) else value
