"""How the shop and its payment provider sign for each other. Pure: no clock, no network, no database.

The protocol of the sandbox's provider, and ours: no source describes any provider's. Fields travel as
a query or a form; a shared secret signs all of them, with the moment of signing among them.
"""

import hmac
from collections.abc import Mapping
from urllib.parse import urlencode

AT, SIGNATURE = "at", "signature"


class BadSeal(Exception):
    """The fields were not signed with this secret, or not now."""


def sealed(fields: Mapping[str, str], secret: str, now: int) -> dict[str, str]:
    """The fields with the moment of signing, in Unix seconds, and the signature."""
    signed = {**fields, AT: str(now)}
    return {**signed, SIGNATURE: _signature(signed, secret)}


def unsealed(
    fields: Mapping[str, str], secret: str, now: int, window: int, previous: str = ""
) -> dict[str, str]:
    """The fields, to be believed; or BadSeal. `window` is how many seconds they may be off.

    While the secret changes, what is signed with the `previous` one is believed, too.
    """
    signed = {name: value for name, value in fields.items() if name != SIGNATURE}
    given = fields.get(SIGNATURE, "").encode()
    right = [_signature(signed, one).encode() for one in (secret, previous) if one]
    if not any(hmac.compare_digest(given, signature) for signature in right):
        raise BadSeal("signature")
    at = signed.pop(AT, "")
    if not (at.isascii() and at.isdigit() and len(at) <= 10) or abs(now - int(at)) > window:
        raise BadSeal("timestamp")
    return signed


def _signature(fields: Mapping[str, str], secret: str) -> str:
    text = urlencode(sorted(fields.items()))
    return hmac.new(secret.encode(), text.encode(), "sha256").hexdigest()
