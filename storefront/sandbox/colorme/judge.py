"""How far a walk at the store has come: judged from what happened there, and from nothing else. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from storefront.sandbox import judging
from storefront.sandbox.colorme.happened import Happened, Name
from storefront.sandbox.colorme.walkthroughs import OF_YEN, Check, Walkthrough, reckon
from storefront.sandbox.happened import marks
from storefront.sandbox.judging import Came, Eyes, Scene, Tick, fits, last, rows

# What the app's own pages say, which the store does not see.
OF_PAGES = {"page", "status", "shows", "history"}
BILLS = (Name.BILLED, Name.BILL_CHANGED, Name.BILL_DROPPED)
UNPAID = ("open", "owed")


def judge(walkthrough: Walkthrough, happenings: Sequence[Happened]) -> tuple[Tick, ...]:
    """How each step stands."""
    return judging.judge(_EYES, walkthrough, walkthrough.steps, happenings)


@dataclass(frozen=True)
class _Scene(Scene):
    """What shop owners have seen and done."""

    script: Walkthrough

    def of(self, names: Iterable[str], happenings: Sequence[Happened]) -> list[Happened]:
        """What of these kinds happened in the shop that the walk is about, or in no shop."""
        people: Mapping[str, str] = self.made.get("people", {})
        mine = (None, people.get(self.script.who))
        return [one for one in happenings if one.name in names and one.account in mine]

    def pages(self, happenings: Sequence[Happened]) -> list[Happened]:
        """The pages of the app that were seen."""
        return [one for one in happenings if one.name == Name.SEEN and "marks" in one.facts]

    def amounts(self) -> Mapping[str, int]:
        """What is registered for the plan that was installed last, and for what is sold inside."""
        forms = [str(one.facts["form"]) for one in self.of((Name.INSTALLED,), self.past)]
        plans: Mapping[str, Mapping[str, int]] = self.made.get("plans", {})
        inside = {name: self.made[name] for name in ("option", "piece") if name in self.made}
        return {**inside, **(plans.get(forms[-1], {}) if forms else {})}

    def reckoned(self, words: str) -> int | None:
        return reckon(words, self.amounts(), date.fromisoformat(self.script.begins))

    def matches(self, one: Happened, check: Check) -> bool:
        return all(self._same(one.facts.get(name), name, check) for name in check.facts)

    def _same(self, value: Any, name: str, check: Check) -> bool:
        wanted = check.facts[name]
        if name in OF_YEN:
            return bool(value == self.reckoned(wanted))
        return str(value).lower() == wanted.lower()


def _page(check: Check, scene: _Scene) -> Came:
    pages = scene.pages(scene.window)
    return last(pages[-1].facts.get(check.name), pages[-1], check) if pages else Came(None, is_met=False)


def _shows(check: Check, scene: _Scene) -> Came:
    return _marked(check, scene, scene.pages(scene.window))


def _listed(check: Check, scene: _Scene) -> Came:
    return _marked(check, scene, scene.of((Name.PAGE_SHOWN,), scene.window))


def _marked(check: Check, scene: _Scene, pages: Sequence[Happened]) -> Came:
    """Whether the last page has an element with this mark, and with what narrows it."""
    if not pages:
        return Came(None, is_met=False)
    found = [mark for mark in marks(pages[-1]) if check.wanted in mark]
    fitting = [mark for mark in found if all(_says(mark, name, check, scene) for name in check.facts)]
    is_met = bool(fitting) if check.times is None else fits(len(fitting), check.times)
    if is_met:
        return Came(check.wanted, is_met)
    said = [f"{name} {mark.get(name, '-')}" for mark in found[:1] for name in check.facts]
    return Came(" ".join([check.wanted, *said]) if found else None, is_met)


def _says(mark: Mapping[str, str], name: str, check: Check, scene: _Scene) -> bool:
    wanted = check.facts[name]
    return mark.get(name) == (str(scene.reckoned(wanted)) if name in OF_YEN else wanted)


def _contract(check: Check, scene: _Scene) -> Came:
    changes = scene.of((Name.INSTALLED, Name.UNINSTALLED), scene.past)
    stands = changes[-1].facts["form"] if changes and changes[-1].name == Name.INSTALLED else "none"
    return Came(stands, stands == check.contract)


def _balance(check: Check, scene: _Scene) -> Came:
    """By how much the shop's points have changed since the walk began; what was paid in does not count."""
    moving = [one for one in scene.of((Name.POINTS_MOVED,), scene.past) if not one.facts["paid_in"]]
    moved, wanted = sum(one.facts["points"] for one in moving), check.wanted
    if wanted == "unchanged":
        return Came(f"{moved:+d}", moved == 0)
    sum_of = scene.reckoned(wanted[1:])
    if sum_of is None:
        return Came(None, is_met=False)
    return Came(f"{moved:+d}", moved == int(f"{wanted[0]}1") * sum_of)


def _owed(check: Check, scene: _Scene) -> Came:
    """What this shop has not paid yet, with tax."""
    bills = {one.facts["code"]: one for one in scene.of(BILLS, scene.past)}
    unpaid = [one for one in bills.values() if one.name != Name.BILL_DROPPED and one.facts["state"] in UNPAID]
    owed = sum(one.facts["total"] for one in unpaid)
    return Came(str(owed), owed == scene.reckoned(check.wanted))


def _history(check: Check, scene: _Scene) -> Came:
    """Whether the app's history has as many options charged as the store has."""
    pages = [one for one in scene.pages(scene.window) if one.facts.get("page") == "history"]
    if not pages:
        return Came(None, is_met=False)
    said = sum(mark.get("state") == "charged" for mark in marks(pages[-1]) if "payment" in mark)
    bills = {one.facts["code"]: one for one in scene.of(BILLS, scene.past)}
    charged = sum(one.facts["kind"] == "option" for one in bills.values())
    return Came("agrees" if said == charged else f"{said}-of-{charged}", said == charged)


def _happened(check: Check, scene: _Scene) -> Came:
    all_of = scene.of((check.wanted,), scene.window)
    found = [one for one in all_of if scene.matches(one, check)]
    if found:
        is_met = check.times is None or fits(len(found), check.times)
        return Came(f"{check.happened} times {len(found)}", is_met, rows(found))
    said = [f"{name} {one.facts.get(name)}" for one in all_of[-1:] for name in check.facts]
    return Came(" ".join([check.wanted, *said]) if all_of else None, is_met=False, rows=rows(all_of[-1:]))


def _never(check: Check, scene: _Scene) -> Came:
    found = [one for one in scene.of((check.wanted,), scene.window) if scene.matches(one, check)]
    return Came(check.never if found else "", not found, rows(found), is_final=bool(found))


def _weather_met(check: Check, scene: _Scene) -> Came:
    met = [one for one in scene.window if one.name == Name.WEATHER_MET]
    found = [one for one in met if one.facts["kind"] == check.weather_met]
    return Came(" ".join(str(one.facts["kind"]) for one in met) or None, bool(found), rows(found))


_EYES = Eyes(
    looks={
        "page": _page,
        "status": _page,
        "shows": _shows,
        "listed": _listed,
        "contract": _contract,
        "balance": _balance,
        "owed": _owed,
        "history": _history,
        "happened": _happened,
        "never": _never,
        "weather_met": _weather_met,
    },
    scene=_Scene,
    passive={"balance", "owed", "never", "contract"},
    is_hidden=lambda check, scene: check.name in OF_PAGES,
)
