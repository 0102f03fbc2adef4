"""What goes wrong at the provider on purpose: set over the wire by the platform's desk, for the next so many.

The provider knows buyers of the shop, and nothing of stages: what is set here counts for whoever comes next.
Each meeting is told to the desk that set it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import requests
from flask import Blueprint, abort
from flask.typing import ResponseReturnValue
from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from storefront.sandbox import heard, strokes
from storefront.sandbox.provider.context import Provider, provider
from storefront.sandbox.provider.store import Base, reading, transaction

KINDS = (
    "provider.down",
    "notice.lost",
    "notice.stale",
    "notice.forged",
    "notice.copies",
    "notice.another_sum",
)
TELLING_SECONDS = 2
NOT_THERE = 404

blueprint = Blueprint("weather", __name__)


class Weather(Base):
    """Weather of one stage's desk; the number is the desk's."""

    __tablename__ = "weather"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str]
    left: Mapped[int | None]
    seconds: Mapped[int | None]
    chance: Mapped[int | None]
    seed: Mapped[int]
    met: Mapped[int] = mapped_column(default=0)


@blueprint.before_request
def check_desk() -> None:
    """Refuse whoever does not know the word of the desk."""
    heard.believe(provider().settings.desk_token)


@blueprint.put("/weather/<int:number>")
def come(number: int) -> ResponseReturnValue:
    """Let it come."""
    said = heard.read()
    if said.get("kind") not in KINDS:
        abort(400)
    names = ("kind", "left", "seconds", "chance", "seed")
    with transaction() as session:
        session.merge(Weather(id=number, met=0, **{name: said.get(name) for name in names}))
    return "", 204


@blueprint.delete("/weather/<int:number>")
def go(number: int) -> ResponseReturnValue:
    """As if it had never been set."""
    _forget(number)
    return "", 204


@blueprint.get("/weather")
def show() -> ResponseReturnValue:
    """What is set and not over."""
    return [{"id": row.id, "kind": row.kind, "left": row.left, "met": row.met} for row in standing()]


def standing() -> Sequence[Weather]:
    with reading() as session:
        return session.scalars(select(Weather).where(_still()).order_by(Weather.id)).all()


def take(company: Provider, kind: str) -> Weather | None:
    """The weather of this kind that strikes here and now, counted; None if none does."""
    fits = (Weather.kind == kind, _still())
    chosen = select(Weather.id).where(*fits).order_by(Weather.id).limit(1)
    with reading() as session:
        if session.scalars(chosen).first() is None:
            return None
    counted = update(Weather).where(Weather.id == chosen.scalar_subquery())
    counted = counted.values(left=Weather.left - 1, met=Weather.met + 1)
    with transaction() as session:
        row = session.scalars(counted.returning(Weather)).one_or_none()
    if row is None:
        return None
    struck = strokes.falls(row.seed, kind, row.met, row.chance)
    if not _is_known(company, row, struck=struck):
        _forget(row.id)
        return take(company, kind)
    return row if struck else None


def _forget(number: int) -> None:
    with transaction() as session:
        session.execute(delete(Weather).where(Weather.id == number))


def _still() -> Any:
    return or_(Weather.left.is_(None), Weather.left > 0)


def _is_known(company: Provider, row: Weather, *, struck: bool) -> bool:
    """Whether the desk, which is told of the meeting, still has this weather: with its stage it is gone."""
    told = {"left": row.left, "met": row.met, "struck": struck}
    return tell_desk(company, f"weather/{row.id}/met", told) != NOT_THERE


def tell_desk(company: Provider, what: str, told: Mapping[str, Any]) -> int | None:
    """The desk is told, and its status; if it cannot hear, what it shows is behind and nothing else."""
    settings = company.settings
    if not settings.platform_url:
        return None
    token = {"Authorization": f"Bearer {settings.desk_token.get_secret_value()}"}
    try:
        return company.http.post(
            f"{settings.platform_url}/desk/{what}", json=told, headers=token, timeout=TELLING_SECONDS
        ).status_code
    except (requests.RequestException, OSError):
        return None
