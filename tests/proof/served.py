"""The shop as the proofs serve it: the real one, under gunicorn, ready to be killed at a chosen step.

The shop has no place for this. What gunicorn loads here wraps functions of the shop before it makes
the app, notes when a callback's deadline was last checked, and can plant a broken version, to show
that the proofs would notice.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import wraps
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy.orm import Session

import storefront
from storefront.clock import Deadline
from storefront.db import db, transaction
from storefront.mixi import payments
from storefront.mixi.payments import Callback, Payment, Status
from storefront.mixi.signing import Signed
from storefront.shop import inventory, ledger
from storefront.shop.ledger import Kind
from tests import postgresql
from tests.demo import wait_for
from tests.street import APP_ID, CONSUMER_KEY, CONSUMER_SECRET, GOODS

HOST = "127.0.0.1"
ROOT = Path(__file__).parents[2]
CALLBACK = "/mixi/callback"
FALLS = (f"{CALLBACK}/", "/game/")  # where a worker may be killed
WORKERS, THREADS = 2, 8
PREVIOUS_SECRET = "the secret before it"
COMMIT_SECONDS = 0.002  # within which a worker that commits is killed
START_SECONDS, STOP_SECONDS, COMMAND_SECONDS = 60, 10, 120
AS_IN_PRODUCTION = ("--config", "python:storefront.serving")
SIZE = [*AS_IN_PRODUCTION, "--workers", str(WORKERS), "--threads", str(THREADS), "--keep-alive", "60"]

# What a callback's answer says of itself, for the proofs alone: seconds since the epoch.
ARRIVED, CHECKED = "X-Proof-Arrived", "X-Proof-Checked"
FOLDER, BROKEN = "PROOF_FOLDER", "PROOF_BROKEN"


class Step(StrEnum):
    """Where in a callback, or in what a game asks, the worker is killed."""

    BEFORE_CLAIM = "before the claim"
    AFTER_CLAIM = "after the claim"
    AFTER_GRANT = "after the grant"
    BEFORE_COMMIT = "before the commit"
    IN_COMMIT = "in the commit"
    AFTER_COMMIT = "after the commit"
    BEFORE_ANSWER = "before the answer"


class Broken(StrEnum):
    """Versions of the shop that are wrong on purpose."""

    READ_THEN_WRITE = "read then write"
    CLOCKLESS = "no look at the clock"
    UNCOUNTED = "no count of what was sold"


@dataclass(frozen=True)
class Database:
    """An empty database, and, if it is a server, the server."""

    url: str
    server: postgresql.Server | None = None


@dataclass(frozen=True)
class Served:
    """A shop under gunicorn, in a process group of its own."""

    process: "subprocess.Popen[bytes]"
    folder: Path
    port: int

    def workers(self) -> list[int]:
        """The workers that live now."""
        return [pid for pid in self.started() if _group(pid) == self.process.pid]

    def started(self) -> list[int]:
        """Every worker there ever was."""
        return [int(file.name) for file in (self.folder / "workers").iterdir()]

    def kill_at(self, step: Step) -> None:
        """The next worker that comes to this step is killed there; the one after it lives."""
        ready = self.folder / "ready"
        ready.write_text(step)
        ready.rename(self.folder / "step")

    def has_fallen(self) -> bool:
        """Whether a worker has come to the step."""
        return not (self.folder / "step").exists()

    def words(self) -> str:
        """What the server has printed."""
        return (self.folder / "shop.log").read_text()


@contextmanager
def database(kind: str, folder: Path) -> Iterator[Database]:
    """An empty database of this kind, its files in `folder`."""
    if kind == "sqlite":
        yield Database(f"sqlite:///{folder}/shop.db")
        return
    with postgresql.server(folder, folder) as server:
        yield Database(server.url, server)


@contextmanager
def shop(
    folder: Path,
    port: int,
    database_url: str,
    platform: str,
    broken: StrEnum | None = None,
    application: str = "tests.proof.served:create_app()",
    **settings: str,
) -> Iterator[Served]:
    """The shop, migrated, behind two workers, its platform at `platform`."""
    environment = prepared(folder, f"http://{HOST}:{port}", database_url, platform, broken, **settings)
    with gunicorn(folder, "shop", port, application, SIZE, environment) as process:
        served = Served(process, folder, port)
        wait_for(lambda: len(served.workers()) == WORKERS, START_SECONDS)
        yield served


def prepared(
    folder: Path,
    public_url: str,
    database_url: str,
    platform: str,
    broken: StrEnum | None = None,
    **settings: str,
) -> dict[str, str]:
    """The environment of a shop whose database is migrated."""
    (folder / "workers").mkdir()
    points = f"{platform}/atom/mobile/point/@me"
    environment = {
        "STOREFRONT_SECRET_KEY": "a secret of the proofs, and of nobody else",
        "STOREFRONT_PUBLIC_URL": public_url,
        "STOREFRONT_DATABASE_URL": database_url,
        "STOREFRONT_CATALOG": str(GOODS),
        "STOREFRONT_MIXI_APP_ID": APP_ID,
        "STOREFRONT_MIXI_CONSUMER_KEY": CONSUMER_KEY,
        "STOREFRONT_MIXI_CONSUMER_SECRET": CONSUMER_SECRET,
        "STOREFRONT_MIXI_CONSUMER_SECRET_PREVIOUS": PREVIOUS_SECRET,
        "STOREFRONT_MIXI_CONTAINER_URL": f"{platform}/ma/{APP_ID}/",
        "STOREFRONT_MIXI_POINT_URL": points,
        "STOREFRONT_MIXI_CONFIRM_URL": points,
        "STOREFRONT_MIXI_PLATFORM_HOSTS": platform.removeprefix("http://"),
        "STOREFRONT_MIXI_VOID_AFTER": "11",
        **settings,
        FOLDER: str(folder),
        BROKEN: broken or "",
    }
    command(environment, "upgrade")
    return environment


def command(environment: Mapping[str, str], *words: str) -> str:
    """What `storefront` prints, with this environment."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "storefront"), *words],
        env=without_settings(environment),
        check=True,
        timeout=COMMAND_SECONDS,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


@contextmanager
def gunicorn(
    folder: Path,
    name: str,
    port: int,
    application: str,
    size: list[str],
    environment: Mapping[str, str],
    root: Path = ROOT,
) -> Iterator["subprocess.Popen[bytes]"]:
    """A server in a process group of its own until the end of the block; its words go to a file."""
    command = [sys.executable, "-m", "gunicorn", "--bind", f"{HOST}:{port}"]
    words = folder / f"{name}.log"
    with words.open("w") as log:
        process = subprocess.Popen(
            [*command, *size, "--log-level", "warning", application],
            env=without_settings(environment),
            cwd=root,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for(lambda: process.poll() is not None or _answers(port), START_SECONDS)
        if process.poll() is not None:
            raise RuntimeError(f"a server did not start:\n{words.read_text()[-2000:]}")
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def without_settings(own: Mapping[str, str]) -> dict[str, str]:
    """Our environment without any settings but `own`, and without a proxy."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("STOREFRONT_", "SANDBOX_"))
    }
    return {**kept, "NO_PROXY": HOST, "no_proxy": HOST, **own}


def create_app() -> Flask:
    """What gunicorn loads, once in each worker."""
    folder = Path(os.environ[FOLDER])
    (folder / "workers" / str(os.getpid())).touch()
    if os.environ[BROKEN] == Broken.READ_THEN_WRITE:
        payments.settle = _read_then_write
    if os.environ[BROKEN] == Broken.CLOCKLESS:
        Deadline.check = lambda self: None  # type: ignore[method-assign]
    if os.environ[BROKEN] == Broken.UNCOUNTED:
        inventory._count = lambda session, item_id, quantity, is_test: None
    callback = _Callback(folder / "step")
    callback.surround(payments, "_claim", Step.BEFORE_CLAIM, Step.AFTER_CLAIM)
    callback.surround(inventory, "grant", None, Step.AFTER_GRANT)
    callback.surround(Session, "commit", Step.IN_COMMIT, None)
    callback.surround(Session, "commit", Step.BEFORE_COMMIT, Step.AFTER_COMMIT)
    callback.note_deadline()
    app = storefront.create_app()
    app.wsgi_app = callback.around(app.wsgi_app)  # type: ignore[method-assign]
    return app


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class _Callback(threading.local):
    """The callback that this thread is answering, or what a game asks, if it is one of these."""

    def __init__(self, trigger: Path) -> None:
        self.trigger = trigger
        self.is_on = False
        self.arrived = self.checked = 0.0

    def fall(self, step: Step | None) -> None:
        """Die here if the trigger names this step; it is taken away first, so that only one dies of it."""
        if step is None or not self.is_on:
            return
        with suppress(FileNotFoundError):
            if self.trigger.read_text() == step:
                self.trigger.unlink()
                if step is Step.IN_COMMIT:
                    threading.Timer(random.uniform(0, COMMIT_SECONDS), die).start()  # noqa: S311
                else:
                    die()

    def surround(self, owner: Any, name: str, before: Step | None, after: Step | None) -> None:
        inner = getattr(owner, name)

        @wraps(inner)
        def outer(*arguments: Any, **more: Any) -> Any:
            self.fall(before)
            result = inner(*arguments, **more)
            self.fall(after)
            return result

        setattr(owner, name, outer)

    def note_deadline(self) -> None:
        """Keep when the callback arrived, as the shop took it, and when its deadline was last looked at."""
        deadline_of, check = payments.deadline_of, Deadline.check

        def noting(signed: Signed, arrival: Deadline, arrived: datetime, clock_skew: int) -> Deadline:
            self.arrived = arrived.timestamp()
            return deadline_of(signed, arrival, arrived, clock_skew)

        def checking(deadline: Deadline) -> None:
            self.checked = time.time()
            check(deadline)

        payments.deadline_of = noting
        Deadline.check = checking  # type: ignore[method-assign,assignment]

    def around(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        def application(environ: dict[str, Any], start_response: Any) -> Any:
            self.is_on = environ["PATH_INFO"].startswith(FALLS)
            self.arrived = self.checked = 0.0

            def begin(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
                noted = [(ARRIVED, f"{self.arrived:.6f}"), (CHECKED, f"{self.checked:.6f}")]
                return start_response(status, [*headers, *noted], exc_info)

            body = inner(environ, begin)
            self.fall(Step.BEFORE_ANSWER)
            return body

        return application


def _read_then_write(callback: Callback, deadline: Deadline, now: datetime) -> None:
    """Settle wrongly: look first, decide, and write what was decided."""
    with Session(db.engine) as session:
        seen = session.get(Payment, callback.point_code)
        due = seen and seen.owner_id == callback.owner_id and seen.status is Status.CREATE
    time.sleep(0.01)
    with transaction(deadline) as session:
        if not due:
            payments._repeat(session, callback)
            return
        payment = session.get_one(Payment, callback.point_code)
        payment.status, payment.settled_at, payment.ok_at = callback.outcome, now, now
        if payment.status is Status.COMPLETE:
            key, buyer = f"mixi:{payment.point_code}", payment.customer_id
            inventory.grant(session, buyer, payment.item_id, key, now)
            ledger.record(session, buyer, Kind.SALE, payment.points, payments.UNIT, key, now, channel="mixi")


def _answers(port: int) -> bool:
    line = HTTPConnection(HOST, port, timeout=5)
    try:
        line.request("GET", "/healthz")
        return line.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        line.close()


def _group(pid: int) -> int | None:
    with suppress(ProcessLookupError):
        return os.getpgid(pid)
    return None
