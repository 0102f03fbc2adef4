"""The plans, options and metered items as a shopkeeper writes them; every problem with its line.

Sources of the rules: the page on plan billing (forms, limits, trial) and the API document (ids).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationInfo,
    field_validator,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode

from storefront.colorme import amounts
from storefront.colorme.periods import LONGEST_TRIAL, SHORTEST_TRIAL
from storefront.shop import yaml_file
from storefront.shop.catalog_file import CatalogError, Name
from storefront.shop.yaml_file import Place, Problem, Unreadable, Written, line_of, plain

PLANS = Path(__file__).parent / "plans.yaml"
PLAN_ID = re.compile(r"[0-9A-Z]{6,32}")  # the API document names no longest: ours
AMOUNTS = ("price", "monthly", "initial")


class Form(StrEnum):
    """The six forms of billing that a plan may have."""

    FREE = "free"
    ONE_TIME = "one_time"
    MONTHLY = "monthly"
    MONTHLY_INITIAL = "monthly_initial"
    MONTHLY_USAGE = "monthly_usage"
    USAGE = "usage"

    @property
    def amounts(self) -> tuple[str, ...]:
        """The fields of a plan that have an amount."""
        return _AMOUNTS[self]

    @property
    def prepaid(self) -> bool:
        return self in (Form.ONE_TIME, Form.MONTHLY, Form.MONTHLY_INITIAL)

    @property
    def has_monthly(self) -> bool:
        return "monthly" in self.amounts

    @property
    def has_trial(self) -> bool:
        return self.has_monthly

    @property
    def has_usage(self) -> bool:
        """All that is paid afterwards."""
        return self in (Form.MONTHLY_USAGE, Form.USAGE)


_AMOUNTS = {
    Form.FREE: (),
    Form.ONE_TIME: ("price",),
    Form.MONTHLY: ("monthly",),
    Form.MONTHLY_INITIAL: ("monthly", "initial"),
    Form.MONTHLY_USAGE: ("monthly",),
    Form.USAGE: (),
}


class PlanFileError(CatalogError):
    """The plan file breaks a rule; each line names the place and the rule."""


def _id(text: str) -> str:
    if not PLAN_ID.fullmatch(text):
        raise ValueError("an id is 6 to 32 digits and capital letters")
    return text


def _form(value: object) -> Form:
    if value not in list(Form):
        raise ValueError(f"a form is one of {', '.join(Form)}")
    return Form(str(value))


def _days(days: int) -> int:
    if days != 0 and not SHORTEST_TRIAL <= days <= LONGEST_TRIAL:
        raise ValueError(f"a trial has {SHORTEST_TRIAL} to {LONGEST_TRIAL} days; 0 is none")
    return days


def _registered(yen: int) -> int:
    amounts.check_limits(yen)
    return yen


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Id = Annotated[str, AfterValidator(_id)]
Yen = Annotated[int, AfterValidator(_registered)]
Items = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Plan(_Row):
    """A plan charge, in yen before tax; it has exactly the amounts of its form.

    `parcel` are the items that a plan with a monthly part brings, at the install and at every renewal.
    """

    id: Id
    form: Annotated[Form, BeforeValidator(_form)]
    name: Name
    price: Yen | None = None
    monthly: Yen | None = None
    initial: Yen | None = None
    parcel: Items = ()

    @field_validator(*AMOUNTS, mode="before")
    @classmethod
    def _of_its_form(cls, yen: object, others: ValidationInfo) -> object:
        form = others.data.get("form")
        if form and others.field_name not in form.amounts:
            raise ValueError(f"a plan of the form {form} has none: leave it out")
        return yen

    @field_validator("parcel")
    @classmethod
    def _brought_monthly(cls, items: tuple[str, ...], others: ValidationInfo) -> tuple[str, ...]:
        form = others.data.get("form")
        if items and form and not form.has_monthly:
            raise ValueError(f"a plan of the form {form} has no monthly part to bring it with")
        return items

    @model_validator(mode="after")
    def _complete(self) -> Self:
        missing = [name for name in self.form.amounts if getattr(self, name) is None]
        if missing:
            raise ValueError(f"a plan of the form {self.form} needs {' and '.join(missing)}")
        return self


class Option(_Row):
    """An in-app charge: an item that is bought at once, at its price in the catalogue."""

    id: Id
    item: str


@dataclass(frozen=True)
class PlanFile:
    """What the file says; plans and options by id. `metered` items are taken on account.

    `lines` has where each id stands, if it was read from a file.
    """

    trial_days: int
    plans: Mapping[str, Plan]
    options: Mapping[str, Option]
    metered: frozenset[str]
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    def option_of(self, item_id: str) -> Option | None:
        return next((option for option in self.options.values() if option.item == item_id), None)


class _File(_Row):
    trial_days: Annotated[int, AfterValidator(_days)]
    plans: list[Plan]
    options: list[Option] = []
    metered: Items = ()


def read(path: Path, prices: Mapping[str, int | None]) -> PlanFile:
    """What the file says, or PlanFileError with every broken rule and its line.

    `prices` has every item of the catalogue, with its yen at this counter or None.
    """
    try:
        root = yaml_file.read(path)
    except Unreadable as error:
        raise PlanFileError(str(error)) from None
    if not isinstance(root, MappingNode):
        raise PlanFileError(f"{path}:1: a plan file is a mapping of trial_days, plans, options and metered")
    written = Written()
    found = written.made(_File, root, "a plan file", {})
    said = Written().value(root)
    problems = [*written.problems, *_problems(said, prices, written.lines, line_of(root))]
    if found is None or problems:
        lines = (f"{path}:{at}: {plain(reason)}" for at, reason in sorted(problems, key=lambda one: one[0]))
        raise PlanFileError("\n".join(lines))
    return PlanFile(
        found.trial_days,
        {plan.id: plan for plan in found.plans},
        {option.id: option for option in found.options},
        frozenset(found.metered),
        {plan.id: written.lines["plans", str(at)] for at, plan in enumerate(found.plans)}
        | {option.id: written.lines["options", str(at)] for at, option in enumerate(found.options)},
    )


def fitted(text: str, prices: Mapping[str, int | None]) -> tuple[str, list[str]]:
    """A plan file's text without the items that these prices do not let it sell, and which those were."""
    yaml = YAML()
    yaml.width = 1000
    yaml.indent(mapping=2, sequence=4, offset=2)
    said = yaml.load(text)
    gone: list[str] = []
    for plan in said["plans"]:
        _keep(plan, "parcel", lambda item: item in prices, gone)
    _keep(said, "options", lambda one: not _mispriced(one["item"], prices, registered=True), gone)
    _keep(said, "metered", lambda item: not _mispriced(item, prices, registered=False), gone)
    written = StringIO()
    yaml.dump(said, written)
    return written.getvalue(), sorted(set(gone))


def _keep(row: Any, name: str, fits: Callable[[Any], bool], gone: list[str]) -> None:
    """Of a list that stands there, what fits; the field goes with its last."""
    unfit = [one for one in row.get(name, ()) if not fits(one)]
    for one in unfit:
        row[name].remove(one)
        gone.append(str(one if isinstance(one, str) else one["item"]))
    if unfit and not row[name]:
        del row[name]


def _problems(
    said: Mapping[str, Any], prices: Mapping[str, int | None], lines: Mapping[Place, int], start: int
) -> Iterator[Problem]:
    """What no row shows by itself, whatever is wrong with some of them."""
    if said.get("plans") == []:
        yield lines.get(("plans",), start), "plans: needs at least one: a free app has a free plan"
    # Plans and options share one namespace.
    yield from _twice([*_words(said, "plans", "id"), *_words(said, "options", "id")], lines, "id")
    options, metered = _words(said, "options", "item"), _words(said, "metered")
    yield from _twice(options, lines, "option")
    yield from _twice(metered, lines, "metered item")
    for item, place in [*options, *metered]:
        if problem := _mispriced(item, prices, registered=place[0] == "options"):
            yield lines[place], f"{'.'.join(place)}: {problem}"
    for item, place in metered:
        if item in {option for option, _ in options}:
            yield lines[place], f"{'.'.join(place)}: {item} is an option already: it is either"
    for item, place in _words(said, "plans", "parcel"):
        if item not in prices:
            yield lines[place], f"{'.'.join(place)}: the catalogue has no item {item}"


def _words(said: Any, *path: str) -> list[tuple[str, Place]]:
    """The words that stand on this path, each with its place; a list on the way is gone through."""
    found: list[tuple[Any, Place]] = [(said, ())]
    for name in path:
        under = [(one[name], (*at, name)) for one, at in found if isinstance(one, dict) and name in one]
        found = [one for value, at in under for one in _each(value, at)]
    return [(word, at) for word, at in found if isinstance(word, str)]


def _each(value: Any, place: Place) -> list[tuple[Any, Place]]:
    if not isinstance(value, list):
        return [(value, place)]
    return [(one, (*place, str(at))) for at, one in enumerate(value)]


def _twice(named: Any, lines: Mapping[Place, int], noun: str) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for name, place in named:
        if name in seen:
            yield lines[place], f"{'.'.join(place)}: {noun} {name} stands already on line {seen[name]}"
        seen.setdefault(name, lines[place])


def _mispriced(item: str, prices: Mapping[str, int | None], *, registered: bool) -> str:
    if item not in prices:
        return f"the catalogue has no item {item}"
    yen = prices[item]
    if yen is None:
        return f"{item} has no price at this counter: give it one in the catalogue"
    if registered:
        try:
            amounts.check_limits(yen)
        except ValueError as error:
            return f"{item}: {error}"
    return ""
