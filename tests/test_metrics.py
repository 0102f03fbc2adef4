"""Numbers for Prometheus: off without a token, right under several workers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from storefront.config import Settings
from tests.databases import on_sqlite
from tests.demo import free_ports, wait_for
from tests.street import Container

ROOT = Path(__file__).parent.parent
TOKEN = "the token of the tests, and of nobody else"


def test_off_without_a_token(container: Container) -> None:
    """There is no such page."""
    assert container.app.test_client().get("/metrics").status_code == 404


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """The shop under three workers, as its address and the master's process id."""
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
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "3", "wsgi:app"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: answers(address))
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(20)


def answers(address: str) -> bool:
    try:
        return requests.get(f"{address}/healthz", timeout=1).ok
    except requests.RequestException:
        return False


def numbers(address: str, token: str = TOKEN) -> dict[str, float]:
    answer = requests.get(f"{address}/metrics", headers={"Authorization": f"Bearer {token}"}, timeout=30)
    assert answer.status_code == 200
    lines = [line for line in answer.text.splitlines() if line and not line.startswith("#")]
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines}


def test_summed_over_workers(served: tuple[str, int]) -> None:
    """Whichever worker is asked, it tells what all of them have counted, the killed ones included."""
    address, master = served
    for _ in range(30):
        assert requests.get(f"{address}/mixi/callback", timeout=30).status_code == 401
    refused = 'storefront_callbacks_total{status="401"}'
    assert {numbers(address)[refused] for _ in range(10)} == {30}
    assert numbers(address)["storefront_callback_seconds_count"] == 30
    found = subprocess.run(["pgrep", "-P", str(master)], capture_output=True, text=True)
    for worker in found.stdout.split():
        os.kill(int(worker), signal.SIGKILL)
    time.sleep(0.2)
    wait_for(lambda: answers(address))
    assert numbers(address)[refused] == 30
    assert numbers(address)["storefront_unconfirmed_payments"] == 0
    assert numbers(address)["storefront_negative_holdings"] == 0


def test_only_for_the_token(served: tuple[str, int]) -> None:
    """A wrong token, or none, finds no page."""
    address, _ = served
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": TOKEN[:-1]}):
        assert requests.get(f"{address}/metrics", headers=headers, timeout=30).status_code == 404


@on_sqlite
def test_a_count_fails_no_sale(settings: Settings, tmp_path: Path) -> None:
    """Where the numbers cannot be kept, the sale is answered OK all the same; it is committed."""
    folder = tmp_path / "gone"
    script = f"""
import os, shutil, sys
sys.path.insert(0, {str(ROOT)!r})
from storefront import create_app, metrics
from storefront.config import Settings
from tests.street import SETTINGS
app = create_app(Settings.model_validate({{**SETTINGS, "database_url": {settings.database_url!r},
    "metrics_token": {TOKEN!r}, "metrics_folder": {str(folder)!r}}}))
shutil.rmtree({str(folder)!r})
with app.app_context():
    metrics.count_call("create", "answered")
    metrics.count_callback(200, 0.1)
os.makedirs({str(folder)!r})
open(os.path.join({str(folder)!r}, "counter_1.db"), "w").close()
answer = app.test_client().get("/metrics", headers={{"Authorization": "Bearer {TOKEN}"}})
assert answer.status_code == 200, answer.text
assert "storefront_unconfirmed_payments" in answer.text
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "not counted" in done.stderr
