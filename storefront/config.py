"""Every setting: its name, its default, its meaning. All come from the environment, as STOREFRONT_<NAME>."""

import re
from pathlib import Path
from typing import Annotated, Literal, get_args
from urllib.parse import SplitResult, urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import Certificate, load_pem_x509_certificate
from flask import current_app
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    InstanceOf,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "STOREFRONT_"
PACKAGE = Path(__file__).resolve().parent
# Source: guiding to an external site; mixi.net is the container's.
MIXI_DOMAINS = (".mixi.jp", ".mixi.co.jp", ".mixi.net")
LOOPBACK = ("127.0.0.1", "::1", "localhost")
# What mixi has certificates for, each of its own (source: validating signed requests).
KeyChannel = Literal["pc", "smartphone", "lifecycle"]
CERTIFIED: tuple[KeyChannel, ...] = get_args(KeyChannel)
# They stand in a header of every answer.
HOST = re.compile(r"([0-9a-z_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


class SettingsError(Exception):
    """The environment is not fit to serve from; says every reason, one a line."""


def _http(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http or https address")
    return url


def _has_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


def _origin(url: str) -> str:
    parts = urlsplit(_http(url))
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username:
        raise ValueError("must be scheme, host and port only, such as https://shop.example.com")
    return f"{parts.scheme}://{parts.netloc}"


def _commas(text: object) -> object:
    return [part.strip() for part in text.split(",") if part.strip()] if isinstance(text, str) else text


def _certificates(text: object) -> object:
    """Read `channel:name=path, channel:name=path`; of a value only the name is repeated in an error."""
    if not isinstance(text, str):
        return text
    certificates: dict[str, dict[str, Certificate]] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        head, equals, path = part.partition("=")
        channel, _, name = head.rpartition(":")
        if not (equals and name and path):
            raise ValueError("must be channel:name=path/to/certificate.pem, commas between")
        if channel not in CERTIFIED:
            choices = ", ".join(f"{one}:{name}" for one in CERTIFIED)
            raise ValueError(f"{name} counts for one channel only, so say for which: {choices}")
        if name in certificates.setdefault(channel, {}):
            raise ValueError(f"{channel}:{name} is given twice")
        certificates[channel][name] = _certificate(name, Path(path))
    return certificates


def _certificate(name: str, path: Path) -> Certificate:
    try:
        certificate = load_pem_x509_certificate(path.read_bytes())
        usable = isinstance(certificate.public_key(), RSAPublicKey)
    except OSError:
        raise ValueError(f"the file of {name} cannot be read") from None
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"the file of {name} is no X.509 certificate in PEM with an RSA key")
    return certificate


def _certificate_address(url: str) -> str:
    parts = urlsplit(_http(url)) if url else None
    places = [parts.path.count(place) for place in ("{channel}", "{name}")] if parts else []
    if parts and (places != [1, 1] or parts.query or parts.fragment):
        raise ValueError(
            "must have {channel} and {name} once, in its path, such as https://…/{channel}/{name}.pem: "
            "a certificate counts for one channel only"
        )
    # What is fetched is believed, so nobody on the way may change it.
    if parts and parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise ValueError("must be https, except on this very machine")
    return url


def _limits(text: object) -> object:
    """Read `age:amount, age:amount`."""
    if not isinstance(text, str):
        return text
    pairs = [part.partition(":")[::2] for part in filter(None, map(str.strip, text.split(",")))]
    if not all(age.strip().isdecimal() and most.strip().isdecimal() for age, most in pairs):
        raise ValueError("must be age:amount, such as 15:5000,19:10000")
    return {int(age): int(most) for age, most in pairs}


Address = Annotated[str, AfterValidator(_http)]
Origin = Annotated[str, AfterValidator(_origin)]
Names = Annotated[tuple[str, ...], NoDecode]
CertificateAddress = Annotated[str, AfterValidator(_certificate_address)]
Limits = Annotated[dict[int, int], NoDecode, BeforeValidator(_limits)]
Certificates = Annotated[
    dict[KeyChannel, dict[str, InstanceOf[Certificate]]],
    NoDecode,
    BeforeValidator(_certificates),
]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    # The house
    secret_key: SecretStr = Field(
        description="Signs the forms; 32 characters or more, the same on every host."
    )
    public_url: Origin = Field(
        description="Scheme, host and port under which mixi calls us; signatures are checked against it."
    )
    database_url: str = Field(
        "sqlite:///storefront.db", description="SQLite in the instance folder, or postgresql+psycopg://…"
    )
    catalog: Path = Field(PACKAGE / "shop" / "catalog.yaml", description="The file of what is sold.")
    metrics_token: SecretStr | None = Field(
        None, description="Opens /metrics to whoever sends it as a bearer token; without one there is none."
    )
    metrics_folder: str = Field("", description="Where the workers of a host keep their numbers.")
    database_pool_size: int = Field(10, ge=1, description="Connections of one process to PostgreSQL.")
    threads: int = Field(
        8,
        ge=1,
        description="Threads of one process, as the server is told; while the database hangs, one of them "
        "is kept free for /healthz.",
    )
    selling: bool = Field(
        True, description="While it is off no buy form is shown; what was begun is settled."
    )
    under_age_limits: Limits = Field(
        {},
        description="Points and yen, counted alike, that a buyer may spend in a calendar month up to an age, "
        "as 15:5000,19:10000. None: nobody is asked for their age. Ours: no source names mixi's rule.",
    )
    form_seconds: int = Field(1800, ge=60, description="How long a form stays good.")

    # The mixi counter
    mixi_app_id: str = Field(description="The application's id.")
    mixi_consumer_key: str = Field(description="The consumer key of its RESTful API.")
    mixi_consumer_secret: SecretStr = Field(description="The consumer secret of its RESTful API.")
    mixi_consumer_secret_previous: SecretStr | None = Field(
        None, description="The secret before it: still verifies, never signs."
    )
    mixi_container_url: Address = Field(
        description="The container's address of this app, with app id and final slash."
    )
    mixi_platform_hosts: Names = Field(
        description="Hosts a buyer may be sent to; commas between; host or host:port."
    )
    mixi_point_url: Address = Field(
        "http://api.mixi-platform.com/atom/mobile/point/@me", description="Where payments are created."
    )
    mixi_confirm_url: Address = Field(
        "https://api.mixi-platform.com/atom/mobile/point/@me",
        description="Where payments are confirmed: https, so that the answer can be trusted.",
    )
    mixi_test_owners: Names = Field(
        (), description="Owner ids whose purchases are tests; commas between; * for all, in development."
    )
    mixi_timestamp_window: int = Field(
        600, ge=1, description="Seconds a signed timestamp may be off. Ours: mixi names no number."
    )
    mixi_clock_skew: int = Field(
        2,
        ge=0,
        le=30,
        description="Seconds by which mixi's clock may run behind ours at a callback, and ahead of it at a "
        "start address.",
    )
    mixi_connect_seconds: float = Field(
        2.0, gt=0, description="To reach the API: a healthy host answers in far less."
    )
    mixi_read_seconds: float = Field(
        3.0, gt=0, description="For the head of the API's answer, and between two pieces of its body."
    )
    mixi_total_seconds: float = Field(
        6.0, gt=0, description="After that no call begins or goes on; a last wait may add one read time-out."
    )
    mixi_calls_at_once: int = Field(
        2,
        ge=1,
        description="Threads of one process that may wait for mixi's answers; half as many more wait briefly "
        "for their turn. At most half of a worker's threads, so that a callback always finds one.",
    )
    mixi_interface_seconds: int = Field(
        60,
        ge=1,
        description="Seconds a repeated tap gets the same interface address. Ours: mixi says 'very short'.",
    )

    mixi_taps_per_minute: int = Field(
        20, ge=10, description="Calls of the API that a customer's taps may cause in a minute."
    )
    mixi_void_after: int = Field(
        60, ge=11, description="Seconds after our last OK before a payment that mixi did not commit is void."
    )
    mixi_confirm_seconds: float = Field(
        2.0, gt=0, le=5, description="How long a page may wait for mixi to confirm payments."
    )
    mixi_confirms_per_visit: int = Field(
        5, ge=1, description="Questions to mixi that one buyer causes within the pause at most."
    )
    mixi_confirm_pause: int = Field(
        60,
        ge=1,
        description="Seconds before mixi is asked about the same payment again, unless it has heard an OK "
        "since. Ours: the source forbids continuous calls, and names no number.",
    )
    mixi_payment_seconds: int = Field(
        1800,
        ge=60,
        description="Seconds for which a payment that was started may be completed. Ours.",
    )
    mixi_pay_back_days: int = Field(
        90, ge=0, description="Days after which a confirmed payment is not looked at again. Ours."
    )

    mixi_certificates: Certificates = Field(
        {},
        description="Certificates of mixi itself, as channel:name=path; commas between. The channel, pc, "
        "smartphone or lifecycle, is the one it was published for, and it counts for no other.",
    )
    mixi_certificate_url: CertificateAddress = Field(
        "",
        description="Where mixi publishes its certificates, with {channel} as above and {name} for a key's "
        "name. Ours: no source says where. Without it only those above are known.",
    )
    mixi_app_url: Address | None = Field(
        None, description="Where mixi shows the app to PC and smartphone; the container, if not set."
    )
    mixi_mobile_charset: Literal["utf-8", "shift_jis"] = Field(
        "utf-8", description="What mobile phones are written to in."
    )
    visit_seconds: int = Field(
        1800, ge=60, description="How long a visit from PC or smartphone lasts without a step."
    )

    # The door out: a payment provider that is not mixi's
    external_provider_url: str = Field(
        "", description="The address of its payment page. Without one there is no door."
    )
    external_merchant: str = Field("", description="The name under which the provider knows the shop.")
    external_secret: SecretStr | None = Field(None, description="What the shop and the provider sign with.")
    external_taps_per_minute: int = Field(
        20, ge=1, description="Payments outside that a customer may start in a minute."
    )
    external_payment_seconds: int = Field(
        1800,
        ge=60,
        description="Seconds for which a payment that was started outside is delivered; later ones are "
        "refunded. Ours.",
    )
    external_provider_hosts: Names = Field(
        (), description="Further hosts that it sends a buyer on to; commas between; host or host:port."
    )
    external_on_smartphone: bool = Field(
        False, description="Whether the door stands open on smartphones. Ours: mixi's guide is silent."
    )

    # The legal notice (特定商取引法に基づく表記); an unfilled field says so on the page
    legal_operator: str = Field("", description="Who sells.")
    legal_representative: str = Field("", description="Who is responsible.")
    legal_address: str = Field("", description="Where the operator is.")
    legal_phone: str = Field("", description="Telephone number.")
    legal_contact: str = Field("", description="Where and when questions are answered.")
    legal_devices: str = Field("", description="Supported devices.")
    legal_privacy: str = Field("", description="The privacy policy, or where it is.")

    @field_validator("mixi_platform_hosts", "mixi_test_owners", "external_provider_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return _commas(value)

    @field_validator("secret_key")
    @classmethod
    def _strong(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < 32:
            raise ValueError("must have at least 32 characters")
        return value

    @field_validator("mixi_container_url")
    @classmethod
    def _complete(cls, value: str) -> str:
        if not value.endswith("/"):
            raise ValueError("must end with the app id and a slash, such as http://ma.mixi.net/12345/")
        return value

    @field_validator("mixi_platform_hosts", "external_provider_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        hosts = tuple(host.lower() for host in value)
        if not all(HOST.fullmatch(host) for host in hosts):
            raise ValueError("must name hosts, such as mixi.net,ma.mixi.net:8080")
        return hosts

    @field_validator("mixi_platform_hosts")
    @classmethod
    def _some(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("must name hosts, such as mixi.net,ma.mixi.net:8080")
        return value

    @field_validator("external_provider_url")
    @classmethod
    def _outside(cls, value: str) -> str:
        parts = urlsplit(_http(value)) if value else None
        if parts and (parts.query or parts.fragment or "@" in parts.netloc or "\\" in value):
            raise ValueError("must be an address without query, name or backslash")
        if parts and not _has_port(parts):
            raise ValueError("must have a port from 1 to 65535, or none")
        return value

    @model_validator(mode="after")
    def _apart(self) -> "Settings":
        if not self.external_provider_url:
            return self
        if is_of_mixi(self.external_provider_url, self):
            raise ValueError(f"{PREFIX}EXTERNAL_PROVIDER_URL must not be an address of mixi")
        if not self.external_merchant or not self.external_secret:
            raise ValueError(
                f"{PREFIX}EXTERNAL_PROVIDER_URL needs {PREFIX}EXTERNAL_MERCHANT and {PREFIX}EXTERNAL_SECRET"
            )
        return self

    @model_validator(mode="after")
    def _in_time(self) -> "Settings":
        if self.mixi_connect_seconds > self.mixi_total_seconds:
            raise ValueError(f"{PREFIX}MIXI_CONNECT_SECONDS must not exceed {PREFIX}MIXI_TOTAL_SECONDS")
        # The container shows an error screen after ten seconds (spec: response contents).
        if self.mixi_total_seconds + self.mixi_read_seconds >= 10:
            raise ValueError(f"{PREFIX}MIXI_TOTAL_SECONDS and {PREFIX}MIXI_READ_SECONDS must stay under 10")
        return self


def read() -> Settings:
    """The settings of this process, or SettingsError naming every one that is missing or wrong."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None


def is_of_mixi(url: str, known: Settings) -> bool:
    """Whether an address belongs to mixi, whom no external payment may be made to."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    named = {parts.netloc.lower(), host} & set(known.mixi_platform_hosts)
    return bool(named) or f".{host}".endswith(MIXI_DOMAINS)


def settings() -> Settings:
    """The settings of the running shop."""
    current: Settings = current_app.config["SETTINGS"]
    return current


def _explain(error: ValidationError) -> str:
    lines = ["The shop cannot start. Set these in the environment:"]
    for problem in error.errors(include_input=False, include_url=False):
        name = f"{PREFIX}{'_'.join(str(part) for part in problem['loc']).upper()}: " if problem["loc"] else ""
        reason = (
            problem["msg"].removeprefix("Value error, ") if problem["type"] != "missing" else "is missing"
        )
        lines.append(f"  {name}{reason}")
    return "\n".join(lines)


def folder(name: str) -> Path:
    """`templates` or `static`: beside the package in a checkout, inside it once installed as a wheel."""
    inside = PACKAGE / name
    return inside if inside.exists() else PACKAGE.parent / name
