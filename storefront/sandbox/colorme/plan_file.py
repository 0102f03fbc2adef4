"""The app's plan file and catalogue, as its developer registers them; read by a reader of our own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from storefront.sandbox.colorme.reckoning import Form

CHANNEL = "colorme"


class Unfit(Exception):
    """The files cannot be registered; says why."""


@dataclass(frozen=True)
class PlanFile:
    """What is to be registered: the trial's days, plan charges, and options with their names and prices."""

    trial_days: int
    plans: tuple["Plan", ...]
    options: tuple["Option", ...]
    metered: Mapping[str, int] = field(default_factory=dict)  # items, and what one costs


@dataclass(frozen=True)
class Plan:
    id: str
    form: Form
    name: Mapping[str, str]
    amounts: Mapping[str, int] = field(default_factory=dict)
    brings: tuple[str, ...] = ()  # items, with the monthly part; the app's own affair


@dataclass(frozen=True)
class Option:
    id: str
    item: str
    name: Mapping[str, str]
    yen: int


def read(plans: Path, catalog: Path) -> PlanFile:
    """Both files together, or Unfit."""
    try:
        file, goods = _loaded(plans), {one["id"]: one for one in _loaded(catalog)}
        return PlanFile(
            int(file.get("trial_days", 0)),
            tuple(map(_plan, file.get("plans") or ())),
            tuple(_option(one, goods[one["item"]]) for one in file.get("options") or ()),
            {one: int(goods[one]["prices"][CHANNEL]) for one in file.get("metered") or ()},
        )
    except (OSError, YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unfit(f"{plans.name} and {catalog.name} cannot be registered: {error!r}") from None


def _loaded(path: Path) -> Any:
    # Every scalar is text: an id of digits stays one.
    return YAML(typ="base", pure=True).load(path.read_text("utf-8"))


def _plan(written: Mapping[str, Any]) -> Plan:
    form = Form(written["form"])
    amounts = {name: int(written[name]) for name in form.amounts}
    return Plan(written["id"], form, dict(written["name"]), amounts, tuple(written.get("parcel", ())))


def _option(written: Mapping[str, Any], item: Mapping[str, Any]) -> Option:
    return Option(written["id"], item["id"], dict(item["name"]), int(item["prices"][CHANNEL]))
