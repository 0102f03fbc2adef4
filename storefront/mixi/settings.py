"""What the mixi counter is told: its keys, its addresses, how long it waits, whom it believes."""

from pathlib import Path
from typing import Annotated, Literal, Self, get_args
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import Certificate, load_pem_x509_certificate
from flask import current_app
from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, model_validator
from pydantic_settings import NoDecode

from storefront.config import (
    DAY,
    HOUR,
    PREFIX,
    SHOULD_BE_HTTPS,
    Address,
    Hosts,
    HouseSettings,
    Names,
    Secret,
    Text,
    better_https,
    http_address,
    is_private,
    unset,
)
from storefront.mixi.signing import OWNER_LENGTH, is_opaque

# What mixi has certificates for, each of its own (source: validating signed requests).
KeyChannel = Literal["pc", "smartphone", "lifecycle"]
CERTIFIED: tuple[KeyChannel, ...] = get_args(KeyChannel)


def _container(url: str) -> str:
    if not url.endswith("/"):
        raise ValueError("must end with the app id and a slash, such as http://ma.mixi.net/12345/")
    return url


def _some(hosts: tuple[str, ...]) -> tuple[str, ...]:
    if not hosts:
        raise ValueError("must name hosts, such as mixi.net,ma.mixi.net:8080")
    return hosts


def _certificates(text: object) -> object:
    """Read `channel:name=path, channel:name=path`; of a value only the name is repeated in an error."""
    if not isinstance(text, str):
        return text
    certificates: dict[str, dict[str, Certificate]] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        head, equals, path = part.partition("=")
        channel, _, name = head.rpartition(":")
        if not (equals and is_opaque(name, len(name)) and path):
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
    parts = urlsplit(http_address(url)) if url else None
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


def _owners(ids: tuple[str, ...]) -> tuple[str, ...]:
    if not all(is_opaque(one, OWNER_LENGTH) and ";" not in one for one in ids):
        raise ValueError(
            f"must name ids as mixi has them, each of 1 to {OWNER_LENGTH} half-width characters; "
            "commas between, and neither spaces nor semicolons"
        )
    return ids


Owners = Annotated[Names, AfterValidator(_owners)]
ContainerAddress = Annotated[Address, AfterValidator(_container)]
PlatformHosts = Annotated[Hosts, AfterValidator(_some)]
CertificateAddress = Annotated[str, AfterValidator(_certificate_address)]
Certificates = Annotated[
    dict[KeyChannel, dict[str, InstanceOf[Certificate]]],
    NoDecode,
    BeforeValidator(_certificates),
]


class MixiSettings(HouseSettings):
    """The house's, and those of the mixi counter."""

    mixi_app_id: Text = Field(description="The application's id.")
    mixi_consumer_key: Text = Field(description="The consumer key of its RESTful API.")
    mixi_consumer_secret: Secret = Field(description="The consumer secret of its RESTful API.")
    mixi_consumer_secret_previous: Secret | None = Field(
        None, description="The secret before it: still verifies, never signs."
    )
    mixi_container_url: ContainerAddress = Field(
        description="The container's address of this app, with app id and final slash."
    )
    mixi_platform_hosts: PlatformHosts = Field(
        description="Hosts a buyer may be sent to; commas between; host or host:port."
    )
    mixi_point_url: Address = Field(
        "http://api.mixi-platform.com/atom/mobile/point/@me",
        description="Where payments are created.",
        json_schema_extra=better_https(
            "the callback's word travels there in clear, and whoever listens on that way and has an account "
            "could have the container sign the callback of a payment of their own"
        ),
    )
    mixi_confirm_url: Address = Field(
        "https://api.mixi-platform.com/atom/mobile/point/@me",
        description="Where payments are confirmed: https, so that the answer can be trusted.",
        json_schema_extra=SHOULD_BE_HTTPS,
    )
    mixi_test_owners: Owners = Field(
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
        "for their turn. At most a quarter of a worker's threads, so that a callback always finds one.",
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
        None,
        description="Where mixi shows the app to PC and smartphone; only its origin may frame our pages.",
        json_schema_extra=unset("`MIXI_CONTAINER_URL`"),
    )
    mixi_mobile_charset: Literal["utf-8", "shift_jis"] = Field(
        "utf-8", description="What mobile phones are written to in."
    )

    @property
    def mixi_shown_at(self) -> str:
        """Where mixi shows the app; on PC and smartphone, unless told otherwise, as on mobile phones."""
        return self.mixi_app_url or self.mixi_container_url

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if self.mixi_connect_seconds > self.mixi_total_seconds:
            raise ValueError(f"{PREFIX}MIXI_CONNECT_SECONDS must not exceed {PREFIX}MIXI_TOTAL_SECONDS")
        # The container shows an error screen after ten seconds (spec: response contents).
        if self.mixi_total_seconds + self.mixi_read_seconds >= 10:
            raise ValueError(f"{PREFIX}MIXI_TOTAL_SECONDS and {PREFIX}MIXI_READ_SECONDS must stay under 10")
        return self


def settings() -> MixiSettings:
    """The settings of the running shop, as this counter knows them."""
    current: MixiSettings = current_app.config["SETTINGS"]
    return current
