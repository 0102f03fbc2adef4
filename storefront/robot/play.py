"""Playing walkthroughs: look around in the shop once, then play each on a stage of its own."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from storefront.robot.actor import ADULT, Actor, Shot
from storefront.robot.buyer import Browser, Stopped, Unreachable
from storefront.robot.desk import CannotDo, Desk, Street
from storefront.robot.shop import Item, Json, NotApplicable, Shop

EVERYWHERE = "mika"  # has things from other stages, too: what is new since then is known by reading before


class Playing(Protocol):
    """Whoever plays a walk: a person at their devices."""

    desk: Desk
    walk: int | None
    step: int
    shots: list[Shot]

    def do(self, words: str) -> None: ...
    def finish_step(self) -> None: ...


@dataclass
class Played:
    """A step as it was played."""

    shots: list[Shot] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class Walk:
    """One walkthrough on one device, or on none, as it went."""

    walkthrough: Json
    device: str
    verdict: str = "open"
    reason: str = ""
    steps: list[Played] = field(default_factory=list)
    ticks: Sequence[Json] = ()
    happenings: Sequence[Json] = ()
    before: Json | None = None
    after: Json | None = None
    seconds: float = 0.0

    @property
    def name(self) -> str:
        name: str = self.walkthrough["name"]
        return f"{name}[{self.device}]" if self.device else name

    @property
    def missed(self) -> str:
        """What was missed first, in a sentence; nothing if nothing was."""
        tick = next((tick for tick in self.ticks if tick["state"] == "missed"), None)
        tick = tick or next((tick for tick in self.ticks if tick["state"] == "open"), None)
        if tick is None or self.verdict in ("passed", "not-applicable"):
            return ""
        where = f"step {tick['step'] + 1}" if tick["step"] < len(self.steps) else "at the end"
        notes = [note for step in self.steps for note in step.notes]
        said = f" ({'; '.join(notes)})" if notes else ""
        return f"{where}: {tick['expected']} expected, {tick['got'] or 'nothing'} came{said}"


def look_around(street: Street) -> Shop:
    """Open the app on a PC, look at every item, and see where a cancelled purchase leads."""
    desk, shop = Desk(street), Shop()
    desk.press("/reset")
    actor = Actor(desk, shop, "hanako", "pc")
    actor.open_app()
    _check_open(actor)
    for kind in ("bag", "history", "legal", "shelf"):
        with suppress(CannotDo):  # what misses it will say so
            actor.open(kind)
    items = list(_items(actor))
    if any(item.reason == "age_unknown" for item in items):
        shop.asks_ages = True
        actor.item = items[0]
        actor.say_age(str(ADULT))
        actor.open("shelf")
        items = list(_items(actor))
    shop.items = items
    book = desk.read("/desk/walkthroughs.json")
    shop.has_breaker, shop.has_game = bool(book.get("breaker")), bool(book.get("game"))
    _see_finish(actor, shop)
    return shop


def _check_open(actor: Actor) -> None:
    """Whether there is a shop to look around in: nobody's fault can be seen in one that is closed."""
    page = actor.me.page
    if page is None or page.kind != "shelf":
        where = f"{page.origin} shows no shelf, status {page.status}" if page else "the app was not opened"
        raise Unreachable(f"{where}; opened from {actor.desk.platform}")


def _items(actor: Actor) -> Iterator[Item]:
    ids = [mark["item"] for page in actor.shelves() for mark in page.marks if "item" in mark]
    for one in ids:
        actor.item = Item(one, 0, False, None, None, None, False)
        actor.open_item()
        page = actor.at_item()
        mark = next((mark for mark in page.marks if mark.get("item") == one), None)
        if mark is None or "amount" not in mark:
            continue
        if page.all("[data-way]") and not actor.shop.warning[0]:
            actor.open("warning")
        yield Item(
            id=one,
            amount=int(mark["amount"]),
            is_consumable=mark.get("consumable") == "yes",
            left=int(mark["left"]) if "left" in mark else None,
            allowed=int(mark["allowed"]) if "allowed" in mark else None,
            reason=mark.get("reason"),
            way=bool(page.all("[data-way]")),
        )


def _see_finish(actor: Actor, shop: Shop) -> None:
    try:
        actor.item = shop.item("any")
        actor.buy("")
        actor.cancel("")
    except (NotApplicable, CannotDo):
        return
    page = actor.me.page
    links = page.links("a[data-finish]") if page else []
    shop.finish = links[0] if links else ""


def play(street: Street, shop: Shop, walkthrough: Json, device: str) -> Walk:
    """Play one walkthrough on one device, on a fresh stage, and hear from the desk how it went."""
    walk, began = Walk(walkthrough, device), time.monotonic()
    try:
        shop.check(walkthrough, street.promised)
        item = shop.item(walkthrough["item"], outside="outside" in walkthrough["needs"])
        _play(street, shop, walk, item)
    except NotApplicable as why:
        walk.verdict, walk.reason = "not-applicable", str(why)
    except Unreachable as why:
        Browser().get(f"{street.platform}/desk/walkthroughs.json")  # without a sandbox nothing can be said
        walk.verdict, walk.reason = "missed", f"it could not be played: {why}"
    except (CannotDo, Stopped, LookupError, ValueError, AssertionError) as why:
        walk.verdict, walk.reason = "missed", f"it could not be played: {type(why).__name__} {why}"
    walk.seconds = time.monotonic() - began
    return walk


def _play(street: Street, shop: Shop, walk: Walk, item: Item) -> None:
    walkthrough = walk.walkthrough
    desk = Desk(street)
    fields = {"device": walk.device, "price": str(item.amount)}
    if street.seed is not None:
        fields["seed"] = str(street.seed)
    page = desk.press(f"/desk/walkthroughs/{walkthrough['name']}/begin", **fields)
    found = re.search(r"/desk/walks/(\d+)$", urlsplit(page.url).path)
    if not found:
        raise Unreachable(f"{street.platform} did not begin {walkthrough['name']}: {page.url} {page.status}")
    actor = Actor(desk, shop, walkthrough["who"], walk.device)
    actor.walk, actor.item = int(found[1]), item
    actor.asks_ages = "ages" not in walkthrough["needs"]
    walk.before = desk.read("/desk/books.json")
    try:
        actor.words = "open app"
        actor.open_app()
        if walkthrough["who"] == EVERYWHERE:
            desk.press("/desk/books")
        for number, step in enumerate(walkthrough["steps"]):
            walk.steps.append(take_step(actor, number, step))
        walk.after = _read_books(street, desk)
        found_out = desk.read(f"/desk/walks/{actor.walk}.json")
        walk.verdict, walk.ticks = found_out["verdict"], found_out["steps"]
    except NotApplicable as why:
        told = {"step": str(actor.step), "seen": "not-applicable", "reason": str(why)}
        desk.press(f"/desk/walks/{actor.walk}/seen", **told)
        raise
    walk.happenings = actor.happenings()


def take_step(actor: Playing, number: int, step: Json) -> Played:
    """Play one step, and say that it is over."""
    played = Played()
    actor.step, actor.shots = number, played.shots
    for words in step["play"]:
        try:
            actor.do(words)
        except (CannotDo, Stopped) as why:
            played.notes.append(f"{words}: {why}")
    actor.finish_step()
    actor.desk.press(f"/desk/walks/{actor.walk}/seen", step=str(number), seen="end")
    return played


def _read_books(street: Street, desk: Desk) -> Json:
    """Let the desk read bag and history of everybody, and say how the books stand.

    Each reading is a visit, which settles doubts; a shop that asked just now asks again after its pause.
    """
    desk.press("/desk/books")
    books = desk.read("/desk/books.json")
    if books["verdict"] == "amber":
        time.sleep(street.confirm_pause)
        desk.press("/desk/books")
        books = desk.read("/desk/books.json")
    return books
