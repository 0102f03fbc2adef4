"""What the app has to sell, as its pages on a mobile phone say it: asked for as a visit of somebody."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import parse_qs, urljoin, urlsplit

from lxml import etree, html

from storefront.sandbox import clock
from storefront.sandbox.context import Sandbox, Seen
from storefront.sandbox.language import N_
from storefront.sandbox.mixi import facts, start
from storefront.sandbox.mixi.addresses import App, Foreign
from storefront.sandbox.mixi.calls import Call, NoAnswer
from storefront.sandbox.people import FIRST_STAGE, User
from storefront.sandbox.stage import Stage
from storefront.sandbox.wirelog import Kind

MOST = 40  # items that are looked at
FRESH = timedelta(seconds=30)  # that long a page is what it was
PHONE_MOST = 5000  # points that a phone may pay at once
LOOKED = N_("Looked at, to know what the app sells.")


@dataclass(frozen=True)
class Good:
    """An item of the app: its id in addresses, its price in points, its page, what that says, its name."""

    id: str
    points: int
    url: str
    marks: Mapping[str, str] = field(default_factory=dict)
    name: str = ""


class NothingSold(Exception):
    """The app has no such item, or could not be looked at."""


def choose(sandbox: Sandbox, on: Stage, user: User, wanted: str, *, least: int = 0) -> Good:
    """The item of this id, or in this role, that costs at least so much; else NothingSold."""
    shelf = [good for good in _shelf(sandbox, on, user) if good.points >= least]
    good = _chosen(sandbox, on, user, wanted, shelf)
    return good if good.name else _looked_at(sandbox, on, user, good)


def _chosen(sandbox: Sandbox, on: Stage, user: User, wanted: str, shelf: Sequence[Good]) -> Good:
    named = [good for good in shelf if good.id == wanted]
    if named:
        return named[0]
    if wanted == "dear":
        return _first([good for good in shelf if good.points > PHONE_MOST], wanted)
    cheap = sorted((good for good in shelf if good.points <= PHONE_MOST), key=lambda good: good.points)
    looked = (_looked_at(sandbox, on, user, good) for good in cheap[:MOST])
    match wanted:
        case "any":
            free = (good for good in looked if not good.marks.keys() & {"allowed", "left", "reason"})
            return next(free, None) or _first(cheap, wanted)
        case "once":
            return _first([good for good in looked if good.marks.get("allowed") == "1"], wanted)
        case "few":
            few = [good for good in looked if _is_number(good.marks.get("left", ""))]
            return _first(sorted(few, key=lambda good: int(good.marks["left"])), wanted)
        case "consumable" | "outside":
            name = {"consumable": "consumable", "outside": "way"}[wanted]
            return _first([good for good in looked if name in good.marks], wanted)
    raise NothingSold(wanted)


def _shelf(sandbox: Sandbox, on: Stage, user: User) -> Iterator[Good]:
    first = _app(sandbox).start()
    page = _root(_page(sandbox, on, user, first), first)
    for element in page.iter(etree.Element):
        amount, item = element.get("data-amount", ""), element.get("data-item")
        if item and _is_number(amount):
            yield Good(item, int(amount), _link(sandbox, element, first))


def _looked_at(sandbox: Sandbox, on: Stage, user: User, good: Good) -> Good:
    told: dict[str, str] = {}
    page = _page(sandbox, on, user, start.in_language(good.url))
    for mark in facts.read(page)["marks"]:
        told |= mark
    title = _root(page, good.url).find(".//h1")
    name = "" if title is None else " ".join(title.text_content().split())
    return Good(good.id, good.points, good.url, told, name or good.id)


def _root(page: bytes, url: str) -> html.HtmlElement:
    try:
        return html.document_fromstring(page)
    except (etree.ParserError, ValueError):
        raise NothingSold(url) from None


def _is_number(text: str) -> bool:
    """Whether it can be a number of points or pieces."""
    return text.isascii() and text.isdigit() and len(text) <= 9


def _link(sandbox: Sandbox, element: etree._Element, page: str) -> str:
    """Where the link leads that this element is, has, or stands in."""
    near = [element, *element.iterdescendants("a"), *element.iterancestors("a")]
    hrefs = (one.get("href") for one in near if one.tag == "a")
    href = next((href for href in hrefs if href), "")
    named = parse_qs(urlsplit(href).query).get("url", [""])[0]
    try:
        return _app(sandbox).own(named or urljoin(page, href))
    except (Foreign, ValueError):
        raise NothingSold(href) from None


def _page(sandbox: Sandbox, on: Stage, user: User, url: str) -> bytes:
    """A page of the app. Where nobody plays it is asked for once in a while, however many look."""
    if on.id != FIRST_STAGE:
        return _asked(sandbox, on, user, url)
    now = clock.now()
    for old in [one for one, seen in list(sandbox.seen.items()) if now - seen.at > FRESH]:
        sandbox.seen.pop(old, None)
    seen = sandbox.seen.get(url) or Seen(now, _asked(sandbox, on, user, url))
    sandbox.seen[url] = seen
    return seen.body


def _asked(sandbox: Sandbox, on: Stage, user: User, url: str) -> bytes:
    settings = sandbox.settings
    call = Call(
        on,
        Kind.PAGE,
        "GET",
        _app(sandbox).with_owner(url, user.owner_id),
        clock.now(),
        seconds=settings.page_seconds,
        max_bytes=settings.max_page_bytes,
        owner_id=user.owner_id,
    )
    try:
        answer = call.send(sandbox)
    except NoAnswer as silence:
        call.log(silence.reason, good=False)
        raise NothingSold(url) from None
    call.log(LOOKED, good=answer.status < 400)
    if answer.status != 200 or not answer.body:
        raise NothingSold(url)
    return answer.body


def _first(goods: Sequence[Good], wanted: str) -> Good:
    if not goods:
        raise NothingSold(wanted)
    return goods[0]


def _app(sandbox: Sandbox) -> App:
    settings = sandbox.settings
    return App(settings.app_id, settings.shop_url, settings.public_url)
