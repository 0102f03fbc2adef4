"""What every page of the provider shares: yen, and what it says of errors."""

from flask import Flask, request
from flask_babel import gettext

from storefront.external.signing import BadSeal
from storefront.sandbox.language import N_, translated
from storefront.sandbox.manners import Manners
from storefront.sandbox.provider.arrivals import Unreadable
from storefront.sandbox.provider.payments import Contradiction
from storefront.sandbox.provider.settings import ProviderSettings

# Whoever started us asks whether we live; and the desk, wherever it sees us, has a word to show.
WELCOMING = ("provider.healthz", "provider.statement", "weather.")
TITLES = {
    400: N_("The shop sent you here with an address we cannot use."),
    401: N_("We cannot tell whether the shop sent you here."),
    403: N_("This form is out of date."),
    404: N_("There is nothing at this address."),
    405: N_("This address does not take that kind of request."),
    409: N_("The shop has used this payment for something else."),
    413: N_("That was too much to send."),
    421: N_("This is not the provider's address."),
    503: N_("We are closed at the moment."),
}
ADVICE = {
    400: N_("Go back to the shop and begin again. If it happens again, the shop has a mistake."),
    401: N_("Go back to the shop and begin again: an address like this is good for a few minutes only."),
    403: N_("Open the payment page again and press the button there."),
    409: N_("Go back to the shop and begin again, with a new payment."),
    503: N_("Nothing was paid by this. Please try again a little later."),
}

MANNERS = Manners(
    "sandbox/provider/error.html",
    TITLES,
    N_("The payment provider stumbled."),
    any_name=lambda: (request.endpoint or "").startswith(WELCOMING),
    advice=ADVICE,
)


def init_app(app: Flask, settings: ProviderSettings) -> None:
    """Dress the pages and the errors of the app, and guard its forms."""
    app.add_template_filter(lambda yen: gettext("¥%(yen)s", yen=f"{yen:,}"), "yen")
    app.context_processor(lambda: {"settings": settings})
    # For a text that was marked elsewhere and is shown here.
    app.add_template_filter(translated)
    MANNERS.init_app(app, settings.public_url)
    app.register_error_handler(Unreadable, lambda why: MANNERS.page(400, str(why)))
    app.register_error_handler(BadSeal, lambda _: MANNERS.page(401))
    app.register_error_handler(Contradiction, lambda _: MANNERS.page(409))
