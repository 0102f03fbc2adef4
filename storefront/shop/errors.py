"""From what happened to the page that says so."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog
from flask import Flask, current_app, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import LazyString
from flask_babel import lazy_gettext as _
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from storefront.shop import visit
from storefront.shop.form_tokens import StaleForm
from storefront.shop.limits import NotForSale, Withheld
from storefront.shop.turns import TooMany
from storefront.shop.visit import Stranger
from storefront.shop.visits import Begun

SAID = "errors_said"

log = structlog.get_logger()


@dataclass(frozen=True)
class Explanation:
    """A heading that says what happened, a line that says what to do, and both in a word."""

    heading: LazyString
    advice: LazyString
    page: str = "error"
    says: str = ""


TOO_MANY = Explanation(
    _("One moment, please"),
    _("Nothing was paid. You have started many purchases within a minute; please wait before the next one."),
    "too-many",
    "nothing-paid again",
)
STALE = Explanation(
    _("This form is out of date."),
    _("Nothing was paid. Go back to the shelf and choose again."),
    "stale",
    "nothing-paid again",
)
BUSY = Explanation(
    _("The shop cannot answer right now."),
    _("Nothing was paid by this page. Please try again in a little while."),
    says="nothing-paid again",
)
BY_STATUS = {
    404: Explanation(_("There is no such page here."), _("It may have been withdrawn.")),
    405: Explanation(_("This page cannot be opened that way."), _("Go to the shelf and follow the links.")),
    413: Explanation(
        _("The form was too large."), _("Nothing was paid. Go back and send less."), says="nothing-paid"
    ),
    500: Explanation(
        _("Something went wrong on our side."),
        _("Your payments and bag are safe: a purchase counts completely or not at all. Please try again."),
    ),
    503: BUSY,
}
ELSE = Explanation(_("The shop did not understand this request."), _("Go back to the shelf and try again."))


def init_app(app: Flask) -> None:
    app.register_error_handler(Stranger, _door)
    app.register_error_handler(Begun, _begun)
    app.register_error_handler(StaleForm, lambda error: _page(STALE, 400))
    app.register_error_handler(TooMany, lambda error: _page(TOO_MANY, 429))
    app.register_error_handler(NotForSale, _not_for_sale)
    app.register_error_handler(Withheld, _withheld)
    app.register_error_handler(SQLAlchemyError, _busy)
    app.register_error_handler(HTTPException, _http)


def say(app: Flask, how: Callable[[Explanation, int], str | None]) -> None:
    """A room says it on a page of its own, where it has one for who is asking."""
    app.extensions.setdefault(SAID, []).append(how)


def explain(app: Flask, kind: type[Exception], explanation: Explanation, status: int) -> None:
    """Whatever raises this, is answered by a page that says so."""
    app.register_error_handler(kind, lambda error: _page(explanation, status))


def _door(stranger: Stranger) -> ResponseReturnValue:
    return render_template("shop/door.html", entrances=visit.entrances(), forged=stranger.forged), 401


def _begun(error: Begun) -> ResponseReturnValue:
    try:
        return visit.enter_again(error.key)
    except Stranger as stranger:
        return _door(stranger)


def _not_for_sale(error: NotForSale) -> ResponseReturnValue:
    return render_template("shop/not_for_sale.html", reason=error.reason.value), 409


def _withheld(error: Withheld) -> ResponseReturnValue:
    return render_template("shop/not_for_sale.html", withheld=error.words), 409


def _busy(error: SQLAlchemyError) -> ResponseReturnValue:
    log.error("database did not answer", kind=type(error).__name__, path=request.path)
    return _page(BUSY, 503)


def _http(error: HTTPException) -> ResponseReturnValue:
    if error.response is not None or error.code is None or error.code < 400:
        return error
    with suppress(Stranger, SQLAlchemyError, HTTPException):
        visit.whoever()  # so that the page can lead back to the shelf
    page = _words(BY_STATUS.get(error.code, ELSE), error.code)
    said = {name: value for name, value in error.get_headers() if name != "Content-Type"}
    return page, error.code, said  # such as Allow and Retry-After


def _page(explanation: Explanation, status: int) -> ResponseReturnValue:
    return _words(explanation, status), status


def _words(explanation: Explanation, status: int) -> str:
    """The page that says so; it does not fail the way the visitor's page did."""
    try:
        rooms = current_app.extensions.get(SAID, ())
        own = next((page for how in rooms if (page := how(explanation, status))), None)
        return own or render_template("error.html", explanation=explanation, entrances=visit.entrances())
    except Exception as error:
        log.error("error page broke", kind=type(error).__name__, path=request.path)
        visit.forget()  # whose links nobody can write
        return render_template("error.html", explanation=explanation, entrances=visit.entrances())
