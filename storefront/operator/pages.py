"""The operator's pages, which any room may bring, and what all of them have at hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Flask, current_app, g, request
from flask_babel import LazyString

from storefront.shop import counter
from storefront.shop.counter import Counter

PAGES = "operator_pages"


@dataclass(frozen=True)
class Page:
    """One of them, as the list of all calls it."""

    endpoint: str
    words: LazyString | str


def add(app: Flask, page: Page) -> None:
    app.extensions.setdefault(PAGES, []).append(page)


def pages() -> Sequence[Page]:
    """Those of the running shop; the first is where the operator comes in."""
    return tuple(current_app.extensions.get(PAGES, ()))


def is_one(path: str, endpoint: str) -> bool:
    """Whether an address belongs to them, even if nothing is there; a counter's room is its buyers', too."""
    known, counters = {one.endpoint for one in pages()}, {one.channel for one in counter.counters()}
    rooms = {_room(one) for one in known} - counters
    return path.startswith("/operator/") or endpoint in known or _room(endpoint) in rooms


def _room(endpoint: str) -> str:
    return endpoint.rpartition(".")[0]


def platform(channel: str) -> str:
    """How the operator's pages call a counter: its platform; a side door by who is paid there."""
    if "counters_called" not in g:  # once a page, however many prices stand on it
        g.counters_called = {one.channel: _called(one) for one in counter.counters()}
    return str(g.counters_called.get(channel, channel))


def _called(one: Counter) -> LazyString | str:
    return one.side_door.payee() if one.side_door else one.platform


def counted(amount: int, channel: str) -> str:
    """An amount in the unit of its counter; of one that is gone the number alone."""
    number = f"{amount:,}"
    found = next((one for one in counter.counters() if one.channel == channel), None)
    return found.unit.written(number) if found else number


def in_language(code: str) -> str:
    """The address of this page in another language, with all that it was asked for."""
    asked = {**request.args, "lang": code}
    return f"?{urlencode(asked)}"
