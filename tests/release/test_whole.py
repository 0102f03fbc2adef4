"""This project as a release: of checkout, sdist and wheel the same copy is made, and brought up to date."""

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from storefront.release.build import Packing
from storefront.release.files import PROJECT, version_of
from storefront.release.git import git
from tests.command import call
from tests.proof.served import without_settings
from tests.release.conftest import ROOT, STRAYS, content, storefront
from tests.test_encodings import ASCII

pytestmark = pytest.mark.long

NAME = "storefront-99.0"
LISTED = "storefront/release/files.txt"
IDENTITY = "storefront/shop/identity.yaml"
NOBODY = 65534  # by convention
LAY_ABOUT = tuple(Path(stray).name for stray in STRAYS)


@pytest.fixture(scope="module")
def sdist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    build(checkout, "sdist", folder)
    shutil.unpack_archive(folder / f"{NAME}.tar.gz", folder, filter="tar")
    return folder / NAME


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made of the sdist, and unpacked as an installer does it."""
    return built(sdist, tmp_path_factory.mktemp("wheel"))


def built(project: Path, into: Path) -> Path:
    """The wheel of a project, unpacked."""
    build(project, "wheel", into)
    (file,) = into.glob("*.whl")
    shutil.unpack_archive(file, into / "site", "zip")
    for one in ZipFile(file).infolist():
        (into / "site" / one.filename).chmod((one.external_attr >> 16) & 0o777)
    return into / "site"


def build(project: Path, kind: str, into: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(into)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_the_version() -> None:
    """It stands in one place, is said on demand, and heads the changelog with its day and how to upgrade."""
    version = version_of((ROOT / PROJECT).read_text())
    newest = (ROOT / "CHANGELOG.md").read_text().split("\n## ")[1]
    assert re.match(rf"{re.escape(str(version))} - (\d{{4}}-\d\d-\d\d|unreleased)\n\n### Upgrading\n", newest)
    said = call(without_settings({}), "--version").stdout
    assert said == f"storefront, version {metadata.version('storefront')}\n"


def test_the_sdist(sdist: Path, places: list[str]) -> None:
    """It has the files of the release, what they are, and nothing that lay about."""
    assert content(sdist).keys() == {*places, LISTED, "PKG-INFO"}


def test_the_wheel(wheel: Path, places: list[str]) -> None:
    """It has as many, and nothing that lay about either."""
    inside = {place for place in content(wheel) if not place.startswith(f"{NAME}.dist-info/")}
    assert len(inside) == len(places) + 1
    assert not [place for place in inside if place.endswith(LAY_ABOUT)]


def test_the_wheel_of_a_checkout(checkout: Path, wheel: Path, tmp_path: Path) -> None:
    """It is the same: what lay about in the checkout, or was linked there, is in neither."""
    assert content(built(checkout, tmp_path)).keys() == content(wheel).keys()


def test_to_work_in_without_git(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies there is what runs, so an editable install asks nobody which files those are."""
    monkeypatch.setenv("PATH", "")
    asked: dict[str, Any] = {"force_include": {}}
    packing = Packing(str(checkout), {}, None, None, "", "wheel")  # type: ignore[arg-type]  # it asks neither
    packing.initialize("editable", asked)
    assert asked == {"force_include": {}}


@pytest.mark.skipif(bool(os.geteuid()), reason="only root can give a checkout to somebody else")
def test_the_wheel_of_somebody_elses_checkout(checkout: Path, wheel: Path, tmp_path: Path) -> None:
    """Mounted into a container it belongs to whoever is outside; whoever installs it trusts it already."""
    theirs = tmp_path / "theirs"
    shutil.copytree(checkout, theirs, symlinks=True)
    for place in (theirs, theirs / ".git"):
        os.chown(place, NOBODY, NOBODY)
    assert content(built(theirs, tmp_path)).keys() == content(wheel).keys()


@pytest.mark.thorough
def test_the_package_alone(checkout: Path, wheel: Path, tmp_path: Path) -> None:
    """An archive of sources lists none of them: what is hidden, linked, made or a key is left out."""
    shutil.copytree(checkout, tmp_path / "archive", symlinks=True, ignore=shutil.ignore_patterns(".git"))
    alone = content(built(tmp_path / "archive", tmp_path / "wheel")).keys()
    wanted = {place for place in content(wheel) if not place.startswith("storefront/beside/")} - {LISTED}
    assert alone >= wanted
    assert {Path(place).name for place in alone - wanted} == {"draft.py", "draft.svg"}


@pytest.mark.parametrize(
    "built",
    [
        pytest.param("checkout", marks=pytest.mark.thorough),
        pytest.param("sdist", marks=pytest.mark.thorough),
        "wheel",
    ],
)
def test_a_copy_of_each(
    request: pytest.FixtureRequest, checkout: Path, places: list[str], tmp_path: Path, built: str
) -> None:
    """Every file of the release, byte for byte, and as it may be run; only the name is another.

    It says what to run, in the README's own words.
    """
    done = storefront(request.getfixturevalue(built), "new", str(tmp_path / "a shop"), "--name", "綱屋")
    assert done.returncode == 0, done.stderr
    copy, came = content(tmp_path / "a shop"), content(checkout)
    assert copy.keys() == set(places)
    assert {place for place in copy if copy[place] != came[place]} == {IDENTITY, "README.md"}
    assert copy[".ci/run"][1]
    assert f"  cd '{tmp_path}/a shop'\n" in done.stdout
    readme = (ROOT / "README.md").read_text().splitlines()
    for command in ("storefront demo", "bin/pytest"):
        (line,) = (line for line in done.stdout.splitlines() if command in line)
        assert line.partition("    #")[0].strip() in readme


def test_where_utf_8_is_not_spoken(tmp_path: Path, places: list[str]) -> None:
    """A copy has its texts in UTF-8 all the same."""
    words = ("new", str(tmp_path / "shop"), "--name", "Rope", "--accent", "#993300")
    done = storefront(ROOT, *words, **ASCII)
    assert done.returncode == 0, done.stderr
    assert "Ropeへようこそ。" in (tmp_path / "shop" / IDENTITY).read_text("utf-8")


@pytest.mark.thorough
def test_a_newer_release(wheel: Path, tmp_path: Path, places: list[str]) -> None:
    """A shop made today is brought up to date by the wheel of a later day."""
    shop = tmp_path / "shop"
    assert call(without_settings({}), "new", str(shop), "--name", "綱屋").returncode == 0
    done = storefront(wheel, "update", str(shop))
    assert done.returncode == 0, done.stderr
    assert "has 99.0 now" in done.stdout
    assert "0 new, 1 changed, 0 removed" in done.stdout
    git(shop, "-c", "user.name=Umi", "-c", "user.email=umi@example.com", "merge", "--quiet", "storefront")
    assert 'version = "99.0"' in (shop / "pyproject.toml").read_text()
    assert "綱屋" in (shop / IDENTITY).read_text()
