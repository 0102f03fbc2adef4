"""Telling the platform's desk what is seen and done in the town, so that walkthroughs tick themselves off."""

from collections.abc import Mapping, Sequence
from typing import Any

import requests

from storefront.sandbox.game.context import Game
from storefront.sandbox.game.residents import Resident

TELLING_SECONDS = 2


def shown(game: Game, resident: Resident, things: Sequence[Mapping[str, Any]]) -> None:
    """This is what stands in somebody's town, as its page was shown."""
    _tell(game, resident, "shown", things)


def used(game: Game, resident: Resident, item: str) -> None:
    """Somebody has used one of an item up there."""
    _tell(game, resident, "used", [{"item": item, "quantity": 1}])


def _tell(game: Game, resident: Resident, what: str, things: Sequence[Mapping[str, Any]]) -> None:
    """If it cannot hear, what it shows is behind and nothing else."""
    token = {"Authorization": f"Bearer {game.settings.desk_token.get_secret_value()}"}
    told = {"owner": resident.external_id, "things": list(things)}
    try:
        game.http.post(
            f"{game.settings.platform_url}/desk/towns/{what}",
            json=told,
            headers=token,
            timeout=TELLING_SECONDS,
        )
    except (requests.RequestException, OSError):
        return
