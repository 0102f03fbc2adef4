"""Walkthroughs: what a tester does, and what must be seen; read from files, judged from happenings.

read()      the chapters of the sandbox and of folders of one's own; Broken names file, line and rule
judge()     how far a walk has come, from what happened on its stage and nothing else
verdict()   the same in one word

All of it is pure: the same file and the same happenings say the same to the desk and to the robot.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from storefront.sandbox.cast import BY_KEY
from storefront.sandbox.devices import Device
from storefront.sandbox.happenings import Name
from storefront.sandbox.weather import KINDS
from storefront.shop import yaml_file
from storefront.shop.yaml_file import Unreadable, Written, line_of, plain

OURS = Path(__file__).with_name("walkthroughs")

# What `play` may say: a verb, and what may follow it.
VERBS: Mapping[str, str] = {
    "open app": r"( mobile| smartphone| pc)?( framed| by post| again| elsewhere| as [a-z]+)?",
    "open": r" (shelf|item|bag|history|finish|legal|warning( unapproved| typed)?)",
    "buy": r"( twice| meanwhile| all| rest| until refused)?",
    "press again": "",
    "confirm": r"( all| \d)?",
    "cancel": "",
    "top up": "",
    "leave": "",
    "return": "",
    "use": r"( again)?",
    "send": r" [a-z_]+",
    "switch": r" (in_development|approved|replace_error_pages|hold_events) (on|off)",
    "turn clock": r" (now|[+-]\d+)",
    "remove app": "",
    "pay back": r"( all)?",
    "rotate key": "",
    "as": r" [a-z]+",
    "outside": r" (open|pay|cancel|decline|again|refund|expire)",
    "wait": r" (void|pause|parked|withdrawn)",
    "weather": r" (clear|[a-z0-9_.]+(:-?\d+)?(\*\d+)?( create| confirm)?)",
    "say age": r" \d+",
}
PLAY = re.compile("|".join(f"(?:{verb}{after})" for verb, after in VERBS.items()))
SCREENS = (
    *("confirm", "shortage", "asking", "bought", "failed", "cancelled", "paid_back", "too_much"),
    *("expired", "closed", "maintenance", "error"),
    *("waiting", "paid", "refunded", "chargeback"),
)
PAGES = (
    *("shelf", "item", "bag", "history", "finish", "warning", "legal", "age", "door", "error", "change"),
    *("not-started", "too-many", "being-prepared", "spent", "closed", "stale"),
)
STATES = ("create", "complete", "cancel", "pay_back", "void", "refund", "refunded", "chargeback")
SUM = r"(?:(\d+)\*)?price([+-]\d+)?"
# The rules of those words that have one.
RULES: Mapping[str, str] = {
    "screen": "|".join(SCREENS),
    "page": "|".join(PAGES),
    "status": r"\d{3}",
    "state": "|".join(STATES),
    "held": r"\+?\d+",
    "balance": rf"unchanged|[+-]{SUM}|[+-]\d+",
    "calls": r"\d+(\.\.\d+)?",
    "refusal": "[a-z_]+",
    "notice": "not-started|none",
    "happened": "|".join(Name),
    "never": "|".join(Name),
    "weather_met": "|".join(map(re.escape, KINDS)),
    "times": r"\d+(\.\.\d+)?",
}
CHECKS = (
    *("screen", "page", "status", "state", "held", "balance", "calls", "answer", "refusal", "notice"),
    *("happened", "never", "weather_met", "books"),
)
# What alone would tick a step before anything was done.
PASSIVE = {"balance", "calls", "never"}
# The happenings of an answer of the app's about money.
ANSWERED = (Name.CALLBACK_ANSWERED, Name.NOTICE_ANSWERED)
# Where a happening says which screen of the platform's or the provider's was shown.
SCREENED = {Name.SCREEN_SHOWN: "screen", Name.OUTSIDE_SHOWN: "state", Name.SEEN: "screen"}
VERDICTS = ("green", "amber", "red")  # of the books, from best to worst
NOTHING, NOT_SEEN = "nothing", "not seen"


# The rules of those fields of a file that have one of their own.
OF_FIELD = {
    "name": "a name is small letters, digits and -",
    "points": "points are a sum such as price+50, 2*price or 300",
    "on": "names at least one device",
    "steps": "has at least one step, each with something to play and to see",
}


class Broken(Exception):
    """A file of walkthroughs that cannot be used; each line names file, line and rule."""


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


class Happened(Protocol):
    """What is read of a happening."""

    @property
    def name(self) -> Name: ...
    @property
    def owner_id(self) -> str | None: ...
    @property
    def point_code(self) -> str | None: ...
    @property
    def facts(self) -> Mapping[str, Any]: ...
    @property
    def wire_id(self) -> int | None: ...


def _word(value: object) -> object:
    return str(value).lower() if isinstance(value, int) else value


Word = Annotated[str, BeforeValidator(_word)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Words(Strict):
    """The same in both languages."""

    ja: Annotated[str, Field(min_length=1)]
    en: Annotated[str, Field(min_length=1)]

    def of(self, language: str) -> str:
        return self.ja if language == "ja" else self.en


class Weather(Strict):
    """Weather of a walk's beginning; met by its own person's requests, or by everybody's."""

    kind: str
    next: Annotated[int | None, Field(ge=1)] = None
    seconds: int | None = None
    api: Literal["create", "confirm", "both"] = "both"

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in KINDS:
            raise ValueError(f"there is no weather {kind!r}")
        return kind


class Check(Strict):
    """One thing that must be seen. Exactly one of the first fourteen, and what narrows it."""

    screen: Word | None = None
    page: Word | None = None
    status: Word | None = None
    state: Word | None = None
    held: Word | None = None
    balance: Word | None = None
    calls: Word | None = None
    answer: Word | list[Word] | None = None
    refusal: Word | None = None
    notice: Word | None = None
    happened: Word | None = None
    never: Word | None = None
    weather_met: Word | None = None
    books: Literal["green", "amber", "red"] | None = None

    who: str | None = None
    payment: Annotated[int | None, Field(ge=1)] = None  # the first, the second … that was created
    doubt: Literal["yes", "no"] | None = None
    api: Literal["create", "confirm"] | None = None
    times: Word | None = None
    facts: dict[str, Word] = Field(default_factory=dict)
    on: list[Device] | None = None  # only there

    @field_validator("on", mode="before")
    @classmethod
    def _devices(cls, value: object) -> object:
        return _as_devices(value)

    @model_validator(mode="after")
    def _is_one(self) -> "Check":
        said = [name for name in CHECKS if getattr(self, name) is not None]
        if len(said) != 1:
            raise ValueError(f"must say exactly one of {', '.join(CHECKS)}")
        for name, rule in RULES.items():
            value = getattr(self, name, None)
            if value is not None and not re.fullmatch(rule, value):
                raise ValueError(f"{name}: {value} is not one of its words")
        if self.who is not None and self.who not in BY_KEY:
            raise ValueError(f"there is nobody called {self.who}")
        return self

    @property
    def name(self) -> str:
        return next(name for name in CHECKS if getattr(self, name) is not None)

    @property
    def wanted(self) -> str:
        """What must be seen, in one word."""
        value = getattr(self, self.name)
        return " ".join(value) if isinstance(value, list) else str(value)

    def __str__(self) -> str:
        narrowed = [("of", self.who), ("payment", self.payment), ("doubt", self.doubt), ("times", self.times)]
        more = [f"{name} {value}" for name, value in narrowed if value is not None]
        return " ".join([self.name, self.wanted, *more])


class Step(Strict):
    """What is done, how the robot does it, and what must be seen then."""

    do: Words
    play: Annotated[list[str], Field(min_length=1)]
    see: Annotated[list[Check], Field(min_length=1)]

    @field_validator("play")
    @classmethod
    def _plays(cls, play: list[str]) -> list[str]:
        for words in play:
            if not PLAY.fullmatch(words):
                raise ValueError(f"{words!r} is nothing the robot can do; it can {', '.join(VERBS)}")
        return play


class Walkthrough(Strict):
    """One walkthrough of a file. `chapter` is where it stands, and no field of the file's."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    chapter: str = ""
    title: Words
    rule: Words
    source: Annotated[str, Field(min_length=1)]
    row: str | None = None
    who: str
    on: Annotated[list[Device], Field(min_length=1)]
    item: Literal["any", "once", "few", "dear", "consumable", "outside"]
    points: Annotated[Word, Field(pattern=rf"^({SUM}|\d+)$")]
    weather: list[Weather] = Field(default_factory=list)
    needs: list[Literal["outside", "ages", "stopped", "breaker"]] = Field(default_factory=list)
    steps: Annotated[list[Step], Field(min_length=1)]
    books: Literal["green", "amber", "red"] = "green"  # at worst

    @field_validator("on", mode="before")
    @classmethod
    def _devices(cls, value: object) -> object:
        return _as_devices(value)

    @field_validator("who")
    @classmethod
    def _somebody(cls, who: str) -> str:
        if who not in BY_KEY:
            raise ValueError(f"there is nobody called {who}")
        return who

    @property
    def people(self) -> set[str]:
        """Everybody who plays in it."""
        spoken = [
            re.fullmatch(r"(?:open app )?as ([a-z]+)", words) for step in self.steps for words in step.play
        ]
        return {self.who, *(found[1] for found in spoken if found)}


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


def read(*folders: Path) -> Sequence[Walkthrough]:
    """Ours, then those of other folders, chapter by chapter, in the order of the files; or Broken."""
    found = {one.name: one for one in _ours()}
    for folder in folders:
        if not folder.is_dir():
            raise Broken(f"{folder}: is no folder")
        found |= _folder(folder, found)
    return list(found.values())


def judge(walkthrough: Walkthrough, happenings: Sequence[Happened]) -> tuple[Tick, ...]:
    """How each step stands, and last the books.

    A step ends where somebody said that it is over, else as soon as all that must be seen has come. What
    was not seen by a step's end is missed; so is what cannot be put right any more.
    """
    ticks, begins = [], 0
    for number, step in enumerate(walkthrough.steps):
        ended = _end(happenings, begins, number)
        if ended is not None:
            scene = _Scene(walkthrough, happenings[:ended], happenings[begins:ended])
            ticks.append(_told(step, number, scene, str(happenings[ended].facts["said"])))
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


def why_not(happenings: Sequence[Happened]) -> str:
    """Why the walkthrough does not apply to this shop; nothing if it does."""
    said = (one.facts for one in happenings if one.name is Name.SEEN)
    return next((str(facts["reason"]) for facts in said if facts.get("said") == "not-applicable"), "")


def amount(words: str, price: int) -> int:
    """A sum such as price+50, 2*price or 300."""
    found = re.fullmatch(SUM, words)
    return int(words) if found is None else int(found[1] or 1) * price + int(found[2] or 0)


@dataclass(frozen=True)
class _Scene:
    """What has happened until a moment, and of that what belongs to one step."""

    walkthrough: Walkthrough
    past: Sequence[Happened]
    window: Sequence[Happened]

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


def marks(page: Happened) -> list[dict[str, str]]:
    """The facts of a page, a dict for each element that has some."""
    found: list[dict[str, str]] = page.facts.get("marks") or []
    return found


def _as_devices(value: object) -> object:
    known = list(Device)
    if isinstance(value, list):
        if any(one not in known for one in value):
            raise ValueError(f"a device is {', '.join(known)}")
        return [Device(one) for one in value]
    return value


@cache
def _ours() -> Sequence[Walkthrough]:
    return list(_folder(OURS, {}).values())


def _folder(folder: Path, known: Mapping[str, Walkthrough]) -> Mapping[str, Walkthrough]:
    """What a folder's files say, by name; or Broken with all that is wrong in them."""
    problems: list[str] = []
    found: dict[str, Walkthrough] = {}
    for path in sorted(folder.glob("*.yaml")):
        for line, one, reasons in _entries(path):
            problems += [f"{path}:{at}: {plain(reason)}" for at, reason in reasons]
            if one and (one.name in known or one.name in found):
                problems.append(f"{path}:{line}: name: there is another {one.name}")
            elif one:
                found[one.name] = one
    if problems:
        raise Broken("\n".join(problems))
    return found


def _entries(path: Path) -> Iterable[tuple[int, Walkthrough | None, list[tuple[int, str]]]]:
    """Each walkthrough of a file with its line, or what is wrong with it."""
    try:
        root = yaml_file.read(path)
    except Unreadable as error:
        raise Broken(str(error)) from None
    if not isinstance(root, SequenceNode):
        raise Broken(f"{path}:1: a chapter is a list of walkthroughs, each beginning with - name:")
    return [(line_of(node), *_entry(node, path)) for node in root.value]


def _entry(node: Node, path: Path) -> tuple[Walkthrough | None, list[tuple[int, str]]]:
    if not isinstance(node, MappingNode):
        return None, [(line_of(node), "a walkthrough is a mapping that starts with its name: - name: …")]
    written = Written()
    one = written.made(Walkthrough, node, "a walkthrough", OF_FIELD)
    chapter = path.stem.partition("-")[2] or path.stem
    return one and one.model_copy(update={"chapter": chapter}), written.problems


def _is_page(one: Happened) -> bool:
    is_told = one.name is Name.SEEN and "page" in one.facts and not one.facts.get("screen")
    return one.name is Name.PAGE_SHOWN or is_told


def _end(happenings: Sequence[Happened], begins: int, step: int) -> int | None:
    """Where somebody said that this step is over."""
    for place in range(begins, len(happenings)):
        facts = happenings[place].facts
        is_end = happenings[place].name is Name.SEEN and facts.get("said") in ("yes", "no", "end")
        if is_end and facts.get("step") == step:
            return place
    return None


def _told(step: Step, number: int, scene: _Scene, said: str) -> Tick:
    """A step of which somebody said that it is over: seen, not seen, or simply done."""
    for check, came in _all(step, scene):
        unseen = came.value is None and said == "yes"  # the person has seen it, if nobody else has
        if not came.is_met and not unseen:
            nothing = NOT_SEEN if said == "no" else NOTHING
            return Tick(number, State.MISSED, str(check), came.value or nothing, came.rows)
    if said == "no":
        return Tick(number, State.MISSED, str(step.see[0]), NOT_SEEN)
    return Tick(number, State.DONE)


def _by_itself(
    walkthrough: Walkthrough, step: Step, number: int, happenings: Sequence[Happened], begins: int
) -> tuple[Tick, int]:
    """A step that nobody has ended: done with the happening that brings the last of what must be seen."""
    missing: list[tuple[Check, _Came]] = []
    waits = {check.name for check in step.see} <= PASSIVE  # for a person to say so
    for end in range(begins + 1, len(happenings) + 1):
        scene = _Scene(walkthrough, happenings[:end], happenings[begins:end])
        missing = [(check, came) for check, came in _all(step, scene) if not came.is_met]
        if not missing and not waits:
            return Tick(number, State.DONE), end
        lost = next(((check, came) for check, came in missing if came.is_final), None)
        if lost:
            return Tick(number, State.MISSED, str(lost[0]), lost[1].value or NOTHING, lost[1].rows), end
    check, came = missing[0] if missing else (step.see[0], _Came(None, is_met=False))
    return Tick(number, State.OPEN, str(check), came.value or NOTHING, came.rows), begins


def _all(step: Step, scene: _Scene) -> list[tuple[Check, _Came]]:
    device = scene.made.get("hand")
    here = [check for check in step.see if check.on is None or device in check.on]
    return [(check, _LOOKS[check.name](check, scene)) for check in here]


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
    shown = [one for one in scene.window if one.name in replaced or one.facts.get(SCREENED.get(one.name, ""))]
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
                return _Came(came, is_met, _rows([page]))
    return _Came(None, is_met=False)


def _held(check: Check, scene: _Scene) -> _Came:
    bags = [one for one in scene.pages(scene.window, check.who) if one.facts.get("page") == "bag"]
    if not bags:
        return _Came(None, is_met=False)
    item, wanted = scene.item.get("item"), str(check.held)
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
    asked = [one for one in scene.window if one.name in ANSWERED and _matches(one, check)]
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
    "calls": _calls,
    "answer": _answer,
    "refusal": _refusal,
    "notice": _notice,
    "happened": _happened,
    "never": _never,
    "weather_met": _weather_met,
    "books": _read_books,
}
