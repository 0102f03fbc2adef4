"""What a hook and a day cost, side by side with the least they could: `python -m tests.bench.colorme`."""

import hmac
import json
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click
from sqlalchemy import event, insert, select
from sqlalchemy.orm import Session

from storefront import Settings, clock, create_app
from storefront.colorme import calendar, daily
from storefront.colorme.contracts import Contract
from storefront.colorme.plan_file import Form
from storefront.db import db
from storefront.shop.customers import Customer
from tests.bench.letters import HOST
from tests.bench.rounds import CONNECTIONS, Series
from tests.bench.servers import MIGRATE_SECONDS, environment_of, open_database, serve, start_reference
from tests.bench.tables import ratio, table
from tests.bench.traffic import flood
from tests.colorme import year
from tests.demo import free_ports
from tests.street import CONSUMER_SECRET, GOODS, SETTINGS

HOOKS = 100  # of one round
CONTRACTS = (10, 10_000)
SHOPS, DAYS = 10, 60  # of the year
PLAN = "LANTERN1"
KEYS = {"client_id": "an app", "client_secret": "a client secret", "webhook_secret": CONSUMER_SECRET}


@dataclass(frozen=True)
class Servers:
    shop: int
    reference: int
    numbers: Iterator[int]


@click.command()
@click.option("--database", type=click.Choice(["sqlite", "postgresql"]), multiple=True)
@click.option("--rounds", default=5, show_default=True)
def main(database: tuple[str, ...], rounds: int) -> None:
    """Install hooks under one gunicorn, the work of a day on which nothing is due, and the days of a year."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that every server is ended, too
    for kind in database or ("sqlite", "postgresql"):
        with TemporaryDirectory(prefix="bench-") as folder, servers(kind, Path(folder)) as running:
            click.echo(f"== {kind}\n")
            click.echo(of_hooks(running, rounds))
    with TemporaryDirectory(prefix="bench-") as folder:
        click.echo(of_daily(Path(folder)))
    click.echo(of_year())


@contextmanager
def servers(database: str, folder: Path) -> Iterator[Servers]:
    """The shop, and a view that checks the signature and makes one durable insert."""
    with ExitStack() as stack:
        url = stack.enter_context(open_database(database, folder))
        shop, reference = free_ports(2)
        start_reference(stack, folder, reference, url("reference"))
        settings = {**SETTINGS, **keys(), "catalog": GOODS, "public_url": f"http://{HOST}:{shop}"}
        environment = {f"STOREFRONT_{name.upper()}": str(value) for name, value in settings.items()}
        environment["STOREFRONT_DATABASE_URL"] = url("shop")
        upgrade(environment)
        stack.enter_context(serve(folder, "shop", shop, "storefront:create_app()", environment))
        yield Servers(shop, reference, count())


def upgrade(environment: dict[str, str]) -> None:
    command = [str(Path(sys.executable).parent / "storefront"), "upgrade"]
    known = environment_of(environment)
    subprocess.run(command, env=known, check=True, timeout=MIGRATE_SECONDS, stdout=subprocess.DEVNULL)


def of_hooks(running: Servers, rounds: int) -> str:
    """Each hook is of a contract of its own; both sides in turn, the first round warms up."""
    ours, theirs = Series(), Series()
    sides = ((ours, running.shop, "/colorme/install"), (theirs, running.reference, "/hook"))
    for number in range(rounds + 1):
        for series, port, path in sides:
            letters = [letter(port, path, next(running.numbers)) for _ in range(HOOKS)]
            outcome = flood(port, letters, CONNECTIONS, (200, 503))
            series.outcomes += [outcome] if number else []
    rates = ours.rates(), theirs.rates()
    refused = sum(outcome.refused for outcome in ours.outcomes)
    return table(
        "hooks a second at saturation: (a) install, (b) HMAC and one durable insert",
        ["a", "b", "a/b", "refused"],
        [[f"{median(rates[0]):.0f}", f"{median(rates[1]):.0f}", f"{ratio(*rates):.2f}", str(refused)]],
    )


def of_daily(folder: Path) -> str:
    """How often the database is asked, and for how long, where nothing is due."""
    settings = {**SETTINGS, **keys(), "database_url": f"sqlite:///{folder}/shop.db"}
    upgrade({f"STOREFRONT_{name.upper()}": str(value) for name, value in settings.items()})
    app = create_app(Settings.model_validate(settings))
    rows: list[list[str]] = []
    first = 0.0
    with app.app_context():
        for contracts in CONTRACTS:
            fill(contracts)
            measured()  # warms up
            asked, took = measured()
            first = first or took
            rows.append([f"{contracts:,}", str(asked), f"{took * 1000:.1f}", f"{took / first:.1f}"])
        db.session.remove()
        db.engine.dispose()
    return table("daily with nothing due", ["contracts", "queries", "ms", "times the first"], rows)


def of_year() -> str:
    with TemporaryDirectory(prefix="bench-") as folder, year.world(Path(folder), SHOPS, 1) as world:
        began = time.monotonic()
        world.live(DAYS)
        took = time.monotonic() - began
    return table(
        "a simulated year, store and app in one process",
        ["shops", "days a second"],
        [[str(SHOPS), f"{DAYS / took:.1f}"]],
    )


def keys() -> dict[str, str]:
    return {f"colorme_{name}": value for name, value in KEYS.items()}


def letter(port: int, path: str, number: int) -> bytes:
    """A signed hook of a contract of its own."""
    told = {
        "account_id": f"PA{number:08}",
        "application_charge_source_id": PLAN,
        "recurring_application_charge_id": f"C{number:07}",
        "mail": "shop@example.com",
    }
    body = json.dumps(told).encode()
    signature = b64encode(hmac.digest(CONSUMER_SECRET.encode(), body, "sha256")).decode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nX-Appstore-Signature: {signature}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def fill(contracts: int) -> None:
    """So many confirmed contracts of a monthly plan, none of which has to be looked at today."""
    now = calendar.now()
    today = clock.day(now)
    with Session(db.engine) as session:
        known = len(session.scalars(select(Contract.id)).all())
        numbers = range(known, contracts)
        buyers = [
            {"channel": "colorme", "external_id": f"PA{number:08}", "first_seen_at": now}
            for number in numbers
        ]
        ids = session.scalars(insert(Customer).returning(Customer.id), buyers).all() if buyers else []
        rows = [
            {
                "id": f"C{number:07}",
                "customer_id": customer,
                "plan_id": PLAN,
                "form": Form.MONTHLY,
                "monthly": 3000,
                "is_test": False,
                "arrived_at": now,
                "installed_on": today,
                "charged_from": today,
                "in_block": False,
                "confirmed_at": now,
                "reckon_on": today + timedelta(days=1),
            }
            for number, customer in zip(numbers, ids, strict=True)
        ]
        session.execute(insert(Contract), rows)
        session.commit()


def measured() -> tuple[int, float]:
    """How many statements one run takes, and how many seconds."""
    asked: list[str] = []

    def note(*said: object) -> None:
        asked.append(str(said[2]))

    event.listen(db.engine, "before_cursor_execute", note)
    began = time.monotonic()
    daily.run()
    took = time.monotonic() - began
    event.remove(db.engine, "before_cursor_execute", note)
    return len(asked), took


if __name__ == "__main__":
    main()
