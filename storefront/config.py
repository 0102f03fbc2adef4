"""Every setting: its name, its default, its meaning. All come from the environment, as STOREFRONT_<NAME>.

What nobody should read may stand in a file, named by STOREFRONT_<NAME>_FILE.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

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
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

PREFIX = "STOREFRONT_"
PACKAGE = Path(__file__).resolve().parent
# Source: guiding to an external site; mixi.net is the container's.
MIXI_DOMAINS = (".mixi.jp", ".mixi.co.jp", ".mixi.net")
DEFAULT_PORTS = {"http": 80, "https": 443}
FILE = "_FILE"
SERVICE = "_SERVICE_HOST"  # so Kubernetes tells every container of a service, perhaps one called storefront
MADE = 32  # characters of a secret that we make
DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql+psycopg")
HOUR, DAY = 3600, 86_400  # seconds
# What mixi has certificates for, each of its own (source: validating signed requests).
KeyChannel = Literal["pc", "smartphone", "lifecycle"]
CERTIFIED: tuple[KeyChannel, ...] = get_args(KeyChannel)
# They stand in a header of every answer.
HOST = re.compile(r"([0-9a-z_.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")


class SettingsError(Exception):
    """The environment is not fit to serve from; says every reason, one a line."""


def _is_host(text: str) -> bool:
    """Whether it is `host` or `host:port`; an IPv6 host stands in brackets."""
    found = HOST.fullmatch(text)
    if not found:
        return False
    host, port = found.groups()
    return (port is None or 0 < int(port) < 2**16) and (not host.startswith("[") or _is_ipv6(host[1:-1]))


def _is_ipv6(text: str) -> bool:
    try:
        return isinstance(ip_address(text), IPv6Address)
    except ValueError:
        return False


def _http(url: str) -> str:
    if not url.isascii():
        raise ValueError("must be ASCII: write a name of other letters as DNS has it, xn--…")
    if not re.fullmatch(r"[!-~]*", url) or set(url) & set('"<>\\^`|'):
        raise ValueError('must have neither spaces nor any of "<>\\^`|')
    scheme, _, rest = url.partition("://")
    if scheme.lower() not in DEFAULT_PORTS:
        raise ValueError("must be an http or https address")
    if not _is_host(re.split("[/?#]", rest, maxsplit=1)[0].lower()):
        raise ValueError(
            "must name a host, with a port from 1 to 65535 or none, such as shop.example.com:8000"
        )
    return url


def _origin(url: str) -> str:
    parts = urlsplit(_http(url))
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("must be scheme, host and port only, such as https://shop.example.com")
    return f"{parts.scheme}://{parts.netloc.lower()}"


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
    if parts and not is_private(url):
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


def _database(url: str) -> str:
    """The address, with the driver that is ours; of a wrong one nothing is repeated."""
    url = re.sub(r"^(postgres|postgresql)://", "postgresql+psycopg://", url)
    try:
        address = make_url(url)
        if address.drivername not in DRIVERS:
            raise ValueError
        dialect = address.get_dialect()
        dialect.import_dbapi()
        dialect().create_connect_args(address)
    except ImportError:
        raise ValueError("needs a driver for PostgreSQL: install storefront[postgres]") from None
    except (SQLAlchemyError, ValueError):
        raise ValueError("must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME") from None
    return url


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank")
    return text


def _secret(value: SecretStr) -> SecretStr:
    _said(value.get_secret_value())
    return value


def _made(value: SecretStr) -> SecretStr:
    if len(_secret(value).get_secret_value()) < MADE:
        raise ValueError(f"must have at least {MADE} characters: {MAKE}")
    return value


MAKE = "python3 -c 'import secrets; print(secrets.token_hex(32))' makes some"
Text = Annotated[str, AfterValidator(_said)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
MadeSecret = Annotated[SecretStr, AfterValidator(_made)]
DatabaseAddress = Annotated[str, AfterValidator(_database)]
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
    secret_key: MadeSecret = Field(
        description="Signs the forms; 32 characters or more, the same on every host."
    )
    secret_key_previous: MadeSecret | None = Field(
        None, description="The key before it, or the one to come: verifies, never signs."
    )
    public_url: Origin = Field(
        description="Scheme, host and port under which mixi calls us; signatures are checked against it."
    )
    database_url: DatabaseAddress = Field(
        "sqlite:///storefront.db", description="SQLite in the instance folder, or postgresql://…"
    )
    catalog: Path = Field(PACKAGE / "shop" / "catalog.yaml", description="The file of what is sold.")
    metrics_token: MadeSecret | None = Field(
        None,
        description="Opens /metrics to whoever sends it as a bearer token; without one there is none. "
        "32 characters or more.",
    )
    metrics_folder: str = Field("", description="Where the workers of a host keep their numbers.")
    database_pool_size: int = Field(
        10, ge=1, le=1000, description="Connections of one process to PostgreSQL."
    )
    threads: int = Field(
        8,
        ge=1,
        le=1000,
        description="Threads of one process, as the server is told; while the database hangs, one of them "
        "is kept free for /healthz.",
    )
    selling: bool = Field(
        True, description="While it is off no buy form is shown; what was begun is settled."
    )
    under_age_limits: Limits = Field(
        {},
        description="What a buyer may spend in a calendar month up to an age, at each counter in its unit, "
        "as 15:5000,19:10000. None: nobody is asked for their age. Ours: no source names mixi's rule.",
    )
    allow_unknown: bool = Field(
        False, description="Whether to start although the environment names settings that there are not."
    )
    form_seconds: int = Field(1800, ge=60, le=DAY, description="How long a form stays good.")

    # The mixi counter
    mixi_app_id: Text = Field(description="The application's id.")
    mixi_consumer_key: Text = Field(description="The consumer key of its RESTful API.")
    mixi_consumer_secret: Secret = Field(description="The consumer secret of its RESTful API.")
    mixi_consumer_secret_previous: Secret | None = Field(
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
        600, ge=1, le=DAY, description="Seconds a signed timestamp may be off. Ours: mixi names no number."
    )
    mixi_clock_skew: int = Field(
        2,
        ge=0,
        le=30,
        description="Seconds by which mixi's clock may run behind ours at a callback, and ahead of it at a "
        "start address.",
    )
    mixi_connect_seconds: float = Field(
        2.0, gt=0, le=10, description="To reach the API: a healthy host answers in far less."
    )
    mixi_read_seconds: float = Field(
        3.0, gt=0, le=10, description="For the head of the API's answer, and between two pieces of its body."
    )
    mixi_total_seconds: float = Field(
        6.0,
        gt=0,
        le=10,
        description="After that no call begins or goes on; a last wait may add one read time-out.",
    )
    mixi_calls_at_once: int = Field(
        2,
        ge=1,
        le=1000,
        description="Threads of one process that may wait for mixi's answers; half as many more wait briefly "
        "for their turn. At most half of a worker's threads, so that a callback always finds one.",
    )
    mixi_interface_seconds: int = Field(
        60,
        ge=1,
        le=HOUR,
        description="Seconds a repeated tap gets the same interface address. Ours: mixi says 'very short'.",
    )

    mixi_taps_per_minute: int = Field(
        20, ge=10, le=1_000_000, description="Calls of the API that a customer's taps may cause in a minute."
    )
    mixi_void_after: int = Field(
        60,
        ge=11,
        le=DAY,
        description="Seconds after our last OK before a payment that mixi did not commit is void.",
    )
    mixi_confirm_seconds: float = Field(
        2.0, gt=0, le=5, description="How long a page may wait for mixi to confirm payments."
    )
    mixi_confirms_per_visit: int = Field(
        5, ge=1, le=100, description="Questions to mixi that one buyer causes within the pause at most."
    )
    mixi_confirm_pause: int = Field(
        60,
        ge=1,
        le=DAY,
        description="Seconds before mixi is asked about the same payment again, unless it has heard an OK "
        "since. Ours: the source forbids continuous calls, and names no number.",
    )
    mixi_payment_seconds: int = Field(
        1800,
        ge=60,
        le=DAY,
        description="Seconds for which a payment that was started may be completed. Ours.",
    )
    mixi_pay_back_days: int = Field(
        90, ge=0, le=3650, description="Days after which a confirmed payment is not looked at again. Ours."
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
        1800, ge=60, le=DAY, description="How long a visit from PC or smartphone lasts without a step."
    )

    # The door out: a payment provider that is not mixi's
    external_provider_url: str = Field(
        "", description="The address of its payment page. Without one there is no door."
    )
    external_merchant: str = Field("", description="The name under which the provider knows the shop.")
    external_secret: MadeSecret | None = Field(
        None, description="What the shop and the provider sign with; 32 characters or more."
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
        if not all(map(_is_host, hosts)):
            raise ValueError("must name hosts, such as mixi.net,ma.mixi.net:8080,[2001:db8::1]:8080")
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
        if parts and (parts.query or parts.fragment):
            raise ValueError("must be an address without query")
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


# What nobody should read: secrets, and the database's password. It may stand in a file.
IN_FILES = (
    "secret_key",
    "secret_key_previous",
    "database_url",
    "metrics_token",
    "mixi_consumer_secret",
    "mixi_consumer_secret_previous",
    "external_secret",
    "external_secret_previous",
)


def read() -> Settings:
    """The settings of this process, or SettingsError naming every one that is missing or wrong."""
    environment = {name.upper(): value for name, value in os.environ.items()}
    given, unread = _from_files(environment)
    problems = [f"{PREFIX}{field.upper()}{FILE}: {reason}" for field, reason in unread.items()]
    found = None
    try:
        found = Settings(**given)
    except ValidationError as error:
        problems += _reasons(error, unread)
    if found is None or not found.allow_unknown:
        problems += map(_no_setting, unknown(environment))
    if found is None or problems:
        raise SettingsError(
            "\n  ".join(["The shop cannot start. Put these right in the environment:", *problems])
        )
    return found


def unknown(environment: Iterable[str]) -> list[str]:
    """The names of an environment that look like settings of ours and are none."""
    ours = sorted(name.upper() for name in environment if name.upper().startswith(PREFIX))
    services = [name.removesuffix(SERVICE) for name in ours if name.endswith(SERVICE)]
    others = tuple(f"{service}_{part}" for service in services for part in ("SERVICE_", "PORT"))
    known = set(_names())
    return [name for name in ours if name not in known and not name.startswith(others)]


def is_private(url: str) -> bool:
    """Whether nobody on the way can read or change what is said there: https, or this very machine."""
    return urlsplit(url).scheme == "https" or is_here(url)


def is_here(url: str) -> bool:
    """Whether it is an address of this very machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def exposed(known: Settings) -> list[str]:
    """The settings that should name an https address and do not."""
    fields = ("public_url", "mixi_confirm_url", "external_provider_url")
    addresses = {f"{PREFIX}{field.upper()}": getattr(known, field) for field in fields}
    return [name for name, address in addresses.items() if address and not is_private(address)]


def names(url: str) -> set[str]:
    """What a list of hosts may call the place that an address leads to: host:port, and host by itself."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    default = DEFAULT_PORTS.get(parts.scheme)
    return {f"{host}:{parts.port or default}"} | ({host} if parts.port in (None, default) else set())


def is_of_mixi(url: str, known: Settings) -> bool:
    """Whether an address belongs to mixi, whom no external payment may be made to."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    named = {*names(url), host} & set(known.mixi_platform_hosts)
    return bool(named) or f".{host}".endswith(MIXI_DOMAINS)


def settings() -> Settings:
    """The settings of the running shop."""
    current: Settings = current_app.config["SETTINGS"]
    return current


def _names() -> Iterator[str]:
    for field in Settings.model_fields:
        yield f"{PREFIX}{field.upper()}"
        if field in IN_FILES:
            yield f"{PREFIX}{field.upper()}{FILE}"


def _no_setting(name: str) -> str:
    near = get_close_matches(name.removeprefix(PREFIX), [one.removeprefix(PREFIX) for one in _names()], n=1)
    meant = f"did you mean {PREFIX}{near[0]}?" if near else "those that there are stand in the README."
    return f"{name}: is no setting; {meant} After a roll-back {PREFIX}ALLOW_UNKNOWN=true starts all the same"


def _from_files(environment: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """What stands in files, by field; and why some of it cannot be had."""
    given: dict[str, Any] = {}
    unread: dict[str, str] = {}
    for field in IN_FILES:
        name = f"{PREFIX}{field.upper()}"
        path = environment.get(f"{name}{FILE}")
        if not path:
            continue
        if environment.get(name):
            unread[field] = f"{name} is set as well: keep one of them"
            continue
        try:
            given[field] = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            unread[field] = f"the file cannot be read ({error.strerror})"
        except UnicodeDecodeError:
            unread[field] = "the file is no text in UTF-8"
    return given, unread


def _reasons(error: ValidationError, unread: Mapping[str, str]) -> Iterator[str]:
    for problem in error.errors(include_input=False, include_url=False):
        field = "_".join(str(part) for part in problem["loc"])
        if field in unread:
            continue  # that has been said
        reason = (
            problem["msg"].removeprefix("Value error, ") if problem["type"] != "missing" else "is missing"
        )
        yield f"{PREFIX}{field.upper()}: {reason}" if field else reason


def folder(name: str) -> Path:
    """`templates` or `static`: beside the package in a checkout, inside it once installed as a wheel."""
    inside = PACKAGE / name
    return inside if inside.exists() else PACKAGE.parent / name
