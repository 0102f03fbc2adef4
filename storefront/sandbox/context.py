"""The configured sandbox: its settings, its line to the shop, its keys."""

from dataclasses import dataclass
from pathlib import Path

import requests
from flask import current_app

from storefront.mixi.signing import Consumer, Publisher
from storefront.sandbox.key_pairs import KeyPair
from storefront.sandbox.settings import SandboxSettings
from storefront.sandbox.signing import PublisherClient, QueryClient


@dataclass(frozen=True)
class Sandbox:
    """What every room of the sandbox may ask for."""

    settings: SandboxSettings
    http: requests.Session
    keys: KeyPair  # for lifecycle events
    key_folder: Path  # where that and all others are kept

    @property
    def consumer(self) -> Consumer:
        """The registered app, as the one who signs requests to us."""
        return Consumer(self.settings.consumer_key, (self._secret,))

    def client(self, timestamp: int, nonce: str) -> QueryClient:
        """A signer for one request to the app."""
        return QueryClient(
            self.settings.consumer_key, client_secret=self._secret, timestamp=str(timestamp), nonce=nonce
        )

    @property
    def publisher(self) -> Publisher:
        """Ourselves, as the one who signs in our own name."""
        return Publisher({self.keys.name: self.keys.certificate})

    def own_client(self, timestamp: int, nonce: str) -> PublisherClient:
        """A signer for one request in our own name."""
        return PublisherClient(self.keys.name, self.keys.private, timestamp=str(timestamp), nonce=nonce)

    @property
    def _secret(self) -> str:
        return self.settings.consumer_secret.get_secret_value()


def sandbox() -> Sandbox:
    """The sandbox that serves this request."""
    configured: Sandbox = current_app.extensions["sandbox"]
    return configured
