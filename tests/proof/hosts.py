"""Two hosts of the shop on one PostgreSQL, behind nginx with TLS as the deploy kit has it, and buyers.

    python -m tests.proof.hosts --buyers 10 --purchases 9

counts what buyers lose while a host is killed, and while one hangs.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import requests
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, create_engine, delete, func, make_url, select
from sqlalchemy.orm import Session

from storefront import clock
from storefront.mixi.payments import Payment
from storefront.shop.inventory import Grant
from storefront.shop.ledger import Entry
from storefront.shop.turns import Turn
from tests import postgresql
from tests.browser.apart import certificate
from tests.databases import ask
from tests.demo import free_ports, wait_for
from tests.proof import served
from tests.proof.idle import NGINX
from tests.proof.kills import ITEM, LONG_AGO, POINTS, Phone
from tests.proof.served import HOST, ROOT, SIZE, Step
from tests.street import APP_ID, CONSUMER_KEY, CONSUMER_SECRET

KIT = ROOT / ".deploy"
APART = 1.0  # seconds by which the second host's clock is ahead
AHEAD = "PROOF_AHEAD"
NAME = "shop"  # of the database and of its role, who is no administrator
TOKEN = "the token of the proofs, and of nobody else"
TAPS = 10  # a minute, for each buyer
TURNED_AWAY = "turned away"
START_SECONDS = 20
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
# What stands around the kit's file on a server: logs of its own, which hold whole addresses.
AROUND = """
{user}
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log {folder}/combined.log;
{temporary}
  include {folder}/storefront.conf;
}}
"""
SAID = re.compile(r'^\S+ \S+ (\w+) (\S+) (\d+) \d+ (\S+) by "([^"]*)" "([^"]*)" "([^"]*)"$')


@dataclass(frozen=True)
class Asked:
    """A line of the proxy's log: what was asked for, the answer, its seconds, and the hosts asked in turn."""

    method: str
    place: str
    status: int
    seconds: float
    hosts: list[int]


@dataclass
class Host:
    """A host of the shop: a server in a process group of its own, its clock ahead by some seconds."""

    name: str
    port: int
    folder: Path
    environment: dict[str, str]
    starts: int = 0
    running: ExitStack = field(default_factory=ExitStack)
    process: "subprocess.Popen[bytes] | None" = None

    def start(self, **changed: str) -> None:
        self.starts += 1
        self.environment = own = {**self.environment, **changed}
        words = f"{self.name}-{self.starts}"
        server = served.gunicorn(self.folder, words, self.port, "tests.proof.hosts:create_app()", SIZE, own)
        self.process = self.running.enter_context(server)

    def stop(self) -> None:
        self.running.close()

    def signal(self, number: int) -> None:
        """To all of its processes."""
        assert self.process
        os.killpg(self.process.pid, number)

    def is_gone(self) -> bool:
        return bool(self.process and self.process.poll() is not None)

    def answered(self) -> int:
        """How many callbacks it has answered OK."""
        logs = self.folder.glob(f"{self.name}-*.log")
        return sum(log.read_text().count('event="callback answered"') for log in logs)

    def numbers(self) -> dict[tuple[str, ...], float]:
        """What /metrics tells, by name and values of the labels."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with requests.Session() as http:
            http.trust_env = False
            text = http.get(f"http://{HOST}:{self.port}/metrics", headers=headers, timeout=30).text
        families = text_string_to_metric_families(text)
        samples = [sample for family in families for sample in family.samples]
        return {(sample.name, *sample.labels.values()): sample.value for sample in samples}


@dataclass
class Hosts:
    """Everything that runs."""

    folder: Path
    shop: str
    plain: str
    platform: str
    authority: Path
    environment: dict[str, str]
    database: postgresql.Server
    both: Sequence[Host]
    engine: Engine

    def phone(self) -> Phone:
        """A buyer of their own, before a sandbox of their own."""
        return Phone(self.platform, self.shop, self.authority)

    def kill_at(self, step: Step) -> None:
        """Whichever host comes to this step in a callback is gone there, with all of its workers."""
        ready = self.folder / "ready"
        ready.write_text(step)
        ready.rename(self.folder / "step")

    def log(self) -> list[Asked]:
        """What the proxy has noted."""
        lines = (self.folder / "access.log").read_text().splitlines()
        found = [SAID.fullmatch(line) for line in lines]
        assert all(found), lines
        asked = [one.groups() for one in found if one]
        return [
            Asked(
                method,
                place,
                int(status),
                float(seconds),
                [int(port) for port in re.findall(r":(\d+)", hosts)],
            )
            for method, place, status, seconds, hosts, *_ in asked
        ]

    def stop(self) -> None:
        for host in self.both:
            host.stop()

    def start(self, database_url: str | None = None) -> None:
        """Both hosts, on the same database as before or on another."""
        if database_url:
            self.environment["STOREFRONT_DATABASE_URL"] = database_url
            self.engine = create_engine(database_url)
        for host in self.both:
            host.start(STOREFRONT_DATABASE_URL=self.environment["STOREFRONT_DATABASE_URL"])

    def scalar(self, query: object) -> int:
        with Session(self.engine) as session:
            return int(session.scalar(query) or 0)  # type: ignore[call-overload]  # any query

    def held(self) -> int:
        return self.scalar(select(func.sum(Grant.quantity)))

    def earned(self) -> int:
        return self.scalar(select(func.sum(Entry.amount)))

    def payments(self) -> int:
        return self.scalar(select(func.count()).select_from(Payment))

    def counted(self, *name: str) -> float:
        """A counter of both hosts together."""
        return sum(host.numbers().get(name, 0) for host in self.both)

    def newest(self) -> Payment:
        with Session(self.engine) as session:
            return session.scalars(select(Payment).order_by(Payment.created_at.desc()).limit(1)).one()

    def age(self) -> None:
        """Set our last OKs and all turns back, which spares everybody that wait."""
        with Session(self.engine) as session:
            said = select(Payment).where(Payment.ok_at.is_not(None), Payment.confirmed_at.is_(None))
            for payment in session.scalars(said):
                assert payment.ok_at
                payment.ok_at -= LONG_AGO
            session.execute(delete(Turn))
            session.commit()

    def command(self, *words: str) -> str:
        return served.command(self.environment, *words)


@contextmanager
def hosts(folder: Path, taps: int = TAPS) -> Iterator[Hosts]:
    """Both hosts, their database, the proxy and the platform, each a server of its own."""
    one, other, front, plain, there = free_ports(5)
    shop, platform = f"https://{HOST}:{front}", f"http://{HOST}:{there}"
    files = certificate(folder)
    sandbox = {
        "SANDBOX_PUBLIC_URL": platform,
        "SANDBOX_SHOP_URL": shop,
        "SANDBOX_SHOP_CA": str(files["cert"]),
        "SANDBOX_KEYS": str(folder / "keys"),
        "SANDBOX_APP_ID": APP_ID,
        "SANDBOX_CONSUMER_KEY": CONSUMER_KEY,
        "SANDBOX_CONSUMER_SECRET": CONSUMER_SECRET,
        "SANDBOX_RATE_LIMIT": "1000000",
        "SANDBOX_SECRET_KEY": "a secret of the proofs, and of nobody else",
        "SANDBOX_DATABASE_URL": f"sqlite:///{folder}/sandbox.db",
    }
    size = ["--workers", "1", "--threads", "32"]
    with ExitStack() as stack:
        database = stack.enter_context(postgresql.server(folder, postgresql.fastest()))
        ask(database.url, f"CREATE ROLE {NAME} LOGIN", f"CREATE DATABASE {NAME} OWNER {NAME} ENCODING 'UTF8'")
        address = make_url(database.url).set(username=NAME, database=NAME).render_as_string()
        environment = served.prepared(
            folder,
            shop,
            address,
            platform,
            STOREFRONT_METRICS_TOKEN=TOKEN,
            STOREFRONT_MIXI_CERTIFICATE_URL=f"{platform}/certificates/{{channel}}/{{name}}.pem",
            REQUESTS_CA_BUNDLE=str(files["cert"]),
            STOREFRONT_MIXI_TAPS_PER_MINUTE=str(taps),
        )
        served_there = served.gunicorn(
            folder, "sandbox", there, "storefront.sandbox:create_sandbox()", size, sandbox
        )
        stack.enter_context(served_there)
        both = [
            Host(name, port, folder, {**environment, AHEAD: str(ahead), **metrics_in(folder / name)})
            for name, port, ahead in (("one", one, 0.0), ("other", other, APART))
        ]
        for host in both:
            stack.callback(host.stop)
            host.start()
        stack.enter_context(proxy(proxy_conf(folder, front, plain, [one, other], files), front))
        engine = create_engine(address)
        stack.callback(engine.dispose)
        addresses = shop, f"http://{HOST}:{plain}", platform
        yield Hosts(folder, *addresses, files["cert"], environment, database, both, engine)


def metrics_in(folder: Path) -> dict[str, str]:
    return {"STOREFRONT_METRICS_FOLDER": str(folder)}


def proxy_conf(folder: Path, front: int, plain: int, shops: Sequence[int], files: Mapping[str, Path]) -> Path:
    """The kit's nginx.conf with this machine's ports and folders, inside what a server has around it."""
    changes = {
        "listen 443 ssl default_server;": f"listen {HOST}:{front} ssl default_server;",
        "listen 80;": f"listen {HOST}:{plain};",
        "shop-1:8000": f"{HOST}:{shops[0]}",
        "shop-2:8000": f"{HOST}:{shops[1]}",
        "/etc/ssl/shop.pem": str(files["cert"]),
        "/etc/ssl/shop.key": str(files["key"]),
        "/var/log/nginx/": f"{folder}/",
        "/var/cache/storefront": f"{folder}/cache",
        "/srv/storefront/.deploy": str(KIT),
    }
    text = (KIT / "nginx.conf").read_text()
    for words, here in changes.items():
        assert words in text, words
        text = text.replace(words, here)
    (folder / "storefront.conf").write_text(text)
    temporary = "\n".join(f"  {name}_temp_path {folder}/{name};" for name in TEMPORARY)
    user = "" if os.geteuid() else "user root root;"  # whose folder it is
    around = folder / "nginx.conf"
    around.write_text(AROUND.format(user=user, folder=folder, temporary=temporary))
    return around


@contextmanager
def proxy(configuration: Path, port: int) -> Iterator[None]:
    """nginx, from here to the end of the block."""
    assert NGINX
    words = configuration.with_name("nginx.words")
    with words.open("w") as file:
        command = [NGINX, "-p", str(configuration.parent), "-c", str(configuration)]
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        wait_for(lambda: process.poll() is not None or _listens(port), START_SECONDS)
        assert process.poll() is None, words.read_text()
        yield
    finally:
        process.terminate()
        process.wait(START_SECONDS)


@dataclass(frozen=True)
class Rush:
    """What became of purchases that many made at once, and what both sides say of each buyer afterwards."""

    bought: int
    failed: int
    turned_away: int
    by_proxy: int
    lost: int
    doubled: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.bought} bought at the first press, {self.failed} failed, {self.turned_away} turned away;"
            f" the proxy found nobody {self.by_proxy} times; lost {self.lost}, doubled {self.doubled};"
            f" slowest press {self.seconds:.1f} s"
        )


def rush(street: Hosts, buyers: int, purchases: int, trouble: Callable[[], None]) -> Rush:
    """So many buy so often, and meanwhile there is trouble. Then all of them come back."""
    phones, before = [street.phone() for _ in range(buyers)], len(street.log())
    had = [phone.balance() for phone in phones]
    with ThreadPoolExecutor(buyers + 1) as people:
        calls = [people.submit(_shop, phone, purchases) for phone in phones]
        time.sleep(1)
        people.submit(trouble).result()
        presses = [press for call in calls for press in call.result()]
        street.age()
        held = list(people.map(_come_back, phones))
    paid = [(was - phone.balance()) // POINTS for was, phone in zip(had, phones, strict=True)]
    less, more = (sum(max(0, sign * (a - b)) for a, b in zip(paid, held, strict=True)) for sign in (1, -1))
    led = Counter(name for name, _ in presses)
    nobody = sum(asked.status in (502, 504) for asked in street.log()[before:])
    slowest = max(seconds for _, seconds in presses)
    return Rush(led["bought"], led["failed"], led[TURNED_AWAY], nobody, less, more, slowest)


def _come_back(phone: Phone) -> int:
    """The buyer looks at history and bag: how many they hold."""
    phone.open("/history")
    found = re.search(f'data-item="{ITEM}" data-quantity="(\\d+)"', phone.open("/inventory").text)
    return int(found[1]) if found else 0


def _shop(phone: Phone, purchases: int) -> list[tuple[str, float]]:
    """Which screen each press of the button led to, and after how many seconds."""
    presses = []
    for _ in range(purchases):
        began = time.monotonic()
        try:
            screen = phone.choose()
            began = time.monotonic()
            presses.append((phone.press(screen, "/buy").name, time.monotonic() - began))
        except (StopIteration, IndexError, requests.RequestException):  # a page without what is looked for
            presses.append((TURNED_AWAY, time.monotonic() - began))
    return presses


def kill_and_start(host: Host) -> None:
    """All of a host at once, as if its power had failed; it is back two seconds later."""
    host.signal(signal.SIGKILL)
    time.sleep(2)
    host.start()


def stop_and_go_on(host: Host) -> None:
    """It takes connections and says nothing; after eight seconds it goes on with all that it was asked."""
    host.signal(signal.SIGSTOP)
    time.sleep(8)
    host.signal(signal.SIGCONT)


@click.command()
@click.option("--buyers", default=10, show_default=True)
@click.option("--purchases", default=9, show_default=True, help="Of each.")
def main(buyers: int, purchases: int) -> None:
    """Count what is sold, lost and doubled with both hosts up, with one killed, and with one that hangs."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # or the servers would outlive us
    with (
        TemporaryDirectory() as folder,
        hosts(Path(folder), taps=1000) as street,
    ):
        first = street.both[0]
        troubles: Mapping[str, Callable[[], None]] = {
            "both up": lambda: None,
            "one killed, back after 2 s": lambda: kill_and_start(first),
            "one stopped for 8 s": lambda: stop_and_go_on(first),
        }
        for name, trouble in troubles.items():
            click.echo(f"{name}: {rush(street, buyers, purchases, trouble)}")


def create_app() -> Flask:
    """What gunicorn loads: the shop on a host whose clock is ahead, and which falls as a whole."""
    ahead, real = float(os.environ[AHEAD]), time.time
    time.time = lambda: real() + ahead
    clock.now = lambda: datetime.now(UTC) + timedelta(seconds=ahead)
    served.die = lambda: os.killpg(os.getpgrp(), signal.SIGKILL)
    return served.create_app()


def _listens(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection((HOST, port), timeout=5).close()
        return True
    return False


if __name__ == "__main__":
    main()
