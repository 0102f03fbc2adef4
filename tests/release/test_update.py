"""A newer release for a copy: what changed there and what changed here come together in a merge."""

import re
from pathlib import Path

import pytest

from storefront.release import repository
from storefront.release.files import Release
from storefront.release.git import Refused, git
from storefront.release.new import CATALOG, IDENTITY, new
from storefront.release.update import update
from tests.release.conftest import CASE, NAMED, PAGE, RUNS, TEXTS, UMI, Make

pytestmark = pytest.mark.long


@pytest.fixture
def changed(copied: Path) -> Path:
    """A year later: a page says something else, an item costs something else, a test asks for more."""
    edit(copied, PAGE, "Shelf", "Ropes")
    edit(copied, CASE, "assert 1", "assert 10")
    edit(copied, CATALOG, "prices: {mixi: 80}", "prices: {mixi: 90}")
    git(copied, *UMI, "commit", "--quiet", "--all", "--message", "Our own")
    return copied


@pytest.fixture
def later(make: Make) -> Release:
    """Meanwhile: the page and the test go on elsewhere, one file is new and one is gone."""
    return make(
        "0.0.2",
        **{
            PAGE: TEXTS[PAGE].replace("Buy", "Buy now"),
            CASE: TEXTS[CASE].replace("assert 2", "assert 20"),
            "templates/added.html": "<p>New</p>\n",
            "gone.txt": None,
        },
    )


def edit(folder: Path, place: str, old: str, new: str) -> None:
    text = (folder / place).read_text()
    assert text.count(old) == 1
    (folder / place).write_text(text.replace(old, new))


def test_both_sides(changed: Path, later: Release) -> None:
    """Page, test and catalogue have what was changed here and what was changed there."""
    update(later, changed)
    git(changed, *UMI, "merge", "--quiet", "storefront")
    page = TEXTS[PAGE].replace("Shelf", "Ropes").replace("Buy", "Buy now")
    assert (changed / PAGE).read_text() == page
    case = TEXTS[CASE].replace("assert 1", "assert 10").replace("assert 2", "assert 20")
    assert (changed / CASE).read_text() == case
    assert "prices: {mixi: 90}" in (changed / CATALOG).read_text()
    assert "綱屋" in (changed / IDENTITY).read_text()
    assert (changed / "templates" / "added.html").is_file()
    assert not (changed / "gone.txt").exists()


def test_its_branch_and_no_other(changed: Path, later: Release) -> None:
    """The release is on its branch, on top of the one before; what one works on is as it was."""
    main, page = git(changed, "rev-parse", "main"), (changed / PAGE).read_text()
    updated = update(later, changed)
    assert (str(updated.before), str(updated.after)) == ("0.0.1", "0.0.2")
    assert updated.files == {"A": 1, "M": 3, "D": 1}
    log = git(changed, "log", "--format=%s", "storefront", "--").splitlines()
    assert log == ["storefront 0.0.2", "storefront 0.0.1"]
    assert sorted(git(changed, "ls-tree", "-r", "--name-only", "storefront").splitlines()) == sorted(
        later.files
    )
    assert git(changed, "rev-parse", "main") == main
    assert git(changed, "status", "--porcelain") == ""
    assert (changed / PAGE).read_text() == page


def test_what_is_no_part_of_it_stays(changed: Path, later: Release) -> None:
    """What lies about in the folder, such as secrets, neither hinders nor gets in."""
    (changed / ".env").write_text("STOREFRONT_SECRET_KEY=secret")
    update(later, changed)
    assert ".env" not in git(changed, "ls-tree", "-r", "--name-only", "storefront")


def test_whatever_its_folder_is_called(make: Make, tmp_path: Path) -> None:
    """Quotes, backslashes and line breaks in it are letters like others."""
    folder = tmp_path / 'a "shop"\nof\\ropes\r'
    new(make("0.0.1"), folder, NAMED)
    update(make("0.0.2"), folder)
    assert git(folder, "show", f"storefront:{RUNS}") == TEXTS[RUNS]
    assert git(folder, "status", "--porcelain") == ""


def test_no_hooks(changed: Path, later: Release) -> None:
    """Whatever the copy runs at its own commits does not run here."""
    hooks = changed / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for hook in ("pre-commit", "post-commit", "reference-transaction", "post-index-change", "monitor"):
        (hooks / hook).write_text(f"#!/bin/sh\ntouch {changed.parent}/ran\nexit 1\n")
        (hooks / hook).chmod(0o755)
    git(changed, "config", "core.fsmonitor", str(hooks / "monitor"))
    git(changed, "config", "commit.gpgSign", "true")
    update(later, changed)
    assert not (changed.parent / "ran").exists()


def test_however_git_shows_things(changed: Path, later: Release) -> None:
    """What is set there for people's eyes, and breaks there, hinders nobody."""
    git(changed, "config", "diff.orderFile", "nowhere")
    git(changed, "config", "log.showSignature", "nonsense")
    assert update(later, changed).files == {"A": 1, "M": 3, "D": 1}


def test_a_name_in_japanese(make: Make, tmp_path: Path, later: Release) -> None:
    """A file that is not committed is called by its name."""
    new(make("0.0.1", **{"綱.txt": "a rope\n"}), tmp_path / "shop", NAMED)
    (tmp_path / "shop" / "綱.txt").write_text("two ropes\n")
    with pytest.raises(Refused, match=r"such as 綱\.txt"):
        update(later, tmp_path / "shop")


def test_two_at_once(copied: Path, later: Release) -> None:
    """Whoever comes second has moved nothing, and hears why."""
    one, other = (git(copied, "rev-parse", branch).strip() for branch in ("storefront", "main"))
    with pytest.raises(Refused, match="was moved by somebody else just now"):
        repository.commit(copied, "storefront", later.files, "storefront 0.0.2", on=one, before=other)
    assert git(copied, "rev-parse", "storefront").strip() == one


def test_a_history_written_anew(copied: Path, later: Release) -> None:
    """It is said once which release it has in it; then the next is merged as ever."""
    edit(copied, PAGE, "Shelf", "Ropes")
    git(copied, "update-ref", "-d", "refs/heads/main")
    git(copied, *UMI, "commit", "--quiet", "--all", "--message", "All of it")
    with pytest.raises(Refused) as refused:
        update(later, copied)
    (words,) = re.findall(r"git (merge -s ours --allow-unrelated-histories storefront)", str(refused.value))
    git(copied, *UMI, *words.split())
    update(later, copied)
    git(copied, *UMI, "merge", "--quiet", "storefront")
    page = TEXTS[PAGE].replace("Shelf", "Ropes").replace("Buy", "Buy now")
    assert (copied / PAGE).read_text() == page


def test_twice(changed: Path, later: Release, make: Make) -> None:
    """A year after that it works as well, and what was merged before is not merged anew."""
    update(later, changed)
    git(changed, *UMI, "merge", "--quiet", "storefront")
    update(make("0.0.10", **{PAGE: TEXTS[PAGE].replace("Buy", "Buy now") + "<p>All new</p>\n"}), changed)
    git(changed, *UMI, "merge", "--quiet", "storefront")
    assert (changed / PAGE).read_text().startswith("<h1>Ropes")
    assert (changed / PAGE).read_text().endswith("<p>All new</p>\n")
    with pytest.raises(Refused, match=r"has storefront 0\.0\.10, and this is 0\.0\.2"):
        update(later, changed)


def test_a_program_of_the_copys(make: Make, copied: Path, tmp_path: Path) -> None:
    """A commit that says it is signed is not shown to the program that the copy names for that."""
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    git(copied, "config", "log.showSignature", "true")
    git(copied, "config", "gpg.program", str(program))
    said, _, subject = git(copied, "cat-file", "-p", "storefront").partition("\n\n")
    armour = "-----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----"
    upon = said.replace("\nauthor", f"\nparent {git(copied, 'rev-parse', 'storefront').strip()}\nauthor", 1)
    given = f"{upon}\ngpgsig {armour}\n\n{subject}"
    signed = git(copied, "hash-object", "-t", "commit", "-w", "--stdin", given=given).strip()
    git(copied, "update-ref", "refs/heads/storefront", signed)
    update(make("0.0.2"), copied)
    assert not (tmp_path / "ran").exists()
