"""What every page of the provider shares: yen, form tokens, headers, and well-made error pages."""

import hmac
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from werkzeug.exceptions import HTTPException, InternalServerError

from storefront.external.signing import BadSeal
from storefront.sandbox import form_tokens
from storefront.sandbox.language import N_, translated
from storefront.sandbox.pages import POLICY
from storefront.sandbox.provider.arrivals import Unreadable
from storefront.sandbox.provider.context import provider
from storefront.sandbox.provider.payments import Contradiction

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


def init_app(app: Flask) -> None:
    """Dress the pages and the errors of the app, and guard its forms."""
    app.add_template_filter(lambda yen: gettext("¥%(yen)s", yen=f"{yen:,}"), "yen")
    app.context_processor(lambda: {"settings": provider().settings})
    # For a text that was marked elsewhere and is shown here.
    app.add_template_filter(translated)
    app.before_request(_refuse_other_hosts)
    app.before_request(_check_form)
    for known in (Unreadable, BadSeal, Contradiction):
        app.register_error_handler(known, _refused)
    app.register_error_handler(HTTPException, _error)
    app.register_error_handler(Exception, _crash)
    app.after_request(_headers)


def _refuse_other_hosts() -> None:
    """A page of another site that leads its name to us gets nothing of ours."""
    ours = urlsplit(provider().settings.public_url).netloc
    if request.host != ours and not (request.endpoint or "").startswith(WELCOMING):
        abort(421)


def _check_form() -> None:
    """Every form of ours carries the word that only this browser knows."""
    if request.method != "POST" or request.url_rule is None:
        return
    if not hmac.compare_digest(
        request.form.get(form_tokens.FIELD, "").encode(), form_tokens.token().encode()
    ):
        abort(403)


def _refused(why: Exception) -> ResponseReturnValue:
    match why:
        case Unreadable():
            return _page(400, reason=str(why))
        case BadSeal():
            return _page(401)
        case _:
            return _page(409)


def _error(error: HTTPException) -> ResponseReturnValue:
    if error.response is not None:
        return error.response
    response = _page(error.code or 500)
    if error.code == 405:
        response.headers.extend(
            [(name, value) for name, value in error.get_headers() if name.lower() == "allow"]
        )
    return response


def _crash(error: Exception) -> ResponseReturnValue:
    current_app.logger.exception("the provider stumbled")
    return _error(InternalServerError())


def _page(status: int, reason: str = "") -> Response:
    title = TITLES.get(status, N_("The payment provider stumbled."))
    page = render_template(
        "sandbox/provider/error.html", title=title, advice=ADVICE.get(status), reason=reason, status=status
    )
    return Response(page, status)


def _headers(response: Response) -> Response:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if request.endpoint == "static":
        return response
    response.headers["Content-Security-Policy"] = f"{POLICY}; frame-ancestors 'none'"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "no-store"
    return response
