"""What every page of the sandbox shares: filters, headers, and well-made error pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

from flask import Flask, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_timedelta
from werkzeug.exceptions import HTTPException
from werkzeug.routing import IntegerConverter, Map

from storefront.sandbox import people, stage, walks, weather
from storefront.sandbox.context import sandbox
from storefront.sandbox.devices import Device
from storefront.sandbox.kinds import KINDS
from storefront.sandbox.language import N_, translated
from storefront.sandbox.manners import answered, headed, policy, sites, stumbled
from storefront.sandbox.stage import Switch
from storefront.sandbox.walks import Walk
from storefront.sandbox.weather import Weather

JAPAN = timezone(timedelta(hours=9))
# Home leads to the host that cookies are for, and whoever started us asks whether we live.
WELCOMING = "phone.healthz"
HOME = "phone.home"
API = "/atom/"
MOST_NUMBER = 2**63 - 1  # that a row can have
MINUS = "\N{MINUS SIGN}"

TITLES = {
    400: N_("This form is out of date."),
    403: N_("This is not open to you."),
    404: N_("There is nothing at this address."),
    405: N_("This address does not take that kind of request."),
    413: N_("That was too much to send."),
    421: N_("This is not the sandbox's address."),
    502: N_("The app could not be reached."),
}
ENOUGH = N_("There is so much weather already that no more was set. Clear some of it first.")
# A switch that stands otherwise than usual, in words.
SWITCHED = {
    Switch.IN_DEVELOPMENT.value: N_("in development"),
    Switch.APPROVED.value: N_("not approved"),
    Switch.REPLACE_ERROR_PAGES.value: N_("error pages replaced"),
    Switch.HOLD_EVENTS.value: N_("events held"),
}


class Number(IntegerConverter):
    """The number of a row in an address; one that no row can have leads nowhere."""

    def __init__(self, map: Map) -> None:
        super().__init__(map, max=MOST_NUMBER)


def init_app(app: Flask) -> None:
    """Dress the pages and the errors of the app."""
    app.url_map.converters["int"] = Number
    app.add_template_filter(lambda points: f"{points:,}", "grouped")
    app.add_template_filter(lambda points: f"{points:+,}".replace("-", MINUS), "signed")
    app.add_template_filter(lambda at: at.astimezone(JAPAN), "in_japan")
    app.add_template_filter(lambda seconds: format_timedelta(timedelta(seconds=abs(seconds))), "span")
    # For a text that was marked elsewhere and is shown here.
    app.add_template_filter(translated)
    # In a frame of our own page its bars are there already.
    app.context_processor(lambda: {"framed": request.headers.get("Sec-Fetch-Dest") == "iframe"})
    app.context_processor(lambda: {"bends": _bends, "provider_url": sandbox().settings.provider_url})
    app.context_processor(
        lambda: {"in_language": _in_language, "switched": SWITCHED, "kinds_of_weather": KINDS}
    )
    app.context_processor(lambda: {"on_a_phone": not people.hand().on_own_domain})
    app.before_request(_refuse_other_hosts)
    app.register_error_handler(HTTPException, lambda error: answered(error, _page))
    app.register_error_handler(weather.Enough, _enough)
    app.register_error_handler(Exception, lambda _: stumbled(_page))
    app.after_request(_headers)


@dataclass(frozen=True)
class Bends:
    """What makes this stage unlike the real world, as the strip of every page says it."""

    clock_seconds: int = 0
    clock: datetime | None = None
    weather: Sequence[Weather] = ()
    shared: Sequence[Weather] = ()  # set on other stages, and met on this one, too
    switches: Sequence[str] = ()
    walk: Walk | None = None

    def __bool__(self) -> bool:
        return bool(self.clock_seconds or self.weather or self.shared or self.switches or self.walk)


def _bends() -> Bends:
    on = stage.current()
    normal = {Switch.APPROVED: True}
    felt = weather.felt(on)
    turned = [one.value for one in Switch if getattr(on, one.value) != normal.get(one, False)]
    return Bends(
        on.clock_seconds,
        on.now() if on.clock_seconds else None,
        [row for row in felt if row.stage_id == on.id],
        [row for row in felt if row.stage_id != on.id],
        turned,
        walks.on(on) if on.walkthrough else None,
    )


def _in_language(code: str) -> str:
    """The page that is asked for, in that language."""
    return f"?{urlencode({**request.args.to_dict(), 'lang': code})}"


def _refuse_other_hosts() -> None:
    """A page of another site that leads its name to us gets nothing of ours."""
    ours = urlsplit(sandbox().settings.public_url).netloc
    # Whoever calls the point API signs its published address, whatever a proxy calls us.
    if request.endpoint == WELCOMING or request.path.startswith(API) or request.host == ours:
        return
    # Home sends whoever comes by another name to the one that cookies are for, once.
    if request.endpoint != HOME or "moved" in request.args:
        abort(421)


def _page(status: int) -> Response:
    if request.path.startswith(API):
        return Response(f"{HTTPStatus(status).phrase}\n", status, content_type="text/plain; charset=utf-8")
    title = TITLES.get(status, N_("The sandbox stumbled."))
    return Response(render_template("sandbox/error.html", title=title, status=status), status)


def _enough(_why: weather.Enough) -> ResponseReturnValue:
    flash(ENOUGH)
    return redirect(url_for("desk.show", _anchor="weather"), 303)


def _policy() -> str:
    """Ours, with leave for the app: to open from a form, redirected or not, and in a frame of ours."""
    settings = sandbox().settings
    opens_at = (settings.start_address(device) for device in Device if device.on_own_domain)
    app = sites((settings.shop_url, *opens_at))
    # From the frame the app goes to our payment screen and back.
    return f"{policy(app)}; frame-src 'self' {app}; frame-ancestors 'self'"


def _headers(response: Response) -> Response:
    is_the_apps = request.path.startswith(("/ma/", "/mm/"))
    return headed(response, None if is_the_apps else _policy())
