"""What every page of the game shares, and what it says of errors."""

from flask import Flask, request

from storefront.sandbox.game.settings import GameSettings
from storefront.sandbox.game.uses import Another
from storefront.sandbox.language import N_, translated
from storefront.sandbox.manners import Manners
from storefront.sandbox.passes import BadPass

WELCOMING = "game.healthz"  # whoever started us asks whether we live
TITLES = {
    401: N_("The way into the town has closed."),
    403: N_("This form is out of date."),
    404: N_("There is nothing at this address."),
    405: N_("This address does not take that kind of request."),
    409: N_("This button was for something else."),
    413: N_("That was too much to send."),
    421: N_("This is not the town's address."),
}
ADVICE = {
    401: N_("It is good once, and for a moment only. Take it again from the platform's page."),
    403: N_("Open the town again and press the button there."),
    404: N_("The town is entered from the platform's page."),
    409: N_("Open the town again and press the button there."),
}

MANNERS = Manners(
    "sandbox/game/error.html",
    TITLES,
    N_("The town stumbled."),
    any_name=lambda: request.endpoint == WELCOMING,
    advice=ADVICE,
)


def init_app(app: Flask, settings: GameSettings) -> None:
    """Dress the pages and the errors of the app, and guard its forms."""
    app.context_processor(lambda: {"settings": settings})
    # For a text that was marked elsewhere and is shown here.
    app.add_template_filter(translated)
    MANNERS.init_app(app, settings.public_url)
    app.register_error_handler(BadPass, lambda _: MANNERS.page(401))
    app.register_error_handler(Another, lambda _: MANNERS.page(409))
