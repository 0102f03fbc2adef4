"""What one process of the sandbox tells another: believed by a word that only the two share."""

import hmac
from typing import Any

from flask import abort, request
from pydantic import SecretStr


def believe(token: SecretStr) -> None:
    """401 for whoever does not bring the word, and for everybody where there is none."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    word = token.get_secret_value()
    if not word or scheme != "Bearer" or not hmac.compare_digest(given.encode(), word.encode()):
        abort(401)


def read() -> dict[str, Any]:
    """The object that is told; 400 for anything else, however deep."""
    try:
        said = request.get_json()
    except RecursionError:
        abort(400)
    if not isinstance(said, dict):
        abort(400)
    return said
