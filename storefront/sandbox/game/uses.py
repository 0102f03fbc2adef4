"""Using things up in the town: each press of a button by a key, which the shop counts once.

asked -> used       the shop has used it, now or when the key came first
asked -> refused    the shop has refused it, and nothing was used
asked               no answer yet: the next press sends the same key
"""

import secrets
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Mapped, mapped_column

from storefront.sandbox.game import client
from storefront.sandbox.game.client import Refused, Silent
from storefront.sandbox.game.context import Game
from storefront.sandbox.game.faults import Fault
from storefront.sandbox.game.residents import Resident
from storefront.sandbox.game.store import Base, reading, transaction
from storefront.sandbox.storefile import Moment

# The shop's words for a use that it will never grant; all others may be asked again.
FINAL = ("too-few", "not-consumable", "key-reused", "malformed", "no-such-customer")


class State(StrEnum):
    """What became of a use."""

    ASKED = "asked"
    USED = "used"
    REFUSED = "refused"


class Another(Exception):
    """This key was for something else."""


class Use(Base):
    """One use of one item, by its key."""

    __tablename__ = "use"

    key: Mapped[str] = mapped_column(primary_key=True)
    resident_id: Mapped[int] = mapped_column(index=True)
    item: Mapped[str]
    state: Mapped[State] = mapped_column(default=State.ASKED)
    why: Mapped[str] = mapped_column(default="")
    asked_at: Mapped[datetime] = mapped_column(Moment)


def waiting(resident: Resident) -> Mapping[str, str]:
    """The keys that have no answer yet, by what they are to use; the first of each."""
    mine = (Use.resident_id == resident.id, Use.state == State.ASKED)
    with reading() as session:
        found = session.scalars(select(Use).where(*mine).order_by(Use.asked_at.desc())).all()
    return {one.item: one.key for one in found}


def fresh_key() -> str:
    return secrets.token_urlsafe(18)


def use(
    game: Game, resident: Resident, item: str, key: str, now: datetime, fault: Fault | None = None
) -> tuple[State, str, bool]:
    """Use one of an item up: what became of it, why, and whether it was this call that brought it about."""
    known = _written(resident, item, key, now)
    if known.state is not State.ASKED:
        return known.state, known.why, False
    try:
        client.use(game, key, resident.channel, resident.external_id, item, fault)
    except Silent as why:
        return State.ASKED, str(why), False
    except Refused as why:
        if str(why) not in FINAL:
            return State.ASKED, str(why), False
        return State.REFUSED, str(why), _end(key, State.REFUSED, str(why))
    return State.USED, "", _end(key, State.USED, "")


def _written(resident: Resident, item: str, key: str, now: datetime) -> Use:
    row = {"key": key, "resident_id": resident.id, "item": item, "state": State.ASKED, "why": ""}
    with transaction() as session:
        session.execute(insert(Use).values(**row, asked_at=now).on_conflict_do_nothing())
        found = session.get_one(Use, key)
    if (found.resident_id, found.item) != (resident.id, item):
        raise Another
    return found


def _end(key: str, state: State, why: str) -> bool:
    ending = update(Use).where(Use.key == key, Use.state == State.ASKED).values(state=state, why=why)
    with transaction() as session:
        return session.execute(ending.returning(Use.key)).first() is not None
