"""Git, told nothing by its surroundings: no folder, index, hook or filter that happens to be set.

It needs nothing of ours, since a wheel is built with it where nothing of ours is installed.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

NOBODYS = tuple(
    word
    for setting in (
        "core.hooksPath=/dev/null",
        "core.fsmonitor=false",
        "log.showSignature=false",  # would run the copy's gpg.program
        "i18n.commitEncoding=UTF-8",
    )
    for word in ("-c", setting)
)
# Whose commits they are, and which files say so. All else would lead elsewhere.
KEPT = ("GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")

TRUSTED = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}


class Refused(Exception):
    """Nothing was done; says why, and what to do."""


def git(folder: Path, *words: str, given: str | bytes = "", **more: str) -> str:
    """What git answers in the repository of this very folder; or Refused, with its own words.

    `given` is its input, `more` goes into its environment.
    """
    command = ["git", *NOBODYS, *words]
    try:
        done = subprocess.run(  # noqa: S603  # its words are ours
            command,
            cwd=folder,
            env=_environment(folder) | more,
            input=os.fsencode(given),
            capture_output=True,
        )
    except FileNotFoundError:
        raise Refused("git is not installed") from None
    if done.returncode:
        said = os.fsdecode(done.stderr).strip() or f"ended with {done.returncode}"
        raise Refused(f"git {words[0]}: {said}")
    return os.fsdecode(done.stdout)


def tracked(folder: Path) -> Sequence[str]:
    """The files of a checkout that are part of it, whatever else lies there, and whosever it is.

    Its code is what runs here, so it is trusted already.
    """
    return sorted(set(filter(None, git(folder, "ls-files", "-z", **TRUSTED).split("\0"))))


def _environment(folder: Path) -> dict[str, str]:
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith(KEPT)
    }
    return own | {
        "LC_ALL": "C",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_CEILING_DIRECTORIES": str(folder.resolve().parent),
    }
