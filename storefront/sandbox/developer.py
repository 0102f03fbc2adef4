"""The developer's pages: how the app is registered, what the platform assumes, what the wire said."""

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from storefront.sandbox import application, clock, form_tokens, key_pairs, people, wirelog
from storefront.sandbox.application import Switch
from storefront.sandbox.assumptions import ASSUMPTIONS
from storefront.sandbox.context import sandbox
from storefront.sandbox.devices import Carrier, Device
from storefront.sandbox.mixi import lifecycle, payments, start, topups
from storefront.sandbox.phone import LAST_START, closed
from storefront.sandbox.settings import assumptions
from storefront.sandbox.wirelog import Kind

RECENT = 20

blueprint = Blueprint("developer", __name__)


@blueprint.get("/developer")
def show() -> ResponseReturnValue:
    """The app as the platform knows it."""
    platform = sandbox()
    settings = platform.settings
    app = application.application(settings.app_id)
    rules = [
        (name, getattr(app if name in list(Switch) else settings, name), field.description, source)
        for name, (field, source) in assumptions().items()
    ]
    return render_template(
        "sandbox/developer.html",
        settings=settings,
        app=app,
        key_name=platform.keys.name,
        devices=list(Device),
        last_start=session.get(LAST_START),
        visitor=people.visitor(),
        carriers=list(Carrier),
        topups=topups,
        events=lifecycle.untold(),
        rules=rules,
        assumptions=ASSUMPTIONS,
        payments=payments.recent(RECENT),
    )


@blueprint.post("/developer/switches/<switch>")
def turn(switch: str) -> ResponseReturnValue:
    """Turn one switch of the app on or off."""
    form_tokens.check()
    if switch not in list(Switch):
        abort(404)
    application.turn(sandbox().settings.app_id, Switch(switch), request.form.get("on") == "yes")
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
    start.rotate(sandbox(), Device(word))
    return redirect(url_for(".show", _anchor="starts"), 303)


@blueprint.post("/developer/starts/<any(smartphone, pc):word>")
def start_by_post(word: str) -> ResponseReturnValue:
    """A form that opens the app on one device, for whoever this browser plays."""
    form_tokens.check()
    visitor, device = people.visitor(), Device(word)
    if application.application(sandbox().settings.app_id).maintenance:
        return closed()
    if visitor is None or not visitor.has_app:
        abort(403)
    people.pick_up(visitor.persona, device)
    people.use(visitor.owner_id, clock.now())
    address, fields = start.form(sandbox(), device, visitor.owner_id)
    return render_template("sandbox/start_form.html", address=address, fields=fields, device=device)


@blueprint.post("/developer/events")
def send_events() -> ResponseReturnValue:
    """Tell the app of the events that it has not been told of."""
    form_tokens.check()
    lifecycle.send(sandbox())
    return redirect(url_for(".show", _anchor="events"), 303)


@blueprint.post("/developer/payments/<code>/pay-back")
def pay_back(code: str) -> ResponseReturnValue:
    """Give the points of a purchase back; the app learns of it only by asking."""
    form_tokens.check()
    payments.pay_back(payments.by_code(code) or abort(404), clock.now())
    return redirect(url_for(".show", _anchor="payments"), 303)


@blueprint.get("/log")
def log() -> ResponseReturnValue:
    """What went over the wire, newest first."""
    kind = Kind(request.args["kind"]) if request.args.get("kind") in list(Kind) else None
    # A page number that SQLite could not count to would be an error, not an empty page.
    number = min(max(1, request.args.get("page", 1, type=int)), wirelog.KEEP)
    rows, pages = wirelog.page(number, kind)
    return render_template(
        "sandbox/log.html", rows=rows, pages=pages, page=number, kind=kind, kinds=list(Kind)
    )


def _first_key(channel: str) -> str:
    return sandbox().keys.name if channel == key_pairs.LIFECYCLE else key_pairs.START_NAMES[Device(channel)]
