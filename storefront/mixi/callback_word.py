"""The word at the end of a callback's address: what only mixi's payment server learns.

The container signs, with the callback's own key, whatever address of the app a phone names. So a
signature says that mixi sent a request, and the word says that its payment server did: each payment
has one of its own, which travels in the request that creates it and in the callback, nowhere else.
"""

import hmac
import secrets
from collections.abc import Callable
from typing import Any

from flask import Request

BYTES, LENGTH = 24, 32  # random, and as they are written in an address
KEPT = "storefront.callback_word"
LOOKS_LIKE = "callback"
LOGGED = ("RAW_URI", "REQUEST_URI")  # the whole address, as servers keep it for their logs

Application = Callable[..., Any]


def new() -> str:
    """A word that nobody guesses."""
    return secrets.token_urlsafe(BYTES)


def of(request: Request) -> str:
    """The word a callback came with; empty at the bare address."""
    return str(request.environ.get(KEPT, ""))


def fits(given: str, kept: str | None) -> bool:
    """Whether this is the payment's own word. A payment without one has none that fits."""
    return kept is not None and hmac.compare_digest(given.encode(), kept.encode())


def taken_off(inner: Application, address: str) -> Application:
    """Take the word off the path `address` before anything that writes a log or a page can see it."""

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        path, _, word = environ["PATH_INFO"].rpartition("/")
        if path == address and word:
            environ[KEPT], environ["PATH_INFO"] = word, path
        if LOOKS_LIKE in environ["PATH_INFO"].lower():  # whoever rewrote the address on its way here
            environ.update({name: address for name in LOGGED if name in environ})
        return inner(environ, start_response)

    return application
