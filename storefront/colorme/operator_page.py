"""The operator's page of this counter: what waits for a person, and the person's word."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest

from storefront.colorme import outstanding
from storefront.colorme.intents import State
from storefront.config import settings
from storefront.operator import login
from storefront.shop import form_tokens

SEEN = "seen"
SAID = (State.CHARGED, State.DECLINED, State.WAITING)

blueprint = Blueprint("colorme_operator", __name__, url_prefix="/colorme")


@blueprint.get("/outstanding")
def cases() -> str:
    """What nobody knows to be charged, with its evidence, and what was lost, late or not confirmed."""
    holder = login.required()
    return render_template(
        "colorme/outstanding.html",
        unknown=outstanding.to_resolve(),
        without_token=outstanding.without_token(),
        lost=outstanding.lost(),
        late=outstanding.late(),
        otherwise=outstanding.otherwise(),
        owed=outstanding.owed(),
        unconfirmed=outstanding.unconfirmed(),
        never_made=outstanding.never_made(),
        token=lambda code: form_tokens.seal(holder, _purpose(code)),
    )


@blueprint.post("/outstanding")
def resolve() -> ResponseReturnValue:
    """Somebody has looked it up at the store: it is settled, once."""
    code, said = (request.form.get(name, "") for name in ("code", "state"))
    form_tokens.unseal(request.form.get("token", ""), login.required(), _purpose(code))
    if said == SEEN:
        outstanding.put_aside(code)
    elif said in SAID:
        outstanding.resolve(code, State(said))
    else:
        raise BadRequest
    return redirect(settings().public_url + url_for("colorme_operator.cases"), 303)


def _purpose(code: str) -> str:
    return f"resolve:{code}"
