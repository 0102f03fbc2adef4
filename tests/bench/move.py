"""What `storefront move` takes beside `pg_restore` of the same rows: `python -m tests.bench.move`.

In turns, each as the README says and into a database of its own, on one server whose files are in memory
where there is room.
"""

import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click
import requests

from storefront import Settings, create_app
from storefront.db import db
from tests.bench.past import Past
from tests.command import environment
from tests.databases import fill, new_database
from tests.demo import COMMAND
from tests.postgresql import fastest, server, tool
from tests.street import PLATFORM, SETTINGS, Container, ScriptedApi
from tests.test_operations import libpq
from tests.wire import Wire

OF_A_SALE = 3.1  # rows: payment, grant, entry, and a tenth of its buyer


@click.command()
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
def main(rows: int, rounds: int) -> None:
    """Move a shop that has sold a lot, and restore what has arrived once more."""
    ratios = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(dir=fastest())))
        machine = stack.enter_context(server(folder)).url
        _sell(_shop_at(f"sqlite:///{folder}/shop.db"), round(rows / OF_A_SALE))
        for _ in range(rounds):
            moved, restored = (_shop_at(new_database(machine, name)) for name in ("moved", "restored"))
            _open(moved)
            move = _seconds([COMMAND, "move", f"{folder}/shop.db"], moved)
            _seconds([tool("pg_dump"), "--format=custom", f"--file={folder}/dump", libpq(moved)])
            target = f"--dbname={libpq(restored)}"
            restore = _seconds(
                [tool("pg_restore"), "--exit-on-error", "--single-transaction", target, f"{folder}/dump"]
            )
            ratios.append(move / restore)
            click.echo(f"move {move:.1f} s, pg_restore {restore:.1f} s: {ratios[-1]:.1f}")
    click.echo(f"median of the ratios {median(ratios):.1f}")


def _shop_at(url: str) -> Settings:
    return Settings.model_validate({**SETTINGS, "database_url": url})


def _open(settings: Settings) -> Container:
    """A shop with goods, at an API that makes every payment."""
    http = requests.Session()
    http.mount(PLATFORM, Wire(ScriptedApi()))
    app = create_app(settings, http)
    fill(app)
    with app.app_context():
        db.engine.dispose()
    return Container(app)


def _sell(settings: Settings, sales: int) -> None:
    buyer = _open(settings)
    assert buyer.callback(buyer.start("loaf")).text == "OK"
    buyer.start("loaf")
    past = Past(settings.database_url)
    past.fill(sales)
    past.tidy()
    past.close()
    with buyer.app.app_context():
        db.session.remove()
        db.engine.dispose()


def _seconds(command: Sequence[str], settings: Settings | None = None) -> float:
    began = time.monotonic()
    subprocess.run(command, check=True, env=settings and environment(settings), stdout=subprocess.DEVNULL)
    return time.monotonic() - began


if __name__ == "__main__":
    main()
