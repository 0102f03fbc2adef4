"""Numbers for Prometheus, summed over all workers of a host; off without a token."""

import hmac
import os
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import structlog
from flask import Flask, current_app, request
from flask.typing import ResponseReturnValue
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    generate_latest,
)
from prometheus_client import values as prometheus_values
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from werkzeug.exceptions import NotFound

from storefront.config import Settings

NAME, FOLDER = "metrics", "PROMETHEUS_MULTIPROC_DIR"
# The deadline is at ten seconds; what counts is how near we come.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 7.5, 10)

log = structlog.get_logger()

Standing = Callable[[], Mapping[str, int]]


class _Files(Collector):
    """What the workers have kept. One that was killed as it began leaves an empty file."""

    def collect(self) -> Iterator[Metric]:
        files = [file for file in Path(os.environ[FOLDER]).glob("*.db") if file.stat().st_size]
        merged = MultiProcessCollector.merge(map(str, files))  # type: ignore[no-untyped-call]  # so typed there
        return iter(merged)


class Metrics:
    """What is counted, and the gauges that are read when somebody asks."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self.callbacks = Counter("storefront_callbacks", "Callbacks by answer.", ["status"], registry=None)
        self.used = Histogram(
            "storefront_callback_seconds",
            "Time of its deadline that a callback used.",
            buckets=SECONDS,
            registry=None,
        )
        self.calls = Counter(
            "storefront_api_calls", "Calls of the API by result.", ["call", "result"], registry=None
        )

    def exposition(self) -> bytes:
        registry = CollectorRegistry()
        registry.register(_Files())
        counted = generate_latest(registry)
        return counted + generate_latest(self._gauges())

    def _gauges(self) -> CollectorRegistry:
        registry = CollectorRegistry()
        for name, count in self.standing().items():
            Gauge(f"storefront_{name}", f"How many: {name.replace('_', ' ')}.", registry=registry).set(count)
        return registry


def init_app(app: Flask, settings: Settings, standing: Standing) -> None:
    """Count from now on, if the settings give a token; `standing` reads the gauges."""
    if settings.metrics_token is None:
        return
    folder = settings.metrics_folder or os.path.join(app.instance_path, NAME)
    os.makedirs(folder, exist_ok=True)
    # Each worker keeps its numbers in a file of its own; whoever is asked sums all of them.
    os.environ[FOLDER] = str(folder)
    prometheus_values.ValueClass = prometheus_values.MultiProcessValue()  # type: ignore[no-untyped-call]
    app.extensions[NAME] = Metrics(standing)
    token = settings.metrics_token.get_secret_value()

    @app.get("/metrics")
    def metrics() -> ResponseReturnValue:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), token.encode()):
            raise NotFound
        return app.extensions[NAME].exposition(), {"Content-Type": CONTENT_TYPE_LATEST}


def count_callback(status: int, seconds: float) -> None:
    """One callback answered, with the seconds of its deadline that it used."""

    def count(counting: Metrics) -> None:
        counting.callbacks.labels(str(status)).inc()
        counting.used.observe(max(0.0, seconds))

    _count(count)


def count_call(call: str, result: str) -> None:
    """One call of a platform's API, and whether it was answered, refused, unavailable, or not made."""
    _count(lambda counting: counting.calls.labels(call, result).inc())


def _count(count: Callable[[Metrics], object]) -> None:
    """Count, if anything is counted. A number that cannot be kept is no reason to fail a sale."""
    counting: Metrics | None = current_app.extensions.get(NAME)
    if counting is None:
        return
    try:
        count(counting)
    except (OSError, ValueError, struct.error) as error:
        log.error("not counted", kind=type(error).__name__)
