"""What the Color Me counter is told: its keys, its addresses, how long it waits, which day it is."""

import re
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Self

from flask import current_app
from pydantic import AfterValidator, Field, SecretStr, model_validator

from storefront.config import (
    HOUR,
    PACKAGE,
    PREFIX,
    SHOULD_BE_HTTPS,
    Address,
    HouseSettings,
    Names,
    Origin,
    Secret,
    http_address,
    is_here,
    unset,
)

NAME = "colorme"  # of the channel
ACCOUNT = re.compile(r"PA[0-9]{8}")  # a shop, as the store names it (source: API document)
RANGE = re.compile(r"PA[0-9]{1,7}\*")
# All of them or none.
KEYS = ("colorme_client_id", "colorme_client_secret", "colorme_webhook_secret")
WITH_THE_REST = unset("no counter, or required with the other two")


class FirstPeriod(StrEnum):
    """How long a first postpaid period is; the source can be read in both ways."""

    NEXT_MONTH_9TH = "next_month_9th"  # as it is written
    RUNNING_BLOCK = "running_block"


def _accounts(ids: tuple[str, ...]) -> tuple[str, ...]:
    if not all(ACCOUNT.fullmatch(one) or RANGE.fullmatch(one) for one in ids):
        raise ValueError("must name accounts, such as PA00000001,PA00000002")
    return ids


def _address_or_none(url: str) -> str:
    return url and http_address(url)


Accounts = Annotated[Names, AfterValidator(_accounts)]
PerhapsAddress = Annotated[str, AfterValidator(_address_or_none)]


class ColormeSettings(HouseSettings):
    """The house's, and those of the Color Me counter."""

    colorme_client_id: str = Field(
        "", description="The app's client id at Color Me.", json_schema_extra=WITH_THE_REST
    )
    colorme_client_secret: Secret | None = Field(
        None, description="Its client secret, for OAuth.", json_schema_extra=WITH_THE_REST
    )
    colorme_webhook_secret: Secret | None = Field(
        None, description="What Color Me signs its hooks with.", json_schema_extra=WITH_THE_REST
    )
    colorme_webhook_secret_previous: Secret | None = Field(
        None, description="The webhook secret before it, or the one to come: still verifies."
    )
    colorme_api_url: Origin = Field(
        "https://api.shop-pro.jp",
        description="Where Color Me's API is; authorisation, tokens and charges are below it.",
        json_schema_extra=SHOULD_BE_HTTPS,
    )
    colorme_store_url: Address = Field(
        "https://app.shop-pro.jp/",
        description="Where a shop owner finds the app in the store.",
        json_schema_extra=SHOULD_BE_HTTPS,
    )
    colorme_plans: Path = Field(
        PACKAGE / "colorme" / "plans.yaml", description="The file of plans, options and metered items."
    )
    colorme_test_accounts: Accounts = Field(
        (),
        description="Accounts of test shops, whose purchases are tests; commas between. No hook says which "
        "shop is one. `PA999*` is a range, only beside a PUBLIC_URL on this machine.",
    )
    colorme_first_period: FirstPeriod = Field(
        FirstPeriod.NEXT_MONTH_9TH,
        description="How long a first postpaid period is: next_month_9th, as written, or running_block. "
        "Ours: the source can be read in both ways.",
    )
    colorme_closing_minutes: int = Field(
        60,
        ge=1,
        le=HOUR // 60 * 12,
        description="Minutes before the 9th ends at which the count of a period closes.",
    )
    colorme_connect_seconds: float = Field(2.0, gt=0, le=10, description="To reach the API.")
    colorme_read_seconds: float = Field(
        5.0, gt=0, le=30, description="For the head of the API's answer, and between two pieces of its body."
    )
    colorme_total_seconds: float = Field(
        8.0,
        gt=0,
        le=60,
        description="For one call altogether; a charge without an answer by then counts as unknown.",
    )
    colorme_calls_at_once: int = Field(
        2,
        ge=1,
        le=1000,
        description="Threads of one process that may wait for the store's answers; half as many more wait "
        "briefly for their turn, and half as many beside them come in. At most a quarter of a worker's "
        "threads: others' callbacks need some.",
    )
    colorme_calendar_url: PerhapsAddress = Field(
        "",
        description="Where the day is asked for, in place of the system clock; only beside a PUBLIC_URL on "
        "this machine.",
        json_schema_extra=unset("the system clock"),
    )

    @property
    def colorme_is_open(self) -> bool:
        """Whether there is such a counter at all."""
        return bool(self.colorme_client_id)

    def colorme_is_test(self, account: str) -> bool:
        """Whether it is a test shop's."""
        return any(fnmatchcase(account, one) for one in self.colorme_test_accounts)

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        lacking = [f"{PREFIX}{name.upper()}" for name in KEYS if not getattr(self, name)]
        if 0 < len(lacking) < len(KEYS):
            raise ValueError(f"{' and '.join(lacking)} must be set, too: there is no counter without it")
        return self

    @model_validator(mode="after")
    def _real_shops(self) -> Self:
        ranges = [one for one in self.colorme_test_accounts if RANGE.fullmatch(one)]
        if ranges and not is_here(self.public_url):
            raise ValueError(
                f"{PREFIX}COLORME_TEST_ACCOUNTS must name each account: {ranges[0]} may be other people's "
                f"shops, and is for a {PREFIX}PUBLIC_URL on this machine alone"
            )
        return self

    @model_validator(mode="after")
    def _real_days(self) -> Self:
        if self.colorme_calendar_url and not is_here(self.public_url):
            raise ValueError(
                f"{PREFIX}COLORME_CALENDAR_URL needs a {PREFIX}PUBLIC_URL on this machine: "
                "a shop on the web goes by the real day"
            )
        return self


def settings() -> ColormeSettings:
    """The settings of the running shop, as this room knows them."""
    current: ColormeSettings = current_app.config["SETTINGS"]
    return current


def secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""
