"""Callbacks while mixi's API is slow: how many find a thread in time.

The command plays the same traffic against this checkout of the shop and, in turns, against others:

    python -m tests.proof.pressure --beside ../the/version/before
"""

import re
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from html import unescape
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from urllib.parse import urlencode, urlsplit

import click
import requests

from storefront.mixi.payments import LISTENS
from tests.demo import free_ports
from tests.proof import hostile, served
from tests.proof.hostile import Asked, Behaviour, Ending, HostileApi, Step
from tests.proof.served import AS_IN_PRODUCTION, COMMAND_SECONDS, HOST, ROOT
from tests.street import (
    APP_ID,
    CONSUMER_KEY,
    CONSUMER_SECRET,
    GOODS,
    PLATFORM,
    callback_target,
    claims,
    only_form,
)
from tests.street import sign as signed

ITEM = "loaf"
CALLBACKS = 2.0  # a second
PAGES = 64
SENDERS = 400  # threads of ours: nobody waits to be sent
GIVES_UP = 60.0  # a sender's; mixi's own is shorter
# Workers, threads of each, and taps a second, as many as keep all of them busy while a tap takes six seconds.
SIZES = [(2, 4, 2.0), (4, 8, 8.0)]


class Api(HostileApi):
    """The point API, which remembers where the shop wants to be called for each payment."""

    def __init__(self) -> None:
        super().__init__()
        self.callback_urls: dict[str, str] = {}
        self.behaviour = self.create

    def create(self, asked: Asked) -> Iterator[Step]:
        code = asked.code
        found = re.search(rb'callback_url="([^"]+)"', asked.body)
        if found:
            self.callback_urls[code] = unescape(found[1].decode())
        yield hostile.answer(hostile.ENTRY.format(code=code).encode())
        yield Ending.KEEP


@dataclass
class Held:
    """A behaviour: no answer until it is let go; and who was gone by then."""

    let_go: Event = field(default_factory=Event)
    asked: list[Asked] = field(default_factory=list)
    left: list[Asked] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Iterator[Step]:
        self.asked.append(asked)
        try:
            while not self.let_go.is_set():
                yield 0.05
        except GeneratorExit:
            self.left.append(asked)
            raise
        yield from hostile.good(asked)


@dataclass(frozen=True)
class Call:
    """What became of one request: its status and text, and after how many seconds."""

    status: int
    text: str
    seconds: float

    @property
    def is_ok(self) -> bool:
        return (self.status, self.text) == (200, "OK")


@dataclass(frozen=True)
class Shop:
    """A running shop, its platform, and the people who use it."""

    port: int
    api: Api

    @property
    def origin(self) -> str:
        return f"http://{HOST}:{self.port}"

    def form(self, owner: str) -> tuple[str, dict[str, str]]:
        return only_form(self.page(f"/items/{ITEM}", owner).text)

    def tap(self, form: tuple[str, dict[str, str]], owner: str) -> Call:
        path, fields = form
        return self._send("POST", f"{path}?{urlencode(claims(owner))}", fields)

    def page(self, path: str, owner: str) -> Call:
        return self._send("GET", f"{path}?{urlencode(claims(owner))}")

    def start(self, owner: str) -> str:
        """Buy, as far as the point interface; the payment's code."""
        known = set(self.api.callback_urls)
        assert self.tap(self.form(owner), owner).status == 302
        (code,) = set(self.api.callback_urls) - known
        return code

    def callback(self, code: str, owner: str) -> Call:
        """What mixi's servers send, to where the shop wants it."""
        address = urlsplit(self.api.callback_urls[code])
        return self._send("GET", f"{address.path}?{urlsplit(callback_target(code, owner)).query}")

    def _send(self, method: str, target: str, fields: Mapping[str, str] | None = None) -> Call:
        began = time.monotonic()
        try:
            answer = requests.request(
                method,
                self.origin + target,
                data=fields,
                headers=signed(method, target, origin=self.origin),
                timeout=GIVES_UP,
                allow_redirects=False,
                proxies={"http": ""},
            )
        except requests.RequestException as failure:
            return Call(0, type(failure).__name__, time.monotonic() - began)
        return Call(answer.status_code, answer.text, time.monotonic() - began)


@dataclass(frozen=True)
class Pressure:
    """What stands in the way of callbacks: how the API behaves, and what buyers do meanwhile."""

    name: str
    behaviour: Behaviour
    pages: bool = False  # else taps


PRESSURES = [
    Pressure("taps, API drips", hostile.slow_body),
    Pressure("taps, API is silent", hostile.silence),
    Pressure(f"{PAGES} pages, API is silent", hostile.silence, pages=True),
]


@dataclass(frozen=True)
class Outcome:
    callbacks: list[Call]
    others: list[Call]

    @property
    def in_time(self) -> int:
        return sum(call.is_ok and call.seconds < LISTENS for call in self.callbacks)

    def __str__(self) -> str:
        slowest = max(call.seconds for call in self.callbacks)
        refused = Counter(call.text.strip()[:60] for call in self.callbacks if not call.is_ok)
        asked = sorted(call.seconds for call in self.others)
        return (
            f"{self.in_time:3} of {len(self.callbacks)} callbacks OK in time, slowest {slowest:5.1f} s;"
            f" {len(asked)} others, half within {asked[len(asked) // 2]:.1f} s, slowest {asked[-1]:.1f} s"
            + "".join(f"; {count} said {text}" for text, count in refused.items())
        )


@contextmanager
def street(
    workers: int,
    threads: int,
    settings: Mapping[str, str] | None = None,
    root: Path = ROOT,
    server: Sequence[str] = AS_IN_PRODUCTION,
) -> Iterator[Shop]:
    """A shop of some checkout under gunicorn, on an empty SQLite, and its point API."""
    with TemporaryDirectory() as name, closing(Api()) as api:
        folder, port = Path(name), free_ports(1)[0]
        environment = {
            "STOREFRONT_SECRET_KEY": "a secret of the proofs, and of nobody else",
            "STOREFRONT_PUBLIC_URL": f"http://{HOST}:{port}",
            "STOREFRONT_CATALOG": str(GOODS),
            "STOREFRONT_DATABASE_URL": f"sqlite:///{folder}/shop.db",
            "STOREFRONT_METRICS_FOLDER": f"{folder}/metrics",
            "STOREFRONT_MIXI_APP_ID": APP_ID,
            "STOREFRONT_MIXI_CONSUMER_KEY": CONSUMER_KEY,
            "STOREFRONT_MIXI_CONSUMER_SECRET": CONSUMER_SECRET,
            "STOREFRONT_MIXI_CONTAINER_URL": f"{PLATFORM}/ma/{APP_ID}/",
            "STOREFRONT_MIXI_POINT_URL": api.address,
            "STOREFRONT_MIXI_CONFIRM_URL": api.address,
            "STOREFRONT_MIXI_PLATFORM_HOSTS": "platform.test",
            **(settings or {}),
        }
        subprocess.run(
            [sys.executable, "-c", "from storefront.cli import main; main()", "upgrade"],
            cwd=root,
            env=served.without_settings(environment),
            check=True,
            timeout=COMMAND_SECONDS,
            stdout=subprocess.DEVNULL,
        )
        size = [*server, "--workers", str(workers), "--threads", str(threads)]
        with served.gunicorn(folder, "shop", port, "wsgi:app", size, environment, root):
            yield Shop(port, api)


def press(shop: Shop, pressure: Pressure, taps: float, seconds: float) -> Outcome:
    """Callbacks at a steady rate, and meanwhile taps at theirs, or as many pages as are kept in flight."""
    bought = [(shop.start(owner), owner) for owner in _people(int(CALLBACKS * seconds))]
    with ThreadPoolExecutor(SENDERS) as senders:
        others = _pages(shop, senders, seconds) if pressure.pages else _taps(shop, senders, taps, seconds)
        shop.api.behaviour = pressure.behaviour
        begun = others()
        time.sleep(1)  # so that the pressure is there before the first callback
        callbacks = _steadily(senders, [partial(shop.callback, *one) for one in bought], CALLBACKS)
        answered = [call.result() for call in callbacks]
        return Outcome(answered, [call for each in begun for call in each.result()])


Begin = Callable[[], list[Future[list[Call]]]]


def _taps(shop: Shop, senders: ThreadPoolExecutor, rate: float, seconds: float) -> Begin:
    """Each by a buyer of its own, whose page was opened before."""
    forms = [(shop.form(owner), owner) for owner in _people(int(rate * (seconds + 1)))]

    def all_of_them() -> list[Call]:
        calls = _steadily(senders, [partial(shop.tap, *one) for one in forms], rate)
        return [call.result() for call in calls]

    return lambda: [senders.submit(all_of_them)]


def _pages(shop: Shop, senders: ThreadPoolExecutor, seconds: float) -> Begin:
    """Each buyer has bought something that mixi has not confirmed, and opens the history again and again."""
    owners = _people(PAGES)
    for owner in owners:
        assert shop.callback(shop.start(owner), owner).is_ok

    def again_and_again(owner: str) -> list[Call]:
        until, calls = time.monotonic() + seconds, []
        while time.monotonic() < until:
            calls.append(shop.page("/history", owner))
        return calls

    return lambda: [senders.submit(again_and_again, owner) for owner in owners]


def _steadily(
    senders: ThreadPoolExecutor, actions: list[Callable[[], Call]], rate: float
) -> list[Future[Call]]:
    """Begin them one after the other at a steady rate, whatever becomes of those before."""
    began, calls = time.monotonic(), []
    for number, action in enumerate(actions):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        calls.append(senders.submit(action))
    return calls


def _people(count: int) -> list[str]:
    return [f"mo3{secrets.token_hex(5)}" for _ in range(count)]


@click.command()
@click.option("--beside", multiple=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--seconds", default=15.0, show_default=True, help="How long each pressure lasts.")
def main(beside: tuple[Path, ...], seconds: float) -> None:
    """Count the callbacks that are answered in time while mixi's API is slow.

    BESIDE is another checkout of the shop, measured in turns with this one.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # or the servers would outlive us
    for pressure in PRESSURES:
        for workers, threads, taps in SIZES:
            rate = "" if pressure.pages else f", {taps:g} taps a second"
            click.echo(f"{pressure.name}; {workers} workers of {threads} threads{rate}")
            for root in (*beside, ROOT):
                server = AS_IN_PRODUCTION if (root / "storefront" / "serving.py").exists() else ()
                with street(workers, threads, root=root.resolve(), server=server) as shop:
                    click.echo(f"  {root.resolve().name:<12} {press(shop, pressure, taps, seconds)}")


if __name__ == "__main__":
    main()
