"""Numbers for Prometheus: off without a token, right under several workers."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from flask import Flask
from prometheus_client import values as prometheus_values
from prometheus_client.parser import text_string_to_metric_families

from storefront import Settings, health, metrics
from tests.databases import on_sqlite
from tests.demo import free_ports, wait_for
from tests.street import Container
from tests.test_health import all_but_one

pytestmark = pytest.mark.long

ROOT = Path(__file__).parent.parent
TOKEN = "the token of the tests, and of nobody else"
PROMTOOL = shutil.which("promtool")


def test_off_without_a_token(container: Container) -> None:
    """There is no such page."""
    assert container.app.test_client().get("/metrics").status_code == 404


@contextmanager
def served(tmp_path: Path, workers: int) -> Iterator[tuple[str, int]]:
    """A server of the shop, as its address and the master's process id."""
    (port,) = free_ports(1)
    environment = {
        **os.environ,
        "STOREFRONT_SECRET_KEY": "a secret of the tests, and of nobody else",
        "STOREFRONT_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "STOREFRONT_MIXI_APP_ID": "1",
        "STOREFRONT_MIXI_CONSUMER_KEY": "key",
        "STOREFRONT_MIXI_CONSUMER_SECRET": "secret",
        "STOREFRONT_MIXI_CONTAINER_URL": "http://127.0.0.1:1/ma/1/",
        "STOREFRONT_MIXI_PLATFORM_HOSTS": "127.0.0.1:1",
        "STOREFRONT_DATABASE_URL": f"sqlite:///{tmp_path}/shop.db",
        "STOREFRONT_METRICS_TOKEN": TOKEN,
        "STOREFRONT_METRICS_FOLDER": str(tmp_path / "metrics"),
    }
    storefront = str(Path(sys.executable).parent / "storefront")
    subprocess.run([storefront, "upgrade"], env=environment, check=True, capture_output=True)
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", f"--workers={workers}"]
    process = subprocess.Popen([*command, "wsgi:app"], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: answers(address))
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[str, int]]]:
    """Two servers of one shop, on one host and with one folder."""
    folder = tmp_path_factory.mktemp("served")
    with served(folder, workers=3) as one, served(folder, workers=1) as other:
        yield [one, other]


def answers(address: str) -> bool:
    try:
        return requests.get(f"{address}/healthz", timeout=1).ok
    except requests.RequestException:
        return False


def exposition(address: str) -> str:
    answer = requests.get(f"{address}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
    assert answer.status_code == 200
    return answer.text


def numbers(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every number by its name and labels, as Prometheus reads them."""
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    samples = [sample for family in families for sample in family.samples]
    found = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(found) == len(samples)
    return found


def number(address: str, name: str, **labels: str) -> float:
    return numbers(exposition(address))[name, frozenset(labels.items())]


def test_summed_over_workers(two: list[tuple[str, int]]) -> None:
    """Whichever worker is asked, it tells what all of its server have counted, the killed ones included."""
    (address, master), (other, _) = two
    for _ in range(30):
        assert requests.get(f"{address}/mixi/callback", timeout=30).status_code == 401
    assert {number(address, "storefront_callbacks_total", status="401") for _ in range(10)} == {30}
    assert number(address, "storefront_callback_seconds_count") == 30
    assert requests.get(f"{other}/mixi/callback", timeout=30).status_code == 401
    assert number(other, "storefront_callbacks_total", status="401") == 1
    found = subprocess.run(["pgrep", "-P", str(master)], capture_output=True, text=True)
    for worker in found.stdout.split():
        os.kill(int(worker), signal.SIGKILL)
    time.sleep(0.2)
    wait_for(lambda: answers(address))
    assert number(address, "storefront_callbacks_total", status="401") == 30


def test_gauges_are_told_once(two: list[tuple[str, int]]) -> None:
    """The database's numbers belong to no worker, and are told by whoever is asked, without copies."""
    for text in (exposition(two[0][0]) for _ in range(6)):
        told = numbers(text)
        assert not [labels for _, labels in told if "pid" in dict(labels)]
        for name in ("storefront_unconfirmed_payments", "storefront_negative_holdings"):
            assert told[name, frozenset()] == 0
        assert told["storefront_database_up", frozenset()] == 1
        if PROMTOOL:
            checked = subprocess.run(
                [PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True
            )
            assert (checked.returncode, checked.stderr) == (0, "")


def test_only_for_the_token(two: list[tuple[str, int]]) -> None:
    """A wrong token, or none, finds no page."""
    address, _ = two[0]
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": TOKEN[:-1]}):
        assert requests.get(f"{address}/metrics", headers=headers, timeout=30).status_code == 404


@pytest.mark.thorough
def test_one_server_takes_away_what_is_left(tmp_path: Path) -> None:
    """Numbers of a server that is gone are not added to another's, and do not pile up.

    What an alert waits for is told as none from the start: to Prometheus one out of nowhere is no rise.
    """
    with served(tmp_path, workers=1) as (address, _):
        assert requests.get(f"{address}/mixi/callback", timeout=30).status_code == 401
    with served(tmp_path, workers=1) as (address, _):
        told = numbers(exposition(address))
        assert told.get(("storefront_callback_seconds_count", frozenset()), 0) == 0
        assert told["storefront_callbacks_total", frozenset({("status", "503")})] == 0
        assert len(list((tmp_path / "metrics").iterdir())) == 1


@on_sqlite
@pytest.mark.changed(threads=3, metrics_token=TOKEN)
def test_while_the_database_hangs(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the one thread that is free then, the counters are told, and the database is not asked."""
    monkeypatch.setattr(health, "STUCK_SECONDS", 0.01)
    monkeypatch.setattr(prometheus_values, "ValueClass", prometheus_values.ValueClass)
    monkeypatch.setenv(metrics.FOLDER, "")
    with app.app_context():
        metrics.count_callback(200, 0.1)
    with all_but_one(app) as (answers, _):
        told = app.test_client().get(
            "/metrics",
            headers={"Authorization": f"Bearer {TOKEN}"},
            environ_overrides={"wsgi.multithread": True},
        )
        assert not any(answer.done() for answer in answers)
    assert numbers(told.text)["storefront_database_up", frozenset()] == 0
    assert numbers(told.text)["storefront_callbacks_total", frozenset({("status", "200")})] >= 1
    assert "storefront_unconfirmed_payments" not in told.text


@on_sqlite
def test_a_count_fails_no_sale(settings: Settings, tmp_path: Path) -> None:
    """Where the numbers cannot be kept, the sale is answered OK all the same; it is committed."""
    folder = tmp_path / "gone"
    script = f"""
import os, resource, sys
sys.path.insert(0, {str(ROOT)!r})
from storefront import create_app, metrics
from storefront import Settings
from tests.street import SETTINGS
app = create_app(Settings.model_validate({{**SETTINGS, "database_url": {settings.database_url!r},
    "metrics_token": {TOKEN!r}, "metrics_folder": {str(folder)!r}}}))
os.rmdir({str(folder)!r})
open({str(folder)!r}, "w").close()
def told():
    answer = app.test_client().get("/metrics", headers={{"Authorization": "Bearer {TOKEN}"}})
    assert answer.status_code == 200, answer.text
    assert "storefront_unconfirmed_payments" in answer.text
    return answer.text
with app.app_context():
    metrics.count_call("create", "answered")
    metrics.count_callback(200, 0.1)
told()
os.remove({str(folder)!r})
most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, most))
before = len(os.listdir("/dev/fd"))
with app.app_context():
    for _ in range(9):
        metrics.count_callback(200, 0.1)
assert len(os.listdir("/dev/fd")) <= before + 2
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
told()
counting = app.extensions["metrics"].counters()
(counting.folder / "counter_1.db").touch()
with app.app_context():
    metrics.count_callback(200, 0.1)
assert 'storefront_callbacks_total{{status="200"}} 1.0' in told()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "not counted" in done.stderr


COUNTING = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from storefront import Settings, create_app, metrics
from tests.street import SETTINGS
app = create_app(Settings.model_validate({{**SETTINGS, "database_url": "sqlite://",
    "metrics_token": {TOKEN!r}, "metrics_folder": sys.argv[1]}}))
with app.app_context():
    metrics.count_callback(200, 0.1)
print(app.extensions["metrics"].counters().folder, flush=True)
sys.stdin.read()
"""


def test_no_file_has_holes(tmp_path: Path) -> None:
    """A worker's file has its room before it is mapped: a hole, on a full disk, would kill the worker."""
    command = [sys.executable, "-c", COUNTING, str(tmp_path)]
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True, timeout=60)
    files = list(tmp_path.glob("*/*.db"))
    assert len(files) == 2
    for found in (file.stat() for file in files):
        assert found.st_blocks * 512 >= found.st_size


def test_two_containers_of_one_name(tmp_path: Path) -> None:
    """Each with processes of its own, counted from 1, and one folder for both: their numbers stay apart."""
    apart = ["unshare", "--pid", "--fork", "--kill-child"]
    if not shutil.which("unshare") or subprocess.run([*apart, "true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("no right to make a container")
    command = [*apart, sys.executable, "-c", COUNTING, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as one, subprocess.Popen(command, **pipes) as other:  # type: ignore[call-overload]
        folders = [server.stdout.readline() for server in (one, other)]
        for server in (one, other):
            server.stdin.close()
    assert all(folders)
    assert folders[0] != folders[1]


def test_while_the_database_is_away(tmp_path: Path) -> None:
    """The counters are told all the same, and that the database has not answered."""
    script = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from storefront import create_app, metrics
from storefront import Settings
from tests.street import SETTINGS
app = create_app(Settings.model_validate({{**SETTINGS, "metrics_token": {TOKEN!r},
    "database_url": "postgresql+psycopg://127.0.0.1:9/nobody", "metrics_folder": {str(tmp_path)!r}}}))
with app.app_context():
    metrics.count_call("create", "answered")
answer = app.test_client().get("/metrics", headers={{"Authorization": "Bearer {TOKEN}"}})
assert answer.status_code == 200, answer.text
print(answer.text)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    told = numbers(done.stdout)
    assert told["storefront_database_up", frozenset()] == 0
    assert told["storefront_api_calls_total", frozenset({("call", "create"), ("result", "answered")})] == 1
    assert "storefront_unconfirmed_payments" not in done.stdout
