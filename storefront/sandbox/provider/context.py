"""The configured provider: its settings and its line to the shop."""

from dataclasses import dataclass

import requests
from flask import current_app

from storefront.sandbox.provider.settings import ProviderSettings


@dataclass(frozen=True)
class Provider:
    """What every room of the provider may ask for."""

    settings: ProviderSettings
    http: requests.Session

    @property
    def secret(self) -> str:
        return self.settings.merchant_secret.get_secret_value()


def provider() -> Provider:
    """The provider that serves this request."""
    configured: Provider = current_app.extensions["provider"]
    return configured
