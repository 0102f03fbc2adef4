"""The one command: it starts both sides, says where to click, and leaves nothing behind."""

import signal
import socket
import subprocess
from pathlib import Path

import pytest
import requests

from tests.demo import COMMAND, demo, free_ports


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_starts_and_stops(tmp_path: Path, number: int) -> None:
    """Both sides answer when it says so, and both are gone when it ends."""
    with demo(tmp_path) as running:
        assert requests.get(running.shop + "/readyz", timeout=30).text == "ready\n"
        assert "mixiの中で開きます" in requests.get(running.shop, timeout=30).text
        assert "花子" in requests.get(running.platform, headers={"Accept-Language": "ja"}, timeout=30).text
        assert running.stop(number) == 0
        for address in (running.shop, running.platform):
            with pytest.raises(requests.ConnectionError):
                requests.get(address, timeout=1)


def test_stops_when_started_in_the_background(tmp_path: Path) -> None:
    """A shell starts background jobs deaf to SIGINT; ours hears it all the same."""
    shop, platform = free_ports(2)
    script = (
        f'{COMMAND} demo --shop-port {shop} --sandbox-port {platform} --data "{tmp_path}"'
        f' >"{tmp_path}/out" 2>&1 &\n'
        f'for i in $(seq 200); do grep -q "Buy something" "{tmp_path}/out" && break; sleep 0.1; done\n'
        "kill -INT $!; wait $!; echo ended with $?"
    )
    ended = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=90)
    assert "ended with 0" in ended.stdout
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{shop}/healthz", timeout=1)


@pytest.mark.parametrize("name", ["shop", "sandbox"])
def test_a_busy_port_is_a_clear_error(tmp_path: Path, name: str) -> None:
    """Which port, and the option that moves it."""
    ports = dict(zip(("shop", "sandbox"), free_ports(2), strict=True))
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", ports[name]))
        busy.listen()
        options = [part for side, port in ports.items() for part in (f"--{side}-port", str(port))]
        ended = subprocess.run(
            [COMMAND, "demo", *options, "--data", str(tmp_path)], capture_output=True, text=True, timeout=60
        )
    assert ended.returncode == 1
    assert f"port {ports[name]} is taken; choose another with --{name}-port" in ended.stderr


def test_catalog_check(tmp_path: Path) -> None:
    """`storefront catalog --check` needs no settings; a bad file is an error with its line."""
    good = subprocess.run([COMMAND, "catalog", "--check"], capture_output=True, text=True, timeout=60)
    assert (good.returncode, good.stdout) == (0, "11 items, no problem.\n")
    file = tmp_path / "bad.yaml"
    file.write_text("- id: a b\n")
    bad = subprocess.run(
        [COMMAND, "catalog", "--check", str(file)], capture_output=True, text=True, timeout=60
    )
    assert bad.returncode == 1
    assert f"{file}:1: id: an id is 1 to 64 half-width letters and digits" in bad.stderr
