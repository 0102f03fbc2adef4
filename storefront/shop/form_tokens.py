"""Form tokens: bound to their owner and purpose, good for a while. Whoever accepts one spends its nonce."""

import re
import secrets
from typing import Any

from itsdangerous import BadData

from storefront.config import settings
from storefront.shop import words

SALT = "storefront.form"
NONCE = re.compile(r"[0-9A-Za-z_-]{16}")


class StaleForm(Exception):
    """The form is too old, was made for somebody or something else, or is no form of ours."""


def seal(holder: int | str, purpose: str, carries: str = "") -> str:
    """A token for a form that its holder, a customer's id or a visit's, will send for `purpose`."""
    return words.serializer(SALT).dumps([holder, purpose, secrets.token_urlsafe(12), carries])


def unseal(token: str, holder: int | str, purpose: str) -> str:
    """The nonce of a good token, or StaleForm."""
    owner, sealed_for, nonce, _ = _opened(token)
    if (owner, sealed_for) != (holder, purpose):
        raise StaleForm
    return str(nonce)


def nonce(token: str) -> str:
    """The nonce of a good token, or StaleForm; whose it is and what for, `unseal` tells."""
    return str(_opened(token)[2])


def carried(token: str) -> str:
    """What a good token was given on its way, or StaleForm; whose it is, `unseal` tells."""
    return str(_opened(token)[3])


def _opened(token: str) -> tuple[Any, Any, Any, Any]:
    try:
        owner, sealed_for, nonce, along = words.serializer(SALT).loads(token, max_age=settings().form_seconds)
    except (BadData, ValueError, TypeError):
        raise StaleForm from None
    return owner, sealed_for, nonce, along
