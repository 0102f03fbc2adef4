"""How far a walk has come: judged from what happened on its stage, and from nothing else.

judge()     how each step stands
verdict()   the same in one word
standing()  what happened, without the words that were taken back

Pure: the same file and the same happenings say the same to the desk and to the robot.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

from storefront.sandbox.devices import Device
from storefront.sandbox.happened import Happened, Name, marks
from storefront.sandbox.walkthroughs import Check, Step, Walkthrough, amount

H = TypeVar("H", bound=Happened)
# What alone would tick a step before anything was done.
PASSIVE = {"balance", "calls", "never"}
# What pages of the app say; where they stand on its own domain, the platform does not see them.
OF_PAGES = {"page", "status", "state", "held", "refusal", "notice", "price"}
# Where a happening says which screen was shown.
SCREENED = {Name.SCREEN_SHOWN: "screen", Name.SEEN: "screen"}
VERDICTS = ("green", "amber", "red")  # of the books, from best to worst
NOTHING, NOT_SEEN = "nothing", "not seen"


class State(StrEnum):
    """How a step stands."""

    OPEN = "open"
    DONE = "done"
    MISSED = "missed"


class Verdict(StrEnum):
    """How a walk stands."""

    OPEN = "open"
    PASSED = "passed"
    MISSED = "missed"
    NOT_APPLICABLE = "not-applicable"


@dataclass(frozen=True)
class Tick:
    """How one step stands: what was expected first of what is missing, what came, and which rows tell of it.

    The last one is for the books, one behind the last step.
    """

    step: int
    state: State
    expected: str = ""
    got: str = ""
    rows: tuple[int, ...] = ()
    can_be_said: bool = False  # what is missing is for a person to say: nobody else sees it


def judge(walkthrough: Walkthrough, happenings: Sequence[Happened]) -> tuple[Tick, ...]:
    """How each step stands, and last the books.

    A step ends where somebody said that it is over, else as soon as all that must be seen has come. What
    was not seen by a step's end is missed; so is what cannot be put right any more.
    """
    ticks, begins = [], 0
    happenings = standing(happenings)
    for number, step in enumerate(walkthrough.steps):
        ended = _end(happenings, begins, number)
        if ended is not None:
            said = str(happenings[ended].facts["said"])
            scene = _Scene(walkthrough, step, happenings[:ended], happenings[begins:ended], said != "end")
            ticks.append(_told(number, scene, said))
            begins = ended + 1
            continue
        tick, begins = _by_itself(walkthrough, step, number, happenings, begins)
        ticks.append(tick)
        if tick.state is not State.DONE:
            later = range(number + 1, len(walkthrough.steps))
            return (*ticks, *(Tick(one, State.OPEN) for one in later), _books(walkthrough, ()))
    return (*ticks, _books(walkthrough, happenings[begins:]))


def verdict(ticks: Iterable[Tick], happenings: Sequence[Happened]) -> Verdict:
    """How the whole walk stands."""
    if why_not(happenings):
        return Verdict.NOT_APPLICABLE
    states = {tick.state for tick in ticks}
    if State.MISSED in states:
        return Verdict.MISSED
    return Verdict.OPEN if State.OPEN in states else Verdict.PASSED


def standing(happenings: Sequence[H]) -> Sequence[H]:
    """Without what somebody has said and taken back, and what they said of later steps meanwhile."""
    back = [
        (place, one.facts["step"]) for place, one in enumerate(happenings) if one.facts.get("said") == "back"
    ]

    def is_gone(place: int, one: H) -> bool:
        is_said = one.name is Name.SEEN and "said" in one.facts
        return is_said and any(place <= end and one.facts["step"] >= step for end, step in back)

    return [one for place, one in enumerate(happenings) if not is_gone(place, one)] if back else happenings


def why_not(happenings: Sequence[Happened]) -> str:
    """Why the walkthrough does not apply to this shop; nothing if it does."""
    said = (one.facts for one in happenings if one.name is Name.SEEN)
    return next((str(facts["reason"]) for facts in said if facts.get("said") == "not-applicable"), "")


@dataclass(frozen=True)
class _Scene:
    """What has happened until a moment, and of that what belongs to one step."""

    walkthrough: Walkthrough
    step: Step
    past: Sequence[Happened]
    window: Sequence[Happened]
    is_by_hand: bool = True

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
    def since_opened(self) -> "_Scene":
        """The same without what was seen before the app was opened last."""
        opened = [place for place, one in enumerate(self.window) if one.name is Name.APP_OPENED]
        return replace(self, window=self.window[opened[-1] :]) if opened else self

    @property
    def is_outside(self) -> bool:
        """Whether the step leads to the provider, whose screens the platform does not see either."""
        return any(words.startswith("outside ") for words in self.step.play)

    @property
    def made(self) -> Mapping[str, Any]:
        return next((one.facts for one in self.past if one.name is Name.WALK_BEGUN), {})

    def owner(self, key: str | None) -> str | None:
        """The id of somebody of the cast, as far as this walk has said it."""
        people: Mapping[str, str] = self.made.get("people", {})
        return people.get(key or self.walkthrough.who)

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


@dataclass(frozen=True)
class _Came:
    """What came in place of what a check asks for; `value` is None if nothing did."""

    value: str | None
    is_met: bool
    rows: tuple[int, ...] = ()
    is_final: bool = False  # what comes later cannot put it right


def _is_page(one: Happened) -> bool:
    """Whether a page of the app was shown; those of mobile phones the container sees, and nobody tells."""
    is_told = one.name is Name.SEEN and "page" in one.facts and not one.facts.get("screen")
    return one.name is Name.PAGE_SHOWN or (is_told and one.device is not Device.MOBILE)


def _is_unseen(check: Check, scene: _Scene) -> bool:
    """Whether it stands where the platform does not look, and nobody has told of it."""
    is_there = check.name in OF_PAGES or (check.name == "screen" and scene.is_outside)
    return scene.is_away and is_there and _LOOKS[check.name](check, scene.since_opened).value is None


def _end(happenings: Sequence[Happened], begins: int, step: int) -> int | None:
    """Where somebody said that this step is over."""
    for place in range(begins, len(happenings)):
        facts = happenings[place].facts
        is_end = happenings[place].name is Name.SEEN and facts.get("said") in ("yes", "no", "end")
        if is_end and facts.get("step") == step:
            return place
    return None


def _told(number: int, scene: _Scene, said: str) -> Tick:
    """A step of which somebody said that it is over: seen, not seen, or simply done."""
    for check, came in _missing(scene):
        if said != "yes" or not _is_unseen(check, scene):
            nothing = NOT_SEEN if said == "no" else NOTHING
            return Tick(number, State.MISSED, str(check), came.value or nothing, came.rows)
    if said == "no":
        return Tick(number, State.MISSED, str(scene.step.see[0]), NOT_SEEN)
    return Tick(number, State.DONE)


def _by_itself(
    walkthrough: Walkthrough, step: Step, number: int, happenings: Sequence[Happened], begins: int
) -> tuple[Tick, int]:
    """A step that nobody has ended: done with the happening that brings the last of what must be seen."""
    scene = _Scene(walkthrough, step, happenings[:begins], ())
    missing = _missing(scene)
    waits = {check.name for check in step.see} <= PASSIVE  # for a person to say so
    for end in range(begins + 1, len(happenings) + 1):
        scene = _Scene(walkthrough, step, happenings[:end], happenings[begins:end])
        missing = _missing(scene)
        if not missing and not waits:
            return Tick(number, State.DONE), end
        lost = next(((check, came) for check, came in missing if came.is_final), None)
        if lost:
            return Tick(number, State.MISSED, str(lost[0]), lost[1].value or NOTHING, lost[1].rows), end
    check, came = missing[0] if missing else (step.see[0], _Came(None, is_met=False))
    is_opened = any(one.name is Name.APP_OPENED for one in happenings)
    can_be_said = is_opened and all(_is_unseen(one, scene) for one, _ in missing)
    return Tick(number, State.OPEN, str(check), came.value or NOTHING, came.rows, can_be_said), begins


def _missing(scene: _Scene) -> list[tuple[Check, _Came]]:
    """What must be seen on this device, and has not come yet."""
    device = scene.made.get("hand")
    here = [check for check in scene.step.see if check.on is None or device in check.on]
    looked = [(check, _LOOKS[check.name](check, scene)) for check in here]
    return [(check, came) for check, came in looked if not came.is_met]


def _books(walkthrough: Walkthrough, after: Sequence[Happened]) -> Tick:
    """The books, as they were read after the last step."""
    read_last = [one for one in after if one.name is Name.BOOKS_READ]
    expected, number = f"books {walkthrough.books}", len(walkthrough.steps)
    if not read_last:
        return Tick(number, State.OPEN, expected, NOTHING)
    got = str(read_last[-1].facts["verdict"])
    state = State.DONE if VERDICTS.index(got) <= VERDICTS.index(walkthrough.books) else State.MISSED
    return Tick(number, state, expected, got, _rows(read_last[-1:]))


def _rows(happenings: Iterable[Happened]) -> tuple[int, ...]:
    return tuple(one.wire_id for one in happenings if one.wire_id is not None)


def _fits(number: int, wanted: str) -> bool:
    """Whether a number is the one, or within least..most."""
    least, _, most = wanted.partition("..")
    return int(least) <= number <= int(most or least)


def _matches(one: Happened, check: Check) -> bool:
    return all(str(one.facts.get(name)).lower() == value.lower() for name, value in check.facts.items())


def _last(value: object, one: Happened | None, check: Check) -> _Came:
    """What the last that came of its kind says."""
    if one is None or value is None:
        return _Came(None, is_met=False)
    return _Came(str(value), str(value) == check.wanted, _rows([one]))


def _screen(check: Check, scene: _Scene) -> _Came:
    replaced = (Name.PAGE_REPLACED, Name.PAGE_REFUSED)
    known = (*replaced, Name.SCREEN_SHOWN, *((Name.SEEN,) if scene.is_outside else ()))
    there = [one for one in scene.window if one.name in known]
    shown = [one for one in there if one.name in replaced or one.facts.get(SCREENED[one.name])]
    if not shown:
        return _Came(None, is_met=False)
    last = shown[-1]
    return _last("error" if last.name in replaced else last.facts[SCREENED[last.name]], last, check)


def _page(check: Check, scene: _Scene) -> _Came:
    pages = scene.pages(scene.window, check.who)
    return _last(pages[-1].facts.get(check.name), pages[-1], check) if pages else _Came(None, is_met=False)


def _state(check: Check, scene: _Scene) -> _Came:
    code = scene.code(check.payment)
    for page in reversed(scene.pages(scene.window, check.who)):
        for mark in marks(page):
            if "state" in mark and "payment" in mark and (code is None or mark["payment"] == code):
                doubt = mark.get("doubt", "no")
                came = mark["state"] if check.doubt is None else f"{mark['state']} doubt {doubt}"
                is_met = mark["state"] == check.state and check.doubt in (None, doubt)
                # By hand one may come when the time of the doubt is over; what was void has been in doubt.
                is_met |= scene.is_by_hand and check.doubt == "yes" and mark["state"] == "void"
                return _Came(came, is_met, _rows([page]))
    return _Came(None, is_met=False)


def _held(check: Check, scene: _Scene) -> _Came:
    bags = [one for one in scene.pages(scene.window, check.who) if one.facts.get("page") == "bag"]
    item, wanted = scene.item.get("item"), str(check.held)
    if not bags or item is None:  # of an item that nobody has seen nobody can say how many there are
        return _Came(None, is_met=False)
    held = _quantity(bags[-1], item)
    if wanted.startswith("+"):
        of_all = [one for one in scene.pages(scene.past, check.who) if one.facts.get("page") == "bag"]
        held -= _quantity(of_all[0], item)
    return _Came(str(held), held == int(wanted), _rows(bags[-1:]))


def _quantity(bag: Happened, item: str | None) -> int:
    return next((int(mark.get("quantity", 0)) for mark in marks(bag) if mark.get("item") == item), 0)


def _balance(check: Check, scene: _Scene) -> _Came:
    """By how much somebody's points have changed since the walk began."""
    signs = {Name.PAYMENT_COMPLETED: -1, Name.PAYMENT_PAID_BACK: 1, Name.TOPPED_UP: 1}
    owner = scene.owner(check.who)
    moving = [one for one in scene.past if one.name in signs and one.owner_id == owner]
    moved = sum(signs[one.name] * int(one.facts.get("points") or 0) for one in moving)
    wanted, price = check.wanted, scene.price
    if wanted == "unchanged":
        return _Came(f"{moved:+d}", moved == 0, _rows(moving))
    if "price" in wanted and price is None:
        return _Came(None, is_met=False)
    expected = int(f"{wanted[0]}1") * amount(wanted[1:], price or 0)
    return _Came(f"{moved:+d}", moved == expected, _rows(moving))


def _beside(check: Check, scene: _Scene) -> _Came:
    """Whether the page that sells the item says its price in its own words."""
    items = [one for one in scene.pages(scene.window, check.who) if one.facts.get("page") == "item"]
    said = next((mark["price"] for mark in marks(items[-1]) if "price" in mark), None) if items else None
    return _last(said, items[-1] if items else None, check)


def _calls(check: Check, scene: _Scene) -> _Came:
    """How often the app has called the point API, or has asked about a payment there."""
    made = {Name.PAYMENT_CREATED: "create", Name.PAYMENT_CONFIRMED: "confirm"}
    calls = [
        one
        for one in scene.window
        if (one.name in made or one.name is Name.API_REFUSED)
        and check.api in (None, made.get(one.name) or one.facts.get("call"))
    ]
    return _Came(str(len(calls)), _fits(len(calls), check.wanted), _rows(calls))


def _answer(check: Check, scene: _Scene) -> _Came:
    """What the app has answered to callbacks and notices: the last, or, of a list, all."""
    asked = [one for one in scene.window if one.name is Name.CALLBACK_ANSWERED and _matches(one, check)]
    answers = [_answered(one) for one in asked]
    if not answers:
        return _Came(None, is_met=False)
    if isinstance(check.answer, list):
        return _Came(" ".join(answers), sorted(answers) == sorted(check.answer), _rows(asked))
    if check.times is not None:
        is_met = set(answers) == {check.answer} and _fits(len(answers), check.times)
        return _Came(" ".join(answers), is_met, _rows(asked))
    is_met = answers[-1] == check.answer
    return _Came(answers[-1], is_met, _rows(asked[-1:]), is_final=not is_met)


def _answered(one: Happened) -> str:
    facts = one.facts
    return "OK" if facts.get("ok") or facts.get("good") else str(facts.get("status") or "silence")


def _refusal(check: Check, scene: _Scene) -> _Came:
    for page in reversed(scene.pages(scene.window, check.who)):
        for mark in marks(page):
            said = mark.get("refusal") or mark.get("reason")
            if said:
                return _last(said, page, check)
    return _Came(None, is_met=False)


def _notice(check: Check, scene: _Scene) -> _Came:
    pages = scene.pages(scene.window, check.who)
    if not pages:
        return _Came(None, is_met=False)
    said = next((mark["notice"] for mark in marks(pages[-1]) if "notice" in mark), "none")
    return _last(said, pages[-1], check)


def _happened(check: Check, scene: _Scene) -> _Came:
    owner = scene.owner(check.who) if check.who else None
    found = [
        one
        for one in scene.window
        if one.name == check.happened and _matches(one, check) and owner in (None, one.owner_id)
    ]
    if not found:
        return _Came(None, is_met=False)
    is_met = check.times is None or _fits(len(found), check.times)
    return _Came(f"{check.happened} times {len(found)}", is_met, _rows(found))


def _never(check: Check, scene: _Scene) -> _Came:
    found = [one for one in scene.window if one.name == check.never and _matches(one, check)]
    return _Came(check.never if found else "", not found, _rows(found), is_final=bool(found))


def _weather_met(check: Check, scene: _Scene) -> _Came:
    met = [one for one in scene.window if one.name is Name.WEATHER_MET]
    found = [one for one in met if one.facts.get("kind") == check.weather_met]
    return _Came(" ".join(str(one.facts.get("kind")) for one in met) or None, bool(found), _rows(found))


def _read_books(check: Check, scene: _Scene) -> _Came:
    found = [one for one in scene.window if one.name is Name.BOOKS_READ]
    return _last(found[-1].facts.get("verdict"), found[-1], check) if found else _Came(None, is_met=False)


_LOOKS: Mapping[str, Callable[[Check, _Scene], _Came]] = {
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
}
