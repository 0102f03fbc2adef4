"""What this room brings to doctor and demo."""

from storefront.config import MAKE
from storefront.game import checks
from storefront.rim import Rim, Secret

RIM = Rim(
    secrets=[
        Secret(
            "game_token",
            called="the game's token",
            blank=f"make one: {MAKE}",
            ours_too="make a token of its own: the game knows it",
        )
    ],
    recorded=[checks.following],
    platform="storefront.sandbox.game.demo",
)
