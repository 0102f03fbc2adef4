"""The configured counter: our address, our keys, our client."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import requests
from flask import Flask, Request, current_app

from storefront.bounded import Timeouts
from storefront.config import PREFIX, SettingsError
from storefront.gate import Gate
from storefront.mixi import callback_word
from storefront.mixi.certificates import Published
from storefront.mixi.client import Crowded, PointClient, Transport
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
    settings: MixiSettings
    callback_url: str
    finish_url: str
    consumer: Consumer
    certificates: Mapping[str, Published]  # by what they were published for
    gate: Gate
    client: PointClient

    def is_test(self, owner_id: str) -> bool:
        """Whether this buyer's purchases use no points."""
        testers = self.settings.mixi_test_owners
        return owner_id in testers or EVERYBODY in testers

    def callback_address(self, word: str) -> str:
        """Where mixi asks about the payment of this word."""
        return f"{self.callback_url}/{word}" if word else self.callback_url

    def verify(self, request: Request, now: datetime) -> Signed:
        """What a request says under our consumer's signature, or BadSignature."""
        return self._verified(self.consumer, request, self._address(request), now)

    def verify_callback(self, request: Request, word: str, now: datetime) -> Signed:
        """The same of a callback that came with this word."""
        return self._verified(self.consumer, request, self.callback_address(word), now)

    def verify_event(self, request: Request, now: datetime) -> Signed:
        """What a request says under mixi's signature of events; or BadSignature, NoCertificate or NotNow."""
        return self._verified(self._publisher(LIFECYCLE), request, self._address(request), now)

    def verify_start(self, request: Request, device: Device, now: datetime) -> Signed:
        """What a start address of a device says, signed by mixi in its parameters; raises as verify_event."""
        form = request.get_data() if request.method == "POST" else b""
        if form and request.mimetype != FORM:
            raise BadSignature("parameter_rejected")
        return self._publisher(device.value).verify_address(
            request.method,
            self._address(request),
            request.query_string,
            form,
            now=int(now.timestamp()),
            window=self.settings.mixi_timestamp_window,
            ahead=self.settings.mixi_clock_skew,
        )

    def _address(self, request: Request) -> str:
        """Where it was sent: the public address we were configured with, whatever the Host header says."""
        return self.settings.public_url + request.path

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
            window=self.settings.mixi_timestamp_window,
        )


def init_app(app: Flask, settings: MixiSettings, http: requests.Session) -> None:
    with app.test_request_context():
        paths = app.url_for("mixi.callback"), app.url_for("mixi.finish")
    app.wsgi_app = callback_word.taken_off(app.wsgi_app, paths[0])  # type: ignore[method-assign]  # as Flask's manual has it
    callback_url, finish_url = (settings.public_url + path for path in paths)
    _check_length(f"{callback_url}/{callback_word.new()}", finish_url)
    gate = Gate(settings.mixi_calls_at_once, Crowded)
    transport, asking = Transport(http, gate), Gate(1, Crowded)
    app.extensions[NAME] = Channel(
        settings=settings,
        callback_url=callback_url,
        finish_url=finish_url,
        consumer=Consumer(settings.mixi_consumer_key, _secrets(settings)),
        certificates={one: _published(one, settings, transport, asking) for one in CERTIFIED},
        gate=gate,
        client=PointClient(
            transport=transport,
            consumer_key=settings.mixi_consumer_key,
            consumer_secret=settings.mixi_consumer_secret.get_secret_value(),
            point_url=settings.mixi_point_url,
            confirm_url=settings.mixi_confirm_url,
            platform_hosts=settings.mixi_platform_hosts,
            timeouts=Timeouts(
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


def _published(
    key_channel: KeyChannel, settings: MixiSettings, transport: Transport, asking: Gate
) -> Published:
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
