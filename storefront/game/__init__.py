"""WHERE WHAT IS SOLD IS PLAYED: the interface for the game's servers; off until its token is set.

It is no counter: it has neither channel nor prices. Verbs: `polls.poll` (every change of what is held, in an
order that stays), `uses.use` (use some up, once for each key).
"""

from collections.abc import Iterator

import requests
from flask import Flask
from flask_babel import lazy_gettext as _

from storefront import clock, metrics
from storefront.game import polls, settings, views
from storefront.game.problems import TooMany
from storefront.game.settings import GameSettings
from storefront.gate import Gate
from storefront.operator import matters
from storefront.operator.matters import Matter

SETTINGS = GameSettings

UNFETCHED = _("Changes the game has not fetched")
ADVICE = _(
    "Look whether its server runs, sends the token, gets through the proxy, and moves its cursor on. "
    "Nothing is lost meanwhile."
)
LAST_ASKED, NEVER_ASKED = _("Last asked:"), _("It has never asked.")


def init_app(app: Flask, told: GameSettings, http: requests.Session | None) -> None:
    if told.game_token is None:
        return
    app.extensions[views.GATE] = Gate(told.game_at_once, TooMany)
    views.description()
    app.register_blueprint(views.blueprint)
    matters.add(app, _matters)
    metrics.add_gauge(app, "game_behind", lambda: polls.standing().behind)
    metrics.add_gauge(app, "game_waiting_seconds", lambda: polls.standing().waited(clock.now()))


def _matters() -> Iterator[Matter]:
    """What the operator's home says of the game."""
    stands = polls.standing()
    yield Matter(
        UNFETCHED,
        ADVICE,
        is_good=stands.waited(clock.now()) <= settings.settings().game_silent_seconds,
        count=stands.behind,
        note=LAST_ASKED if stands.polled_at else NEVER_ASKED,
        at=stands.polled_at,
    )
