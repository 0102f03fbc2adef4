"""What a release consists of: in a checkout what git tracks, once built what its list says."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.version import InvalidVersion, Version

from storefront import config
from storefront.config import PACKAGE
from storefront.release.git import Refused, tracked

PROJECT = "pyproject.toml"  # it alone says which version this is
LIST = Path(__file__).with_name("files.txt")
BESIDE = PACKAGE / "beside"  # what stands beside the package in a checkout, in an installed wheel


@dataclass(frozen=True)
class Release:
    """`files` has where each lies, by its place in a project."""

    version: Version
    files: Mapping[str, Path]
    checkout: Path | None  # which it is, if it is none that was installed


def release() -> Release:
    """The one whose command this is; or Refused."""
    files = {place: _lies(place) for place in _places()}
    if missing := [place for place, file in files.items() if not file.is_file()]:
        raise Refused(f"this release is not whole: {missing[0]} is missing")
    version = version_of(files[PROJECT].read_text("utf-8"))
    if version is None:
        raise Refused(f"{files[PROJECT]} is none of a storefront")
    return Release(version, files, None if BESIDE.is_dir() else PACKAGE.parent)


def version_of(project: str) -> Version | None:
    """Which storefront the text of a pyproject.toml describes, if it is one."""
    try:
        said = tomllib.loads(project)["project"]
        return Version(said["version"]) if said["name"] == "storefront" else None
    except (tomllib.TOMLDecodeError, InvalidVersion, KeyError, TypeError):
        return None


def _places() -> list[str]:
    if LIST.exists():
        return LIST.read_text("utf-8").splitlines()
    if (PACKAGE.parent / ".git").exists():
        return list(tracked(PACKAGE.parent))
    raise Refused(
        f"{PACKAGE.parent} has no list of its files: it is neither a git repository nor an installed release"
    )


def _lies(place: str) -> Path:
    if not BESIDE.is_dir():
        return PACKAGE.parent / place
    room, _, rest = place.partition("/")
    if room == PACKAGE.name:
        return PACKAGE / rest
    return config.folder(room) / rest if room in ("templates", "static") else BESIDE / place
