"""The way from the platform into the game beside it: an address signed for one person, good for a moment.

write()   what the address carries
read()    who may come in by it; BadPass if it is forged, altered or old

Each has a number of its own, so that whoever lets people in can let each pass count once.
"""

from typing import Annotated

from itsdangerous import BadSignature, URLSafeTimedSerializer
from pydantic import BaseModel, ConfigDict, Field, ValidationError

PURPOSE = "into the town"


class BadPass(Exception):
    """Nobody may come in by this."""


class Pass(BaseModel):
    """Whom it lets in: an external id in a channel, and what they are called."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    number: Annotated[str, Field(min_length=16, max_length=64)]
    channel: Annotated[str, Field(min_length=1, max_length=16)]
    external_id: Annotated[str, Field(min_length=1, max_length=64)]
    ja: Annotated[str, Field(min_length=1, max_length=64)]
    en: Annotated[str, Field(min_length=1, max_length=64)]


def write(one: Pass, secret: str) -> str:
    """The pass, signed now."""
    return str(_serializer(secret).dumps(one.model_dump()))


def read(text: str, secret: str, seconds: int) -> Pass:
    """The pass that was signed with this secret, at most so many seconds ago; else BadPass."""
    try:
        return Pass.model_validate(_serializer(secret).loads(text, max_age=seconds))
    except (BadSignature, ValidationError):
        raise BadPass from None


def _serializer(secret: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret, salt=PURPOSE)
