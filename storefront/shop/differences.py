"""What loading a catalogue file would change on the shelf, told before it is done."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from storefront import clock
from storefront.clock import JAPAN
from storefront.shop import adjustments, catalog, catalog_file, counter
from storefront.shop.adjustments import Adjustment, Field, Value
from storefront.shop.catalog import IN_FILE, Item
from storefront.shop.catalog_file import Entry


def of(session: Session, path: Path) -> list[str]:
    """What loading a file would change on the shelf, and what it would leave as the operator has set it.

    Raises CatalogError.
    """
    entries = catalog_file.read(path, counter.price_rules(counter.counters()))
    items = {item.id: item for item in session.scalars(select(Item))}
    prices, adjusted = catalog.prices(), adjustments.current(session)
    sold = {one.channel for one in counter.counters()}
    lines = []
    for entry in entries:
        item, asked = items.get(entry.id), {one: it for one, it in entry.prices.items() if one in sold}
        if item is None:
            lines.append(f"{entry.id}: new")
            continue
        lines += [
            f"{entry.id}: {change}" for change in _changes(item, entry, prices.get(entry.id, {}), asked)
        ]
        lines += [f"{entry.id}: {kept}" for kept in _kept(entry, adjusted.get(entry.id, {}))]
    gone = items.keys() - {entry.id for entry in entries}
    return lines + [f"{one}: withdrawn" for one in sorted(gone) if not items[one].withdrawn]


def _changes(item: Item, entry: Entry, before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[str]:
    """What the file says otherwise than it did."""
    if item.withdrawn:
        yield "on the shelf again"
    for channel in sorted(before.keys() | after.keys()):
        if before.get(channel) != after.get(channel):
            yield f"price at {channel} {_plain(before.get(channel))} -> {_plain(after.get(channel))}"
    written = item.said_in_file
    for one in IN_FILE:
        was, will_be = written.get(one), getattr(entry, one.value)
        if was != will_be:
            yield f"{one.value} {_plain(was)} -> {_plain(will_be)}"
    if (item.names, item.descriptions) != (entry.name, entry.description):
        yield "other words"
    if (item.art, item.consumable) != (entry.art, entry.consumable):
        yield "another drawing, or another use"


def _kept(entry: Entry, adjusted: Mapping[Field, Adjustment]) -> Iterator[str]:
    """What the operator has set, and the file does not change."""
    for one, own in adjusted.items():
        in_file = "" if one is Field.PAUSED else f"; the file says {_plain(getattr(entry, one.value))}"
        yield f"{one.value} stays {_plain(own.says)}, set by {own.by} on {clock.day(own.set_at)}{in_file}"


def _plain(value: Value) -> str:
    return f"{value.astimezone(JAPAN):%Y-%m-%d %H:%M}" if isinstance(value, datetime) else str(value).lower()
