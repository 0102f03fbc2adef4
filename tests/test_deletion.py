"""A counter goes with its folders and one line, and nothing else notices."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pytest
import requests
from lxml import html

from storefront import ROOMS
from storefront import demo as the_demo
from tests.demo import free_ports, wait_for

ROOT = Path(__file__).parent.parent
COPIED = ("storefront", "templates", "static", "tests", "wsgi.py", "pyproject.toml", "README.md")


@dataclass(frozen=True)
class Gone:
    """What belongs to a counter: its line, its files, a command of its own, and its server in the demo."""

    room: str
    files: tuple[str, ...]
    command: str
    server: str

    @property
    def line(self) -> str:
        return f'    "storefront.{self.room}",\n'


COUNTERS = (
    Gone(
        "external",
        (
            "storefront/external",
            "storefront/sandbox/provider",
            "storefront/sandbox/walkthroughs/5-outside.yaml",
            "templates/external",
            "templates/sandbox/provider",
            "static/provider.css",
            "tests/external",
            "tests/browser/test_external.py",
            "tests/sandbox/test_provider.py",
        ),
        "malfunctions",
        "provider",
    ),
    Gone(
        "colorme",
        (
            "storefront/colorme",
            "storefront/sandbox/colorme",
            "templates/colorme",
            "templates/sandbox/colorme",
            "static/colorme.css",
            "tests/colorme",
            "tests/browser/test_colorme.py",
            "tests/sandbox/colorme",
        ),
        "plans",
        "appstore",
    ),
)
GAME = (
    "storefront/game",
    "storefront/sandbox/game",
    "storefront/sandbox/walkthroughs/7-game.yaml",
    "templates/sandbox/game",
    "static/game.css",
    "tests/game",
    "tests/browser/test_game.py",
    "tests/sandbox/game",
)
# Of the rest of the tests so many that a minute suffices.
REST = (
    "tests/test_settings.py",
    "tests/test_architecture.py",
    "tests/mixi/test_signing.py",
)
COMMAND = "import sys; from storefront.cli import main; sys.argv[0] = 'storefront'; main()"

pytestmark = pytest.mark.long


EXTERNAL, COLORME = COUNTERS


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(EXTERNAL, id="external", marks=pytest.mark.thorough),
        pytest.param(COLORME, id="colorme"),
    ],
)
def gone(request: pytest.FixtureRequest) -> Gone:
    """Each counter in turn."""
    counter: Gone = request.param
    if f"storefront.{counter.room}" not in ROOMS:
        pytest.skip("this counter is gone already")
    return counter


@pytest.fixture(scope="module")
def without(gone: Gone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which this counter is not."""
    return copied_without(gone, tmp_path_factory.mktemp("project"))


def copied_without(gone: Gone, copy: Path) -> Path:
    unread = shutil.ignore_patterns("__pycache__", "instance")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=unread)
        else:
            shutil.copy(ROOT / name, copy / name)
    for name in gone.files:
        file = copy / name
        shutil.rmtree(file) if file.is_dir() else file.unlink()
    meeting = copy / "storefront" / "__init__.py"
    assert meeting.read_text().count(gone.line) == 1
    meeting.write_text(meeting.read_text().replace(gone.line, ""))
    return copy


def environment(project: Path, **more: str) -> Mapping[str, str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("STOREFRONT_")}
    return {**bare, "PYTHONPATH": str(project), **more}


def storefront(project: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *words],
        cwd=project,
        env=environment(project),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_goes_bears_its_name() -> None:
    """Whoever takes one away finds its files by that, as README says: what is deleted here is found there."""
    named = {EXTERNAL.files: "external|provider|outside", COLORME.files: "colorme", GAME: "game"}
    for files, words in named.items():
        assert [file for file in files if not re.search(words, file)] == []


@pytest.mark.thorough
def test_the_game(tmp_path: Path) -> None:
    """The interface for the game is no counter, and goes the same way with its town: what is left passes."""
    if "storefront.game" not in ROOMS:
        pytest.skip("it is gone already")
    left = copied_without(Gone("game", GAME, "", "game"), tmp_path)
    assert "GAME_TOKEN" not in storefront(left, "settings", "--env")
    assert "--game-port" not in storefront(left, "demo", "--help")
    passes(left, "tests/sandbox/test_walkthroughs.py")


def test_the_commands(without: Path, gone: Gone) -> None:
    """The command lists what is there, and nothing of what is gone."""
    listed = storefront(without, "--help")
    assert "outstanding" in listed
    assert gone.command not in re.findall(r"^  (\S+)", listed, re.MULTILINE)
    assert f"--{gone.server}-port" not in storefront(without, "demo", "--help").partition("Options:")[2]


def test_the_catalogue(without: Path, gone: Gone) -> None:
    """Prices of a channel in which nobody sells are no mistake, and are said to lie idle."""
    said = storefront(without, "catalog", "--check")
    assert re.search(r"^\d+ items, no problem\.$", said, re.MULTILINE)
    assert f"No counter sells in {gone.room}" in said


def test_a_purchase_in_the_demo(without: Path, gone: Gone, tmp_path: Path) -> None:
    """The demo starts with the servers that are left, the shop is ready, and an item is bought."""
    names = [name for name in the_demo.ports() if name != gone.server]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    options = [f"--{name}-port={port}" for name, port in ports.items()]
    output = tmp_path / "output.txt"
    with output.open("w") as file:
        running = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "demo", *options, "--data", str(tmp_path)],
            cwd=without,
            env=environment(without),
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(lambda: "Stop: " in output.read_text() or running.poll() is not None, 120)
        assert running.poll() is None, output.read_text()
        shop, platform = (f"http://127.0.0.1:{ports[name]}" for name in ("shop", "sandbox"))
        with requests.Session() as phone:
            phone.trust_env = False
            assert phone.get(f"{shop}/readyz", timeout=30).text == "ready\n"
            assert bought(phone, f"{platform}/")
    finally:
        running.terminate()
        running.wait(30)


@pytest.mark.thorough
def test_the_rest_of_the_tests(without: Path) -> None:
    """What is left passes its tests, once `storefront texts` has dropped the words of what is gone."""
    passes(without)


def passes(without: Path, *more: str) -> None:
    storefront(without, "texts")
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *REST, *more]
    done = subprocess.run(
        command, cwd=without, env=environment(without), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


def bought(phone: requests.Session, home: str) -> bool:
    """Whether Taro, on his mobile phone, gets anything of what is on the shelf."""
    (first, *_) = html.fromstring(phone.get(home, timeout=30).text).cssselect("[name=form_token]")
    form = {"form_token": first.get("value"), "persona": "taro"}
    shelf = phone.post(f"{home}phone/mobile", data=form, timeout=30)
    for item in items(shelf):
        asked = press(phone, phone.get(item, timeout=30))
        if 'data-screen="confirm"' in asked.text:
            return 'data-screen="bought"' in press(phone, asked).text
    return False


def items(shelf: requests.Response) -> Sequence[str]:
    """The pages of the goods on it, as the container has their addresses."""
    tree = html.fromstring(shelf.text, base_url=shelf.url)
    tree.make_links_absolute()
    found = (str(link.get("href")) for link in tree.cssselect("a[href]"))
    return list(dict.fromkeys(address for address in found if "/items/" in unquote(address)))


def press(phone: requests.Session, page: requests.Response) -> requests.Response:
    """The page's first form, sent as it is."""
    tree = html.fromstring(page.text, base_url=page.url)
    tree.make_links_absolute()
    form = tree.forms[0]
    return phone.post(str(form.action), data=dict(form.form_values()), timeout=30)
