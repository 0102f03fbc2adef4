"""Numbers for Prometheus, summed over the workers of one server; off without a token."""

import fcntl
import hmac
import os
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from socket import gethostname
from threading import Lock
from typing import NamedTuple

import structlog
from flask import Flask, current_app, request
from flask.typing import ResponseReturnValue
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    Metric,
    generate_latest,
)
from prometheus_client import values as prometheus_values
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import NotFound

from storefront.config import PREFIX, HouseSettings, SettingsError

NAME, FOLDER, GAUGES = "metrics", "PROMETHEUS_MULTIPROC_DIR", "gauges"
ROOM = 1 << 16  # bytes of a worker's file, as prometheus_client begins one; ours never outgrow it
KERNEL = Path("/proc")  # Linux alone has it
# The deadline is at ten seconds; what counts is how near we come.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 7.5, 10)
# Told from the start: to Prometheus what begins at one has not risen, and would ring no alert.
WATCHED = ("200", "503")

log = structlog.get_logger()

Standing = Callable[[], Mapping[str, float]]


class _Reserved(MmapedDict):
    """A file with all of its room: writing into the map of one with holes kills where the disk is full."""

    def __init__(self, filename: str) -> None:
        with open(filename, "ab") as file:
            file.write(bytes(max(0, ROOM - file.tell())))
        super().__init__(filename)  # type: ignore[no-untyped-call]  # so typed there


class _Files(Collector):
    """What the workers have kept. One that was killed as it began leaves a file without its room."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def collect(self) -> Iterator[Metric]:
        files = [file for file in self.folder.glob("*.db") if file.stat().st_size >= ROOM]
        merged = MultiProcessCollector.merge(map(str, files))  # type: ignore[no-untyped-call]  # so typed there
        return iter(merged)


class _Gauges(Collector):
    """What the database says now; in no file, or it would be told once for every worker there ever was."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing

    def collect(self) -> Iterator[Metric]:
        try:
            counts = self.standing()
        except SQLAlchemyError as error:
            log.error("database did not answer", kind=type(error).__name__, path=request.path)
            counts = {}
        for name, count in counts.items():
            meaning = f"As it stands now: {name.replace('_', ' ')}."
            yield GaugeMetricFamily(f"storefront_{name}", meaning, count)
        yield GaugeMetricFamily("storefront_database_up", "Whether the database has answered.", bool(counts))


class _Counters:
    """What is counted by this process, in a folder that it shares with the other workers of its server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.callbacks = Counter("storefront_callbacks", "Callbacks by answer.", ["status"], registry=None)
        for status in WATCHED:
            self.callbacks.labels(status)
        self.used = Histogram(
            "storefront_callback_seconds",
            "Time of its deadline that a callback used.",
            buckets=SECONDS,
            registry=None,
        )
        self.calls = Counter(
            "storefront_api_calls", "Calls of the API by result.", ["call", "result"], registry=None
        )


class Metrics:
    """What is counted, and the gauges that are read when somebody asks."""

    def __init__(self, base: Path, standing: Standing) -> None:
        self._base, self._gauges = base, _Gauges(standing)
        self._lock = Lock()
        self._place: _Place | None = None
        self._counters: _Counters | None = None

    def counters(self) -> _Counters:
        """Made at the first need: by then a worker is what it will be, whoever had loaded the application."""
        with self._lock:
            self._place = self._place or _claim(self._base)
            self._counters = self._counters or _Counters(self._place.folder)
            return self._counters

    def exposition(self) -> bytes:
        """What the workers have counted, if it can be kept; what the database says, in any case."""
        registry = CollectorRegistry()
        _try(lambda: registry.register(_Files(self.counters().folder)))
        registry.register(self._gauges)
        return generate_latest(registry)


def init_app(app: Flask, settings: HouseSettings, standing: Standing) -> None:
    """Count from now on, if the settings give a token; `standing` reads the gauges."""
    if settings.metrics_token is None:
        return
    base = folder(settings, app.instance_path)
    try:
        base.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError.of(f"{PREFIX}METRICS_FOLDER: {base} cannot be made: {error.strerror}") from None
    app.extensions[NAME] = Metrics(base, standing)
    token = settings.metrics_token.get_secret_value()

    @app.get("/metrics")
    def metrics() -> ResponseReturnValue:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), token.encode()):
            raise NotFound
        return app.extensions[NAME].exposition(), {"Content-Type": CONTENT_TYPE_LATEST}


def folder(settings: HouseSettings, instance: str) -> Path:
    """Where the servers of this host keep their numbers."""
    return Path(settings.metrics_folder or os.path.join(instance, NAME)).absolute()


def add_gauge(app: Flask, name: str, count: Callable[[], float]) -> None:
    """One more number that is read when somebody asks."""
    app.extensions.setdefault(GAUGES, {})[name] = count


def gauges() -> Mapping[str, float]:
    """What all of them say now."""
    return {name: count() for name, count in current_app.extensions[GAUGES].items()}


class _Place(NamedTuple):
    """A folder, and what holds it."""

    folder: Path
    held: int


def _claim(base: Path) -> _Place:
    """A folder for the workers of one server and for no other's, held while they live.

    Those that nobody holds any more are taken away.
    """
    base.mkdir(parents=True, exist_ok=True)
    ours = f"workers-{gethostname()}-"
    folder = base / f"{ours}{_server()}"
    place = _Place(folder, _held(folder))
    for other in base.glob(f"{ours}*"):
        if other != folder:
            _take_away(other)
    os.environ[FOLDER] = str(folder)
    prometheus_values.MmapedDict = _Reserved  # type: ignore[assignment, attr-defined]  # ours
    prometheus_values.ValueClass = prometheus_values.MultiProcessValue()  # type: ignore[no-untyped-call]
    return place


def _server() -> str:
    """The parent of all workers, as its kernel knows it: containers may share a host's name and ids."""
    parent = [f"{os.getpgrp()}-{os.getppid()}"]
    with suppress(OSError):
        parent += [
            os.readlink(KERNEL / "self/ns/pid"),
            (KERNEL / "sys/kernel/random/boot_id").read_text("utf-8"),
        ]
    return sha256("\n".join(parent).encode()).hexdigest()[:16]


def _held(folder: Path) -> int:
    while True:
        folder.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):  # another server took it for left just now
            place = os.open(folder, os.O_RDONLY)
            fcntl.flock(place, fcntl.LOCK_SH)
            if folder.exists() and folder.stat().st_ino == os.fstat(place).st_ino:
                return place
            os.close(place)


def _take_away(folder: Path) -> None:
    with suppress(OSError):  # held, or gone
        place = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for file in folder.glob("*.db"):
                file.unlink()
            folder.rmdir()
        finally:
            os.close(place)


def count_callback(status: int, seconds: float) -> None:
    """One callback answered, with the seconds of its deadline that it used."""

    def count(counting: _Counters) -> None:
        counting.callbacks.labels(str(status)).inc()
        counting.used.observe(max(0.0, seconds))

    _count(count)


def count_call(call: str, result: str) -> None:
    """One call of a platform's API, and whether it was answered, refused, unavailable, or not made."""
    _count(lambda counting: counting.calls.labels(call, result).inc())


def _count(count: Callable[[_Counters], object]) -> None:
    """Count, if anything is counted."""
    counting: Metrics | None = current_app.extensions.get(NAME)
    if counting is not None:
        _try(lambda: count(counting.counters()))


def _try(act: Callable[[], object]) -> None:
    """A number that cannot be kept is no reason to fail a sale."""
    try:
        act()
    except (OSError, ValueError, struct.error) as error:
        log.error("not counted", kind=type(error).__name__)
