"""storefront walkthrough: the robot plays what walkthroughs say, and tells which rules the shop has kept."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, NoReturn

import click

from storefront import demo
from storefront.languages import DEFAULT_LANGUAGE, LANGUAGES
from storefront.robot import owner, play, report
from storefront.robot.buyer import Browser, Stopped, Unreachable
from storefront.robot.desk import CannotDo, Street, read_json
from storefront.robot.play import Walk
from storefront.robot.shop import Json, Shop
from storefront.sandbox import walkthroughs
from storefront.sandbox.chapters import Broken, Script
from storefront.sandbox.server import Server
from storefront.sandbox.walkthroughs import Walkthrough

DEVICES = ("mobile", "smartphone", "pc")
AT_ONCE = 6  # walks; each has a stage of its own
# Who tests the app is the same person on all stages; a stock, and the provider's weather, are everybody's.
# And of the shop's places at the point API, which slow weather holds, there are few.
ONE_FOR_ALL = (play.EVERYWHERE, "few", "outside", "api")
SLOW = ("api.slow", "api.drip")
WAIT_SECONDS = 150  # for a demo of one's own to stand: it gives itself a minute after filling its database
# Whose statuses a caller can rely on.
MISSED, CALLED_WRONGLY, NOT_REACHED = 1, 2, 3
VOID_AFTER, CONFIRM_PAUSE = "STOREFRONT_MIXI_VOID_AFTER", "STOREFRONT_MIXI_CONFIRM_PAUSE"
PAYMENT_SECONDS = "STOREFRONT_MIXI_PAYMENT_SECONDS"
SELLING, AGES = "STOREFRONT_SELLING", "STOREFRONT_UNDER_AGE_LIMITS"
EXPORTED = (PAYMENT_SECONDS, SELLING, AGES)  # to the shop of a demo of our own
NO = ("false", "no", "off", "0", "f", "n")  # as settings write it
FOLDERS = "SANDBOX_WALKTHROUGHS"


class AFile(click.Path):
    """A file that can be written, in a folder that is there: known before an hour was played."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if not path.absolute().parent.is_dir():
            self.fail(f"there is no folder {path.parent}", param, ctx)
        return path


a_file = AFile(path_type=Path, dir_okay=False, writable=True)
a_folder = click.Path(path_type=Path, file_okay=False, exists=True)
seconds = click.IntRange(1, 86_400)


@dataclass
class Round:
    """What is played, and where; of some things there is one for all, so that they are taken in turn."""

    street: Street
    shop: Shop
    turns: Mapping[str, Lock] = field(default_factory=lambda: {name: Lock() for name in ONE_FOR_ALL})

    def play(self, walkthrough: Json, device: str) -> Walk:
        with ExitStack() as stack:
            for one in sorted(_wanted(walkthrough) & set(self.turns)):
                stack.enter_context(self.turns[one])
            return play.play(self.street, self.shop, walkthrough, device)


def _wanted(walkthrough: Json) -> set[str]:
    """What this walkthrough plays with."""
    slow = {"api"} if any(kind in str(walkthrough) for kind in SLOW) else set()
    return {walkthrough["who"], walkthrough["item"], *walkthrough["needs"], *slow}


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--list", "only_list", is_flag=True, help="Print name and title of each, and play nothing.")
@click.option("--platform", metavar="URL", help="A sandbox that runs; else the demo's, by --data.")
@click.option("--data", type=a_folder, help="The demo's folder, if it is not the usual one.")
@click.option("--demo", "own_demo", is_flag=True, help="Start a demo of its own, and end it afterwards.")
@click.option("--database", metavar="URL", help="With --demo: for its shop; empty.")
@click.option(
    "--on",
    "devices",
    multiple=True,
    type=click.Choice(DEVICES),
    help="Only on these; a shop owner is on none.",
)
@click.option("--files", multiple=True, type=a_folder, help="Walkthroughs of one's own, beside ours.")
@click.option("--junit", type=a_file, help="Write JUnit's XML.")
@click.option("--html", type=a_file, help="Write a report for people.")
@click.option("--language", type=click.Choice(list(LANGUAGES)), default=DEFAULT_LANGUAGE, show_default=True)
@click.option(
    "--seed", type=click.IntRange(0, 999_999), help="For weather with a chance: the same, the same run."
)
@click.option(
    "--void-after", type=seconds, default=60, show_default=True, help="The shop's, without a demo.env."
)
@click.option("--confirm-pause", type=seconds, default=60, show_default=True, help="Likewise.")
def walkthrough(
    names: Sequence[str],
    only_list: bool,
    platform: str | None,
    data: Path | None,
    own_demo: bool,
    database: str | None,
    devices: Sequence[str],
    files: Sequence[Path],
    junit: Path | None,
    html: Path | None,
    language: str,
    seed: int | None,
    void_after: int,
    confirm_pause: int,
) -> None:
    """Play walkthroughs as buyers and shop owners would, and say which rules the shop has kept.

    For each of a shop owner's its store begins anew: the shops and contracts that a running demo has there
    are gone afterwards. --demo spares them.

    Ends with 0 if all that apply passed, 1 if any was missed, 2 for a wrong call or a broken file, 3 if shop
    or sandbox cannot be reached.
    """
    chosen, of_owners = _chosen(names, files)
    if only_list:
        for one in [*chosen, *(one for found in of_owners.values() for one in found)]:
            click.echo(f"{one.name}\t{one.title.of(language)}")
        return
    if own_demo and (platform or data):
        raise click.UsageError("--demo starts its own: neither --platform nor --data goes with it")
    if database and not own_demo:
        raise click.UsageError("--database goes with --demo")
    pairs = [(one, device) for one in chosen for device in one.on if not devices or device in devices]
    # Owners have no device: with --on they are left out, unless they are named.
    of_owners = of_owners if names or not devices else {}
    if not pairs and not any(of_owners.values()):
        raise click.UsageError(f"there is nothing to play: none of these is for {', '.join(devices)}")
    given = {VOID_AFTER: str(void_after), CONFIRM_PAUSE: str(confirm_pause)}
    try:
        with _started(database, files) if own_demo else _running(platform, data) as told:
            walks: Sequence[Walk] = ()
            titles: Mapping[str, str] = {}
            if pairs:
                street = _street(platform, {**given, **told}, seed, is_new=own_demo)
                walks, titles = _played(street, pairs, language)
            more, called = _owners(told, of_owners, language, is_named=bool(names), is_new=own_demo)
            walks, titles = [*walks, *more], {**titles, **called}
            click.echo(report.table(walks, language))
            moment = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
            written = [
                _is_written(file, text)
                for file, text in (
                    (junit, partial(report.junit, walks, titles)),
                    (html, partial(report.page, walks, titles, language, moment)),
                )
                if file
            ]
    except Unreachable as nobody:
        click.echo(f"Error: cannot be reached: {nobody}", err=True)
        sys.exit(NOT_REACHED)
    if any(walk.verdict in ("missed", "open") for walk in walks):
        sys.exit(MISSED)
    sys.exit(0 if all(written) else CALLED_WRONGLY)


def _is_written(file: Path, text: Callable[[], str]) -> bool:
    """Write a report; that one fails keeps no other from being written."""
    try:
        file.write_text(text(), "utf-8")
    except (OSError, ValueError) as error:
        click.echo(f"Error: {file} was not written: {error}", err=True)
        return False
    return True


def _chosen(
    names: Sequence[str], files: Sequence[Path]
) -> tuple[Sequence[Walkthrough], Mapping[str, Sequence[Script]]]:
    """Those of these names, or all, in the order of the files; and those of shop owners, by their store."""
    try:
        found = walkthroughs.read(*files)
        others = {one.name: one.chapters() for one in demo.platforms()}
    except Broken as broken:
        raise click.UsageError(f"a walkthrough cannot be read:\n{broken}") from None
    known = {one.name for one in [*found, *(one for of in others.values() for one in of)]}
    unknown = set(names) - known
    if unknown:
        raise click.UsageError(f"there is no walkthrough {', '.join(sorted(unknown))}; --list names them")
    chosen = {store: [one for one in of if not names or one.name in names] for store, of in others.items()}
    return [one for one in found if not names or one.name in names], chosen


def _street(platform: str | None, told: Mapping[str, str], seed: int | None, *, is_new: bool) -> Street:
    return Street(
        (platform or told["SANDBOX_PUBLIC_URL"]).rstrip("/"),
        void_after=int(told[VOID_AFTER]),
        confirm_pause=int(told[CONFIRM_PAUSE]),
        payment_seconds=int(told.get(PAYMENT_SECONDS, "1800")),
        promised=promised(told),
        seed=seed,
        is_new=is_new,
    )


def promised(told: Mapping[str, str]) -> frozenset[str]:
    """What a shop with these settings has to have, whether its pages say so or not."""
    stopped = {"stopped"} if told.get(SELLING, "").lower() in NO else set()
    return frozenset(stopped | ({"ages"} if told.get(AGES) else set()))


@contextmanager
def _running(platform: str | None, data: Path | None) -> Iterator[Mapping[str, str]]:
    """What a demo that runs has written down; of a sandbox that is named, nothing has to be."""
    try:
        told = {} if platform and data is None else demo.started(data or demo.folder())
    except click.ClickException as error:
        raise Unreachable(error.message) from None
    yield told


@contextmanager
def _started(database: str | None, files: Sequence[Path]) -> Iterator[Mapping[str, str]]:
    """A demo of our own, on ports that are free, until the end of the block."""
    with TemporaryDirectory(prefix="storefront-") as folder:
        names = demo.ports()
        ports = [f"--{name}-port={port}" for name, port in zip(names, _free(len(names)), strict=True)]
        command = [str(Path(sys.executable).with_name("storefront")), "demo", "--data", folder, *ports]
        command += ["--database", database] if database else []
        folders = ",".join(str(one.resolve()) for one in files)
        signal.signal(signal.SIGTERM, _leave)  # or whoever ends us would leave the demo behind
        output = Path(folder) / "output"
        with output.open("wb") as said:
            process = subprocess.Popen(  # noqa: S603  # our own words
                command, stdout=said, stderr=subprocess.STDOUT, env={**os.environ, FOLDERS: folders}
            )
        try:
            _wait(process, output)
            exported = {name: os.environ[name] for name in EXPORTED if name in os.environ}
            yield {**exported, **demo.started(Path(folder))}
        finally:
            process.terminate()
            process.wait()


def _leave(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)


def _wait(process: "subprocess.Popen[bytes]", output: Path) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while "Buy something" not in output.read_text("utf-8", "replace"):
        if process.poll() is not None or time.monotonic() > until:
            raise Unreachable(f"the demo did not start:\n{output.read_text('utf-8', 'replace')}")
        time.sleep(0.2)


def _free(count: int) -> Sequence[int]:
    """Ports that nobody listens at now, each another: all are held until there are enough."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((demo.HOST, 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _played(
    street: Street, wanted: Sequence[tuple[Walkthrough, str]], language: str
) -> tuple[Sequence[Walk], Mapping[str, str]]:
    """Play them, several at once; those that stop the shop's own machine come last, one by one."""
    book = _book(street, language)
    known = {one["name"]: one for one in book["walkthroughs"]}
    strange = sorted({one.name for one, _ in wanted if one.name not in known})
    if strange:
        raise click.UsageError(
            f"the sandbox at {street.platform} does not know {', '.join(strange)}: start it with {FOLDERS}"
        )
    pairs = [(known[one.name], device) for one, device in wanted]
    try:
        shop = play.look_around(street)
    except (CannotDo, Stopped) as why:
        raise Unreachable(f"the shop behind {street.platform} shows too little: {why}") from None
    last = [pair for pair in pairs if "breaker" in pair[0]["needs"]]
    walks = _all(Round(street, shop), [pair for pair in pairs if pair not in last], len(pairs))
    for number, pair in enumerate(last, len(walks) + 1):
        walks.append(Round(street, shop).play(*pair))
        _say(walks[-1], number, len(pairs))
    order: list[tuple[str, str]] = [(pair[0]["name"], pair[1]) for pair in pairs]
    walks.sort(key=lambda walk: order.index((walk.walkthrough["name"], walk.device)))
    return walks, {chapter["name"]: chapter["title"] for chapter in book["chapters"]}


def _owners(
    told: Mapping[str, str],
    chosen: Mapping[str, Sequence[Script]],
    language: str,
    *,
    is_named: bool,
    is_new: bool,
) -> tuple[Sequence[Walk], Mapping[str, str]]:
    """Play those of shop owners where the demo has their store: one by one, since it has one calendar."""
    walks: list[Walk] = []
    titles: dict[str, str] = {}
    for store in demo.platforms():
        scripts: Sequence[Script] = chosen.get(store.name, ())
        here = told.get(_address(store))
        if scripts and not here and is_named:
            raise Unreachable(f"the {store.name} of {scripts[0].name}: a demo has one, named by --data")
        if not scripts or not here:
            continue
        street = Street(here.rstrip("/"), operator=_operator(told))
        book = _book(street, language)
        known = {one["name"]: one for one in book["walkthroughs"]}
        if strange := sorted({one.name for one in scripts} - known.keys()):
            raise click.UsageError(f"the {store.name} at {here} does not know {', '.join(strange)}")
        if not is_new:
            click.echo(
                f"The {store.name} at {here} begins anew for each: its shops and contracts will be gone."
            )
        for number, script in enumerate(scripts, 1):
            walks.append(owner.play(street, book, known[script.name]))
            _say(walks[-1], number, len(scripts))
        titles |= {chapter["name"]: chapter["title"] for chapter in book["chapters"]}
    return walks, titles


def _address(store: Server) -> str:
    return f"{store.settings.model_config['env_prefix']}PUBLIC_URL"


def _operator(told: Mapping[str, str]) -> Callable[[], str]:
    """Prints a fresh address of the shop's operator, as the command of that name does."""
    command = [str(Path(sys.executable).with_name("storefront")), "operator"]
    bare = {name: value for name, value in os.environ.items() if not name.startswith("STOREFRONT_")}

    def address() -> str:
        done = subprocess.run(command, env={**bare, **told}, capture_output=True, text=True)  # noqa: S603  # our own words
        if done.returncode:
            raise Unreachable(f"the operator's address: {done.stderr.strip()}")
        return done.stdout.splitlines()[0]

    return address


def _all(round_: Round, pairs: Sequence[tuple[Json, str]], most: int) -> list[Walk]:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        futures: list[Future[Walk]] = [threads.submit(round_.play, *pair) for pair in pairs]
        walks = []
        try:
            for number, future in enumerate(as_completed(futures), 1):
                walks.append(future.result())
                _say(walks[-1], number, most)
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
        return walks


def _say(walk: Walk, number: int, most: int) -> None:
    verdict = "missed" if walk.verdict == "open" else walk.verdict
    why = report.plain(walk.reason or walk.missed)
    click.echo(f"{number:>3}/{most} {verdict:<15} {walk.name} {walk.seconds:.1f} s  {why}".rstrip(), err=True)


def _book(street: Street, language: str) -> Json:
    """What the sandbox has to be played; its chapters are called in this language."""
    page = Browser().get(f"{street.platform}/desk/walkthroughs.json?lang={language}")
    if page.status != 200:
        raise Unreachable(f"{street.platform} has no desk: status {page.status}")
    return read_json(page)
