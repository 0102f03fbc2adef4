"""The configured counter: our address, our keys, our client."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import requests
from flask import Flask, Request, current_app

from storefront.config import PREFIX, SettingsError
from storefront.gate import Gate
from storefront.mixi import callback_word
from storefront.mixi.client import Crowded, Transport, Patience, PointClient
from storefront.mixi.certificates import Published
from storefront.mixi.settings import CERTIFIED, KeyChannel, MixiSettings
from storefront.mixi.signing import BadSignature, Consumer, Publisher, Signed, is_opaque
from storefront.shop.devices import Device

NAME = "mixi"
# Source: mixi Payment Program, spending mixi points.
MINIMUM = 10
MAXIMUM = {Device.MOBILE: 5000, Device.SMARTPHONE: 5000, Device.PC: 10000}
EVERYBODY = "*"  # while an app is in development mixi makes every purchase a test
LIFECYCLE = "lifecycle"  # the channel of mixi's keys that a device is not
FORM = "application/x-www-form-urlencoded"
MAX_URL = 255  # seed: callback_url and finish_url, half-width characters


class NoCertificate(Exception):
    """Nobody can be believed to be mixi itself here: the settings name no certificate for this channel."""


@dataclass(frozen=True)
class Channel:
    app_id: str
    public_url: str
    container_url: str
    app_url: str
    callback_url: str
    finish_url: str
    test_owners: tuple[str, ...]
    window: int
    clock_skew: int
    interface_seconds: int
    taps_per_minute: int
    void_after: int
    confirm_seconds: float
    confirms_per_visit: int
    confirm_pause: int
    pay_back_days: int
    consumer: Consumer
    certificates: Mapping[str, Published]  # by what they were published for
    gate: Gate
    client: PointClient

    def is_test(self, owner_id: str) -> bool:
        """Whether this buyer's purchases use no points."""
        return owner_id in self.test_owners or EVERYBODY in self.test_owners

    def callback_address(self, word: str) -> str:
        """Where mixi asks about the payment of this word."""
        return f"{self.callback_url}/{word}" if word else self.callback_url

    def verify(self, request: Request, now: datetime) -> Signed:
        """What a request says under our consumer's signature, or BadSignature.

        The address is the public one we were configured with, whatever the Host header says.
        """
        return self._verified(self.consumer, request, self.public_url + request.path, now)

    def verify_callback(self, request: Request, word: str, now: datetime) -> Signed:
        """The same of a callback that came with this word."""
        return self._verified(self.consumer, request, self.callback_address(word), now)

    def verify_event(self, request: Request, now: datetime) -> Signed:
        """What a request says under mixi's signature of events; or BadSignature, NoCertificate or NotNow."""
        return self._verified(self._publisher(LIFECYCLE), request, self.public_url + request.path, now)

    def verify_start(self, request: Request, device: Device, now: datetime) -> Signed:
        """What a start address of a device says, signed by mixi in its parameters; raises as verify_event."""
        form = request.get_data() if request.method == "POST" else b""
        if form and request.mimetype != FORM:
            raise BadSignature("parameter_rejected")
        return self._publisher(device.value).verify_address(
            request.method,
            self.public_url + request.path,
            request.query_string,
            form,
            now=int(now.timestamp()),
            window=self.window,
            ahead=self.clock_skew,
        )

    def _publisher(self, key_channel: str) -> Publisher:
        """mixi itself, under the certificates that it published for this channel."""
        if not self.certificates[key_channel]:
            raise NoCertificate
        return Publisher(self.certificates[key_channel])

    def _verified(self, signer: Consumer | Publisher, request: Request, url: str, now: datetime) -> Signed:
        return signer.verify(
            request.method,
            url,
            request.query_string,
            request.headers.get("Authorization"),
            now=int(now.timestamp()),
            window=self.window,
        )


def init_app(app: Flask, settings: MixiSettings, http: requests.Session) -> None:
    with app.test_request_context():
        paths = app.url_for("mixi.callback"), app.url_for("mixi.finish")
    app.wsgi_app = callback_word.taken_off(app.wsgi_app, paths[0])  # type: ignore[method-assign]  # as Flask's manual has it
    callback_url, finish_url = (settings.public_url + path for path in paths)
    _check_length(f"{callback_url}/{callback_word.new()}", finish_url)
    secret = settings.mixi_consumer_secret.get_secret_value()
    gate = Gate(settings.mixi_calls_at_once, Crowded)
    transport, asking = Transport(http, gate), Gate(1, Crowded)
    app.extensions[NAME] = Channel(
        app_id=settings.mixi_app_id,
        public_url=settings.public_url,
        container_url=settings.mixi_container_url,
        app_url=settings.mixi_app_url or settings.mixi_container_url,
        callback_url=callback_url,
        finish_url=finish_url,
        test_owners=settings.mixi_test_owners,
        window=settings.mixi_timestamp_window,
        clock_skew=settings.mixi_clock_skew,
        interface_seconds=settings.mixi_interface_seconds,
        taps_per_minute=settings.mixi_taps_per_minute,
        void_after=settings.mixi_void_after,
        confirm_seconds=settings.mixi_confirm_seconds,
        confirms_per_visit=settings.mixi_confirms_per_visit,
        confirm_pause=settings.mixi_confirm_pause,
        pay_back_days=settings.mixi_pay_back_days,
        consumer=Consumer(settings.mixi_consumer_key, _secrets(settings)),
        certificates={one: _published(one, settings, transport, asking) for one in CERTIFIED},
        gate=gate,
        client=PointClient(
            transport=transport,
            consumer_key=settings.mixi_consumer_key,
            consumer_secret=secret,
            point_url=settings.mixi_point_url,
            confirm_url=settings.mixi_confirm_url,
            platform_hosts=settings.mixi_platform_hosts,
            patience=Patience(
                settings.mixi_connect_seconds, settings.mixi_read_seconds, settings.mixi_total_seconds
            ),
        ),
    )


def _check_length(*addresses: str) -> None:
    """mixi would refuse every payment with a longer address, or one of other characters."""
    if not all(is_opaque(address, MAX_URL) for address in addresses):
        longest = max(map(len, addresses))
        raise SettingsError.of(
            f"{PREFIX}PUBLIC_URL: with it an address for mixi has {longest} characters; at most"
            f" {MAX_URL} half-width ones are allowed"
        )


def _published(key_channel: KeyChannel, settings: MixiSettings, transport: Transport, asking: Gate) -> Published:
    address = settings.mixi_certificate_url.replace("{channel}", key_channel)
    return Published(settings.mixi_certificates.get(key_channel, {}), address, transport, asking)


def _secrets(settings: MixiSettings) -> tuple[str, ...]:
    """Those that verify: the current one, which alone signs, and the one before it."""
    both = (settings.mixi_consumer_secret, settings.mixi_consumer_secret_previous)
    return tuple(secret.get_secret_value() for secret in both if secret)


def channel() -> Channel:
    """The mixi counter of the running shop."""
    current: Channel = current_app.extensions[NAME]
    return current
