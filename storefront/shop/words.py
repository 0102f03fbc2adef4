"""Words that we sign and get back, perhaps on another host, whose clock is never quite the same.

While the key changes both keys verify, and the current one alone signs. Who opens everything, the operator,
is known by the current one alone: the other may have leaked.
"""

from typing import Any

from itsdangerous import SignatureExpired, TimestampSigner, URLSafeTimedSerializer
from itsdangerous import Signer as PlainSigner

from storefront.clock import SKEW_SECONDS
from storefront.config import HouseSettings, settings


class Signer(TimestampSigner):
    """Believes a word that another host has dated a little later than it is here."""

    def unsign(
        self, signed_value: str | bytes, max_age: int | None = None, return_timestamp: Any = False
    ) -> Any:
        value, dated = super().unsign(signed_value, return_timestamp=True)
        age = self.get_timestamp() - int(dated.timestamp())
        if max_age is not None and not -SKEW_SECONDS <= age <= max_age:
            raise SignatureExpired(f"{age} seconds old", payload=value, date_signed=dated)
        return (value, dated) if return_timestamp else value


def serializer(salt: str) -> URLSafeTimedSerializer:
    """Writes and reads words for one use, which its salt names; what reads says how old they may be."""
    return URLSafeTimedSerializer(keys(settings()), salt=salt, signer=Signer)


def unrotated(salt: str) -> URLSafeTimedSerializer:
    """The same for what not even a rotation excuses: no key but the current one is believed."""
    return URLSafeTimedSerializer(keys(settings())[-1:], salt=salt, signer=Signer)


def signer(salt: str) -> PlainSigner:
    """Signs what has no age, for one use, which its salt names."""
    return PlainSigner(keys(settings()), salt=salt)


def keys(shop: HouseSettings) -> list[str]:
    """Those that verify; the last one is the current one, which signs."""
    both = (shop.secret_key_previous, shop.secret_key)
    return [key.get_secret_value() for key in both if key]
