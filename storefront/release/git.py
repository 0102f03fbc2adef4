"""Git, told nothing by its surroundings: no folder, index, hook or filter that happens to be set.

It needs nothing of ours, since a wheel is built with it where nothing of ours is installed.
"""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

NOBODYS = tuple(
    word
    for setting in (
        "core.hooksPath=/dev/null",
        "core.fsmonitor=false",
        "core.quotePath=false",
        "i18n.commitEncoding=UTF-8",
    )
    for word in ("-c", setting)
)
# Whose commits they are, and which files say so. All else would lead elsewhere.
KEPT = ("GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")

TRUSTED = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}


# What git says to programmers, and what is said in its place.
ADVICE = {
    r"Unable to create '(.+\.lock)': File exists": "the lock {0} is there: let the git that is at work end; "
    "where none is, one was ended in the middle of its work, and that file can be deleted",
    r"cannot lock ref '(.+)': (?:is at|reference already exists)": "{0} was moved by somebody else just now: "
    "run it again",
}


class Refused(Exception):
    """Nothing was done; says why, and what to do."""


class Nothing(Refused):
    """Git has nothing to say of it, and nothing against it."""


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
        said = os.fsdecode(done.stderr).strip()
        if done.returncode == 1 and not said:
            raise Nothing(f"git {words[0]}: nothing")
        for pattern, advice in ADVICE.items():
            if found := re.search(pattern, said):
                raise Refused(advice.format(*found.groups()))
        raise Refused(f"git {words[0]}: {said or f'ended with {done.returncode}'}")
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
