"""The configured door out: where the provider is, and what we share with it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode, urlsplit

from flask import Flask, current_app
from pydantic import SecretStr

from storefront.external.settings import ExternalSettings
from storefront.external.signing import BadSeal, sealed, unsealed

NAME = "external"
# Letters that a browser might take for the end of the host are none of its name.
HOST = re.compile(r"[0-9a-z-]+(\.[0-9a-z-]+)*|[0-9a-f:]+")
DEFAULT_PORTS = {"http": 80, "https": 443}
WINDOW = 300  # seconds a signed moment may be off; ours, as is the whole protocol


class Deaf(Exception):
    """Without secret or name nobody can be believed, and nobody be called a liar."""


@dataclass(frozen=True)
class Channel:
    """Without the address of a payment page there is no door."""

    settings: ExternalSettings

    def __bool__(self) -> bool:
        return bool(self.settings.external_provider_url)

    @property
    def site(self) -> str:
        """Scheme, host and port of the provider, as they are registered."""
        return origin(self.settings.external_provider_url)

    @property
    def on_smartphone(self) -> bool:
        return self.settings.external_on_smartphone

    def way_out(self, fields: Mapping[str, str], now: datetime) -> str:
        """The address that takes a buyer to the provider's page for one payment."""
        named = {"merchant": self.settings.external_merchant, **fields}
        signed = sealed(named, _word(self.settings.external_secret), int(now.timestamp()))
        return f"{self.settings.external_provider_url}?{urlencode(signed)}"

    def heard(self, fields: Mapping[str, str], now: datetime) -> dict[str, str]:
        """What the provider says of a payment, to be believed; or BadSeal, or Deaf."""
        secret, previous = self.settings.external_secret, self.settings.external_secret_previous
        if not (secret and self.settings.external_merchant):
            raise Deaf
        said = unsealed(fields, _word(secret), int(now.timestamp()), WINDOW, _word(previous))
        if said.pop("merchant", "") != self.settings.external_merchant:
            raise BadSeal("merchant")
        return said


def origin(url: str) -> str:
    """Scheme, host and port of an http or https address, in one way of writing; empty if it is none."""
    try:
        parts = urlsplit(url.strip().lower())
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in DEFAULT_PORTS or parts.username is not None:
        return ""
    if not HOST.fullmatch(parts.hostname or ""):
        return ""
    named = port not in (None, DEFAULT_PORTS[parts.scheme])
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    return f"{parts.scheme}://{host}{f':{port}' if named else ''}"


def init_app(app: Flask, settings: ExternalSettings) -> None:
    app.extensions[NAME] = Channel(settings)


def channel() -> Channel:
    """The door out of the running shop."""
    current: Channel = current_app.extensions[NAME]
    return current


def _word(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
