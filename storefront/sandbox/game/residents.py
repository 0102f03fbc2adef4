"""Who may come into the town: whom the platform lets in, and the browser in which they came."""

from datetime import datetime

from flask import session as browser
from sqlalchemy import UniqueConstraint, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Mapped, mapped_column

from storefront.languages import said
from storefront.sandbox import passes
from storefront.sandbox.game.context import Game
from storefront.sandbox.game.store import Base, reading, transaction
from storefront.sandbox.passes import BadPass
from storefront.sandbox.storefile import Moment

TOWNS = "towns"  # in the browser's session: whom it has brought here, the last one last
MOST = 20


class Resident(Base):
    """Somebody who has come to the town."""

    __tablename__ = "resident"
    __table_args__ = (UniqueConstraint("channel", "external_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    channel: Mapped[str]
    external_id: Mapped[str]
    ja: Mapped[str]
    en: Mapped[str]

    def called(self, language: str) -> str:
        return said({"ja": self.ja, "en": self.en}, language)


class Spent(Base):
    """The number of a pass by which somebody has come in."""

    __tablename__ = "spent"

    number: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment)


def let_in(game: Game, text: str, now: datetime) -> Resident:
    """Whoever comes by this pass lives in this browser from now on; BadPass if it is not good, or spent."""
    one = passes.read(text, game.settings.door_secret.get_secret_value(), game.settings.pass_seconds)
    whose = {"channel": one.channel, "external_id": one.external_id}
    names = {"ja": one.ja, "en": one.en}
    with transaction() as session:
        spending = insert(Spent).values(number=one.number, at=now).on_conflict_do_nothing()
        if session.execute(spending.returning(Spent.number)).first() is None:
            raise BadPass
        coming = insert(Resident).values(**whose, **names)
        coming = coming.on_conflict_do_update(index_elements=list(whose), set_=names)
        resident = session.scalars(coming.returning(Resident)).one()
    towns = [one for one in browser.get(TOWNS, []) if one != resident.id]
    browser[TOWNS] = [*towns, resident.id][-MOST:]
    return resident


def of_browser() -> list[Resident]:
    """Whom this browser has brought here, the last one first."""
    with reading() as session:
        found = {
            one.id: one
            for one in session.scalars(select(Resident).where(Resident.id.in_(browser.get(TOWNS, []))))
        }
    return [found[one] for one in reversed(browser.get(TOWNS, [])) if one in found]


def of_number(number: int) -> Resident | None:
    """The resident of this number, if it was this browser that brought them."""
    return next((one for one in of_browser() if one.id == number), None)
