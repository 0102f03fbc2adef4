"""Reading a buyer's bag and history: through the container, as a visit of that buyer, on a press.

A visit is no mere look: the shop asks about what it is in doubt of, as it does at every visit.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from lxml import etree, html
from sqlalchemy import JSON, ForeignKey, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from storefront.languages import LANGUAGES
from storefront.sandbox import clock, people, wirelog
from storefront.sandbox.books import Entry
from storefront.sandbox.context import Sandbox
from storefront.sandbox.devices import user_agent
from storefront.sandbox.language import N_
from storefront.sandbox.mixi import payments
from storefront.sandbox.mixi.addresses import App, Foreign, Page
from storefront.sandbox.mixi.calls import Call, NoAnswer
from storefront.sandbox.people import User
from storefront.sandbox.stage import Stage
from storefront.sandbox.store import Base, reading, transaction
from storefront.sandbox.storefile import Moment
from storefront.sandbox.wirelog import Exchange, Kind

READ = N_("Read for the books, as a visit of this buyer.")
HISTORY, BAG = "history", "bag"
SUM = re.compile(r"-?[0-9]{1,9}")
A_BAG = re.compile("""data-page=["']?bag\\b""")
# A shop has its places in one row of links; and nobody's bag is longer.
MOST_PLACES = 8
MOST_PAGES = 40
BY_HAND = {"given": 1, "taken": -1}  # states of what the shop's operator put right, and which way goods went
STATEMENT_SECONDS = 5
CODES_AT_ONCE = 50

Trail = Sequence[tuple[Exchange, html.HtmlElement | None]]  # requests in the container; of bags the page


class Unreadable(Exception):
    """The shop showed no bag or no history; the message says why, in a text of the catalogue."""


class Reading(Base):
    """What a buyer's bag and history said. The first of each buyer is kept, and the last."""

    __tablename__ = "reading"

    id: Mapped[int] = mapped_column(primary_key=True)
    stage_id: Mapped[str] = mapped_column(ForeignKey("stage.id", ondelete="CASCADE"), index=True)
    owner_id: Mapped[str]
    at: Mapped[datetime] = mapped_column(Moment)
    bag: Mapped[dict[str, int]] = mapped_column(JSON)
    # By code: its state, whether it is in doubt, and what the shop's own book has of it.
    history: Mapped[dict[str, tuple[str, bool, int | None]]] = mapped_column(JSON)
    # By item, where its form for using it leads.
    uses: Mapped[dict[str, str]] = mapped_column(JSON)
    # By item, how many fewer the bag held after presses of that form; and those of which it held no fewer.
    used: Mapped[dict[str, int]] = mapped_column(JSON)
    kept: Mapped[list[str]] = mapped_column(JSON)
    # By code, what the provider says of a payment in this history that is none of the platform's.
    outside: Mapped[dict[str, dict[str, Any]]] = mapped_column(JSON)
    # By the shop's reference, what its operator put right: the item, how many more, and of which payment.
    by_hand: Mapped[dict[str, tuple[str, int, str]]] = mapped_column(JSON)

    @property
    def entries(self) -> dict[str, Entry]:
        return {code: Entry(*row) for code, row in self.history.items()}


@dataclass
class _Visit:
    """One buyer in the container, opening page after page."""

    platform: Sandbox
    on: Stage
    user: User
    app: App = field(init=False)

    def __post_init__(self) -> None:
        settings = self.platform.settings
        self.app = App(settings.app_id, settings.shop_url, settings.public_url)

    def open(self, url: str) -> html.HtmlElement:
        """A page of the app; else Unreadable."""
        settings = self.platform.settings
        call = Call(
            self.on,
            Kind.PAGE,
            "GET",
            self.app.with_owner(url, self.user.owner_id),
            clock.now(),
            seconds=settings.page_seconds,
            max_bytes=settings.max_page_bytes,
            headers={"User-Agent": user_agent("", self.user.persona.carrier)},
            owner_id=self.user.owner_id,
        )
        try:
            answer = call.send(self.platform)
        except NoAnswer as silence:
            call.log(silence.reason, good=False)
            raise Unreadable(silence.reason) from None
        call.log(READ, good=answer.status == 200)
        if answer.status != 200:
            raise Unreadable(N_("The shop does not show it."))
        try:
            return html.document_fromstring(answer.body)
        except (etree.ParserError, ValueError):
            raise Unreadable(N_("The shop does not show it.")) from None

    def leads(self, page: html.HtmlElement, where: str, url: str) -> Iterator[str]:
        """Where the links of a part of this page lead in the app."""
        for link in page.xpath(f"{where}//a/@href"):
            try:
                leads = self.app.redirect(str(link), url)
            except (Foreign, ValueError):
                continue
            if isinstance(leads, Page):
                yield leads.url


def read(platform: Sandbox, on: Stage) -> Mapping[str, str]:
    """Read everybody's who has the app; by owner, why somebody's could not be read."""
    failed: dict[str, str] = {}
    for user in people.everyone(on.id):
        if user.has_app:
            people.use(user, on.now())
            try:
                row = _read(_Visit(platform, on, user))
                _keep(row)
                wirelog.adopt(on.id, row.outside)
            except Unreadable as unreadable:
                failed[user.owner_id] = str(unreadable)
    return failed


def first_and_last(on: Stage) -> Mapping[str, tuple[Reading, Reading]]:
    """By owner, the first reading and the last."""
    with reading() as session:
        rows = session.scalars(select(Reading).where(Reading.stage_id == on.id).order_by(Reading.id)).all()
    firsts = {row.owner_id: row for row in reversed(rows)}
    return {row.owner_id: (firsts[row.owner_id], row) for row in rows}


def stage_of(code: str) -> str | None:
    """Whose buyer has this payment of the provider's in a history that was read."""
    with reading() as session:
        return session.scalars(select(Reading.stage_id).where(Reading.outside[code].is_not(None))).first()


def _read(visit: _Visit) -> Reading:
    # Before the first page: what changes meanwhile may be in one of them, and not in another.
    at = clock.now()
    pages = _places(visit)
    # Whatever is settled by looking is settled before the bag is counted.
    rows = [row for page in _all(visit, pages[HISTORY]) for row in page.xpath("//main//*[@data-payment]")]
    history = {
        str(row.get("data-payment")): _entry(row) for row in rows if row.get("data-state") not in BY_HAND
    }
    bag = list(_all(visit, pages[BAG]))
    held = {item: _count(row) for page in bag for item, row in _items(page)}
    # What is used up has no form any more; the pages that the buyer saw before had one.
    trail = [(row, _as_page(row)) for row in wirelog.visited(visit.on.id, visit.user.owner_id, "data-page")]
    seen = [page for _, page in trail if page is not None]
    uses = {
        item: urlsplit(leads).path
        for page in [*seen, *bag]
        for item, row in _items(page)
        for leads in _forms(visit, row, pages[BAG])
    }
    used = {item: _used(item, path, trail, held.get(item, 0)) for item, path in uses.items()}
    return Reading(
        stage_id=visit.on.id,
        owner_id=visit.user.owner_id,
        at=at,
        history=history,
        by_hand={
            str(row.get("data-payment")): _by_hand(row) for row in rows if row.get("data-state") in BY_HAND
        },
        outside=_outside(visit, history, pages[BAG], bag),
        bag=held,
        uses=uses,
        used={item: fewer for item, (fewer, _) in used.items()},
        kept=[item for item, (_, kept) in used.items() if kept and [*uses.values()].count(uses[item]) == 1],
    )


def _entry(row: html.HtmlElement) -> tuple[str, bool, int | None]:
    """A payment, as the history says."""
    booked = str(row.get("data-booked", ""))
    sum_ = int(booked) if SUM.fullmatch(booked) else None
    return str(row.get("data-state", "")), row.get("data-doubt") is not None, sum_


def _by_hand(row: html.HtmlElement) -> tuple[str, int, str]:
    """What the operator gave or took, as the history says."""
    quantity = _count(row) * BY_HAND[str(row.get("data-state"))]
    return str(row.get("data-item", "")), quantity, str(row.get("data-of", ""))


def _outside(
    visit: _Visit, codes: Iterable[str], url: str, bag: Sequence[html.HtmlElement]
) -> dict[str, dict[str, Any]]:
    """What the provider says of those payments that the platform does not know."""
    ours = {payment.code for payment in payments.all_of(visit.on.id)}
    strange = set(codes) - ours
    if not strange or not visit.platform.settings.provider_url:
        return {}
    told = {row["code"]: row for row in _statement(visit.platform, sorted(strange))}
    ids = _ids({row["item"] for row in told.values()}, visit, url, bag)
    return {code: {**row, "item_id": ids[row["item"]]} for code, row in told.items()}


def _statement(platform: Sandbox, codes: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What the provider says of these, a few at a time: an address has an end."""
    for first in range(0, len(codes), CODES_AT_ONCE):
        yield from _told(platform, codes[first : first + CODES_AT_ONCE])


def _told(platform: Sandbox, codes: Sequence[str]) -> Sequence[dict[str, Any]]:
    settings = platform.settings
    headers = {"Authorization": f"Bearer {settings.provider_token.get_secret_value()}", "Connection": "close"}
    url = f"{settings.provider_url}/statement.json"
    asked: dict[str, Any] = {"params": {"code": codes}, "headers": headers, "allow_redirects": False}
    try:
        answer = platform.http.get(url, timeout=STATEMENT_SECONDS, **asked)
        rows = answer.json() if answer.status_code == 200 else None
    except (requests.RequestException, OSError, ValueError, RecursionError):
        rows = None
    if not isinstance(rows, list):
        raise Unreadable(N_("The provider does not say how its payments stand."))
    return rows


def _ids(names: Collection[str], visit: _Visit, url: str, bag: Sequence[html.HtmlElement]) -> dict[str, str]:
    """Under which ids the bag has items of these names.

    The provider knows an item by its name alone, in the language that it was bought in.
    """
    found = _named(names, bag)
    for language in LANGUAGES:
        if len(found) < len(names):
            found |= _named(names, list(_all(visit, _spoken(url, language))))
    return {name: found.get(name, name) for name in names}


def _named(names: Iterable[str], bag: Iterable[html.HtmlElement]) -> dict[str, str]:
    """An item's name may be part of another's: the row that says it most exactly is the one."""
    rows = [(item, row) for page in bag for item, row in _items(page)]
    found: dict[str, str] = {}
    for name in names:
        says = [(_exactly(name, row), item) for item, row in rows if name in row.text_content()]
        found |= {name: min(says)[1]} if says else {}
    return found


def _exactly(name: str, row: html.HtmlElement) -> tuple[bool, int]:
    """How far a row's words are from this name: nothing else in one of its elements, or how many more."""
    texts = [" ".join(one.text_content().split()) for one in row.iter(etree.Element)]
    return name not in texts, min((len(text) for text in texts if name in text), default=0)


def _spoken(url: str, language: str) -> str:
    return f"{url}{'&' if urlsplit(url).query else '?'}lang={language}"


def _as_page(row: Exchange) -> html.HtmlElement | None:
    """A bag that the buyer saw, as it was logged."""
    if not A_BAG.search(row.answer):
        return None
    # Names and addresses are ASCII, whatever charset the page says it has.
    return html.document_fromstring(row.answer.encode("ascii", "xmlcharrefreplace"))


def _used(item: str, path: str, trail: Trail, last: int) -> tuple[int, bool]:
    """How many fewer there were of an item after presses of its form; and whether once there were not.

    A press may use nothing, as the second of the same form: what it did, the bags before and after say.
    """
    fewer, kept, presses, before = 0, False, 0, 0
    for row, page in trail:
        presses += row.method == "POST" and urlsplit(row.url).path == path and (row.status or 500) < 400
        held = None if page is None else _held(item, page)
        if held is not None:
            fewer += min(presses, max(0, before - held))
            kept = kept or (presses > 0 and held >= before > 0)
            presses, before = 0, held
    fewer += min(presses, max(0, before - last))
    return fewer, kept or (presses > 0 and last >= before > 0)


def _held(item: str, page: html.HtmlElement) -> int | None:
    """How many a page of the bag says there are; None if that may stand on another."""
    found = next((_count(row) for name, row in _items(page) if name == item), None)
    return 0 if found is None and not page.xpath("//main//nav") else found


def _places(visit: _Visit) -> dict[str, str]:
    """Where bag and history are: the shop says of each page which it is."""
    start = visit.app.start()
    found: dict[str, str] = {}
    links = dict.fromkeys(visit.leads(visit.open(start), "//nav", start))
    for url in [link for link in links if link != start][:MOST_PLACES]:
        kind = _kind(visit.open(url))
        if kind in (HISTORY, BAG):
            found[kind] = url
        if len(found) == 2:
            return found
    raise Unreadable(N_("The shop's pages do not say which of them is the bag, and which the history."))


def _all(visit: _Visit, url: str) -> Iterator[html.HtmlElement]:
    """A page, and those that it leads to in turn: the same address with another query."""
    waiting, seen = [url], {url}
    while waiting and len(seen) <= MOST_PAGES:
        here = waiting.pop(0)
        page = visit.open(here)
        yield page
        for link in visit.leads(page, "//main//nav", here):
            if urlsplit(link).path == urlsplit(url).path and link not in seen:
                seen.add(link)
                waiting.append(link)


def _kind(page: html.HtmlElement) -> str | None:
    return next((str(kind) for kind in page.xpath("//main/@data-page")), None)


def _items(page: html.HtmlElement) -> Sequence[tuple[str, html.HtmlElement]]:
    return [(str(row.get("data-item")), row) for row in page.xpath("//main//*[@data-item][@data-quantity]")]


def _count(row: html.HtmlElement) -> int:
    text = str(row.get("data-quantity"))
    return int(text) if text.removeprefix("-").isdecimal() else 0


def _forms(visit: _Visit, row: html.HtmlElement, url: str) -> Iterator[str]:
    for action in row.xpath(".//form/@action"):
        try:
            leads = visit.app.redirect(str(action), url)
        except (Foreign, ValueError):
            continue
        if isinstance(leads, Page):
            yield leads.url


def _keep(row: Reading) -> None:
    with transaction() as session:
        mine = (Reading.stage_id == row.stage_id, Reading.owner_id == row.owner_id)
        first = select(Reading.id).where(*mine).order_by(Reading.id).limit(1)
        session.execute(delete(Reading).where(*mine, Reading.id.not_in(first)))
        session.add(row)
