"""Ready means able to sell: what a sale needs is tried, not only asked for."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfile, copytree
from threading import Event

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from storefront import Settings, create_app, health
from storefront.backup import NotPossible, backup
from storefront.db import db, migrate, transaction
from tests.command import run
from tests.databases import ask, on_postgresql, on_sqlite, preset
from tests.street import Container

READY = (200, "ready\n")


@pytest.fixture(autouse=True)
def ask_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found before speaks for nobody."""
    monkeypatch.setattr(health, "KEPT_SECONDS", 0)


def readyz(app: Flask) -> tuple[int, str]:
    answer = app.test_client().get("/readyz")
    return answer.status_code, answer.text


@contextmanager
def another(settings: Settings, **changed: object) -> Iterator[Flask]:
    """The same shop, started anew."""
    app = create_app(settings.model_copy(update=changed))
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def read_only(settings: Settings) -> dict[str, object]:
    """A database that can be read and not be written: a file, a session; a standby is as deaf."""
    if settings.database_url.startswith("sqlite"):
        file = make_url(settings.database_url).database
        return {"database_url": f"sqlite:///file:{file}?mode=ro&uri=true"}
    preset(settings.database_url, "default_transaction_read_only = on")
    return {}


def test_a_database_that_can_only_be_read(app: Flask, settings: Settings) -> None:
    """A shop that could only show its goods is not ready, and no command ends in a traceback."""
    assert readyz(app) == READY
    changed = read_only(settings)
    with another(settings, **changed) as shop:
        status, said = readyz(shop)
    assert status == 503
    assert "cannot be written" in said
    upgraded = run(settings.model_copy(update=changed), "upgrade")
    assert upgraded.returncode == 1
    assert "the database stopped it: " in upgraded.stderr
    assert not {"Traceback", "INSERT", "UPDATE", "SELECT"} & set(upgraded.stderr.split())


@on_postgresql
def test_a_refused_sale_tells_no_query(
    app: Flask, settings: Settings, container: Container, caplog: pytest.LogCaptureFixture
) -> None:
    """What the database refuses is told by its kind; neither page nor log has the statement."""
    code = container.start("loaf")
    preset(settings.database_url, "default_transaction_read_only = on")
    with app.app_context():
        db.engine.dispose()  # what is connected has the old default
    with capture_logs() as facts:
        assert container.callback(code).status_code == 503
        assert readyz(app)[0] == 503
        assert container.buy("loaf").status_code == 503
    told = f"{facts} {caplog.text}"
    assert "read-only transaction" in told
    assert "payment SET" not in told
    assert "Traceback" not in told


@on_postgresql
def test_writable_again(app: Flask, settings: Settings) -> None:
    """Connections from the time when a server could only be read are let go: no restart is needed."""
    preset(settings.database_url, "default_transaction_read_only = on")
    assert readyz(app)[0] == 503
    may_write = "SET default_transaction_read_only = off"
    own = make_url(settings.database_url).database
    ask(settings.database_url, may_write, f"ALTER DATABASE {own} RESET default_transaction_read_only")
    assert readyz(app) == READY


@on_postgresql
def test_an_address_with_options(app: Flask, settings: Settings) -> None:
    """What the address says of sessions is heard beside what the shop says, which nothing overrides."""
    options = {"options": "-c search_path=mine,public -c lock_timeout=1h"}
    url = make_url(settings.database_url).update_query_dict(options)
    with another(settings, database_url=url.render_as_string(hide_password=False)) as shop:
        assert readyz(shop) == READY
        with shop.app_context():
            said = [db.session.scalar(text(f"SHOW {name}")) for name in ("search_path", "lock_timeout")]
    assert said == ["mine,public", "5s"]


@on_postgresql
@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("off", "on"), ("local", "local"), ("remote_write", "remote_write"), ("remote_apply", "remote_apply")],
)
@pytest.mark.parametrize("where", ["database", "address"])
def test_a_commit_waits_for_the_disk(
    app: Flask, settings: Settings, where: str, theirs: str, ours: str
) -> None:
    """Whoever would have commits that do not wait is overruled; what waits for a standby stays as it is."""
    url = make_url(settings.database_url)
    if where == "database":
        preset(settings.database_url, f"synchronous_commit = {theirs}")
    else:
        url = url.update_query_dict({"options": f"-c synchronous_commit={theirs}"})
    address = url.render_as_string(hide_password=False)
    with another(settings, database_url=address) as shop, shop.app_context():
        for _ in range(2):  # what ends a transaction ends nothing of the session
            with transaction() as session:
                assert session.scalar(text("SHOW synchronous_commit")) == ours
            db.session.rollback()


def test_who_asks_often_writes_once(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A try that went well speaks for a moment, so that no number of questions stands in the way of sales."""
    monkeypatch.setattr(health, "KEPT_SECONDS", 60)

    def beat() -> object:
        with app.app_context():
            return db.session.scalar(text("SELECT beat_at FROM pulse"))

    before = beat()
    assert readyz(app) == READY
    first = beat()
    assert first != before
    assert readyz(app) == READY
    assert beat() == first


PROBES = 5


@on_sqlite
def test_one_tries_for_all(app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask while no sale could be made, one of them finds out, and the others hear it from it."""
    monkeypatch.setattr(health, "KEPT_SECONDS", 60)
    monkeypatch.setattr(health, "TRY_SECONDS", 0.5)
    with app.app_context():
        engine = db.engine
    tries: list[object] = []
    event.listen(engine, "checkout", lambda *connection: tries.append(connection))
    other = create_engine(settings.database_url, isolation_level="AUTOCOMMIT")
    with other.connect() as writer, ThreadPoolExecutor(PROBES) as threads:
        writer.execute(text("BEGIN IMMEDIATE"))
        answers = [threads.submit(readyz, app) for _ in range(PROBES)]
        assert [answer.result()[0] for answer in answers] == [503] * PROBES
        writer.execute(text("ROLLBACK"))
    other.dispose()
    assert len(tries) == 1


@on_sqlite
def test_a_try_that_does_not_end(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody stays in a thread for a try of another's that hangs: the shop is not ready."""
    monkeypatch.setattr(health, "TRY_SECONDS", 0.01)
    inside, go = Event(), Event()

    def hang(*connection: object) -> None:
        inside.set()
        go.wait()

    with app.app_context():
        event.listen(db.engine, "checkout", hang)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(readyz, app)
        inside.wait()
        try:
            assert threads.submit(readyz, app).result(20)[0] == 503
            assert not first.done()
        finally:
            go.set()


@on_sqlite
def test_the_revision_is_read_once(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment that changes the files below a running shop does not change what it is."""
    monkeypatch.setattr(migrate, "directory", "/nowhere")
    assert readyz(app) == READY


MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = {revision!r}, {before!r}, None, None
{mark}


def upgrade():
    op.add_column("item", sa.Column("of_{revision}", sa.Integer))


def downgrade():
    op.drop_column("item", "of_{revision}")
"""


def later_version(folder: Path, *marks: str) -> str:
    """The migrations of a version to come, which has some more than ours."""
    copytree(str(migrate.directory), folder / "migrations")
    before = health.known()[0]
    for number, mark in enumerate(marks, 9001):
        words = MIGRATION.format(revision=str(number), before=before, mark=mark)
        (folder / "migrations" / "versions" / f"{number}_later.py").write_text(words)
        before = str(number)
    return str(folder / "migrations")


def test_rolling_deploys(app: Flask, container: Container, tmp_path: Path) -> None:
    """What only adds turns no host red that is still serving, forwards and back; what breaks it does."""
    later = later_version(tmp_path, "additive = True", "additive = True", "")
    assert readyz(app) == READY
    with app.app_context():
        flask_migrate.upgrade(directory=later, revision="9002")
    assert readyz(app) == READY
    assert container.callback(container.start("loaf")).text == "OK"
    with app.app_context():
        flask_migrate.upgrade(directory=later)
    status, said = readyz(app)
    assert status == 503
    assert "at 9003" in said
    assert f"at {health.known()[0]}" in said
    assert "deploy the version that brought 9003" in said
    with app.app_context():
        flask_migrate.downgrade(directory=later, revision="9001")
    assert readyz(app) == READY


@on_sqlite
def test_an_older_version_is_started_again(app: Flask, settings: Settings, tmp_path: Path) -> None:
    """Its `storefront upgrade` leaves a newer database as it is, or refuses one it cannot live with."""
    later = later_version(tmp_path, "additive = True", "")
    with app.app_context():
        flask_migrate.upgrade(directory=later, revision="9001")
    again = run(settings, "upgrade")
    assert again.returncode == 0, again.stderr
    assert readyz(app) == READY
    with app.app_context():
        flask_migrate.upgrade(directory=later)
    refused = run(settings, "upgrade")
    assert refused.returncode == 1
    assert "deploy the version that brought 9002" in refused.stderr


def test_an_older_database(app: Flask) -> None:
    """A host of the new version is not ready before the database is, and says how to make it so."""
    with app.app_context():
        flask_migrate.downgrade(directory=migrate.directory, revision="0005")
    status, said = readyz(app)
    assert status == 503
    assert "at 0005" in said
    assert "storefront upgrade" in said


def shop_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("shop.db*"))


@on_sqlite
def test_the_file_is_moved(app: Flask, settings: Settings, container: Container, tmp_path: Path) -> None:
    """SQLite would go on writing into a file that is somewhere else: no OK, and no new file in its place."""
    code = container.start("loaf")
    away = tmp_path / "away"
    away.mkdir()
    for file in shop_files(tmp_path):
        file.rename(away / file.name)
    assert container.callback(code).status_code == 503
    assert readyz(app)[0] == 503
    assert "moved or replaced" in readyz(app)[1]
    assert container.get("/").status_code == 503
    assert shop_files(tmp_path) == []
    for file in shop_files(away):
        file.rename(tmp_path / file.name)
    assert readyz(app)[0] == 503  # until it is started again
    with another(settings) as shop:
        container.app = shop
        assert container.callback(code).text == "OK"
        assert readyz(shop) == READY


@on_sqlite
def test_the_file_is_replaced(app: Flask, container: Container, full_shelf: Path, tmp_path: Path) -> None:
    """Another database under the same name is another shop's until somebody starts on it."""
    before, after = container.start("loaf"), container.start("loaf")
    assert container.callback(before).text == "OK"
    copyfile(full_shelf, tmp_path / "other")
    (tmp_path / "other").rename(tmp_path / "shop.db")
    assert container.callback(after).status_code == 503
    assert container.callback(before).status_code == 503  # an OK that was said is not said again
    assert readyz(app)[0] == 503


@on_sqlite
def test_the_log_is_deleted(app: Flask, container: Container, tmp_path: Path) -> None:
    """A sale that only a deleted log knows would be gone at the next start."""
    code = container.start("loaf")
    (tmp_path / "shop.db-wal").unlink()
    assert container.callback(code).status_code == 503
    assert readyz(app)[0] == 503


@on_sqlite
def test_the_log_behind_a_link_is_deleted(app: Flask, settings: Settings, tmp_path: Path) -> None:
    """SQLite keeps its log beside the file that a link leads to, so it is looked for there."""
    link = tmp_path / "release" / "shop.db"
    link.parent.mkdir()
    link.symlink_to("../shop.db")
    with another(settings, database_url=f"sqlite:///{link}") as shop:
        assert readyz(shop) == READY
        (tmp_path / "shop.db-wal").unlink()
        assert readyz(shop)[0] == 503


@on_sqlite
@pytest.mark.empty_database
def test_looking_makes_no_database(settings: Settings, tmp_path: Path) -> None:
    """Only `storefront upgrade` makes a file, and it is its owner's alone, with the log beside it."""
    with another(settings) as shop, shop.app_context():
        assert readyz(shop)[0] == 503
        with pytest.raises(OperationalError):
            db.engine.connect()
        with pytest.raises(NotPossible):
            backup(tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []
    assert run(settings, "upgrade").returncode == 0
    with another(settings) as shop:
        assert readyz(shop) == READY
        assert {file.stat().st_mode & 0o777 for file in shop_files(tmp_path)} == {0o600}


@on_sqlite
@pytest.mark.empty_database
def test_a_backup_of_no_shop(settings: Settings, tmp_path: Path) -> None:
    """Where no migrated shop is nothing is copied: a copy would be taken for a backup."""
    engine = create_engine(settings.database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE other (id INTEGER)"))
    engine.dispose()
    refused = run(settings, "backup", str(tmp_path / "copy"))
    assert refused.returncode == 1
    assert "no shop is in" in refused.stderr
    assert not (tmp_path / "copy").exists()
