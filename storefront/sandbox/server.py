"""A platform as one of the servers of a demo, and where they all stand."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic_settings import BaseSettings
from sqlalchemy import URL

from storefront.sandbox.chapters import Script

APP_ID = "12345"


@dataclass(frozen=True)
class Street:
    """What a server of a demo has to know: what the shop is called, both addresses, what was made for it."""

    name: str
    shop: str
    here: str
    data: Path
    secrets: Mapping[str, str]
    shop_ca: Path | None = None  # which a shop behind https is checked against
    name_en: str = ""

    def sqlite(self, name: str) -> str:
        """The address of a database of this name in the demo's folder."""
        # As a URL: a folder's name may have what an address means something else by.
        return URL.create("sqlite", database=f"{self.data.resolve() / name}.db").render_as_string()


@dataclass(frozen=True)
class Server:
    """`serves` is the application, for gunicorn; `secrets` has the bytes of each that is made once and kept.

    `settings` reads what the environment tells it; `environment` has the settings of both sides, so that
    the server and the shop know each other. `invites` says what is tried out there, and how, if that is
    not the way in that the demo names anyhow. `chapters` are the walkthroughs of shop owners that it has.
    """

    name: str
    port: int
    threads: int
    serves: str
    settings: type[BaseSettings]
    environment: Callable[[Street], Mapping[str, str]]
    secrets: Mapping[str, int] = field(default_factory=dict)
    invites: tuple[str, str] | None = None
    chapters: Callable[[], Sequence[Script]] = tuple
