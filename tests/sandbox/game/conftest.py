"""The town, the platform from which people come, and the real shop, joined in memory."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from shutil import copy
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from lxml import html
from lxml.html import FormElement, HtmlElement
from pydantic import SecretStr
from werkzeug import Request, Response
from werkzeug.test import TestResponse

from storefront import Settings, clock, create_app
from storefront.db import db, transaction
from storefront.sandbox.game import create_game, store
from storefront.sandbox.game.settings import GameSettings
from storefront.shop import customers, inventory
from tests.sandbox.conftest import PLATFORM, Phone, owner
from tests.street import SETTINGS
from tests.wire import Wire

HERE, SHOP = "http://town.test:8004", "http://shop.test:8000"
TOKEN = "the token of the game, of 32 characters"
DOOR, DESK = "signs the way into the town", "opens the desk to the town"

Script = Callable[[Request], Response]


@dataclass
class Line:
    """The town's line to the shop: it hears what is asked, and may answer in the shop's place."""

    shop: Flask
    script: Script | None = None
    heard: list[Request] = field(default_factory=list)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        environ["wsgi.input"] = BytesIO(request.get_data())
        self.heard.append(request)
        return (self.script(request) if self.script else self.shop)(environ, start_response)

    def says(self, body: str, status: int = 200, kind: str = "application/json") -> None:
        self.script = lambda _: Response(body, status, content_type=kind)


@dataclass
class Town:
    """A browser before the town, and all who stand around it."""

    app: Flask
    platform: Flask
    line: Line
    wire: Wire
    client: FlaskClient = None  # type: ignore[assignment]
    here: str = ""

    def __post_init__(self) -> None:
        self.client = self.app.test_client()

    def another(self) -> "Town":
        """The same town in another browser."""
        return Town(self.app, self.platform, self.line, self.wire)

    def way(self, persona: str = "hanako") -> str:
        """The address by which somebody comes, as the platform gives it."""
        answer = Phone(self.platform.test_client()).get(f"/town/{persona}")
        assert answer.status_code == 303
        return answer.headers["Location"].removeprefix(HERE)

    def enter(self, persona: str = "hanako") -> "Town":
        answer = self.get(self.way(persona))
        assert answer.status_code == 303, answer.text
        self.here = answer.headers["Location"]
        return self

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.client.get(path, base_url=HERE, **more)

    def look(self, **more: Any) -> HtmlElement:
        """The town as its page shows it."""
        answer = self.get(self.here, **more)
        assert answer.status_code == 200, answer.text
        return html.fromstring(answer.text)

    def things(self, page: HtmlElement | None = None) -> dict[str, int]:
        page = self.look() if page is None else page
        return {
            str(one.get("data-item")): int(str(one.get("data-quantity")))
            for one in page.cssselect("[data-item]")
        }

    def trouble(self, page: HtmlElement | None = None) -> str:
        return str((self.look() if page is None else page).cssselect("main")[0].get("data-trouble"))

    def button(self, item: str = "loaf") -> tuple[str, dict[str, str]]:
        """Where the button that uses this item leads, and what it sends."""
        (form,) = self.look().cssselect(f'[data-item="{item}"] form')
        assert isinstance(form, FormElement)
        return str(form.action), {str(name): str(value) for name, value in form.form_values()}

    def press(self, action: str, fields: Mapping[str, str]) -> TestResponse:
        return self.client.post(action, data=fields, base_url=HERE)

    def use(self, item: str = "loaf") -> str:
        """Press the button; what the page says of it."""
        assert self.press(*self.button(item)).status_code == 303
        return self.outcome()

    def outcome(self) -> str:
        return str(self.look().cssselect("[data-outcome]")[0].get("data-outcome"))

    def fault(self, kind: str) -> None:
        """Let something go wrong at the next request."""
        forms = {str(form.action): form for form in self.look().forms}
        action = f"{self.here}/faults/{kind}"
        fields = {str(name): str(value) for name, value in forms[action].form_values()}
        assert self.press(action, fields).status_code == 303


@pytest.fixture
def selling(tmp_path: Path, full_shelf: Path) -> Iterator[Flask]:
    """A shop that a game is connected to."""
    copy(full_shelf, tmp_path / "shop.db")
    told = {**SETTINGS, "database_url": f"sqlite:///{tmp_path}/shop.db", "game_token": TOKEN}
    app = create_app(Settings.model_validate(told))
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def give(selling: Flask) -> Callable[..., None]:
    """So many of an item for somebody, each by a sale of its own."""

    def give(item: str = "loaf", count: int = 1, persona: str = "hanako", *, is_test: bool = False) -> None:
        with selling.app_context():
            customer, now = customers.meet("mixi", owner(persona), clock.now()).id, clock.now()
            with transaction() as session:
                for number in range(count):
                    key = f"mixi:{item}{now.timestamp()}{number}"
                    inventory.grant(session, customer, item, key, now, is_test=is_test)
            db.session.remove()

    return give


@pytest.fixture
def make_town(tmp_path: Path, make: Callable[..., Flask], selling: Flask) -> Callable[..., Town]:
    """Makes a town, with some settings changed, and the platform beside it."""

    def make_town(**changed: object) -> Town:
        platform = make(game_url=HERE, game_token=SecretStr(DESK), game_door_secret=SecretStr(DOOR))
        line, http = Line(selling), requests.Session()
        wire = Wire(line)
        http.trust_env = False
        http.mount(SHOP, wire)
        http.mount(PLATFORM, Wire(platform))
        settings = GameSettings(
            public_url=HERE,
            secret_key=SecretStr("for the tests only, never elsewhere"),
            shop_url=SHOP,
            token=SecretStr(TOKEN),
            database_url=SecretStr(f"sqlite:///{tmp_path}/town.db"),
            platform_url=PLATFORM,
            door_secret=SecretStr(DOOR),
            desk_token=SecretStr(DESK),
            poll_seconds=0,
        )
        return Town(create_game(settings.model_copy(update=changed), http), platform, line, wire)

    return make_town


@pytest.fixture
def town(make_town: Callable[..., Town]) -> Iterator[Town]:
    """Hanako's town, which she has just entered."""
    town = make_town().enter()
    yield town
    with town.app.app_context():
        store.db.engine.dispose()
