"""Words that we sign and get back, perhaps on another host, whose clock is never quite the same."""

from typing import Any

from itsdangerous import SignatureExpired, TimestampSigner, URLSafeTimedSerializer

from storefront.clock import SKEW_SECONDS
from storefront.config import settings


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
    return URLSafeTimedSerializer(settings().secret_key.get_secret_value(), salt=salt, signer=Signer)
