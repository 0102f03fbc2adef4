"""The doctor in worlds that are broken in one way each: that is what it says, and it says all the rest."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
import requests
from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from werkzeug import Response

from storefront import Settings, doctor
from storefront.findings import Finding, Verdict
from tests.databases import new_database, on_postgresql, on_sqlite, preset
from tests.pooler import pooler
from tests.street import PLATFORM, SHOP
from tests.test_migrations import leave_a_check
from tests.wire import Wire

Application = Callable[..., Any]


def in_time(environ: dict[str, Any], start_response: Any) -> Any:
    """A platform whose clock goes right."""
    moment = format_datetime(datetime.now(UTC), usegmt=True)
    return Response("", 404, {"Date": moment})(environ, start_response)


class World:
    """A shop in which nothing is wrong yet."""

    def __init__(self, app: Flask, settings: Settings, stack: ExitStack) -> None:
        self.app = app
        self.settings = settings
        self.stack = stack
        self.http = requests.Session()
        self.http.mount(SHOP, Wire(app))
        self.http.mount(PLATFORM, Wire(in_time))

    @property
    def url(self) -> str:
        return self.settings.database_url

    @property
    def file(self) -> str:
        return str(make_url(self.url).database)

    def change(self, **settings: object) -> None:
        self.settings = self.settings.model_copy(update=settings)

    def write(self, statement: str) -> None:
        engine = create_engine(self.url)
        with engine.begin() as connection:
            connection.execute(text(statement))
        engine.dispose()

    def proxy(self, changed: Callable[[dict[str, Any]], None]) -> None:
        """Something stands in front of the shop and changes what it passes on."""

        def application(environ: dict[str, Any], start_response: Any) -> Any:
            changed(environ)
            return self.app.wsgi_app(environ, start_response)

        self.http.mount(SHOP, Wire(application))

    def lines(self) -> list[Finding]:
        found = list(doctor.examine(self.settings, self.http))
        print(*found, sep="\n")
        return found


@pytest.fixture
def world(app: Flask, settings: Settings) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(app, settings, stack)


def no_such_database(world: World) -> None:
    world.change(database_url="oracle://x")


def no_file(world: World) -> None:
    world.change(database_url=f"sqlite:///{world.file}.gone")


def an_empty_file(world: World) -> None:
    with open(f"{world.file}.new", "x"):
        world.change(database_url=f"sqlite:///{world.file}.new")


def behind(world: World) -> None:
    world.write("UPDATE alembic_version SET version_num = '0005'")


def too_new(world: World) -> None:
    world.write("UPDATE alembic_version SET version_num = '9999'")
    world.write("DELETE FROM fit")


def newer(world: World) -> None:
    world.write("UPDATE alembic_version SET version_num = '9999'")


def only_to_read(world: World) -> None:
    world.change(database_url=f"sqlite:///file:{world.file}?mode=ro&uri=true")


def a_check_too_many(world: World) -> None:
    leave_a_check(create_engine(world.url))


def miscounted(world: World) -> None:
    world.write("UPDATE tally SET sold = sold + 1 WHERE item_id = (SELECT min(item_id) FROM tally)")


def a_proxy_that_drops(world: World) -> None:
    world.proxy(lambda environ: environ.pop("HTTP_AUTHORIZATION", None))


def a_proxy_that_rewrites(world: World) -> None:
    def rewrite(environ: dict[str, Any]) -> None:
        environ["QUERY_STRING"] = urlencode(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))

    world.proxy(rewrite)


def a_silent_platform(world: World) -> None:
    silent = Wire(Response(""))
    silent.broken = requests.ConnectTimeout("no answer")
    world.http.mount(PLATFORM, silent)
    world.change(mixi_certificates={}, mixi_certificate_url=f"{PLATFORM}/{{channel}}/{{name}}.pem")


def a_broken_check(world: World) -> None:
    world.change(catalog=None)


def read_only_sessions(world: World) -> None:
    preset(world.url, "default_transaction_read_only = on")


def no_encoding(world: World) -> None:
    like = "template0 ENCODING 'SQL_ASCII' LOCALE 'C'"
    world.change(database_url=new_database(world.url, "ascii", like))


def forgetful(world: World) -> None:
    preset(world.url, "synchronous_commit = off")


def a_pooler_that_refuses(world: World) -> None:
    world.change(database_url=world.stack.enter_context(pooler(world.url, ignores=False)))


def a_pooler_that_ignores(world: World) -> None:
    world.change(database_url=world.stack.enter_context(pooler(world.url, ignores=True)))


def no_server(world: World) -> None:
    world.change(database_url="postgresql+psycopg://shop:pa55word@127.0.0.1:9/shop")


# What is broken, and of which checks the lines then are not ok.
ON_SQLITE: dict[Callable[[World], None], set[str]] = {
    no_such_database: {"database"},
    no_file: {"database"},
    an_empty_file: {"migrations", "file"},
    behind: {"migrations"},
    too_new: {"migrations"},
    newer: set(),
    only_to_read: {"sales"},
    a_check_too_many: {"checks"},
    miscounted: {"stock"},
    a_proxy_that_drops: {"way in"},
    a_proxy_that_rewrites: {"way in"},
    a_silent_platform: {"platform", "certificates"},
    a_broken_check: {"catalog"},
}
ON_POSTGRESQL: dict[Callable[[World], None], set[str]] = {
    read_only_sessions: {"sales"},
    no_encoding: {"encoding", "migrations"},
    forgetful: {"durability"},
    a_pooler_that_refuses: {"database"},
    a_pooler_that_ignores: {"limits"},
    no_server: {"database"},
}
# The last line of the last check: whoever hears it has heard all.
LAST = ("way in", "public URL")


# The machine's own, and that the streets of the tests speak plain http.
BESIDE = {"folder", "disk", "https"}


def assert_told(world: World, wrong: set[str]) -> None:
    found = world.lines()
    assert {line.check for line in found if line.verdict is not Verdict.OK} - BESIDE == wrong
    assert all(line.advice for line in found if line.verdict is not Verdict.OK)
    assert found[-1].check in LAST
    assert "pa55word" not in "".join(map(str, found))


@pytest.mark.long
@on_sqlite
@pytest.mark.parametrize("breaks", ON_SQLITE, ids=lambda breaks: breaks.__name__)
def test_a_world_on_sqlite(world: World, breaks: Callable[[World], None]) -> None:
    """What is broken has its line, what is not is ok, and no check is left out for it."""
    breaks(world)
    assert_told(world, ON_SQLITE[breaks])


@on_postgresql
@pytest.mark.parametrize("breaks", ON_POSTGRESQL, ids=lambda breaks: breaks.__name__)
def test_a_world_on_postgresql(world: World, breaks: Callable[[World], None]) -> None:
    """The same, on a server."""
    breaks(world)
    assert_told(world, ON_POSTGRESQL[breaks])
