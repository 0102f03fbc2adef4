"""The repository of a copy: on branch `storefront` the releases as they came, on `main` what is one's own."""

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from storefront.release.git import Nothing, git

RELEASES = "storefront"
MAIN = "main"
OURS = {"NAME": "storefront", "EMAIL": "storefront@localhost"}  # for whom nothing is set
NONE = ""  # what a branch that is yet to come stands at


def begin(folder: Path) -> None:
    """An empty repository there."""
    git(folder, "init", "--quiet", "--template=", ".")
    git(folder, "symbolic-ref", "HEAD", f"refs/heads/{MAIN}")


def commit(
    folder: Path, branch: str, files: Mapping[str, Path], subject: str, *, on: str = NONE, before: str = NONE
) -> None:
    """Let a branch that stands at `before` have exactly these files, in a commit on top of `on`.

    Neither index nor working tree is touched. A branch that moved meanwhile is Refused.
    """
    author = {
        f"GIT_{role}_{part}": ours
        for part, ours in OURS.items()
        for role in ("AUTHOR", "COMMITTER")
        if not os.environ.get(f"GIT_{role}_{part}") and not said(folder, "config", f"user.{part.lower()}")
    }
    parent = ["-p", on] if on else []
    tree = _tree(folder, files)
    made = git(folder, "commit-tree", *parent, tree, given=f"{subject}\n".encode(), **author)
    git(folder, "update-ref", "-m", subject, f"refs/heads/{branch}", made.strip(), before)


def show(folder: Path) -> None:
    """Let git know that the working tree is what `main` has."""
    git(folder, "read-tree", "HEAD")
    git(folder, "update-index", "-q", "--refresh")


def said(folder: Path, *words: str) -> str:
    """What git answers, without the end of the line; nothing where it has nothing to say."""
    try:
        return git(folder, *words).strip()
    except Nothing:
        return ""


def can_be_run(file: Path) -> bool:
    return bool(file.stat().st_mode & 0o100)


def _tree(folder: Path, files: Mapping[str, Path]) -> str:
    """The files as they are, whatever this machine makes of line ends."""
    paths = "".join(map(_line, files.values()))
    made = git(folder, "hash-object", "-w", "--no-filters", "--stdin-paths", given=paths).split()
    lines = [f"{_mode(files[place])} {name}\t{place}\0" for place, name in zip(files, made, strict=True)]
    with TemporaryDirectory() as apart:
        index = {"GIT_INDEX_FILE": str(Path(apart) / "index")}
        git(folder, "update-index", "-z", "--index-info", given="".join(lines), **index)
        return git(folder, "write-tree", **index).strip()


def _line(file: Path) -> str:
    """A path as git reads it from a line, whatever letters are in it."""
    quoted = str(file.resolve()).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{quoted}"\n'


def _mode(file: Path) -> str:
    return "100755" if can_be_run(file) else "100644"
