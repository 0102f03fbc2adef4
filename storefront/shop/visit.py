"""The visit that a request belongs to.

The counters' entrances recognise their own visitors by what the platform signed; who was let in once goes
on with a cookie. The pages ask for `current()` and know nothing of platforms.
"""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha1
from pathlib import Path

import structlog
from flask import current_app, g, redirect, request, url_for
from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import object_session
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.security import safe_join
from werkzeug.wrappers import Response

from storefront import clock, languages
from storefront.config import settings
from storefront.languages import DEFAULT_LANGUAGE, LANGUAGES
from storefront.shop import corrections, counter, form_tokens, visits
from storefront.shop.cookies import Cookie
from storefront.shop.counter import Counter, Entrance, FalseClaim, Message, Place, Purchase
from storefront.shop.customers import Customer
from storefront.shop.devices import Device
from storefront.shop.visits import Visit

PAGE, MOBILE_PAGE = 20, 8  # purchases on one page of the history; a mobile phone's stays small
COOKIE = Cookie("visit", framed=True)  # the key of an opened visit
# What the forms that end a visit and let another in its place are sealed for.
LEAVE, CHANGE = "leave", "change"
END_OF_ID = 6  # characters that tell who is in, to those who know themselves

log = structlog.get_logger()


class Stranger(Exception):
    """Nobody known is looking; `forged` says that somebody claimed to be, and no entrance knew them."""

    def __init__(self, forged: bool = False) -> None:
        super().__init__()
        self.forged = forged


def entrances() -> Sequence[Counter]:
    """The counters that one can come in by."""
    return [one for one in counter.counters() if one.entrance]


def serving(visitor: Visit) -> Sequence[Counter]:
    """The counter that this visitor has come in by, and those beside it."""
    own = counter.of(visitor.channel)
    return [own, *(one for one in counter.counters() if one is not own and one.serves(own.channel))]


def ways_out(visitor: Visit) -> Sequence[Counter]:
    """Those of the side doors that are open to this visitor today."""
    _, *doors = serving(visitor)
    return [one for one in doors if one.side_door and one.side_door.leads_out(visitor)]


def current() -> Visit:
    """The visit this request belongs to, or Stranger; NotFound at a counter that does not serve it."""
    return _served(whoever())


def whoever() -> Visit:
    """The visit this request belongs to, whatever it asks for; or Stranger."""
    if "visit" not in g:
        g.visit, g.forged = _recognised()
        if g.visit:
            _keep_at_hand(g.visit.customer)
    if g.visit is None:
        raise Stranger(forged=g.get("forged", False))
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
    """The visit this request belongs to; Stranger for a false claim.

    Nobody for who claims nothing, and at a counter that does not serve them.
    """
    here = _anybody()
    return here if here and _is_served(here) else None


def resume(key: str) -> Visit:
    """The visit of this key, or Stranger. The request does not belong to it: the key alone opens no page."""
    visit = _find(key)
    if visit is None:
        raise Stranger
    return _served(visit)


def enter(key: str, language: str = DEFAULT_LANGUAGE) -> Response:
    """Let this browser go on with the visit of this key; where it goes. Stranger if that visit is over.

    `language` is one that the address could not carry.

    Who is in somebody else's visit is asked first whether that is to end.
    """
    chosen = language if language != DEFAULT_LANGUAGE else None
    entering, here = _find(key, chosen), _anybody()
    if entering is None:
        raise Stranger(forged=True)
    if here and here.customer.id != entering.customer.id:
        token = form_tokens.seal(here.customer.id, CHANGE, key)
        return redirect(here.target("shop.ask_to_change", token=token, lang=chosen or here.chosen), 303)
    return _let_in(entering)


def enter_again(key: str) -> Response:
    """The same by what has opened this visit before: reloading leads its own browser back, nobody else in."""
    if COOKIE.read() != key:
        raise Stranger(forged=True)
    return enter(key)


def newcomer(token: str) -> Visit:
    """Who would take the place of who is in; StaleForm unless that was asked of them."""
    form_tokens.unseal(token, current().customer.id, CHANGE)
    return resume(form_tokens.carried(token))


def change(token: str) -> Response:
    """Let the newcomer in, and end the visit before everywhere; where the browser goes."""
    here = current()
    if form_tokens.carried(token) == here.key:  # the button was pressed twice
        return _let_in(here)
    entering, before = newcomer(token), _going_on()
    if before:
        visits.end(before.key, clock.now())
    return _let_in(entering)


def leave(token: str) -> None:
    """End the visit that this browser goes on with, everywhere; StaleForm unless its own form asks for it."""
    form_tokens.unseal(token, current().customer.id, LEAVE)
    visits.end(COOKIE.read() or "", clock.now())
    COOKIE.drop()
    forget()


def who(customer: Customer) -> str:
    """How pages call somebody: the platform, and the end of the id there."""
    return f"{counter.of(customer.channel).platform} …{customer.external_id[-END_OF_ID:]}"


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
    """A page of the current customer's purchases, newest first; pages count from 0.

    What the operator put right by hand stands among them.
    """
    size, here = page_size(), current()
    end = (page + 1) * size
    found = [purchase for source in serving(here) for purchase in source.purchases(here.customer, end)]
    found += corrections.purchases(here.customer, end, here.language)
    return sorted(found, key=lambda purchase: purchase.at, reverse=True)[page * size : end]


def purchase(channel: str, code: str) -> Purchase | None:
    """The current customer's own purchase of this code, at a counter that serves them.

    What the operator put right by hand is part of its course.
    """
    here = current()
    source = next((one for one in serving(here) if one.channel == channel), None)
    found = source.find(here.customer, code) if source else None
    return found and replace(found, course=[*found.course, *corrections.turns(here.customer, code)])


def page_size() -> int:
    """How many purchases a page of the history has on the current device."""
    return MOBILE_PAGE if current().device is Device.MOBILE else PAGE


def refresh(here: Visit | None = None) -> None:
    """Bring the purchases of a visitor, or of the current one, up to date with the platform as it answers."""
    visit = here or current()
    _entrance(visit).refresh(visit.customer)


def messages(item_id: str | None = None) -> Sequence[Message]:
    """What the current customer should know of purchases that were not started: of one item, or of all."""
    here = current()
    said = _entrance(here).messages(here.customer)
    return [one for one in said if item_id in (None, one.item_id)]


def places() -> Sequence[Place]:
    """Where a visitor may go beside shelf, bag and history."""
    here = known()
    if here is None:
        return ()
    return [place for one in serving(here) for place in one.places]


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
    return chosen or languages.asked(request.headers.get("Accept-Language", "")) or DEFAULT_LANGUAGE


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


def _anybody() -> Visit | None:
    """The visit this request belongs to, whatever it asks for; nobody for who claims nothing."""
    try:
        return whoever()
    except Stranger as stranger:
        if stranger.forged:
            raise
        return None


def _let_in(visit: Visit) -> Response:
    COOKIE.write(visit.key)
    return redirect(visit.target("shop.index"), 303)


def _served(visit: Visit) -> Visit:
    if not _is_served(visit):
        raise NotFound
    return visit


def _is_served(visit: Visit) -> bool:
    """Whether a page is the shop's own, or of a counter that sells to this visitor."""
    return all(one.serves(visit.channel) for one in counter.counters() if one.channel in request.blueprints)


def _recognised() -> tuple[Visit | None, bool]:
    """Whose request this is, or whether it claims to be somebody's: known when all entrances were asked."""
    forged = False
    for entrance in _entrances():
        try:
            visit = entrance.recognise()
        except FalseClaim:
            forged = True
        except (SQLAlchemyError, HTTPException):
            raise
        except Exception as error:  # nobody is believed for having broken it
            log.exception("entrance broke", kind=type(error).__name__, path=request.path)
            forged = True
        else:
            if visit:
                return visit, False
    return (None, True) if forged else (_going_on(), False)


def _going_on() -> Visit | None:
    """The visit that this browser has a cookie of; it lasts from the last page, not from the first."""
    key = COOKIE.read()
    found = _find(key) if key else None
    if found:
        COOKIE.write(key)
    return found


def _find(key: str, chosen: str | None = None) -> Visit | None:
    """The visit of this key, unless it has ended or its counter is gone."""
    found = visits.find(key, chosen or asked_language(), clock.now())
    return found if found and found.channel in {one.channel for one in entrances()} else None


def _entrances() -> Sequence[Entrance]:
    return [one.entrance for one in counter.counters() if one.entrance]


def _entrance(visit: Visit) -> Entrance:
    """The one that this visitor has come in by."""
    entrance = counter.of(visit.channel).entrance
    assert entrance, "a side door lets nobody in"
    return entrance
