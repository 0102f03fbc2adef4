"""What a neighbour tells the desk: that weather which was set here has been met there, and what it said."""

import hmac
from datetime import datetime

from flask import Blueprint, abort, request
from flask.typing import ResponseReturnValue

from storefront.sandbox import weather, wirelog
from storefront.sandbox.context import sandbox
from storefront.sandbox.desk import reading
from storefront.sandbox.wirelog import Exchange, Kind

FORM = "Content-Type: application/x-www-form-urlencoded"

blueprint = Blueprint("told", __name__)


@blueprint.before_request
def _only_neighbours() -> None:
    token = sandbox().settings.provider_token.get_secret_value()
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not token or not hmac.compare_digest(given.encode(), token.encode()):
        abort(401)


@blueprint.post("/desk/weather/<int:number>/met")
def met(number: int) -> ResponseReturnValue:
    """The provider has met weather of this number; if its stage has forgotten it, so does the provider."""
    told = request.get_json()
    if not weather.met(number, told.get("left"), int(told.get("met", 0)), struck=bool(told.get("struck"))):
        abort(404)
    return "", 204


@blueprint.post("/desk/notices")
def notice() -> ResponseReturnValue:
    """The provider has told the shop something.

    It knows no stages: whose it was shows when the books are read, from the buyer's history.
    """
    told = request.get_json()
    code = str(told["code"])
    wirelog.record(
        Exchange(
            stage_id=reading.stage_of(code),
            point_code=code,
            at=datetime.fromisoformat(told["at"]),
            kind=Kind.NOTICE,
            method="POST",
            url=str(told["url"]),
            base_string="",
            head=FORM,
            sent=str(told["sent"]),
            status=told["status"],
            answer_head=str(told["answer_head"]),
            answer=str(told["answer"]),
            milliseconds=int(told["milliseconds"]),
            good=bool(told["good"]),
            verdict=str(told["verdict"]),
            weather=str(told["weather"]),
        )
    )
    return "", 204
