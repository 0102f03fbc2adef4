"""A storm of callbacks while the workers are killed: `python -m tests.proof.storm --help`.

Several processes send what mixi might send and what nobody should: first, duplicate, reordered,
altered, late, contradictory, under two secrets, with other people's codes. They keep what they
heard. Afterwards the shop's books are held against it, and the buyers' next visits settle what
nobody heard.
"""

import base64
import hmac
import multiprocessing
import random
import select
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from http.client import HTTPConnection, HTTPException
from multiprocessing.sharedctypes import Synchronized
from operator import itemgetter
from os import kill
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, quote

import click
from sqlalchemy import Engine, bindparam, create_engine, func, insert, update
from sqlalchemy import select as choose
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool
from werkzeug.serving import WSGIRequestHandler, make_server

from storefront import Settings
from storefront.db import db
from storefront.mixi import callback_word
from storefront.mixi.payments import LISTENS, Payment, Status
from storefront.shop import books as kept
from storefront.shop.catalog import Item
from storefront.shop.customers import Customer
from storefront.shop.inventory import Grant
from storefront.shop.ledger import Entry, Kind
from tests.demo import free_ports
from tests.proof import served
from tests.proof.served import ARRIVED, CALLBACK, CHECKED, HOST, PREVIOUS_SECRET, Broken, Database, Served
from tests.street import APP_ID, CONSUMER_KEY, CONSUMER_SECRET, ScriptedApi

DATABASES = ("sqlite", "postgresql")
ITEM, POINTS = "loaf", 10
LIMITED, A_PERSON = "fireworks", 1  # every other payment's item; there is one for every fourth of these
SENDERS, LINES = 2, 8  # processes, and connections of each
RECONNECT = 40  # requests on one connection, so that a worker that came back gets its share
PAUSE = 0.05  # seconds after a failure, or a restart would meet most of the storm
GIVES_UP = 15.0  # seconds until a sender gives an answer up: longer than mixi, to see what comes too late
SKEW = int(Settings.model_fields["mixi_clock_skew"].default)
EACH = 3  # payments of one customer; fewer than the shop asks about on one visit
CUSTOMERS_FROM = 1_000_000  # their ids, out of the way of any that the shop gives
CHUNK = 5000  # rows in one insert
LONG_AGO = timedelta(seconds=20)  # longer than MIXI_VOID_AFTER, which is 11 here

NEAR, FAR = 6, 600  # how many other deliveries come between those of one payment
DELIVERIES_A_KILL, DELIVERIES_A_STOP, DELIVERIES_A_RESTART = 2000, 25_000, 25_000
FEWEST_KILLS = 3
STOPPED = LISTENS + SKEW + 0.5  # seconds: whatever was begun before is too late afterwards

BUY, CANCEL = "10", "20"
SECRETS = (CONSUMER_SECRET, PREVIOUS_SECRET, "a secret of somebody else")
CURRENT, PREVIOUS, WRONG = range(3)
OK = "OK"
BROKE, SILENT = "broke", "silent"
ANSWERS = (OK, "400", "401", "404", "409", "503", BROKE, SILENT)  # anything else is none of ours

REFUSED_OKS = "OK to what must be refused"
LATE_OKS = "OK whose last check came after the deadline, or never"
BEFORE = "before the visits"
MISCOUNTED, OVERSOLD = "stocks that are counted wrongly", "sold beyond the stock"
MIXED_OKS = "payments with OK to complete and OK to cancel"

Pairs = list[tuple[str, str | bytes]]


class Sort(StrEnum):
    FIRST = "first"
    DUPLICATE = "duplicate"
    REORDERED = "reordered"
    PREVIOUS = "previous secret"
    LOST = "answer lost on the way"
    CANCEL = "cancel"
    AGAINST = "complete against cancel"
    BRINK = "at the deadline's brink"
    LATE = "late"
    STALE = "stale"
    ALTERED = "altered after signing"
    FORGED = "wrong secret"
    FOREIGN = "another user's code"
    UNKNOWN = "unknown code"
    CONTAINER = "signed by the container"
    MALFORMED = "malformed"


REFUSED = {Sort.LATE, Sort.STALE, Sort.ALTERED, Sort.FORGED, Sort.FOREIGN, Sort.UNKNOWN, Sort.MALFORMED}
REFUSED |= {Sort.CONTAINER}
ALTERATIONS = ("code", "owner", "status", "added", "signature", "moment")
# What a buyer may name as the address that the container signs: they know their code, and no word.
ADDRESSES = ("bare", "guess", "another's", "part", "code")
MALFORMATIONS = ("status", "no code", "two codes", "two owners", "updated", "long", "bytes", "app", "header")


@dataclass(frozen=True)
class Delivery:
    """One callback that somebody sends; `age` is how many seconds ago it was signed."""

    sort: Sort
    code: str
    owner: str
    status: str = BUY
    secret: int = CURRENT
    age: int = 0
    twist: str = ""

    @property
    def outcome(self) -> Status:
        return Status.COMPLETE if self.status == BUY else Status.CANCEL


@dataclass(frozen=True)
class Heard:
    """What came of a delivery. Moments are seconds since the epoch; the last two as the shop noted them."""

    number: int
    answer: str
    signed: int
    sent: float
    received: float
    arrived: float
    checked: float

    @property
    def deadline(self) -> float:
        """When mixi stops listening, as the shop may reckon it."""
        return min(self.arrived + LISTENS, self.signed + LISTENS + SKEW)


@dataclass(frozen=True)
class Plan:
    """Payments, by code with their owner's number, and everything that will be delivered."""

    payments: dict[str, int]
    deliveries: list[Delivery]

    @property
    def limited(self) -> set[str]:
        """The payments of the item that has a stock, and so many a person."""
        return set(list(self.payments)[::2])

    @property
    def stock(self) -> int:
        return max(1, len(self.payments) // 8)


@dataclass
class Report:
    """The tally of one storm."""

    database: str
    seed: int
    planned: int
    seconds: float = 0.0
    kills: int = 0
    stops: int = 0
    restarts: int = 0
    answers: Counter[tuple[Sort, str]] = field(default_factory=Counter)
    wrong: dict[str, int] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)

    @property
    def delivered(self) -> int:
        return self.answers.total()

    @property
    def holds(self) -> bool:
        return self.delivered == self.planned and not any(self.wrong.values())

    def __str__(self) -> str:
        rows = [["", *ANSWERS, "else", "all"]]
        for sort in Sort:
            mine = {answer: count for (of, answer), count in self.answers.items() if of is sort}
            known = [mine.pop(answer, 0) for answer in ANSWERS]
            rows.append([sort, *map(str, (*known, sum(mine.values()), sum(known) + sum(mine.values())))])
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
        head = (
            f"{self.database}: {self.delivered:,} of {self.planned:,} deliveries, seed {self.seed}, in"
            f" {self.seconds:.0f} s ({self.delivered / self.seconds:.0f} a second);"
            f" {self.kills} workers killed, {self.stops} stopped for {STOPPED:g} s,"
            f" {self.restarts} restarts of the database server"
        )
        table = ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
        counted = [f"{count:9,}  {name}" for name, count in self.counted.items()]
        wrong = [f"{count:9,}  {name}" for name, count in self.wrong.items()]
        word = "The books are right." if self.holds else "THE BOOKS ARE WRONG, or the storm was cut short."
        return "\n".join([head, "", *table, "", *counted, "", "must be 0:", *wrong, "", word, ""])


@click.command()
@click.option("--deliveries", default=100_000, show_default=True, type=click.IntRange(min=1))
@click.option("--database", default="both", show_default=True, type=click.Choice([*DATABASES, "both"]))
@click.option("--seed", default=1, show_default=True, help="The same seed plans the same deliveries.")
@click.option("--minutes", default=15.0, show_default=True, help="After that it is cut short, and fails.")
def main(deliveries: int, database: str, seed: int, minutes: float) -> None:
    """Send a storm of callbacks, kill the shop's workers meanwhile, and check the books.

    Exit status 1 if anything that must be 0 is not.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # or the servers would outlive us
    chosen = DATABASES if database == "both" else (database,)
    reports = []
    for kind in chosen:
        reports.append(storm(kind, deliveries, seed, minutes * 60))
        click.echo(str(reports[-1]))
    sys.exit(not all(report.holds for report in reports))


def storm(kind: str, count: int, seed: int, seconds: float, broken: Broken | None = None) -> Report:
    """One storm on one kind of database, from an empty database to settled books."""
    plan = make_plan(seed, count)
    report = Report(kind, seed, count)
    with TemporaryDirectory() as folder, served.database(kind, Path(folder)) as base, mixi() as api:
        port = free_ports(1)[0]
        patient = {"STOREFRONT_MIXI_CONFIRM_SECONDS": "5"}
        with served.shop(Path(folder), port, base.url, api.address, broken, **patient) as shop:
            engine = create_engine(base.url, poolclass=NullPool)  # a restart leaves nothing behind
            prepare(engine, plan)
            heard = _blow(report, shop, base, plan, seed, seconds)
            report.wrong["servers that stopped by themselves"] = int(shop.process.poll() is not None)
            for one in heard:
                report.answers[plan.deliveries[one.number].sort, one.answer] += 1
            books = read_books(engine)
            check_answers(report, plan, heard)
            check_books(report, plan, heard, books)
            check_tallies(report, plan, engine, BEFORE)
            _settle(report, plan, heard, books, engine, port, api)
            check_tallies(report, plan, engine, "after the visits")
            engine.dispose()
        report.wrong["tracebacks in the shop's log"] = shop.words().count("Traceback")
    return report


def make_plan(seed: int, count: int) -> Plan:
    """So many deliveries, mixed by this seed."""
    rng = random.Random(seed)  # noqa: S311  # nobody gains by guessing
    payments: dict[str, int] = {}
    placed: list[tuple[float, int, Delivery]] = []
    while len(placed) < count + FAR:
        number = len(payments)
        code = f"{rng.getrandbits(64):016x}{number:06d}"
        payments[code] = number // EACH
        story = rng.choices(STORIES, [tell.weight for tell in STORIES])[0]
        base = len(placed)
        for far, delivery in story.tell(rng, Delivery(Sort.FIRST, code, owner_of(number // EACH))):
            placed.append((base + rng.uniform(0, FAR if far else NEAR), len(placed), delivery))
    placed.sort()
    return Plan(payments, [delivery for _, _, delivery in placed[:count]])


Placed = Iterator[tuple[bool, Delivery]]


@dataclass(frozen=True)
class Story:
    """What is delivered about one payment: each with whether it may come much later than the rest."""

    weight: int
    tell: Callable[[random.Random, Delivery], Placed]


def _once(rng: random.Random, one: Delivery) -> Placed:
    yield False, one


def _again(rng: random.Random, one: Delivery) -> Placed:
    yield False, one
    for _ in range(rng.randint(1, 4)):
        yield rng.random() < 0.3, replace(one, sort=Sort.DUPLICATE)


def _out_of_turn(rng: random.Random, one: Delivery) -> Placed:
    """The one that was signed later comes sooner, more often than not."""
    yield False, one
    for _ in range(rng.randint(1, 2)):
        yield rng.random() < 0.5, replace(one, sort=Sort.REORDERED, age=rng.randint(1, 5))


def _old_secret(rng: random.Random, one: Delivery) -> Placed:
    yield False, replace(one, sort=Sort.PREVIOUS, secret=PREVIOUS)
    if rng.random() < 0.5:
        yield False, replace(one, sort=Sort.DUPLICATE)


def _unheard(rng: random.Random, one: Delivery) -> Placed:
    """Some buyers press again, most give up."""
    yield False, replace(one, sort=Sort.LOST)
    if rng.random() < 0.3:
        yield True, replace(one, sort=Sort.DUPLICATE)


def _torn(rng: random.Random, one: Delivery) -> Placed:
    for _ in range(rng.randint(1, 2)):
        yield False, replace(one, sort=Sort.AGAINST)
    for _ in range(rng.randint(1, 2)):
        yield False, replace(one, sort=Sort.CANCEL, status=CANCEL)


def _cancelled(rng: random.Random, one: Delivery) -> Placed:
    for _ in range(rng.randint(1, 2)):
        yield False, replace(one, sort=Sort.CANCEL, status=CANCEL)


def _refused(sort: Sort, often: float, make: Callable[[random.Random, Delivery], Delivery]) -> Any:
    """Deliveries that must be refused; `often` a good one comes as well."""

    def tell(rng: random.Random, one: Delivery) -> Placed:
        for _ in range(rng.randint(1, 3)):
            yield False, make(rng, replace(one, sort=sort))
        if rng.random() < often:
            yield rng.random() < 0.5, one

    return tell


STORIES = (
    Story(22, _once),
    Story(22, _again),
    Story(8, _out_of_turn),
    Story(8, _old_secret),
    Story(4, _unheard),
    Story(14, _torn),
    Story(4, _cancelled),
    Story(1, lambda rng, one: iter([(False, replace(one, sort=Sort.BRINK, age=LISTENS + SKEW - 1))])),
    Story(8, _refused(Sort.ALTERED, 0.3, lambda rng, one: replace(one, twist=rng.choice(ALTERATIONS)))),
    Story(3, _refused(Sort.FORGED, 0.3, lambda rng, one: replace(one, secret=WRONG))),
    Story(5, _refused(Sort.FOREIGN, 0.5, lambda rng, one: replace(one, owner=_neighbour(one.owner)))),
    Story(3, _refused(Sort.UNKNOWN, 0.5, lambda rng, one: replace(one, code=f"{rng.getrandbits(80):020x}"))),
    Story(6, _refused(Sort.CONTAINER, 0.3, lambda rng, one: replace(one, twist=rng.choice(ADDRESSES)))),
    Story(5, _refused(Sort.MALFORMED, 0.3, lambda rng, one: replace(one, twist=rng.choice(MALFORMATIONS)))),
    Story(5, _refused(Sort.LATE, 0.3, lambda rng, one: replace(one, age=rng.randint(LISTENS + SKEW, 500)))),
    Story(2, _refused(Sort.STALE, 0.3, lambda rng, one: replace(one, age=rng.randint(700, 10**6)))),
)


def owner_of(number: int) -> str:
    return f"mo3storm{number:06d}"


def _neighbour(owner: str) -> str:
    return owner_of(int(owner[-6:]) ^ 1)


def prepare(engine: Engine, plan: Plan) -> None:
    """Enter customers and payments as if each had pressed the buy button."""
    limited = plan.limited
    now = datetime.now(UTC)
    customers = [
        {
            "id": CUSTOMERS_FROM + number,
            "channel": "mixi",
            "external_id": owner_of(number),
            "first_seen_at": now,
        }
        for number in sorted(set(plan.payments.values()))
    ]
    rows = [
        {
            "point_code": code,
            "customer_id": CUSTOMERS_FROM + number,
            "owner_id": owner_of(number),
            "item_id": LIMITED if code in limited else ITEM,
            "item_name": "Goods",
            "points": POINTS,
            "is_test": False,
            "language": "en",
            "word": word_of(code),
            "status": Status.CREATE,
            "created_at": now,
        }
        for code, number in plan.payments.items()
    ]
    with engine.begin() as connection:
        limits = {"stock": plan.stock, "per_customer": A_PERSON}
        connection.execute(update(Item).where(Item.id == LIMITED).values(limits))
        for model, values in ((Customer, customers), (Payment, rows)):
            table = db.metadata.tables[model.__tablename__]
            for start in range(0, len(values), CHUNK):
                connection.execute(insert(table), values[start : start + CHUNK])


def _blow(report: Report, shop: Served, base: Database, plan: Plan, seed: int, seconds: float) -> list[Heard]:
    """Send everything, and kill and restart meanwhile; what was heard."""
    context = multiprocessing.get_context("spawn")
    taken: Synchronized[int] = context.Value("i", 0)
    until = time.time() + seconds
    began = time.monotonic()
    with ProcessPoolExecutor(SENDERS, context, initializer=_share, initargs=(taken,)) as pool:
        sending = [pool.submit(_send, shop.port, plan.deliveries, until) for _ in range(SENDERS)]
        _strike(report, shop, base, taken, sending, random.Random(seed))  # noqa: S311  # as above
        heard = [one for each in sending for one in each.result()]
    report.seconds = time.monotonic() - began
    return heard


def _strike(
    report: Report,
    shop: Served,
    base: Database,
    taken: "Synchronized[int]",
    sending: Sequence["Future[list[Heard]]"],
    rng: random.Random,
) -> None:
    """Kill or stop a worker, or restart the database server, whenever the next drawn delivery is taken."""
    kills = max(FEWEST_KILLS, report.planned // DELIVERIES_A_KILL)
    stops = max(1, report.planned // DELIVERIES_A_STOP)
    restarts = max(1, report.planned // DELIVERIES_A_RESTART) if base.server else 0
    blows = [*[_kill] * kills, *[_stop] * stops, *[_restart] * restarts]
    with ThreadPoolExecutor() as waking:
        for moment, blow in sorted(
            ((rng.randrange(report.planned), blow) for blow in blows), key=itemgetter(0)
        ):
            while taken.value < moment:
                if shop.process.poll() is not None:
                    taken.value = report.planned  # nobody is there to send the rest to
                if all(each.done() for each in sending):
                    return
                time.sleep(0.005)
            blow(report, shop, base, rng, waking)


def _kill(
    report: Report, shop: Served, base: Database, rng: random.Random, waking: ThreadPoolExecutor
) -> None:
    if workers := shop.workers():
        _tell(rng.choice(workers), signal.SIGKILL)
        report.kills += 1


def _stop(
    report: Report, shop: Served, base: Database, rng: random.Random, waking: ThreadPoolExecutor
) -> None:
    """Stop a worker in the midst of whatever it is doing; another thread lets it go on."""

    def wake(worker: int) -> None:
        time.sleep(STOPPED)
        if worker in shop.workers():
            _tell(worker, signal.SIGCONT)

    if workers := shop.workers():
        worker = rng.choice(workers)
        _tell(worker, signal.SIGSTOP)
        waking.submit(wake, worker)
        report.stops += 1


def _restart(
    report: Report, shop: Served, base: Database, rng: random.Random, waking: ThreadPoolExecutor
) -> None:
    assert base.server
    base.server.crash()
    base.server.start()
    report.restarts += 1


def _tell(worker: int, number: int) -> None:
    with suppress(ProcessLookupError):
        kill(worker, number)


_taken: "Synchronized[int]"


def _share(taken: "Synchronized[int]") -> None:
    """Called in each sender: this number says which delivery is the next, over all of them."""
    global _taken
    _taken = taken


def _send(port: int, deliveries: list[Delivery], until: float) -> list[Heard]:
    """Deliver what no other line has taken yet, on several lines at once."""
    heard: list[Heard] = []

    def work() -> None:
        line = HTTPConnection(HOST, port, timeout=GIVES_UP)
        since = 0
        while time.time() < until and (number := _take()) < len(deliveries):
            heard.append(_deliver(line, port, number, deliveries[number]))
            since += 1
            if since >= RECONNECT or heard[-1].answer in (BROKE, SILENT):
                line.close()
                since = 0
            if heard[-1].answer in (BROKE, "503") and deliveries[number].sort not in (Sort.LATE, Sort.LOST):
                time.sleep(PAUSE)
        line.close()

    with ThreadPoolExecutor(LINES) as lines:
        for done in [lines.submit(work) for _ in range(LINES)]:
            done.result()
    return heard


def _take() -> int:
    with _taken.get_lock():
        number = _taken.value
        _taken.value += 1
    return number


def _deliver(line: HTTPConnection, port: int, number: int, delivery: Delivery) -> Heard:
    if delivery.sort is Sort.BRINK:
        # Signed in whole seconds: what is left until the deadline is what is left of this second.
        left = random.Random(number).uniform(0.003, 0.05)  # noqa: S311  # as above
        time.sleep((1 - time.time() - left) % 1)
    signed = int(time.time()) - delivery.age
    target, headers = _write(delivery, port, signed)
    sent = time.time()
    try:
        line.request("GET", target, headers=headers)
        if delivery.sort is Sort.LOST:
            select.select([line.sock], [], [], GIVES_UP)
            return Heard(number, BROKE, signed, sent, time.time(), 0, 0)
        response = line.getresponse()
        body = response.read()
    except TimeoutError:
        return Heard(number, SILENT, signed, sent, time.time(), 0, 0)
    except (OSError, HTTPException):
        return Heard(number, BROKE, signed, sent, time.time(), 0, 0)
    said_ok = response.status == 200 and body == b"OK"
    arrived, checked = (float(response.headers.get(name, "0")) for name in (ARRIVED, CHECKED))
    answer = OK if said_ok else "200, but not OK" if response.status == 200 else str(response.status)
    return Heard(number, answer, signed, sent, time.time(), arrived, checked)


def _write(delivery: Delivery, port: int, signed: int) -> tuple[str, dict[str, str]]:
    """Path, query and headers of a delivery."""
    pairs = _pairs(delivery, signed)
    sealed = _pairs(_before_alteration(delivery), signed)
    if delivery.sort is Sort.MALFORMED:
        pairs = sealed = _malformed(pairs, delivery.twist)
    if delivery.sort is Sort.ALTERED and delivery.twist == "added":
        pairs = [*sealed, ("opensocial_viewer_id", delivery.owner)]
    moment = signed - 1 if delivery.twist == "moment" else signed
    path = _path(delivery)
    oauth = _oauth(f"http://{HOST}:{port}{path}", sealed, SECRETS[delivery.secret], moment)
    if delivery.twist == "moment":
        oauth["oauth_timestamp"] = str(signed)
    if delivery.twist == "signature":
        oauth["oauth_signature"] = oauth["oauth_signature"][::-1]
    header = ", ".join(f'{name}="{_quote(value)}"' for name, value in oauth.items())
    query = "&".join(f"{name}={_quote(value)}" for name, value in pairs)
    words = "OAuth what is this" if delivery.twist == "header" else f"OAuth {header}"
    return f"{path}?{query}", {"Authorization": words}


def _path(delivery: Delivery) -> str:
    """Where it is sent: to the payment's own address, or where somebody hopes that it counts, too."""
    word = word_of(delivery.code)
    if delivery.sort is not Sort.CONTAINER:
        return f"{CALLBACK}/{word}"
    ends = {
        "bare": "",
        "guess": f"/{random.getrandbits(128):032x}",  # as above
        "another's": f"/{word_of(delivery.code[::-1])}",
        "part": f"/{word[:-1]}",
        "code": f"/{delivery.code}",
    }
    return CALLBACK + ends[delivery.twist]


def word_of(code: str) -> str:
    """The word of a payment of the storm."""
    return sha256(code.encode()).hexdigest()[: callback_word.LENGTH]


def _pairs(delivery: Delivery, signed: int) -> Pairs:
    updated = datetime.fromtimestamp(signed, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [
        ("opensocial_app_id", APP_ID),
        ("opensocial_owner_id", delivery.owner),
        ("point_code", delivery.code),
        ("status", delivery.status),
        ("updated", updated),
    ]


def _before_alteration(delivery: Delivery) -> Delivery:
    """What was really signed, where something else is sent."""
    if delivery.sort is not Sort.ALTERED:
        return delivery
    others = {
        "code": replace(delivery, code=delivery.code[::-1]),
        "owner": replace(delivery, owner=delivery.owner[::-1]),
        "status": replace(delivery, status=CANCEL),
    }
    return others.get(delivery.twist, delivery)


def _malformed(pairs: Pairs, twist: str) -> Pairs:
    values: dict[str, Any] = {
        "status": {"status": "30"},
        "updated": {"updated": "yesterday"},
        "long": {"point_code": "x" * 41},
        "bytes": {"point_code": b"\xff\xfe"},
        "app": {"opensocial_app_id": "54321"},
    }
    changed: Pairs = [(name, values.get(twist, {}).get(name, value)) for name, value in pairs]
    if twist == "no code":
        return [pair for pair in changed if pair[0] != "point_code"]
    doubled = {"two codes": "point_code", "two owners": "opensocial_owner_id"}.get(twist)
    return [*changed, *[pair for pair in changed if pair[0] == doubled]]


def _oauth(url: str, pairs: Pairs, secret: str, timestamp: int) -> dict[str, str]:
    """The OAuth parameters of a request, signed by a hand of our own."""
    oauth = {
        "oauth_consumer_key": CONSUMER_KEY,
        "oauth_nonce": f"{random.getrandbits(64):016x}",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": str(timestamp),
        "oauth_version": "1.0",
    }
    named = sorted((_quote(name), _quote(value)) for name, value in (*pairs, *oauth.items()))
    base = "&".join(["GET", _quote(url), _quote("&".join(f"{name}={value}" for name, value in named))])
    digest = hmac.digest(f"{_quote(secret)}&".encode(), base.encode(), "sha1")
    return {**oauth, "oauth_signature": base64.b64encode(digest).decode()}


def _quote(value: str | bytes) -> str:
    return quote(value, safe="~")


@dataclass(frozen=True)
class Books:
    """What the shop's database says: states, confirmed codes, grants and entries by their key."""

    states: dict[str, Status]
    confirmed: set[str]
    grants: dict[str, int]
    grant_rows: int
    entries: dict[tuple[Kind, str], int]

    def held(self) -> int:
        return sum(self.grants.values())

    def earned(self) -> int:
        return sum(self.entries.values())

    def codes(self, status: Status) -> set[str]:
        return {code for code, state in self.states.items() if state is status}


def read_books(engine: Engine) -> Books:
    with Session(engine) as session:
        payments = session.execute(choose(Payment.point_code, Payment.status, Payment.confirmed_at)).all()
        grants = session.execute(choose(Grant.key, Grant.quantity)).all()
        entries = session.execute(choose(Entry.kind, Entry.key, Entry.amount)).all()
        rows = session.scalar(choose(func.count()).select_from(Grant)) or 0
    return Books(
        {code: status for code, status, _ in payments},
        {code for code, _, confirmed_at in payments if confirmed_at},
        {row.key: row.quantity for row in grants},
        rows,
        {(kind, key): amount for kind, key, amount in entries},
    )


def check_answers(report: Report, plan: Plan, heard: Sequence[Heard]) -> None:
    """What can be judged by the answers alone."""
    wrong, counted = report.wrong, report.counted
    oks = [one for one in heard if one.answer == OK]
    wrong[REFUSED_OKS] = sum(plan.deliveries[one.number].sort in REFUSED for one in oks)
    wrong[LATE_OKS] = sum(not 0 < one.checked < one.deadline for one in oks)
    wrong["answers that are none of ours"] = sum(one.answer not in ANSWERS for one in heard)
    said: dict[str, set[Status]] = {}
    for one in oks:
        delivery = plan.deliveries[one.number]
        said.setdefault(delivery.code, set()).add(delivery.outcome)
    wrong[MIXED_OKS] = sum(len(both) > 1 for both in said.values())
    late = [one for one in oks if one.received > min(one.sent + LISTENS, one.signed + LISTENS + SKEW)]
    counted["OK heard after the deadline, its last check before it (a pause came between)"] = sum(
        0 < one.checked < one.deadline for one in late
    )
    slowest = max((one.received - one.sent for one in heard), default=0.0)
    counted["milliseconds until the slowest answer"] = int(slowest * 1000)


def check_books(report: Report, plan: Plan, heard: Sequence[Heard], books: Books) -> None:
    """What must hold before any buyer has come back."""
    complete = books.codes(Status.COMPLETE)
    granted = {key.removeprefix("mixi:") for key in books.grants}
    entered = {key.removeprefix("mixi:") for kind, key in books.entries if kind is Kind.SALE}
    proper = {status: _proper(plan, heard, status) for status in (Status.COMPLETE, Status.CANCEL)}
    report.wrong |= {
        "wrong grants: no proper delivery in time": len(granted - proper[Status.COMPLETE]),
        "wrong grants: the payment is not complete": len(granted - complete),
        "wrong grants: more than one for a payment": books.grant_rows - len(granted),
        "complete without grant, or with another quantity": sum(
            books.grants.get(f"mixi:{code}") != 1 for code in complete
        ),
        "complete without entry, or entry without complete": len(complete ^ entered),
        "entries that are not the price": sum(amount != POINTS for amount in books.entries.values()),
        "cancelled without a proper delivery": len(books.codes(Status.CANCEL) - proper[Status.CANCEL]),
        "lost OKs": sum(_is_lost(plan.deliveries[one.number], books) for one in heard if one.answer == OK),
    }
    report.counted |= {
        "payments that were delivered about": len({plan.deliveries[one.number].code for one in heard}),
        "payments complete": len(complete),
        "payments cancelled": len(books.codes(Status.CANCEL)),
        "payments complete without a heard OK: unheard, settled on the next visit": len(
            complete - listened(plan, heard)
        ),
    }


def check_tallies(report: Report, plan: Plan, engine: Engine, when: str) -> None:
    """What the shop keeps of its sales is what its grants say, and no limit was passed."""
    with Session(engine) as session:
        differences = kept.check(session)
        mine = choose(func.sum(Grant.quantity)).where(Grant.item_id == LIMITED).group_by(Grant.customer_id)
        held = session.scalars(mine).all()
    report.wrong |= {
        f"{when}: {MISCOUNTED}": len(differences.stocks),
        f"{when}: holdings below zero and unseen": len(differences.unseen),
        f"{when}: {OVERSOLD}": max(0, sum(held) - plan.stock),
        f"{when}: buyers beyond the limit": sum(count > A_PERSON for count in held),
    }
    report.counted[f"{when}: sold of {plan.stock:,} in stock"] = sum(held)


def listened(plan: Plan, heard: Sequence[Heard]) -> set[str]:
    """The payments that the platform completed: it heard OK, while it was listening."""
    return {
        plan.deliveries[one.number].code
        for one in heard
        if one.answer == OK
        and plan.deliveries[one.number].outcome is Status.COMPLETE
        and one.received - one.sent <= LISTENS
    }


def _proper(plan: Plan, heard: Sequence[Heard], outcome: Status) -> set[str]:
    """The payments about which a delivery was sent that the shop may say OK to."""
    return {
        plan.deliveries[one.number].code
        for one in heard
        if plan.deliveries[one.number].sort not in REFUSED
        and plan.deliveries[one.number].outcome is outcome
        and one.sent < one.signed + LISTENS + SKEW
    }


def _is_lost(delivery: Delivery, books: Books) -> bool:
    """Whether the payment is not as the OK said."""
    if books.states.get(delivery.code) is not delivery.outcome:
        return True
    key = f"mixi:{delivery.code}"
    bought = delivery.outcome is Status.COMPLETE
    return (books.grants.get(key, 0), books.entries.get((Kind.SALE, key), 0)) != (
        (1, POINTS) if bought else (0, 0)
    )


def _settle(
    report: Report,
    plan: Plan,
    heard: Sequence[Heard],
    books: Books,
    engine: Engine,
    port: int,
    api: "Mixi",
) -> None:
    """Let the buyers of unheard payments come back, and check the books again."""
    api.complete = listened(plan, heard)
    complete = books.codes(Status.COMPLETE)
    unheard = complete - api.complete
    _age(engine, unheard)
    buyers = {plan.payments[code] for code in unheard}
    failures = sum(not _visit(port, owner_of(number)) for number in sorted(buyers))
    after = read_books(engine)
    theirs = {code for code in complete & api.complete if plan.payments[code] in buyers}
    rest = after.codes(Status.COMPLETE)
    report.wrong |= {
        "after the visits: pages that did not open": failures,
        "after the visits: unheard, and not void": len(unheard - after.codes(Status.VOID)),
        "after the visits: paid at the platform, and not complete": len(api.complete - rest),
        "after the visits: complete, and not paid at the platform": len(rest - api.complete),
        "after the visits: paid by such a buyer, and not confirmed": len(theirs - after.confirmed),
        "after the visits: goods held less goods paid": after.held() - len(api.complete),
        "after the visits: points earned less points taken": after.earned() - POINTS * len(api.complete),
    }
    report.counted["buyers who came back"] = len(buyers)


def _age(engine: Engine, codes: Collection[str]) -> None:
    """Set the last OK of these payments back in the database, which spares every run that wait."""
    table = db.metadata.tables[Payment.__tablename__]
    back = update(table).where(table.c.point_code == bindparam("code")).values(ok_at=bindparam("moment"))
    moment = datetime.now(UTC) - LONG_AGO
    if codes:
        with engine.begin() as connection:
            connection.execute(back, [{"code": code, "moment": moment} for code in codes])


def _visit(port: int, owner: str) -> bool:
    """Open this buyer's bag."""
    url = f"http://{HOST}:{port}/inventory"
    pairs: Pairs = [("opensocial_app_id", APP_ID), ("opensocial_owner_id", owner)]
    oauth = _oauth(url, pairs, CONSUMER_SECRET, int(time.time()))
    header = ", ".join(f'{name}="{_quote(value)}"' for name, value in oauth.items())
    query = "&".join(f"{name}={_quote(value)}" for name, value in pairs)
    line = HTTPConnection(HOST, port, timeout=GIVES_UP)
    try:
        line.request("GET", f"/inventory?{query}", headers={"Authorization": f"OAuth {header}"})
        return line.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        line.close()


class Mixi(ScriptedApi):
    """A point API that knows which payments are complete or paid back; every other it has just created."""

    ENTRY = (
        '<entry xmlns="http://www.w3.org/2005/Atom" xmlns:point="http://mixi.jp/atom/ns#point">'
        '<id>{code}</id><content type="text/xml"><point:status>{href}</point:status></content></entry>'
    )

    def __init__(self) -> None:
        super().__init__()
        self.address = ""
        self.complete: set[str] = set()
        self.paid_back: set[str] = set()

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        code = parse_qs(environ["QUERY_STRING"])["point_code"][0]
        state = "pay_back" if code in self.paid_back else "complete" if code in self.complete else "create"
        start_response("200 OK", [("Content-Type", "application/atom+xml;type=entry;charset=utf-8")])
        return [self.ENTRY.format(code=code, href=state).encode()]


class _Wordless(WSGIRequestHandler):
    def log(self, type: str, message: str, *arguments: Any) -> None:
        """Say nothing of each request."""


@contextmanager
def mixi() -> Iterator[Mixi]:
    """The point API, served by a thread of this process."""
    api = Mixi()
    server = make_server(HOST, 0, api, threaded=True, request_handler=_Wordless)
    api.address = f"http://{HOST}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    main()
