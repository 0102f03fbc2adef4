"""What every page of the store shares: yen, days, form tokens, headers, and well-made error pages."""

import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Flask, Response, abort, current_app, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from werkzeug.exceptions import HTTPException, InternalServerError

from storefront.languages import said
from storefront.sandbox import form_tokens, language
from storefront.sandbox.colorme import api, calendar, oauth, shops, weather
from storefront.sandbox.colorme.calendar import JAPAN
from storefront.sandbox.colorme.context import appstore
from storefront.sandbox.language import N_
from storefront.sandbox.pages import FORMS, MINUS, POLICY

TITLES = {
    400: N_("This form is out of date."),
    403: N_("This form is out of date."),
    404: N_("There is nothing at this address."),
    405: N_("This address does not take that kind of request."),
    413: N_("That was too much to send."),
    421: N_("This is not the store's address."),
}
WEEKDAYS = (N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun"))


def init_app(app: Flask) -> None:
    """Dress the pages and the errors of the app, and guard its forms."""
    app.add_template_filter(lambda yen: gettext("¥%(yen)s", yen=f"{yen:,}"), "yen")
    app.add_template_filter(lambda number: f"{number:,}", "grouped")
    app.add_template_filter(lambda points: f"{points:+,}".replace("-", MINUS), "signed")
    app.add_template_filter(lambda at: at.astimezone(JAPAN), "in_japan")
    app.add_template_filter(lambda day: gettext(WEEKDAYS[day.weekday()]), "weekday")
    app.add_template_filter(lambda names: said(names, language.language()), "said")
    # For a text that was marked elsewhere and is shown here, with what stands in it.
    app.add_template_filter(lambda text, values=None: gettext(text, **_shown(values or {})), "translated")
    app.context_processor(_context)
    app.before_request(_refuse_other_hosts)
    app.before_request(_check_form)
    app.register_error_handler(oauth.Unfit, lambda why: _page(400, str(why)))
    app.register_error_handler(HTTPException, _error)
    app.register_error_handler(Exception, _crash)
    app.after_request(_headers)
    app.add_url_rule("/robots.txt", "robots", _robots)


def _context() -> dict[str, Any]:
    store = appstore()
    return {
        "settings": store.settings,
        "app_name": store.settings.app_called(language.language()),
        "standing": calendar.standing,
        "skies": weather.standing,
        "owner_here": oauth.owner,
        "stage": shops.on_stage,
        "in_language": lambda code: f"?{urlencode({**request.args.to_dict(), 'lang': code})}",
        "sky": weather.words,
        "places_of_weather": weather.PLACES,
    }


def _shown(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: f"{value:,}" if type(value) is int else value for name, value in values.items()}


def _refuse_other_hosts() -> None:
    """A page of another site that leads its name to us gets nothing of ours."""
    ours = urlsplit(appstore().settings.public_url).netloc
    if request.endpoint != "views.healthz" and not _is_api() and request.host != ours:
        abort(421)


def _check_form() -> None:
    """Every form of ours carries the word that only this browser knows."""
    if request.method != "POST" or request.url_rule is None or _is_api():
        return
    given = request.form.get(form_tokens.FIELD, "")
    if not hmac.compare_digest(given.encode(), form_tokens.token().encode()):
        abort(403)


def _is_api() -> bool:
    return request.path.startswith(api.PREFIXES)


def _robots() -> ResponseReturnValue:
    return "User-agent: *\nDisallow: /\n", {"Content-Type": "text/plain; charset=utf-8"}


def _error(error: HTTPException) -> ResponseReturnValue:
    if error.response is not None:
        return error.response
    status = error.code or 500
    if _is_api():
        return api.failed(status)
    response = _page(status)
    if status == 405:
        response.headers.extend(
            [(name, value) for name, value in error.get_headers() if name.lower() == "allow"]
        )
    return response


def _crash(error: Exception) -> ResponseReturnValue:
    current_app.logger.exception("the app store stumbled")
    return _error(InternalServerError())


def _page(status: int, reason: str = "") -> Response:
    title = TITLES.get(status, N_("The app store stumbled."))
    page = render_template("sandbox/colorme/error.html", title=title, reason=reason, status=status)
    return Response(page, status)


def _headers(response: Response) -> Response:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if request.endpoint == "static":
        return response
    # From a form of ours the owner goes on to the app, by its redirect or by OAuth's.
    settings = appstore().settings
    places = {urlsplit(one)[:2] for one in (settings.shop_url, settings.redirect_address)}
    sites = " ".join(sorted(f"{scheme}://{host}" for scheme, host in places))
    policy = POLICY.replace(FORMS, f"{FORMS} {sites}")
    response.headers["Content-Security-Policy"] = f"{policy}; frame-ancestors 'none'"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "no-store"
    return response
