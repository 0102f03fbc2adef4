"""What a neighbour tells the desk: that weather which was set here has been met there."""

import hmac

from flask import Blueprint, abort, request
from flask.typing import ResponseReturnValue

from storefront.sandbox import weather
from storefront.sandbox.context import sandbox

blueprint = Blueprint("told", __name__)


@blueprint.post("/desk/weather/<int:number>/met")
def met(number: int) -> ResponseReturnValue:
    """The provider has met weather of this number."""
    token = sandbox().settings.provider_token.get_secret_value()
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not token or not hmac.compare_digest(given.encode(), token.encode()):
        abort(401)
    told = request.get_json()
    weather.met(number, told.get("left"), int(told.get("met", 0)), struck=bool(told.get("struck")))
    return "", 204
