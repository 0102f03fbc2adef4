"""The configured sandbox: its settings, its line to the shop, its keys."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import requests
from flask import current_app

from storefront.mixi.signing import ApiClient, Consumer, Publisher
from storefront.sandbox.key_pairs import KeyPair
from storefront.sandbox.settings import SandboxSettings
from storefront.sandbox.signing import PublisherClient, QueryClient


@dataclass(frozen=True)
class Seen:
    """A page of the app, and when it was looked at."""

    at: datetime
    body: bytes


@dataclass(frozen=True)
class Sandbox:
    """What every room of the sandbox may ask for."""

    settings: SandboxSettings
    http: requests.Session
    keys: KeyPair  # for lifecycle events
    key_folder: Path  # where that and all others are kept
    seen: dict[str, Seen] = field(default_factory=dict)  # by their addresses

    @property
    def consumer(self) -> Consumer:
        """The registered app, as the one who signs requests to us."""
        return self.signed_with(None)

    def signed_with(self, secret: str | None) -> Consumer:
        """The registered app, or whoever gives himself out for it with another secret."""
        return Consumer(self.settings.consumer_key, (self._secret if secret is None else secret,))

    def client(self, timestamp: int, nonce: str, secret: str | None = None) -> QueryClient:
        """A signer for one request to the app; with a secret that is not the app's, of a forged one."""
        return QueryClient(
            self.settings.consumer_key,
            client_secret=self._secret if secret is None else secret,
            timestamp=str(timestamp),
            nonce=nonce,
        )

    @property
    def publisher(self) -> Publisher:
        """Ourselves, as the one who signs in our own name."""
        return Publisher({self.keys.name: self.keys.certificate})

    def api_client(self, timestamp: int, nonce: str) -> ApiClient:
        """A signer for one request to our API, as the app signs it."""
        return ApiClient(
            self.settings.consumer_key, client_secret=self._secret, timestamp=str(timestamp), nonce=nonce
        )

    def own_client(self, timestamp: int, nonce: str) -> PublisherClient:
        """A signer for one request in our own name."""
        return PublisherClient(self.keys.name, self.keys.private, timestamp=str(timestamp), nonce=nonce)

    @property
    def secrets(self) -> Sequence[str]:
        """The app's secret, and the one of before; for nothing but finding out what was signed with which."""
        before = self.settings.consumer_secret_previous
        return [self._secret, *([before.get_secret_value()] if before else ())]

    @property
    def _secret(self) -> str:
        return self.settings.consumer_secret.get_secret_value()


def sandbox() -> Sandbox:
    """The sandbox that serves this request."""
    configured: Sandbox = current_app.extensions["sandbox"]
    return configured
