"""The demo: shop, platform and payment provider as processes of this machine, ready to buy in."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path

import click
import requests

from storefront.external.registration import Certificate, Facts, Form, Provider, Service, Sheet
from storefront.sandbox import keys
from storefront.sandbox.cast import BY_KEY

HOST = "127.0.0.1"
ENVIRONMENT = "demo.env"
START_SECONDS = 60
STOP_SECONDS = 10
SERVERS = {
    "shop": ["--workers", "2", "--threads", "8", "storefront:create_app()"],
    "sandbox": ["--workers", "1", "--threads", "32", "storefront.sandbox:create_sandbox()"],
    "provider": ["--workers", "1", "--threads", "8", "storefront.sandbox.provider:create_provider()"],
}
READY = {"shop": "/readyz", "sandbox": "/healthz", "provider": "/healthz"}
# Secrets that are made at the first start and kept.
MADE_ONCE = (
    "STOREFRONT_SECRET_KEY",
    "SANDBOX_SECRET_KEY",
    "SANDBOX_CONSUMER_SECRET",
    "PROVIDER_SECRET_KEY",
    "PROVIDER_MERCHANT_SECRET",
)


def registration(today: date, site: str, prices: Mapping[str, int]) -> Facts:
    """The door out as a shop has it that mixi let open it a while ago; its provider is the sandbox's.

    `prices` are those of its shelf, in yen by item.
    """
    sent, received = today - timedelta(days=40), today - timedelta(days=35)
    provider = Provider(
        name="港まちペイ（シミュレーション）",
        site=site,
        services=(Service("クレジットカード（シミュレーション）", listed=True),),
        privacy_mark=Certificate("00000000（シミュレーション）"),
        listed=True,
    )
    return Facts(
        launched_on=today - timedelta(days=90),
        stable=True,
        registration=Form(sent_on=sent, signed=True, received_on=received),
        providers=(provider,),
        sheet=Sheet(
            requested_on=received,
            deadline=received + timedelta(days=14),
            submitted_on=received + timedelta(days=7),
        ),
        prices=prices,
    )


def environment(
    ports: Mapping[str, int], data: Path, shop_url: str = "", shop_ca: Path | None = None
) -> dict[str, str]:
    """The settings with which shop and sandbox know each other; their secrets are made once and kept.

    The shop stands at its port, or wherever `shop_url` says, with a certificate that `shop_ca` has signed.
    """
    file = data / ENVIRONMENT
    before = kept(data)
    shop, platform, provider = (f"http://{HOST}:{ports[name]}" for name in SERVERS)
    shop = shop_url.rstrip("/") or shop
    secret = {name: before.get(name) or secrets.token_hex(20) for name in MADE_ONCE}
    key = before.get("SANDBOX_CONSUMER_KEY") or secrets.token_hex(10)
    key_folder = data.resolve() / "keys"
    settings = {
        **secret,
        "SANDBOX_APP_ID": "12345",
        "SANDBOX_CONSUMER_KEY": key,
        "SANDBOX_PUBLIC_URL": platform,
        "SANDBOX_SHOP_URL": shop,
        "STOREFRONT_PUBLIC_URL": shop,
        "STOREFRONT_MIXI_APP_ID": "12345",
        "STOREFRONT_MIXI_CONSUMER_KEY": key,
        "STOREFRONT_MIXI_CONSUMER_SECRET": secret["SANDBOX_CONSUMER_SECRET"],
        "STOREFRONT_MIXI_CONTAINER_URL": f"{platform}/ma/12345/",
        "STOREFRONT_MIXI_POINT_URL": f"{platform}/atom/mobile/point/@me",
        "STOREFRONT_MIXI_CONFIRM_URL": f"{platform}/atom/mobile/point/@me",
        "STOREFRONT_MIXI_PLATFORM_HOSTS": f"{HOST}:{ports['sandbox']}",
        "STOREFRONT_MIXI_APP_URL": f"{platform}/",
        "STOREFRONT_MIXI_TEST_OWNERS": BY_KEY["mika"].owner_id,
        "STOREFRONT_DATABASE_URL": os.environ.get("STOREFRONT_DATABASE_URL") or _sqlite(data, "storefront"),
        "STOREFRONT_MIXI_CERTIFICATES": f"{keys.LIFECYCLE}:{keys.NAME}={keys.certificate(key_folder)}",
        "STOREFRONT_MIXI_CERTIFICATE_URL": f"{platform}/certificates/{{channel}}/{{name}}.pem",
        "STOREFRONT_EXTERNAL_PROVIDER_URL": f"{provider}/pay",
        "STOREFRONT_EXTERNAL_MERCHANT": "storefront",
        "STOREFRONT_EXTERNAL_SECRET": secret["PROVIDER_MERCHANT_SECRET"],
        "SANDBOX_DATABASE_URL": _sqlite(data, "sandbox"),
        "SANDBOX_KEYS": str(key_folder),
        "SANDBOX_LIFECYCLE_KEY_NAME": keys.NAME,
        "PROVIDER_PUBLIC_URL": provider,
        "PROVIDER_MERCHANT": "storefront",
        "PROVIDER_NOTICE_URL": f"{shop}/external/notices",
        "PROVIDER_SHOP_URL": shop,
        "PROVIDER_DATABASE_URL": _sqlite(data, "provider"),
        "NO_PROXY": HOST,
    }
    if shop_ca:
        settings |= {"SANDBOX_SHOP_CA": str(shop_ca.resolve()), "PROVIDER_SHOP_CA": str(shop_ca.resolve())}
    data.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return settings


def kept(data: Path) -> dict[str, str]:
    """The settings of the last start; none before the first."""
    file = data / ENVIRONMENT
    return dict(line.split("=", 1) for line in file.read_text().splitlines()) if file.exists() else {}


def _sqlite(data: Path, name: str) -> str:
    return f"sqlite:///{data.resolve() / name}.db"


def check_free(ports: Mapping[str, int]) -> None:
    for name, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                raise click.ClickException(
                    f"port {port} is taken; choose another with --{name}-port"
                ) from None


def serve(ports: Mapping[str, int], welcome: str) -> None:
    """Run one server a port until a signal comes or one of them ends."""
    stop = _Stop()
    servers = {name: _start(name, port) for name, port in ports.items()}
    try:
        if _wait_ready(ports, servers, stop):
            click.echo(welcome)
        while not stop.asked and all(server.poll() is None for server in servers.values()):
            time.sleep(0.2)
    finally:
        ended = [name for name, server in servers.items() if server.poll() is not None]
        _end(servers.values())
    if ended and not stop.asked:
        raise click.ClickException(f"the {ended[0]} stopped by itself; its last words are above")


class _Stop:
    """Whether somebody asked us to stop; also when a shell started us in the background, deaf to SIGINT."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: object) -> None:
        self.asked = True


def _start(name: str, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "gunicorn", "--bind", f"{HOST}:{port}", "--worker-class", "gthread"]
    quiet = ["--log-level", "warning", "--graceful-timeout", "5"]
    # A session of its own, so that Ctrl-C reaches the servers through us alone.
    return subprocess.Popen([*command, *quiet, *SERVERS[name]], start_new_session=True)  # noqa: S603  # our own words


def _wait_ready(
    ports: Mapping[str, int], servers: Mapping[str, subprocess.Popen[bytes]], stop: _Stop
) -> bool:
    until = time.monotonic() + START_SECONDS
    waiting = dict(ports)
    with requests.Session() as http:
        http.trust_env = False
        while waiting and not stop.asked and all(server.poll() is None for server in servers.values()):
            if time.monotonic() > until:
                raise click.ClickException(f"no answer after {START_SECONDS} seconds: {', '.join(waiting)}")
            for name, port in list(waiting.items()):
                if _answers(http, f"http://{HOST}:{port}{READY[name]}"):
                    del waiting[name]
            time.sleep(0.1)
    return not waiting


def _answers(http: requests.Session, url: str) -> bool:
    try:
        return http.get(url, timeout=2).ok
    except requests.RequestException:
        return False


def _end(servers: Iterable[subprocess.Popen[bytes]]) -> None:
    running = [server for server in servers if server.poll() is None]
    for server in running:
        server.terminate()
    for server in running:
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
