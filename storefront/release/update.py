"""A newer release for a copy: put on its branch `storefront`, and on no other."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from storefront.release import repository
from storefront.release.files import PROJECT, Release, version_of
from storefront.release.git import Refused, git
from storefront.release.repository import RELEASES, said

BRANCH = f"refs/heads/{RELEASES}"  # in full, since a folder has its name as well


@dataclass(frozen=True)
class Updated:
    """Between which releases, and how many files were added (A), modified (M) and deleted (D)."""

    before: Version
    after: Version
    files: Mapping[str, int]


def update(release: Release, folder: Path) -> Updated:
    """Put the release on the copy's branch of releases; or Refused, and nothing has changed."""
    if release.checkout and release.checkout.samefile(folder):
        raise Refused(f"{folder} is this release itself: run it from a newer one")
    tip, before = _stands(folder)
    if release.version <= before:
        have = f"{folder} has storefront {before}, and this is {release.version}"
        raise Refused(f"{have}: run it from a newer one, or merge what is there, git merge {RELEASES}")
    _can_be_merged(folder, before)
    _is_quiet(folder)
    subject = f"storefront {release.version}"
    repository.commit(folder, RELEASES, release.files, subject, on=tip, before=tip)
    lines = git(folder, "diff-tree", "-r", "--name-status", tip, BRANCH, "--").splitlines()
    return Updated(before, release.version, Counter(line[0] for line in lines))


def _stands(folder: Path) -> tuple[str, Version]:
    """What the branch of releases has last: its commit, and which release that is."""
    if not (folder / ".git").exists():
        raise Refused(
            f"{folder} has no repository of its own: it is no copy, or one made with --no-git, which is "
            "brought up to date by hand"
        )
    git(folder, "rev-parse", "--git-dir")  # says so itself where it does not want to
    tip = said(folder, "rev-parse", "--verify", "--quiet", BRANCH)
    project = said(folder, "ls-tree", "--name-only", tip, "--", PROJECT) if tip else ""
    found = version_of(git(folder, "cat-file", "blob", f"{tip}:{PROJECT}")) if project else None
    if found is None:
        raise Refused(
            f"{folder} is no copy of a storefront: no release is on a branch {RELEASES}, which a clone of a "
            f"copy lacks until git fetch origin {RELEASES}:{RELEASES}"
        )
    subject = git(folder, "cat-file", "commit", tip).partition("\n\n")[2].partition("\n")[0]
    if subject != f"storefront {found}":
        raise Refused(
            f"branch {RELEASES} has a commit of another's on it, {subject!r}: it is kept for releases; put "
            f"it on a branch of its own, and let {RELEASES} end with `storefront {found}`"
        )
    return tip, found


def _can_be_merged(folder: Path, before: Version) -> None:
    """Whether `git merge storefront` would find there what the branch has, and where it began."""
    if said(folder, "rev-parse", "--verify", "--quiet", f"refs/tags/{RELEASES}"):
        raise Refused(
            f"{folder} has a tag {RELEASES} as well, which git would merge in place of the branch: give it "
            "another name"
        )
    if said(folder, "rev-parse", "--is-shallow-repository") == "true":
        raise Refused(f"{folder} is a shallow clone, into which nothing can be merged: git fetch --unshallow")
    if not said(folder, "merge-base", "HEAD", BRANCH):
        raise Refused(
            f"what is checked out in {folder} has no release in its history: say once which it has in it, "
            f"with git merge -s ours --allow-unrelated-histories {RELEASES} if that is {before}, else with a "
            f"commit of that branch in its place"
        )


def _is_quiet(folder: Path) -> None:
    """Whether nobody is at work where the branch would move, or where it is to be merged."""
    worktrees = git(folder, "worktree", "list", "--porcelain").splitlines()
    if f"branch {BRANCH}" in worktrees:
        raise Refused(f"branch {RELEASES} is checked out: git switch {repository.MAIN}")
    if changed := git(folder, "status", "--porcelain", "--untracked-files=no").splitlines():
        raise Refused(
            f"{folder} has changes that are not committed, such as {changed[0][3:]}: commit them first"
        )
