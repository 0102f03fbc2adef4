"""How a release is packed: an sdist is exactly its files, and a wheel has those beside the package, too.

hatchling runs this, where nothing of ours is installed. Of a folder without git and without a list of files,
such as an archive of the sources, a wheel is the package alone.
"""

from pathlib import Path
from runpy import run_path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOM = "storefront/release"
LIST = f"{ROOM}/files.txt"
BESIDE = "storefront/beside"
IN_THE_PACKAGE = ("storefront/", "templates/", "static/")  # pyproject.toml has them


class Packing(BuildHookInterface):  # type: ignore[type-arg]  # it is asked for none
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Say which files go in beside those that pyproject.toml names."""
        root = Path(self.root)
        places = _listed(root)
        if self.target_name == "sdist" and not places:
            raise RuntimeError("an sdist is made of what git tracks: there is no repository here")
        if version == "editable" or not places:
            return
        self.folder = TemporaryDirectory()
        written = Path(self.folder.name) / "files.txt"
        written.write_text("".join(f"{place}\n" for place in places))
        of_wheel = self.target_name == "wheel"
        wanted = [place for place in places if not (of_wheel and place.startswith(IN_THE_PACKAGE))]
        found = {str(root / place): f"{BESIDE}/{place}" if of_wheel else place for place in wanted}
        build_data["force_include"] |= found | {str(written): LIST}


def _listed(root: Path) -> list[str]:
    """The release's files: those of a list that came with them, or those that git tracks."""
    if (root / LIST).exists():
        return (root / LIST).read_text().splitlines()
    if (root / ".git").exists():
        return list(run_path(str(root / ROOM / "git.py"))["tracked"](root))
    return []
