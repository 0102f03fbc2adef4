"""What the shelf says of prices outside, held against the papers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from storefront.external.channel import NAME
from storefront.external.registration import Facts, Price, Rule, forbidden_price, price
from storefront.shop import catalog
from storefront.shop.catalog import Item, Offer


@dataclass(frozen=True)
class Row:
    """An item that has a price outside, and what the last approved paper says of it."""

    item: Item
    yen: int
    approved: Price | None
    closed_by: Rule | None


def prices() -> Mapping[str, int]:
    """What each item costs outside, in yen."""
    return {offer.item.id: offer.amount for offer in catalog.listing(NAME)}


def rows(facts: Facts, on: date) -> Sequence[Row]:
    """Every item with a price outside, in the order of the catalogue."""
    return [_row(facts, offer, on) for offer in catalog.listing(NAME)]


def _row(facts: Facts, offer: Offer, on: date) -> Row:
    item, yen = offer.item, offer.amount
    return Row(item, yen, price(facts, item.id, on), forbidden_price(facts, item.id, yen, on))
