"""What a counter is to the shop: one value, which its room hands over.

A room makes its value without an app. So whatever depends on the running shop is a function in it,
called when it is wanted.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask import Flask, current_app
from flask_babel import LazyString

from storefront import security
from storefront.config import HouseSettings
from storefront.security import Others
from storefront.shop.catalog_file import PriceRule
from storefront.shop.customers import Customer
from storefront.shop.devices import Device
from storefront.shop.units import Unit
from storefront.shop.visits import Visit

COUNTERS = "counters"


class FalseClaim(Exception):
    """A request claims to come from a counter's platform, and does not."""


@dataclass(frozen=True)
class Turn:
    """One thing that became of a purchase, as its buyer is told; without a moment it is still awaited."""

    words: LazyString
    at: datetime | None = None


@dataclass(frozen=True)
class Purchase:
    """A purchase as its buyer sees it, in its counter's words.

    `course` is what became of it, in the order of time; `unfinished` is said of one that may be bought anew,
    `notes` whatever else its state does not say; `in_doubt` is one that the platform has yet to confirm.
    `key` is that of its entry in the ledger, if it has one.
    `by_hand` is said of what the operator gave or took, so many of it, and `of` is then the code of the
    purchase that this puts right.
    """

    code: str
    channel: str
    item_id: str
    item_name: str
    amount: int
    state: str
    at: datetime
    course: Sequence[Turn] = ()
    is_test: bool = False
    unfinished: LazyString | None = None
    notes: Sequence[LazyString] = ()
    in_doubt: bool = False
    key: str = ""
    by_hand: LazyString | None = None
    quantity: int = 1
    of: str = ""


@dataclass(frozen=True)
class Step:
    """One thing that happened to a customer, as the operator reads it.

    `key` is that of the purchase which it is part of, `code` what people call it by; `amount` is in the
    unit of the channel's counter.
    """

    at: datetime
    words: LazyString | str
    key: str = ""
    code: str = ""
    item_id: str = ""
    amount: int | None = None
    channel: str = ""
    notes: Sequence[LazyString | str] = ()


@dataclass(frozen=True)
class Message:
    """A purchase of an item that could not be started; `words` say what became of the money.

    `is_final` if trying again in a while will not help either.
    """

    words: LazyString
    item_id: str
    names: Mapping[str, str]  # of the item, by language
    reference: str
    is_final: bool


@dataclass(frozen=True)
class Place:
    """A page of the counter's own that its visitors find beside shelf, bag and history."""

    endpoint: str
    words: LazyString


@dataclass(frozen=True)
class Entrance:
    """Where the visitors of a platform come in.

    `address` is where they open the app there. `recognise` says whose this request is, if it is one of
    theirs: nobody's if it does not even claim to be, and FalseClaim if it claims to be and is not.
    `refresh` holds their purchases against the platform's.
    """

    address: Callable[[], str]
    recognise: Callable[[], Visit | None]
    refresh: Callable[[Customer], None]
    messages: Callable[[Customer], Sequence[Message]]


@dataclass(frozen=True)
class SideDoor:
    """A way to pay for who has come in by another counter's entrance, at the channels it stands `beside`.

    `payee` says who is paid there.
    """

    beside: frozenset[str]
    leads_out: Callable[[Visit], bool]
    payee: Callable[[], LazyString | str]


@dataclass(frozen=True)
class Counter:
    """One way to buy, with an entrance or as a side door.

    Its blueprint has the channel's name, so that its pages open to nobody whom it does not serve, and an
    endpoint `checkout`, and `leave` if its entrance opens visits; in a folder of that name are the
    templates `terms.html`, `legal.html` and `money.html`, which says what a purchase did to its buyer's
    money, and a side door's `way.html`. `find` finds a customer's own purchase by its code. `most` is what
    one purchase may cost on a device, where that is limited; `withholds` says which of these items a
    customer cannot have there now, and why. Where a press may come to different things `means` says which,
    and a form for one is none for another. `whose` says which customer's purchase, or
    start that failed, has this code, `bars` why nothing may be given for it by hand, and `steps` what the
    operator should know of the newest so many of a customer's.
    `settings` are those of the room; what is asked with settings is given those.
    """

    channel: str
    platform: LazyString | str  # the name that visitors know it by
    unit: Unit
    prices: PriceRule
    states: Mapping[str, LazyString]  # of its purchases, in words
    purchases: Callable[[Customer, int], Sequence[Purchase]]  # the newest so many, newest first
    find: Callable[[Customer, str], Purchase | None]
    entrance: Entrance | None = None
    side_door: SideDoor | None = None
    places: Sequence[Place] = ()
    most: Mapping[Device, int] = field(default_factory=dict)
    ages_count: bool = True
    withholds: Callable[[int, Collection[str]], Mapping[str, LazyString]] = lambda customer_id, item_ids: {}
    means: Callable[[Visit, str], str] = lambda here, item_id: ""
    whose: Callable[[str], int | None] = lambda code: None
    bars: Callable[[str, datetime], LazyString | None] = lambda code, now: None
    steps: Callable[[int, int], Iterable[Step]] = lambda customer_id, most: ()
    settings: type[HouseSettings] | None = None
    origins: Callable[[Any], Others] = lambda settings: Others()

    def serves(self, channel: str) -> bool:
        """Whether it sells to who has come in by this channel's entrance."""
        return channel == self.channel or bool(self.side_door and channel in self.side_door.beside)


def add(app: Flask, counter: Counter, settings: HouseSettings) -> None:
    """Open a counter in the shop."""
    app.extensions.setdefault(COUNTERS, {})[counter.channel] = counter
    security.allow(app, counter.channel, counter.origins(settings))


def counters() -> Sequence[Counter]:
    """Every counter of the running shop."""
    return tuple(current_app.extensions.get(COUNTERS, {}).values())


def of(channel: str) -> Counter:
    """The counter that sells in this channel."""
    counter: Counter = current_app.extensions[COUNTERS][channel]
    return counter


def price_rules(counters: Iterable[Counter]) -> Mapping[str, PriceRule]:
    """What an item may cost, by channel; a catalogue can be held against it without a shop."""
    return {counter.channel: counter.prices for counter in counters}
