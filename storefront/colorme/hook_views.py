"""The addresses of the store's servers. They answer in JSON, whatever is asked and however it ends."""

import structlog
from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, UnsupportedMediaType

from storefront.colorme import hooks, installs
from storefront.colorme.calendar import NoCalendar
from storefront.colorme.channel import channel
from storefront.colorme.contracts import Contradiction
from storefront.colorme.hooks import BadSignature, Install, Malformed, Uninstall
from storefront.colorme.installs import UnknownPlan
from storefront.colorme.settings import secret, settings

NAME = "colorme_hooks"  # a blueprint of its own: no visitor of the counter's comes here
ANY = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
MEDIA_TYPE = "application/json"
# Whatever is not 200 cancels an install at the store; an uninstall is told again.
REFUSALS: dict[type[Exception], tuple[int, str]] = {
    BadSignature: (401, "not signed by the store"),
    Malformed: (400, "not a hook"),
    Contradiction: (400, "this contract is another's"),
    UnknownPlan: (422, "no such plan"),
    NoCalendar: (503, "the calendar did not answer"),
    SQLAlchemyError: (503, "the database did not answer"),
}

blueprint = Blueprint(NAME, __name__, url_prefix="/colorme")
log = structlog.get_logger()


@blueprint.route("/install", methods=ANY, provide_automatic_options=False)
def install() -> ResponseReturnValue:
    """A shop owner has chosen a plan: without our 200 the store throws the install away."""
    installs.install(hooks.read(Install, _verified()))
    return jsonify(redirect_url=channel().start_url)


@blueprint.route("/uninstall", methods=ANY, provide_automatic_options=False)
def uninstall() -> ResponseReturnValue:
    """The app is out of a shop, whatever we say; the store says so until we have heard it."""
    installs.uninstall(hooks.read(Uninstall, _verified()))
    return jsonify({})


@blueprint.route("/install/", methods=ANY, provide_automatic_options=False)
@blueprint.route("/uninstall/", methods=ANY, provide_automatic_options=False)
def elsewhere() -> ResponseReturnValue:
    """What is registered at the store with a slash too many is no address of ours, and says so."""
    raise NotFound


@blueprint.before_request
def _by_post() -> None:
    if not settings().colorme_is_open or request.endpoint == f"{NAME}.elsewhere":
        raise NotFound
    if request.method != "POST":
        raise MethodNotAllowed(["POST"])
    if request.mimetype != MEDIA_TYPE:
        raise UnsupportedMediaType


@blueprint.errorhandler(HTTPException)
def _as_json(error: HTTPException) -> ResponseReturnValue:
    said = {name: value for name, value in error.get_headers() if name != "Content-Type"}
    return jsonify(error=error.name), error.code or 500, said


def _refused(refusal: Exception) -> ResponseReturnValue:
    status, reason = next(answer for kind, answer in REFUSALS.items() if isinstance(refusal, kind))
    detail = str(refusal) if isinstance(refusal, Malformed) else ""
    log.warning("hook refused", path=request.path, status=status, reason=reason, detail=detail)
    return jsonify(error=reason), status


for kind in REFUSALS:
    blueprint.register_error_handler(kind, _refused)


def _verified() -> bytes:
    """The body, of which nothing was read before its signature was found good."""
    body, told = request.get_data(cache=False), settings()
    secrets = map(secret, (told.colorme_webhook_secret, told.colorme_webhook_secret_previous))
    hooks.verify(body, request.headers.getlist(hooks.SIGNATURE), [one for one in secrets if one])
    return body
