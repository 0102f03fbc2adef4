"""Locks held, queues long, processes stopped, a server crashed, a disk full: late or never, not wrong."""

import ast
import os
import resource
import secrets
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import requests
from flask import Flask
from sqlalchemy import create_engine, func, insert, select, text, update

from storefront import Settings, clock, create_app
from storefront.db import RESTED_SECONDS, db, transaction
from storefront.mixi.payments import LISTENS, Payment, Status
from storefront.shop.inventory import Grant
from storefront.shop.ledger import Entry
from tests import postgresql
from tests.conftest import lacking
from tests.databases import ENGINES, fill
from tests.demo import free_ports, wait_for
from tests.proof import served
from tests.proof.hostile import ENTRY, STOP_FILE
from tests.proof.served import HOST, ROOT, Database
from tests.street import (
    HANAKO,
    NO_WORD,
    PLATFORM,
    SETTINGS,
    TARO,
    Container,
    ScriptedApi,
    claims,
    says,
    sign,
)
from tests.wire import Wire

pytestmark = pytest.mark.long

WORKERS = 2
SKEW = 2  # MIXI_CLOCK_SKEW of the settings
LEFT = 4  # seconds to the deadline of a callback that was under way for long
OLD = LISTENS + SKEW - LEFT
NOTHING = (Status.CREATE, 0, 0)
SOLD = (Status.COMPLETE, 1, 1)


@dataclass(frozen=True)
class Answer:
    status: int
    body: str

    @property
    def is_ok(self) -> bool:
        return (self.status, self.body) == (200, "OK")

    def is_refused(self, status: int = 503) -> bool:
        return self.status == status and self.body.startswith("REFUSED")


class Shop:
    """A shop under gunicorn, two workers without threads; and the same shop in this process, to look in."""

    def __init__(self, database: Database, folder: Path, port: int) -> None:
        self.database = database
        self.folder = folder
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None
        self.api = ScriptedApi()
        http = requests.Session()
        http.mount(PLATFORM, Wire(self.api))
        self.app: Flask = create_app(Settings.model_validate(self.settings()), http)
        self.container = Container(self.app)

    def settings(self) -> dict[str, str]:
        return {**SETTINGS, "database_url": self.database.url}

    @contextmanager
    def open(self) -> Iterator["Shop"]:
        environment = {f"STOREFRONT_{name.upper()}": value for name, value in self.settings().items()}
        environment[STOP_FILE] = str(self.folder / "stop")
        size = ["--worker-class", "sync", "--workers", str(WORKERS)]
        application = "tests.proof.hostile:create_stopping_shop()"
        with served.gunicorn(self.folder, "shop", self.port, application, size, environment) as process:
            self.process = process
            wait_for(lambda: len(self.workers()) == WORKERS)
            yield self
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()

    def workers(self) -> list[int]:
        assert self.process
        return children(self.process.pid)

    def start(self, item: str, owner: str = HANAKO) -> str:
        """Buy, as far as the point interface; the payment's code."""
        self.api.body = None
        return self.container.start(item, owner)

    def callback(self, code: str, ago: float = 0, owner: str = HANAKO) -> Answer:
        """What mixi's servers send, signed that many seconds ago."""
        target = self.container.callback_target(code, owner)
        return self.ask(target, sign("GET", target, timestamp=str(int(time.time() - ago))))

    def page(self, path: str, owner: str = HANAKO) -> Answer:
        target = f"{path}?{'&'.join(f'{name}={value}' for name, value in claims(owner).items())}"
        return self.ask(target, sign("GET", target))

    def ask(self, target: str, headers: dict[str, str] | None = None) -> Answer:
        with closing(HTTPConnection(HOST, self.port, timeout=30)) as line:
            line.request("GET", target, headers=headers or {})
            answer = line.getresponse()
            return Answer(answer.status, answer.read().decode())

    def standing(self, code: str) -> tuple[Status, int, int]:
        """A payment's status, what was granted for it, and the entries of the book about it."""
        key = f"mixi:{code}"
        with self.app.app_context():
            status = db.session.get_one(Payment, code).status
            granted = db.session.scalar(select(func.sum(Grant.quantity)).filter_by(key=key)) or 0
            entries = db.session.scalar(select(func.count()).select_from(Entry).filter_by(key=key)) or 0
            db.session.remove()
        return status, granted, entries

    def is_confirmed(self, code: str) -> bool:
        with self.app.app_context():
            return db.session.get_one(Payment, code).confirmed_at is not None

    def mixi_says(self, code: str, state: str) -> None:
        self.api.body = ENTRY.format(code=code).replace("complete", state).encode()

    def stop_at(self, moment: str) -> None:
        """The next worker whose transaction comes to this moment is stopped there."""
        ready = self.folder / "ready"
        ready.write_text(moment)
        ready.rename(self.folder / "stop")

    def stopped(self) -> list[int]:
        return [pid for pid in self.workers() if is_stopped(pid)]

    def wait_stopped(self) -> int:
        wait_for(lambda: len(self.stopped()) == 1)
        return self.stopped()[0]


def children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]


def is_stopped(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "T"


@contextmanager
def halted(pids: list[int]) -> Iterator[None]:
    """These processes do nothing for a while."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(lambda: all(is_stopped(pid) for pid in pids))
        yield
    finally:
        go_on(pids)


def go_on(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextmanager
def shop_on(kind: str) -> Iterator[Shop]:
    """A migrated shop that is open, on a database of its own."""
    if kind == "postgresql" and not postgresql.IS_HERE:
        lacking("no PostgreSQL server binary for this platform")
    with TemporaryDirectory() as name, served.database(kind, Path(name)) as database:
        shop = Shop(database, Path(name), *free_ports(1))
        fill(shop.app)
        with shop.open():
            yield shop
        assert "Traceback" not in (Path(name) / "shop.log").read_text()


@pytest.fixture(scope="module")
def sqlite_shop() -> Iterator[Shop]:
    with shop_on("sqlite") as shop:
        yield shop


@pytest.fixture(scope="module")
def postgresql_shop() -> Iterator[Shop]:
    with shop_on("postgresql") as shop:
        yield shop


@pytest.fixture(params=ENGINES)
def shop(request: pytest.FixtureRequest) -> Shop:
    found: Shop = request.getfixturevalue(f"{request.param}_shop")
    return found


@contextmanager
def row_held(shop: Shop, table: str) -> Iterator[None]:
    """Another session holds every row of a table; on SQLite another process holds the database."""
    if shop.database.url.startswith("sqlite"):
        script = (
            "import sqlite3, sys; base = sqlite3.connect(sys.argv[1], isolation_level=None);"
            "base.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read()"
        )
        command = [sys.executable, "-c", script, shop.database.url.removeprefix("sqlite:///")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdin
            assert other.stdout
            assert other.stdout.readline() == b"held\n"
            yield
            other.stdin.close()
        return
    engine = create_engine(shop.database.url)
    with engine.connect() as connection:
        connection.execute(select(db.metadata.tables[table]).with_for_update())
        yield
    engine.dispose()


def start_two(shop: Shop, item: str) -> dict[str, str]:
    """Two strangers at the point interface: who they are, and their payments' codes."""
    return {buyer: shop.start(item, buyer) for buyer in (stranger(), stranger())}


def stranger() -> str:
    return f"mo3{secrets.token_hex(5)}"


def assert_refused_in_time(shop: Shop, codes: dict[str, str]) -> None:
    """Who waits is refused, and sooner where mixi will not listen much longer."""
    (fresh, code), (old, old_code) = codes.items()
    with ThreadPoolExecutor(1) as mixi:
        other = mixi.submit(shop.callback, code, owner=fresh)
        time.sleep(1)  # with the same patience, the first would also be the first to give up
        assert shop.callback(old_code, ago=LISTENS + SKEW - 1, owner=old).is_refused()
        assert not other.done()
        assert other.result().is_refused()


def assert_sold_once(shop: Shop, codes: dict[str, str]) -> None:
    """Nothing has happened yet; then each sale happens once."""
    for buyer, code in codes.items():
        assert shop.standing(code) == NOTHING
        assert shop.callback(code, owner=buyer).is_ok
        assert shop.callback(code, owner=buyer).is_ok
        assert shop.standing(code) == SOLD


@pytest.mark.parametrize("table", ["payment", "item", "customer"])
def test_a_lock_is_held(shop: Shop, table: str) -> None:
    """Whoever waits for a lock answers 503 in time with nothing done; afterwards the sale happens once."""
    item = "fireworks" if table == "item" else "loaf"  # only what is scarce locks its row
    codes = start_two(shop, item)
    with row_held(shop, table):
        assert_refused_in_time(shop, codes)
        pages = [shop.page(path, next(iter(codes))) for path in ("/", "/items/loaf")]
    assert [page.status for page in pages] == [200, 200]  # reading goes on
    assert_sold_once(shop, codes)


def test_a_long_queue(sqlite_shop: Shop, postgresql_shop: Shop) -> None:
    """Served after mixi has stopped listening, a callback is refused, however fresh its signature was."""
    shops = (sqlite_shop, postgresql_shop)
    queues = [(shop, shop.start("loaf")) for shop in shops for _ in range(4)]
    pids = [pid for shop in shops for pid in shop.workers()]
    with ThreadPoolExecutor(len(queues)) as mixi:
        with halted(pids):
            answers = [(*each, mixi.submit(each[0].callback, each[1])) for each in queues]
            time.sleep(LISTENS + SKEW + 0.1)
        for shop, code, answer in answers:
            assert answer.result().is_refused()
            assert shop.standing(code) == NOTHING
    for shop, code in queues:
        assert shop.callback(code).is_ok
        assert shop.standing(code) == SOLD


@pytest.mark.thorough
@pytest.mark.parametrize("moment", ["claim", "before_commit", "after_commit"])
def test_a_worker_stops(shop: Shop, moment: str) -> None:
    """A pause anywhere between claim and answer: OK is not said late, and what is durable stays in doubt."""
    buyer = stranger()
    code = shop.start("loaf", buyer)
    shop.stop_at(moment)
    with ThreadPoolExecutor(1) as mixi:
        answer = mixi.submit(shop.callback, code, ago=OLD, owner=buyer)
        pid = shop.wait_stopped()
        time.sleep(LEFT)
        go_on([pid])
        assert answer.result().is_refused()
    if moment == "claim":  # the last look at the clock was still to come
        assert shop.standing(code) == NOTHING
        assert shop.callback(code, owner=buyer).is_ok
    assert shop.standing(code) == SOLD
    assert not shop.is_confirmed(code)
    shop.mixi_says(code, "complete")
    assert shop.container.get("/history", buyer).status_code == 200
    assert shop.is_confirmed(code)


def test_an_answer_is_lost(shop: Shop) -> None:
    """Delivered here, not charged there, because mixi hung up: the next visit takes the goods back."""
    code = shop.start("loaf", TARO)
    target = shop.container.callback_target(code, TARO)
    shop.stop_at("after_commit")
    with socket.create_connection((HOST, shop.port)) as line:
        headers = "".join(f"{name}: {value}\r\n" for name, value in sign("GET", target).items())
        line.sendall(f"GET {target} HTTP/1.1\r\nHost: shop.test\r\n{headers}\r\n".encode())
        pid = shop.wait_stopped()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    go_on([pid])
    assert shop.standing(code) == SOLD
    with shop.app.app_context(), transaction() as session:
        session.execute(
            update(Payment).filter_by(point_code=code).values(ok_at=clock.now() - timedelta(minutes=2))
        )
    shop.mixi_says(code, "create")
    assert shop.container.get("/inventory", TARO).status_code == 200
    assert shop.standing(code)[0] is Status.VOID
    with shop.app.app_context():
        taken = db.session.scalar(select(Grant.quantity).filter_by(key=f"void:{code}"))
    assert taken == -1
    assert shop.ask(target, sign("GET", target)).is_refused(409)
    assert len(shop.workers()) == WORKERS


def test_nobody_returns(shop: Shop) -> None:
    """A buyer who never opens the finish page holds what they bought all the same."""
    code = shop.start("lantern")
    assert shop.callback(code).is_ok
    assert 'data-item="lantern"' in shop.page("/inventory").body
    assert shop.standing(code) == SOLD


def test_a_statement_takes_too_long(postgresql_shop: Shop) -> None:
    """PostgreSQL itself cuts a statement off at the deadline, and nothing of the sale is left."""
    shop = postgresql_shop
    codes = start_two(shop, "loaf")
    slow = (
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(30); RETURN NEW; END $$",
        'CREATE TRIGGER slow BEFORE INSERT ON "grant" FOR EACH ROW EXECUTE FUNCTION slow()',
    )
    execute(shop, *slow)
    try:
        assert_refused_in_time(shop, codes)
    finally:
        execute(shop, 'DROP TRIGGER slow ON "grant"', "DROP FUNCTION slow")
    assert_sold_once(shop, codes)


def execute(shop: Shop, *statements: str) -> None:
    engine = create_engine(shop.database.url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def test_the_server_is_frozen(postgresql_shop: Shop) -> None:
    """A PostgreSQL that does nothing for a while: no OK after the deadline, and nothing half done."""
    shop = postgresql_shop
    code = shop.start("loaf")
    for _ in range(2 * WORKERS):
        shop.callback(code, ago=100)  # too late, but now connections stand
    server = server_of(shop).pid
    with ThreadPoolExecutor(1) as mixi:
        with halted([server, *children(server)]):
            answer = mixi.submit(shop.callback, code, ago=OLD)
            time.sleep(LEFT + 0.5)
        assert answer.result().is_refused()
    assert shop.standing(code) == NOTHING
    assert shop.callback(code).is_ok
    assert shop.standing(code) == SOLD


def server_of(shop: Shop) -> postgresql.Server:
    assert shop.database.server
    return shop.database.server


def crash(shop: Shop) -> None:
    """Stop the server as a power failure would."""
    server_of(shop).crash()


def start_again(shop: Shop) -> None:
    """The server is back, and every connection to the old one has rested long enough to be doubted."""
    server_of(shop).start()
    wait_for(lambda: shop.ask("/readyz").status == 200)
    time.sleep(RESTED_SECONDS)


def test_the_server_crashes(postgresql_shop: Shop) -> None:
    """The server is gone while the row is held: 503; back again, the sale happens once and all is green."""
    shop = postgresql_shop
    code = shop.start("loaf")
    shop.stop_at("claim")
    with ThreadPoolExecutor(1) as mixi:
        answer = mixi.submit(shop.callback, code)
        pid = shop.wait_stopped()
        crash(shop)
        go_on([pid])
        assert answer.result().is_refused()
    assert_down(shop, code)
    start_again(shop)
    assert shop.standing(code) == NOTHING
    assert all(shop.callback(code).is_ok for _ in range(2 * WORKERS))
    assert shop.standing(code) == SOLD
    assert shop.page("/history").status == 200


def assert_down(shop: Shop, code: str) -> None:
    """What everyone sees while there is no database."""
    for _ in range(WORKERS):
        refused = shop.callback(code)
        assert refused.is_refused()
        for path in ("/", "/items/loaf", "/inventory", "/history", "/mixi/finish"):
            page = shop.page(path)
            assert page.status == 503
            assert "nothing-paid" in says(page.body)
        assert shop.ask("/readyz").status == 503
        assert shop.ask("/healthz").status == 200


def test_an_ok_outlives_the_server(postgresql_shop: Shop) -> None:
    """What we said OK to is still sold when the server crashes right behind the commit."""
    shop = postgresql_shop
    code = shop.start("loaf")
    shop.stop_at("after_commit")
    with ThreadPoolExecutor(1) as mixi:
        answer = mixi.submit(shop.callback, code)
        pid = shop.wait_stopped()
        crash(shop)
        go_on([pid])
        assert answer.result().is_ok
    start_again(shop)
    assert shop.standing(code) == SOLD
    assert shop.callback(code).is_ok
    assert shop.standing(code) == SOLD


def test_no_database_at_all() -> None:
    """Without a database everything but the sign of life is 503; as soon as there is one the shop sells."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        shop = Shop(Database(f"sqlite:///{folder}/later/shop.db"), folder, *free_ports(1))
        with shop.open():
            shop.container.words["any"] = NO_WORD  # there is nobody to ask for it
            assert_down(shop, "any")
            (folder / "later").mkdir()
            assert shop.ask("/readyz").status == 503  # not migrated
            fill(shop.app)
            wait_for(lambda: shop.ask("/readyz").status == 200)
            code = shop.start("loaf")
            assert shop.callback(code).is_ok
            assert shop.standing(code) == SOLD


def assert_full_then_not(shop: Shop, codes: list[str], make_room: Callable[[], None]) -> None:
    """Sell until the disk is full: what was answered OK is sold, what was not is not, and is afterwards."""
    answers: list[Answer] = []
    while not answers or answers[-1].is_ok:
        answers.append(shop.callback(codes[len(answers)]))
    refused = codes[len(answers) - 1]
    assert answers[-1].is_refused()
    assert shop.callback(refused).is_refused()
    wait_for(lambda: shop.ask("/readyz").status == 503)
    for sold in codes[: len(answers) - 1]:
        assert shop.standing(sold) == SOLD
    assert shop.standing(refused) == NOTHING
    make_room()
    wait_for(lambda: shop.callback(refused).is_ok)
    assert shop.callback(refused).is_ok
    assert shop.standing(refused) == SOLD
    wait_for(lambda: shop.ask("/readyz").status == 200)


def begun(shop: Shop) -> list[str]:
    """A few hundred payments that wait for their callback."""
    code = shop.start("loaf")
    codes = [f"{code}-{number}" for number in range(500)]
    with shop.app.app_context(), transaction() as session:
        like = session.execute(select(Payment.__table__).filter_by(point_code=code)).mappings().one()
        session.execute(insert(Payment), [{**like, "point_code": each} for each in codes])
    shop.container.words |= dict.fromkeys(codes, shop.container.word(code))
    return codes


def test_files_may_not_grow(sqlite_shop: Shop) -> None:
    """SQLite's files have reached what the workers may write."""
    codes, none = begun(sqlite_shop), resource.RLIM_INFINITY
    for pid in sqlite_shop.workers():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (256 * 1024, none))

    def make_room() -> None:
        for pid in sqlite_shop.workers():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (none, none))

    assert_full_then_not(sqlite_shop, codes, make_room)


@pytest.mark.thorough
@pytest.mark.parametrize(("kind", "size"), [("sqlite", "4m"), ("postgresql", "128m")])
def test_a_full_disk(kind: str, size: str) -> None:
    """The database's own small filesystem is full to the last byte."""
    if kind == "postgresql" and not postgresql.IS_HERE:
        lacking("no PostgreSQL server binary for this platform")
    with TemporaryDirectory() as name, small_disk(size) as disk, served.database(kind, disk) as database:
        shop = Shop(database, Path(name), *free_ports(1))
        fill(shop.app)
        with shop.open():
            ballast = disk / "ballast"

            def make_room() -> None:
                ballast.unlink()
                if database.server:
                    database.server.start()

            codes = begun(shop)
            assert shop.callback(codes.pop()).is_ok
            full(ballast)
            assert_full_then_not(shop, codes, make_room)


@contextmanager
def small_disk(size: str) -> Iterator[Path]:
    with TemporaryDirectory() as name:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", name]
        try:
            mounted = subprocess.run(mount, capture_output=True).returncode == 0
        except FileNotFoundError:
            mounted = False
        if not mounted:
            pytest.skip("no small filesystem can be mounted here")
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


def full(file: Path) -> None:
    """Leave no byte on the disk of this file."""
    with file.open("wb", buffering=0) as ballast, suppress(OSError):
        while ballast.write(bytes(4096)) == 4096:
            pass


# What goes wrong, as the design lists it, and the tests that show what happens then.
ROWS = {
    "unsigned, forged, altered, malformed, wrong key, stale": [
        "mixi/test_callback.py::test_not_signed",
        "mixi/test_callback.py::test_malformed",
        "mixi/test_callback.py::test_stale",
        "mixi/test_signing.py::test_refusals",
        "mixi/test_entrance.py::test_forgeries",
    ],
    "8 callbacks at once": ["mixi/test_once.py::test_one_grant_for_eight_callbacks"],
    "our work is slow, a lock is held, the queue is long": [
        "mixi/test_once.py::test_too_late_changes_nothing",
        "proof/test_slow_world.py::test_a_lock_is_held",
        "proof/test_slow_world.py::test_a_long_queue",
        "proof/test_slow_world.py::test_a_worker_stops",
        "proof/test_slow_world.py::test_a_statement_takes_too_long",
    ],
    "commit done, answer lost": [
        "proof/test_slow_world.py::test_an_answer_is_lost",
        "mixi/test_refresh.py::test_not_charged_is_taken_back",
        "proof/test_kills.py::test_the_next_visit_settles_the_gap",
    ],
    "callback for a code we never stored": ["mixi/test_callback.py::test_unknown_code"],
    "another user's code, another app's id": [
        "mixi/test_callback.py::test_somebody_elses_code",
        "mixi/test_callback.py::test_claims_of_another_application",
        "mixi/test_callback.py::test_malformed",
    ],
    "complete after cancel, cancel after complete, anything after void": [
        "mixi/test_callback.py::test_contradictions",
        "mixi/test_once.py::test_complete_against_cancel",
        "mixi/test_refresh.py::test_not_charged_is_taken_back",
        "proof/test_slow_world.py::test_an_answer_is_lost",
    ],
    "sold out or over the limit at callback": [
        "mixi/test_limits.py::test_many_screens_cannot_beat_the_stock",
        "mixi/test_limits.py::test_many_screens_cannot_beat_the_limit",
        "mixi/test_limits.py::test_the_reason_is_on_the_finish_page",
    ],
    "finish page opened by hand with status=10, or by another user": [
        "shop/test_pages.py::test_finish_shows_our_state",
        "shop/test_pages.py::test_finish_is_for_the_owner",
    ],
    "finish page never opened": ["proof/test_slow_world.py::test_nobody_returns"],
    "platform API down, slow, answering rubbish, throttling": [
        "mixi/test_taps.py::test_an_api_out_of_reach",
        "mixi/test_taps.py::test_an_api_that_says_nothing_or_nonsense",
        "mixi/test_taps.py::test_an_api_that_says_no",
        "mixi/test_refresh.py::test_mixi_is_down",
        "proof/test_hostile_api.py::test_nothing_is_charged",
        "proof/test_hostile_api.py::test_the_history_opens",
        "proof/test_hostile_api.py::test_too_many_questions",
    ],
    "double tap on buy": [
        "mixi/test_taps.py::test_a_double_tap_is_one_payment",
        "mixi/test_taps.py::test_taps_at_the_same_moment",
    ],
    "interface URL expired": [
        "sandbox/test_interface.py::test_time_runs_out",
        "shop/test_pages.py::test_an_unfinished_purchase_can_be_tried_again",
        "mixi/test_taps.py::test_an_old_form_does_not_lead_to_an_expired_screen",
    ],
    "test purchase": ["mixi/test_callback.py::test_a_test_purchase_earns_nothing"],
    "database down": [
        "mixi/test_callback.py::test_database_down",
        "proof/test_slow_world.py::test_no_database_at_all",
        "proof/test_slow_world.py::test_the_server_crashes",
        "proof/test_slow_world.py::test_a_full_disk",
    ],
}


@pytest.mark.parametrize("row", ROWS)
def test_every_row_has_its_test(row: str) -> None:
    """For each thing that can go wrong there are tests, by these names."""
    assert ROWS[row]
    for name in ROWS[row]:
        file, _, function = name.partition("::")
        tree = ast.parse((ROOT / "tests" / file).read_text())
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
