"""What a shop has sold already: copies of one real sale, made inside its database.

Copying a row that the shop itself wrote keeps this free of knowledge about its columns.
"""

import random
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    String,
    Table,
    Update,
    cast,
    create_engine,
    func,
    insert,
    inspect,
    literal,
    select,
    text,
    true,
    update,
)
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from storefront.db import db
from storefront.mixi import callback_word
from storefront.mixi.payments import Payment, Status
from storefront.shop import books
from storefront.shop.catalog import Item
from storefront.shop.customers import Customer
from storefront.shop.inventory import Grant
from storefront.shop.ledger import Entry

EACH = 10  # earlier payments of one customer
PLENTY = 1_000_000_000
BUYERS = 500  # customers who buy during a run; more of them stand by
# Knuth's multiplicative hash: scatters 1, 2, 3 … over 32 bits, no two alike.
MULTIPLIER, RANGE = 2654435761, 2**32

PAYMENT, GRANT, ENTRY, CUSTOMER = (
    db.metadata.tables[model.__tablename__] for model in (Payment, Grant, Entry, Customer)
)


class Past:
    """The rows of one shop's database, seen from outside."""

    def __init__(self, url: str) -> None:
        self.engine = create_engine(url)
        self.buyers: list[tuple[int, str]] = []
        self.prepared: dict[str, Any] = {}

    def fill(self, earlier: int) -> None:
        """Add so many completed payments with their customers, grants and entries.

        The shop has sold once and has one payment in state create; these are the models.
        """
        with self.engine.begin() as connection:
            if self.engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA cache_size=-500000")
            # Long ago, so the platform has confirmed it.
            connection.execute(_confirmed())
            sold = connection.execute(select(PAYMENT).where(PAYMENT.c.status == Status.COMPLETE)).one()
            made = connection.execute(select(PAYMENT).where(PAYMENT.c.status == Status.CREATE)).one()
            self.prepared = dict(made._mapping)
            self._copy_customers(connection, sold.customer_id, max(BUYERS, earlier // EACH))
            if earlier:
                self._copy_sales(connection, sold.point_code, min(EACH, earlier))
            others = select(CUSTOMER.c.id, CUSTOMER.c.external_id).where(CUSTOMER.c.id != sold.customer_id)
            rows = connection.execute(others.order_by(CUSTOMER.c.external_id).limit(BUYERS))
            self.buyers = [(row.id, row.external_id) for row in rows]

    def prepare(self, count: int) -> list[tuple[str, str, str]]:
        """Add payments in state create; their codes, owners and words."""
        buyers = random.choices(self.buyers, k=count)  # noqa: S311  # nobody gains by guessing
        now = datetime.now(UTC)
        rows = [
            {
                **self.prepared,
                "point_code": secrets.token_hex(10),
                "customer_id": customer_id,
                "owner_id": owner_id,
                "word": callback_word.new(),
                "created_at": now,
            }
            for customer_id, owner_id in buyers
        ]
        with self.engine.begin() as connection:
            connection.execute(insert(PAYMENT), rows)
        return [(row["point_code"], row["owner_id"], row["word"]) for row in rows]

    def confirm(self) -> None:
        """Have the platform's word for everything that was sold."""
        with self.engine.begin() as connection:
            connection.execute(_confirmed())

    def limit(self, item: str) -> None:
        """Give an item a stock and a limit a person, neither of which is ever reached."""
        limits = update(Item).where(Item.id == item).values(stock=PLENTY, per_customer=PLENTY)
        with Session(self.engine) as session:
            session.execute(limits)
            books.rebuild(session)
            session.commit()
        self.tidy()

    def newest(self) -> tuple[str, str]:
        """Code and word of the payment that was started last."""
        with self.engine.connect() as connection:
            started = select(PAYMENT.c.point_code, PAYMENT.c.word).order_by(PAYMENT.c.created_at.desc())
            code, word = connection.execute(started.limit(1)).one()
            return code, word

    def tidy(self) -> None:
        """Let the database know what it holds, and have all of it on the disk."""
        sqlite = self.engine.dialect.name == "sqlite"
        words = ("ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)") if sqlite else ("VACUUM ANALYZE", "CHECKPOINT")
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for word in words:
                connection.execute(text(word))

    def grants(self) -> int:
        with self.engine.connect() as connection:
            return connection.scalar(select(func.count()).select_from(GRANT)) or 0

    def close(self) -> None:
        self.engine.dispose()

    def _copy_customers(self, connection: Connection, model: int, count: int) -> None:
        numbers = _numbers(count)
        scattered = (
            cast(numbers.c.n, BigInteger) * literal(MULTIPLIER, BigInteger) % literal(RANGE, BigInteger)
        )
        changes = {"external_id": literal("b") + cast(scattered, String)}
        _copy(connection, CUSTOMER, changes, CUSTOMER.join(numbers, true()), CUSTOMER.c.id == model)

    def _copy_sales(self, connection: Connection, model: str, each: int) -> None:
        numbers, buyers = _numbers(each), CUSTOMER.alias()
        changes = {
            "point_code": buyers.c.external_id + literal("x") + cast(numbers.c.n, String),
            "customer_id": buyers.c.id,
            "owner_id": buyers.c.external_id,
        }
        rows = PAYMENT.join(buyers, PAYMENT.c.customer_id != buyers.c.id).join(numbers, true())
        _copy(connection, PAYMENT, changes, rows, PAYMENT.c.point_code == model)
        for table in (GRANT, ENTRY):
            key = func.replace(table.c.key, model, PAYMENT.c.point_code)
            _copy(
                connection,
                table,
                {"customer_id": PAYMENT.c.customer_id, "key": key},
                table.join(PAYMENT, (PAYMENT.c.status == Status.COMPLETE) & (PAYMENT.c.point_code != model)),
                true(),
            )


def _confirmed() -> Update:
    unconfirmed = (PAYMENT.c.status == Status.COMPLETE) & PAYMENT.c.confirmed_at.is_(None)
    return update(PAYMENT).where(unconfirmed).values(confirmed_at=PAYMENT.c.settled_at)


def _copy(
    connection: Connection,
    table: Table,
    changes: Mapping[str, ColumnElement[Any]],
    rows: FromClause,
    where: ColumnElement[bool],
) -> None:
    """Insert into a table what it already says, but for `changes`; ids are given anew.

    An earlier version's database may lack a column.
    """
    there = {column["name"] for column in inspect(connection).get_columns(table.name)}
    names = [column.name for column in table.c if column.name != "id" and column.name in there]
    values: Select[Any] = select(*(changes.get(name, table.c[name]) for name in names))
    copies = values.select_from(rows).where(where)
    connection.execute(insert(table).from_select(names, copies))


def _numbers(count: int) -> CTE:
    """A table of 1 to `count`, in its column `n`."""
    numbers = select(literal(1).label("n")).cte("numbers", recursive=True)
    return numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n < count))
