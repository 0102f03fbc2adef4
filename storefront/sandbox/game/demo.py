"""The sample game in a demo, and the shop that sells into it."""

from collections.abc import Mapping

from storefront.sandbox.game.settings import GameSettings
from storefront.sandbox.server import Server, Street


def environment(street: Street) -> Mapping[str, str]:
    return {
        "GAME_PUBLIC_URL": street.here,
        "GAME_SHOP_URL": street.shop,
        "GAME_DATABASE_URL": street.sqlite("game"),
        **({"GAME_SHOP_CA": str(street.shop_ca.resolve())} if street.shop_ca else {}),
        "SANDBOX_GAME_URL": street.here,
        "SANDBOX_GAME_DOOR_SECRET": street.secrets["GAME_DOOR_SECRET"],
        "SANDBOX_GAME_TOKEN": street.secrets["GAME_DESK_TOKEN"],
        "STOREFRONT_GAME_TOKEN": street.secrets["GAME_TOKEN"],
    }


SERVER = Server(
    "game",
    port=8004,
    threads=8,
    serves="storefront.sandbox.game:create_game()",
    settings=GameSettings,
    environment=environment,
    secrets={"GAME_SECRET_KEY": 20, "GAME_TOKEN": 32, "GAME_DOOR_SECRET": 20, "GAME_DESK_TOKEN": 20},
    invites=("Play in a town:", "what is bought stands there; the way in is beside each simulated user"),
)
