"""The configured game: its settings, and its line to shop and platform."""

from dataclasses import dataclass

import requests
from flask import current_app

from storefront.sandbox.game.settings import GameSettings


@dataclass(frozen=True)
class Game:
    """What every room of the game may ask for."""

    settings: GameSettings
    http: requests.Session


def game() -> Game:
    """The game that serves this request."""
    configured: Game = current_app.extensions["game"]
    return configured
