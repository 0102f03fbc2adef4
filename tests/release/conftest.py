"""Releases small enough to be copied many times, and this project as one."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import copy

import pytest
from packaging.version import Version

from storefront.release import files
from storefront.release.files import PROJECT, Release
from storefront.release.git import Refused, git, tracked
from storefront.release.new import ART, CATALOG, IDENTITY, README, THEME, Own, new
from tests.street import GOODS
from tests.street import IDENTITY as NAMES

ROOT = Path(__file__).parent.parent.parent
COMMAND = "import sys; from storefront.cli import main; sys.argv[0] = 'storefront'; main()"
UMI = ("-c", "user.name=Umi", "-c", "user.email=umi@example.com")
NAMED = Own("綱屋", "Rope Shop")
PAGE = "templates/page.html"
CASE = "tests/test_page.py"
RUNS = "bin/run"
STRAYS = (
    ".env",
    "tests/key.pem",
    "storefront/.env",
    "storefront/key.pem",
    "storefront/shop.db",
    "storefront/shop/draft.py",
    "static/art/draft.svg",
    "static/instance/shop.db",
    "templates/.hidden/key.pem",
)
TEXTS: Mapping[str, str] = {
    CATALOG: GOODS.read_text(),
    IDENTITY: f"# Who the shop is.\n\n{NAMES.read_text()}",
    THEME: """:root {
  --paper: #fbf8f2;
  --card: #ffffff;
  --accent: #0f5c73;
  --on-accent: #ffffff;
}

@media (prefers-color-scheme: dark) {
  :root {
    --paper: #10171d;
    --card: #19232b;
    --accent: #6fc3d8;
    --on-accent: #08222b;
  }
}
""",
    README: "# storefront\n\nA shop.\n",
    PAGE: "<h1>Shelf</h1>\n\n\n\n<p>Buy</p>\n",
    CASE: "def test_page():\n    assert 1\n\n\n\n\ndef test_more():\n    assert 2\n",
    RUNS: "#!/bin/sh\r\n",
    **{f"{ART}/{drawing}": "<svg/>\n" for drawing in re.findall(r"art: (\S+)", GOODS.read_text())},
    "gone.txt": "for now\n",
}
Make = Callable[..., Release]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A release of a few files."""

    def made(version: str, **changed: str | None) -> Release:
        folder = tmp_path / f"release-{version}"
        texts = {**TEXTS, PROJECT: f'[project]\nname = "storefront"\nversion = "{version}"\n'}
        found = {}
        for place, text in {**texts, **changed}.items():
            if text is not None:
                found[place] = folder / place
                found[place].parent.mkdir(parents=True, exist_ok=True)
                found[place].write_text(text, newline="")
        found[RUNS].chmod(0o755)
        return Release(Version(version), found, None)

    return made


@pytest.fixture
def copied(make: Make, tmp_path: Path) -> Path:
    """A shop that was made of release 0.0.1."""
    folder = tmp_path / "shop"
    new(make("0.0.1"), folder, NAMED)
    return folder


@pytest.fixture(scope="session")
def places() -> list[str]:
    """What this project consists of."""
    try:
        return list(files.release().files)
    except Refused as error:
        pytest.skip(str(error))  # in a copy without a repository, too


@pytest.fixture(scope="session")
def checkout(places: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project as a later release, in a repository, with things about that are no part of it."""
    folder = tmp_path_factory.mktemp("checkout") / "project"
    for place in places:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / place, folder / place)
    project = (folder / PROJECT).read_text()
    version = f'version = "{files.release().version}"'
    assert project.count(version) == 1
    (folder / PROJECT).write_text(project.replace(version, 'version = "99.0"'))
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    for stray in STRAYS:
        (folder / stray).parent.mkdir(exist_ok=True)
        (folder / stray).write_text("a secret")
    (folder / "templates" / "elsewhere").symlink_to(Path(__file__).parent)
    assert sorted(places) == list(tracked(folder))
    return folder


def storefront(project: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The command of a project that lies there, or of what was unpacked there."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("STOREFRONT_")}
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *words],
        cwd=project,
        env={**bare, "PYTHONPATH": str(project), **more},
        capture_output=True,
        text=True,
        timeout=120,
    )


def content(folder: Path) -> Mapping[str, tuple[bytes, bool]]:
    """Every file but git's own, by its place: what is in it, and whether it can be run."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and ".git" not in path.parts)
    return {
        str(path.relative_to(folder)): (path.read_bytes(), os.access(path, os.X_OK))
        for path in found
        if "__pycache__" not in path.parts
    }
