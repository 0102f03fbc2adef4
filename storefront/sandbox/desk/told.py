"""What a neighbour tells the desk: that weather which was set here has been met there, and what it said."""

from datetime import datetime

from flask import Blueprint, abort
from flask.typing import ResponseReturnValue

from storefront.sandbox import heard, weather, wirelog
from storefront.sandbox.context import sandbox
from storefront.sandbox.desk import reading
from storefront.sandbox.wirelog import Exchange, Kind

FORM = "Content-Type: application/x-www-form-urlencoded"

blueprint = Blueprint("told", __name__)


@blueprint.before_request
def _only_neighbours() -> None:
    heard.believe(sandbox().settings.provider_token)


@blueprint.post("/desk/weather/<int:number>/met")
def met(number: int) -> ResponseReturnValue:
    """The provider has met weather of this number; if its stage has forgotten it, so does the provider."""
    said = heard.read()
    if not weather.met(number, said.get("left"), int(said.get("met", 0)), struck=bool(said.get("struck"))):
        abort(404)
    return "", 204


@blueprint.post("/desk/notices")
def notice() -> ResponseReturnValue:
    """The provider has told the shop something.

    It knows no stages: whose it was shows when the books are read, from the buyer's history.
    """
    said = heard.read()
    code = str(said["code"])
    wirelog.record(
        Exchange(
            stage_id=reading.stage_of(code),
            point_code=code,
            at=datetime.fromisoformat(said["at"]),
            kind=Kind.NOTICE,
            method="POST",
            url=str(said["url"]),
            base_string="",
            head=FORM,
            sent=str(said["sent"]),
            status=said["status"],
            answer_head=str(said["answer_head"]),
            answer=str(said["answer"]),
            milliseconds=int(said["milliseconds"]),
            good=bool(said["good"]),
            verdict=str(said["verdict"]),
            weather=str(said["weather"]),
        )
    )
    return "", 204
