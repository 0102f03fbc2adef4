"""The settings that belong to all, and how every setting is read: from the environment, as STOREFRONT_<NAME>.

A counter's own stand in the `settings.py` of its room. What nobody should read may stand in a file, named
by STOREFRONT_<NAME>_FILE.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args
from urllib.parse import urlsplit

from flask import current_app
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

PREFIX = "STOREFRONT_"
PACKAGE = Path(__file__).resolve().parent
DEFAULT_PORTS = {"http": 80, "https": 443}
FILE = "_FILE"
SERVICE = "_SERVICE_HOST"  # so Kubernetes tells every container of a service, perhaps one called storefront
MADE = 32  # characters of a secret that we make
DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql+psycopg")
OLDEST = 120  # years that a buyer may have
HOUR, DAY = 3600, 86_400  # seconds
AROUND = re.compile(r"\A[\s\ufeff]+|[\s\ufeff]+\Z")  # nobody means it, and nobody sees it
CONTROL = re.compile(r"[\0-\x1f\x7f-\x9f]")
# They stand in a header of every answer.
HOST = re.compile(r"([0-9a-z_.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")


class SettingsError(Exception):
    """The environment is not fit to serve from; says every reason, one a line."""

    @classmethod
    def of(cls, *problems: str) -> "SettingsError":
        return cls("\n  ".join(["The shop cannot start. Put these right in the environment:", *problems]))


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


def http_address(url: str) -> str:
    """The same address, if it is one of http or https that fits into a header; or ValueError."""
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


def origin(url: str) -> str:
    """Scheme, host and port of an address that has nothing else; or ValueError."""
    parts = urlsplit(http_address(url))
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("must be scheme, host and port only, such as https://shop.example.com")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _commas(text: object) -> object:
    return [part.strip() for part in text.split(",") if part.strip()] if isinstance(text, str) else text


def _hosts(names: tuple[str, ...]) -> tuple[str, ...]:
    hosts = tuple(name.lower() for name in names)
    if not all(map(_is_host, hosts)):
        raise ValueError("must name hosts, such as mixi.net,ma.mixi.net:8080,[2001:db8::1]:8080")
    return hosts


def _limits(text: object) -> object:
    """Read `age:amount, age:amount`."""
    if not isinstance(text, str):
        return text
    pairs = [part.partition(":")[::2] for part in filter(None, map(str.strip, text.split(",")))]
    if not (text.isascii() and all(part.strip().isdecimal() for pair in pairs for part in pair)):
        raise ValueError("must be age:amount, such as 15:5000,19:10000")
    limits = {int(age): int(most) for age, most in pairs}
    if len(limits) < len(pairs):
        raise ValueError("must name each age once")
    if max(limits, default=0) > OLDEST:
        raise ValueError(f"must be age:amount, such as 15:5000,19:10000, and no age above {OLDEST}")
    return limits


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
Address = Annotated[str, AfterValidator(http_address)]
Origin = Annotated[str, AfterValidator(origin)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_commas)]
Hosts = Annotated[Names, AfterValidator(_hosts)]
Limits = Annotated[dict[int, int], NoDecode, BeforeValidator(_limits)]
# Said in place of pydantic's words, by kind of error.
REASONS = {
    "missing": "is missing",
    "bool_parsing": "must be true or false",
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "greater_than": "must be more than {gt:,.10g}",
    "greater_than_equal": "must be at least {ge:,.10g}",
    "less_than_equal": "must be at most {le:,.10g}",
}
# What is said there must not be read or changed on the way.
SHOULD_BE_HTTPS: JsonDict = {"https": True}


def better_https(risk: str) -> JsonDict:
    """Of an address that the platform itself has as http: what is risked there."""
    return {"https": risk}


def unset(words: str) -> JsonDict:
    """What a setting is where nobody sets it, if its default does not say so."""
    return {"unset": words}


MISSING = unset("say that they are missing")


class HouseSettings(BaseSettings):
    """What belongs to all. Each counter puts a class of its own on top; `storefront.Settings` has all."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    secret_key: MadeSecret = Field(
        description="Signs the forms; 32 characters or more, the same on every host."
    )
    secret_key_previous: MadeSecret | None = Field(
        None, description="The key before it, or the one to come: verifies, never signs."
    )
    public_url: Origin = Field(
        description="Scheme, host and port under which mixi calls us; signatures are checked against it.",
        json_schema_extra=SHOULD_BE_HTTPS,
    )
    database_url: DatabaseAddress = Field(
        "sqlite:///storefront.db",
        description="SQLite in the instance folder, or postgresql://…",
        repr=False,  # it may have a password
    )
    catalog: Path = Field(PACKAGE / "shop" / "catalog.yaml", description="The file of what is sold.")
    identity: Path = Field(
        PACKAGE / "shop" / "identity.yaml", description="The file of what the shop is called."
    )
    metrics_token: MadeSecret | None = Field(
        None,
        description="Opens /metrics to whoever sends it as a bearer token; without one there is none. "
        "32 characters or more.",
    )
    metrics_folder: str = Field(
        "",
        description="Where the workers of a host keep their numbers, each server's in a folder of its own.",
        json_schema_extra=unset("`metrics` in the instance folder"),
    )
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
    visit_seconds: int = Field(
        1800, ge=60, le=DAY, description="How long a visit from PC or smartphone lasts without a step."
    )

    # The legal notice (特定商取引法に基づく表記); an unfilled field says so on the page
    legal_operator: str = Field("", description="Who sells.", json_schema_extra=MISSING)
    legal_representative: str = Field("", description="Who is responsible.", json_schema_extra=MISSING)
    legal_address: str = Field("", description="Where the operator is.", json_schema_extra=MISSING)
    legal_phone: str = Field("", description="Telephone number.", json_schema_extra=MISSING)
    legal_contact: str = Field(
        "", description="Where and when questions are answered.", json_schema_extra=MISSING
    )
    legal_devices: str = Field("", description="Supported devices.", json_schema_extra=MISSING)
    legal_privacy: str = Field(
        "", description="The privacy policy, or where it is.", json_schema_extra=MISSING
    )

    @field_validator("*", mode="before")
    @classmethod
    def _as_meant(cls, given: object, about: ValidationInfo) -> object:
        """The same for the same words, wherever they were given and however they ended there."""
        if not isinstance(given, str):
            return given
        text = AROUND.sub("", given)
        is_list = NoDecode in cls.model_fields[about.field_name or ""].metadata
        if CONTROL.search(text) and not is_list:
            raise ValueError("has a control character, such as the end of a line, inside")
        return text


Chosen = TypeVar("Chosen", bound=HouseSettings)


def read(kind: type[Chosen]) -> Chosen:
    """The settings of this process, or SettingsError naming every one that is missing or wrong."""
    environment = {name.upper(): value for name, value in os.environ.items()}
    given, unread = _from_files(kind, environment)
    problems = [f"{PREFIX}{field.upper()}{FILE}: {reason}" for field, reason in unread.items()]
    found = None
    try:
        found = kind(**given)
    except ValidationError as error:
        problems += _reasons(error, unread)
    if found is None or not found.allow_unknown:
        problems += (_no_setting(kind, name) for name in unknown(kind, environment))
    if found is None or problems:
        raise SettingsError.of(*problems)
    return found


def unknown(kind: type[HouseSettings], environment: Iterable[str]) -> list[str]:
    """The names of an environment that look like settings of ours and are none."""
    ours = sorted(name.upper() for name in environment if name.upper().startswith(PREFIX))
    services = [name.removesuffix(SERVICE) for name in ours if name.endswith(SERVICE)]
    others = tuple(f"{service}_{part}" for service in services for part in ("SERVICE_", "PORT"))
    known = set(_names(kind))
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


def exposed(known: HouseSettings) -> list[str]:
    """The settings that should name an https address and do not."""
    wanted = [name for name, field in type(known).model_fields.items() if _extra(field).get("https")]
    addresses = {f"{PREFIX}{name.upper()}": getattr(known, name) for name in wanted}
    return [name for name, address in addresses.items() if address and not is_private(address)]


def risk(known: HouseSettings, name: str) -> str:
    """What is risked at an address that may be http, since the platform's own is; else nothing is said."""
    words = _extra(type(known).model_fields[name.removeprefix(PREFIX).lower()])["https"]
    return words if isinstance(words, str) else ""


def is_made(field: FieldInfo) -> bool:
    """Whether a setting is a secret that we make, or have made with a provider."""
    return MadeSecret in (field.rebuild_annotation(), *get_args(field.annotation))


def _extra(field: FieldInfo) -> JsonDict:
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def names(url: str) -> set[str]:
    """What a list of hosts may call the place that an address leads to: host:port, and host by itself."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    default = DEFAULT_PORTS.get(parts.scheme)
    return {f"{host}:{parts.port or default}"} | ({host} if parts.port in (None, default) else set())


def in_files(kind: type[HouseSettings]) -> list[str]:
    """What nobody should read: secrets, and the database's password. It may stand in a file."""
    fields = kind.model_fields.items()
    return [name for name, field in fields if name == "database_url" or "SecretStr" in str(field.annotation)]


def settings() -> HouseSettings:
    """The settings of the running shop."""
    current: HouseSettings = current_app.config["SETTINGS"]
    return current


def _names(kind: type[HouseSettings]) -> Iterator[str]:
    for field in kind.model_fields:
        yield f"{PREFIX}{field.upper()}"
    for field in in_files(kind):
        yield f"{PREFIX}{field.upper()}{FILE}"


def _no_setting(kind: type[HouseSettings], name: str) -> str:
    known = [one.removeprefix(PREFIX) for one in _names(kind)]
    near = get_close_matches(name.removeprefix(PREFIX), known, n=1)
    meant = f"did you mean {PREFIX}{near[0]}?" if near else "`storefront settings` lists all."
    return f"{name}: is no setting; {meant} After a roll-back {PREFIX}ALLOW_UNKNOWN=true starts all the same"


def _from_files(
    kind: type[HouseSettings], environment: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """What stands in files, by field; and why some of it cannot be had."""
    given: dict[str, Any] = {}
    unread: dict[str, str] = {}
    for field in in_files(kind):
        name = f"{PREFIX}{field.upper()}"
        path = AROUND.sub("", environment.get(f"{name}{FILE}", ""))
        if not path:
            continue
        if environment.get(name):
            unread[field] = f"{name} is set as well: keep one of them"
            continue
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            unread[field] = f"the file cannot be read ({error.strerror})"
        except UnicodeDecodeError:
            unread[field] = "the file is no text in UTF-8"
        else:
            if AROUND.sub("", text) or not field.endswith("_previous"):  # empty: there is none any more
                given[field] = text
    return given, unread


def _reasons(error: ValidationError, unread: Mapping[str, str]) -> Iterator[str]:
    for problem in error.errors(include_input=False, include_url=False):
        field = "_".join(str(part) for part in problem["loc"])
        if field in unread:
            continue  # that has been said
        reason = REASONS.get(problem["type"], "").format(**problem.get("ctx", {}))
        reason = reason or problem["msg"].removeprefix("Value error, ")
        yield f"{PREFIX}{field.upper()}: {reason}" if field else reason


def folder(name: str) -> Path:
    """`templates` or `static`: beside the package in a checkout, inside it once installed as a wheel."""
    inside = PACKAGE / name
    return inside if inside.exists() else PACKAGE.parent / name
