"""What the operator should see first; each room brings its part."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import Flask, current_app
from flask_babel import LazyString
from flask_babel import lazy_gettext as _

from storefront.shop import inventory

MATTERS = "operator_matters"
SHOWN = 10  # of one kind; the rest is counted


@dataclass(frozen=True)
class Case:
    """One of a kind: whose it is, what it is called, and since when."""

    customer_id: int
    words: str
    since: datetime | None = None


@dataclass(frozen=True)
class Matter:
    """A kind of thing that waits, or how something stands: in words, and what to do.

    `count` is none where nothing is counted; `note`, with a moment after it, is said in any case. `endpoint`
    is a page with more.
    """

    words: LazyString
    advice: LazyString | str
    is_good: bool
    count: int | None = None
    cases: Sequence[Case] = ()
    note: LazyString | str = ""
    at: datetime | None = None
    endpoint: str = ""


def add(app: Flask, brought: Callable[[], Iterable[Matter]]) -> None:
    app.extensions.setdefault(MATTERS, []).append(brought)


def matters() -> Sequence[Matter]:
    """All that the rooms of the running shop bring."""
    return [
        *_below_zero(),
        *(one for brought in current_app.extensions.get(MATTERS, ()) for one in brought()),
    ]


def _below_zero() -> Iterator[Matter]:
    count = inventory.count_negatives()
    below = inventory.negatives(SHOWN)
    yield Matter(
        _("Holdings below zero"),
        _("Used up, then paid back. Give by hand what the buyer may keep; the next purchase fills the rest."),
        is_good=not count,
        count=count,
        cases=[Case(one.customer_id, f"{one.external_id}: {one.item_id} {one.quantity}") for one in below],
    )
