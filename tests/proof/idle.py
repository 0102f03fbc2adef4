"""Sockets that are opened and left: how callbacks fare while hundreds of them stand open.

    python -m tests.proof.idle --sockets 200

They stand at the shop itself, or at nginx in front of it, which must be installed for that.
"""

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from enum import Enum
from http.client import HTTPConnection, HTTPException
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from storefront.mixi.payments import LISTENS
from tests.demo import free_ports, wait_for
from tests.proof.pressure import Call, Shop, street
from tests.proof.served import AS_IN_PRODUCTION, HOST

WORKERS, THREADS = 2, 8
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
START_SECONDS = 20
SERVERS = {
    "gthread": ("--worker-class", "gthread", "--limit-request-line", "8190"),
    "ours": AS_IN_PRODUCTION,
}
# Requests come in whole, and unchanged: no address stands behind the shop's, so nothing is rewritten.
BUFFERING = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen {host}:{port};
    client_max_body_size 1m;
    large_client_header_buffers 4 16k;
    location / {{
      proxy_pass http://{host}:{shop};
      proxy_set_header Host $http_host;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"""


class Idle(Enum):
    """What is sent before nothing more is."""

    NOTHING = b""
    HALF_A_HEAD = b"GET / HTTP/1.1\r\nHost: shop\r\nX-More"
    A_BYTE_OF_A_BODY = (
        b"POST /items/loaf/buy HTTP/1.1\r\nHost: shop\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: 900\r\n\r\nx"
    )
    NO_FAREWELL = b"GET /healthz HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"

    def __str__(self) -> str:
        return self.name.lower().replace("_", " ")


@contextmanager
def left_open(port: int, idle: Idle, count: int) -> Iterator[list[socket.socket]]:
    """So many sockets on which something was sent, and nothing more is."""
    with ExitStack() as stack:
        sockets = []
        for _ in range(count):
            line = stack.enter_context(socket.create_connection((HOST, port), timeout=60))
            line.sendall(idle.value)
            sockets.append(line)
        yield sockets


def heard(line: socket.socket) -> bytes:
    """All that the other side says on it before it closes."""
    said = b""
    while piece := line.recv(65536):
        said += piece
    return said


def is_left_alone(line: socket.socket) -> bool:
    """Whether nothing was said on it, and it was not closed."""
    line.settimeout(0)
    try:
        line.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    finally:
        line.settimeout(60)
    return False


@contextmanager
def served(server: tuple[str, ...], workers: int, threads: int, *, behind: bool = False) -> Iterator[Shop]:
    """The shop, or what stands in front of it."""
    if not behind:
        with street(workers, threads, server=server) as shop:
            yield shop
        return
    (front,) = free_ports(1)
    settings = {"STOREFRONT_PUBLIC_URL": f"http://{HOST}:{front}"}
    with street(workers, threads, settings, server=server) as shop, proxy(front, shop.port):
        yield replace(shop, port=front)


@contextmanager
def proxy(port: int, shop: int) -> Iterator[None]:
    """nginx in front of the shop, as the README has it."""
    assert NGINX
    with TemporaryDirectory() as name:
        folder = Path(name)
        configuration = folder / "nginx.conf"
        configuration.write_text(BUFFERING.format(folder=folder, host=HOST, port=port, shop=shop))
        with (folder / "words").open("w") as words:
            process = subprocess.Popen([NGINX, "-p", name, "-c", str(configuration)], stderr=words)
        try:
            wait_for(lambda: process.poll() is not None or _answers(port), START_SECONDS)
            assert process.poll() is None, (folder / "words").read_text()
            yield
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def _answers(port: int) -> bool:
    line = HTTPConnection(HOST, port, timeout=5)
    try:
        line.request("GET", "/healthz")
        return line.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        line.close()


def callbacks(shop: Shop, bought: Mapping[str, str]) -> list[Call]:
    """All at once, as mixi sends them when so many buyers confirm."""
    with ThreadPoolExecutor(len(bought)) as senders:
        return list(senders.map(lambda owner: shop.callback(bought[owner], owner), bought))


@click.command()
@click.option("--sockets", default=200, show_default=True)
@click.option("--callbacks", "count", default=10, show_default=True)
@click.option("--worker", "names", multiple=True, type=click.Choice(list(SERVERS)), default=list(SERVERS))
@click.option("--sent", multiple=True, type=click.Choice(list(map(str, Idle))), default=list(map(str, Idle)))
def main(sockets: int, count: int, names: tuple[str, ...], sent: tuple[str, ...]) -> None:
    """Count the callbacks that are answered OK in time while sockets stand open."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # or the servers would outlive us
    click.echo(f"{sockets} sockets; {WORKERS} workers of {THREADS} threads; {count} callbacks at once")
    kinds = [idle for idle in Idle if str(idle) in sent]
    for name, behind, idle in product(names, (False, True) if NGINX else (False,), kinds):
        with served(SERVERS[name], WORKERS, THREADS, behind=behind) as shop:
            bought = {owner: shop.start(owner) for owner in (f"mo3idle{n}" for n in range(count))}
            with left_open(shop.port, idle, sockets):
                time.sleep(0.5)
                calls = callbacks(shop, bought)
        slowest = max(call.seconds for call in calls)
        in_time = sum(call.is_ok and call.seconds < LISTENS for call in calls)
        place = "behind nginx" if behind else "alone"
        click.echo(f"  {name}, {place}, {idle}: {in_time} OK in time, slowest {slowest:.1f} s")


if __name__ == "__main__":
    main()
