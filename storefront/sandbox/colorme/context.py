"""The configured app store: its settings, and its line to the app."""

from dataclasses import dataclass, field
from threading import Lock

import requests
from flask import current_app

from storefront.sandbox.colorme.settings import AppStoreSettings


@dataclass(frozen=True)
class AppStore:
    """What every room of the store may ask for."""

    settings: AppStoreSettings
    http: requests.Session
    # Held by whoever turns the calendar: there is one, and it goes one way.
    turning: Lock = field(default_factory=Lock)
    # When each token was used within the last minute.
    calls: dict[str, list[float]] = field(default_factory=dict)


def appstore() -> AppStore:
    """The store that serves this request."""
    configured: AppStore = current_app.extensions["appstore"]
    return configured
