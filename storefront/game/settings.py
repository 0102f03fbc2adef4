"""What the game's interface is told: its token, how many may ask at once, how long it may be silent."""

from flask import current_app
from pydantic import Field

from storefront.config import DAY, HouseSettings, MadeSecret


class GameSettings(HouseSettings):
    """The house's, and those of the game."""

    game_token: MadeSecret | None = Field(
        None,
        description="Opens /game/ to the game's servers, which send it as a bearer token; without one there "
        "is none. 32 characters or more.",
    )
    game_token_previous: MadeSecret | None = Field(
        None, description="The token before it, or the one to come: opens it as well."
    )
    game_at_once: int = Field(
        4,
        ge=1,
        le=1000,
        description="Threads of one process that may be with the game at once; half as many more wait "
        "briefly, the rest is told to come later. Ours.",
    )
    game_silent_seconds: int = Field(
        600,
        ge=1,
        le=DAY,
        description="For how long changes may wait for the game to ask, until the operator is told. Ours.",
    )


def settings() -> GameSettings:
    """The settings of the running shop, as this room knows them."""
    current: GameSettings = current_app.config["SETTINGS"]
    return current
