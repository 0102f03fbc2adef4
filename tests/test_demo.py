"""The one command: it starts both sides, says where to click, and leaves nothing behind."""

import os
import re
import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
import pytest
import requests
from pydantic import SecretStr
from requests.utils import get_environ_proxies
from sqlalchemy import create_engine, inspect, text

from storefront import Settings, create_app
from storefront import demo as the_demo
from storefront.operator import login
from storefront.sandbox import create_sandbox
from storefront.sandbox.settings import SandboxSettings
from tests.databases import fill, on_sqlite
from tests.demo import COMMAND, START_SECONDS, Demo, demo, own_ports, wait_for
from tests.street import IDENTITY as NAMES
from tests.street import SETTINGS

pytestmark = pytest.mark.long

PORTS = the_demo.ports()
OTHER_PORTS = {name: port + 10 for name, port in PORTS.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A name that a shell would take apart; another project is in it, with a server of its own."""
    folder = tmp_path_factory.mktemp("demo") / "what's new (1)"
    folder.mkdir()
    (folder / "gunicorn.conf.py").write_text("raise SystemExit('another project')")
    return folder


@pytest.fixture(scope="module")
def of_a_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database that the environment names."""
    return tmp_path_factory.mktemp("shop") / "shop.db"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def running(folder: Path, of_a_shop: Path, home: Path) -> Iterator[Demo]:
    """The demo, started where a shop's settings and a company's proxy are exported."""
    exported = {
        "STOREFRONT_DATABASE_URL": f"sqlite:///{of_a_shop}",
        "STOREFRONT_SECRET_KEY_FILE": "/nowhere",
        "http_proxy": "http://127.0.0.1:9",
        "no_proxy": "intra.example",
        "GUNICORN_CMD_ARGS": "--certfile another/project.pem",
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
    }
    with demo(folder, **exported) as running:
        yield running


def test_starts(running: Demo) -> None:
    """Both sides answer when it says so, and before that it says what it is at."""
    assert requests.get(running.shop + "/readyz", timeout=30).text == "ready\n"
    assert 'data-page="door"' in requests.get(running.shop, timeout=30).text
    assert "試しの店" in requests.get(running.platform, timeout=30).text
    assert "花子" in requests.get(running.platform, headers={"Accept-Language": "ja"}, timeout=30).text
    said = running.output.read_text()
    assert (
        said.index("Keys and databases") < said.index("Filling") < said.index("Starting") < said.index("Buy")
    )


def test_leaves_an_exported_database_alone(running: Demo, of_a_shop: Path) -> None:
    """What the environment calls the shop's database may be a real one's."""
    assert not of_a_shop.exists()


def test_there_is_no_second_way_in(running: Demo, home: Path) -> None:
    """None of the servers listens at a socket in somebody's home."""
    assert requests.get(running.shop + "/readyz", timeout=30).ok
    assert not any(file.is_socket() for file in home.rglob("*"))


def test_one_in_a_folder(running: Demo, folder: Path) -> None:
    """A second one of the same folder says where the first is, and changes nothing."""
    before = (folder / "demo.env").read_text()
    ended = run("demo", *free_options(), "--data", str(folder))
    assert ended.returncode == 1
    assert f"already running at {running.platform}/" in ended.stderr
    assert (folder / "demo.env").read_text() == before


@pytest.mark.thorough
def test_prints_what_can_be_typed(running: Demo, folder: Path) -> None:
    """The command for the operator's pages works as printed, without the virtual environment's path."""
    (command,) = re.findall(r"The operator: +(.+)", running.output.read_text())
    bare = {"PATH": os.defpath, "HOME": str(folder)}
    ended = subprocess.run(["sh", "-c", command], env=bare, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"{running.shop}/operator")


def test_settings_for_a_shell(running: Demo, folder: Path) -> None:
    """`demo.env`, read by a shell, says what the demo was started with."""
    script = f"set -a; . {shlex.quote(str(folder / 'demo.env'))}; set +a; env -0"
    read = subprocess.run(
        ["sh", "-c", script], env={}, capture_output=True, text=True, check=True, timeout=60
    )
    settings = dict(line.split("=", 1) for line in read.stdout.split("\0") if line)
    assert the_demo.kept(folder).items() <= settings.items()
    assert settings["SANDBOX_KEYS"] == str(folder / "keys")


def test_nothing_outlives_it(tmp_path: Path) -> None:
    """Its servers end with it, also when it was killed."""
    with demo(tmp_path) as running:
        assert running.stop(signal.SIGKILL) == -signal.SIGKILL
        wait_for(lambda: not any(map(answers, (running.shop, running.platform))))


def answers(address: str) -> bool:
    try:
        requests.get(f"{address}/healthz", timeout=1)
    except requests.RequestException:
        return False
    return True


def test_stops(tmp_path: Path) -> None:
    """Nobody listens when it has ended. A shell starts background jobs deaf to SIGINT; ours hears it."""
    ports = own_ports()
    options = " ".join(f"--{name}-port {port}" for name, port in ports.items())
    script = (
        f"{COMMAND} demo {options}"
        f' --data "{tmp_path}" >"{tmp_path}/out" 2>&1 &\n'
        f'while kill -0 $! && ! grep -q "Buy something" "{tmp_path}/out"; do sleep 0.1; done\n'
        f'kill -INT $!; wait $!; echo "ended with $?"; cat "{tmp_path}/out"'
    )
    ended = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=START_SECONDS + 60)
    assert "ended with 0" in ended.stdout, ended.stdout
    assert not any(answers(f"http://127.0.0.1:{port}") for port in ports.values())


def test_a_shop_for_the_sandbox(tmp_path: Path) -> None:
    """The commands that `storefront sandbox` prints start a shop, from any folder."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with demo(tmp_path, words="sandbox") as running:
        printed = running.output.read_text().partition("A shop for it:")[2].partition("Stop:")[0]
        script = f"{printed.rstrip()} & echo; wait"
        bare = {"PATH": os.defpath, "HOME": str(tmp_path)}
        with (tmp_path / "shop.txt").open("w") as said:
            shop = subprocess.Popen(
                ["sh", "-c", script],
                cwd=elsewhere,
                env=bare,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        try:
            wait_for(lambda: shop.poll() is not None or is_ready(running.shop))
            assert shop.poll() is None, (tmp_path / "shop.txt").read_text()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shop.pid, signal.SIGTERM)
            shop.wait(30)


@pytest.mark.parametrize("name", ["shop", "sandbox"])
def test_a_busy_port_is_a_clear_error(tmp_path: Path, name: str) -> None:
    """Which port, and the option that moves it; settings that nobody serves by are not written."""
    ports = own_ports()
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", ports[name]))
        busy.listen()
        options = [f"--{side}-port={port}" for side, port in ports.items()]
        ended = run("demo", *options, "--data", str(tmp_path))
    assert ended.returncode == 1
    assert f"port {ports[name]} is taken; choose another with --{name}-port" in ended.stderr
    assert not (tmp_path / "demo.env").exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A sentence that names it, and the option that moves it."""
    (tmp_path / "file").touch()
    ended = run("demo", *free_options(), "--data", str(tmp_path / "file" / "demo"))
    assert ended.returncode == 1
    assert f"cannot write into {tmp_path}/file/demo: Not a directory; choose another folder with --data" in (
        ended.stderr
    )
    assert "Traceback" not in ended.stderr


@pytest.mark.thorough
@pytest.mark.parametrize("address", ["mysql://host/shop", "postgresql+psycopg://127.0.0.1:9/shop"])
def test_a_database_that_cannot_be_used(tmp_path: Path, address: str) -> None:
    """A sentence, never a traceback."""
    ended = run("demo", *free_options(), "--data", str(tmp_path), "--database", address)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: ")
    assert "Traceback" not in ended.stderr


@pytest.mark.empty_database
def test_adopts_what_is_empty_or_its_own(database_url: str, tmp_path: Path) -> None:
    """A database is taken if nothing is in it, or if this demo made it; no other demo's, and no shop's."""
    one = the_demo.environment(PORTS, tmp_path / "one", database_url)
    other = the_demo.environment(PORTS, tmp_path / "other", database_url)
    the_demo.adopt(one)
    fill(create_app(Settings.model_validate({**SETTINGS, "database_url": database_url})))
    the_demo.adopt(one)
    with pytest.raises(click.ClickException, match="holds what this demo did not make"):
        the_demo.adopt(other)


def test_leaves_a_shop_alone(database_url: str, tmp_path: Path) -> None:
    """A shop's database is refused and stays as it is."""
    engine = create_engine(database_url)
    before = inspect(engine).get_table_names()
    with pytest.raises(click.ClickException, match="holds what this demo did not make"):
        the_demo.adopt(the_demo.environment(PORTS, tmp_path, database_url))
    assert inspect(engine).get_table_names() == before
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM item")) > 0
    engine.dispose()


@pytest.mark.parametrize("exported", [{}, {"no_proxy": "intra.example"}, {"NO_PROXY": "intra.example"}])
def test_goes_around_a_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported: dict[str, str]
) -> None:
    """The three servers reach each other past any proxy; other exceptions from it stay."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://proxy.example")
    for name, value in exported.items():
        monkeypatch.setenv(name, value)
    for name, value in the_demo.environment(PORTS, tmp_path).items():
        monkeypatch.setenv(name, value)
    assert get_environ_proxies("http://127.0.0.1:8001/") == {}
    assert get_environ_proxies("http://else.example/")
    if exported:
        assert get_environ_proxies("http://intra.example/") == {}


@pytest.mark.parametrize("name", ["d%2Fx", "d?x", "d#x", "d x"])
def test_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    """Signs that mean something in an address mean nothing in the name of the folder."""
    settings = the_demo.environment(PORTS, tmp_path / name)
    the_demo.adopt(settings)
    assert (tmp_path / name / "storefront.db").is_file()
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_whom_the_legal_notice_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever named the shop anew is the operator of its demo, too."""
    file = tmp_path / "identity.yaml"
    file.write_text(NAMES.read_text().replace("試しの店", '"{綱屋}"'))
    monkeypatch.setenv("STOREFRONT_IDENTITY", str(file))
    settings = the_demo.environment(PORTS, tmp_path)
    assert settings["STOREFRONT_LEGAL_OPERATOR"].startswith("{綱屋}（")


@on_sqlite
def test_two_at_once_have_cookies_of_their_own(settings: Settings, tmp_path: Path) -> None:
    """Cookies do not know ports: those of two demos on one machine differ by their names."""
    names = [cookie_names(ports, settings, tmp_path) for ports in (PORTS, OTHER_PORTS)]
    assert [len(own) for own in names] == [2, 2]
    assert not names[0] & names[1]


def cookie_names(ports: dict[str, int], settings: Settings, folder: Path) -> set[str]:
    own = the_demo.environment(ports, folder)
    shop = create_app(settings.model_copy(update={"public_url": own["STOREFRONT_PUBLIC_URL"]}))
    platform = create_sandbox(
        SandboxSettings(
            public_url=own["SANDBOX_PUBLIC_URL"],
            shop_url=own["SANDBOX_SHOP_URL"],
            app_id=own["SANDBOX_APP_ID"],
            consumer_key=own["SANDBOX_CONSUMER_KEY"],
            consumer_secret=SecretStr(own["SANDBOX_CONSUMER_SECRET"]),
            secret_key=SecretStr(own["SANDBOX_SECRET_KEY"]),
            database_url=SecretStr(own["SANDBOX_DATABASE_URL"]),
            keys=folder / "keys",
        )
    )
    with shop.test_request_context():
        token = login.address().partition("token=")[2]
    answers = [
        shop.test_client().post("/operator", data={"token": token}),
        platform.test_client().get("/?lang=en"),
    ]
    return {answer.headers["Set-Cookie"].partition("=")[0] for answer in answers}


def is_ready(shop: str) -> bool:
    try:
        return requests.get(f"{shop}/readyz", timeout=5).text == "ready\n"
    except requests.RequestException:
        return False


def free_options() -> list[str]:
    return [f"--{name}-port={port}" for name, port in own_ports().items()]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *words], capture_output=True, text=True, timeout=60)


@pytest.mark.thorough
def test_catalog_check(tmp_path: Path) -> None:
    """`storefront catalog --check` needs no settings; a bad file is an error with its line."""
    good = run("catalog", "--check")
    assert good.returncode == 0, good.stderr
    assert re.fullmatch(r"\d+ items, no problem\.\n", good.stdout)
    file = tmp_path / "bad.yaml"
    file.write_text("- id: a b\n")
    bad = run("catalog", "--check", str(file))
    assert bad.returncode == 1
    assert f"{file}:1: id: an id is 1 to 64 half-width letters and digits" in bad.stderr
