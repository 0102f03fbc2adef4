"""Two games before a shop that sells, while all of them are killed: `python -m tests.game.storm --help`.

Each game is a process that keeps what it has seen and used in a file of its own, and goes on after a kill.
Buyers buy, and get their points back. Afterwards both games, the interface and the shop's database have to
say the same of every holding.
"""

import json
import os
import random
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from flask import Flask
from sqlalchemy import Engine, create_engine, func, insert, select, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from storefront.db import db
from storefront.game import uses
from storefront.game.uses import Used, Wish
from storefront.shop import changes, inventory
from storefront.shop.changes import Change
from storefront.shop.customers import Customer
from storefront.shop.inventory import Grant, Kind
from tests.bench.letters import Letters
from tests.demo import free_ports, wait_for
from tests.game.server import CARELESS, GIVES_UP, HOST, PAUSE, TABLES, TOKEN, USED, Line
from tests.proof import served
from tests.proof.served import BROKEN, CALLBACK, ROOT, Database, Served, Step
from tests.proof.storm import CUSTOMERS_FROM, DATABASES, ITEM, Mixi, Plan, mixi, owner_of, prepare, word_of
from tests.street import claims

GAMES = ("east", "west")
BUYERS = 3  # at once
USES_EACH, PAYMENTS_EACH, GIVEN = 60, 24, 60  # of one customer
SHARED = 5  # every so many uses, both games send one under the same key
PAID_BACK = 4  # every so many purchases
GOOD = b"HTTP/1.1 200"
TRIES = 5  # of a callback
END_SECONDS = 120.0
LATE = 0.03  # seconds for which a sale of a broken shop may stay open
A_KILL, A_STEP, A_RESTART, A_DEATH = 800, 3200, 3000, 3000  # requests

STEPS = (Step.IN_COMMIT, Step.BEFORE_COMMIT, Step.AFTER_COMMIT, Step.BEFORE_ANSWER)


class Broken(StrEnum):
    """A shop, or a game, that is wrong on purpose."""

    BY_ID = "changes by their ids"
    KEYLESS = "a use without its key"
    CARELESS = "a game that keeps its cursor before the changes"


@dataclass
class Played:
    """What one game has kept in its file."""

    file: Path

    def rows(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.file, timeout=GIVES_UP)) as kept:
            return kept.execute(query).fetchall()

    def answered(self) -> int:
        """How many requests of it have come to an answer of any kind."""
        return int(self.rows("SELECT coalesce(sum(times), 0) FROM heard WHERE status > 0")[0][0])

    def is_through(self) -> bool:
        return not self.rows("SELECT 1 FROM wish WHERE status IS NULL LIMIT 1")


class Table:
    """The games that play: each a process, begun again when it is killed."""

    def __init__(self, folder: Path, port: int, seed: int, is_careless: bool) -> None:
        self.folder, self.port, self.seed, self.is_careless = folder, port, seed, is_careless
        self.games = {name: Played(folder / f"{name}.game") for name in GAMES}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.begun = 0

    def lay(self, wishes: Mapping[str, Sequence[tuple[str, str, str, int]]]) -> None:
        for name, game in self.games.items():
            with closing(sqlite3.connect(game.file)) as kept:
                kept.executescript(TABLES)
                rows = wishes[name]
                kept.executemany("INSERT INTO wish VALUES (?, ?, ?, ?, NULL, NULL)", rows)
                kept.commit()

    def begin(self, name: str) -> None:
        self.begun += 1
        words = [str(self.games[name].file), str(self.port), str(self.seed + self.begun)]
        command = [sys.executable, "-m", "tests.game.server", *words]
        with (self.folder / f"{name}.log").open("a") as log:
            self.processes[name] = subprocess.Popen(
                command + [CARELESS] * self.is_careless, cwd=ROOT, stdout=log, stderr=log
            )

    def kill(self, name: str) -> None:
        """In whatever it does, and at once begin anew."""
        self.processes[name].kill()
        self.processes[name].wait()
        self.begin(name)

    def answered(self) -> int:
        return sum(game.answered() for game in self.games.values())

    def end(self) -> None:
        """Have both read on until there is nothing more."""
        for game in self.games.values():
            game.file.with_suffix(".end").touch()
        for process in self.processes.values():
            process.wait(END_SECONDS)

    def clear(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


@dataclass
class Report:
    """What happened, and what should not have."""

    database: str
    seed: int
    requests: int
    seconds: float = 0.0
    blows: Counter[str] = field(default_factory=Counter)
    heard: Counter[str] = field(default_factory=Counter)
    counted: dict[str, int] = field(default_factory=dict)
    wrong: dict[str, int] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return not any(self.wrong.values())

    def __str__(self) -> str:
        blows = ", ".join(f"{count} × {name}" for name, count in sorted(self.blows.items()))
        rows = [f"{count:9,}  {name}" for name, count in [*sorted(self.heard.items()), *self.counted.items()]]
        wrong = [f"{count:9,}  {name}" for name, count in self.wrong.items()]
        word = "All of them say the same." if self.holds else "THEY DO NOT SAY THE SAME."
        head = f"{self.database}: seed {self.seed}, {self.seconds:.0f} s; {blows}"
        return "\n".join([head, "", *rows, "", "must be 0:", *wrong, "", word, ""])


def storm(kind: str, requests: int, seed: int, seconds: float, broken: Broken | None = None) -> Report:
    """So many uses and polls of both games together, from an empty shop to the last change."""
    report = Report(kind, seed, requests)
    rng = random.Random(seed)  # noqa: S311  # as above
    customers = max(4, requests // 2 // USES_EACH)
    numbers = range(customers * PAYMENTS_EACH)
    plan = Plan({f"{rng.getrandbits(64):016x}": number // 2 % customers for number in numbers}, [])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        base, api = stack.enter_context(served.database(kind, folder)), stack.enter_context(mixi())
        port = free_ports(1)[0]
        settings = {"STOREFRONT_GAME_TOKEN": TOKEN, "STOREFRONT_MIXI_CONFIRM_SECONDS": "5"}
        application = "tests.game.storm:create_app()"
        shop = stack.enter_context(
            served.shop(folder, port, base.url, api.address, broken, application, **settings)
        )
        engine = create_engine(base.url, poolclass=NullPool)  # a restart leaves nothing behind
        prepare(engine, plan)
        _give(engine, customers)
        table = Table(folder, port, seed, broken is Broken.CARELESS)
        stack.callback(table.clear)
        table.lay(_wishes(rng, requests // 2, customers))
        began = time.monotonic()
        _play(report, table, shop, base, Buyers(port, api, plan), rng, began + seconds)
        report.seconds = time.monotonic() - began
        check(report, table, engine, port)
        report.wrong["tracebacks in the shop's log"] = shop.words().count("Traceback")
        logs = [(folder / f"{name}.log").read_text() for name in GAMES]
        report.wrong["tracebacks in the games' logs"] = sum(log.count("Traceback") for log in logs)
    return report


def _give(engine: Engine, customers: int) -> None:
    """What everybody had before a game was connected."""
    same = {"item_id": ITEM, "kind": Kind.GIVEN, "quantity": GIVEN, "is_test": False}
    rows = [
        {**same, "customer_id": CUSTOMERS_FROM + n, "key": f"hand:{n}", "granted_at": datetime.now(UTC)}
        for n in range(customers)
    ]
    with engine.begin() as connection:
        connection.execute(insert(db.metadata.tables[Grant.__tablename__]), rows)


def _wishes(
    rng: random.Random, count: int, customers: int
) -> Mapping[str, Sequence[tuple[str, str, str, int]]]:
    """What each game will use; some of it under the same key in both, in another turn."""
    wishes: dict[str, list[tuple[str, str, str, int]]] = {name: [] for name in GAMES}
    for number in range(count):
        who, item = owner_of(rng.randrange(customers)), "lantern" if rng.random() < 0.01 else ITEM
        key, quantity = f"{rng.getrandbits(80):020x}", rng.choice((1, 1, 1, 2))
        shared = number % SHARED == 0
        for name in GAMES if shared else (GAMES[number % 2],):
            wishes[name].append((key, who, item, quantity))
    return wishes


class Buyers:
    """Who buys, and may get the points back, each payment once."""

    def __init__(self, port: int, api: Mixi, plan: Plan) -> None:
        self.letters, self.api = Letters(port), api
        self.payments = enumerate(plan.payments.items())
        api.complete = set(plan.payments)
        self.taking = threading.Lock()
        self.bought = 0

    def buy_all(self, may_go_on: Callable[[], bool]) -> None:
        while may_go_on() and (taken := self._next()):
            number, (code, customer) = taken
            owner = owner_of(customer)
            letter = self.letters.callback(f"{CALLBACK}/{word_of(code)}", code, owner)
            if not self._is_bought(letter, may_go_on):
                continue  # sold out, or too often for one person
            self.bought += 1
            if number % PAID_BACK == 1 and customer % 3:  # of some, every use can be followed
                self.api.paid_back.add(code)
                self._is_heard(self.letters.get("/inventory", claims(owner)))
            time.sleep(PAUSE)

    def _next(self) -> tuple[int, tuple[str, int]] | None:
        with self.taking:
            return next(self.payments, None)

    def _is_bought(self, letter: bytes, may_go_on: Callable[[], bool]) -> bool:
        for _ in range(TRIES):
            if not may_go_on() or self._is_heard(letter):
                return may_go_on()
            time.sleep(PAUSE)
        return False

    def _is_heard(self, letter: bytes) -> bool:
        address = (HOST, self.letters.port)
        with suppress(OSError), socket.create_connection(address, GIVES_UP) as line:
            line.sendall(letter)
            return line.makefile("rb").read(len(GOOD)) == GOOD
        return False


def _play(
    report: Report,
    table: Table,
    shop: Served,
    base: Database,
    buyers: Buyers,
    rng: random.Random,
    until: float,
) -> None:
    """Let all of them go on until the games have used everything and asked so often; strike meanwhile."""
    over = threading.Event()
    with ThreadPoolExecutor(BUYERS) as people:
        buying = [people.submit(buyers.buy_all, lambda: not over.is_set()) for _ in range(BUYERS)]
        try:
            for name in GAMES:
                table.begin(name)
            for moment, name, blow in _blows(report.requests, table, shop, base, rng):
                _wait(lambda moment=moment: table.answered() >= moment, until)  # type: ignore[misc]
                blow()
                report.blows[name] += 1
            _wait(lambda: table.answered() >= report.requests, until)
            _wait(lambda: all(game.is_through() for game in table.games.values()), until)
        finally:
            over.set()
        for one in buying:
            one.result()
    report.wrong["servers that stopped by themselves"] = int(shop.process.poll() is not None)
    report.counted["purchases"] = buyers.bought
    table.end()


def _wait(condition: Callable[[], bool], until: float) -> None:
    wait_for(condition, max(1.0, until - time.monotonic()))


def _blows(
    requests: int, table: Table, shop: Served, base: Database, rng: random.Random
) -> list[tuple[int, str, Callable[[], None]]]:
    """At how many requests who is struck."""
    server = base.server

    def worker() -> None:
        if living := shop.workers():
            with suppress(ProcessLookupError):
                os.kill(rng.choice(living), signal.SIGKILL)

    def backend() -> None:
        with closing(create_engine(base.url, poolclass=NullPool).connect()) as connection:
            others = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
            pids = connection.scalars(text(f"{others} AND pid <> pg_backend_pid()")).all()
        if pids:
            os.kill(rng.choice(pids), signal.SIGKILL)

    def restart() -> None:
        assert server
        server.crash()
        server.start()

    def often(
        name: str, each: int, blow: Callable[[], None], least: int = 1
    ) -> list[tuple[int, str, Callable[[], None]]]:
        count = max(least, requests // each)
        return [(rng.randrange(requests // 10, requests * 9 // 10), name, blow) for _ in range(count)]

    blows = often("worker killed", A_KILL, worker)
    for step in STEPS:
        blows += often(f"worker killed {step}", A_STEP, partial(shop.kill_at, step), int(step is STEPS[0]))
    for name in GAMES:
        blows += often("game killed", A_DEATH, partial(table.kill, name))
    if server:
        blows += often("backend of the database killed", A_RESTART, backend)
        blows += often("database stopped at once, and started", A_RESTART, restart, 0)
    return sorted(blows, key=itemgetter(0))


def check(report: Report, table: Table, engine: Engine, port: int) -> None:
    """Both games, the interface and the database, side by side."""
    with Session(engine) as session:
        grants = session.execute(
            select(Grant.key, Customer.external_id, Grant.item_id, Grant.quantity, Grant.kind)
            .join(Customer)
            .order_by(Grant.place)
        ).all()
        left = session.scalar(text('SELECT count(*) FROM game_use WHERE "left" < 0'))
        unplaced = session.scalar(select(func.count()).where(Grant.place.is_(None)))
    wrong, counted = report.wrong, report.counted
    own = _sums((who, item, quantity) for _, who, item, quantity, _ in grants)
    paths = []
    for name, game in table.games.items():
        seen = game.rows("SELECT cause, who, item, quantity, cursor FROM seen ORDER BY rowid")
        causes, keys = [row[0] for row in seen], {row.key for row in grants}
        paths.append(causes)
        places = [int(row[4].split(".")[0]) for row in seen]
        wrong[f"{name}: changes seen twice"] = len(causes) - len(set(causes))
        wrong[f"{name}: changes missed"] = len(keys - set(causes))
        wrong[f"{name}: changes that are not in the database"] = len(
            set(causes) - {row.key for row in grants}
        )
        wrong[f"{name}: places out of turn"] = sum(a >= b for a, b in pairwise(places))
        sums = _sums((who, item, quantity) for _, who, item, quantity, _ in seen)
        wrong[f"{name}: holdings whose changes have another sum"] = _differences(sums, own)
        wrong[f"{name}: other answers to a key"] = len(game.rows("SELECT * FROM fault"))
        for what, status, times in game.rows("SELECT * FROM heard"):
            report.heard[f"{what}: {status or 'no answer'}"] += times
    wrong["changes in another order in one game"] = int(paths[0] != paths[1])
    wrong["holdings that the interface says otherwise"] = _differences(_told(port, own), own)
    _check_uses(report, table, grants)
    wrong["uses that left less than nothing"] = left or 0
    wrong["grants without a place"] = unplaced or 0
    counted["changes"] = len(grants)
    counted["taken back"] = sum(row.kind is Kind.TAKEN_BACK for row in grants)
    counted["requests that were too few"] = max(0, report.requests - table.answered())


def _check_uses(report: Report, table: Table, grants: Sequence[Any]) -> None:
    wished = [row for game in table.games.values() for row in game.rows("SELECT * FROM wish")]
    heard = {key: (who, item, quantity) for key, who, item, quantity, status, _ in wished if status == USED}
    answers: dict[str, set[str]] = {}
    for key, _, _, _, status, answer in wished:
        if status == USED:
            answers.setdefault(key, set()).add(answer)
    used = [row for row in grants if row.kind is Kind.USED]
    by_key = {row.key.removeprefix("game:"): (row.external_id, row.item_id, -row.quantity) for row in used}
    never = {row.external_id for row in grants} - {
        row.external_id for row in grants if row.kind is Kind.TAKEN_BACK
    }
    held: Counter[tuple[str, str]] = Counter()
    below = 0
    for row in grants:
        held[row.external_id, row.item_id] += row.quantity if row.kind is not Kind.TAKEN_BACK else 0
        below += row.kind is Kind.USED and held[row.external_id, row.item_id] < 0
    report.wrong |= {
        "uses that were heard of and are not in the database": len(heard.keys() - by_key.keys()),
        "uses that nobody has heard of": len(by_key.keys() - heard.keys()),
        "uses of something else": sum(by_key.get(key, wish) != wish for key, wish in heard.items()),
        "keys with two answers": sum(len(each) > 1 for each in answers.values()),
        "uses below zero": below,
    }
    report.counted |= {
        "keys": len({row[0] for row in wished}),
        "keys that both games sent, and both heard of": sum(
            count > 1 for count in Counter(row[0] for row in wished if row[4] == USED).values()
        ),
        "uses": len(used),
        "customers who were never paid back": len(never),
    }


def _sums(rows: Iterator[tuple[str, str, int]]) -> Counter[tuple[str, str]]:
    sums: Counter[tuple[str, str]] = Counter()
    for who, item, quantity in rows:
        sums[who, item] += quantity
    return sums


def _told(port: int, own: Counter[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """What the interface says of all of them."""
    told: Counter[tuple[str, str]] = Counter()
    with closing(Line(port)) as line:
        for who in {who for who, _ in own}:
            status, words = line.ask("GET", f"/game/customers/mixi/{who}/holdings")
            held = json.loads(words)["holdings"] if status == USED else []
            told.update({(who, one["item"]): one["quantity"] for one in held})
    return told


def _differences(some: Counter[tuple[str, str]], others: Counter[tuple[str, str]]) -> int:
    return sum(some[key] != others[key] for key in some.keys() | others.keys())


def create_app() -> Flask:
    """What gunicorn loads: the shop, ready to be killed, and broken if that is asked for."""
    broken = os.environ[BROKEN]
    if broken == Broken.BY_ID:
        changes.following, changes.at = _by_id, _at_id
        inventory.grant = partial(_open_for_a_while, inventory.grant)
    if broken == Broken.KEYLESS:
        uses.use = partial(_keyless, uses.use)
    return served.create_app()


def _by_id(place: int, most: int) -> tuple[Sequence[Change], bool]:
    """As whoever believes in ids would read them."""
    query = select(Grant.id, *changes.ROW[1:]).join(Customer, Customer.id == Grant.customer_id)
    rows = db.session.execute(query.where(Grant.id > place).order_by(Grant.id).limit(most + 1))
    found = [Change(*row) for row in rows]
    return found[:most], len(found) > most


def _at_id(place: int) -> tuple[str, datetime] | None:
    row = db.session.execute(select(Grant.key, Grant.granted_at).filter_by(id=place)).one_or_none()
    return row and (row.key, row.granted_at)


def _open_for_a_while(grant: Callable[..., None], *arguments: Any, **more: Any) -> None:
    grant(*arguments, **more)
    time.sleep(random.uniform(0, LATE))  # noqa: S311


def _keyless(use: Callable[..., Used], wish: Wish, key: str, now: datetime) -> Used:
    """As often as it is asked for."""
    return use(wish, f"{key}-{secrets.token_hex(4)}", now)


@click.command()
@click.option("--requests", default=10_000, show_default=True, help="Uses and polls, of both games together.")
@click.option("--database", default="both", show_default=True, type=click.Choice([*DATABASES, "both"]))
@click.option("--seed", default=1, show_default=True)
@click.option("--minutes", default=15.0, show_default=True, help="After that it fails.")
def main(requests: int, database: str, seed: int, minutes: float) -> None:
    """Play, sell, pay back and kill, and then hold everybody's books side by side."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # or the servers would outlive us
    reports = []
    for kind in DATABASES if database == "both" else (database,):
        reports.append(storm(kind, requests, seed, minutes * 60))
        click.echo(str(reports[-1]))
    sys.exit(not all(report.holds for report in reports))


if __name__ == "__main__":
    main()
