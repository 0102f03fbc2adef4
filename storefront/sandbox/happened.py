"""What can happen on a stage, and what is read of it. Pure."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from storefront.sandbox.devices import Device

# What a walk of any platform knows: where it began, and what somebody said of it.
BEGUN, SEEN = "walk_begun", "seen"


class Name(StrEnum):
    """What can happen. Beside each, its facts; whose, which payment and on what device are columns."""

    # The stage
    STAGE_MADE = "stage_made"  # walkthrough
    WALK_BEGUN = BEGUN  # walkthrough, hand: the device, price, pause, people: the ids of the cast
    CLOCK_TURNED = "clock_turned"  # seconds
    SWITCH_TURNED = "switch_turned"  # switch, on
    WEATHER_SET = "weather_set"  # kind, left
    WEATHER_MET = "weather_met"  # kind, seconds
    WEATHER_CLEARED = "weather_cleared"  # kind
    # Pages
    APP_OPENED = "app_opened"
    APP_ADDED = "app_added"
    APP_REMOVED = "app_removed"
    START_GIVEN = "start_given"  # how: link, form, again
    PAGE_SHOWN = "page_shown"  # status, method, path, page (data-page), marks (all other data-*, a dict each)
    PAGE_REPLACED = "page_replaced"  # status: of the app's; the platform's own error screen is shown
    PAGE_REFUSED = "page_refused"  # status: of our screen; the app was not asked or gave nothing to show
    # A payment
    PAYMENT_CREATED = "payment_created"  # points, item_id, is_test
    API_REFUSED = "api_refused"  # call: create or confirm, status, reason
    PAYMENT_CONFIRMED = "payment_confirmed"  # status: as it was told
    SCREEN_SHOWN = "screen_shown"  # screen
    TOPPED_UP = "topped_up"  # points
    CALLBACK_ANSWERED = "callback_answered"  # question: 10 or 20, status, ok, heard, milliseconds, fault
    PAYMENT_COMPLETED = "payment_completed"  # points: taken
    PAYMENT_CANCELLED = "payment_cancelled"
    PAYMENT_FAILED = "payment_failed"  # question
    PAYMENT_PAID_BACK = "payment_paid_back"  # points: given back
    # Life cycle
    EVENT_TOLD = "event_told"  # type, status, forged
    # What was seen where the platform does not look, at the provider's too, said by a person or the robot.
    SEEN = SEEN  # step; said (back takes it back), or the facts of PAGE_SHOWN
    BOOKS_READ = "books_read"  # verdict
    # In the game beside us; marks has item, quantity and tests of each thing.
    TOWN_SHOWN = "town_shown"
    TOWN_USED = "town_used"


Fact = Annotated[str, Field(max_length=400)]


class Shown(BaseModel):
    """The facts of a page, as the sandbox reads them and as the robot tells them."""

    model_config = ConfigDict(extra="forbid")

    status: Annotated[int, Field(ge=100, le=599)]
    path: Fact = ""
    page: Fact | None = None
    screen: Fact | None = None  # of the provider's
    marks: Annotated[list[dict[Fact, Fact]], Field(max_length=400)] = Field(default_factory=list)


class Told(Protocol):
    """What is read of a happening, whatever the platform."""

    @property
    def name(self) -> str: ...
    @property
    def facts(self) -> Mapping[str, Any]: ...
    @property
    def wire_id(self) -> int | None: ...


class Happened(Told, Protocol):
    """What is read of a happening here."""

    @property
    def at(self) -> datetime: ...
    @property
    def owner_id(self) -> str | None: ...
    @property
    def point_code(self) -> str | None: ...
    @property
    def device(self) -> Device | None: ...


def marks(page: Told) -> list[dict[str, str]]:
    """The facts of a page, a dict for each element that has some."""
    found = page.facts.get("marks")
    return [mark for mark in found if isinstance(mark, dict)] if isinstance(found, list) else []
