"""The configured counter: our address, our keys, our client."""

from dataclasses import dataclass
from datetime import datetime

import requests
from flask import Flask, Request, current_app

from storefront.config import Settings
from storefront.gate import Gate
from storefront.mixi.client import Crowded, Line, Patience, PointClient
from storefront.mixi.keys import KeyRing
from storefront.mixi.signing import Consumer, Publisher, Signed
from storefront.shop.devices import Device

NAME = "mixi"
# Source: mixi Payment Program, spending mixi points.
MINIMUM = 10
MAXIMUM = {Device.MOBILE: 5000, Device.SMARTPHONE: 5000, Device.PC: 10000}
EVERYBODY = "*"  # while an app is in development mixi makes every purchase a test
MAX_URL = 255  # seed: callback_url and finish_url, half-width characters


class NoCertificate(Exception):
    """Nobody can be believed to be mixi itself: the settings name no certificate of it."""


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
    pay_back_days: int
    consumer: Consumer
    keys: KeyRing
    gate: Gate
    client: PointClient

    def is_test(self, owner_id: str) -> bool:
        """Whether this buyer's purchases use no points."""
        return owner_id in self.test_owners or EVERYBODY in self.test_owners

    def verify(self, request: Request, now: datetime) -> Signed:
        """What a request says under our consumer's signature, or BadSignature.

        The address is the public one we were configured with, whatever the Host header says.
        """
        return self._verified(self.consumer, request, now)

    def verify_event(self, request: Request, now: datetime) -> Signed:
        """What a request says under mixi's own signature, or BadSignature, or NoCertificate."""
        if not self.keys:
            raise NoCertificate
        return self._verified(Publisher(self.keys), request, now)

    def verify_start(self, request: Request, now: datetime) -> Signed:
        """What a start address says, signed by mixi in its query; or BadSignature, or NoCertificate."""
        if not self.keys:
            raise NoCertificate
        return Publisher(self.keys).verify_address(
            request.method,
            self.public_url + request.path,
            request.query_string,
            now=int(now.timestamp()),
            window=self.window,
        )

    def _verified(self, signer: Consumer | Publisher, request: Request, now: datetime) -> Signed:
        return signer.verify(
            request.method,
            self.public_url + request.path,
            request.query_string,
            request.headers.get("Authorization"),
            now=int(now.timestamp()),
            window=self.window,
        )


def init_app(app: Flask, settings: Settings, http: requests.Session) -> None:
    with app.test_request_context():
        paths = app.url_for("mixi.callback"), app.url_for("mixi.finish")
    callback_url, finish_url = (settings.public_url + path for path in paths)
    secret = settings.mixi_consumer_secret.get_secret_value()
    gate = Gate(settings.mixi_calls_at_once, Crowded)
    line = Line(http, gate)
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
        pay_back_days=settings.mixi_pay_back_days,
        consumer=Consumer(settings.mixi_consumer_key, _secrets(settings)),
        keys=KeyRing(settings.mixi_certificates, settings.mixi_certificate_url, line),
        gate=gate,
        client=PointClient(
            line=line,
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


def _secrets(settings: Settings) -> tuple[str, ...]:
    """Those that verify: the current one, which alone signs, and the one before it."""
    both = (settings.mixi_consumer_secret, settings.mixi_consumer_secret_previous)
    return tuple(secret.get_secret_value() for secret in both if secret)


def channel() -> Channel:
    """The mixi counter of the running shop."""
    current: Channel = current_app.extensions[NAME]
    return current
