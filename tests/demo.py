"""The demo as a newcomer starts it: a process of its own with three servers behind it."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from storefront import demo as the_demo
from tests.street import GOODS, IDENTITY

PLANS = GOODS.parent / "colorme" / "plans.yaml"  # gone with its counter
OWN = {
    "STOREFRONT_CATALOG": str(GOODS),
    "STOREFRONT_IDENTITY": str(IDENTITY),
    **({"STOREFRONT_COLORME_PLANS": str(PLANS)} if PLANS.exists() else {}),
}
START_SECONDS = 150  # a demo gives itself a minute, once its database is filled
COMMAND = str(Path(sys.executable).parent / "storefront")


@dataclass
class Demo:
    process: subprocess.Popen[str]
    shop: str
    platform: str
    output: Path

    def stop(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


@contextmanager
def demo(
    folder: Path, database_url: str | None = None, words: str = "demo", **exported: str
) -> Iterator[Demo]:
    """A running demo on free ports, its data in `folder`; or another command that serves."""
    ports = own_ports()
    output = folder / "output.txt"
    options = [f"--{name}-port={port}" for name, port in ports.items()]
    options += ["--database", database_url] if database_url else []
    with output.open("w") as file:
        process = subprocess.Popen(
            [COMMAND, words, *options, "--data", str(folder)],
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env={**os.environ, **OWN, **exported},
        )
    try:
        wait_for(lambda: "Stop: " in output.read_text() or process.poll() is not None, START_SECONDS)
        assert process.poll() is None, output.read_text()
        yield Demo(
            process, f"http://127.0.0.1:{ports['shop']}", f"http://127.0.0.1:{ports['sandbox']}", output
        )
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)  # each of its servers may take ten seconds
    assert not re.search(r"Traceback", output.read_text()), output.read_text()


def own_ports() -> dict[str, int]:
    """A free port for each server of a demo."""
    names = the_demo.ports()
    return dict(zip(names, free_ports(len(names)), strict=True))


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait_for(condition: object, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)
