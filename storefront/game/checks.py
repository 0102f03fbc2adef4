"""What the doctor looks at for the game: whether it fetches the changes."""

from collections.abc import Iterator

import requests

from storefront import clock
from storefront.findings import Finding, ok, warn
from storefront.game import polls
from storefront.game.settings import GameSettings


def following(settings: GameSettings, http: requests.Session) -> Iterator[Finding]:
    """When the game has last asked, and for how long changes wait for it."""
    if settings.game_token is None:
        return
    stands = polls.standing()
    asked = f"last asked at {stands.polled_at:%Y-%m-%d %H:%M:%S} UTC" if stands.polled_at else "never asked"
    waited = stands.waited(clock.now())
    if waited > settings.game_silent_seconds:
        found = f"{stands.behind} changes wait for it, the first for {waited:,.0f} s; it has {asked}"
        yield warn("game", found, "look whether its server runs, sends the token, and moves its cursor on")
    else:
        yield ok("game", f"it has {asked}, and {stands.behind} changes wait for it")
