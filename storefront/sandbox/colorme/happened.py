"""What can happen at the store while somebody plays a walkthrough, and what is read of it. Pure."""

from enum import StrEnum
from typing import Protocol

from storefront.sandbox import happened
from storefront.sandbox.happened import Told


class Name(StrEnum):
    """What can happen. Beside each, its facts; in whose shop is a column."""

    WALK_BEGUN = happened.BEGUN  # walkthrough, people: accounts, plans: amounts by form, option, piece
    SEEN = happened.SEEN  # step, said, and the facts of a page of the app
    PAGE_SHOWN = "page_shown"  # of the store: status, path, page, marks
    INSTALLED = "installed"  # plan, form, charged_from, trial: its days, test
    INSTALL_CANCELLED = "install_cancelled"  # plan
    UNINSTALLED = "uninstalled"  # plan, form, reason
    BILLED = "billed"  # code, kind, state, yen, tax, total, first, last
    BILL_CHANGED = "bill_changed"  # the same
    BILL_DROPPED = "bill_dropped"  # the same
    POINTS_MOVED = "points_moved"  # points
    LETTER_WRITTEN = "letter_written"  # letter: what about
    USAGE_TOLD = "usage_told"  # yen, first: day of the period that it belongs to
    HOOK_ANSWERED = "hook_answered"  # kind, status, good
    CALL_ANSWERED = "call_answered"  # kind, status, good
    WEATHER_MET = "weather_met"  # kind
    SHOP_CLOSED = "shop_closed"


class Happened(Told, Protocol):
    """What is read of a happening here."""

    @property
    def account(self) -> str | None: ...
