"""The sandbox's own forms carry a word that only this browser knows."""

import hmac
import secrets

from flask import Flask, abort, request, session

FIELD = "form_token"


def init_app(app: Flask) -> None:
    """Let every template write the field."""
    app.context_processor(lambda: {"form_field": FIELD, "form_token": token})


def token() -> str:
    """The word of this browser, made on first use."""
    if "form" not in session:
        session["form"] = secrets.token_urlsafe(24)
    return str(session["form"])


def check(status: int = 400) -> None:
    """Refuse a form that was not written for this browser."""
    if not hmac.compare_digest(request.form.get(FIELD, "").encode(), token().encode()):
        abort(status)
