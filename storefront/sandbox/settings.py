"""What the sandbox is told from outside, and what it had to assume about the platform."""

import ssl
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    DirectoryPath,
    Field,
    FilePath,
    SecretStr,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from storefront.sandbox.devices import Device
from storefront.sandbox.key_pairs import NAME as KEY_NAME
from storefront.sandbox.language import N_

MIB = 1024 * 1024
MOST = 1_000_000_000  # seconds, bytes or requests: no clock and no file reckons with more


def cookie_name(name: str, public_url: str) -> str:
    """Cookies do not know ports: beside the others on one host, the name must differ."""
    port = urlsplit(public_url).port
    return f"{name}-{port}" if port else name


def _certificates(file: Path) -> Path:
    try:
        ssl.create_default_context(cafile=str(file))
    except OSError:  # of which TLS's own errors are a kind
        raise ValueError("has no certificates in PEM") from None
    return file


CertificateFile = Annotated[FilePath, AfterValidator(_certificates)]


def _folders(text: object) -> object:
    return [one.strip() for one in text.split(",") if one.strip()] if isinstance(text, str) else text


def fact(default: int, meaning: str) -> int:
    """A number the platform published."""
    field: int = Field(default, gt=0, le=MOST, description=meaning, json_schema_extra={"source": "fact"})
    return field


def ours(default: int, meaning: str, *, least: int = 1) -> int:
    """A number the platform never published; this one is our guess."""
    field: int = Field(default, ge=least, le=MOST, description=meaning, json_schema_extra={"source": "ours"})
    return field


def our_switch(meaning: str, *, default: bool = False) -> bool:
    """A behaviour of the platform that nobody outside knows; this one is our guess."""
    field: bool = Field(default, description=meaning, json_schema_extra={"source": "ours"})
    return field


class SandboxSettings(BaseSettings):
    """Read from the environment, with the prefix SANDBOX_; never changed afterwards."""

    model_config = SettingsConfigDict(env_prefix="SANDBOX_", frozen=True, hide_input_in_errors=True)

    public_url: str = Field(description="Where phones and the shop reach this sandbox.")
    shop_url: str = Field(description="The server of the registered app.")
    app_id: str = Field(pattern=r"^[0-9A-Za-z_-]+$", description="The registered app.")
    app_name: str = Field(default="アプリ", description="The app's name, as the platform shows it.")
    app_name_en: str = Field(default="", description="The same in English, if it has a name there.")
    shop_ca: CertificateFile | None = Field(
        default=None, description="The certificates (PEM) that a shop behind https is checked against."
    )
    consumer_key: str = Field(min_length=1, description="The app's consumer key.")
    consumer_secret: SecretStr = Field(min_length=1)
    consumer_secret_previous: SecretStr | None = Field(
        default=None, description="The one of before: who signs with it is told so."
    )
    secret_key: SecretStr = Field(min_length=16)
    database_url: SecretStr = SecretStr("sqlite:///sandbox.db")
    keys: Path | None = Field(
        default=None, description="Where keys are kept; beside the database if not set."
    )
    lifecycle_key_name: str = Field(
        default=KEY_NAME, pattern=r"^[0-9A-Za-z_-]+$", description="The key under which events are signed."
    )
    walkthroughs: Annotated[tuple[DirectoryPath, ...], NoDecode, BeforeValidator(_folders)] = Field(
        default=(), description="Folders with walkthroughs of one's own; commas between."
    )
    provider_url: str = Field(default="", description="Where a payment provider beside us stands.")
    provider_token: SecretStr = Field(
        default=SecretStr(""), description="Opens the provider's weather and statement to us."
    )
    game_url: str = Field(default="", description="Where a game beside us is played.")
    game_token: SecretStr = Field(default=SecretStr(""), description="Opens the desk to what the game tells.")
    game_door_secret: SecretStr = Field(
        default=SecretStr(""), description="Signs the addresses by which people come into the game."
    )
    machine_url: str = Field(default="", description="Where who started the shop can hold it still.")
    machine_token: SecretStr = SecretStr("")
    proxies: int = Field(
        default=0,
        ge=0,
        description="How many proxies of ours stand before it, each of which names who asked.",
    )
    lifecycle_url: str = Field(default="", description="Where the app hears of events.")
    start_url_smartphone: str = Field(default="", description="Where the app opens on a smartphone.")
    start_url_pc: str = Field(default="", description="Where the app opens on a PC.")

    callback_seconds: int = fact(10, N_("How long a callback may take to be answered."))
    page_seconds: int = fact(10, N_("How long a page of the app may take."))
    image_seconds: int = fact(5, N_("How long an image of the app may take."))
    lifecycle_seconds: int = ours(
        5, N_("How long a lifecycle event may take to be answered. Opening the app waits for it.")
    )
    min_point: int = fact(10, N_("The fewest points one purchase may cost."))
    max_point: int = fact(5000, N_("The most points one purchase may cost on a mobile phone or smartphone."))
    max_point_pc: int = fact(10000, N_("The most points one purchase may cost on a PC."))
    name_width: int = ours(
        128, N_("The widest item name, in half-width columns. That a full-width character takes two is ours.")
    )
    interface_ttl: int = ours(180, N_("Seconds a payment screen stays open after each step."))
    api_timestamp_skew: int = ours(300, N_("How many seconds the clock of an API caller may be off."))
    void_after: int = ours(
        60,
        N_("How many seconds after its OK the app voids what was not confirmed; so say the books."),
    )
    confirm_pause: int = ours(
        60, N_("How many seconds the app waits until it asks about a payment again; so do the books.")
    )
    rate_limit: int = ours(
        60, N_("How many requests to the API a minute may name one user; more are answered 503.")
    )
    unused_seconds: int = ours(
        86400,
        N_("Seconds without a page or payment screen after which the API refuses a user; 0 is never."),
        least=0,
    )
    removed_user_status: Annotated[Literal[401, 403], BeforeValidator(int)] = Field(
        401,
        description=N_("What the API answers about a user who has removed the app: 401 or 403."),
        json_schema_extra={"source": "ours"},
    )
    max_page_bytes: int = ours(MIB, N_("The largest page or image of the app, in bytes."))
    max_redirects: int = ours(5, N_("How many redirects in a row the container follows."))
    strict_ok_body: bool = our_switch(
        N_("Whether a callback's answer must be OK to the letter, with no white space around it.")
    )
    replace_error_pages: bool = our_switch(
        N_("Whether the platform shows its own screen in place of the app's error pages.")
    )
    hold_events: bool = our_switch(N_("Whether lifecycle events are held until they are sent by hand."))
    in_development: bool = our_switch(
        N_("Whether the app is in development, where every purchase is a test.")
    )
    approved: bool = our_switch(N_("Whether the app is approved for payment."), default=True)

    @field_validator("public_url", "shop_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must begin with http:// or https:// and a host")
        if parts.path.strip("/") or parts.query or parts.fragment or parts.username:
            raise ValueError("must be scheme, host and port only")
        return f"{parts.scheme}://{parts.netloc}"

    @field_validator("start_url_smartphone", "start_url_pc")
    @classmethod
    def _start(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and not (parts.scheme in ("http", "https") and parts.hostname and value.isascii()):
            raise ValueError("must begin with http:// or https:// and a host, and be ASCII")
        if parts.fragment or parts.username:
            raise ValueError("must have neither a fragment nor a user")
        return value

    def app_called(self, language: str) -> str:
        """The app's name in this language."""
        return self.app_name if language == "ja" or not self.app_name_en else self.app_name_en

    @property
    def lifecycle_address(self) -> str:
        """Where the app hears of events: as configured, or where this shop listens."""
        return self.lifecycle_url or f"{self.shop_url}/mixi/lifecycle"

    def start_address(self, device: Device) -> str:
        """Where the app opens on this device: as registered, or where this shop listens."""
        return {
            Device.MOBILE: f"{self.shop_url}/",
            Device.SMARTPHONE: self.start_url_smartphone or f"{self.shop_url}/mixi/start/smartphone",
            Device.PC: self.start_url_pc or f"{self.shop_url}/mixi/start/pc",
        }[device]

    @property
    def server_addresses(self) -> list[str]:
        """Where the app listens to us and not to phones, as far as settings say it."""
        starts = [self.start_address(device) for device in Device if device.on_own_domain]
        # An app may open everywhere at one address; on a phone that is a page like any other.
        page = self.start_address(Device.MOBILE).rstrip("/")
        return [self.lifecycle_address, *(start for start in starts if start.rstrip("/") != page)]

    def most(self, device: Device) -> int:
        """The most points one purchase may cost on this device."""
        return self.max_point_pc if device is Device.PC else self.max_point


Source = Literal["fact", "ours"]


def assumptions() -> dict[str, tuple[FieldInfo, Source]]:
    """The settings that imitate a rule of the platform, each with where the rule comes from."""
    rules: dict[str, tuple[FieldInfo, Source]] = {}
    for name, field in SandboxSettings.model_fields.items():
        if isinstance(field.json_schema_extra, dict):
            rules[name] = (field, "fact" if field.json_schema_extra["source"] == "fact" else "ours")
    return rules
