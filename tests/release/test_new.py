"""A copy of a release: exactly its files, its own name, and a repository that knows which is which."""

import os
import re
import signal
from collections.abc import Mapping
from errno import ENOSPC
from pathlib import Path
from shutil import copytree, which

import pytest

from storefront.release.git import Refused, git
from storefront.release.new import ART, CATALOG, IDENTITY, README, THEME, Own, new
from storefront.shop import identity
from tests.release.conftest import NAMED, PAGE, ROOT, RUNS, TEXTS, Make, content, storefront
from tests.street import GOODS

pytestmark = pytest.mark.long

HOSTILE = """
[user]
    useConfigOnly = true
[core]
    autocrlf = true
    hooksPath = {folder}/hooks
    excludesFile = {folder}/ignored
    attributesFile = {folder}/attributes
    fsmonitor = {folder}/hooks/any
[commit]
    gpgSign = true
[gpg]
    program = {folder}/hooks/any
[init]
    templateDir = {folder}/template
    defaultBranch = trunk
"""
HOOKS = ("any", "pre-commit", "post-commit", "reference-transaction", "post-checkout", "post-index-change")


def test_its_files(make: Make, tmp_path: Path) -> None:
    """The release's, byte for byte and as it may be run, but for what is one's own."""
    release = make("1.0")
    new(release, tmp_path / "shop", NAMED)
    copy, came = content(tmp_path / "shop"), content(tmp_path / "release-1.0")
    assert copy.keys() == came.keys()
    assert {place for place in copy if copy[place] != came[place]} == {IDENTITY, README}
    assert copy[RUNS] == (b"#!/bin/sh\r\n", True)


def test_of_a_release_that_may_only_be_read(make: Make, tmp_path: Path) -> None:
    """As an administrator installed it: the copy is its owner's to write to, and what may be run stays so."""
    release = make("1.0")
    for file in release.files.values():
        file.chmod(0o555 if file == release.files[RUNS] else 0o444)
    new(release, tmp_path / "shop", Own("綱屋", accent="#993300"))
    shop = tmp_path / "shop"
    assert {place for place in release.files if not (shop / place).stat().st_mode & 0o200} == set()
    assert {place for place, (_, runs) in content(shop).items() if runs} == {RUNS}
    assert (shop / RUNS).stat().st_mode == (shop / PAGE).stat().st_mode | 0o111


def test_its_repository(copied: Path) -> None:
    """The release as it came is on one branch, the name on top on another, which is checked out and clean."""
    assert git(copied, "log", "--format=%s", "storefront", "--").splitlines() == ["storefront 0.0.1"]
    said = git(copied, "log", "--format=%s", "main").splitlines()
    assert said == ["The identity of 綱屋", "storefront 0.0.1"]
    assert git(copied, "branch", "--show-current").strip() == "main"
    assert git(copied, "status", "--porcelain") == ""
    changed = git(copied, "diff", "--name-only", "storefront", "main", "--").splitlines()
    assert changed == [README, IDENTITY]
    assert "100755" in git(copied, "ls-tree", "storefront", RUNS)
    assert git(copied, "fsck", "--strict") == ""


@pytest.mark.parametrize("name", ["綱屋", 'O\'Neil & "Sons": #1 {a, b}', "\\n", "- x", "true"])
def test_its_name(make: Make, tmp_path: Path, name: str) -> None:
    """Whatever letters are in it the file says that name, and greets by it; its sign stays."""
    new(make("1.0"), tmp_path / "shop", Own(name), with_git=False)
    found = identity.read(tmp_path / "shop" / IDENTITY)
    assert found.name == {"ja": name, "en": name}
    assert all(name in greeting for greeting in found.greeting.values())
    assert found.sign == identity.read(tmp_path / "release-1.0" / IDENTITY).sign
    assert (tmp_path / "shop" / IDENTITY).read_text().startswith("#")


def test_its_readme(copied: Path) -> None:
    """It begins with the shop and what comes next; below, the release's has every line that it had."""
    head, _, below = (copied / README).read_text().partition("\n# storefront\n")
    assert head.startswith("# 綱屋 (Rope Shop)\n")
    assert below == TEXTS[README].partition("# storefront\n")[2]
    for file, title in re.findall(r"\]\(([\w/.]*)#([\w-]+)\)", head):
        stands = (ROOT / (file or README)).read_text()
        assert re.search(rf"^## {title.replace('-', ' ')}$", stands, re.IGNORECASE | re.MULTILINE)


def test_in_english_too(copied: Path) -> None:
    """It may have another name in English."""
    assert identity.read(copied / IDENTITY).name == {"ja": "綱屋", "en": "Rope Shop"}


def test_its_colour(make: Make, tmp_path: Path) -> None:
    """The accent is in the one file of colours."""
    new(make("1.0"), tmp_path / "shop", Own("綱屋", accent="#993300"), with_git=False)
    assert "--accent: #993300;" in (tmp_path / "shop" / THEME).read_text()


def test_its_catalogue(make: Make, tmp_path: Path) -> None:
    """It sells what the file says, and what stands beside the catalogue is made to go with that."""
    file = tmp_path / "goods.yaml"
    file.write_text(GOODS.read_text() + "# ours\n")

    def fit(project: Path, prices: Mapping[str, Mapping[str, int]]) -> str:
        (project / PAGE).write_text(", ".join(sorted(prices)))
        return "made to go with it"

    assert new(make("1.0"), tmp_path / "shop", Own("綱屋", catalog=file), [fit]) == ["made to go with it"]
    assert (tmp_path / "shop" / CATALOG).read_text() == file.read_text()
    assert "excalibur" in (tmp_path / "shop" / PAGE).read_text()
    changed = git(tmp_path / "shop", "diff", "--name-only", "storefront", "main", "--").splitlines()
    assert changed == sorted([CATALOG, IDENTITY, PAGE, README])
    assert git(tmp_path / "shop", "status", "--porcelain") == ""


def test_a_drawing_that_is_no_part_of_it(make: Make, tmp_path: Path) -> None:
    """A catalogue whose drawing lies in the folder, but not in the release, would come without it."""
    (drawing,) = (place for place in TEXTS if place.startswith(ART))
    with pytest.raises(Refused, match=f"no drawing {Path(drawing).name}:"):
        new(make("1.0", **{drawing: None}), tmp_path / "shop", Own("綱屋", catalog=GOODS))
    assert not (tmp_path / "shop").exists()


def test_into_an_empty_folder(make: Make, tmp_path: Path) -> None:
    """Somebody's empty folder stays the one that it is, with its rights."""
    folder = tmp_path / "shop"
    folder.mkdir(mode=0o750)
    before = folder.stat()
    new(make("1.0"), folder, NAMED)
    after = folder.stat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert (folder / IDENTITY).is_file()


def test_inside_a_repository(make: Make, tmp_path: Path) -> None:
    """It is said that the one around it does not keep what it has; without one of its own it does."""
    git(tmp_path, "init", "--quiet")
    release = make("1.0")
    (said,) = new(release, tmp_path / "shop", NAMED)
    assert f"lies in the repository {tmp_path}" in said
    assert new(release, tmp_path / "other", NAMED, with_git=False) == []


def test_without_git(make: Make, tmp_path: Path) -> None:
    """It is then the files alone."""
    new(make("1.0"), tmp_path / "shop", NAMED, with_git=False)
    assert not (tmp_path / "shop" / ".git").exists()


def test_in_hostile_surroundings(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set for other repositories, for all or in the environment, neither leads astray nor runs."""
    (tmp_path / "hooks").mkdir()
    (tmp_path / "template" / "hooks").mkdir(parents=True)
    for hook in HOOKS:
        for folder in (tmp_path / "hooks", tmp_path / "template" / "hooks"):
            (folder / hook).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
            (folder / hook).chmod(0o755)
    (tmp_path / "ignored").write_text("*\n")
    (tmp_path / "attributes").write_text("* text eol=crlf filter=any\n")
    (tmp_path / "config").write_text(HOSTILE.format(folder=tmp_path))
    release = make("1.0")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    for name in ("DIR", "WORK_TREE", "INDEX_FILE", "OBJECT_DIRECTORY", "TEMPLATE_DIR", "COMMON_DIR"):
        monkeypatch.setenv(f"GIT_{name}", str(tmp_path / "elsewhere"))
    new(release, tmp_path / "shop", NAMED)
    assert not (tmp_path / "elsewhere").exists()
    assert not (tmp_path / "ran").exists()
    assert git(tmp_path / "shop", "cat-file", "-p", f"main:{RUNS}") == "#!/bin/sh\r\n"
    assert not list((tmp_path / "shop" / ".git" / "hooks").glob("*"))


@pytest.mark.parametrize(
    ("config", "environment", "author"),
    [
        ("", {}, "storefront <storefront@localhost>"),
        ("[user]\nname = Umi\nemail = umi@example.com", {}, "Umi <umi@example.com>"),
        ("[user]\nname = Umi", {}, "Umi <storefront@localhost>"),
        ("", {"NAME": "Nagi", "EMAIL": "nagi@example.com"}, "Nagi <nagi@example.com>"),
    ],
)
def test_whose_commits(
    make: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: str,
    environment: dict[str, str],
    author: str,
) -> None:
    """Whoever is set as author is; for whom nothing is set, the commits have one of their own."""
    (tmp_path / "config").write_text(config)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        for part in ("NAME", "EMAIL"):
            monkeypatch.delenv(f"GIT_{role}_{part}", raising=False)
            if part in environment:
                monkeypatch.setenv(f"GIT_{role}_{part}", environment[part])
    new(make("1.0"), tmp_path / "shop", NAMED)
    said = git(tmp_path / "shop", "log", "--format=%an <%ae>%n%cn <%ce>", "main").splitlines()
    assert set(said) == {author}


def test_of_files_that_nobody_may_change(make: Make, tmp_path: Path) -> None:
    """However they lie where the release is, in the copy they are to be worked on."""
    release = make("1.0")
    for file in release.files.values():
        file.chmod(file.stat().st_mode & 0o555)
    new(release, tmp_path / "shop", NAMED)
    files = [place for place in release.files if not (tmp_path / "shop" / place).stat().st_mode & 0o200]
    assert files == []


def test_what_others_put_there_meanwhile(make: Make, tmp_path: Path) -> None:
    """It is theirs: it stays if the copy cannot be made."""
    folder = tmp_path / "shop"

    def fit(project: Path, prices: Mapping[str, Mapping[str, int]]) -> str:
        (folder / "ours.txt").write_text("ours")
        raise OSError(ENOSPC, os.strerror(ENOSPC))

    with pytest.raises(OSError, match="No space left"):
        new(make("1.0"), folder, Own("綱屋", catalog=GOODS), [fit])
    assert [one.name for one in folder.iterdir()] == ["ours.txt"]


def test_two_at_once(make: Make, tmp_path: Path) -> None:
    """The copy of whoever was first is whole, and the other one's is not made."""
    folder, before = tmp_path / "shop", tmp_path / "before"
    new(make("1.0"), before, NAMED)

    def fit(project: Path, prices: Mapping[str, Mapping[str, int]]) -> str:
        copytree(before, folder, dirs_exist_ok=True)
        return ""

    with pytest.raises(Refused, match=r"somebody else has put .+ meanwhile"):
        new(make("1.0"), folder, Own("別の店", catalog=GOODS), [fit])
    assert content(folder) == content(before)


@pytest.mark.parametrize("place", [IDENTITY, THEME])
def test_a_release_that_lacks_a_file(make: Make, tmp_path: Path, place: str) -> None:
    """What its owner has taken away is named."""
    with pytest.raises(Refused, match=f"is not whole: {place} is missing"):
        new(make("1.0", **{place: None}), tmp_path / "shop", Own("綱屋", accent="#993300"))
    assert not (tmp_path / "shop").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_ended_half_way(tmp_path: Path, places: list[str], number: signal.Signals) -> None:
    """Whoever ends the command, as by closing its terminal, finds nothing of it."""
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    text = '#!/bin/sh\ncase "$*" in *init*) kill -{} $PPID; sleep 2; esac\nexec {} "$@"\n'
    program.write_text(text.format(int(number), which("git")))
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    done = storefront(ROOT, "new", str(tmp_path / "shop"), "--name", "綱屋", PATH=path)
    assert done.returncode == 128 + number, done.stderr
    assert not (tmp_path / "shop").exists()


def test_a_file_that_is_missing(make: Make, tmp_path: Path) -> None:
    """A copy that breaks off half-way leaves nothing, and not the folder either."""
    release = make("1.0")
    release.files[RUNS].unlink()
    with pytest.raises(FileNotFoundError):
        new(release, tmp_path / "shop", NAMED)
    assert not (tmp_path / "shop").exists()
