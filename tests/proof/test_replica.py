"""A streaming replica of the shop's PostgreSQL: reports are read there, and nothing is sold from it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from storefront import Settings, create_app
from tests import postgresql as servers
from tests.command import run
from tests.databases import on_postgresql
from tests.demo import wait_for
from tests.postgresql import Server
from tests.street import Container

pytestmark = [pytest.mark.long, pytest.mark.thorough, on_postgresql]

REPORTS = (["ledger"], ["ledger", "--csv"], ["ledger", "--totals"], ["outstanding"])


@pytest.fixture
def replica(postgresql: str) -> Iterator[Server]:
    """A standby of the server on which the tests have their databases."""
    with servers.replica(Server(Path(str(make_url(postgresql).query["host"])))) as standby:
        yield standby


@pytest.fixture
def there(settings: Settings, replica: Server) -> Settings:
    """The same settings with the replica's address."""
    address = make_url(settings.database_url).update_query_dict({"host": str(replica.data)})
    return settings.model_copy(update={"database_url": address.render_as_string(hide_password=False)})


def test_reports_are_read_there(settings: Settings, there: Settings, container: Container) -> None:
    """The replica tells of a sale what the shop's own database does, within a moment of it."""
    assert container.callback(container.start("loaf")).text == "OK"
    said = run(settings, "ledger").stdout
    assert " sale " in said
    wait_for(lambda: run(there, "ledger").stdout == said)
    for report in REPORTS:
        here, read = run(settings, *report), run(there, *report)
        assert (read.returncode, read.stdout) == (0, here.stdout)


def test_nothing_is_sold_there(there: Settings) -> None:
    """A shop that is told the replica's address is not ready, and no command that writes does so by half."""
    app = create_app(there)
    answer = app.test_client().get("/readyz")
    assert (answer.status_code, "cannot be written" in answer.text) == (503, True)
    upgraded = run(there, "upgrade")
    assert upgraded.returncode == 1
    assert "the database stopped it: " in upgraded.stderr
