"""What the door out is told: a payment provider that is not mixi's."""

from typing import Annotated, Self
from urllib.parse import urlsplit

from flask import current_app
from pydantic import AfterValidator, Field, model_validator

from storefront.config import (
    DAY,
    PREFIX,
    SHOULD_BE_HTTPS,
    Hosts,
    HouseSettings,
    MadeSecret,
    Secret,
    http_address,
    names,
    unset,
)

# Source: guiding to an external site; mixi.net is the container's.
MIXI_DOMAINS = (".mixi.jp", ".mixi.co.jp", ".mixi.net")


def _without_query(url: str) -> str:
    parts = urlsplit(http_address(url)) if url else None
    if parts and (parts.query or parts.fragment):
        raise ValueError("must be an address without query")
    return url


ProviderAddress = Annotated[str, AfterValidator(_without_query)]


class ExternalSettings(HouseSettings):
    """The house's, and those of the door out."""

    external_provider_url: ProviderAddress = Field(
        "",
        description="The address of its payment page. Without one there is no door.",
        json_schema_extra=SHOULD_BE_HTTPS,
    )
    external_merchant: str = Field(
        "",
        description="The name under which the provider knows the shop.",
        json_schema_extra=unset("required with it"),
    )
    external_secret: MadeSecret | None = Field(
        None,
        description="What the shop and the provider sign with; 32 characters or more.",
        json_schema_extra=unset("required with it"),
    )
    # One that was agreed upon before may be shorter, and must end somehow.
    external_secret_previous: Secret | None = Field(
        None, description="The secret before it, or the one to come: verifies, never signs."
    )
    external_taps_per_minute: int = Field(
        20, ge=1, le=1_000_000, description="Payments outside that a customer may start in a minute."
    )
    external_payment_seconds: int = Field(
        1800,
        ge=60,
        le=DAY,
        description="Seconds for which a payment that was started outside is delivered; later ones are "
        "refunded. Ours.",
    )
    external_provider_hosts: Hosts = Field(
        (), description="Further hosts that it sends a buyer on to; commas between; host or host:port."
    )
    external_on_smartphone: bool = Field(
        False, description="Whether the door stands open on smartphones. Ours: mixi's guide is silent."
    )

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if not self.external_provider_url:
            return self
        if is_of_mixi(self.external_provider_url, self):
            raise ValueError(f"{PREFIX}EXTERNAL_PROVIDER_URL must not be an address of mixi")
        if not self.external_merchant or not self.external_secret:
            raise ValueError(
                f"{PREFIX}EXTERNAL_PROVIDER_URL needs {PREFIX}EXTERNAL_MERCHANT and {PREFIX}EXTERNAL_SECRET"
            )
        return self


def is_of_mixi(url: str, known: HouseSettings) -> bool:
    """Whether an address belongs to mixi, whom no external payment may be made to."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    # The rule is this room's; what hosts mixi has beside the known ones, another room may know.
    named = {*names(url), host} & set(getattr(known, "mixi_platform_hosts", ()))
    return bool(named) or f".{host}".endswith(MIXI_DOMAINS)


def settings() -> ExternalSettings:
    """The settings of the running shop, as this room knows them."""
    current: ExternalSettings = current_app.config["SETTINGS"]
    return current
