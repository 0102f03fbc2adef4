"""What `storefront new` and `storefront update` refuse: the table of the room's README, row by row."""

import os
import re
import resource
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from storefront.release.accent import DARK, tokens
from storefront.release.git import git
from storefront.release.new import THEME, Own, new
from storefront.shop.yaml_file import LARGEST
from tests.command import call
from tests.proof.served import without_settings
from tests.release.conftest import NAMED, ROOT, UMI, Make, content, storefront
from tests.street import GOODS

pytestmark = pytest.mark.long

README = (ROOT / "storefront" / "release" / "README.md").read_text()
ROW = re.compile(r"^\| (new|update) \| (.+) \| (\d) \| (.+) \|$", re.MULTILINE)
ROWS = {(command, when): (int(status), said) for command, when, status, said in ROW.findall(README)}
LONG_NAME = "綱" * 65
SMALL = 512  # bytes, the largest file on a disk as full as that
NEW = ("--name", "綱屋")

Words = Sequence[str]
Arrange = Callable[["World"], Words]


class World:
    """A folder with a shop in it, made of an early release, and the words of a command in it."""

    def __init__(self, folder: Path, shop: Path, make: Make) -> None:
        self.folder, self.shop, self.make = folder, shop, make
        self.path = os.environ["PATH"]
        self.largest = resource.RLIM_INFINITY

    def file(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def run(self, words: Words) -> CompletedProcess[str]:
        with files_up_to(self.largest):
            return call(without_settings({"PATH": self.path}), *words)

    def seen(self) -> object:
        """All that a command could have changed."""
        branches = git(self.shop, "for-each-ref") if (self.shop / ".git").is_dir() else ""
        return content(self.folder), sorted(map(str, self.folder.iterdir())), branches


@pytest.fixture
def world(tmp_path: Path, copied: Path, make: Make, places: list[str]) -> World:
    return World(tmp_path, copied, make)


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def not_empty(world: World) -> Words:
    return ["new", str(world.shop), *NEW]


def a_file(world: World) -> Words:
    return ["new", world.file("words.txt", "words"), *NEW]


def nothing_above(world: World) -> Words:
    return ["new", str(world.folder / "no" / "where"), *NEW]


def another(world: World, *words: str) -> Words:
    return ["new", str(world.folder / "other"), *words]


def wrong_catalogue(world: World) -> Words:
    text = GOODS.read_text().replace("id: loaf", "id: a_loaf")
    return another(world, *NEW, "--catalog", world.file("catalog.yaml", text))


def undrawn(world: World) -> Words:
    text = re.sub("art: .*", "art: never-drawn.svg", GOODS.read_text(), count=1)
    return another(world, *NEW, "--catalog", world.file("catalog.yaml", text))


def too_large_a_catalogue(world: World) -> Words:
    file = world.file("catalog.yaml", "")
    os.truncate(file, LARGEST + 1)
    return another(world, *NEW, "--catalog", file)


def no_git(world: World, words: Words) -> Words:
    world.path = str(world.folder)
    return words


def full(world: World, words: Words) -> Words:
    world.largest = SMALL
    return words


def update(world: World) -> Words:
    return ["update", str(world.shop)]


def without_repository(world: World) -> Words:
    (world.folder / "plain").mkdir()
    return ["update", str(world.folder / "plain")]


def of_paper() -> str:
    return tokens((ROOT / THEME).read_text().partition(DARK)[0])["paper"]


def of_another(world: World) -> Words:
    shutil.rmtree(world.shop / ".git")
    git(world.shop, "init", "--quiet")
    return update(world)


def a_clone(world: World) -> Words:
    git(world.folder, "clone", "--quiet", str(world.shop), "other")
    return ["update", str(world.folder / "other")]


def a_shallow_clone(world: World) -> Words:
    other = str(world.folder / "other")
    git(world.folder, "clone", "--quiet", "--depth=1", f"file://{world.shop}", other)
    git(world.folder / "other", "fetch", "--quiet", "--depth=1", "origin", "storefront:storefront")
    return ["update", other]


def tagged(world: World) -> Words:
    git(world.shop, "tag", "storefront")
    return update(world)


def locked(world: World) -> Words:
    (world.shop / ".git" / "refs" / "heads" / "storefront.lock").touch()
    return update(world)


def written_anew(world: World) -> Words:
    git(world.shop, "update-ref", "-d", "refs/heads/main")
    git(world.shop, *UMI, "commit", "--quiet", "--all", "--message", "All of it")
    return update(world)


def made_without_git(world: World) -> Words:
    new(world.make("0.0.1"), world.folder / "other", NAMED, with_git=False)
    return ["update", str(world.folder / "other")]


def dirty(world: World) -> Words:
    shutil.rmtree(world.shop)
    new(world.make("0.0.1"), world.shop, NAMED)
    (world.shop / "README.md").write_text("Read this.\n")
    return update(world)


def checked_out(world: World) -> Words:
    git(world.shop, "switch", "--quiet", "storefront")
    return update(world)


def checked_out_elsewhere(world: World) -> Words:
    git(world.shop, "worktree", "add", "--quiet", str(world.folder / "beside"), "storefront")
    return update(world)


def committed_upon(world: World) -> Words:
    git(world.shop, "update-ref", "refs/heads/storefront", "main")
    return update(world)


def of_release(world: World, version: str) -> Words:
    shutil.rmtree(world.shop)
    new(world.make(version), world.shop, Own("綱屋"))
    return update(world)


def this_version() -> str:
    (version,) = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.M)
    return str(version)


CASES: dict[tuple[str, str], Arrange] = {
    ("new", "the folder is not empty"): not_empty,
    ("new", "a file stands there"): a_file,
    ("new", "the folder above is not there"): nothing_above,
    ("new", "no name"): lambda world: another(world),
    ("new", "the name is too long"): lambda world: another(world, "--name", LONG_NAME),
    ("new", "the name is blank"): lambda world: another(world, "--name", " "),
    ("new", "no colour"): lambda world: another(world, *NEW, "--accent", "teal"),
    ("new", "a colour that nobody could read"): lambda world: another(world, *NEW, "--accent", of_paper()),
    ("new", "the catalogue breaks a rule"): wrong_catalogue,
    ("new", "the release has no drawing of an item"): undrawn,
    ("new", "the catalogue is not there"): lambda world: another(world, *NEW, "--catalog", "nowhere.yaml"),
    ("new", "the catalogue is a device"): lambda world: another(world, *NEW, "--catalog", "/dev/zero"),
    ("new", "the catalogue is too large"): too_large_a_catalogue,
    ("new", "git is not installed"): lambda world: no_git(world, another(world, *NEW)),
    ("new", "the disk is full"): lambda world: full(world, another(world, *NEW)),
    ("update", "the folder is not there"): lambda world: ["update", str(world.folder / "nowhere")],
    ("update", "a folder without a repository"): without_repository,
    ("update", "another project's repository"): of_another,
    ("update", "a clone of a copy"): a_clone,
    ("update", "a shallow clone of a copy"): a_shallow_clone,
    ("update", "a tag has the name of the branch"): tagged,
    ("update", "its history was written anew"): written_anew,
    ("update", "a git that broke off has left a lock"): locked,
    ("update", "a copy made with --no-git"): made_without_git,
    ("update", "something is not committed"): dirty,
    ("update", "branch `storefront` is checked out"): checked_out,
    ("update", "branch `storefront` is checked out elsewhere"): checked_out_elsewhere,
    ("update", "branch `storefront` has a commit of one's own"): committed_upon,
    ("update", "the same release"): lambda world: of_release(world, this_version()),
    ("update", "an older release"): lambda world: of_release(world, "98.0"),
    ("update", "this release itself"): lambda world: ["update", str(ROOT)],
    ("update", "git is not installed"): lambda world: no_git(world, update(world)),
    ("update", "the disk is full"): lambda world: full(world, update(world)),
}
NO_LIST = ("new", "the release has no list of its files")


def test_the_table() -> None:
    """Each row is tried, and nothing else is."""
    assert set(ROWS) == {*CASES, NO_LIST}


@pytest.mark.parametrize("case", CASES, ids=" - ".join)
def test_refused(world: World, case: tuple[str, str]) -> None:
    """It says why, ends with that status, and has changed nothing."""
    words = CASES[case](world)
    before = world.seen()
    done = world.run(words)
    status, said = ROWS[case]
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert said in done.stderr
    assert world.seen() == before


@pytest.mark.long
@pytest.mark.thorough
def test_without_a_list(checkout: Path, tmp_path: Path) -> None:
    """Of a folder that is neither a repository nor built nobody can tell what is part of it."""
    project = tmp_path / "project"
    shutil.copytree(checkout, project, ignore=shutil.ignore_patterns(".git", "__pycache__"))
    done = storefront(project, "new", str(tmp_path / "other"), *NEW)
    status, said = ROWS[NO_LIST]
    assert done.returncode == status
    assert said in done.stderr
    assert not (tmp_path / "other").exists()
