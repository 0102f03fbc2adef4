"""Bugs planted in the shop, one at a time: do the walkthroughs catch each, and do the books turn red?

Platform, provider and robot are right and run on; the shop is started anew for each bug, from a copy in
which a few lines were changed, with the database of a new demo.

    python -m tests.proof.planted [NAME…]
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory
from textwrap import indent
from typing import Literal

import click
import requests
from pydantic import BaseModel
from ruamel.yaml import YAML

from storefront import create_app, demo
from storefront.backup import backup
from storefront.cli import main as storefront
from storefront.config import PACKAGE
from storefront.robot import play
from storefront.robot.desk import Street
from storefront.robot.play import Walk
from storefront.robot.shop import Json, Shop
from storefront.sandbox.walkthroughs import read
from storefront.walkthrough import AT_ONCE, CONFIRM_PAUSE, PAYMENT_SECONDS, VOID_AFTER, Round, promised
from tests.demo import free_ports, wait_for
from tests.rooms import of_rooms_here

ROOT = PACKAGE.parent
TABLE = Path(__file__).with_name("bugs.yaml")
DEPTHS = [" " * spaces for spaces in range(0, 24, 4)]
COPIED = ("storefront", "templates", "static")
START_SECONDS = 120  # this machine may have much else to do


class Change(BaseModel):
    """Other lines in place of these, at whatever depth they stand in the file."""

    file: str
    before: str
    after: str

    def of(self, text: str) -> str:
        """The text with the other lines; what they replace has to be there, once."""
        found = [depth for depth in DEPTHS if f"\n{indent(self.before, depth)}" in f"\n{text}"]
        assert len(found) == 1, f"not once in {self.file}: {self.before}"
        before, after = (f"\n{indent(lines, found[0])}" for lines in (self.before, self.after))
        assert f"\n{text}".count(before) == 1, f"more than once in {self.file}: {self.before}"
        return f"\n{text}".replace(before, after)[1:]


class Bug(BaseModel):
    """A few lines of the shop, changed, and the walkthroughs whose rule that breaks."""

    name: str
    walkthroughs: list[str]
    changes: list[Change]
    breaks: list[str] = []  # what it breaks as well, so that it is not played beside
    on: str = ""
    books: Literal["red", ""] = ""  # where goods and points differ in the end
    settings: dict[str, str] = {}  # of the shop, beside a demo's


# Rules that hardly a bug breaks: played beside each bug, the first two that it does not break have to pass.
BESIDE = ("law-beside-the-button", "forged-removal", "not-approved", "unsigned-page")
NOTHING = Bug(name="nothing", walkthroughs=[], changes=[])  # the right shop


def bugs() -> Sequence[Bug]:
    """All there are, in the order of the table; without those of a counter that was taken away."""
    found = [Bug(**one) for one in YAML(typ="safe").load(TABLE)]
    here = [bug.model_copy(update={"walkthroughs": of_rooms_here(bug.walkthroughs)}) for bug in found]
    return [bug for bug in here if bug.walkthroughs]


@dataclass(frozen=True)
class Found:
    """What came of a bug: its walks, and the worst that their books said at the end."""

    bug: Bug
    walks: Sequence[Walk]
    beside: Sequence[Walk] = ()  # whose rules it does not break

    @property
    def missed(self) -> Sequence[Walk]:
        """Those that were played to their end, and not as the rule says."""
        return [walk for walk in self.walks if walk.ticks and walk.verdict != "passed"]

    @property
    def wrong(self) -> Sequence[Walk]:
        """Those beside it that did not pass, though the bug has nothing to do with them."""
        return [walk for walk in self.beside if walk.verdict != "passed"]

    @property
    def books(self) -> str:
        said = [str(walk.after["verdict"]) for walk in [*self.walks, *self.beside] if walk.after]
        return max(said, key=("green", "amber", "red").index, default="unread")

    @property
    def is_right(self) -> bool:
        """Caught, and seen in the books where goods and points differ; of the right shop, nothing missed."""
        if self.bug is NOTHING:
            return all(walk.verdict == "passed" for walk in self.walks)
        return bool(self.missed) and self.bug.books in (self.books, "") and not self.wrong

    def __str__(self) -> str:
        missed = ", ".join(walk.name for walk in self.missed) or "nothing"
        wrong = "".join(f" and, beside it, {walk.name}" for walk in self.wrong)
        row = f"| {self.bug.name} | {missed}{wrong} | {self.books} |"
        return row if self.is_right else f"{row} NOT AS IT MUST BE"


@dataclass
class Field:
    """Where bugs are planted: a platform that runs, and a copy of the shop beside a new database."""

    copy: Path
    database: Path
    clean: Path
    street: Street
    listening: Mapping[str, socket]
    tether: int
    known: Shop | None = None  # what the robot saw when it looked around first

    @contextmanager
    def planted(self, bug: Bug) -> Iterator[None]:
        """The shop with this bug, or with none, ready to be bought in, until the end of the block."""
        for left in self.database.parent.glob(f"{self.database.name}*"):
            left.unlink()
        shutil.copy(self.clean, self.database)
        with changed(self.copy, bug), ExitStack() as stack:
            more = {
                "PYTHONPATH": str(self.copy),
                "PYTHONDONTWRITEBYTECODE": "1",
                **bug.settings,
            }
            shop = stack.enter_context(serving(demo.SHOP, self.listening[demo.SHOP], self.tether, more))
            holder = [sys.executable, "-P", str(demo.HOLDER), str(self.tether)]
            at = self.listening[demo.BREAKER]
            stack.enter_context(running([*holder, str(at.fileno()), str(shop.pid)], at, self.tether))
            ready(self.listening[demo.SHOP], demo.READY[demo.SHOP], shop)
            yield

    def play(self, pairs: Sequence[tuple[Json, str]], settings: Mapping[str, str]) -> list[Walk]:
        """Play them at once, as far as they do not share what there is one of; last what stops the shop."""
        seconds = int(settings.get(PAYMENT_SECONDS, 1800))
        street = replace(self.street, payment_seconds=seconds, promised=promised(settings))
        if settings:
            known = play.look_around(street)
        else:
            known = self.known = self.known or play.look_around(street)
        round_ = Round(street, known)
        last = [pair for pair in pairs if "breaker" in pair[0]["needs"]]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            first = [pair for pair in pairs if pair not in last]
            walks = list(threads.map(lambda pair: round_.play(*pair), first))
        walks += [round_.play(*pair) for pair in last]
        order = [(pair[0]["name"], pair[1]) for pair in pairs]
        return sorted(walks, key=lambda walk: order.index((walk.walkthrough["name"], walk.device)))


@contextmanager
def changed(copy: Path, bug: Bug) -> Iterator[None]:
    """The copy with the bug in it, until the end of the block."""
    originals = {copy / change.file: (copy / change.file).read_text() for change in bug.changes}
    try:
        for change in bug.changes:
            file = copy / change.file
            file.write_text(change.of(file.read_text()))
        yield
    finally:
        for file, text in originals.items():
            file.write_text(text)


@contextmanager
def field(folder: Path) -> Iterator[Field]:
    """A field in this folder, which is empty."""
    names = [*demo.ports(), demo.BREAKER]
    copy, data = folder / "copy", folder / "data"
    for name in COPIED:
        shutil.copytree(ROOT / name, copy / name)
    with ExitStack() as stack:
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        stack.enter_context(demo.alone(data, "the bugs"))
        listening = stack.enter_context(demo.won(ports))
        told = demo.environment(ports, data, breaker=ports[demo.BREAKER])
        demo.take(told)
        demo.adopt(told)
        clean = _filled(data)
        tether = os.pipe()
        for end in tether:
            stack.callback(os.close, end)
        for platform in demo.platforms():
            one = stack.enter_context(serving(platform.name, listening[platform.name], tether[0]))
            ready(listening[platform.name], demo.ALIVE, one)
        street = Street(
            told["SANDBOX_PUBLIC_URL"], int(told[VOID_AFTER]), int(told[CONFIRM_PAUSE]), is_new=True
        )
        yield Field(copy, data / "storefront.db", clean, street, listening, tether[0])


def _filled(data: Path) -> Path:
    """A copy of a demo's database as it is before the first visit."""
    clean = data / "clean"
    with redirect_stdout(sys.stderr):
        storefront(["upgrade"], standalone_mode=False)
    with create_app().app_context():
        demo.furnish()
        backup(clean)
    return clean


@contextmanager
def serving(
    name: str, listening: socket, tether: int, more: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """One server of a demo, at a socket that is there already."""
    gunicorn = [sys.executable, "-P", str(demo.TETHER), str(tether), "gunicorn", "--log-level", "critical"]
    bind = ["--bind", f"fd://{listening.fileno()}"]
    with running(
        [*gunicorn, *bind, *demo.arguments()[name], "--workers", "1"], listening, tether, more
    ) as server:
        yield server


@contextmanager
def running(
    words: Sequence[str], listening: socket, tether: int, more: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        words,
        env={**os.environ, **(more or {})},
        cwd=(more or {}).get("PYTHONPATH"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=[listening.fileno(), tether],
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def ready(listening: socket, path: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers."""
    url = f"http://{demo.HOST}:{listening.getsockname()[1]}{path}"

    def answers() -> bool:
        assert server.poll() is None, f"the server of {url} has ended"
        try:
            return requests.get(url, timeout=2).ok
        except requests.RequestException:
            return False

    wait_for(answers, START_SECONDS)


def pairs(book: Mapping[str, Json], bug: Bug) -> list[tuple[Json, str]]:
    """What is played for a bug: each of its walkthroughs, on one device."""
    return [(book[name], bug.on or book[name]["on"][0]) for name in bug.walkthroughs]


def pairs_beside(book: Mapping[str, Json], bug: Bug) -> list[tuple[Json, str]]:
    """Two whose rules it does not break, each on one device."""
    if bug is NOTHING or bug.settings:
        return []
    others = [book[name] for name in BESIDE if name in book and name not in (*bug.walkthroughs, *bug.breaks)]
    return [(one, one["on"][0]) for one in others[:2]]


def right_ones(book: Mapping[str, Json], bugs: Sequence[Bug]) -> list[tuple[Json, str]]:
    """The same for the right shop, as far as it needs no settings of its own."""
    named = {
        (one["name"], device): (one, device)
        for bug in bugs
        if not bug.settings
        for one, device in pairs(book, bug)
    }
    return list(named.values())


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--seconds", default=3600, show_default=True, help="Begin with no other bug after so long.")
@click.option("--right/--no-right", default=True, help="Play them all in the right shop first.")
@click.option("--words", is_flag=True, help="Say what was expected where a walkthrough was missed.")
def main(names: Sequence[str], seconds: int, right: bool, words: bool) -> None:
    """Plant each of these bugs, or all, and print a table: bug, what was missed, the books.

    Ends with 1 if one was not caught, if books stayed quiet that must be red, or if the right shop missed.
    """
    table = bugs()
    unknown = set(names) - {bug.name for bug in table}
    if unknown:
        raise click.UsageError(f"there is no bug {', '.join(sorted(unknown))}")
    chosen = [bug for bug in table if not names or bug.name in names]
    ends, good = time.monotonic() + seconds, True
    book: Mapping[str, Json] = {one.name: one.model_dump(mode="json", exclude_none=True) for one in read()}
    with TemporaryDirectory(prefix="planted-") as folder, field(Path(folder)) as ground:
        click.echo("| bug | missed | books |\n| --- | --- | --- |")
        for bug in [*([NOTHING] if right else []), *chosen]:
            if time.monotonic() > ends:
                raise click.ClickException("the time is over, and not all of them were planted")
            played = right_ones(book, chosen) if bug is NOTHING else pairs(book, bug)
            beside = pairs_beside(book, bug)
            with ground.planted(bug):
                walks = ground.play([*played, *beside], bug.settings)
            found = Found(bug, walks[: len(played)], walks[len(played) :])
            good = good and found.is_right
            click.echo(str(found))
            for walk in [*found.walks, *found.wrong] if words else ():
                click.echo(f"    {walk.name} {walk.verdict} {walk.reason or walk.missed} {_difference(walk)}")
    sys.exit(0 if good else 1)


def _difference(walk: Walk) -> str:
    first = walk.after and walk.after["first_difference"]
    return f"[{first['kind']}: {first['reason']}]" if first else ""


if __name__ == "__main__":
    main()
