"""The `storefront` command."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

import click
import flask_migrate
import requests
from flask import Flask

from storefront import config, create_app, doctor, mixi, reports
from storefront.backup import NotPossible, backup
from storefront.clock import Deadline
from storefront.config import PACKAGE, SettingsError
from storefront.db import migrate, transaction
from storefront.doctor import Verdict
from storefront.mixi import payments
from storefront.mixi.channel import NAME as MIXI
from storefront.mixi.channel import channel
from storefront.sandbox import keys
from storefront.sandbox.cast import BY_KEY
from storefront.shop import catalog, catalog_file
from storefront.shop.catalog_file import CatalogError

HOST = "127.0.0.1"
CHECK_SECONDS = 10
ENVIRONMENT = "demo.env"
START_SECONDS = 60
STOP_SECONDS = 10
SERVERS = {
    "shop": ["--workers", "2", "--threads", "8", "storefront:create_app()"],
    "sandbox": ["--workers", "1", "--threads", "32", "storefront.sandbox:create_sandbox()"],
}
READY = {"shop": "/readyz", "sandbox": "/healthz"}

shop_port = click.option("--shop-port", default=8000, show_default=True, help="Where it listens.")
sandbox_port = click.option("--sandbox-port", default=8001, show_default=True, help="Where it listens.")

as_csv = click.option("--csv", "as_csv", is_flag=True, help="As comma-separated values.")
a_day = click.DateTime(["%Y-%m-%d"])

data = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(Flask("storefront").instance_path),
    show_default="the instance folder",
    help="Where databases and keys are kept.",
)


@click.group()
@click.version_option(package_name="storefront")
def main() -> None:
    """A reference item shop for social application providers, and the platform to buy from."""


@main.command()
@shop_port
@sandbox_port
@data
def demo(shop_port: int, sandbox_port: int, data: Path) -> None:
    """Start the shop and the sandbox, ready to buy in."""
    environment = _environment(shop_port, sandbox_port, data)
    ports = {"shop": shop_port, "sandbox": sandbox_port}
    _check_free(ports)
    os.environ.update(environment)
    _upgrade(create_app())
    _serve(
        ports,
        f"""
  Buy something:   {environment["SANDBOX_PUBLIC_URL"]}/
                   choose a simulated user, open the app, pick an item

  The bare shop:   {environment["STOREFRONT_PUBLIC_URL"]}/
  Stop:            Ctrl-C
""",
    )


@main.command()
@shop_port
@sandbox_port
@data
def sandbox(shop_port: int, sandbox_port: int, data: Path) -> None:
    """Start the sandbox alone, for a shop that you start yourself."""
    os.environ.update(_environment(shop_port, sandbox_port, data))
    ports = {"sandbox": sandbox_port}
    _check_free(ports)
    _serve(
        ports,
        f"""
  The platform:    http://{HOST}:{sandbox_port}/
  A shop for it:   set -a; . {data / ENVIRONMENT}; set +a
                   storefront upgrade && gunicorn --bind {HOST}:{shop_port} --threads 8 wsgi:app
  Stop:            Ctrl-C
""",
    )


@main.command()
def upgrade() -> None:
    """Migrate the database and load the catalogue. Safe to run twice, and twice at once."""
    _upgrade(_shop())


@main.command("catalog")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--check", is_flag=True, help="Only say what is wrong; needs no settings and no database.")
def catalog_command(file: Path | None, check: bool) -> None:
    """Check a catalogue (the configured one unless FILE is given) and put it on the shelf."""
    try:
        if check:
            default = PACKAGE / "shop" / "catalog.yaml"
            entries = catalog_file.read(file or default, {MIXI: mixi.PRICES})
            click.echo(f"{len(entries)} items, no problem.")
        else:
            _load(_shop(), file)
    except CatalogError as error:
        raise click.ClickException(f"the catalogue was not loaded:\n{error}") from None


@main.command("doctor")
def doctor_command() -> None:
    """Check what the shop depends on and say what to do; exit status 1 if anything fails."""
    failed = False
    for finding in doctor.examine():
        click.echo(str(finding))
        failed = failed or finding.verdict is Verdict.FAIL
    sys.exit(failed)


@main.command()
@as_csv
def outstanding(as_csv: bool) -> None:
    """List payments that mixi has not confirmed, and holdings below zero."""
    with _shop().app_context():
        reports.outstanding(sys.stdout, as_csv)


@main.command()
@as_csv
@click.option("--from", "first", type=a_day, help="First day, in Japan.")
@click.option("--until", "last", type=a_day, help="Last day, in Japan; all of it counts.")
@click.option("--totals", is_flag=True, help="The sums of each kind, in place of the entries.")
def ledger(as_csv: bool, first: datetime | None, last: datetime | None, totals: bool) -> None:
    """Print the ledger; moments are in UTC."""
    report = reports.totals if totals else reports.book
    with _shop().app_context():
        report(sys.stdout, as_csv, first and first.date(), last and last.date())


@main.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup_command(file: Path) -> None:
    """Copy a SQLite database into FILE, which must be new, while the shop goes on selling."""
    try:
        with _shop().app_context():
            size = backup(file)
    except NotPossible as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{file}: {size:,} bytes, checked.")


@main.command()
@click.argument("code")
def check(code: str) -> None:
    """Ask mixi about one payment, put ours in line with its answer, and print both sides."""
    with _shop().app_context():
        doubt = payments.doubt_about(code)
        if doubt is None:
            raise click.ClickException(f"no payment has the code {code}")
        before = payments.word_for(code)
        answer = payments.ask(channel(), doubt, Deadline.after(CHECK_SECONDS))
        click.echo(f"ours    {before}")
        click.echo(f"mixi's  {answer or 'no answer; the reason is in the log above'}")
        click.echo(f"now     {payments.word_for(code)}")


def _shop() -> Flask:
    try:
        return create_app()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


def _upgrade(app: Flask) -> None:
    with app.app_context():
        flask_migrate.upgrade(directory=migrate.directory)
    try:
        _load(app, None)
    except CatalogError as error:
        raise click.ClickException(f"migrated, but the catalogue was not loaded:\n{error}") from None


def _load(app: Flask, file: Path | None) -> None:
    with app.app_context(), transaction() as session:
        count = catalog.load(session, file or config.settings().catalog)
    click.echo(f"{count} items on the shelf.")


def _environment(shop_port: int, sandbox_port: int, data: Path) -> dict[str, str]:
    """The settings with which shop and sandbox know each other; their secrets are made once and kept."""
    file = data / ENVIRONMENT
    kept = dict(line.split("=", 1) for line in file.read_text().splitlines()) if file.exists() else {}
    shop, platform = f"http://{HOST}:{shop_port}", f"http://{HOST}:{sandbox_port}"
    secret = {
        name: kept.get(name) or secrets.token_hex(20)
        for name in ("STOREFRONT_SECRET_KEY", "SANDBOX_SECRET_KEY", "SANDBOX_CONSUMER_SECRET")
    }
    key = kept.get("SANDBOX_CONSUMER_KEY") or secrets.token_hex(10)
    key_folder = data.resolve() / "keys"
    environment = {
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
        "STOREFRONT_MIXI_PLATFORM_HOSTS": f"{HOST}:{sandbox_port}",
        "STOREFRONT_MIXI_TEST_OWNERS": BY_KEY["mika"].owner_id,
        "STOREFRONT_DATABASE_URL": os.environ.get("STOREFRONT_DATABASE_URL") or _sqlite(data, "storefront"),
        "STOREFRONT_MIXI_LIFECYCLE_CERTIFICATES": f"{keys.NAME}={keys.certificate(key_folder)}",
        "SANDBOX_DATABASE_URL": _sqlite(data, "sandbox"),
        "SANDBOX_KEYS": str(key_folder),
        "SANDBOX_LIFECYCLE_KEY_NAME": keys.NAME,
        "NO_PROXY": HOST,
    }
    data.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text("".join(f"{name}={value}\n" for name, value in environment.items()))
    return environment


def _sqlite(data: Path, name: str) -> str:
    return f"sqlite:///{data.resolve() / name}.db"


def _check_free(ports: Mapping[str, int]) -> None:
    for name, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                raise click.ClickException(
                    f"port {port} is taken; choose another with --{name}-port"
                ) from None


def _serve(ports: Mapping[str, int], welcome: str) -> None:
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
