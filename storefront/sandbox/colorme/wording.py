"""What a walkthrough of shop owners expects and what came, in words.

The judge's own words are short and the same in every language: files and reports are written in them.
"""

from collections.abc import Mapping

from flask_babel import gettext

from storefront.sandbox.colorme.bills import NAMES, STATES
from storefront.sandbox.colorme.contracts import REASONS
from storefront.sandbox.colorme.happened import Name
from storefront.sandbox.colorme.reckoning import AMOUNT_NAMES, FORMS
from storefront.sandbox.colorme.walkthroughs import OF_YEN
from storefront.sandbox.judging import NOT_SEEN, NOTHING
from storefront.sandbox.language import N_

ASKED: Mapping[str, str] = {
    "page": N_("the app's page: %(what)s"),
    "status": N_("the status of the page: %(what)s"),
    "shows": N_("on the app's page: %(what)s"),
    "listed": N_("on the store's page: %(what)s"),
    "contract": N_("installed: %(what)s"),
    "balance": N_("points, beside what was paid in: %(what)s"),
    "owed": N_("owed, with tax: %(what)s"),
    "history": N_("the app's history and the store's bills: %(what)s"),
    "happened": N_("this has happened: %(what)s"),
    "never": N_("this never happens: %(what)s"),
    "weather_met": N_("this weather struck: %(what)s"),
}
HAPPENED: Mapping[str, str] = {
    Name.WALK_BEGUN: N_("a walkthrough was begun"),
    Name.SEEN: N_("somebody said what was seen"),
    Name.PAGE_SHOWN: N_("a page of the store was shown"),
    Name.INSTALLED: N_("the app was installed"),
    Name.INSTALL_CANCELLED: N_("an install was cancelled"),
    Name.UNINSTALLED: N_("the app was uninstalled"),
    Name.BILLED: N_("a bill was written"),
    Name.BILL_CHANGED: N_("a bill stands otherwise"),
    Name.BILL_DROPPED: N_("a bill was thrown away"),
    Name.POINTS_MOVED: N_("points came or went"),
    Name.LETTER_WRITTEN: N_("the store wrote a letter"),
    Name.USAGE_TOLD: N_("the app told usage"),
    Name.HOOK_ANSWERED: N_("the app answered a hook"),
    Name.CALL_ANSWERED: N_("the store answered the app"),
    Name.WEATHER_MET: N_("weather struck"),
    Name.SHOP_CLOSED: N_("the shop was closed"),
}
# Words of files, whatever was asked; what is none of them stays as it is.
MEANT: Mapping[str, str] = {
    NOTHING: N_("nothing yet"),
    NOT_SEEN: N_("not seen"),
    **{one.value: text for one, text in FORMS.items()},
    **{one.value: text for one, text in NAMES.items()},
    **{one.value: text for one, text in STATES.items()},
    **{one.value: text for one, text in REASONS.items()},
    "none": N_("none"),
    "unchanged": N_("unchanged"),
    "agrees": N_("they agree"),
    # Pages of the app
    "plan": N_("the plan"),
    "shelf": N_("the shelf"),
    "item": N_("an item"),
    "bag": N_("the bag"),
    "history": N_("the history"),
    "charge": N_("after the purchase"),
    "removal": N_("after the removal"),
    "turned-away": N_("turned away"),
    # What stands on a page
    "payment": N_("a purchase"),
    "notice": N_("a notice"),
    "trial-left": N_("days left of the trial"),
    "reason": N_("why it cannot be had"),
    "charged": N_("charged"),
    "declined": N_("declined"),
    "unknown": N_("unknown"),
    "installed": N_("installed"),
    "closed": N_("closed"),
    # Letters
    "reminder-3": N_("three days before the trial ends"),
    "reminder-1": N_("one day before the trial ends"),
}
# What narrows a check, and what a sum is made of.
CALLED: Mapping[str, str] = {
    "state": N_("state"),
    "kind": N_("kind"),
    "plan": N_("plan"),
    "form": N_("form"),
    "reason": N_("reason"),
    "letter": N_("letter"),
    "status": N_("status"),
    "yen": N_("before tax"),
    "total": N_("with tax"),
    "first": N_("from"),
    "last": N_("until"),
    "times": N_("times"),
    "charged_from": N_("charged from"),
    "charged-from": N_("charged from"),
    "period-first": N_("period from"),
    "period-last": N_("period until"),
    "test": N_("test shop"),
}
AMOUNTS: Mapping[str, str] = {
    **AMOUNT_NAMES,
    "option": N_("Option"),
    "piece": N_("Piece"),
    "tax": N_("Tax"),
}
OF_SUMS, OF_NAMES = ("balance", "owed"), ("happened", "never")


def expected(check: str) -> str:
    """What the judge expects, as the text of a tick has it, in words."""
    asked, _, wanted = check.partition(" ")
    return str(gettext(ASKED[asked], what=_said(asked, wanted))) if asked in ASKED else check


def came(check: str, got: str) -> str:
    """What came in its place."""
    return _meant(got) if got in (NOTHING, NOT_SEEN) else _said(check.partition(" ")[0], got)


def _said(asked: str, words: str) -> str:
    """What was asked about is the first of the words; what narrows it stands behind in pairs."""
    first, *more = words.split(" ")
    pairs = zip(more[::2], more[1::2], strict=False)
    head = _sum(first) if asked in OF_SUMS else _happened(first) if asked in OF_NAMES else _meant(first)
    return ", ".join([head, *(f"{_called(name)}: {_value(name, value)}" for name, value in pairs)])


def _happened(word: str) -> str:
    return str(gettext(HAPPENED[word])) if word in HAPPENED else _meant(word)


def _called(name: str) -> str:
    return str(gettext(CALLED[name])) if name in CALLED else name


def _value(name: str, value: str) -> str:
    return _sum(value) if name in OF_YEN else _meant(value)


def _meant(word: str) -> str:
    return str(gettext(MEANT[word])) if word in MEANT else word


def _sum(words: str) -> str:
    for name, text in AMOUNTS.items():
        words = words.replace(name, f" {gettext(text)} ")
    return " ".join(words.split())
