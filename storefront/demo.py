"""The demo: the shop and its platforms as processes of this machine, ready to buy in."""

import errno
import fcntl
import os
import re
import secrets
import shlex
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from importlib import import_module
from pathlib import Path

import click
import requests
from flask import Flask
from pydantic import ValidationError
from sqlalchemy import URL, create_engine, inspect, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from storefront.config import FILE
from storefront.db import PRIVATE, make_file
from storefront.languages import DEFAULT_LANGUAGE, said
from storefront.rim import rims
from storefront.sandbox.server import Server, Street
from storefront.shop import identity
from storefront.shop.identity import IdentityError

HOST = "127.0.0.1"
TETHER = Path(__file__).with_name("tether.py")
HOLDER = Path(__file__).with_name("breaker.py")
BREAKER = "breaker"
BREAKER_TOKEN = "BREAKER_TOKEN"  # noqa: S105  # the setting's name
ENVIRONMENT = "demo.env"
BESIDE = f"{ENVIRONMENT}.new"
RUNNING = "running"  # who serves from the folder has this file locked, and says in it where
POSTGRESQL = "postgresql+psycopg"
MARK = "storefront_demo"  # the table by which a demo knows its database again
START_SECONDS = 60
STOP_SECONDS = 10
AS_IN_PRODUCTION = ["--config", "python:storefront.serving"]
# This very file, or gunicorn would read one that another project has in this folder. It has one setting:
AS_TOLD = ["--config", f"python:{__name__}"]
control_socket_disable = True  # nobody asks it, and it would lie in a home
TOLD_TO_ALL = "GUNICORN_CMD_ARGS"
SHOP = "shop"
READY = {SHOP: "/readyz"}  # of the others it is enough that they live
ALIVE = "/healthz"
UNFIT = re.compile(r"[,\0-\x1f\x7f-\x9f]")  # a list of certificates ends there, and so does a setting
MADE_ONCE = {  # bytes of a secret that is kept; platforms have more of them
    "STOREFRONT_SECRET_KEY": 20,
    BREAKER_TOKEN: 20,
}
THREADS = 16  # of one process of the shop: a robot buys for many at once
SHOPKEEPER = {  # whom the legal notice names, where nobody sells
    "STOREFRONT_LEGAL_OPERATOR": "{shop}（架空の事業者）",
    "STOREFRONT_LEGAL_REPRESENTATIVE": "店主（架空の人物）",
    "STOREFRONT_LEGAL_ADDRESS": "架空県架空市架空町1丁目",
    "STOREFRONT_LEGAL_PHONE": "000-0000-0000（つながりません）",
    "STOREFRONT_LEGAL_CONTACT": "店先で、開店から閉店まで（架空の窓口）",
    "STOREFRONT_LEGAL_DEVICES": "携帯電話・スマートフォン・パソコン",
    "STOREFRONT_LEGAL_PRIVACY": "模擬環境のため、個人情報は取り扱いません。",
}


def folder() -> Path:
    """The usual one, apart from a shop's own files, which are in the instance folder itself."""
    return Path(Flask("storefront").instance_path) / "demo"


def platforms() -> Sequence[Server]:
    """Those that play the platforms of the shop's counters, by their ports."""
    found = (import_module(room.platform).SERVER for room in rims() if room.platform)
    return sorted(found, key=lambda server: server.port)


def ports() -> dict[str, int]:
    """Where each server of a demo listens, if nobody says otherwise."""
    return {SHOP: 8000, **{server.name: server.port for server in platforms()}}


def arguments() -> Mapping[str, Sequence[str]]:
    """What gunicorn is told for each server, beside where to listen."""
    others = {
        one.name: [*AS_TOLD, "--workers", "1", "--threads", str(one.threads), one.serves]
        for one in platforms()
    }
    return {
        SHOP: [*AS_IN_PRODUCTION, "--workers", "2", "--threads", str(THREADS), "storefront:create_app()"],
        **others,
    }


def furnish() -> None:
    """Give the running shop what each counter needs to be tried out, beside goods."""
    for room in rims():
        room.furnish()


def fits(data: Path) -> None:
    """Whether settings can name what lies in this folder."""
    folder = str(data.resolve())
    if UNFIT.search(folder):
        raise click.ClickException(
            f"no setting can name a folder with a comma or a control character, such as {folder!r}; "
            "choose another with --data"
        )


@contextmanager
def alone(data: Path, platform: str) -> Iterator[None]:
    """Nobody else serves from this folder until the end of the block; whoever does is named."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        for place in _with_secrets(data):
            _close_to_others(place)
        file = os.fdopen(_ours(data / RUNNING, os.O_RDWR | os.O_CREAT), "r+")
    except OSError as error:
        raise _unwritable(data, error) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise click.ClickException(
                f"already running at {file.read()}; another one needs ports and a folder of its own (--data)"
            ) from None
        file.truncate(0)
        file.write(platform)
        file.flush()
        yield


@contextmanager
def won(ports: Mapping[str, int]) -> Iterator[dict[str, socket.socket]]:
    """A socket that listens on each port, until the end of the block."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(_listening(name, port)) for name, port in ports.items()}


def _listening(name: str, port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()
    except OSError as error:
        listening.close()
        why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror})"
        raise click.ClickException(f"port {port} {why}; choose another with --{name}-port") from None
    return listening


def environment(
    ports: Mapping[str, int],
    data: Path,
    database: str | None = None,
    shop_url: str = "",
    shop_ca: Path | None = None,
    breaker: int | None = None,
) -> dict[str, str]:
    """The settings with which shop and platforms know each other; secrets of the last start are kept.

    The shop stands at its port, or wherever `shop_url` says, with a certificate that `shop_ca` has signed.
    Who can hold it still listens at the port `breaker`, if anybody does.
    """
    before = kept(data)
    lengths = MADE_ONCE | {name: length for one in platforms() for name, length in one.secrets.items()}
    secret = {name: before.get(name) or secrets.token_hex(length) for name, length in lengths.items()}
    addresses = {name: f"http://{HOST}:{port}" for name, port in ports.items()}
    shop = shop_url.rstrip("/") or addresses[SHOP]
    settings, called = dict(secret), _called()
    for one in platforms():
        try:
            here = addresses[one.name]
            street = Street(called[DEFAULT_LANGUAGE], shop, here, data, secret, shop_ca, called["en"])
            settings |= one.environment(street)
        except OSError as error:
            raise _unwritable(data.resolve(), error) from None
    if breaker:
        settings["SANDBOX_MACHINE_URL"] = f"http://{HOST}:{breaker}"
        settings["SANDBOX_MACHINE_TOKEN"] = secret[BREAKER_TOKEN]
    return {
        **settings,
        "STOREFRONT_PUBLIC_URL": shop,
        # Never one that is merely set in the environment: that may be a shop's.
        "STOREFRONT_DATABASE_URL": database or _sqlite(data.resolve() / "storefront.db"),
        "STOREFRONT_METRICS_FOLDER": str(data.resolve() / "metrics"),
        "STOREFRONT_THREADS": str(THREADS),
        **{
            name: os.environ.get(name, words.format(shop=called[DEFAULT_LANGUAGE]))
            for name, words in SHOPKEEPER.items()
        },
        # Both, since the one in lower case is read first.
        **dict.fromkeys(("no_proxy", "NO_PROXY"), _around_proxies()),
    }


def _sqlite(file: Path) -> str:
    return URL.create("sqlite", database=str(file)).render_as_string()


def _called() -> Mapping[str, str]:
    """What the shop is called, as its platform and its provider are told."""
    file = Path(os.environ.get("STOREFRONT_IDENTITY") or identity.SHIPPED)
    try:
        name = identity.read(file).name
        return {language: said(name, language) for language in (DEFAULT_LANGUAGE, "en")}
    except IdentityError as error:
        raise click.ClickException(f"what the shop is called cannot be read:\n{error}") from None


def _around_proxies() -> str:
    others = (os.environ.get("no_proxy") or os.environ.get("NO_PROXY", "")).split(",")
    return ",".join([HOST, *(other for other in others if other.strip() not in ("", HOST))])


def keep(settings: Mapping[str, str], data: Path) -> None:
    """Write the settings down, for the next start and for a shell to read."""
    try:
        beside = data / BESIDE  # what cannot be written in whole leaves the last start's as they are
        with os.fdopen(_ours(beside, os.O_WRONLY | os.O_CREAT), "w") as file:
            file.truncate()
            file.write("".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items()))
        beside.replace(data / ENVIRONMENT)
    except OSError as error:
        raise _unwritable(data, error) from None


def kept(data: Path) -> dict[str, str]:
    """The settings of the last start; none before the first."""
    try:
        with os.fdopen(_ours(data / ENVIRONMENT, os.O_RDONLY)) as file:
            words = shlex.split(file.read())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{data / ENVIRONMENT} cannot be read: {error}") from None
    return dict(word.partition("=")[::2] for word in words)


def started(data: Path) -> dict[str, str]:
    """The settings of the demo in this folder, which has to be one."""
    settings = kept(data)
    if not settings:
        advice = "`storefront demo` starts one; another folder is named by --data"
        raise click.ClickException(f"no demo was started in {data}: {advice}")
    return settings


def take(settings: Mapping[str, str]) -> None:
    """From now on they count in this process and those it starts, whatever else was exported for the same."""
    for name in list(os.environ):
        if {name.upper(), name.upper().removesuffix(FILE)} & settings.keys():
            del os.environ[name]
    os.environ.update(settings)


def check() -> None:
    """Whether the environment tells the platforms what they can start with."""
    for one in platforms():
        try:
            one.settings()
        except ValidationError as error:
            prefix, problem = one.settings.model_config["env_prefix"], error.errors(include_url=False)[0]
            name = "_".join(map(str, problem["loc"])).upper()
            reason = problem["msg"].removeprefix("Value error, ")
            raise click.ClickException(f"{prefix}{name}: {reason}; the {one.name} cannot start") from None


def _with_secrets(data: Path) -> Iterator[Path]:
    """Whatever in a demo's folder is nobody else's business, as far as it is there."""
    keys = data / "keys"
    for place in (data / RUNNING, data / ENVIRONMENT, data / BESIDE, *data.glob("*.db*"), keys):
        if place.is_symlink() or place.exists():
            yield place
    if keys.is_dir():
        yield from keys.iterdir()


def _close_to_others(place: Path) -> None:
    os.close(_ours(place, os.O_RDONLY))


def _ours(file: Path, flags: int) -> int:
    """Open a file, or a folder, of our own, which nobody else can open; never what a link leads to."""
    if file.is_symlink():
        raise click.ClickException(f"{file} is a link, and a demo follows none: remove it")
    number = os.open(file, flags | os.O_NOFOLLOW | os.O_NONBLOCK, PRIVATE)
    found = os.fstat(number)
    if found.st_uid != os.geteuid() or not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        os.close(number)
        raise click.ClickException(
            f"{file} is somebody else's, or no file: choose another folder with --data"
        )
    os.fchmod(number, PRIVATE if stat.S_ISREG(found.st_mode) else stat.S_IRWXU)
    return number


def adopt(settings: Mapping[str, str]) -> None:
    """Make sure that the shop's database is this demo's: empty, then it is marked; or marked before."""
    url = make_url(settings["STOREFRONT_DATABASE_URL"])
    mark = sha256(f"storefront.demo {settings['STOREFRONT_SECRET_KEY']}".encode()).hexdigest()[:16]
    try:
        engine = create_engine(url, hide_parameters=True)
        make_file(engine)
        with engine.begin() as connection:
            tables = inspect(connection).get_table_names()
            if not tables:
                connection.execute(text(f"CREATE TABLE {MARK} (mark VARCHAR(16) NOT NULL)"))
                connection.execute(text(f"INSERT INTO {MARK} VALUES (:mark)"), {"mark": mark})  # noqa: S608  # our own word
            elif MARK not in tables or connection.scalar(text(f"SELECT mark FROM {MARK}")) != mark:  # noqa: S608
                raise click.ClickException(
                    f"{_shown(url)} holds what this demo did not make; choose an empty one with --database,"
                    " or another folder with --data"
                )
        engine.dispose()
    except (SQLAlchemyError, OSError, ImportError) as error:  # the driver may not be installed
        raise _unusable(url, error) from None


def database(address: str) -> str:
    """The address of a database as all of our processes understand it."""
    try:
        url = make_url(address)
    except (SQLAlchemyError, ValueError):  # whose words repeat it, with its password
        raise click.ClickException(
            "this is no address of a database: write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
        ) from None
    driver = {"postgres": POSTGRESQL, "postgresql": POSTGRESQL}.get(url.drivername, url.drivername)
    if driver not in ("sqlite", POSTGRESQL):
        raise click.ClickException(
            f"the shop keeps its books in sqlite:///… or {POSTGRESQL}://…, not in {driver}"
        )
    if driver == "sqlite" and not url.query:
        if url.database in (None, "", ":memory:"):
            raise click.ClickException("the servers cannot share a database in memory; name a file")
        url = url.set(database=str(Path(str(url.database)).resolve()))
    return url.set(drivername=driver).render_as_string(hide_password=False)


def command(name: str, *words: str) -> str:
    """What to type, in any folder, for a command that was installed beside this one."""
    return shlex.join([str(Path(sys.executable).with_name(name)), *words])


def _unwritable(folder: Path, error: OSError) -> click.ClickException:
    return click.ClickException(
        f"cannot write into {folder}: {error.strerror}; choose another folder with --data"
    )


def _unusable(url: URL, error: Exception) -> click.ClickException:
    reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return click.ClickException(f"{_shown(url)} cannot be used: {reason}")


def _shown(url: URL) -> str:
    """Without any password: it may stand in the query as well."""
    return url.set(query={}).render_as_string(hide_password=True)


def differ(ports: Mapping[str, int]) -> None:
    """Whether each server has a port of its own."""
    for name, port in ports.items():
        same = next(other for other, taken in ports.items() if taken == port)
        if same != name:
            raise click.UsageError(f"--{same}-port and --{name}-port are the same: {port}")


def serve(listening: Mapping[str, socket.socket], welcome: str) -> None:
    """Run one server a socket until a signal comes or one of them ends."""
    stop = _Stop()
    holder = listening.get(BREAKER)
    listening = {name: one for name, one in listening.items() if name != BREAKER}
    click.echo(f"Starting {', '.join(listening)} …")
    tether = os.pipe()  # of whose end every server learns that we are gone, however that came
    servers = {name: _start(name, one, tether[0]) for name, one in listening.items()}
    try:
        with _held_by(holder, servers.get(SHOP)):
            if _wait_ready(listening, servers, stop):
                click.echo(welcome)
            while not stop.asked and all(server.poll() is None for server in servers.values()):
                time.sleep(0.2)
    finally:
        ended = [name for name, server in servers.items() if server.poll() is not None]
        _end(servers.values())
        for end in tether:
            os.close(end)
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


def _start(name: str, listening: socket.socket, tether: int) -> subprocess.Popen[bytes]:
    descriptor = listening.fileno()
    # As a file, since a module would load the whole shop first; -P keeps what lies beside it out of the way.
    tethered = [sys.executable, "-P", str(TETHER), str(tether)]
    gunicorn = [*tethered, "gunicorn", "--bind", f"fd://{descriptor}"]
    quiet = ["--log-level", "warning", "--graceful-timeout", "5"]
    told = {name: value for name, value in os.environ.items() if name != TOLD_TO_ALL}
    # A session of its own, so that Ctrl-C reaches the servers through us alone.
    return subprocess.Popen(  # noqa: S603  # our own words
        [*gunicorn, *quiet, *arguments()[name]],
        env=told,
        start_new_session=True,
        pass_fds=[descriptor, tether],
    )


@contextmanager
def _held_by(listening: socket.socket | None, shop: subprocess.Popen[bytes] | None) -> Iterator[None]:
    """Until the end of the block the shop can be held still at this socket; afterwards it is let go."""
    if listening is None or shop is None:
        yield
        return
    ours, theirs = os.pipe()[::-1]
    words = [sys.executable, "-P", str(HOLDER), str(theirs), str(listening.fileno()), str(shop.pid)]
    holder = subprocess.Popen(words, start_new_session=True, pass_fds=[listening.fileno(), theirs])  # noqa: S603
    os.close(theirs)
    try:
        yield
    finally:
        os.close(ours)
        try:
            holder.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            holder.kill()
            holder.wait()


def _wait_ready(
    listening: Mapping[str, socket.socket], servers: Mapping[str, subprocess.Popen[bytes]], stop: _Stop
) -> bool:
    until = time.monotonic() + START_SECONDS
    waiting = {name: one.getsockname()[1] for name, one in listening.items()}
    with requests.Session() as http:
        http.trust_env = False
        while waiting and not stop.asked and all(server.poll() is None for server in servers.values()):
            if time.monotonic() > until:
                raise click.ClickException(f"no answer after {START_SECONDS} seconds: {', '.join(waiting)}")
            for name, port in list(waiting.items()):
                if _answers(http, f"http://{HOST}:{port}{READY.get(name, ALIVE)}"):
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
