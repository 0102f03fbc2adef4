"""What is measured: the same three requests side by side, again and again, so that noise hits all alike."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from tests.bench.letters import Letters
from tests.bench.servers import POINTS, THREADS, Shop, Street
from tests.bench.traffic import WORKERS, Outcome, flood, stream
from tests.street import claims

OURS, INSERT, SIGNED, TAP = "callback", "insert", "signed insert", "tap"
NOW, BEFORE = "now", "before"
PER_SECOND = 100  # of the steady rate
CONNECTIONS = 2 * WORKERS * THREADS  # every thread busy, and one request waiting for each
FIRST_CALLBACKS = 500  # tell how many a round of the tail needs
CROWDS = (8, 16, 64)  # connections whose callbacks wait for one writer
TAPS = 40  # of one round
CALLBACKS = 100  # of one round, one buyer at a time
ATOM = "application/atom+xml;type=entry;charset=utf-8"

Writer = Callable[[int], list[bytes]]


@dataclass
class Series:
    """The outcomes of one kind of request, one for each round."""

    outcomes: list[Outcome] = field(default_factory=list)

    def rates(self) -> list[float]:
        return [outcome.rate for outcome in self.outcomes]

    def halves(self) -> list[float]:
        """The median wait of each round, in milliseconds."""
        return [median(outcome.waits) * 1000 for outcome in self.outcomes]

    def tails(self) -> list[float]:
        """What 99 percent of the waits of each round do not exceed, in milliseconds."""
        return [Series([outcome]).percentile(99) for outcome in self.outcomes]

    def percentile(self, percent: float) -> float:
        """Milliseconds that so many percent of all waits do not exceed."""
        waits = sorted(wait for outcome in self.outcomes for wait in outcome.waits)
        return waits[math.ceil(len(waits) * percent / 100) - 1] * 1000


# By number of earlier payments (of the tail: of connections), then by kind of request.
Results = dict[int, dict[str, Series]]


def saturation(street: Street, rounds: int, seconds: float) -> Results:
    """Each alone at full speed, for about `seconds` at a time."""
    counts: dict[tuple[int, str], int] = {}

    def measure(earlier: int, kind: str, port: int, write: Writer) -> Outcome:
        count = counts.get((earlier, kind), 200)
        outcome = flood(port, write(count), CONNECTIONS)
        counts[earlier, kind] = max(100, int(outcome.rate * seconds))
        return outcome

    _side_by_side(street, 1, measure)  # a first round finds out how many requests a round needs
    return _side_by_side(street, rounds, measure)


def tail(street: Street, rounds: int, seconds: float) -> Results:
    """Callbacks at full speed on few and on many connections; this version and the one before in turns."""
    shops = _versions(street)
    results: Results = {connections: {} for connections in CROWDS}
    rates = {name: _settle(shop, FIRST_CALLBACKS, max(CROWDS)).rate for name, shop in shops.items()}
    for _ in range(rounds):
        for connections, series in results.items():
            for name, shop in shops.items():
                _add(series, name, _settle(shop, int(rates[name] * seconds), connections))
    return results


def versions(street: Street, rounds: int) -> dict[str, dict[str, Series]]:
    """One buyer at a time, by kind and version; who was asked last in a round is first in the next."""
    results: dict[str, dict[str, Series]] = {OURS: {}, TAP: {}}
    shops = list(_versions(street).items())
    for _ in range(rounds):
        for name, shop in shops:
            owners = [owner for _, owner in random.sample(shop.past.buyers, TAPS)]
            _add(results[OURS], name, flood(shop.port, shop.callbacks(CALLBACKS), 1))
            _add(results[TAP], name, flood(shop.port, shop.taps(owners), 1))
        shops.reverse()
    return results


def steady(street: Street, rounds: int, seconds: float) -> Results:
    """Each alone at a hundred requests a second."""

    def measure(earlier: int, kind: str, port: int, write: Writer) -> Outcome:
        return stream(port, write(int(PER_SECOND * seconds)), CONNECTIONS, PER_SECOND)

    return _side_by_side(street, rounds, measure)


def purchase(street: Street, rounds: int) -> Results:
    """One buyer at a time: taps, what the platform itself takes for a tap, callbacks, and the yardsticks."""
    results: Results = {}
    for _ in range(rounds):
        for shop in street.shops:
            series = results.setdefault(shop.earlier, {})
            owners = [owner for _, owner in random.sample(shop.past.buyers, TAPS)]
            _add(series, TAP, flood(shop.port, shop.taps(owners), 1))
            _add(series, "platform", flood(street.api, _wishes(street.api, owners), 1))
            for kind, port, write in _three(street, shop):
                _add(series, kind, flood(port, write(TAPS), 1))
    return results


def _side_by_side(
    street: Street, rounds: int, measure: Callable[[int, str, int, Writer], Outcome]
) -> Results:
    results: Results = {}
    for _ in range(rounds):
        for shop in street.shops:
            for kind, port, write in _three(street, shop):
                granted = shop.past.grants() if kind == OURS else 0
                outcome = measure(shop.earlier, kind, port, write)
                _add(results.setdefault(shop.earlier, {}), kind, outcome)
                if kind == OURS and shop.past.grants() - granted != len(outcome.waits):
                    raise SystemExit("not every callback made one grant")
    return results


def _versions(street: Street) -> dict[str, Shop]:
    return {NOW: street.shops[0]} | ({BEFORE: street.before} if street.before else {})


def _settle(shop: Shop, count: int, connections: int) -> Outcome:
    """So many callbacks; one that is refused has waited in vain, and counts as a wait all the same."""
    granted = shop.past.grants()
    outcome = flood(shop.port, shop.callbacks(count), connections, (200, 503))
    if shop.past.grants() - granted != count - outcome.refused:
        raise SystemExit("not every callback made one grant")
    return outcome


def _three(street: Street, shop: Shop) -> list[tuple[str, int, Writer]]:
    """A B C: what is asked of whom. All three carry the same parameters and a valid signature."""
    letters = Letters(street.reference)

    def yardstick(path: str) -> Writer:
        return lambda count: [
            letters.callback(path, f"{random.getrandbits(80):020x}", shop.past.buyers[0][1])
            for _ in range(count)
        ]

    return [
        (OURS, shop.port, shop.callbacks),
        (INSERT, street.reference, yardstick("/insert")),
        (SIGNED, street.reference, yardstick("/signed-insert")),
    ]


def _wishes(port: int, owners: list[str]) -> list[bytes]:
    return [Letters(port).post(POINTS, claims(owner), b"<entry/>", ATOM) for owner in owners]


def _add(series: dict[str, Series], kind: str, outcome: Outcome) -> None:
    series.setdefault(kind, Series()).outcomes.append(outcome)
