"""Databases for the tests: on which engines, new ones on a PostgreSQL server, a full shelf."""

import os

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import create_engine, make_url, text

from storefront.db import migrate, transaction
from storefront.rim import rims
from storefront.shop import catalog, inventory

ENGINES = ("sqlite", "postgresql")
# Workers share a server; each calls its databases after itself.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")

# One engine is enough where what is tested does not depend on it.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def ask(server: str, *statements: str) -> None:
    """Have a PostgreSQL server do what no transaction may hold."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def new_database(server: str, name: str, like: str = "template1") -> str:
    """The address of a new database, in the place of one of that name: an empty one, or a copy."""
    own = name + WORKER
    ask(server, f"DROP DATABASE IF EXISTS {own} WITH (FORCE)", f"CREATE DATABASE {own} TEMPLATE {like}")
    return make_url(server).set(database=own).render_as_string(hide_password=False)


def preset(url: str, setting: str) -> None:
    """What every new session of this database begins with, such as `synchronous_commit = off`."""
    ask(url, f"ALTER DATABASE {make_url(url).database} SET {setting}")


def fill(app: Flask) -> None:
    """Migrate a shop's database and put its catalog on the shelf, as `storefront upgrade` does."""
    with app.app_context():
        flask_migrate.upgrade(directory=migrate.directory)
        with transaction() as session:
            catalog.load(session, app.config["SETTINGS"].catalog)
            inventory.tally(session)
            for room in rims():
                room.load(session)
