"""The configured game: its settings, and its line to shop and platform."""

from dataclasses import dataclass, field
from threading import Event

import requests
from flask import current_app

from storefront.sandbox.game.settings import GameSettings


@dataclass(frozen=True)
class Game:
    """What every room of the game may ask for."""

    settings: GameSettings
    http: requests.Session
    closing: Event = field(default_factory=Event)  # ends what goes on by itself


def game() -> Game:
    """The game that serves this request."""
    configured: Game = current_app.extensions["game"]
    return configured
