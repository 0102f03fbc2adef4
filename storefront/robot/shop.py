"""What a shop has for a walkthrough: its items by their roles, its places, and what it lacks."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

MOST_ON_A_PHONE = 5000
FEW = 10  # pieces: what is bought out, is given back as well

Json = Mapping[str, Any]


class NotApplicable(Exception):
    """The walkthrough cannot be played in this shop; says why."""


@dataclass(frozen=True)
class Item:
    """An item as its page says it."""

    id: str
    amount: int
    is_consumable: bool
    left: int | None
    allowed: int | None
    reason: str | None
    way: bool

    @property
    def is_plain(self) -> bool:
        return self.left is None and self.allowed is None


@dataclass
class Shop:
    """What was found out about a shop by looking around in it once."""

    items: list[Item] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)  # which page stands at a path
    finish: str = ""  # the address after a purchase, of some payment
    asks_ages: bool = False
    warning: tuple[str, str] = ("", "")  # the address of the page before paying outside, and of which item
    has_breaker: bool = False
    has_game: bool = False
    lock: Lock = field(default_factory=Lock)

    def item(self, role: str, *, outside: bool = False) -> Item:
        """The item of this role, which can be paid outside as well if that is wanted; or NotApplicable."""
        found = [item for item in self.items if _plays(role, item) and (item.way or not outside)]
        if not found:
            raise NotApplicable(f"{LACKING[role]}{AS_WELL if outside and role != 'outside' else ''}")
        if role == "few":
            return min(found, key=lambda item: item.left or 0)
        # What is not used up cannot have been used where nobody saw it: of that the books are sure.
        return min(found, key=lambda item: (item.is_consumable, item.amount))

    def check(self, walkthrough: Json, promised: Collection[str] = ()) -> None:
        """Whether this shop has, by its pages or its settings, what is needed for it; or NotApplicable."""
        stopped = bool(self.items) and all(item.reason == "stopped" for item in self.items)
        has = {
            "outside": any(item.way for item in self.items),
            "ages": self.asks_ages,
            "stopped": stopped,
            "breaker": self.has_breaker,
            "game": self.has_game,
        }
        for need in walkthrough["needs"]:
            if not (has[need] or need in promised):
                raise NotApplicable(_NEEDED[need])
        if stopped and "stopped" not in walkthrough["needs"]:
            raise NotApplicable("the shop sells nothing at the moment")


LACKING = {
    "any": "no item is sold here without a limit",
    "once": "no item is limited per person",
    "few": f"of no item at most {FEW} are left",
    "dear": f"no item costs more than {MOST_ON_A_PHONE:,} points",
    "consumable": "no item without a limit is used up when used",
    "outside": "no item can be paid outside",
}
AS_WELL = ", and that can be paid outside"
_NEEDED = {
    "outside": "nothing can be paid outside here",
    "ages": "the shop asks nobody's age",
    "stopped": "the shop sells; start it with STOREFRONT_SELLING=false for this one",
    "breaker": "the shop was not started by the demo, so that nobody can stop it",
    "game": "no game stands beside the platform",
}


def _plays(role: str, item: Item) -> bool:
    for_sale = item.reason in (None, "stopped")
    match role:
        case "once":
            return for_sale and item.allowed == 1 and item.left is None and item.amount <= MOST_ON_A_PHONE
        case "few":
            is_few = item.left is not None and 0 < item.left <= FEW and item.allowed is None
            return for_sale and is_few and item.amount <= MOST_ON_A_PHONE
        case "dear":
            return for_sale and item.is_plain and item.amount > MOST_ON_A_PHONE
        case "consumable":
            return for_sale and item.is_plain and item.is_consumable and item.amount <= MOST_ON_A_PHONE
        case "outside":
            return for_sale and item.is_plain and item.way and item.amount <= MOST_ON_A_PHONE
    return for_sale and item.is_plain and item.amount <= MOST_ON_A_PHONE
