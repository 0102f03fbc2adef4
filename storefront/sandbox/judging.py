"""How far a walk has come: judged from what happened, and from nothing else.

judge()     how each step stands
verdict()   the same in one word
standing()  what happened, without the words that were taken back

Pure: the same file and the same happenings say the same to the desk and to the robot. What a check asks for,
and where that is looked for, each platform says by its Eyes.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self, TypeVar

from storefront.sandbox.chapters import Check, Script, Step
from storefront.sandbox.happened import BEGUN, SEEN, Told

NOTHING, NOT_SEEN = "nothing", "not seen"
OVER = ("yes", "no", "end")  # said of a step
NOT_APPLICABLE = "not-applicable"
BACK = "back"  # takes back what was said of a step
SAID = (*OVER, NOT_APPLICABLE, BACK)

H = TypeVar("H", bound=Told)


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
    NOT_APPLICABLE = NOT_APPLICABLE


@dataclass(frozen=True)
class Tick:
    """How a step stands: what was expected first of what is missing, what came, which rows tell of it."""

    step: int
    state: State
    expected: str = ""
    got: str = ""
    rows: tuple[int, ...] = ()
    can_be_said: bool = False  # what is missing is for a person to say: nobody else sees it


@dataclass(frozen=True)
class Came:
    """What came in place of what a check asks for; `value` is None if nothing did."""

    value: str | None
    is_met: bool
    rows: tuple[int, ...] = ()
    is_final: bool = False  # what comes later cannot put it right


@dataclass(frozen=True)
class Scene:
    """What has happened until a moment, and of that what belongs to one step."""

    script: Any
    step: Any
    past: Sequence[Any]
    window: Sequence[Any]
    is_by_hand: bool = True

    @property
    def made(self) -> Mapping[str, Any]:
        """What the walk began with."""
        return next((one.facts for one in self.past if one.name == BEGUN), {})

    @property
    def is_opened(self) -> bool:
        """Whether there was anything to see yet."""
        return True

    @property
    def since_opened(self) -> Self:
        """The same without what was seen before the app was opened last, where it is opened anew."""
        return self


@dataclass(frozen=True)
class Eyes:
    """How a platform sees: a function for each word of its checks, and what it reads after the last step."""

    looks: Mapping[str, Callable[[Any, Any], Came]]
    scene: type[Scene] = Scene
    # What alone would tick a step before anything was done.
    passive: Collection[str] = ()
    applies: Callable[[Any, Any], bool] = lambda check, scene: True
    # Whether a check is about what the platform does not see.
    is_hidden: Callable[[Any, Any], bool] = lambda check, scene: False
    ending: Callable[[Any, Sequence[Any]], Sequence[Tick]] = lambda script, after: ()


def judge(eyes: Eyes, script: Script, steps: Sequence[Step[Any]], told: Sequence[Told]) -> tuple[Tick, ...]:
    """How each step stands, and last what is read after them.

    A step ends where somebody said that it is over, else as soon as all that must be seen has come. What
    was not seen by a step's end is missed; so is what cannot be put right any more.
    """
    ticks, begins = [], 0
    told = standing(told)
    for number, step in enumerate(steps):
        ended = _end(told, begins, number)
        if ended is not None:
            said = str(told[ended].facts["said"])
            scene = eyes.scene(script, step, told[:ended], told[begins:ended], said != "end")
            ticks.append(_told(eyes, number, scene, said))
            begins = ended + 1
            continue
        tick, begins = _by_itself(eyes, script, step, number, told, begins)
        ticks.append(tick)
        if tick.state is not State.DONE:
            later = range(number + 1, len(steps))
            return (*ticks, *(Tick(one, State.OPEN) for one in later), *eyes.ending(script, ()))
    return (*ticks, *eyes.ending(script, told[begins:]))


def verdict(ticks: Iterable[Tick], happenings: Sequence[Told]) -> Verdict:
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
        (place, one.facts["step"]) for place, one in enumerate(happenings) if one.facts.get("said") == BACK
    ]

    def is_gone(place: int, one: H) -> bool:
        is_said = one.name == SEEN and "said" in one.facts
        return is_said and any(place <= end and one.facts["step"] >= step for end, step in back)

    return [one for place, one in enumerate(happenings) if not is_gone(place, one)] if back else happenings


def why_not(happenings: Sequence[Told]) -> str:
    """Why the walkthrough does not apply to this shop; nothing if it does."""
    said = (one.facts for one in happenings if one.name == SEEN)
    return next((str(facts["reason"]) for facts in said if facts.get("said") == NOT_APPLICABLE), "")


def rows(happenings: Iterable[Told]) -> tuple[int, ...]:
    return tuple(one.wire_id for one in happenings if one.wire_id is not None)


def fits(number: int, wanted: str) -> bool:
    """Whether a number is the one, or within least..most."""
    least, _, most = wanted.partition("..")
    return int(least) <= number <= int(most or least)


def last(value: object, one: Told | None, check: Check) -> Came:
    """What the last that came of its kind says."""
    if one is None or value is None:
        return Came(None, is_met=False)
    return Came(str(value), str(value) == check.wanted, rows([one]))


def _end(happenings: Sequence[Told], begins: int, step: int) -> int | None:
    """Where somebody said that this step is over."""
    for place in range(begins, len(happenings)):
        facts = happenings[place].facts
        if happenings[place].name == SEEN and facts.get("said") in OVER and facts.get("step") == step:
            return place
    return None


def _told(eyes: Eyes, number: int, scene: Scene, said: str) -> Tick:
    """A step of which somebody said that it is over: seen, not seen, or simply done."""
    for check, came in _missing(eyes, scene):
        if said != "yes" or not _is_unseen(eyes, check, scene):
            nothing = NOT_SEEN if said == "no" else NOTHING
            return Tick(number, State.MISSED, str(check), came.value or nothing, came.rows)
    if said == "no":
        return Tick(number, State.MISSED, str(scene.step.see[0]), NOT_SEEN)
    return Tick(number, State.DONE)


def _by_itself(
    eyes: Eyes, script: Script, step: Step[Any], number: int, happenings: Sequence[Told], begins: int
) -> tuple[Tick, int]:
    """A step that nobody has ended: done with the happening that brings the last of what must be seen."""
    scene = eyes.scene(script, step, happenings[:begins], ())
    missing = _missing(eyes, scene)
    waits = {check.name for check in step.see} <= set(eyes.passive)  # for a person to say so
    for end in range(begins + 1, len(happenings) + 1):
        scene = eyes.scene(script, step, happenings[:end], happenings[begins:end])
        missing = _missing(eyes, scene)
        if not missing and not waits:
            return Tick(number, State.DONE), end
        lost = next(((check, came) for check, came in missing if came.is_final), None)
        if lost:
            return Tick(number, State.MISSED, str(lost[0]), lost[1].value or NOTHING, lost[1].rows), end
    check, came = missing[0] if missing else (step.see[0], Came(None, is_met=False))
    can_be_said = scene.is_opened and all(_is_unseen(eyes, one, scene) for one, _ in missing)
    return Tick(number, State.OPEN, str(check), came.value or NOTHING, came.rows, can_be_said), begins


def _missing(eyes: Eyes, scene: Scene) -> list[tuple[Check, Came]]:
    """What must be seen here, and has not come yet."""
    here = [check for check in scene.step.see if eyes.applies(check, scene)]
    looked = [(check, eyes.looks[check.name](check, scene)) for check in here]
    return [(check, came) for check, came in looked if not came.is_met]


def _is_unseen(eyes: Eyes, check: Check, scene: Scene) -> bool:
    """Whether it stands where the platform does not look, and nobody has told of it."""
    return eyes.is_hidden(check, scene) and eyes.looks[check.name](check, scene.since_opened).value is None
