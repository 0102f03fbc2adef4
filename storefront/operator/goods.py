"""Goods without a deploy: pause and resume an item, change its stock, limit and sale window.

What is set wins over the catalogue's file until it is given back. Prices stay in the file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from flask_babel import LazyString
from flask_babel import lazy_gettext as _

from storefront.clock import JAPAN
from storefront.db import transaction, unhurried
from storefront.shop import adjustments, catalog, catalog_file, inventory
from storefront.shop.adjustments import NAME_LENGTH, REMARK_LENGTH, Field, Value
from storefront.shop.catalog import Item
from storefront.shop.catalog_file import MOST

FILE = "file"  # begins the name of the box that gives a field back
UNSAID = _("Say who you are, in 64 characters at most, and keep the remark under 200.")
NO_NUMBER = _("Write stock and limit in digits, or leave them empty for none; a limit is at least 1.")
NO_MOMENT = _("There is no such day or time: write it as 2027-01-31T18:00, in Japan, or leave it empty.")
NO_WINDOW = _("The sale would end before it begins.")

log = structlog.get_logger()


class Refused(Exception):
    """Nothing was set; `words` says why."""

    def __init__(self, words: LazyString) -> None:
        super().__init__()
        self.words = words


class Outdated(Exception):
    """Somebody else has set something about the item since the form was filled."""


@dataclass(frozen=True)
class Wish:
    """What a form asks for: what is set, what is given back, by whom, and a remark."""

    set: Mapping[Field, Value]
    given_back: Sequence[Field]
    by: str
    remark: str

    @classmethod
    def read(cls, sent: Mapping[str, str], item: Item) -> "Wish":
        """What was changed in the form of an item as it stands; or Refused."""
        by, remark = (" ".join(sent.get(name, "").split()) for name in ("by", "remark"))
        fits = 0 < len(by) <= NAME_LENGTH and len(remark) <= REMARK_LENGTH
        if not (fits and (by + remark).isprintable()):
            raise Refused(UNSAID)
        before = shown(item)
        changed = [one for one in Field if sent.get(one.value, "").strip() != before[one]]
        given_back = [one for one in Field if one not in changed and f"{FILE}-{one.value}" in sent]
        return cls(
            {one: _read(one, sent.get(one.value, "").strip()) for one in changed}, given_back, by, remark
        )


def shown(item: Item) -> Mapping[Field, str]:
    """What counts for an item today, as the form has it."""
    return {one: written(getattr(item, one.value)) for one in Field}


def in_file(item: Item) -> Mapping[Field, str]:
    """What the file says, written the same way."""
    return {one: written(value) for one, value in item.said_in_file.items()}


def written(value: Value) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(JAPAN):%Y-%m-%dT%H:%M}"
    return "" if value is None or value is False else "yes" if value is True else str(value)


def change(item_id: str, wish: Wish, seen: int, now: datetime) -> None:
    """Set what is wished for; `seen` is the mark of the item when the form was filled.

    Nothing is sold meanwhile. Raises Refused and Outdated.
    """
    if not (wish.set or wish.given_back):
        return
    with transaction() as session:
        catalog.hold(session)
        if adjustments.mark(session, item_id) != seen:
            raise Outdated
        adjustments.keep(session, item_id, wish.set, wish.given_back, wish.by, wish.remark, now)
        catalog.adjust(session, item_id)
        item = session.get_one(Item, item_id)
        if item.on_sale_from and item.on_sale_until and item.on_sale_from >= item.on_sale_until:
            raise Refused(NO_WINDOW)
        unhurried(session)
        inventory.tally(session)
    fields = [*wish.set, *wish.given_back]
    log.warning("goods adjusted", item=item_id, fields=[one.value for one in fields], by=wish.by)


def _read(one: Field, text: str) -> Value:
    if one is Field.PAUSED:
        return text == written(True)
    if not text:
        return None
    if one in (Field.STOCK, Field.PER_CUSTOMER):
        return _number(text, least=0 if one is Field.STOCK else 1)
    try:
        return catalog_file.moment(text)
    except ValueError:
        raise Refused(NO_MOMENT) from None


def _number(text: str, least: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and least <= int(text) <= MOST):
        raise Refused(NO_NUMBER)
    return int(text)
