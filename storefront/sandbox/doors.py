"""The addresses of the app that are for the platform's servers alone, and the secrets that end some of them.

The container signs whatever address of the app a phone names, under the key of the callbacks. So an app
does well to end each payment's callback address with a word that only the payment's own server learns.
That word is the platform's to know: its log shows it.
"""

import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.sandbox.store import Base, reading

SECRET_LENGTH = 16  # from so many characters on, the end of a callback address is a secret, not a name


class Door(Base):
    """A callback address as the app has given it to us, without the secret that ends it."""

    __tablename__ = "door"

    address: Mapped[str] = mapped_column(primary_key=True)


def keep(session: Session, callback_url: str) -> None:
    """The app wants to be called here."""
    before, _, end = callback_url.rpartition("/")
    has_secret = len(end) >= SECRET_LENGTH and urlsplit(before).netloc
    door = {"address": before if has_secret else callback_url}
    session.execute(insert(Door).values(door).on_conflict_do_nothing())


def leads_to(url: str, others: Iterable[str]) -> bool:
    """Whether an address is a callback address, or one of these others, or lies under one."""
    asked = _plain(url)
    doors = {_plain(door) for door in (*_known(), *others)}
    return any(asked == door or asked.startswith(f"{door}/") for door in doors)


def _known() -> list[str]:
    with reading() as session:
        return list(session.scalars(select(Door.address)))


def _plain(url: str) -> str:
    """An address as most servers take it: no query, no escapes, one slash at a time."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    path = re.sub("/+", "/", unquote(parts.path)).rstrip("/")
    return f"{parts.scheme}://{parts.hostname}:{port}{path}"
