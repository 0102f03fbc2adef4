"""Form tokens: bound to their owner and purpose, good for a while. Whoever accepts one spends its nonce."""

import secrets

from itsdangerous import BadData

from storefront.config import settings
from storefront.shop import words

SALT = "storefront.form"


class StaleForm(Exception):
    """The form is too old, was made for somebody or something else, or is no form of ours."""


def seal(holder: int | str, purpose: str) -> str:
    """A token for a form that its holder, a customer's id or a visit's, will send for `purpose`."""
    return words.serializer(SALT).dumps([holder, purpose, secrets.token_urlsafe(12)])


def unseal(token: str, holder: int | str, purpose: str) -> str:
    """The nonce of a good token, or StaleForm."""
    try:
        owner, sealed_for, nonce = words.serializer(SALT).loads(token, max_age=settings().form_seconds)
    except (BadData, ValueError, TypeError):
        raise StaleForm from None
    if (owner, sealed_for) != (holder, purpose):
        raise StaleForm
    return str(nonce)
