"""Who is looking, and how links are written for them.

A counter adds an `Entrance`, which recognises its own visitors by what the platform signed. The
pages ask for `current()` and know nothing of platforms.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha1
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from flask import Flask, current_app, g, request, url_for
from sqlalchemy import inspect
from sqlalchemy.orm import object_session
from werkzeug.security import safe_join

from storefront.config import settings
from storefront.languages import DEFAULT_LANGUAGE, LANGUAGES
from storefront.shop.customers import Customer
from storefront.shop.devices import Device

PAGE, MOBILE_PAGE = 20, 8  # purchases on one page of the history; a mobile phone's stays small
END_OF_ID = 6  # characters that tell who is in, to those who know themselves


class Stranger(Exception):
    """Nobody known is looking; `forged` says that somebody claimed to be."""

    def __init__(self, forged: bool = False) -> None:
        super().__init__()
        self.forged = forged


class Links(Protocol):
    """How one of our addresses is written so that the visit goes on behind it.

    `added` names the query parameters that the platform puts on every address by itself.
    """

    @property
    def added(self) -> frozenset[str]: ...

    def in_page(self, address: str) -> str: ...

    def in_redirect(self, address: str) -> str: ...


@dataclass(frozen=True)
class Visit:
    """A verified customer looking at a page.

    `most` is the most that one purchase may cost on their device, in the channel's unit. `leave` is
    the endpoint that ends the visit, `key` what it can be gone on with; where every request says anew
    who asks there is neither.
    """

    customer: Customer
    channel: str
    device: Device
    most: int
    links: Links
    chosen: str | None
    leave: str | None = None
    key: str = ""

    @property
    def language(self) -> str:
        return self.chosen or DEFAULT_LANGUAGE

    def link(self, endpoint: str, **values: Any) -> str:
        """The href or form action that leads to one of our pages."""
        return self.links.in_page(self._address(endpoint, values))

    def target(self, endpoint: str, **values: Any) -> str:
        """The Location that leads to one of our pages."""
        return self.links.in_redirect(self._address(endpoint, values))

    def here(self, language: str) -> str:
        """The href of this very page in another language."""
        own = {name: value for name, value in request.args.items() if name not in self.links.added}
        # Names of a stranger's are none of the framework's own, which url_for would obey.
        query = urlencode({**own, "lang": language})
        path = url_for(str(request.endpoint), **(request.view_args or {}))
        return self.links.in_page(f"{settings().public_url}{path}?{query}")

    def _address(self, endpoint: str, values: dict[str, Any]) -> str:
        return settings().public_url + url_for(endpoint, **{"lang": self.chosen, **values})


@dataclass(frozen=True)
class Purchase:
    """A purchase as its buyer sees it, whatever counter made it."""

    code: str
    item_id: str
    item_name: str
    amount: int
    unit: str
    state: str
    at: datetime
    is_test: bool
    in_doubt: bool  # the platform has not confirmed yet that it was charged


@dataclass(frozen=True)
class Notice:
    """A purchase that could not be started; `is_final` if trying again in a while will not help either."""

    reference: str
    is_final: bool


# The newest so many purchases of a customer, newest first.
Purchases = Callable[[Customer, int], Sequence[Purchase]]


@dataclass(frozen=True)
class Entrance:
    """What a counter does for the shop: where its door is, who came through it, what they bought.

    `refresh` holds the visitor's purchases against the platform's.

    `resume` finds the visit of a key, for a window that could bring no more than that.

    `platform` is the name that visitors know it by.
    """

    channel: str
    platform: str
    address: str
    recognise: Callable[[], Visit | None]
    resume: Callable[[str], Visit | None]
    purchases: Purchases
    notices: Callable[[Customer], Sequence[Notice]]
    refresh: Callable[[Customer], None]


@dataclass(frozen=True)
class SideDoor:
    """A way to pay that is not the platform's own, for who is inside already."""

    channel: str
    leads_out: Callable[[Visit], bool]
    purchases: Purchases


def add_side_door(app: Flask, door: SideDoor) -> None:
    app.extensions.setdefault("side_doors", []).append(door)


def side_doors() -> Sequence[SideDoor]:
    return tuple(current_app.extensions.get("side_doors", ()))


def add_entrance(app: Flask, entrance: Entrance) -> None:
    entrances = app.extensions.setdefault("entrances", {})
    entrances[entrance.channel] = entrance


def entrances() -> Sequence[Entrance]:
    return tuple(current_app.extensions.get("entrances", {}).values())


def current() -> Visit:
    """The visit this request belongs to, or Stranger."""
    if "visit" not in g:
        found = (entrance.recognise() for entrance in entrances())
        g.visit = next((visit for visit in found if visit), None)
        if g.visit:
            _keep_at_hand(g.visit.customer)
    if g.visit is None:
        raise Stranger
    visit: Visit = g.visit
    return visit


def _keep_at_hand(customer: Customer) -> None:
    """So that a page can say who is in, even when the database has gone meanwhile."""
    session = object_session(customer)
    if session:
        if inspect(customer).expired_attributes:
            session.refresh(customer)
        session.expunge(customer)


def if_any() -> Visit | None:
    """The visit this request belongs to; nobody for who claims nothing, Stranger for a false claim."""
    try:
        return current()
    except Stranger as stranger:
        if stranger.forged:
            raise
        return None


def resume(key: str) -> Visit:
    """The visit of this key, or Stranger. The request does not belong to it: the key alone opens no page."""
    found = (entrance.resume(key) for entrance in entrances())
    visit = next((visit for visit in found if visit), None)
    if visit is None:
        raise Stranger
    return visit


def who(customer: Customer) -> str:
    """How pages call somebody: the platform, and the end of the id there."""
    entrance: Entrance = current_app.extensions["entrances"][customer.channel]
    return f"{entrance.platform} …{customer.external_id[-END_OF_ID:]}"


def known() -> Visit | None:
    """The visit, if a page has already found one; asks nobody."""
    found: Visit | None = g.get("visit")
    return found


def forget() -> None:
    """The visit has ended with this request."""
    g.visit = None


def keep_language(language: str) -> None:
    """Let the visit go on in a language that its address could not carry."""
    g.visit = replace(current(), chosen=language)


def purchases(page: int) -> Sequence[Purchase]:
    """A page of the current customer's purchases, newest first; pages count from 0."""
    size, customer = page_size(), current().customer
    end = (page + 1) * size
    sources = (_entrance().purchases, *(door.purchases for door in side_doors()))
    found = [purchase for newest in sources for purchase in newest(customer, end)]
    return sorted(found, key=lambda purchase: purchase.at, reverse=True)[page * size : end]


def page_size() -> int:
    """How many purchases a page of the history has on the current device."""
    return MOBILE_PAGE if current().device is Device.MOBILE else PAGE


def refresh(here: Visit | None = None) -> None:
    """Bring the purchases of a visitor, or of the current one, up to date with the platform as it answers."""
    visit = here or current()
    entrance: Entrance = current_app.extensions["entrances"][visit.channel]
    entrance.refresh(visit.customer)


def notices() -> Sequence[Notice]:
    return _entrance().notices(current().customer)


def asked_language() -> str | None:
    """The language chosen by the switch, which every link carries on."""
    asked = request.args.get("lang")
    return asked if asked in LANGUAGES else None


def speak(chosen: str | None) -> None:
    """Let this answer be in a language that neither a visit nor its address names."""
    g.spoken = chosen


def language() -> str:
    """The language of this answer: the visit's; else what was chosen, or what the browser says by itself."""
    visit = known()
    if visit:
        return visit.language
    chosen = asked_language() or g.get("spoken")
    return chosen or request.accept_languages.best_match(LANGUAGES) or DEFAULT_LANGUAGE


def static(name: str) -> str:
    """The absolute address of a static file, named after its content so that it may be kept for long."""
    return settings().public_url + url_for("static", filename=name, v=mark(name))


def mark(name: str) -> str:
    """What a static file's content is known by; empty if there is no such file."""
    path = Path(safe_join(str(current_app.static_folder), name) or "")
    if not path.is_file():
        return ""
    marks: dict[object, str] = current_app.extensions.setdefault("static_marks", {})
    # Strangers can spell one name in any number of ways; files are as many as there are.
    stat = path.stat()
    file = stat.st_dev, stat.st_ino, stat.st_mtime_ns
    if file not in marks:
        marks[file] = sha1(path.read_bytes(), usedforsecurity=False).hexdigest()[:8]
    return marks[file]


def _entrance() -> Entrance:
    entrance: Entrance = current_app.extensions["entrances"][current().channel]
    return entrance
