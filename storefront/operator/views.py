"""The operator goes in, and out."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from storefront import clock
from storefront.config import settings
from storefront.operator import login, pages
from storefront.shop import form_tokens

blueprint = Blueprint("operator", __name__)


@blueprint.route("/operator", methods=["GET", "HEAD"])
def door() -> ResponseReturnValue:
    """Where the operator's address leads: one press away, so that nothing but a person uses it up.

    Without a token it leads whoever is in to the first of the pages.
    """
    token = request.args.get("token")
    if token is None:
        login.required()
        return _home()
    login.check(token)
    return render_template("operator/enter.html", token=token)


@blueprint.post("/operator")
def enter() -> ResponseReturnValue:
    login.enter(request.form.get("token", ""), request.form.get("name", ""), clock.now())
    return _home()


@blueprint.post("/operator/leave")
def leave() -> str:
    form_tokens.unseal(request.form.get("token", ""), login.required(), "operator")
    login.leave(clock.now())
    return render_template("operator/left.html")


def _home() -> ResponseReturnValue:
    return redirect(settings().public_url + url_for(pages.pages()[0].endpoint), 303)
