"""Home: who opens the app on which device, what they have, what they bought."""

from urllib.parse import urlencode, urlsplit

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from storefront.sandbox import clock, form_tokens, neighbours, people, stage, weather
from storefront.sandbox.cast import BY_KEY
from storefront.sandbox.context import sandbox
from storefront.sandbox.devices import Device
from storefront.sandbox.happened import Name
from storefront.sandbox.happenings import note
from storefront.sandbox.language import language
from storefront.sandbox.mixi import lifecycle, payments, start
from storefront.sandbox.mixi.addresses import App
from storefront.sandbox.people import User
from storefront.sandbox.stage import MAINTENANCE, Stage

RECENT = 8
OWN_WINDOW = "own"  # what a form's `window` says that wants no page of ours around the app
LAST_START = "start"  # in the browser's session: the start address it was given last

blueprint = Blueprint("phone", __name__)


@blueprint.get("/")
def home() -> ResponseReturnValue:
    """The cast, their points, and the newest payments."""
    settings, on = sandbox().settings, stage.current()
    if request.host != urlsplit(settings.public_url).netloc and "moved" not in request.args:
        # A cookie belongs to one host, and the payment screen lives at the public one.
        return redirect(f"{settings.public_url}/?moved")
    return render_template(
        "sandbox/home.html",
        app_name=settings.app_called(language()),
        people=people.everyone(on.id),
        visitor=people.visitor(),
        hand=people.hand(),
        devices=list(Device),
        payments=payments.recent(on.id, RECENT),
        hint=request.args.get("hint"),
    )


@blueprint.post("/phone")
@blueprint.post("/phone/<any(mobile, smartphone, pc):word>")
def pick_up(word: str = Device.MOBILE.value) -> ResponseReturnValue:
    """Take a device of somebody's and open the app on it; who does not have it adds it by that."""
    form_tokens.check()
    device = Device(word)
    persona = BY_KEY.get(request.form.get("persona", "")) or abort(400)
    on = stage.own()
    user = people.playing(on.id, persona)
    if is_closed(on, user):
        return closed()
    open_app(on, user, device)
    if not device.on_own_domain:
        return redirect(_first_page(), 303)
    if device is Device.PC and request.form.get("window") != OWN_WINDOW:
        return redirect(url_for(".app_on_pc"), 303)
    return redirect(start_address(on, device, user), 303)


@blueprint.get("/apps/pc")
def app_on_pc() -> ResponseReturnValue:
    """The platform's own page on a PC, with the app in a frame; each time by a fresh start address."""
    on, user = stage.current(), people.visitor()
    if is_closed(on, user):
        return closed()
    if user is None or people.hand() is not Device.PC:
        return redirect(url_for(".home", hint="choose"))
    if not user.has_app:
        return redirect(url_for(".home", hint="removed" if user.removed_at else "choose"))
    return render_template(
        "sandbox/app_on_pc.html",
        app_name=sandbox().settings.app_called(language()),
        user=user,
        start=start_address(on, Device.PC, user),
        own_window=OWN_WINDOW,
    )


@blueprint.post("/removals")
def remove() -> ResponseReturnValue:
    """Take the app away from somebody."""
    form_tokens.check()
    persona = BY_KEY.get(request.form.get("persona", "")) or abort(400)
    on = stage.own()
    lifecycle.remove(sandbox(), on, people.playing(on.id, persona))
    return redirect(url_for(".home", _anchor=persona.key), 303)


@blueprint.post("/reset")
def reset() -> ResponseReturnValue:
    """A fresh stage for this browser: people whom the shop has never met."""
    form_tokens.check()
    neighbours.leave(sandbox(), stage.current())
    stage.begin(stage.make())
    return redirect(url_for("desk.show" if request.form.get("back") == "desk" else ".home"), 303)


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    """This process answers."""
    return "ok", {"Content-Type": "text/plain; charset=utf-8"}


def _first_page() -> str:
    """Where the app opens on a mobile phone, in the language of this browser."""
    settings, spoken = sandbox().settings, start.spoken()
    app = App(settings.app_id, settings.shop_url, settings.public_url)
    return (
        app.page(f"{app.start()}?{urlencode(spoken)}")
        if spoken
        else url_for("container.page", app_id=app.app_id, guid="ON")
    )


def open_app(on: Stage, user: User, device: Device) -> None:
    """This browser takes that device of this user's, who has the app from then on."""
    people.pick_up(user, device, clock.now())
    if not user.has_app:
        lifecycle.add(sandbox(), on, user)
    note(on.id, Name.APP_OPENED, owner_id=user.owner_id, device=device)


def is_closed(on: Stage, user: User | None) -> bool:
    """Whether the whole platform is under maintenance for whoever asks."""
    return weather.take(on, "platform.maintenance", user.owner_id if user else None) is not None


def closed() -> ResponseReturnValue:
    """What stands in place of the platform's pages while it is under maintenance."""
    return render_template("sandbox/screen.html", what=MAINTENANCE), 503


def start_address(on: Stage, device: Device, user: User) -> str:
    """A fresh start address, given to this browser."""
    people.use(user, on.now())
    session[LAST_START] = address = start.address(sandbox(), on, device, user)
    return address
