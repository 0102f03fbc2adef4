"""OAuth 2: the owner lets the app in, and the app exchanges its code for a token."""

import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, abort, redirect, render_template, request, session
from flask.typing import ResponseReturnValue

from storefront.sandbox.colorme import api, shops, tokens
from storefront.sandbox.colorme.api import Seen
from storefront.sandbox.colorme.context import AppStore, appstore
from storefront.sandbox.colorme.shops import Shop
from storefront.sandbox.colorme.tokens import SCOPES
from storefront.sandbox.colorme.wire import Kind
from storefront.sandbox.language import N_

OWNER = "owner"  # of this browser
CODE_GRANT = "authorization_code"
DENIED = "リソースの所有者または認証サーバーがリクエストを拒否しました。"
LONGEST_STATE = 2048

blueprint = Blueprint("oauth", __name__)


class Unfit(Exception):
    """Nobody is sent anywhere: who asks is not our app. The message is a text of the catalogue."""


@blueprint.get("/oauth/authorize")
def authorize() -> ResponseReturnValue:
    """Ask the owner whether the app may have what it wants."""
    scopes = _asked(request.args)
    if isinstance(scopes, Response):
        return scopes
    return render_template(
        "sandbox/colorme/authorize.html",
        shops=shops.on_stage(),
        owner=owner(),
        scopes=scopes,
        asked=request.args,
    )


@blueprint.post("/oauth/authorize")
def decide() -> ResponseReturnValue:
    """The owner has pressed: with a code back to the app, or with a word that there is none."""
    scopes = _asked(request.form)
    if isinstance(scopes, Response):
        return scopes
    shop = owner()
    if shop is None:
        abort(400)
    if request.form.get("answer") != "allow":
        return _back(request.form, {"error": "access_denied", "error_description": DENIED})
    redirect_uri = request.form["redirect_uri"]
    return _back(request.form, {"code": tokens.new_code(shop.account, " ".join(scopes), redirect_uri)})


@blueprint.post("/oauth/token")
def token() -> ResponseReturnValue:
    """Exchange a code, once."""
    return api.served(Seen(Kind.OAUTH), _token)


def owner() -> Shop | None:
    """Whose browser this is."""
    shop = shops.find(str(session.get(OWNER, "")))
    return None if shop is None or shop.is_gone else shop


def _asked(fields: Mapping[str, str]) -> list[str] | Response:
    """The scopes that our app asks for; or back with an error; or Unfit."""
    settings = appstore().settings
    if fields.get("client_id") != settings.client_id:
        raise Unfit(N_("No app is registered under this client id."))
    if fields.get("redirect_uri") != settings.redirect_address:
        raise Unfit(N_("The app is not registered with this address to go back to."))
    if len(fields.get("state", "")) > LONGEST_STATE:
        raise Unfit(N_("The state is too long."))
    scopes = fields.get("scope", "").split()
    if fields.get("response_type", "code") != "code":
        return _back(fields, {"error": "unsupported_response_type"})
    if not set(scopes) <= SCOPES:
        return _back(fields, {"error": "invalid_scope"})
    return scopes


def _back(fields: Mapping[str, str], told: Mapping[str, str]) -> Response:
    state = {"state": fields["state"]} if "state" in fields else {}
    address = appstore().settings.redirect_address
    separator = "&" if "?" in address else "?"
    answer = redirect(f"{address}{separator}{urlencode({**told, **state})}", 303)
    assert isinstance(answer, Response)
    return answer


def _token(store: AppStore, seen: Seen) -> Response:
    form, settings = request.form, store.settings
    known = form.get("client_id") == settings.client_id
    secret = settings.client_secret.get_secret_value()
    if not known or not hmac.compare_digest(form.get("client_secret", "").encode(), secret.encode()):
        return _error(401, "invalid_client", "client authentication failed")
    if form.get("grant_type") != CODE_GRANT:
        return Response("", 403)  # as it was measured
    if not form.get("code") or not form.get("redirect_uri"):
        return _error(400, "invalid_request", "code or redirect_uri is missing")
    given = tokens.exchange(form["code"], form["redirect_uri"], settings.code_seconds)
    if given is None:
        return _error(400, "invalid_grant", "the code is unknown, spent or too old")
    seen.account = given.account
    return _json(
        {
            "access_token": given.token,
            "token_type": "Bearer",
            "scope": given.scope,
            "created_at": int(given.made_at.timestamp()),
        }
    )


def _error(status: int, error: str, description: str) -> Response:
    return _json({"error": error, "error_description": description}, status)


def _json(told: Mapping[str, Any], status: int = 200) -> Response:
    body = json.dumps(told, ensure_ascii=False)
    return Response(body, status, content_type="application/json; charset=utf-8")
