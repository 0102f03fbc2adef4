"""The phone home: who is holding the phone, what they have, what they bought."""

from urllib.parse import urlsplit

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from storefront.sandbox import forms, people
from storefront.sandbox.cast import BY_KEY
from storefront.sandbox.context import sandbox
from storefront.sandbox.mixi import lifecycle, payments

RECENT = 8

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
        payments=payments.recent(RECENT),
        hint=request.args.get("hint"),
    )


@blueprint.post("/phone")
def pick_up() -> ResponseReturnValue:
    """Take somebody's phone and open the app on it; who does not have it adds it by that."""
    forms.check()
    persona = request.form.get("persona", "")
    if not people.pick_up_phone(persona):
        abort(400)
    lifecycle.add(sandbox(), BY_KEY[persona].owner_id)
    return redirect(url_for("container.page", app_id=sandbox().settings.app_id, guid="ON"), 303)


@blueprint.post("/removals")
def remove() -> ResponseReturnValue:
    """Take the app off somebody's phone."""
    forms.check()
    persona = BY_KEY.get(request.form.get("persona", "")) or abort(400)
    lifecycle.remove(sandbox(), persona.owner_id)
    return redirect(url_for(".home", _anchor=persona.key), 303)


@blueprint.post("/balances")
def reset() -> ResponseReturnValue:
    """Give everyone the points they started with."""
    forms.check()
    people.reset()
    return redirect(url_for(".home"), 303)


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    """This process answers."""
    return "ok", {"Content-Type": "text/plain; charset=utf-8"}
