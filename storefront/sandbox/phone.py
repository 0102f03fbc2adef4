"""Home: who opens the app on which device, what they have, what they bought."""

from urllib.parse import urlsplit

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from storefront.sandbox import clock, form_tokens, people
from storefront.sandbox.application import MAINTENANCE, application
from storefront.sandbox.cast import BY_KEY
from storefront.sandbox.context import sandbox
from storefront.sandbox.devices import Device
from storefront.sandbox.mixi import lifecycle, payments, start

RECENT = 8
OWN_WINDOW = "own"  # what a form's `window` says that wants no page of ours around the app
LAST_START = "start"  # in the browser's session: the start address it was given last

blueprint = Blueprint("phone", __name__)


@blueprint.get("/")
def home() -> ResponseReturnValue:
    """The cast, their points, and the newest payments."""
    settings = sandbox().settings
    if request.host != urlsplit(settings.public_url).netloc and "moved" not in request.args:
        # A cookie belongs to one host, and the payment screen lives at the public one.
        return redirect(f"{settings.public_url}/?moved")
    return render_template(
        "sandbox/home.html",
        app_name=settings.app_name,
        people=people.everyone(),
        visitor=people.visitor(),
        hand=people.hand(),
        devices=list(Device),
        payments=payments.recent(RECENT),
        hint=request.args.get("hint"),
    )


@blueprint.post("/phone")
@blueprint.post("/phone/<any(mobile, smartphone, pc):word>")
def pick_up(word: str = Device.MOBILE.value) -> ResponseReturnValue:
    """Take a device of somebody's and open the app on it; who does not have it adds it by that."""
    form_tokens.check()
    platform, device = sandbox(), Device(word)
    persona = BY_KEY.get(request.form.get("persona", "")) or abort(400)
    if application(platform.settings.app_id).maintenance:
        return closed()
    people.pick_up(persona, device)
    lifecycle.add(platform, persona.owner_id)
    if not device.on_own_domain:
        return redirect(url_for("container.page", app_id=platform.settings.app_id, guid="ON"), 303)
    if device is Device.PC and request.form.get("window") != OWN_WINDOW:
        return redirect(url_for(".app_on_pc"), 303)
    return redirect(_start(device, persona.owner_id), 303)


@blueprint.get("/apps/pc")
def app_on_pc() -> ResponseReturnValue:
    """The platform's own page on a PC, with the app in a frame; each time by a fresh start address."""
    user = people.visitor()
    if application(sandbox().settings.app_id).maintenance:
        return closed()
    if user is None or people.hand() is not Device.PC:
        return redirect(url_for(".home", hint="choose"))
    if not user.has_app:
        return redirect(url_for(".home", hint="removed" if user.removed_at else "choose"))
    return render_template(
        "sandbox/app_on_pc.html",
        app_name=sandbox().settings.app_name,
        user=user,
        start=_start(Device.PC, user.owner_id),
        own_window=OWN_WINDOW,
    )


@blueprint.post("/removals")
def remove() -> ResponseReturnValue:
    """Take the app away from somebody."""
    form_tokens.check()
    persona = BY_KEY.get(request.form.get("persona", "")) or abort(400)
    lifecycle.remove(sandbox(), persona.owner_id)
    return redirect(url_for(".home", _anchor=persona.key), 303)


@blueprint.post("/balances")
def reset() -> ResponseReturnValue:
    """Give everyone the points they started with."""
    form_tokens.check()
    people.reset()
    return redirect(url_for(".home"), 303)


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    """This process answers."""
    return "ok", {"Content-Type": "text/plain; charset=utf-8"}


def closed() -> ResponseReturnValue:
    """What stands in place of the platform's pages while it is under maintenance."""
    return render_template("sandbox/screen.html", what=MAINTENANCE), 503


def _start(device: Device, owner_id: str) -> str:
    """A fresh start address, given to this browser."""
    people.use(owner_id, clock.now())
    session[LAST_START] = address = start.address(sandbox(), device, owner_id)
    return address
