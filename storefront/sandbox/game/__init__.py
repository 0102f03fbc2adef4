"""A sample game, in which what the shop sells is seen and used: a harbour town.

A process, a port and a file of its own. It plays the part of a game's server: it knows the shop by its game
interface alone, and keeps what everybody holds. People come from the platform's pages.

client      changes(), holdings(), use()     what is asked of the shop, and nothing else is
holdings    read_on(), things()              what everybody holds: the sum of all changes, each once
uses        use()                            using things up, by a key that the shop counts once
residents   let_in()                         who comes, by an address that the platform signed
goods                                        what becomes of which item in the town
"""

from threading import Thread

import requests
from flask import Flask

from storefront.sandbox import form_tokens, language
from storefront.sandbox.game import holdings, pages, store, views
from storefront.sandbox.game.context import Game
from storefront.sandbox.game.settings import GameSettings
from storefront.sandbox.mixi.calls import new_session
from storefront.sandbox.process import new_app


def create_game(settings: GameSettings | None = None, http: requests.Session | None = None) -> Flask:
    """The game as one Flask app. Without arguments it is configured by the environment."""
    # The environment gives what the call leaves out, and the error names what is missing.
    settings = settings or GameSettings()
    app = new_app(__name__, "game", settings)
    for room in (store, language, form_tokens):
        room.init_app(app)
    pages.init_app(app, settings)
    app.extensions["game"] = playing = Game(settings, http or new_session(settings.shop_ca))
    app.register_blueprint(views.blueprint)
    if settings.poll_seconds:
        Thread(target=_read_on, args=(app, playing), daemon=True).start()
    return app


def _read_on(app: Flask, playing: Game) -> None:
    """Ask the shop for what is new, again and again: who looks at a town finds it up to date."""
    while not playing.closing.wait(playing.settings.poll_seconds):
        try:
            with app.app_context():
                holdings.read_on(playing)
        except Exception:  # whatever it was, the next time may be better
            app.logger.exception("the town could not read on")
