"""When the database was last copied, by `storefront backup` or as `storefront backed-up` was told."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from storefront.db import Model, db, transaction


class Backup(Model):
    """A copy that was made, and its size."""

    __tablename__ = "backup"

    id: Mapped[int] = mapped_column(primary_key=True)
    made_at: Mapped[datetime]
    size: Mapped[int]


def note(size: int, now: datetime) -> bool:
    """Keep that a copy was made. False where it cannot be kept, as before an upgrade: the copy is good."""
    try:
        with transaction() as session:
            session.add(Backup(made_at=now, size=size))
    except SQLAlchemyError:
        return False
    return True


def last() -> Backup | None:
    return db.session.scalar(select(Backup).order_by(Backup.id.desc()).limit(1))
