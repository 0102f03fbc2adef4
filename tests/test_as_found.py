"""PostgreSQL as it is found: in another style, another encoding, behind a pooler, on a full disk."""

import resource
import subprocess
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import create_engine, inspect

from storefront import Settings
from storefront.db import db
from tests.command import environment, run
from tests.databases import new_database, on_postgresql, on_sqlite, preset
from tests.demo import COMMAND
from tests.street import Container


@on_postgresql
def test_another_date_style(app: Flask, settings: Settings, container: Container) -> None:
    """Whatever style the server writes moments in by itself, the shop can read them."""
    preset(settings.database_url, "datestyle = 'SQL, DMY'")
    with app.app_context():
        db.engine.dispose()
    code = container.start("loaf")
    assert container.callback(code).text == "OK"
    assert container.get("/history").status_code == 200


@on_postgresql
@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_another_encoding(settings: Settings, encoding: str) -> None:
    """A database that cannot hold Japanese, or does not say in what it is, is refused before it is filled."""
    url = new_database(settings.database_url, "other", f"template0 ENCODING '{encoding}' LOCALE 'C'")
    refused = run(settings.model_copy(update={"database_url": url}), "upgrade")
    assert refused.returncode == 1
    assert f"the database is in {encoding}" in refused.stderr
    assert "createdb --encoding=UTF8" in refused.stderr
    assert "Traceback" not in refused.stderr
    engine = create_engine(url, connect_args={"client_encoding": "UTF8"})
    assert inspect(engine).get_table_names() == []
    engine.dispose()


@pytest.mark.long
@on_sqlite
@pytest.mark.empty_database
def test_an_upgrade_on_a_full_disk(settings: Settings, tmp_path: Path) -> None:
    """What finds no room ends in a sentence without a query, and goes on where it was once there is room."""

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))

    done = subprocess.run(
        [COMMAND, "upgrade"],
        env=environment(settings),
        preexec_fn=no_room,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "the database stopped it: " in done.stderr
    assert not {"Traceback", "CREATE", "INSERT"} & set(done.stderr.split())
    assert run(settings, "upgrade").returncode == 0
