"""What is printed: plain tables, and ratios that are medians over rounds."""

from collections.abc import Mapping, Sequence
from statistics import median

from tests.bench.rounds import BEFORE, INSERT, NOW, OURS, PER_SECOND, SIGNED, TAP, Results, Series

KINDS = (OURS, INSERT, SIGNED)


def of_saturation(results: Results) -> str:
    rows = []
    for earlier, series in results.items():
        rates = {kind: series[kind].rates() for kind in KINDS}
        rows.append(
            [
                f"{earlier:,}",
                *(f"{median(rates[kind]):.0f}" for kind in KINDS),
                f"{ratio(rates[OURS], rates[INSERT]):.2f}",
                f"{ratio(rates[OURS], rates[SIGNED]):.2f}",
                f"{ratio(rates[INSERT], rates[SIGNED]):.2f}",
            ]
        )
    return table(
        "requests a second at saturation: (a) callback, (b) insert, (c) signed insert",
        ["earlier", "a", "b", "c", "a/b", "a/c", "b/c"],
        rows,
    )


def of_tail(results: Results) -> str:
    rows = []
    for connections, series in results.items():
        for name, kind in series.items():
            waits = (kind.percentile(percent) for percent in (50, 99, 100))
            count = sum(len(outcome.waits) for outcome in kind.outcomes)
            rows.append(
                [
                    str(connections),
                    name,
                    f"{median(kind.rates()):.0f}",
                    *(f"{wait:.0f}" for wait in waits),
                    f"{count:,}",
                    str(sum(outcome.refused for outcome in kind.outcomes)),
                    *_beside(series if name == NOW else {}),
                ]
            )
    return table(
        "callbacks at saturation: how many a second, and for how many milliseconds they wait; p99 and rate"
        " also as a part of the version before, median over rounds",
        ["connections", "version", "rate", "p50", "p99", "worst", "of", "refused", "p99 ratio", "rate ratio"],
        rows,
    )


def _beside(series: Mapping[str, Series]) -> tuple[str, str]:
    if BEFORE not in series:
        return "", ""
    now, before = series[NOW], series[BEFORE]
    return f"{ratio(now.tails(), before.tails()):.2f}", f"{ratio(now.rates(), before.rates()):.2f}"


def of_versions(results: Mapping[str, Mapping[str, Series]]) -> str:
    rows = []
    for kind, series in results.items():
        halves = [series[name].halves() for name in (NOW, BEFORE)]
        rows.append([kind, *(f"{median(half):.1f}" for half in halves), f"{ratio(*halves):.2f}"])
    return table(
        "milliseconds with one buyer at a time, p50, and the ratio, median over rounds",
        ["request", NOW, BEFORE, "ratio"],
        rows,
    )


def of_steady(results: Results) -> str:
    rows = []
    first = next(iter(results.values()))
    for earlier, series in results.items():
        halves = {kind: series[kind].halves() for kind in KINDS}
        growth = ratio(halves[OURS], first[OURS].halves())
        drift = ratio(halves[SIGNED], first[SIGNED].halves())
        rows.append(
            [
                f"{earlier:,}",
                *(f"{series[kind].percentile(percent):.1f}" for kind in KINDS for percent in (50, 99)),
                f"{ratio(halves[OURS], halves[INSERT]):.2f}",
                f"{ratio(halves[OURS], halves[SIGNED]):.2f}",
                f"{growth:.2f}",
                f"{drift:.2f}",
                f"{growth / drift:.2f}",
            ]
        )
    return table(
        f"milliseconds at {PER_SECOND} requests a second, from the planned moment;"
        " growth: p50 of (a) over its first row; drift: the same of (c)",
        [
            "earlier",
            *(f"{name} {percent}" for name in "abc" for percent in ("p50", "p99")),
            *("a/b p50", "a/c p50", "growth", "drift", "growth/drift"),
        ],
        rows,
    )


def of_purchase(results: Results) -> str:
    rows = []
    for earlier, series in results.items():
        halves = {kind: series[kind].halves() for kind in (*KINDS, TAP, "platform")}
        own = [tap - platform for tap, platform in zip(halves[TAP], halves["platform"], strict=True)]
        rows.append(
            [
                f"{earlier:,}",
                *(f"{median(halves[kind]):.1f}" for kind in (TAP, "platform")),
                f"{median(own):.1f}",
                *(f"{median(halves[kind]):.1f}" for kind in KINDS),
                f"{ratio(own, halves[INSERT]):.2f}",
                f"{ratio(halves[OURS], halves[INSERT]):.2f}",
                f"{ratio(halves[OURS], halves[SIGNED]):.2f}",
            ]
        )
    return table(
        "milliseconds with one buyer at a time, p50; own: tap to redirect without the platform's time",
        ["earlier", "tap", "platform", "own", "a", "b", "c", "own/b", "a/b", "a/c"],
        rows,
    )


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median of the ratios of values taken in the same round."""
    return median(one / other for one, other in zip(above, below, strict=True))


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need to be, numbers to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)
    ]
    return "\n".join([title, *lines, ""])
