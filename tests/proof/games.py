"""Two games that use and follow while all around is killed: `python -m tests.proof.games --help`.

Each game is a process with a file of its own: what it wants to use, what it was answered, and the changes it
has read, each page with its cursor. Killed, it begins again from that file. Meanwhile buyers buy and are
paid back. At the end what both have read is held against the shop's interface and its grants.
"""

import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from sqlalchemy import create_engine, insert, select
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from storefront.clock import now
from storefront.db import db
from storefront.shop.inventory import Grant, Kind
from tests.demo import free_ports
from tests.proof import served, storm
from tests.proof.served import HOST, Broken, Database, Served
from tests.proof.storm import CUSTOMERS_FROM, DATABASES, Delivery, Plan, Sort

TOKEN = "a token of the proofs, and of nobody else"
GAMES = ("harbour", "hills")
LINES = 3  # that a game uses on at once
HELD = 40  # loaves that everybody begins with; fewer than some will want, so that some hear "too few"
EVERYBODY = 60
MOST_WANTED = 3
SHARED = 0.2  # of the keys are sent by both games
AGAIN = 0.1  # of the uses are sent once more after their answer
LIMITS = (1, 7, 100, 1000)
PAUSE = 0.05
USES_A_BLOW = 1000
SALES_A_USE, PAID_BACK = 0.1, 0.4
HTTP_SECONDS = 20.0
USED, TOO_FEW = 200, 409


@dataclass(frozen=True)
class Wish:
    """A use that a game wants, under a key of its own or one that both have."""

    key: str
    owner: str
    quantity: int


@dataclass
class Report:
    """What was counted, and what must be 0."""

    database: str
    seed: int
    seconds: float = 0.0
    blows: Counter[str] = field(default_factory=Counter)
    counted: dict[str, int] = field(default_factory=dict)
    wrong: dict[str, int] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return not any(self.wrong.values())

    def __str__(self) -> str:
        blows = ", ".join(f"{count} × {blow}" for blow, count in sorted(self.blows.items()))
        counted = [f"{count:9,}  {name}" for name, count in self.counted.items()]
        wrong = [f"{count:9,}  {name}" for name, count in self.wrong.items()]
        word = "Games and shop agree." if self.holds else "GAMES AND SHOP DIFFER."
        head = f"{self.database}: seed {self.seed}, {self.seconds:.0f} s; {blows}"
        return "\n".join([head, "", *counted, "", "must be 0:", *wrong, "", word, ""])


@click.command()
@click.option("--uses", default=10_000, show_default=True, type=click.IntRange(min=2))
@click.option("--database", default="both", show_default=True, type=click.Choice([*DATABASES, "both"]))
@click.option("--seed", default=1, show_default=True)
@click.option("--minutes", default=15.0, show_default=True, help="After that it is cut short, and fails.")
def main(uses: int, database: str, seed: int, minutes: float) -> None:
    """Let two games use and follow, kill whatever runs meanwhile, and compare.

    Exit status 1 if anything that must be 0 is not.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # or the servers would outlive us
    reports = []
    for kind in DATABASES if database == "both" else (database,):
        reports.append(play(kind, uses, seed, minutes * 60))
        click.echo(str(reports[-1]))
    sys.exit(not all(report.holds for report in reports))


def play(kind: str, uses: int, seed: int, seconds: float, broken: Broken | None = None) -> Report:
    """Both games on one kind of database, from an empty one to the comparison."""
    report = Report(kind, seed)
    rng = random.Random(seed)  # noqa: S311  # nobody gains by guessing
    wishes = _wishes(rng, uses)
    sales = _sales(rng, int(uses * SALES_A_USE))
    with TemporaryDirectory() as name, served.database(kind, Path(name)) as base, storm._api() as api:
        folder, port = Path(name), free_ports(1)[0]
        engine = create_engine(base.url, poolclass=NullPool)  # a restart leaves nothing behind
        settings = {"STOREFRONT_GAME_TOKEN": TOKEN, "STOREFRONT_GAME_AT_ONCE": "8"}
        with served.shop(folder, port, base.url, api.address, broken, **settings) as shop:
            storm._prepare(engine, sales)
            _stock_up(engine, sales)
            api.paid_back = set(rng.sample(list(sales.payments), int(len(sales.payments) * PAID_BACK)))
            api.complete = set(sales.payments)
            until, began = time.monotonic() + seconds, time.monotonic()
            with _games(folder, port, wishes) as games:
                with ThreadPoolExecutor(1) as buyers:
                    buying = buyers.submit(_buy, port, sales, api.paid_back, until)
                    _strike(report, shop, base, games, rng, until)
                    report.counted["sales with an OK"], report.counted["visits"] = buying.result()
                games.end(until)
            report.seconds = time.monotonic() - began
            _compare(report, port, engine, wishes, [Told.read(folder / game) for game in GAMES], games)
            report.wrong["tracebacks in the shop's log"] = shop.words().count("Traceback")
        engine.dispose()
    return report


def _wishes(rng: random.Random, uses: int) -> Mapping[str, Sequence[Wish]]:
    """What each game wants to use; some keys are in both lists, with the same wish."""

    def wish(key: str) -> Wish:
        return Wish(key, storm._owner(rng.randrange(EVERYBODY)), rng.randint(1, MOST_WANTED))

    each, both = uses // len(GAMES), int(uses // len(GAMES) * SHARED)
    shared = [wish(f"both-{number}") for number in range(both)]
    own = {game: [wish(f"{game}-{number}") for number in range(each - both)] for game in GAMES}
    return {game: rng.sample(shared + mine, each) for game, mine in own.items()}


def _sales(rng: random.Random, count: int) -> Plan:
    codes = {
        f"{rng.getrandbits(64):016x}{number:06d}": number % EVERYBODY
        for number in range(max(EVERYBODY, count))
    }
    return Plan(codes, [Delivery(Sort.FIRST, code, storm._owner(who)) for code, who in codes.items()])


def _stock_up(engine: Any, plan: Plan) -> None:
    """Everybody has bought loaves before the games begin."""
    rows = [
        {
            "customer_id": CUSTOMERS_FROM + number,
            "item_id": storm.ITEM,
            "kind": Kind.SOLD,
            "quantity": HELD,
            "key": f"before:{number}",
            "is_test": False,
            "granted_at": now(),
        }
        for number in sorted(set(plan.payments.values()))
    ]
    with engine.begin() as connection:
        connection.execute(insert(db.metadata.tables[Grant.__tablename__]), rows)


def _buy(port: int, sales: Plan, paid_back: set[str], until: float) -> tuple[int, int]:
    """Complete the sales one after another, while games use; who is paid back opens their bag at once."""
    oks = visits = 0
    line = HTTPConnection(HOST, port, timeout=HTTP_SECONDS)
    for number, delivery in enumerate(sales.deliveries):
        if time.monotonic() > until:
            break
        oks += storm._deliver(line, port, number, delivery).answer == storm.OK
        line.close()
        if delivery.code in paid_back:
            visits += storm._visit(port, delivery.owner)
    return oks, visits


def _strike(
    report: Report, shop: Served, base: Database, games: "Games", rng: random.Random, until: float
) -> None:
    """After every so many answers a worker of the shop, a game or the database is killed."""
    blows = ["worker", "game", "worker", "database" if base.server else "worker"]
    due = USES_A_BLOW
    while games.answered() < games.wanted and time.monotonic() < until:
        if games.answered() >= min(due, games.wanted - 1):
            due += USES_A_BLOW
            blow = blows[report.blows.total() % len(blows)]
            report.blows[f"{blow} killed"] += 1
            if blow == "worker" and (workers := shop.workers()):
                storm._tell(rng.choice(workers), signal.SIGKILL)
            elif blow == "game":
                games.kill(rng.choice(GAMES))
            elif base.server:
                base.server.crash()
                base.server.start()
        time.sleep(PAUSE)


class Games:
    """The two processes."""

    def __init__(self, folder: Path, port: int, wishes: Mapping[str, Sequence[Wish]]) -> None:
        self.folder, self.port, self.wishes = folder, port, wishes
        self.wanted = sum(map(len, wishes.values()))
        self.processes: dict[str, SpawnProcess] = {}

    def start(self, game: str) -> None:
        asked = (self.port, self.folder / game, self.wishes[game])
        self.processes[game] = get_context("spawn").Process(target=serve, args=asked)
        self.processes[game].start()

    def kill(self, game: str) -> None:
        """Kill -9 in the midst of whatever it does, and start it again."""
        self.processes[game].kill()
        self.processes[game].join()
        self.start(game)

    def answered(self) -> int:
        return sum(_lines(self.folder / game / "answers") for game in GAMES)

    def end(self, until: float) -> None:
        """Let them read the rest, and stop."""
        (self.folder / "enough").touch()
        for process in self.processes.values():
            process.join(max(1.0, until - time.monotonic()))


@contextmanager
def _games(folder: Path, port: int, wishes: Mapping[str, Sequence[Wish]]) -> Iterator[Games]:
    games = Games(folder, port, wishes)
    for game in GAMES:
        (folder / game).mkdir()
        games.start(game)
    try:
        yield games
    finally:
        for process in games.processes.values():
            process.kill()


def serve(port: int, folder: Path, wishes: Sequence[Wish]) -> None:
    """A game: it uses what is still unanswered and follows what changes, until there is enough of both."""
    told = Told.read(folder)
    left = [wish for wish in wishes if wish.key not in told.answers]
    lock = threading.Lock()

    def use() -> None:
        line, rng = Line(port), random.Random()  # noqa: S311  # as above
        while True:
            with lock:
                if not left:
                    return
                wish = left.pop()
            answer = line.use(wish)
            if rng.random() < AGAIN:
                again = line.use(wish)
                answer = (
                    again if answer[0] == TOO_FEW else answer if again == answer else (0, "another answer")
                )
            with lock:
                _append(folder / "answers", [wish.key, *answer])

    with ThreadPoolExecutor(LINES + 1) as threads:
        using = [threads.submit(use) for _ in range(LINES)]
        following = threads.submit(_follow, port, folder, told)
        for each in (*using, following):
            each.result()


def _follow(port: int, folder: Path, told: "Told") -> None:
    """Read on from the cursor that is kept; page and cursor are written as one line, or not at all."""
    line, rng, cursor = Line(port), random.Random(), told.cursor  # noqa: S311  # as above
    while True:
        enough = (folder.parent / "enough").exists()
        page = line.changes(cursor, rng.choice(LIMITS))
        if page["changes"]:
            cursor = page["cursor"]
            _append(folder / "pages", [cursor, page["changes"]])
        elif enough:
            return
        else:
            time.sleep(PAUSE)


class Line:
    """A game's line to the shop: it asks until it is answered."""

    def __init__(self, port: int) -> None:
        self.line = HTTPConnection(HOST, port, timeout=HTTP_SECONDS)

    def use(self, wish: Wish) -> tuple[int, str]:
        body = {"channel": "mixi", "external_id": wish.owner, "item": storm.ITEM, "quantity": wish.quantity}
        headers = {"Idempotency-Key": wish.key, "Content-Type": "application/json"}
        return self._ask("POST", "/game/uses", json.dumps(body), headers, {USED, TOO_FEW})

    def changes(self, cursor: str, limit: int) -> Any:
        after = f"&after={cursor}" if cursor else ""
        return json.loads(self._ask("GET", f"/game/changes?limit={limit}{after}", None, {}, {200})[1])

    def holdings(self, owner: str) -> Mapping[str, int]:
        said = self._ask("GET", f"/game/customers/mixi/{owner}/holdings", None, {}, {200})[1]
        return {one["item"]: one["quantity"] for one in json.loads(said)["holdings"]}

    def _ask(
        self, method: str, path: str, body: str | None, headers: Mapping[str, str], answers: set[int]
    ) -> tuple[int, str]:
        while True:
            with suppress(OSError, HTTPException):
                token = {"Authorization": f"Bearer {TOKEN}"}
                self.line.request(method, path, body, {**headers, **token})
                answer = self.line.getresponse()
                said = answer.read().decode()
                if answer.status in answers:
                    return answer.status, said
                if answer.status not in (429, 503):
                    return answer.status, said
            self.line.close()
            time.sleep(PAUSE)


@dataclass
class Told:
    """What a game has in its files; a line that a kill has cut off is none."""

    answers: dict[str, tuple[int, str]]
    changes: list[Mapping[str, Any]]
    cursor: str

    @classmethod
    def read(cls, folder: Path) -> "Told":
        answers = {key: (status, said) for key, status, said in _read(folder / "answers")}
        pages = _read(folder / "pages")
        return cls(answers, [one for _, page in pages for one in page], pages[-1][0] if pages else "")


def _compare(
    report: Report,
    port: int,
    engine: Any,
    wishes: Mapping[str, Sequence[Wish]],
    told: Sequence[Told],
    games: Games,
) -> None:
    with Session(engine) as session:
        grants = {
            row.key: row
            for row in session.execute(select(Grant.key, Grant.customer_id, Grant.item_id, Grant.quantity))
        }
    held: Counter[tuple[str, str]] = Counter()
    for row in grants.values():
        held[storm._owner(row.customer_id - CUSTOMERS_FROM), row.item_id] += row.quantity
    line = Line(port)
    said = Counter(
        {
            (who, item): count
            for who in sorted({who for who, _ in held})
            for item, count in line.holdings(who).items()
        }
    )
    answers = [
        (wish, each.answers.get(wish.key))
        for each, mine in zip(told, wishes.values(), strict=True)
        for wish in mine
    ]
    used = {wish.key for wish, answer in answers if answer and answer[0] == USED}
    taken_back = {(one["external_id"], one["item"]) for one in told[0].changes if one["kind"] == "taken_back"}
    report.counted |= {
        "uses that were wanted": games.wanted,
        "used": len(used),
        "refused, too few": sum(bool(answer) and answer[0] == TOO_FEW for _, answer in answers if answer),
        "changes": len(grants),
        "of these taken back": len({key for key in grants if key.startswith("pay_back:")}),
    }
    report.wrong |= {
        "uses without an answer": sum(answer is None for _, answer in answers),
        "answers of another kind": sum(
            bool(answer) and answer[0] not in (USED, TOO_FEW) for _, answer in answers if answer
        ),
        "used, and no grant, or of another quantity": sum(
            f"game:{wish.key}" not in grants or grants[f"game:{wish.key}"].quantity != -wish.quantity
            for wish, answer in answers
            if answer and answer[0] == USED
        ),
        "grants of uses that nobody was told of": len(
            {key for key in grants if key.startswith("game:")} - {f"game:{key}" for key in used}
        ),
        "keys of both with two answers": _two_answers(told),
        "holdings below zero without a taking back": sum(
            count < 0 and who not in taken_back for who, count in held.items()
        ),
        "holdings that the interface says otherwise": sum(said[who] != held[who] for who in held | said),
    }
    for game, each in zip(GAMES, told, strict=True):
        causes = Counter(one["cause"] for one in each.changes)
        sums: Counter[tuple[str, str]] = Counter()
        for one in each.changes:
            sums[one["external_id"], one["item"]] += one["quantity"]
        places = [int(one["cursor"].split(".")[0]) for one in each.changes]
        report.wrong |= {
            f"{game}: changes seen twice": causes.total() - len(causes),
            f"{game}: changes missed": len(grants.keys() - causes.keys()),
            f"{game}: changes that are none": len(causes.keys() - grants.keys()),
            f"{game}: out of their order": sum(
                b != a + 1 for a, b in zip([0, *places], places, strict=False)
            ),
            f"{game}: sums that differ": sum(sums[who] != held[who] for who in held | sums),
        }


def _two_answers(told: Sequence[Told]) -> int:
    """Of the keys that both have sent, how many were used with one answer here and another there."""
    one, other = (each.answers for each in told)
    both = [(one[key], other[key]) for key in one.keys() & other.keys()]
    return sum(a[0] == b[0] == USED and a != b for a, b in both)


def _append(file: Path, line: object) -> None:
    with file.open("a") as out:
        out.write(json.dumps(line) + "\n")


def _read(file: Path) -> list[Any]:
    """Every whole line; what a kill has left of another is cut off, so that the next one begins anew."""
    if not file.exists():
        return []
    text = file.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        os.truncate(file, len(whole.encode()))
    return [json.loads(line) for line in whole.splitlines()]


def _lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


if __name__ == "__main__":
    main()
