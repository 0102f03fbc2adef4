"""What the operator's pages take in a shop with many entries in a month: `python -m tests.bench.reports`.

Each page is asked for once, which may sum up days that are over, and then again and again.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click
from flask import Flask
from sqlalchemy import create_engine, insert, text

from storefront import Settings, clock, create_app
from storefront.db import db
from storefront.operator import reports
from storefront.shop.customers import Customer
from tests.bench.servers import open_database
from tests.bench.tables import table
from tests.databases import ENGINES, fill
from tests.operators import Operator
from tests.street import GOODS, SETTINGS

TIMES = 5
PARTS = {"day": "y", "item": "y", "device": "y"}
# Sales, oldest first; mixi's own moment is a second before ours, and of every tenth it is not known.
ENTRIES = """
INSERT INTO entry (customer_id, channel, kind, amount, unit, key, entered_at, item_id, device, platform_at)
SELECT 1, 'mixi', 'sale', 100, 'point', 'mixi:' || n, {ours},
  CASE n % 3 WHEN 0 THEN 'loaf' WHEN 1 THEN 'lantern' ELSE 'excalibur' END,
  CASE n % 2 WHEN 0 THEN 'mobile' ELSE 'pc' END,
  CASE WHEN n % 10 > 0 THEN {theirs} END
"""
NUMBERS = "WITH RECURSIVE number(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n < :last)"
TEXT = "strftime('%Y-%m-%d %H:%M:%f000', :begin, '+' || ({seconds}) || ' seconds')"
MOMENT = "CAST(:begin AS timestamptz) + ({seconds}) * interval '1 second'"


@click.command()
@click.option("--entries", default=1_000_000, show_default=True, help="Of the month that is over.")
@click.option("--database", type=click.Choice(ENGINES), multiple=True, default=ENGINES)
def main(entries: int, database: tuple[str, ...]) -> None:
    """Seconds of each page, of the first time and of the others."""
    for engine in database:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="storefront")))
            url = stack.enter_context(open_database(engine, folder))("shop")
            rows = [[page, f"{first:.2f}", f"{later:.2f}"] for page, first, later in measured(url, entries)]
            click.echo(table(f"{engine}, {entries:,} entries", ["page", "first", "then"], rows))


def measured(url: str, entries: int) -> Iterator[tuple[str, float, float]]:
    app = create_app(Settings.model_validate({**SETTINGS, "database_url": url, "catalog": GOODS}))
    fill(app)
    month = reports.last_month(clock.day(clock.now()))
    with app.app_context():
        enter(month.since, month.until, entries)
    operator = Operator(app)
    days = {"from": str(month.first), "until": str(month.last)}
    yield "Today", *seconds(operator, "/operator/today", {})
    yield "a month", *seconds(operator, "/operator/reports", {**days, **PARTS})
    yield "by the platform's moments", *seconds(operator, "/operator/reports", {**month.asks, **PARTS})
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def enter(begin: datetime, end: datetime, entries: int) -> None:
    step = (end - begin - timedelta(seconds=1)) / timedelta(seconds=1) / entries
    is_sqlite = db.engine.dialect.name == "sqlite"
    ours, theirs = (
        (TEXT if is_sqlite else MOMENT).format(seconds=one) for one in ("n * :step", "n * :step - 1")
    )
    rows = ENTRIES.format(ours=ours, theirs=theirs)
    statement = f"{NUMBERS} {rows} FROM number"
    said = {"last": entries - 1, "begin": f"{begin.astimezone(UTC):%Y-%m-%d %H:%M:%S}", "step": step}
    engine = create_engine(db.engine.url)  # the shop's own waits for no statement that long
    with engine.begin() as connection:
        connection.execute(
            insert(Customer), {"id": 1, "channel": "mixi", "external_id": "b1", "first_seen_at": begin}
        )
        connection.execute(text(statement), said)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE" if is_sqlite else "VACUUM ANALYZE"))
    engine.dispose()


def seconds(operator: Operator, path: str, asked: Mapping[str, str]) -> tuple[float, float]:
    """How long the first took, and the others in the middle."""
    first, *others = (_seconds(operator.app, operator, path, asked) for _ in range(TIMES + 1))
    return first, median(others)


def _seconds(app: Flask, operator: Operator, path: str, asked: Mapping[str, str]) -> float:
    begun = time.monotonic()
    answer = operator.client.get(path, query_string=dict(asked))
    assert answer.status_code == 200, answer.text
    return time.monotonic() - begun


if __name__ == "__main__":
    main()
