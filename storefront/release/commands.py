"""What whoever starts a shop from this one does from a terminal."""

import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click

from storefront.release import files
from storefront.release.git import Refused
from storefront.release.new import Own, new
from storefront.release.repository import RELEASES
from storefront.release.update import update
from storefront.rim import rims

DEMO = "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/storefront demo"
TESTS = "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest"


@click.command("new")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="What the shop is called, in Japanese.")
@click.option("--name-en", help="The same in English; without it, as in Japanese.")
@click.option("--accent", metavar="COLOUR", help="Of links and buttons, as #0f5c73, by day.")
@click.option(
    "--catalog",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What it sells, with drawings that the release has.",
)
@click.option("--no-git", is_flag=True, help="Without a repository: `storefront update` cannot be used then.")
def new_command(
    folder: Path, name: str, name_en: str | None, accent: str | None, catalog: Path | None, no_git: bool
) -> None:
    """Make a shop of another name: a copy of this whole project in DIR, which is new or empty."""
    with _told(), _undone_when_ended():
        release = files.release()
        own = Own(name, name_en, accent, catalog)
        said = new(release, folder, own, [room.fit for room in rims()], with_git=not no_git)
    for line in said:
        click.echo(line)
    click.echo(
        f"""{folder} is {name}, made of storefront {release.version}.

  cd {shlex.quote(str(folder))}
  {DEMO}    # try it out
  {TESTS}    # test it

How to make it your own, and how to run it, stands in its README.md."""
    )


@click.command("update")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
def update_command(folder: Path) -> None:
    """Put this release on branch `storefront` of the copy in DIR, to be merged there."""
    with _told():
        updated = update(files.release(), folder)
    counted = ", ".join(f"{updated.files.get(letter, 0)} {word}" for letter, word in KINDS.items())
    click.echo(
        f"""Branch {RELEASES} of {folder} had storefront {updated.before} and has {updated.after} now.
Files: {counted}. No other branch was touched.

  cd {shlex.quote(str(folder))}
  git show {RELEASES}:CHANGELOG.md    # what is new, and what to do
  git merge {RELEASES}
  {TESTS}"""
    )


ENDING = (signal.SIGTERM, signal.SIGHUP)
KINDS = {"A": "new", "M": "changed", "D": "removed"}


@contextmanager
def _told() -> Iterator[None]:
    """What was refused, or stopped by the disk, is told in a sentence."""
    try:
        yield
    except Refused as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(
            f"nothing was made: {error.filename or 'the disk'}: {error.strerror}"
        ) from None


@contextmanager
def _undone_when_ended() -> Iterator[None]:
    """Whoever ends us, as by closing the terminal, is obeyed as Ctrl-C is: nothing half-made is left."""
    heard = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in heard:
        signal.signal(number, _leave)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, signal.SIG_DFL)


def _leave(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)
