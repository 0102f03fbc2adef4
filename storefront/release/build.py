"""How a release is packed: an sdist is exactly its files, and a wheel has those beside the package, too.

hatchling runs this, where nothing of ours is installed. Of a folder without git and without a list of files,
such as an archive of the sources, a wheel is the package alone.
"""

from collections.abc import Iterable
from pathlib import Path
from runpy import run_path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOM = "storefront/release"
LIST = f"{ROOM}/files.txt"
BESIDE = "storefront/beside"
PACKAGE = "storefront"
# What the package has in a wheel, and where; all else stands beside it.
INSIDE = {PACKAGE: PACKAGE, "templates": f"{PACKAGE}/templates", "static": f"{PACKAGE}/static"}
MADE = ("__pycache__", "instance")  # by running it
OF_A_SERVER = (".pem", ".key", ".p12", ".pfx", ".db", ".sqlite3")  # keys and databases: no part of a package


class Packing(BuildHookInterface):  # type: ignore[type-arg]  # it is asked for none
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Say which files go in. Whatever else lies in the folder does not: no key, no database, no .env."""
        if version == "editable":
            return
        root = Path(self.root)
        places = _listed(root)
        if self.target_name == "sdist" and not places:
            raise RuntimeError("an sdist is made of what git tracks: there is no repository here")
        of_wheel = self.target_name == "wheel"
        wanted = {place: _in_wheel(place) if of_wheel else place for place in places or _found(root)}
        build_data["force_include"] |= {str(root / place): there for place, there in wanted.items()}
        if places:
            self.folder = TemporaryDirectory()
            written = Path(self.folder.name) / "files.txt"
            written.write_text("".join(f"{place}\n" for place in places), "utf-8")
            build_data["force_include"][str(written)] = LIST


def _listed(root: Path) -> list[str]:
    """The release's files: those of a list that came with them, or those that git tracks."""
    if (root / LIST).exists():
        return (root / LIST).read_text("utf-8").splitlines()
    if (root / ".git").exists():
        return list(run_path(str(root / ROOM / "git.py"))["tracked"](root))
    return []


def _found(root: Path) -> Iterable[str]:
    """What the package likely consists of, where nothing says it: nothing hidden, made, linked or secret."""
    for room in INSIDE:
        for file in sorted((root / room).rglob("*")):
            place = file.relative_to(root)
            passed = any(part.startswith(".") or part in MADE for part in place.parts)
            passed |= place.suffix in OF_A_SERVER
            if file.is_file() and not file.is_symlink() and not passed:
                yield place.as_posix()


def _in_wheel(place: str) -> str:
    room, _, rest = place.partition("/")
    return f"{INSIDE[room]}/{rest}" if room in INSIDE else f"{BESIDE}/{place}"
