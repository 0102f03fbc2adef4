"""The `storefront` command."""

import os
import shlex
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from io import StringIO, TextIOWrapper
from pathlib import Path
from socket import socket
from typing import Any

import click
import flask_migrate
from flask import Flask
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from storefront import COUNTERS, clock, config, demo, doctor, health, reports, settings_table
from storefront.art import art
from storefront.backup import NotPossible, backup
from storefront.clock import Deadline
from storefront.config import PACKAGE, PREFIX
from storefront.db import cause, db, file_of, make_file, migrate, transaction, unhurried
from storefront.demo import HOST
from storefront.doctor.postgresql import ENCODING, NEW_DATABASE
from storefront.findings import Verdict
from storefront.languages import IN_CODE
from storefront.move import NotMoved, move
from storefront.operator import backups, commands, login
from storefront.release.commands import new_command, update_command
from storefront.rim import rims, shop
from storefront.shop import catalog, catalog_file, counter, differences, inventory
from storefront.shop.catalog_file import CatalogError
from storefront.texts import texts
from storefront.walkthrough import walkthrough

WAIT_SECONDS = 120.0  # a backup of a large shop takes a part of it
PAUSE_SECONDS = 2.0
# A lock was not to be had, or two waited for each other (source: PostgreSQL, Error Codes).
KEPT_WAITING = {"55P03", "40P01"}
# The server does not say of another role's session how long it has lasted.
HOLDERS = """
SELECT DISTINCT application_name, pid FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE relation IN (SELECT oid FROM pg_class WHERE relnamespace = current_schema::regnamespace)
AND granted AND pid <> pg_backend_pid() AND coalesce(xact_start < now() - interval '1 second', true)
ORDER BY pid
"""

a_port = partial(click.option, type=click.IntRange(1, 65535), show_default=True, help="Where it listens.")

as_csv = click.option("--csv", "as_csv", is_flag=True, help="As comma-separated values.")
a_day = click.DateTime(["%Y-%m-%d"])

DATA = demo.folder()
a_folder = partial(
    click.option,
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=DATA,
    show_default="demo in the instance folder",
    help="Where the demo's databases and keys are kept.",
)
data = a_folder()


def an_origin(context: click.Context, option: click.Parameter, value: str) -> str:
    try:
        return value and config.origin(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def with_ports(command: Callable[..., None]) -> Callable[..., None]:
    """An option for the port of each server, whose value comes by the server's name."""
    for name, port in reversed(demo.ports().items()):
        command = a_port(f"--{name}-port", name, default=port)(command)
    return command


class Told(click.Group):
    """What a database has against a command is told in a sentence."""

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except (SQLAlchemyError, sqlite3.Error) as error:
            before = (
                ""
                if context.invoked_subcommand in ("upgrade", "move")
                else "run `storefront upgrade` first; "
            )
            advice = f"{before}`storefront doctor` says more"
            raise click.ClickException(f"the database stopped it: {cause(error)}; {advice}") from None


@click.group(cls=Told)
@click.version_option(package_name="storefront")
def main() -> None:
    """A reference item shop for social application providers, and the platform to buy from."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter is told the rest


@main.command("demo")
@with_ports
@data
@click.option("--database", metavar="URL", help="For the shop, in place of a file there: empty, or its own.")
def demo_command(data: Path, database: str | None, **ports: int) -> None:
    """Start the shop, the sandbox and what stands beside it, ready to buy in."""
    with _prepared(ports, data, database) as (environment, sockets):
        app = shop()
        click.echo("Filling the shop's database …")
        _upgrade(app)
        with app.app_context():
            demo.furnish()
        demo.serve(
            sockets,
            f"""
  Buy something:   {environment["SANDBOX_PUBLIC_URL"]}/
                   choose a simulated user and a device, pick an item
{_invitations(ports)}
  The bare shop:   {environment["STOREFRONT_PUBLIC_URL"]}/
  The operator:    {demo.command("storefront", "operator", "--demo", *_where(data))}
  Stop:            Ctrl-C
""",
        )


@main.command()
@with_ports
@data
@click.option(
    "--shop-url", default="", callback=an_origin, help="The shop's address, if it is not http at --shop-port."
)
@click.option(
    "--shop-ca",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The certificates (PEM) that a shop behind https is checked against.",
)
def sandbox(data: Path, shop_url: str, shop_ca: Path | None, **ports: int) -> None:
    """Start the sandbox and what stands beside it alone, for a shop that you start yourself."""
    with _prepared(ports, data, without=demo.SHOP, shop_url=shop_url, shop_ca=shop_ca) as (_, sockets):
        size = ["--threads", str(demo.THREADS)]
        bind = ["--bind", f"{HOST}:{ports[demo.SHOP]}", *size, "storefront:create_app()"]
        demo.serve(
            sockets,
            f"""
  The platform:    http://{HOST}:{ports["sandbox"]}/
{_invitations(ports)}
  A shop for it:   set -a; . {shlex.quote(str(data.resolve() / demo.ENVIRONMENT))}; set +a
                   {demo.command("storefront", "upgrade")}
                   {demo.command("gunicorn", *demo.AS_IN_PRODUCTION, *bind)}
  Stop:            Ctrl-C
""",
        )


@contextmanager
def _prepared(
    ports: dict[str, int], data: Path, database: str | None = None, without: str = "", **shop: Any
) -> Iterator[tuple[dict[str, str], dict[str, socket]]]:
    """The settings of a demo and the sockets of its servers, once all that it needs is its own."""
    demo.differ(ports)
    demo.fits(data)
    url = database and demo.database(database)
    served = {name: port for name, port in ports.items() if name != without}
    if demo.SHOP in served:
        served[demo.BREAKER] = 0  # any that is free
    with demo.alone(data, f"http://{HOST}:{ports['sandbox']}/"), demo.won(served) as sockets:
        click.echo(f"Keys and databases are in {data.resolve()}")
        breaker = sockets[demo.BREAKER].getsockname()[1] if demo.BREAKER in sockets else None
        environment = demo.environment(ports, data, url, breaker=breaker, **shop)
        demo.take(environment)
        demo.check()
        demo.adopt(environment)
        demo.keep(environment, data)
        yield environment, sockets


def _invitations(ports: dict[str, int]) -> str:
    """What else can be tried out, and where."""
    return "".join(
        f"\n  {one.invites[0]:<16} http://{HOST}:{ports[one.name]}/\n{'':19}{one.invites[1]}\n"
        for one in demo.platforms()
        if one.invites
    )


def _where(data: Path) -> list[str]:
    return [] if data == DATA else ["--data", str(data.resolve())]


@main.command("operator")
@click.option("--end-visits", is_flag=True, help="First end every visit, as when somebody has left.")
def operator_command(end_visits: bool) -> None:
    """Print an address that opens the operator's pages, and how the registration stands."""
    app = shop()
    with app.app_context(), app.test_request_context(headers={"Accept-Language": IN_CODE}):
        if end_visits:
            click.echo(f"Visits ended: {login.end_visits(clock.now())}", err=True)
        standing = StringIO()
        reports.registrations(standing)  # first: an address is told when nothing can fail any more
        click.echo(f"{login.address()}\n\n{standing.getvalue()}", nl=False)


@main.command()
def upgrade() -> None:
    """Migrate the database and load the catalogue. Safe to run twice, and twice at once."""
    _upgrade(shop())


@main.command("catalog")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--check", is_flag=True, help="Only say what is wrong; needs no settings and no database.")
@click.option("--differences", "only_say", is_flag=True, help="Only say what it would change.")
def catalog_command(file: Path | None, check: bool, only_say: bool) -> None:
    """Check a catalogue (the configured one unless FILE is given), say what it changes, put it on the shelf.

    What the operator has set on their pages stays, whatever the file says.
    """
    try:
        if check:
            default = Path(os.environ.get(f"{PREFIX}CATALOG") or PACKAGE / "shop" / "catalog.yaml")
            rules = counter.price_rules(COUNTERS)
            drawings = config.folder("static") / "art"
            entries = catalog_file.read(file or default, rules, drawings)
            click.echo(f"{len(entries)} items, no problem.")
            names = sorted({entry.art for entry in entries})
            for name in [one for one in names if not (drawings / one).with_suffix(".gif").is_file()]:
                click.echo(f"{name} has no GIF for mobile phones: `storefront art` draws it.")
            for channel in sorted({name for entry in entries for name in entry.prices} - rules.keys()):
                click.echo(f"No counter sells in {channel}: its prices lie idle.")
            prices = {entry.id: entry.prices for entry in entries}
            if unfit := [line for room in rims() for line in room.unfit(prices)]:
                click.echo("\n".join(["This does not go with it, and the demo will not start:", *unfit]))
        elif only_say:
            _say_differences(shop(), file)
        else:
            _load(shop(), file)
    except CatalogError as error:
        raise click.ClickException(f"the catalogue was not loaded:\n{error}") from None


@main.command("settings")
@click.option("form", "--markdown", flag_value="markdown", help="As tables for a README.")
@click.option("form", "--env", flag_value="env", help="As a file for a server's environment.")
def settings_command(form: str | None) -> None:
    """Print every setting, its default and its meaning."""
    written = {"markdown": settings_table.write_markdown, "env": settings_table.write_environment}
    written.get(form or "", settings_table.write)(sys.stdout)


@main.command("doctor")
@click.option("--books", is_flag=True, help="Only hold what is kept of sales against the sum of all grants.")
@click.option("--rebuild", is_flag=True, help="With --books: write it anew; nothing is sold meanwhile.")
def doctor_command(books: bool, rebuild: bool) -> None:
    """Check what the shop depends on and say what to do; exit status 1 if anything fails."""
    if rebuild and not books:
        raise click.UsageError("--rebuild goes with --books")
    failed = False
    for finding in doctor.books(shop(), rebuild=rebuild) if books else doctor.examine():
        click.echo(str(finding))
        failed = failed or finding.verdict is Verdict.FAIL
    sys.exit(failed)


@main.command()
@as_csv
def outstanding(as_csv: bool) -> None:
    """List what waits for a person at each counter, such as what has no answer, and holdings below zero."""
    with shop().app_context():
        reports.outstanding(sys.stdout, as_csv)


@main.command()
@as_csv
@click.option("--from", "first", type=a_day, help="First day, in Japan.")
@click.option("--until", "last", type=a_day, help="Last day, in Japan; all of it counts.")
@click.option("--totals", is_flag=True, help="The sums of each kind, in place of the entries.")
def ledger(as_csv: bool, first: datetime | None, last: datetime | None, totals: bool) -> None:
    """Print the ledger; moments are in UTC."""
    if first and last and first > last:
        raise click.UsageError("--from is after --until: no day lies between them")
    report = reports.totals if totals else reports.book
    with shop().app_context():
        report(sys.stdout, as_csv, first and first.date(), last and last.date())


@main.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup_command(file: Path) -> None:
    """Copy a SQLite database into FILE, which must be new, while the shop goes on selling."""
    try:
        with shop().app_context():
            size = backup(file)
            noted = backups.note(size, clock.now())
    except NotPossible as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{file}: {size:,} bytes, checked.{'' if noted else ' The shop could not note it.'}")


@main.command("backed-up")
@click.argument("file", type=click.Path(exists=True, path_type=Path, dir_okay=False))
def backed_up(file: Path) -> None:
    """Note that FILE is a new copy of the database, made by another tool, such as pg_dump."""
    size = file.stat().st_size
    if not size:
        raise click.ClickException(f"{file} is empty: that is no backup, and nothing was noted")
    with shop().app_context():
        if not backups.note(size, clock.now()):
            raise click.ClickException("the shop could not note it; the copy is not to blame")
    click.echo(f"{file}: {size:,} bytes, noted; not checked.")


@main.command("move")
@click.argument("file", type=click.Path(exists=True, path_type=Path, dir_okay=False))
def move_command(file: Path) -> None:
    """Fill the shop's PostgreSQL database with a shop of SQLite, in FILE, which is only read.

    All of it arrives, or nothing. The database is new, by `storefront upgrade`.
    """
    with shop().app_context():
        try:
            arrived = move(file)
        except NotMoved as error:
            raise click.ClickException(f"nothing was moved: {error}") from None
    click.echo("\n".join(arrived))
    click.echo(f"All is in PostgreSQL as it was. What is sold on {file} from now on is not: put it away.")


def _upgrade(app: Flask) -> None:
    with app.app_context():
        _migrate()
    try:
        _load(app, None)
    except CatalogError as error:
        raise click.ClickException(f"migrated, but the catalogue was not loaded:\n{error}") from None


def _migrate() -> None:
    """To this code's revision; a database that is newer stays as it is, if this code can live with it."""
    _refuse_memory()
    try:
        make_file(db.engine)
    except OSError as error:
        raise click.ClickException(f"{error.filename} cannot be made: {error.strerror}") from None
    with db.engine.connect() as connection:
        _check_encoding(connection)
        unfit, found = health.misfit(connection), health.revision(connection)
    if found is None or found in health.known():
        _migrate_between_others()
    elif unfit:
        raise click.ClickException(f"nothing was migrated: {unfit.found}; {unfit.advice}")


def _migrate_between_others() -> None:
    """A table that a backup reads is asked for again and again: meanwhile the shop goes on selling."""
    until = Deadline.after(WAIT_SECONDS)
    while True:
        try:
            return flask_migrate.upgrade(directory=migrate.directory)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) not in KEPT_WAITING:
                raise
        holders = _holders()
        if until.left() <= 0:
            raise click.ClickException(f"nothing was migrated: {holders}; wait for its end, or end it")
        click.echo(f"{holders}: waiting for its end.")
        clock.sleep(PAUSE_SECONDS)


def _holders() -> str:
    """Who has had tables for more than a moment, by what they call themselves."""
    with db.engine.connect() as connection:
        found = connection.execute(text(HOLDERS)).all()
    names = ", ".join(f"{name or 'somebody'} (process {pid})" for name, pid in found)
    return f"a table that is to be changed is in use by {names or 'somebody'}"


def _refuse_memory() -> None:
    if db.engine.dialect.name == "sqlite" and file_of(db.engine) is None:
        advice = f"name a file in {PREFIX}DATABASE_URL, as sqlite:///storefront.db"
        raise click.ClickException(f"SQLite in memory keeps nothing: {advice}")


def _check_encoding(connection: Connection) -> None:
    """In a database that is not in UTF-8 a name could not be kept, or could not be read."""
    if connection.dialect.name == "sqlite":
        return
    encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding != ENCODING:
        raise click.ClickException(f"nothing was migrated: the database is in {encoding}; {NEW_DATABASE}")


def _load(app: Flask, file: Path | None) -> None:
    with app.app_context():
        _refuse_memory()
    _say_differences(app, file)
    with app.app_context(), transaction() as session:
        count = catalog.load(session, file or config.settings().catalog)
        unhurried(session)
        inventory.tally(session)
        loaded = [room.load(session) for room in rims()]
    click.echo("\n".join([f"{count} items on the shelf.", *filter(None, loaded)]))


def _say_differences(app: Flask, file: Path | None) -> None:
    """What a file would change on a shelf that is not empty, and what the operator has set in its place."""
    with app.app_context():
        if catalog.ids():
            for line in differences.of(db.session(), file or config.settings().catalog):
                click.echo(line)


def _keep_folder(context: click.Context, _: click.Parameter, folder: Path) -> None:
    context.meta[DEMO_FOLDER] = folder


def _take_demo(context: click.Context, _: click.Parameter, of_demo: bool) -> None:
    if of_demo:
        demo.take(demo.started(context.meta[DEMO_FOLDER]))


DEMO_FOLDER = "storefront.demo"
# What the operator does with a shop can be done with the demo's.
with_demo = click.option(
    "--demo",
    is_flag=True,
    expose_value=False,
    callback=_take_demo,
    help="Of the demo, with the settings it was started with.",
)
of_rooms = [one for room in rims() for one in room.commands]
of_rooms += [commands.grant, commands.take_back]
of_shop = [operator_command, doctor_command, catalog_command, outstanding, ledger, backup_command, backed_up]
of_shop += [move_command]
for command in (*of_shop, *of_rooms):
    a_folder(is_eager=True, expose_value=False, callback=_keep_folder)(with_demo(command))
for command in (art, new_command, texts, update_command, walkthrough, *of_rooms):
    main.add_command(command)
