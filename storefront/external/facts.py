"""The facts of the registration as the operator recorded them. Nothing is overwritten: the newest counts.

What was recorded is read as it was. What is told now must not contradict itself.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from typing import Annotated, Any, LiteralString

from flask_babel import LazyString
from flask_babel import lazy_gettext as _
from pydantic import AfterValidator, TypeAdapter
from sqlalchemy import JSON, func, select
from sqlalchemy.orm import Mapped, mapped_column

from storefront.db import Model, db, insert_once, transaction
from storefront.external.channel import channel
from storefront.external.registration import (
    Certificate,
    Change,
    ChangeKind,
    Effect,
    Facts,
    Paper,
    Provider,
    Sheet,
)
from storefront.external.settings import is_of_mixi, settings
from storefront.external.told import Place, Slip, refuse
from storefront.shop import catalog

SEQUENCE = "registration_id_seq"
Wrong = Iterator[tuple[str, LiteralString]]  # a field of one part, and what is wrong with it


class Record(Model):
    """All facts, as they stood from one moment on."""

    __tablename__ = "registration"

    id: Mapped[int] = mapped_column(primary_key=True)
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)
    recorded_at: Mapped[datetime]


def current() -> Facts:
    """What counts now; nothing, as long as nothing was recorded."""
    newest = db.session.scalar(select(Record.facts).order_by(Record.id.desc()).limit(1))
    return RECORDED.validate_python(newest) if newest else Facts()


def payee() -> LazyString | str:
    """What buyers know the provider by: its name in the newest papers."""
    door = channel()
    named = [one.name for one in current().providers if door and one.site == door.site]
    return named[0] if named else _("the payment provider")


def number() -> int:
    """Which record counts now; 0 as long as nothing was recorded."""
    return db.session.scalar(select(func.max(Record.id))) or 0


def told(values: Mapping[str, Any]) -> Facts:
    """What the operator says now, or a ValidationError with each field that something is wrong with."""
    return TOLD.validate_python(values)


def record(facts: Facts, now: datetime, after: int) -> bool:
    """From now on these count; false if `after` is not the number of those that did.

    Whoever records has seen what they replace: an old page would undo what it does not show.
    """
    values = {"facts": RECORDED.dump_python(facts, mode="json"), "recorded_at": now}
    with transaction() as session:
        is_next = number() == after and insert_once(session, Record, id=after + 1, **values)
        if is_next and session.get_bind().dialect.name == "postgresql":
            # The version before lets the database number them, and may be gone back to.
            session.execute(select(func.setval(SEQUENCE, after + 1)))
    return is_next


def _consistent(facts: Facts) -> Facts:
    refuse(_slips(facts))
    return facts


def _slips(facts: Facts) -> Iterator[Slip]:
    names, items = [provider.name for provider in facts.providers], catalog.ids()
    for place, part in _parts(facts):
        for field, word in _wrong(part, names, items):
            yield (*place, field), word
    for number, name in enumerate(names):
        if name in names[:number]:
            yield ("providers", number, "name"), "twice"


def _parts(value: object, place: Place = ()) -> Iterator[tuple[Place, object]]:
    """Facts and all that they are made of, each with its place."""
    if isinstance(value, tuple):
        for number, row in enumerate(value):
            yield from _parts(row, (*place, number))
    elif is_dataclass(value):
        yield place, value
        for field in fields(value):
            yield from _parts(getattr(value, field.name), (*place, field.name))


def _wrong(part: object, names: Collection[str], items: Collection[str]) -> Wrong:
    """Days out of turn, names that name nothing, changes that change nothing."""
    match part:
        case Paper():
            yield from _in_turn("received_on", part.sent_on, part.received_on)
        case Sheet():
            yield from _in_turn("deadline", part.requested_on, part.deadline)
            yield from _in_turn("submitted_on", part.requested_on, part.submitted_on)
        case Certificate():
            yield from _in_turn("until", part.since, part.until)
        case Provider():
            if not part.name:
                yield "name", "blank"  # the warning page names whom the buyer pays
            if part.site and is_of_mixi(part.site, settings()):
                yield "site", "site"
        case Change():
            yield from _in_turn("approved_on", part.form.sent_on, part.approved_on)
            yield from _prices(part.prices, items)
            yield from _nothing(part, names)
        case Facts():
            yield from _prices(part.prices, items)


def _in_turn(field: str, first: date | None, then: date | None) -> Wrong:
    if first and then and then < first:
        yield field, "turn"


def _prices(prices: Mapping[str, int], items: Collection[str]) -> Wrong:
    if not set(prices) <= set(items):
        yield "prices", "item"
    elif 0 in prices.values():
        yield "prices", "prices"


def _nothing(change: Change, names: Collection[str]) -> Wrong:
    """Why nothing would come of its approval; as long as nobody was asked, it may be unfinished."""
    if change.form.sent_on or change.approved_on:
        if change.kind is ChangeKind.PRICE and not change.prices:
            yield "prices", "blank"
        if change.kind is ChangeKind.PROVIDER and change.effect is Effect.CHANGE:
            yield "effect", "effect"
    if change.kind in (ChangeKind.PROVIDER, ChangeKind.METHOD) and change.effect is not Effect.CHANGE:
        if change.provider not in names:
            yield "provider", "provider"
        if change.kind is ChangeKind.METHOD and not change.service:
            yield "service", "blank"


RECORDED = TypeAdapter(Facts)
TOLD: TypeAdapter[Facts] = TypeAdapter(Annotated[Facts, AfterValidator(_consistent)])
