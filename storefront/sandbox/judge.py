"""How far a walk has come: judged from what happened on its stage, and from nothing else.

judge()     how each step stands, and last the books
verdict()   the same in one word
standing()  what happened, without the words that were taken back

Pure: the same file and the same happenings say the same to the desk and to the robot.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Self

from storefront.sandbox import judging
from storefront.sandbox.devices import Device
from storefront.sandbox.happened import Happened, Name, marks
from storefront.sandbox.judging import (
    NOT_SEEN,
    NOTHING,
    Came,
    Eyes,
    Scene,
    State,
    Tick,
    Verdict,
    fits,
    last,
    rows,
    standing,
    verdict,
    why_not,
)
from storefront.sandbox.walkthroughs import Check, Step, Walkthrough, amount

__all__ = ["NOTHING", "NOT_SEEN", "State", "Tick", "Verdict", "judge", "standing", "verdict", "why_not"]

# What pages of the app say; where they stand on its own domain, the platform does not see them.
OF_PAGES = {"page", "status", "state", "held", "refusal", "notice", "price"}
# Where a happening says which screen was shown.
SCREENED: Mapping[str, str] = {Name.SCREEN_SHOWN: "screen", Name.SEEN: "screen"}
VERDICTS = ("green", "amber", "red")  # of the books, from best to worst


def judge(walkthrough: Walkthrough, happenings: Sequence[Happened]) -> tuple[Tick, ...]:
    """How each step stands, and last the books."""
    return judging.judge(_EYES, walkthrough, walkthrough.steps, happenings)


@dataclass(frozen=True)
class _Scene(Scene):
    """What the platform's people have seen and done."""

    script: Walkthrough
    step: Step

    @property
    def is_opened(self) -> bool:
        return any(one.name is Name.APP_OPENED for one in self.past)

    @property
    def since_opened(self) -> Self:
        opened = [place for place, one in enumerate(self.window) if one.name is Name.APP_OPENED]
        return replace(self, window=self.window[opened[-1] :]) if opened else self

    @property
    def is_away(self) -> bool:
        """Whether the app is open at its own address, where the platform does not see its pages."""
        opened = [Device(one.device) for one in self.past if one.name is Name.APP_OPENED and one.device]
        if Device(
            self.made.get("hand", Device.MOBILE)
        ).on_own_domain:  # a desk's action may show a phone meanwhile
            return any(device.on_own_domain for device in opened)
        return bool(opened) and opened[-1].on_own_domain

    @property
    def is_outside(self) -> bool:
        """Whether the step leads to the provider, whose screens the platform does not see either."""
        return any(words.startswith("outside ") for words in self.step.play)

    def owner(self, key: str | None) -> str | None:
        """The id of somebody of the cast, as far as this walk has said it."""
        people: Mapping[str, str] = self.made.get("people", {})
        return people.get(key or self.script.who)

    def pages(self, happenings: Sequence[Happened], who: str | None = None) -> list[Happened]:
        """The pages of the app that were shown, of somebody or of all."""
        shown = [one for one in happenings if _is_page(one)]
        return [one for one in shown if who is None or one.owner_id == self.owner(who)]

    def code(self, number: int | None) -> str | None:
        """The code of the payment of this number, or of the last."""
        codes = [one.point_code for one in self.past if one.name is Name.PAYMENT_CREATED]
        if number is None:
            return codes[-1] if codes else None
        return codes[number - 1] if number <= len(codes) else ""

    @property
    def item(self) -> dict[str, str]:
        """What the page of the item said that was opened last."""
        of_items = (one for one in reversed(self.pages(self.past)) if one.facts.get("page") == "item")
        return next((mark for one in of_items for mark in marks(one) if "item" in mark), {})

    @property
    def price(self) -> int | None:
        points = (one.facts.get("points") for one in reversed(self.past) if one.name is Name.PAYMENT_CREATED)
        said = self.item.get("amount") if self.item.get("unit", "point") == "point" else None
        found = said or next(points, None)
        return None if found is None else int(found)


def _is_page(one: Happened) -> bool:
    """Whether a page of the app was shown; those of mobile phones the container sees, and nobody tells."""
    is_told = one.name is Name.SEEN and "page" in one.facts and not one.facts.get("screen")
    return one.name is Name.PAGE_SHOWN or (is_told and one.device is not Device.MOBILE)


def _applies(check: Check, scene: Scene) -> bool:
    return check.on is None or scene.made.get("hand") in check.on


def _is_hidden(check: Check, scene: _Scene) -> bool:
    """Whether it stands on the app's own domain, or at the provider."""
    return scene.is_away and (check.name in OF_PAGES or (check.name == "screen" and scene.is_outside))


def _books(walkthrough: Walkthrough, after: Sequence[Happened]) -> tuple[Tick, ...]:
    """The books, as they were read after the last step: a tick behind the last one's."""
    read_last = [one for one in after if one.name is Name.BOOKS_READ]
    expected, number = f"books {walkthrough.books}", len(walkthrough.steps)
    if not read_last:
        return (Tick(number, State.OPEN, expected, NOTHING),)
    got = str(read_last[-1].facts["verdict"])
    state = State.DONE if VERDICTS.index(got) <= VERDICTS.index(walkthrough.books) else State.MISSED
    return (Tick(number, state, expected, got, rows(read_last[-1:])),)


def _matches(one: Happened, check: Check) -> bool:
    return all(str(one.facts.get(name)).lower() == value.lower() for name, value in check.facts.items())


def _screen(check: Check, scene: _Scene) -> Came:
    replaced = (Name.PAGE_REPLACED, Name.PAGE_REFUSED)
    known = (*replaced, Name.SCREEN_SHOWN, *((Name.SEEN,) if scene.is_outside else ()))
    there = [one for one in scene.window if one.name in known]
    shown = [one for one in there if one.name in replaced or one.facts.get(SCREENED[one.name])]
    if not shown:
        return Came(None, is_met=False)
    newest = shown[-1]
    said = "error" if newest.name in replaced else newest.facts[SCREENED[newest.name]]
    return last(said, newest, check)


def _page(check: Check, scene: _Scene) -> Came:
    pages = scene.pages(scene.window, check.who)
    return last(pages[-1].facts.get(check.name), pages[-1], check) if pages else Came(None, is_met=False)


def _state(check: Check, scene: _Scene) -> Came:
    code = scene.code(check.payment)
    for page in reversed(scene.pages(scene.window, check.who)):
        for mark in marks(page):
            if "state" in mark and "payment" in mark and (code is None or mark["payment"] == code):
                doubt = mark.get("doubt", "no")
                came = mark["state"] if check.doubt is None else f"{mark['state']} doubt {doubt}"
                is_met = mark["state"] == check.state and check.doubt in (None, doubt)
                # By hand one may come when the time of the doubt is over; what was void has been in doubt.
                is_met |= scene.is_by_hand and check.doubt == "yes" and mark["state"] == "void"
                return Came(came, is_met, rows([page]))
    return Came(None, is_met=False)


def _held(check: Check, scene: _Scene) -> Came:
    bags = [one for one in scene.pages(scene.window, check.who) if one.facts.get("page") == "bag"]
    item, wanted = scene.item.get("item"), str(check.held)
    if not bags or item is None:  # of an item that nobody has seen nobody can say how many there are
        return Came(None, is_met=False)
    held = _quantity(bags[-1], item)
    if wanted.startswith("+"):
        of_all = [one for one in scene.pages(scene.past, check.who) if one.facts.get("page") == "bag"]
        held -= _quantity(of_all[0], item)
    return Came(str(held), held == int(wanted), rows(bags[-1:]))


def _town(check: Check, scene: _Scene) -> Came:
    """How many stand in somebody's town, of the item that was bought last."""
    owner = scene.owner(check.who)
    shown = [one for one in scene.window if one.name is Name.TOWN_SHOWN and one.owner_id == owner]
    bought = [one for one in scene.past if one.name is Name.PAYMENT_CREATED and one.owner_id == owner]
    if not shown or not bought:
        return Came(None, is_met=False)
    return last(_quantity(shown[-1], str(bought[-1].facts["item_id"])), shown[-1], check)


def _quantity(bag: Happened, item: str | None) -> int:
    return next((int(mark.get("quantity", 0)) for mark in marks(bag) if mark.get("item") == item), 0)


def _balance(check: Check, scene: _Scene) -> Came:
    """By how much somebody's points have changed since the walk began."""
    signs: Mapping[str, int] = {Name.PAYMENT_COMPLETED: -1, Name.PAYMENT_PAID_BACK: 1, Name.TOPPED_UP: 1}
    owner = scene.owner(check.who)
    moving = [one for one in scene.past if one.name in signs and one.owner_id == owner]
    moved = sum(signs[one.name] * int(one.facts.get("points") or 0) for one in moving)
    wanted, price = check.wanted, scene.price
    if wanted == "unchanged":
        return Came(f"{moved:+d}", moved == 0, rows(moving))
    if "price" in wanted and price is None:
        return Came(None, is_met=False)
    expected = int(f"{wanted[0]}1") * amount(wanted[1:], price or 0)
    return Came(f"{moved:+d}", moved == expected, rows(moving))


def _beside(check: Check, scene: _Scene) -> Came:
    """Whether the page that sells the item says its price in its own words."""
    items = [one for one in scene.pages(scene.window, check.who) if one.facts.get("page") == "item"]
    said = next((mark["price"] for mark in marks(items[-1]) if "price" in mark), None) if items else None
    return last(said, items[-1] if items else None, check)


def _calls(check: Check, scene: _Scene) -> Came:
    """How often the app has called the point API, or has asked about a payment there.

    A question that comes a pause after another is none too many, however long somebody takes for the step.
    """
    made: Mapping[str, str] = {Name.PAYMENT_CREATED: "create", Name.PAYMENT_CONFIRMED: "confirm"}
    calls = [
        one
        for one in scene.window
        if (one.name in made or one.name is Name.API_REFUSED)
        and check.api in (None, made.get(one.name) or one.facts.get("call"))
    ]
    spared = _pauses(calls, scene) if check.api == "confirm" else 0
    return Came(str(len(calls)), fits(len(calls) - spared, check.wanted), rows(calls))


def _pauses(calls: Sequence[Happened], scene: _Scene) -> int:
    """How many of the app's pauses lay between the first of these calls and the last."""
    pause = timedelta(seconds=scene.made.get("pause", 0))
    return min((calls[-1].at - calls[0].at) // pause, len(calls) - 1) if calls and pause else 0


def _answer(check: Check, scene: _Scene) -> Came:
    """What the app has answered to callbacks and notices: the last, or, of a list, all."""
    asked = [one for one in scene.window if one.name is Name.CALLBACK_ANSWERED and _matches(one, check)]
    answers = [_answered(one) for one in asked]
    if not answers:
        return Came(None, is_met=False)
    if isinstance(check.answer, list):
        return Came(" ".join(answers), sorted(answers) == sorted(check.answer), rows(asked))
    if check.times is not None:
        is_met = set(answers) == {check.answer} and fits(len(answers), check.times)
        return Came(" ".join(answers), is_met, rows(asked))
    is_met = answers[-1] == check.answer
    return Came(answers[-1], is_met, rows(asked[-1:]), is_final=not is_met)


def _answered(one: Happened) -> str:
    facts = one.facts
    return "OK" if facts.get("ok") or facts.get("good") else str(facts.get("status") or "silence")


def _refusal(check: Check, scene: _Scene) -> Came:
    for page in reversed(scene.pages(scene.window, check.who)):
        for mark in marks(page):
            said = mark.get("refusal") or mark.get("reason")
            if said:
                return last(said, page, check)
    return Came(None, is_met=False)


def _notice(check: Check, scene: _Scene) -> Came:
    pages = scene.pages(scene.window, check.who)
    if not pages:
        return Came(None, is_met=False)
    said = next((mark["notice"] for mark in marks(pages[-1]) if "notice" in mark), "none")
    return last(said, pages[-1], check)


def _happened(check: Check, scene: _Scene) -> Came:
    owner = scene.owner(check.who) if check.who else None
    found = [
        one
        for one in scene.window
        if one.name == check.happened and _matches(one, check) and owner in (None, one.owner_id)
    ]
    if not found:
        return Came(None, is_met=False)
    is_met = check.times is None or fits(len(found), check.times)
    return Came(f"{check.happened} times {len(found)}", is_met, rows(found))


def _never(check: Check, scene: _Scene) -> Came:
    found = [one for one in scene.window if one.name == check.never and _matches(one, check)]
    return Came(check.never if found else "", not found, rows(found), is_final=bool(found))


def _weather_met(check: Check, scene: _Scene) -> Came:
    met = [one for one in scene.window if one.name is Name.WEATHER_MET]
    found = [one for one in met if one.facts.get("kind") == check.weather_met]
    return Came(" ".join(str(one.facts.get("kind")) for one in met) or None, bool(found), rows(found))


def _read_books(check: Check, scene: _Scene) -> Came:
    found = [one for one in scene.window if one.name is Name.BOOKS_READ]
    return last(found[-1].facts.get("verdict"), found[-1], check) if found else Came(None, is_met=False)


_EYES = Eyes(
    looks={
        "screen": _screen,
        "page": _page,
        "status": _page,
        "state": _state,
        "held": _held,
        "balance": _balance,
        "price": _beside,
        "calls": _calls,
        "answer": _answer,
        "refusal": _refusal,
        "notice": _notice,
        "happened": _happened,
        "never": _never,
        "weather_met": _weather_met,
        "books": _read_books,
        "town": _town,
    },
    scene=_Scene,
    passive={"balance", "calls", "never"},
    applies=_applies,
    is_hidden=_is_hidden,
    ending=_books,
)
