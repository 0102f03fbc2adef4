"""What a game asks for, and is told. No visitor comes here, and no page speaks of it."""

import hmac
import re
from collections.abc import Callable, Mapping
from functools import cache, wraps
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from ruamel.yaml import YAML
from werkzeug.exceptions import HTTPException, UnsupportedMediaType
from werkzeug.routing import BaseConverter

from storefront import clock
from storefront.config import PACKAGE
from storefront.game import polls, problems, uses
from storefront.game.cursors import START, Cursor
from storefront.game.polls import Page
from storefront.game.problems import PROBLEMS, Malformed, NoSuchCustomer, Unauthorized
from storefront.game.settings import settings
from storefront.game.uses import ID, Used, Wish
from storefront.gate import Gate
from storefront.shop import customers, inventory
from storefront.shop.changes import MOST, Change

GATE = "game_gate"
OF_ALL = ("GET", "HEAD")
MEDIA_TYPE = "application/json"
MOST_BYTES = 4096  # of a body; ours has at most some 300
KEY = re.compile(r"[!-+\--~]{1,64}")  # no comma: a header that is sent twice arrives with one between
LIMIT = re.compile(r"[1-9][0-9]{0,3}")
USUAL = 100

blueprint = Blueprint("game", __name__, url_prefix="/game")


class Opaque(BaseConverter):
    """Whatever a platform calls somebody; the framework's own path cannot begin with a slash."""

    regex = "(?s:.+)"
    part_isolating = False


blueprint.record(lambda state: state.app.url_map.converters.update(opaque=Opaque))


def _in_turn(view: Callable[..., Response]) -> Callable[..., Response]:
    """So many at once, for what asks the database; problems.TooMany for the rest."""

    @wraps(view)
    def admitted(**values: str) -> Response:
        gate: Gate = current_app.extensions[GATE]
        with gate.place():
            return view(**values)

    return admitted


@blueprint.route("/customers/<channel>/<opaque:external_id>/holdings", methods=OF_ALL)
@_in_turn
def holdings(channel: str, external_id: str) -> Response:
    """What somebody holds."""
    customer = customers.known(channel, external_id) if _is_id(channel) and _is_id(external_id) else None
    if customer is None:
        raise NoSuchCustomer
    tested = inventory.tested(customer.id)
    held = [
        {
            "item": one.item.id,
            "quantity": one.quantity,
            "tests": _tests(one.quantity, tested.get(one.item.id, 0)),
        }
        for one in inventory.holdings(customer.id)
    ]
    return jsonify(channel=customer.channel, external_id=customer.external_id, holdings=held)


@blueprint.post("/uses")
@_in_turn
def use() -> Response:
    """Use up some of an item, once for each key."""
    if request.mimetype != MEDIA_TYPE:
        raise UnsupportedMediaType(f"Send the body as {MEDIA_TYPE}.")
    key = request.headers.get("Idempotency-Key", "")
    if not KEY.fullmatch(key):
        raise Malformed("Send one Idempotency-Key, of 1 to 64 visible ASCII characters without a comma.")
    return jsonify(_told_of(uses.use(Wish.read(request.get_data(cache=False)), key, clock.now())))


@blueprint.route("/changes", methods=OF_ALL)
@_in_turn
def changes() -> Response:
    """The next changes."""
    asked = request.args
    if asked.keys() - {"after", "limit"} or any(len(values) > 1 for values in asked.listvalues()):
        raise Malformed("There is `after`, and there is `limit`, each once.")
    page = polls.poll(_cursor(asked.get("after")), _limit(asked.get("limit", str(USUAL))), clock.now())
    return jsonify(_told(page))


@blueprint.route("/openapi.json", methods=OF_ALL)
def openapi() -> Response:
    """The description of all this, which is the same in every shop and open to read."""
    return jsonify(description())


@cache
def description() -> Any:
    return YAML(typ="safe").load(PACKAGE / "game" / "openapi.yaml")


@blueprint.before_request
def _believe() -> None:
    request.max_content_length = MOST_BYTES
    if request.endpoint != f"{blueprint.name}.openapi" and not _is_the_games():
        raise Unauthorized


@blueprint.before_app_request
def _elsewhere() -> ResponseReturnValue | None:
    """What leads to no address of ours below this one is refused in the same words."""
    refusal, asked = request.routing_exception, f"{request.path}/"
    if not isinstance(refusal, HTTPException) or not asked.startswith(f"{blueprint.url_prefix}/"):
        return None
    return problems.answer_http(refusal) if _is_the_games() else problems.answer(Unauthorized())


@blueprint.errorhandler(HTTPException)
def _http(error: HTTPException) -> ResponseReturnValue:
    return problems.answer_http(error)


for kind in PROBLEMS:
    blueprint.register_error_handler(kind, problems.answer)


def _is_the_games() -> bool:
    """Whether the request has a token of the shop's; each is looked at, however early one fits."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    told = settings()
    tokens = [one.get_secret_value() for one in (told.game_token, told.game_token_previous) if one]
    sent = given.strip().encode("latin-1", "replace")
    return bool(sum(hmac.compare_digest(sent, one.encode()) for one in tokens)) and scheme.lower() == "bearer"


def _is_id(text: str) -> bool:
    return re.search(ID, text) is not None


def _tests(quantity: int, tested: int) -> int:
    """Of a holding, what comes from tests: they are used last."""
    return max(0, min(quantity, tested))


def _cursor(text: str | None) -> Cursor:
    try:
        return START if text is None else Cursor.read(text)
    except ValueError:
        raise Malformed("`after` is no cursor: send one that was answered, or none.") from None


def _limit(text: str) -> int:
    if not LIMIT.fullmatch(text) or int(text) > MOST:
        raise Malformed(f"`limit` is 1 to {MOST}.")
    return int(text)


def _told_of(used: Used) -> Mapping[str, object]:
    return {**used.wish.model_dump(), "left": used.left}


def _told(page: Page) -> Mapping[str, object]:
    told = [_told_of_change(cursor, one) for cursor, one in page.changes]
    return {"changes": told, "cursor": str(page.cursor), "more": page.more}


def _told_of_change(cursor: Cursor, one: Change) -> Mapping[str, object]:
    return {
        "cursor": str(cursor),
        "at": one.at.isoformat(),
        "channel": one.channel,
        "external_id": one.external_id,
        "item": one.item_id,
        "quantity": one.quantity,
        "kind": one.kind.value,
        "test": one.is_test,
        "cause": one.key,
        "of": one.of,
    }
