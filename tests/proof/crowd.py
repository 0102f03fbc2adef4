"""How many taps are turned away when many buy at once, by how many threads may wait for mixi.

    python -m tests.proof.crowd --at-once 2 --at-once 4 --at-once 8 --rounds 3

Two hosts on one database behind the kit's nginx; every number of threads has its turn in each round, with
mixi's API as it is, and with each of its answers late.
"""

import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click
import requests

from tests.proof.hosts import Hosts, hosts
from tests.proof.kills import Phone

TURNED_AWAY = "turned away"
CALLBACK = "mixi/callback"
CALLS, CROWDED, UNHEARD = "storefront_api_calls_total", "crowded", "unavailable"


@dataclass(frozen=True)
class Crowd:
    """What became of the taps of many who bought at once, and the slowest of their callbacks in seconds."""

    bought: int
    turned_away: int
    crowded: float
    unheard: float
    tap: float
    callback: float

    def __str__(self) -> str:
        return (
            f"{self.bought} bought, {self.turned_away} turned away ({self.crowded:.0f} in the crowd,"
            f" {self.unheard:.0f} by the API's silence); a tap {self.tap:.1f} s,"
            f" slowest callback {self.callback:.1f} s"
        )


def crowd(street: Hosts, buyers: int, purchases: int, late: int) -> Crowd:
    """So many buy so often, all at once, while each answer of the API is so many seconds late."""
    phones, before = [street.phone() for _ in range(buyers)], len(street.log())
    if late:
        for phone in phones:
            desk = phone.get(f"{phone.platform}/desk/weather")
            phone.press(desk, "/desk/weather", kind="api.slow", seconds=str(late), next="")
    crowded, unheard = (street.counted(CALLS, "create", word) for word in (CROWDED, UNHEARD))
    with ThreadPoolExecutor(buyers) as people:
        shopping = partial(_shop, purchases)
        taps = [tap for bought in people.map(shopping, phones) for tap in bought]
    led = Counter(name for name, _ in taps)
    crowded = street.counted(CALLS, "create", CROWDED) - crowded
    unheard = street.counted(CALLS, "create", UNHEARD) - unheard
    callbacks = [asked.seconds for asked in street.log()[before:] if asked.place == CALLBACK]
    typical = median(seconds for _, seconds in taps)
    slowest = max(callbacks, default=0)
    return Crowd(led["bought"], led[TURNED_AWAY], crowded, unheard, typical, slowest)


def _shop(purchases: int, phone: Phone) -> list[tuple[str, float]]:
    return list(_taps(purchases, phone))


def _taps(purchases: int, phone: Phone) -> Iterator[tuple[str, float]]:
    """Where each first tap led in the end, and the seconds until it had its answer."""
    for _ in range(purchases):
        began = time.monotonic()
        try:
            screen = phone.choose()
            seconds = time.monotonic() - began
            yield phone.press(screen, "/buy").name, seconds
        except (StopIteration, IndexError, requests.RequestException):  # a page without what is looked for
            yield TURNED_AWAY, time.monotonic() - began


@click.command()
@click.option("--buyers", default=30, show_default=True)
@click.option("--purchases", default=3, show_default=True, help="Of each.")
@click.option(
    "--at-once", multiple=True, default=[2, 4, 8, 16], show_default=True, help="MIXI_CALLS_AT_ONCE."
)
@click.option("--late", multiple=True, default=[0, 2], show_default=True, help="Seconds, of each answer.")
@click.option("--rounds", default=3, show_default=True)
def main(buyers: int, purchases: int, at_once: list[int], late: list[int], rounds: int) -> None:
    """Count them."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # or the servers would outlive us
    with TemporaryDirectory() as folder, hosts(Path(folder), taps=1000) as street:
        for _, places in product(range(rounds), at_once):
            street.stop()
            for host in street.both:
                host.start(STOREFRONT_MIXI_CALLS_AT_ONCE=str(places))
            for seconds in late:
                outcome = crowd(street, buyers, purchases, seconds)
                click.echo(f"{places} at once, the API {seconds} s late: {outcome}")


if __name__ == "__main__":
    main()
