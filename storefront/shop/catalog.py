"""What is sold, and for how much."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, ForeignKey, Select, String, delete, select, text, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront import clock
from storefront.db import BY_UPGRADE, Model, db, upsert
from storefront.languages import said
from storefront.shop import adjustments, catalog_file, counter
from storefront.shop.adjustments import Adjustment, Field, Value
from storefront.shop.catalog_file import Entry

Adjusted = Mapping[Field, Adjustment]
IN_FILE: Sequence[Field] = tuple(one for one in Field if one is not Field.PAUSED)


class Item(Model):
    """A kind of goods. Withdrawn rather than deleted, since somebody may hold it."""

    __tablename__ = "item"
    __table_args__ = BY_UPGRADE

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    position: Mapped[int]
    names: Mapped[dict[str, str]] = mapped_column(JSON)
    descriptions: Mapped[dict[str, str]] = mapped_column(JSON)
    art: Mapped[str]
    consumable: Mapped[bool]
    withdrawn: Mapped[bool] = mapped_column(default=False)
    # What the file says of the fields below, but of whether it is paused.
    written: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    paused: Mapped[bool] = mapped_column(default=False)
    stock: Mapped[int | None]
    per_customer: Mapped[int | None]
    on_sale_from: Mapped[datetime | None]
    on_sale_until: Mapped[datetime | None]

    @property
    def said_in_file(self) -> Mapping[Field, Value]:
        """What the catalogue's file says of what the operator may set."""
        return adjustments.unpacked({Field(name): value for name, value in self.written.items()})

    def name(self, language: str) -> str:
        return said(self.names, language)

    def description(self, language: str) -> str:
        return said(self.descriptions, language)


class Price(Model):
    """What an item costs in one channel, in that channel's unit."""

    __tablename__ = "price"
    __table_args__ = BY_UPGRADE

    item_id: Mapped[str] = mapped_column(ForeignKey("item.id"), primary_key=True)
    channel: Mapped[str] = mapped_column(String(16), primary_key=True)
    amount: Mapped[int]
    unit: Mapped[str] = mapped_column(String(8))


@dataclass(frozen=True)
class Offer:
    """An item with its price in the channel that asked; `amount` is what is asked for it today."""

    item: Item
    price: Price
    amount: int


def listing(channel: str) -> list[Offer]:
    """What `channel` sells today, in the order of the catalogue."""
    return _found(channel, _offers(channel).order_by(Item.position))


def offer(item_id: str, channel: str) -> Offer | None:
    """One item as `channel` sells it today."""
    if not catalog_file.ITEM_ID.fullmatch(item_id):
        return None
    return next(iter(_found(channel, _offers(channel).where(Item.id == item_id))), None)


def item(item_id: str) -> Item:
    """An item that there is or was."""
    return db.session.get_one(Item, item_id)


def arts(item_ids: Collection[str]) -> Mapping[str, str]:
    """The drawing of each of these items."""
    return dict(db.session.execute(select(Item.id, Item.art).where(Item.id.in_(item_ids))).all())


def everything() -> Sequence[Item]:
    """Every item that there is or was, in the order of the catalogue, the withdrawn ones last."""
    return db.session.scalars(select(Item).order_by(Item.withdrawn, Item.position, Item.id)).all()


def prices() -> Mapping[str, Mapping[str, int]]:
    """What each item costs in each channel, as the file says."""
    found: dict[str, dict[str, int]] = {}
    for price in db.session.scalars(select(Price).order_by(Price.channel)):
        found.setdefault(price.item_id, {})[price.channel] = price.amount
    return found


def ids() -> Collection[str]:
    """Of every item that there is or was."""
    return db.session.scalars(select(Item.id)).all()


def cheapest(channel: str) -> Offer | None:
    return next(iter(_found(channel, _offers(channel).order_by(Price.amount).limit(1))), None)


def load(session: Session, path: Path) -> int:
    """Make the shelf say what the file says; returns how many items it sells.

    Raises CatalogError.
    """
    entries = catalog_file.read(path, counter.price_rules(counter.counters()))
    hold(session)
    session.execute(update(Item).values(withdrawn=True))
    adjusted = adjustments.current(session)
    for position, entry in enumerate(entries):
        _store(session, position, entry, adjusted.get(entry.id, {}))
    return len(entries)


def adjust(session: Session, item_id: str) -> None:
    """Make an item say what the operator has set, and of the rest what its file says."""
    item = session.get_one(Item, item_id)
    for one, value in _effective(
        item.said_in_file, adjustments.current(session, item_id).get(item_id, {})
    ).items():
        setattr(item, one.value, value)
    session.flush()


def hold(session: Session) -> None:
    """Nothing is sold or begun from now until the end of the transaction; what was begun before is over."""
    # Not row by row: sales of one item overlap, and could keep who waits for its row waiting for ever.
    if session.get_bind().dialect.name == "postgresql":  # SQLite has one writer
        session.execute(text("LOCK TABLE item IN EXCLUSIVE MODE"))


def _store(session: Session, position: int, entry: Entry, adjusted: Adjusted) -> None:
    written: dict[Field, Value] = {one: getattr(entry, one.value) for one in IN_FILE}
    values = {
        "position": position,
        "names": entry.name,
        "descriptions": entry.description,
        "art": entry.art,
        "consumable": entry.consumable,
        "withdrawn": False,
        "written": {one.value: value for one, value in adjustments.packed(written).items()},
        **{one.value: value for one, value in _effective(written, adjusted).items()},
    }
    item = upsert(session, Item).values(id=entry.id, **values)
    session.execute(item.on_conflict_do_update(index_elements=["id"], set_=values))
    session.execute(delete(Price).where(Price.item_id == entry.id))
    for one in counter.counters():  # a price where nobody sells lies idle
        if one.channel in entry.prices:
            amount = entry.prices[one.channel]
            session.add(Price(item_id=entry.id, channel=one.channel, amount=amount, unit=one.unit.code))


def _effective(written: Mapping[Field, Value], adjusted: Adjusted) -> Mapping[Field, Value]:
    """What counts: the operator's word before the file's."""
    return {Field.PAUSED: False, **written, **{one: said.says for one, said in adjusted.items()}}


def _found(channel: str, query: Select[Item, Price]) -> list[Offer]:
    today, asked = clock.day(clock.now()), counter.of(channel).prices.asked
    return [Offer(item, price, asked(price.amount, today)) for item, price in db.session.execute(query)]


def _offers(channel: str) -> Select[Item, Price]:
    priced = (Price.item_id == Item.id) & (Price.channel == channel)
    return select(Item, Price).join(Price, priced).where(~Item.withdrawn)
