"""The processes of a run, each ended by whoever started it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import postgresql
from tests.bench import reference
from tests.bench.letters import HOST, Letters
from tests.bench.past import Past
from tests.bench.traffic import WORKERS, ask
from tests.databases import new_database
from tests.demo import free_ports
from tests.street import (
    APP_ID,
    CALLBACK,
    CONSUMER_KEY,
    CONSUMER_SECRET,
    GOODS,
    HANAKO,
    PLATFORM,
    claims,
    only_form,
)

ROOT = Path(__file__).parents[2]
THREADS = 4  # of each worker
START_SECONDS, STOP_SECONDS, MIGRATE_SECONDS = 60, 10, 120
POINTS = "/atom/mobile/point/@me"
ITEM = "loaf"
FIRST = 1000  # payments a shop has before it is measured, so that plans are made for an index


@dataclass(frozen=True)
class Shop:
    """A running shop with so many earlier payments."""

    earlier: int
    port: int
    past: Past
    environment: Mapping[str, str]

    def callbacks(self, count: int) -> list[bytes]:
        """First deliveries, each of a payment of its own."""
        letters = Letters(self.port)
        return [
            letters.callback(f"{CALLBACK}/{word}", code, owner)
            for code, owner, word in self.past.prepare(count)
        ]

    def taps(self, owners: list[str]) -> list[bytes]:
        """Presses of the buy button, each of a page fetched for it."""
        letters = Letters(self.port)
        pages = ask(self.port, [letters.get(f"/items/{ITEM}", claims(owner)) for owner in owners])
        forms = [only_form(page.decode()) for page in pages]
        return [letters.press(path, owner, form) for owner, (path, form) in zip(owners, forms, strict=True)]


@dataclass(frozen=True)
class Street:
    """Everything that runs for one database."""

    shops: list[Shop]
    reference: int
    api: int
    before: Shop | None  # the first of the shops as an earlier version has it


@contextmanager
def street(database: str, sizes: list[int], folder: Path, against: Path | None = None) -> Iterator[Street]:
    """The shops, one for each number of earlier payments, the yardstick and the point API.

    `against` is a checkout of an earlier version, which then stands in the street, too.
    """
    with ExitStack() as stack:
        url = stack.enter_context(open_database(database, folder))
        reference_port, api_port, before_port, *ports = free_ports(3 + len(sizes))
        start_reference(stack, folder, reference_port, url("reference"))
        stack.enter_context(serve(folder, "api", api_port, "tests.bench.pointapi:create_point_api()", {}))
        shops = [
            _start_shop(stack, folder, earlier, port, api_port, url(f"shop_{earlier}"))
            for earlier, port in zip(sizes, ports, strict=True)
        ]
        before = None
        if against:
            root, name = against.resolve(), url("shop_before")
            before = _start_shop(stack, folder, sizes[0], before_port, api_port, name, root)
        yield Street(shops, reference_port, api_port, before)


@contextmanager
def open_database(kind: str, folder: Path) -> Iterator[Callable[[str], str]]:
    """Makes an empty database of some name and says its address."""
    if kind == "sqlite":
        yield lambda name: f"sqlite:///{folder}/{name}.db"
        return
    with postgresql.server(folder, folder) as server:
        yield lambda name: new_database(server.url, name)


def _start_shop(
    stack: ExitStack, folder: Path, earlier: int, port: int, api_port: int, url: str, root: Path = ROOT
) -> Shop:
    """A shop that has sold once over the wire, and then `earlier` times by copying; its code is in `root`."""
    environment = {
        "PYTHONPATH": str(root),
        "STOREFRONT_SECRET_KEY": "a secret of the benchmark, and of nobody else",
        "STOREFRONT_PUBLIC_URL": f"http://{HOST}:{port}",
        "STOREFRONT_DATABASE_URL": url,
        "STOREFRONT_CATALOG": str(GOODS),
        "STOREFRONT_MIXI_APP_ID": APP_ID,
        "STOREFRONT_MIXI_CONSUMER_KEY": CONSUMER_KEY,
        "STOREFRONT_MIXI_CONSUMER_SECRET": CONSUMER_SECRET,
        "STOREFRONT_MIXI_CONTAINER_URL": f"{PLATFORM}/ma/{APP_ID}/",
        "STOREFRONT_MIXI_POINT_URL": f"http://{HOST}:{api_port}{POINTS}",
        "STOREFRONT_MIXI_CONFIRM_URL": f"http://{HOST}:{api_port}{POINTS}",
        "STOREFRONT_MIXI_PLATFORM_HOSTS": "platform.test",
        "STOREFRONT_THREADS": str(THREADS),
    }
    command = [str(Path(sys.executable).parent / "storefront"), "upgrade"]
    subprocess.run(
        command,
        env=environment_of(environment),
        check=True,
        timeout=MIGRATE_SECONDS,
        stdout=subprocess.DEVNULL,
    )
    stack.enter_context(serve(folder, f"shop-{port}", port, "storefront:create_app()", environment, root))
    past = Past(url)
    stack.callback(past.close)
    shop = Shop(earlier, port, past, environment)
    ask(port, shop.taps([HANAKO, HANAKO]))
    code, word = past.newest()
    ask(port, [Letters(port).callback(f"{CALLBACK}/{word}", code, HANAKO)])
    past.fill(earlier)
    past.prepare(FIRST)
    past.tidy()
    return shop


def start_reference(stack: ExitStack, folder: Path, port: int, url: str) -> None:
    engine = reference.durable(url)  # two workers that turned on SQLite's log at once would meet
    reference.metadata.create_all(engine)
    engine.dispose()
    environment = {"BENCH_DATABASE_URL": url, "BENCH_KEY": CONSUMER_KEY, "BENCH_SECRET": CONSUMER_SECRET}
    application = "tests.bench.reference:create_reference()"
    stack.enter_context(serve(folder, "reference", port, application, environment))


@contextmanager
def serve(
    folder: Path, name: str, port: int, application: str, environment: Mapping[str, str], root: Path = ROOT
) -> Iterator[None]:
    """gunicorn, as the shop is served, until the end of the block; its words go to a file."""
    command = [sys.executable, "-m", "gunicorn", "--bind", f"{HOST}:{port}", "--worker-class", "gthread"]
    command += ["--config", str(ROOT / "tests" / "bench" / "tagged.py")]
    size = ["--workers", str(WORKERS), "--threads", str(THREADS), "--keep-alive", "60"]
    words = folder / f"{name}.log"
    with words.open("w") as log:
        process = subprocess.Popen(
            [*command, *size, "--log-level", "warning", application],
            env=environment_of(environment),
            cwd=root,
            stdout=log,
            stderr=log,
        )
    try:
        _wait(process, port, words)
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", port: int, words: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            ask(port, [Letters(port).get("/healthz", {})])
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"a server did not start:\n{words.read_text()[-2000:]}")


def environment_of(own: Mapping[str, str]) -> dict[str, str]:
    """Ours, without any setting of a shop or any proxy."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STOREFRONT_")}
    return {**kept, "NO_PROXY": HOST, "no_proxy": HOST, **own}
