"""What happened, day by day, and what was written to whom."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.sandbox.colorme.store import Base, reading
from storefront.sandbox.storefile import Moment

DEVELOPER = ""  # to whom a letter goes that goes to no shop
MOST = 2000


class Mood(StrEnum):
    """What an entry is to whoever looks for trouble."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"


class Happening(Base):
    """One thing that happened. `text` is of the catalogue, `values` stand in it."""

    __tablename__ = "happening"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment, index=True)
    account: Mapped[str | None]
    contract: Mapped[str | None]
    mood: Mapped[Mood] = mapped_column(default=Mood.PLAIN)
    text: Mapped[str]
    values: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


class Letter(Base):
    """One mail to a shop, or to the developer."""

    __tablename__ = "letter"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment)
    account: Mapped[str] = mapped_column(index=True)
    # The same letter is never written twice.
    key: Mapped[str] = mapped_column(unique=True)
    subject: Mapped[str]
    body: Mapped[str]
    values: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


def note(
    session: Session,
    now: datetime,
    text: str,
    values: Mapping[str, Any] | None = None,
    *,
    account: str | None = None,
    contract: str | None = None,
    mood: Mood = Mood.PLAIN,
) -> None:
    """Write down that this happened, together with what happened."""
    told = dict(values or {})
    session.add(Happening(at=now, account=account, contract=contract, mood=mood, text=text, values=told))


def write(
    session: Session,
    now: datetime,
    account: str,
    key: str,
    subject: str,
    body: str,
    values: Mapping[str, Any],
) -> bool:
    """Write to somebody, unless this letter was written before."""
    if session.scalar(select(func.count()).select_from(Letter).where(Letter.key == key)):
        return False
    session.add(Letter(at=now, account=account, key=key, subject=subject, body=body, values=dict(values)))
    session.flush()
    return True


def mailbox(account: str) -> Sequence[Letter]:
    """The letters to a shop, or to the developer, newest first."""
    with reading() as session:
        return session.scalars(
            select(Letter).where(Letter.account == account).order_by(Letter.id.desc())
        ).all()


def entries(start: datetime, end: datetime) -> Sequence[Happening]:
    """What happened from one moment on until before another, in order."""
    chosen = select(Happening).where(Happening.at >= start, Happening.at < end)
    with reading() as session:
        return session.scalars(chosen.order_by(Happening.at, Happening.id).limit(MOST)).all()


def latest(count: int, account: str | None = None) -> Sequence[Happening]:
    """The newest entries, of one shop if one is named."""
    chosen = select(Happening).order_by(Happening.id.desc()).limit(count)
    chosen = chosen.where(Happening.account == account) if account else chosen
    with reading() as session:
        return session.scalars(chosen).all()
