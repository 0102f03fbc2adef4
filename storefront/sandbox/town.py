"""The way into the game beside us, and what it tells of the towns there."""

import secrets
from urllib.parse import urlencode

from flask import Blueprint, abort, redirect
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from storefront.sandbox import heard, passes, people, stage
from storefront.sandbox.cast import BY_KEY
from storefront.sandbox.context import sandbox
from storefront.sandbox.happened import Fact, Name
from storefront.sandbox.happenings import note
from storefront.sandbox.passes import Pass

CHANNEL = "mixi"
HAPPENED = {"shown": Name.TOWN_SHOWN, "used": Name.TOWN_USED}

blueprint = Blueprint("town", __name__)


class _Thing(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    item: Fact
    quantity: int
    tests: int = 0


class _Told(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    owner: Fact
    things: list[_Thing] = Field(max_length=400)


@blueprint.app_context_processor
def _for_pages() -> dict[str, str]:
    return {"game_url": sandbox().settings.game_url}


@blueprint.get("/town/<any(KEYS):persona>".replace("KEYS", ", ".join(BY_KEY)))
def door(persona: str) -> ResponseReturnValue:
    """To the town of somebody of this stage, by an address that is good once and for a moment."""
    settings = sandbox().settings
    if not settings.game_url:
        abort(404)
    user = people.playing(stage.current().id, BY_KEY[persona])
    name = user.persona.name
    one = Pass(
        number=secrets.token_urlsafe(18), channel=CHANNEL, external_id=user.owner_id, ja=name.ja, en=name.en
    )
    query = urlencode({"pass": passes.write(one, settings.game_door_secret.get_secret_value())})
    return redirect(f"{settings.game_url}/enter?{query}", 303)


@blueprint.post("/desk/towns/<any(shown, used):what>")
def seen(what: str) -> ResponseReturnValue:
    """The game has shown somebody their town, or something was used up there."""
    heard.believe(sandbox().settings.game_token)
    try:
        there = _Told.model_validate(heard.read())
    except ValidationError:
        abort(400)
    on = stage.of_owner(there.owner) or abort(404)
    marks = [{name: str(value) for name, value in one.model_dump().items()} for one in there.things]
    note(on.id, HAPPENED[what], owner_id=there.owner, marks=marks)
    return "", 204
