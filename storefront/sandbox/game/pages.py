"""What every page of the game shares: form tokens, headers, and well-made error pages."""

import hmac
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, InternalServerError

from storefront.sandbox import form_tokens
from storefront.sandbox.game.context import game
from storefront.sandbox.game.uses import Another
from storefront.sandbox.language import N_, translated
from storefront.sandbox.pages import POLICY
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


def init_app(app: Flask) -> None:
    """Dress the pages and the errors of the app, and guard its forms."""
    app.context_processor(lambda: {"settings": game().settings})
    # For a text that was marked elsewhere and is shown here.
    app.add_template_filter(translated)
    app.before_request(_refuse_other_hosts)
    app.before_request(_check_form)
    app.register_error_handler(BadPass, lambda _: _page(401))
    app.register_error_handler(Another, lambda _: _page(409))
    app.register_error_handler(HTTPException, _error)
    app.register_error_handler(Exception, _crash)
    app.after_request(_headers)


def _refuse_other_hosts() -> None:
    """A page of another site that leads its name to us gets nothing of ours."""
    if request.endpoint != WELCOMING and request.host != urlsplit(game().settings.public_url).netloc:
        abort(421)


def _check_form() -> None:
    """Every form of ours carries the word that only this browser knows."""
    if request.method != "POST" or request.url_rule is None:
        return
    given = request.form.get(form_tokens.FIELD, "").encode()
    if not hmac.compare_digest(given, form_tokens.token().encode()):
        abort(403)


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
    current_app.logger.exception("the game stumbled")
    return _error(InternalServerError())


def _page(status: int) -> Response:
    title = TITLES.get(status, N_("The town stumbled."))
    page = render_template("sandbox/game/error.html", title=title, advice=ADVICE.get(status), status=status)
    return Response(page, status)


def _headers(response: Response) -> Response:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers["X-Robots-Tag"] = "noindex"
    if request.endpoint == "static":
        return response
    response.headers["Content-Security-Policy"] = f"{POLICY}; frame-ancestors 'none'"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "no-store"
    return response
