"""What a game costs a shop that has sold nothing, and one that has sold a lot: `python -m tests.bench.game`.

Each request is asked of both shops in turn, one at a time and in this process, so that a noisy machine hits
both alike; what is printed are medians, and of the growth the median of the ratios of the same round.
"""

import random
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click
from flask import Flask
from sqlalchemy import Connection, event, insert, select, text
from werkzeug.test import TestResponse

from storefront import Settings, create_app
from storefront.db import db
from storefront.game.cursors import Cursor
from storefront.shop.customers import Customer
from storefront.shop.inventory import Grant, Kind
from tests.bench.past import Past
from tests.bench.servers import ITEM, open_database
from tests.bench.tables import ratio, table
from tests.databases import ENGINES, fill
from tests.street import GOODS, SETTINGS

TOKEN = "the token of the benchmark, of 32 characters"
EACH = 10  # grants of one customer
FEW = 100  # grants of the shop that has sold next to nothing, so that somebody holds something
PAGE = 1000
TIMES = 5  # in one round, of all but what is new
NOTHING, NEW, READ, HOLDINGS, USE = KINDS = (
    "a poll with nothing new",
    "a poll with 1,000 new changes",
    "the same once more",
    "holdings",
    "a use",
)
CUSTOMERS = """
WITH RECURSIVE number(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n < :last)
INSERT INTO customer (channel, external_id, first_seen_at) SELECT 'mixi', :name || n, :now FROM number
"""
GRANTS = """
WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < :each)
INSERT INTO "grant" (customer_id, item_id, kind, quantity, key, is_test, granted_at, place)
SELECT customer.id, :item, 'given', 100, 'hand:' || customer.external_id || '-' || n, :no, :now,
  row_number() OVER (ORDER BY customer.id, n)
FROM customer CROSS JOIN number WHERE customer.external_id LIKE 'regular%'
"""
LAST = 'UPDATE "placing" SET last = (SELECT max(place) FROM "grant")'


@dataclass
class Shop:
    """A shop with so many grants, and how far its game has read."""

    app: Flask
    grants: int
    cursor: str = ""
    before: str = ""
    newcomers: list[int] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    statements: dict[str, list[int]] = field(default_factory=dict)

    def ask(self, kind: str) -> None:
        """One request of this kind, timed; what it needs is there before."""
        if kind == NOTHING:
            self._read_on()  # to the uses of the round before
        if kind == NEW:
            self._sell()
        asked: list[str] = []

        def note(*said: object) -> None:
            asked.append(str(said[2]))

        with self.app.app_context():
            engine = db.engine
        event.listen(engine, "before_cursor_execute", note)
        began = time.perf_counter()
        answer = ASKED[kind](self)
        took = time.perf_counter() - began
        event.remove(engine, "before_cursor_execute", note)
        assert answer.status_code == 200, answer.text
        self.seconds.setdefault(kind, []).append(took)
        self.statements.setdefault(kind, []).append(len(asked))
        if kind == NEW:
            page = answer.get_json()
            assert len(page["changes"]) == PAGE
            self.before, self.cursor = self.cursor, page["cursor"]

    def get(self, path: str) -> TestResponse:
        return self.app.test_client().get(f"/game{path}", headers={"Authorization": f"Bearer {TOKEN}"})

    def use(self) -> TestResponse:
        headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": secrets.token_hex(16)}
        wish = {"channel": "mixi", "external_id": self.somebody(), "item": ITEM, "quantity": 1}
        return self.app.test_client().post("/game/uses", json=wish, headers=headers)

    def somebody(self) -> str:
        return f"regular{random.randrange(self.grants // EACH)}"  # noqa: S311  # nobody gains by guessing

    def read_to_the_end(self) -> None:
        """As a game that was there all the time."""
        last = select(Grant.place, Grant.key, Grant.granted_at).order_by(Grant.place.desc()).limit(1)
        with self.app.app_context():
            place, key, at = db.session.execute(last).one()
            self.cursor = str(Cursor.of(place or 0, key, at))

    def _read_on(self) -> None:
        self.cursor = ASKED[NEW](self).get_json()["cursor"]

    def _sell(self) -> None:
        now = datetime.now(UTC)
        same = {"item_id": ITEM, "kind": Kind.SOLD, "quantity": 1, "is_test": False, "granted_at": now}
        rows = [{**same, "customer_id": one, "key": f"mixi:{secrets.token_hex(8)}"} for one in self.newcomers]
        with self.app.app_context(), db.engine.begin() as connection:
            connection.execute(insert(db.metadata.tables[Grant.__tablename__]), rows)


ASKED: Mapping[str, Callable[[Shop], TestResponse]] = {
    NOTHING: lambda shop: shop.get(f"/changes?limit={PAGE}&after={shop.cursor}"),
    NEW: lambda shop: shop.get(f"/changes?limit={PAGE}&after={shop.cursor}"),
    READ: lambda shop: shop.get(f"/changes?limit={PAGE}&after={shop.before}"),
    HOLDINGS: lambda shop: shop.get(f"/customers/mixi/{shop.somebody()}/holdings"),
    USE: Shop.use,
}


def open_shop(url: str, grants: int) -> Shop:
    """One that has sold so often, and whose game has heard of all of it."""
    settings = {**SETTINGS, "catalog": GOODS, "database_url": url, "game_token": TOKEN}
    app = create_app(Settings.model_validate(settings))
    fill(app)
    past = Past(url)
    with past.engine.begin() as connection:
        _enrol(connection, "regular", grants // EACH)
        _enrol(connection, "newcomer", PAGE)
        values = {"each": EACH, "item": ITEM, "now": datetime.now(UTC), "no": False}
        connection.execute(text(GRANTS), values)
        connection.execute(text(LAST))
        known = Customer.external_id.like("newcomer%")
        newcomers = connection.scalars(select(Customer.id).where(known)).all()
    past.tidy()
    past.close()
    shop = Shop(app, grants, newcomers=list(newcomers))
    shop.read_to_the_end()
    return shop


def _enrol(connection: Connection, name: str, count: int) -> None:
    values = {"last": count - 1, "name": name, "now": datetime.now(UTC)}
    connection.execute(text(CUSTOMERS), values)


@click.command()
@click.option("--database", type=click.Choice(ENGINES), multiple=True)
@click.option("--grants", default=1_000_000, show_default=True)
@click.option("--rounds", default=20, show_default=True)
def main(database: tuple[str, ...], grants: int, rounds: int) -> None:
    """Polls, holdings and uses of a shop that has sold next to nothing, and of one that has sold a lot."""
    for kind in database or ENGINES:
        with TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
            url = stack.enter_context(open_database(kind, Path(folder)))
            few, many = (open_shop(url(f"shop_{count}"), count) for count in (FEW, grants))
            for number in range(rounds):
                for asked in KINDS:
                    for turn in range(1 if asked == NEW else TIMES):
                        for shop in (few, many) if (number + turn) % 2 else (many, few):
                            shop.ask(asked)
            click.echo(of_both(kind, few, many))
            for shop in (few, many):
                with shop.app.app_context():
                    db.engine.dispose()


def of_both(kind: str, few: Shop, many: Shop) -> str:
    rows = [
        [
            asked,
            *(f"{median(shop.seconds[asked]) * 1000:.1f}" for shop in (few, many)),
            f"{ratio(many.seconds[asked], few.seconds[asked]):.2f}",
            *(f"{median(shop.statements[asked]):.0f}" for shop in (few, many)),
        ]
        for asked in KINDS
    ]
    head = ["", f"ms at {few.grants:,}", f"ms at {many.grants:,}", "growth", "statements", "statements"]
    return table(f"{kind}: what a game asks, p50, one at a time", head, rows)


if __name__ == "__main__":
    main()
