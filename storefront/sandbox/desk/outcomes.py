"""What comes of a purchase, by who buys and in what weather: expected, and as it was last seen. Pure."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from storefront.sandbox.cast import CAST, Persona
from storefront.sandbox.happened import Name
from storefront.sandbox.happenings import Happening
from storefront.sandbox.language import N_
from storefront.sandbox.situation import Points, Spell


class Outcome(StrEnum):
    """How it ends, and what becomes of the points."""

    SOLD = "sold"
    TESTED = "tested"
    SHORT = "short"
    FAILED = "failed"
    EXPIRED = "expired"
    NO_PAYMENT = "no_payment"
    CLOSED = "closed"

    @property
    def label(self) -> str:
        return _LABELS[self]


_LABELS = {
    Outcome.SOLD: N_("bought, points taken"),
    Outcome.TESTED: N_("bought as a test, nothing taken"),
    Outcome.SHORT: N_("too few points, nothing taken"),
    Outcome.FAILED: N_("failed, nothing taken"),
    Outcome.EXPIRED: N_("screen expired, nothing taken"),
    Outcome.NO_PAYMENT: N_("no payment, nothing taken"),
    Outcome.CLOSED: N_("closed, nothing taken"),
}
# What is in the way of a purchase that is confirmed at once.
WEATHERS: Sequence[Spell | None] = (
    None,
    Spell("callback.lost", None, 1),
    Spell("callback.undelivered", None, 1),
    Spell("callback.queued", 14, 1),
    Spell("callback.copies", 8, 1),
    Spell("callback.unsigned", None, 1),
    Spell("api.down", None, 1),
    Spell("api.slow", 3, 1),
    Spell("api.throttled", None, 1),
    Spell("screen.expired", None, 1),
    Spell("topup.maintenance"),
    Spell("platform.maintenance"),
)
PURSES = {
    "hanako": Points(1000, about_price=True),
    "taro": Points(0, about_price=True),
    "yuki": Points(-20, about_price=True),
    "jiro": Points(0),
}
SHORT = ("yuki", "jiro")
# Who meets these ends so, whatever is in the purse.
BEFORE = {
    "platform.maintenance": Outcome.CLOSED,
    "api.down": Outcome.NO_PAYMENT,
    "api.throttled": Outcome.NO_PAYMENT,
    "screen.expired": Outcome.EXPIRED,
}
AFTER = dict.fromkeys(("callback.lost", "callback.undelivered", "callback.queued"), Outcome.FAILED)


def people() -> Sequence[Persona]:
    """The people of the table: those who have points, and are short of them, in a way of their own."""
    return [persona for persona in CAST if persona.key in PURSES or persona.is_everywhere]


def expected(persona: Persona, weather: Spell | None) -> Outcome:
    """What comes of it when this person confirms a purchase at once in this weather."""
    kind = weather.kind if weather else ""
    if kind in BEFORE:
        return BEFORE[kind]
    if persona.key in SHORT:
        return Outcome.SHORT
    return AFTER.get(kind) or (Outcome.TESTED if persona.is_everywhere else Outcome.SOLD)


def seen(happened: Iterable[Happening]) -> Outcome | None:
    """What came of it, if it came to an end."""
    last: Outcome | None = None
    for row in happened:
        last = _end(row) or last
    return last


def _end(row: Happening) -> Outcome | None:
    match row.name:
        case Name.PAYMENT_COMPLETED:
            return Outcome.SOLD if row.facts.get("points") else Outcome.TESTED
        case Name.PAYMENT_FAILED:
            return Outcome.FAILED
        case Name.API_REFUSED if row.facts.get("call") == "create":
            return Outcome.NO_PAYMENT
        case Name.SCREEN_SHOWN:
            return {"shortage": Outcome.SHORT, "expired": Outcome.EXPIRED}.get(row.facts.get("screen", ""))
        case Name.WEATHER_MET if row.facts.get("kind") == "platform.maintenance":
            return Outcome.CLOSED
    return None
