"""What the desk says in words: what has happened, and what a walkthrough expects and what came.

The judge's own words are short and the same in every language: files and reports are written in them.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flask_babel import gettext

from storefront.sandbox.cast import BY_KEY
from storefront.sandbox.happened import Name
from storefront.sandbox.judge import NOT_SEEN, NOTHING
from storefront.sandbox.kinds import KINDS
from storefront.sandbox.language import N_, language
from storefront.sandbox.mixi.resend import FAULTS
from storefront.sandbox.walkthroughs import SUM

HAPPENED: Mapping[str, str] = {
    Name.STAGE_MADE: N_("A stage was made."),
    Name.WALK_BEGUN: N_("A walkthrough was begun."),
    Name.CLOCK_TURNED: N_("The clock was turned."),
    Name.SWITCH_TURNED: N_("A switch was turned."),
    Name.WEATHER_SET: N_("Weather was set."),
    Name.WEATHER_MET: N_("Weather struck."),
    Name.WEATHER_CLEARED: N_("Weather was cleared."),
    Name.APP_OPENED: N_("Opened the app."),
    Name.APP_ADDED: N_("Added the app."),
    Name.APP_REMOVED: N_("Removed the app."),
    Name.START_GIVEN: N_("Was given a start address."),
    Name.PAGE_SHOWN: N_("Was shown a page."),
    Name.PAGE_REPLACED: N_("The app's error page was replaced."),
    Name.PAGE_REFUSED: N_("Was shown the platform's error screen."),
    Name.PAYMENT_CREATED: N_("A payment was created."),
    Name.API_REFUSED: N_("The point API refused the app."),
    Name.PAYMENT_CONFIRMED: N_("The app asked how a payment stands."),
    Name.SCREEN_SHOWN: N_("Was shown the payment screen."),
    Name.TOPPED_UP: N_("Obtained points."),
    Name.CALLBACK_ANSWERED: N_("The app answered a callback."),
    Name.PAYMENT_COMPLETED: N_("A purchase is complete."),
    Name.PAYMENT_CANCELLED: N_("A purchase is cancelled."),
    Name.PAYMENT_FAILED: N_("A purchase was not completed."),
    Name.PAYMENT_PAID_BACK: N_("Points were given back."),
    Name.EVENT_TOLD: N_("The app was told of an event."),
    Name.SEEN: N_("Somebody said what was seen."),
    Name.BOOKS_READ: N_("The books were read."),
    Name.TOWN_SHOWN: N_("Looked at the harbour town."),
    Name.TOWN_USED: N_("Used something up in the harbour town."),
}
SWITCHES = {
    "in_development": N_("In development"),
    "approved": N_("Approved for payment"),
    "replace_error_pages": N_("Replace error pages"),
    "hold_events": N_("Hold events"),
}
ASKED: Mapping[str, str] = {
    "screen": N_("the screen: %(what)s"),
    "page": N_("the page: %(what)s"),
    "status": N_("the status of the page: %(what)s"),
    "state": N_("state of the purchase: %(what)s"),
    "held": N_("in the bag: %(what)s"),
    "balance": N_("points: %(what)s"),
    "price": N_("the price beside the button: %(what)s"),
    "calls": N_("calls of the point API: %(what)s"),
    "answer": N_("the app's answer: %(what)s"),
    "refusal": N_("the reason of the refusal: %(what)s"),
    "notice": N_("the notice on the page: %(what)s"),
    "happened": N_("this has happened: %(what)s"),
    "never": N_("this never happens: %(what)s"),
    "weather_met": N_("this weather struck: %(what)s"),
    "books": N_("the books: %(what)s"),
    "town": N_("in the harbour town: %(what)s"),
}
# Words of files whose meaning does not depend on what was asked; what is none of them stays as it is.
MEANT: Mapping[str, str] = {
    NOTHING: N_("nothing yet"),
    NOT_SEEN: N_("not seen"),
    # Screens
    "confirm": N_("confirm the purchase"),
    "shortage": N_("not enough points"),
    "asking": N_("one moment, please"),
    "bought": N_("bought"),
    "failed": N_("not completed"),
    "cancelled": N_("cancelled"),
    "paid_back": N_("paid back"),
    "too_much": N_("too many points at once"),
    "expired": N_("time is up"),
    "closed": N_("closed"),
    "maintenance": N_("maintenance"),
    "error": N_("an error"),
    "waiting": N_("to be paid"),
    "paid": N_("paid"),
    "refunded": N_("given back"),
    "chargeback": N_("charged back"),
    # Pages of the shop
    "shelf": N_("the shelf"),
    "item": N_("an item"),
    "bag": N_("the bag"),
    "history": N_("the history"),
    "finish": N_("after the purchase"),
    "warning": N_("the warning before leaving"),
    "legal": N_("the legal notice"),
    "age": N_("the question for the age"),
    "door": N_("the door: no visit"),
    "change": N_("the question who visits"),
    "not-started": N_("no payment was started"),
    "too-many": N_("too many tries"),
    "being-prepared": N_("being prepared"),
    "spent": N_("the form was used before"),
    "stale": N_("the form is out of date"),
    # How a payment stands
    "create": N_("not decided"),
    "complete": N_("bought"),
    "cancel": N_("cancelled"),
    "pay_back": N_("paid back"),
    "void": N_("void: not confirmed in time"),
    "refund": N_("given back"),
    # Points, answers, books
    "unchanged": N_("unchanged"),
    "shown": N_("shown"),
    "missing": N_("missing"),
    "silence": N_("no answer"),
    "none": N_("none"),
    "green": N_("green"),
    "amber": N_("amber"),
    "red": N_("red"),
}
NARROWED: Mapping[str, str] = {
    "of": N_("of %(what)s"),
    "payment": N_("payment no. %(what)s"),
    "times": N_("%(what)s times"),
}
LISTED = N_(", ")
BY_THE_PRICE = {"-price": N_("less by the price"), "+price": N_("more by the price")}
IN_DOUBT = {"yes": N_("in doubt"), "no": N_("not in doubt")}


def expected(check: str) -> str:
    """What the judge expects, as the text of a tick has it, in words."""
    asked, _, wanted = check.partition(" ")
    return _in_words(ASKED[asked], what=_said(asked, wanted)) if asked in ASKED else check


def came(check: str, got: str) -> str:
    """What came in its place."""
    return meant(got) if got in (NOTHING, NOT_SEEN) else _said(check.partition(" ")[0], got)


def meant(word: str) -> str:
    """A screen, a page or a state."""
    return _in_words(MEANT[word]) if word in MEANT else word


def facts(told: Mapping[str, Any]) -> Iterator[str]:
    """What a happening tells besides its name."""
    for name, says in TOLD.items():
        value = told.get(name)
        if value is False or value not in (None, "", 0):
            yield says(value)


def points(words: str) -> str:
    """A sum of a file, such as price+50."""
    found = re.fullmatch(SUM, words)
    if found is None:
        return f"{int(words):,}pt"
    if found[1]:
        return words.replace("price", _in_words(N_("the price")))
    more = int(found[2] or 0)
    if more == 0:
        return _in_words(N_("exactly the price of the item"))
    if more > 0:
        return _in_words(N_("the price of the item and %(points)s more"), points=f"{more:,}")
    return _in_words(N_("%(points)s less than the price of the item"), points=f"{-more:,}")


def _said(asked: str, words: str) -> str:
    """What was asked about is the first of the words; what narrows it stands behind in pairs."""
    first, *more = words.split(" ")
    pairs = list(zip(more[::2], more[1::2], strict=False))
    if len(more) % 2 or any(name not in (*NARROWED, "doubt") for name, _ in pairs):
        return words  # a list of answers
    return _in_words(LISTED).join([_meant(asked, first), *(_narrowed(name, value) for name, value in pairs)])


def _meant(asked: str, word: str) -> str:
    if asked in ("happened", "never") and word in HAPPENED:
        return _in_words(HAPPENED[word]).rstrip(".。")
    if asked == "weather_met" and word in KINDS:
        return _in_words(KINDS[word].says).rstrip(".。")
    if asked == "balance" and word in BY_THE_PRICE:
        return _in_words(BY_THE_PRICE[word])
    if asked == "balance" and "price" in word:
        return word.replace("price", _in_words(N_("the price")))
    return meant(word)


def _narrowed(name: str, value: str) -> str:
    if name == "doubt":
        return _in_words(IN_DOUBT[value])
    what = BY_KEY[value].name.of(language()) if name == "of" else value
    return _in_words(NARROWED[name], what=what)


def _in_words(text: str, **values: str) -> str:
    return str(gettext(text, **values))


def _text(value: object) -> str:
    """What may be a text of the catalogue."""
    return _in_words(str(value))


# What is told of a happening, in words.
TOLD: Mapping[str, Callable[[Any], str]] = {
    "kind": lambda kind: _in_words(KINDS[kind].says) if kind in KINDS else str(kind),
    "switch": lambda switch: _text(SWITCHES.get(switch, switch)),
    "on": lambda is_on: _in_words(N_("on") if is_on else N_("off")),
    "screen": lambda screen: meant(str(screen)),
    "page": lambda page: meant(str(page)),
    "verdict": lambda verdict: meant(str(verdict)),
    "points": lambda points: f"{points:,}pt",
    "seconds": lambda seconds: _in_words(N_("%(seconds)s s"), seconds=f"{seconds:,}"),
    "queued": lambda seconds: _in_words(N_("%(seconds)s s of it in a queue"), seconds=seconds),
    "question": lambda asked: _in_words(N_("to buy") if asked == 10 else N_("to cancel")),
    "fault": lambda fault: _text(FAULTS.get(fault, fault)),
    "call": lambda call: _in_words(N_("creating a payment") if call == "create" else N_("confirming one")),
    "type": _text,
    "status": lambda status: meant(str(status)),
    "reason": _text,
}
