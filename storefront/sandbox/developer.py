"""The developer's pages: how the app is registered, and what the platform assumes."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from storefront.sandbox import form_tokens, key_pairs, people, stage, weather
from storefront.sandbox.assumptions import ASSUMPTIONS, PLACES
from storefront.sandbox.context import sandbox
from storefront.sandbox.devices import Carrier, Device
from storefront.sandbox.happened import Name
from storefront.sandbox.happenings import note
from storefront.sandbox.mixi import lifecycle, payments, start, topups
from storefront.sandbox.phone import LAST_START, closed, is_closed, open_app
from storefront.sandbox.settings import assumptions
from storefront.sandbox.stage import Stage, Switch

RECENT = 20
# Switches that are weather.
CLOSINGS = {"maintenance": "platform.maintenance", "top_up_maintenance": "topup.maintenance"}

blueprint = Blueprint("developer", __name__)


@blueprint.get("/developer")
def show() -> ResponseReturnValue:
    """The app as the platform knows it."""
    platform = sandbox()
    settings = platform.settings
    on = stage.current()
    return render_template(
        "sandbox/developer.html",
        settings=settings,
        app=on,
        switches=_switches(on),
        key_name=platform.keys.name,
        devices=list(Device),
        last_start=session.get(LAST_START),
        visitor=people.visitor(),
        carriers=list(Carrier),
        topups=topups,
        events=lifecycle.untold(on),
        payments=payments.recent(on.id, RECENT),
    )


@blueprint.get("/assumptions")
def guesses() -> ResponseReturnValue:
    """Every behaviour that is ours, with its setting, its source, and the pages that show it."""
    settings, switches = sandbox().settings, _switches(stage.current())
    values = {name: switches.get(name, getattr(settings, name)) for name in assumptions()}
    return render_template(
        "sandbox/assumptions.html", places=PLACES, guesses=ASSUMPTIONS, rules=assumptions(), values=values
    )


@blueprint.post("/developer/switches/<switch>")
def turn(switch: str) -> ResponseReturnValue:
    """Turn one switch of the app on or off."""
    form_tokens.check()
    on, wanted = stage.own(), request.form.get("on") == "yes"
    if switch in list(Switch):
        stage.turn(on, Switch(switch), wanted)
    elif switch in CLOSINGS:
        weather.clear(on, kind=CLOSINGS[switch])
        if wanted:
            weather.set(on, CLOSINGS[switch])
    else:
        abort(404)
    note(on.id, Name.SWITCH_TURNED, switch=switch, on=wanted)
    return redirect(url_for(".show", _anchor=switch), 303)


@blueprint.get("/certificates/<name>.pem")
@blueprint.get("/certificates/<any(smartphone, pc, lifecycle):channel>/<name>.pem")
def certificate(name: str, channel: str | None = None) -> ResponseReturnValue:
    """A certificate under which the platform signs, or has signed, in its own name; of a channel, or any."""
    if channel and not key_pairs.follows(name, _first_key(channel)):
        abort(404)
    pem = key_pairs.published(sandbox().key_folder, name) or abort(404)
    return pem, {"Content-Type": "application/x-pem-file"}


@blueprint.post("/developer/keys/<any(smartphone, pc):word>")
def rotate(word: str) -> ResponseReturnValue:
    """Sign the start addresses of one device under a new key."""
    form_tokens.check()
    start.rotate(sandbox(), stage.own(), Device(word))
    return redirect(url_for(".show", _anchor="starts"), 303)


@blueprint.post("/developer/starts/<any(smartphone, pc):word>")
def start_by_post(word: str) -> ResponseReturnValue:
    """A form that opens the app on one device, for whoever this browser plays."""
    form_tokens.check()
    on, visitor, device = stage.current(), people.visitor(), Device(word)
    if is_closed(on, visitor):
        return closed()
    if visitor is None or not visitor.has_app:
        abort(403)
    open_app(on, visitor, device)
    people.use(visitor, on.now())
    address, fields = start.form(sandbox(), on, device, visitor)
    return render_template("sandbox/start_form.html", address=address, fields=fields, device=device)


@blueprint.post("/developer/events")
def send_events() -> ResponseReturnValue:
    """Tell the app of the events that it has not been told of."""
    form_tokens.check()
    lifecycle.send(sandbox(), stage.own())
    return redirect(url_for(".show", _anchor="events"), 303)


@blueprint.post("/developer/payments/<code>/pay-back")
def pay_back(code: str) -> ResponseReturnValue:
    """Give the points of a purchase back; the app learns of it only by asking."""
    form_tokens.check()
    on = stage.current()
    payment = payments.by_code(code)
    if payment is None or payment.stage_id != on.id:
        abort(404)
    if payments.pay_back(payment, on.now()):
        about: dict[str, Any] = {"owner_id": payment.owner_id, "point_code": code}
        note(on.id, Name.PAYMENT_PAID_BACK, **about, points=payment.charged)
    return redirect(url_for(".show", _anchor="payments"), 303)


def _switches(on: Stage) -> Mapping[str, bool]:
    """What can be turned on and off, as it stands."""
    turned = {switch.value: getattr(on, switch.value) for switch in Switch}
    return turned | {name: weather.stands(on, kind) is not None for name, kind in CLOSINGS.items()}


def _first_key(channel: str) -> str:
    return sandbox().keys.name if channel == key_pairs.LIFECYCLE else key_pairs.START_NAMES[Device(channel)]
