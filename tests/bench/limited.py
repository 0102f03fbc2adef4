"""What stands in the way of a sale or a page: the same at any number of earlier sales, or it is a fault.

The item sold so often gets a stock and a limit a person. Each request is asked of each shop in turn, one
at a time, and held against the answer of the shop that had sold nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from random import sample
from statistics import median

from tests.bench.letters import HOST, Letters
from tests.bench.rounds import Results, Series
from tests.bench.servers import ITEM, Shop, Street, serve
from tests.bench.tables import ratio, table
from tests.bench.traffic import flood
from tests.demo import free_ports
from tests.street import claims

TOKEN = "the token of the benchmark, and of nobody else"
ASKED = 40  # of one kind in one round
CALLBACK, SHELF, PAGE, BAG, METRICS = KINDS = ("callback", "shelf", "item page", "bag", "/metrics")

Writer = Callable[[Shop], list[bytes]]


def limited(street: Street, folder: Path, rounds: int) -> Results:
    """Each kind of request to each shop in turn."""
    results: Results = {}
    with _counting(street, folder) as shops:
        for number in range(rounds + 1):  # the first one warms up
            for kind, write in WRITERS.items():
                for shop in shops:
                    series = results.setdefault(shop.earlier, {}).setdefault(kind, Series())
                    outcome = flood(shop.port, write(shop), 1)
                    shop.past.confirm()  # or the next page would ask the platform
                    if number:
                        series.outcomes.append(outcome)
    return results


def of_limited(results: Results) -> str:
    first = next(iter(results.values()))
    rows = [
        [
            f"{earlier:,}",
            *(f"{median(series[kind].halves()):.1f}" for kind in KINDS),
            *(f"{ratio(series[kind].halves(), first[kind].halves()):.2f}" for kind in KINDS),
        ]
        for earlier, series in results.items()
    ]
    return table(
        "milliseconds, p50, one at a time, of a limited item sold so often before; then times the first row",
        ["earlier", *KINDS, *(f"x {kind}" for kind in KINDS)],
        rows,
    )


@contextmanager
def _counting(street: Street, folder: Path) -> Iterator[list[Shop]]:
    """The same shops served once more, with metrics, which the others do without."""
    with ExitStack() as stack:
        shops = []
        for shop, port in zip(street.shops, free_ports(len(street.shops)), strict=True):
            shop.past.limit(ITEM)
            name = f"counting-{shop.earlier}"
            own = {
                "STOREFRONT_PUBLIC_URL": f"http://{HOST}:{port}",
                "STOREFRONT_METRICS_TOKEN": TOKEN,
                "STOREFRONT_METRICS_FOLDER": str(folder / name),
            }
            environment = {**shop.environment, **own}
            stack.enter_context(serve(folder, name, port, "storefront:create_app()", environment))
            shops.append(replace(shop, port=port))
        yield shops


def _pages(path: str) -> Writer:
    def write(shop: Shop) -> list[bytes]:
        owners = [owner for _, owner in sample(shop.past.buyers, ASKED)]
        return [Letters(shop.port).get(path, claims(owner)) for owner in owners]

    return write


def _scrape(shop: Shop) -> list[bytes]:
    head = f"GET /metrics HTTP/1.1\r\nHost: {HOST}:{shop.port}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    return [head.encode()] * ASKED


WRITERS: dict[str, Writer] = {
    CALLBACK: lambda shop: shop.callbacks(ASKED),
    SHELF: _pages("/"),
    PAGE: _pages(f"/items/{ITEM}"),
    BAG: _pages("/inventory"),
    METRICS: _scrape,
}
