"""The configured counter: where the store is, and how it is reached."""

from dataclasses import dataclass

import requests
from flask import Flask, current_app

from storefront.bounded import Timeouts
from storefront.colorme.settings import NAME, ColormeSettings
from storefront.gate import Gate


class Crowded(Exception):
    """The store was not asked: as many of us wait for its answers already as may."""


@dataclass(frozen=True)
class Channel:
    """Without keys there is no counter. Every thread passes a gate before it waits for the store.

    A code is anybody's to make up. Who comes with one has a gate of their own, so that however many do,
    owners who are in find theirs free.
    """

    settings: ColormeSettings
    http: requests.Session
    gate: Gate
    gate_for_codes: Gate

    @property
    def timeouts(self) -> Timeouts:
        told = self.settings
        return Timeouts(told.colorme_connect_seconds, told.colorme_read_seconds, told.colorme_total_seconds)

    @property
    def start_url(self) -> str:
        """Where a shop owner comes in; the store lists it as the app's settings page."""
        return f"{self.settings.public_url}/{NAME}/start"

    @property
    def return_url(self) -> str:
        """Where the store sends them back to from its consent screen."""
        return f"{self.settings.public_url}/{NAME}/oauth"

    def api(self, path: str) -> str:
        return self.settings.colorme_api_url + path


def init_app(app: Flask, settings: ColormeSettings, http: requests.Session) -> None:
    places = settings.colorme_calls_at_once
    gates = Gate(places, Crowded), Gate(-(-places // 2), Crowded)
    app.extensions[NAME] = Channel(settings, http, *gates)


def channel() -> Channel:
    """The counter of the running shop."""
    current: Channel = current_app.extensions[NAME]
    return current
