"""The shops that the app can be installed in, each with a story. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from storefront.sandbox.language import N_


class Debit(StrEnum):
    """How an owner has set up the automatic debit of points."""

    CARD = "card"
    DECLINED = "card_declined"
    BANK = "bank"
    NONE = "none"


DEBITS = {
    Debit.CARD: N_("Credit card: what is lacking is bought"),
    Debit.DECLINED: N_("Credit card that is declined"),
    Debit.BANK: N_("Bank transfer: taken from the balance"),
    Debit.NONE: N_("Not set up (as bank transfer; ours)"),
}


@dataclass(frozen=True)
class Part:
    """A shop before anything has happened to it."""

    key: str
    name: str
    story: str
    points: int
    debit: Debit
    is_test: bool = False
    trial_used: bool = False


CAST: Sequence[Part] = (
    Part(
        "bakery",
        N_("Harbour Bakery"),
        N_("Has points enough for a year. Everything goes well here."),
        100_000,
        Debit.BANK,
    ),
    Part(
        "lofts",
        N_("Net Lofts"),
        N_("No points, but a card that works: whatever is lacking is bought as it is needed."),
        0,
        Debit.CARD,
    ),
    Part(
        "shells",
        N_("Shell Works"),
        N_("Its card is declined. A trial begins well, and the first paid day ends it."),
        500,
        Debit.DECLINED,
    ),
    Part(
        "oil",
        N_("Lamp Oil & Wicks"),
        N_("Pays by bank transfer and has 3,299 points: one too few for a month of ¥3,000 with tax."),
        3_299,
        Debit.BANK,
    ),
    Part(
        "paper",
        N_("Tide Stationery"),
        N_("Has set up nothing and has 550 points: enough for one option of ¥500, and for no second."),
        550,
        Debit.NONE,
    ),
    Part(
        "teahouse",
        N_("Pier Teahouse"),
        N_("Tried the app for free last year. Whatever it installs is charged from the first day."),
        50_000,
        Debit.BANK,
        trial_used=True,
    ),
    Part(
        "boats",
        N_("Boatyard Supplies"),
        N_("Never has points in time. A postpaid plan becomes a debt here, and a debt keeps the shop open."),
        0,
        Debit.BANK,
    ),
    Part(
        "lighthouse",
        N_("Lighthouse Souvenirs"),
        N_("Uses a great deal in a month: more than one report can hold."),
        3_000_000,
        Debit.CARD,
    ),
    Part(
        "test",
        N_("The developer's test shop"),
        N_("The one test shop: everything is recorded, nothing is collected or paid out."),
        0,
        Debit.NONE,
        is_test=True,
    ),
)
BY_KEY = {part.key: part for part in CAST}
