"""The container: it fetches every page of the app for a mobile phone, server to server, and signs for it."""

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from storefront.sandbox import clock, people, stage, weather
from storefront.sandbox.context import Sandbox, sandbox
from storefront.sandbox.devices import Device, user_agent
from storefront.sandbox.happened import Name
from storefront.sandbox.happenings import line, note
from storefront.sandbox.language import N_, language
from storefront.sandbox.mixi import facts, frame, links, payments
from storefront.sandbox.mixi.addresses import App, Foreign, PaymentScreen
from storefront.sandbox.mixi.caller import waits
from storefront.sandbox.mixi.calls import Answer, Call, Forgery, Method, NoAnswer
from storefront.sandbox.people import User
from storefront.sandbox.stage import MAINTENANCE, Stage
from storefront.sandbox.wirelog import Kind

# Which redirects count is ours.
REDIRECTS = (301, 302, 303, 307)
HTML = ("text/html", "application/xhtml+xml")
PASSED_BACK = ("Content-Type", "Cache-Control")
PASSED_ON = ("X-S-Display-Info",)
PASSED_ON_PREFIXES = ("X-Jphone-", "X-Up-")
# They name the handset itself; the platform keeps them.
SHUT = N_("The app showed nothing to whoever comes unsigned.")
SHOWN_UNSIGNED = N_("The app showed a page to whoever asks!")
KEPT = ("X-Jphone-Uid", "X-Up-Subno")

blueprint = Blueprint("container", __name__)


class Screen(Exception):
    """The platform shows its own error screen in place of the app."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(what)
        self.status = status
        self.what = what


@blueprint.route("/ma/<app_id>/", methods=["GET", "POST"], provide_automatic_options=False)
def page(app_id: str) -> ResponseReturnValue:
    """A page of the app, for whoever holds the phone."""
    platform, app, on, visitor = _registered(app_id)
    if visitor is None:
        return redirect(url_for("phone.home", hint="choose"))
    if not visitor.has_app:
        # That a page leads home, and not to the app's page, is ours.
        return redirect(url_for("phone.home", hint="removed" if visitor.removed_at else "choose"))
    if people.hand() is not Device.MOBILE:
        # Other devices open the app at its own address; that the container leads them home is ours.
        return redirect(url_for("phone.home", hint="container"))
    people.use(visitor, on.now())
    url = _asked_for(app)
    call = _page_call(platform, on, visitor, app.with_owner(url, visitor.owner_id))
    try:
        answer = call.send(platform)
        return _shown(platform, app, visitor, call, answer, url)
    except NoAnswer as silence:
        _refused(call, visitor, silence.reason, 502)
        raise Screen(502, silence.reason) from None
    except Screen as screen:
        _refused(call, visitor, screen.what, screen.status)
        raise


def open_unsigned(platform: Sandbox, on: Stage, user: User, path: str) -> int:
    """Ask the app for a page in somebody's name, without a signature; the row of the wire log."""
    settings, url = platform.settings, claimed(platform, user, path)
    times: dict[str, Any] = {"seconds": settings.page_seconds, "max_bytes": settings.max_page_bytes}
    call = Call(on, Kind.PAGE, "GET", url, clock.now(), **times, owner_id=user.owner_id)
    call.forged = Forgery(unsigned=True)
    try:
        answer = call.send(platform)
    except NoAnswer as silence:
        return call.log(silence.reason, good=False)
    shut = answer.status >= 400
    seen = facts.read(answer.body)
    told = {**_about(call, user), "status": answer.status, "unsigned": True, **seen}
    shown = line(on.id, Name.PAGE_SHOWN, **told)
    return call.log(SHUT if shut else SHOWN_UNSIGNED, good=shut, happened=[shown])


def claimed(platform: Sandbox, user: User, path: str) -> str:
    """The address of a page of the app with somebody's name in it, and no signature."""
    settings = platform.settings
    app = App(settings.app_id, settings.shop_url, settings.public_url)
    return app.with_owner(f"{settings.shop_url}{path}", user.owner_id)


@blueprint.get("/mm/<app_id>/", provide_automatic_options=False)
def image(app_id: str) -> ResponseReturnValue:
    """An image of the app, as it is."""
    platform, app, on, visitor = _registered(app_id)
    if visitor is None or not visitor.has_app:
        abort(403)
    settings = platform.settings
    call = Call(
        on,
        Kind.IMAGE,
        "GET",
        app.with_owner(_asked_for(app), visitor.owner_id),
        clock.now(),
        seconds=settings.image_seconds,
        max_bytes=settings.max_page_bytes,
        headers=_headers(visitor),
        owner_id=visitor.owner_id,
    )
    try:
        answer = call.send(platform)
    except NoAnswer as silence:
        call.log(silence.reason, good=False)
        abort(502)
    if 300 <= answer.status < 400:
        call.log(N_("Refused: an image may not redirect."), good=False)
        abort(502)
    call.log(N_("Passed to the phone as it is."), good=answer.status == 200)
    return _passed(answer, answer.body)


@blueprint.errorhandler(Screen)
def _screen(screen: Screen) -> ResponseReturnValue:
    return render_template("sandbox/screen.html", what=screen.what), screen.status


def _registered(app_id: str) -> tuple[Sandbox, App, Stage, User | None]:
    platform = sandbox()
    settings = platform.settings
    if request.method == "HEAD":
        abort(405)
    if app_id != settings.app_id:
        abort(404)
    on, visitor = stage.current(), people.visitor()
    if weather.take(on, "platform.maintenance", visitor.owner_id if visitor else None):
        raise Screen(503, MAINTENANCE)
    return platform, App(app_id, settings.shop_url, settings.public_url), on, visitor


def _asked_for(app: App) -> str:
    try:
        return app.own(request.args["url"]) if "url" in request.args else app.start()
    except (Foreign, ValueError):
        raise Screen(400, N_("This address does not belong to the app. The app was not asked.")) from None


def _page_call(platform: Sandbox, on: Stage, visitor: User, url: str) -> Call:
    settings = platform.settings
    headers = _headers(visitor)
    method: Method = "GET"
    body = b""
    if request.method == "POST":
        method = "POST"
        body = request.get_data(cache=False)
        headers |= {"Content-Type": request.content_type} if request.content_type else {}
    return Call(
        on,
        Kind.PAGE,
        method,
        url,
        clock.now(),
        seconds=settings.page_seconds,
        max_bytes=settings.max_page_bytes,
        headers=headers,
        body=body,
        owner_id=visitor.owner_id,
    )


def _headers(visitor: User) -> dict[str, str]:
    passed = {
        name: value
        for name, value in request.headers.items()
        if name in PASSED_ON or (name.startswith(PASSED_ON_PREFIXES) and name not in KEPT)
    }
    handset = user_agent(request.headers.get("User-Agent", ""), visitor.persona.carrier)
    return passed | {"User-Agent": handset, "X-Forwarded-For": request.remote_addr or ""}


def _shown(
    platform: Sandbox, app: App, visitor: User, call: Call, answer: Answer, url: str
) -> ResponseReturnValue:
    if 300 <= answer.status < 400:
        return _followed(platform, app, visitor, call, answer, url)
    html = answer.media_type in HTML
    if html and answer.status >= 400 and call.stage.replace_error_pages:
        note(call.stage.id, Name.PAGE_REPLACED, **_about(call, visitor), status=answer.status)
        raise Screen(answer.status, N_("The app answered with an error page; this screen replaces it."))
    wrong = links.forbidden(answer.body, app) if html else ()
    seen = facts.read(answer.body) if html else {"page": None, "marks": []}
    shown = line(call.stage.id, Name.PAGE_SHOWN, **_about(call, visitor), status=answer.status, **seen)
    call.log(N_("Shown on the phone."), good=answer.status < 400, forbidden=wrong, happened=[shown])
    return _passed(answer, _dressed(platform, app, visitor, answer.body) if html else answer.body)


def _followed(
    platform: Sandbox, app: App, visitor: User, call: Call, answer: Answer, url: str
) -> ResponseReturnValue:
    hops = request.args.get("hops", 0, type=int) + 1
    location = answer.headers.get("Location")
    if answer.status not in REDIRECTS or not location:
        raise Screen(502, N_("The app redirects in a way the platform does not follow."))
    if hops > platform.settings.max_redirects:
        raise Screen(502, N_("The app redirects too many times in a row."))
    try:
        leads = app.redirect(location, url)
    except (Foreign, ValueError):
        raise Screen(502, N_("The app redirects to a place outside the platform.")) from None
    if isinstance(leads, PaymentScreen):
        payments.enter(leads.token, visitor, call.stage.now(), waits(platform.settings))
        shown = payments.by_token(leads.token)
        call.point_code = shown.code if shown else None
        call.log(N_("Redirected to the payment screen."), good=True)
        return redirect(leads.url)
    call.log(N_("Redirected to another page of the app."), good=True)
    return redirect(app.page(leads.url, hops))


def _refused(call: Call, visitor: User, why: str, status: int) -> None:
    refused = line(call.stage.id, Name.PAGE_REFUSED, **_about(call, visitor), status=status)
    call.log(why, good=False, happened=[refused])


def _about(call: Call, visitor: User) -> dict[str, Any]:
    path = urlsplit(call.url).path
    return {"owner_id": visitor.owner_id, "device": Device.MOBILE, "method": call.method, "path": path}


def _dressed(platform: Sandbox, app: App, visitor: User, page: bytes) -> bytes:
    def reroute(source: str) -> str:
        try:
            return app.image(app.own(source))
        except (Foreign, ValueError):
            return source

    title = render_template(
        "sandbox/bar.html", app_name=platform.settings.app_called(language()), visitor=visitor
    )
    foot = render_template("sandbox/foot.html", visitor=visitor)
    return frame.dress(page, title, foot, reroute)


def _passed(answer: Answer, body: bytes) -> Response:
    response = Response(body, answer.status)
    for name in PASSED_BACK:
        if name in answer.headers:
            response.headers[name] = answer.headers[name]
        else:
            response.headers.pop(name, None)
    return response
