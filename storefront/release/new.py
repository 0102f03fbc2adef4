"""A copy of the whole project, under a name of its own."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import ValidationError

from storefront import COUNTERS
from storefront.languages import IN_CODE
from storefront.release import repository
from storefront.release.accent import coloured
from storefront.release.files import Release
from storefront.release.git import Refused
from storefront.release.repository import MAIN, RELEASES
from storefront.shop import catalog_file, counter, identity
from storefront.shop.catalog_file import CatalogError
from storefront.shop.identity import Identity, IdentityError

CATALOG = "storefront/shop/catalog.yaml"
IDENTITY = "storefront/shop/identity.yaml"
THEME = "static/theme.css"
ART = "static/art"
READERS = 0o444  # two bits above those of who may run it
README = "README.md"
# Above the release's own words, which are not touched, so that those of a newer one can be merged.
INTRODUCTION = """# {title}

This shop began as a copy of *storefront*, whose README follows: what it says of the shop is so of this one.
What comes next: [make it your own](#make-it-your-own), then [production](#production); a year later
[a newer release](storefront/release/README.md#a-newer-release).

"""
Fit = Callable[[Path, Mapping[str, Mapping[str, int]]], str]


@dataclass(frozen=True)
class Own:
    """What is one's own in a copy, as it is asked for; None is as in the release."""

    name: str
    name_en: str | None = None
    accent: str | None = None
    catalog: Path | None = None


def new(
    release: Release, folder: Path, own: Own, fits: Sequence[Fit] = (), *, with_git: bool = True
) -> list[str]:
    """Make the copy there and say what became of it, by lines; or Refused, and nothing is there.

    `fits` let what is beside the catalogue go with it.
    """
    texts = dict(_texts(release, own))
    with _all_or_nothing(folder) as copy:
        for place, file in release.files.items():
            _put(file, copy / place)
        if with_git:
            repository.begin(copy)
            repository.commit(copy, RELEASES, _in(copy, release), f"storefront {release.version}")
        for place, text in texts.items():
            (copy / place).write_text(text, "utf-8")
        told = [said for fit in fits if own.catalog and (said := fit(copy, _prices(own.catalog)))]
        if with_git:
            released = repository.said(copy, "rev-parse", f"refs/heads/{RELEASES}")
            repository.commit(copy, MAIN, _in(copy, release), f"The identity of {own.name}", on=released)
            repository.show(copy)
    if with_git and (around := _repository_around(folder)):
        told.append(f"{folder} lies in the repository {around}, which does not keep what it has: move it")
    return told


def _put(file: Path, there: Path) -> None:
    """A file as this user makes one, whoever could write to it where it came from."""
    there.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, there)
    if repository.can_be_run(file):
        mode = there.stat().st_mode
        there.chmod(mode | (mode & READERS) >> 2)


def _repository_around(folder: Path) -> Path | None:
    return next((above for above in folder.resolve().parents if (above / ".git").exists()), None)


def _texts(release: Release, own: Own) -> Iterator[tuple[str, str]]:
    """The files that say who the shop is, held against the rules before anything is written."""
    yield IDENTITY, _identity(release, own)
    title = own.name if own.name_en in (None, own.name) else f"{own.name} ({own.name_en})"
    yield README, INTRODUCTION.format(title=title) + release.text(README)
    if own.accent:
        yield THEME, coloured(release.text(THEME), own.accent)
    if own.catalog:
        _sellable(release, own.catalog)
        yield CATALOG, own.catalog.read_text("utf-8-sig")


def _sellable(release: Release, catalog: Path) -> None:
    """Refused, unless it keeps the rules and the release has its drawings."""
    try:
        entries = catalog_file.read(catalog, counter.price_rules(COUNTERS))
    except CatalogError as error:
        raise Refused(f"the catalogue breaks a rule:\n{error}") from None
    if others := sorted({entry.art for entry in entries if f"{ART}/{entry.art}" not in release.files}):
        raise Refused(
            f"this release has no drawing {', '.join(others)}: make the copy without --catalog, then put "
            f"drawings of your own into its {ART} and the catalogue into its {CATALOG}"
        )


def _identity(release: Release, own: Own) -> str:
    """The file as it was, with another name, and a greeting that says it."""
    shipped = release.text(IDENTITY)
    ja, en = own.name, own.name_en or own.name
    try:
        sign = identity.read(release.files[IDENTITY]).sign
    except IdentityError as error:
        raise Refused(f"this release has no name of its own to begin with:\n{error}") from None
    said = {
        "name": {"ja": ja, IN_CODE: en},
        "greeting": {"ja": f"{ja}へようこそ。", IN_CODE: f"Welcome to {en}."},
    }
    try:
        Identity.model_validate({**said, "sign": sign})
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise Refused(f"{ja} / {en} is no name of a shop: {reason}") from None
    comment = [line for line in shipped.splitlines() if line.startswith("#")]
    lines = [f"{field}: {json.dumps(texts, ensure_ascii=False)}" for field, texts in said.items()]
    return "\n".join([*comment, "", *lines, f"sign: {sign}", ""])


def _prices(catalog: Path) -> Mapping[str, Mapping[str, int]]:
    return {entry.id: entry.prices for entry in catalog_file.read(catalog, {})}


def _in(copy: Path, release: Release) -> Mapping[str, Path]:
    return {place: copy / place for place in release.files}


@contextmanager
def _all_or_nothing(folder: Path) -> Iterator[Path]:
    """A folder to fill, whose content is `folder`'s in the end, or nobody's."""
    with _made(folder), TemporaryDirectory(prefix=".new-", dir=folder) as beside:
        yield Path(beside)
        _move(Path(beside), folder)


def _move(beside: Path, folder: Path) -> None:
    """Its whole content, over nobody's; or it stays."""
    moved: list[Path] = []
    try:
        for one in sorted(beside.iterdir()):
            if os.path.lexists(folder / one.name):
                raise Refused(f"somebody else has put {one.name} into {folder} meanwhile")
            moved.append(one.rename(folder / one.name))
    except BaseException:
        for one in moved:
            one.rename(beside / one.name)
        raise


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """A folder that is empty; after an error as it was, or gone if it was not there."""
    was_there = folder.is_dir()
    try:
        folder.mkdir(exist_ok=True)
        if found := next(folder.iterdir(), None):
            raise Refused(
                f"{folder} is not empty: name one that is, or that is not there yet; it has {found.name}"
            )
    except FileNotFoundError:
        raise Refused(f"there is no folder {folder.absolute().parent} to make it in") from None
    except FileExistsError:
        raise Refused(f"{folder} is a file: name a folder that is empty, or not there yet") from None
    try:
        yield
    except BaseException:
        if not was_there:
            with suppress(OSError):  # what others have put there is theirs
                folder.rmdir()
        raise
