"""What the operator does at this counter from a terminal: load the plans, and the work of each day."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from storefront import rim
from storefront.colorme import calendar, outstanding, plan_file, plans, reporting
from storefront.colorme import daily as work
from storefront.colorme.calendar import NoCalendar
from storefront.colorme.intents import State
from storefront.colorme.plan_file import PLANS, PlanFile, PlanFileError
from storefront.colorme.settings import NAME, settings
from storefront.config import PACKAGE, PREFIX
from storefront.db import transaction
from storefront.shop import catalog_file
from storefront.shop.catalog_file import CatalogError
from storefront.tables import stamp

SAID = {"charged": State.CHARGED, "declined": State.DECLINED, "unsent": State.WAITING}
SEEN = "seen"
NOTHING = "nothing is open under {}; `storefront outstanding` lists what is"
NO_COUNTER = f"There is no Color Me counter: {PREFIX}COLORME_CLIENT_ID is not set."


@click.command("plans")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--check", is_flag=True, help="Only say what is wrong; needs no settings and no database.")
def plans_command(file: Path | None, check: bool) -> None:
    """Check a plan file (the configured one unless FILE is given) and offer what it says."""
    try:
        if check:
            _say(_checked(file))
            return
        with rim.shop().app_context():
            if not settings().colorme_is_open:
                raise click.ClickException(NO_COUNTER)
            with transaction() as session:
                loaded = plans.load(session, file or settings().colorme_plans)
            _say(loaded)
    except (CatalogError, PlanFileError) as error:
        raise click.ClickException(f"no plan was loaded:\n{error}") from None


@click.command()
def daily() -> None:
    """Do what is due at Color Me today: fees, parcels, reports of usage. For cron; safe to run twice."""
    with rim.shop().app_context():
        if not settings().colorme_is_open:
            click.echo(NO_COUNTER)
            return
        try:
            failed = work.run()
        except NoCalendar as error:
            raise click.ClickException(f"nothing was done: the calendar does not answer: {error}") from None
        if failed:
            raise click.ClickException(f"{failed} cases were left undone: the log names them; run it again")
        click.echo("Done.")


@click.command()
def restored() -> None:
    """After a backup was put back: let a person look at each report before `storefront daily` sends it."""
    with rim.shop().app_context():
        if not settings().colorme_is_open:
            click.echo(NO_COUNTER)
            return
        try:
            doubted = reporting.doubt(calendar.now())
        except NoCalendar as error:
            raise click.ClickException(f"nothing was done: the calendar does not answer: {error}") from None
        click.echo(f"{doubted} reports are to be looked up at Color Me; `storefront outstanding` lists them.")


@click.command()
@click.argument("code")
@click.argument("state", type=click.Choice([*SAID, SEEN]))
def resolve(code: str, state: str) -> None:
    """Say what became of a charge without an answer of Color Me; settles it, once, with goods and entry.

    A report of usage that Color Me does not have, and that is to be sent, is unsent. What is lost, late,
    otherwise charged or owed is listed no more once it is seen; the book stays as it is.
    """
    with rim.shop().app_context():
        if state == SEEN:
            if not outstanding.put_aside(code):
                raise click.ClickException(NOTHING.format(code))
            click.echo(f"{code} is listed no more")
            return
        case = next((one for one in outstanding.to_resolve() if one.code == code), None)
        if case is None:
            raise click.ClickException(NOTHING.format(code))
        answer = f"{case.http_status or 'none'} {case.answer}".strip()
        click.echo(
            f"{case.contract.account}, contract {case.contract.id}: {case.what}, ¥{case.yen:,} before tax"
        )
        by_calendar = f" (by the calendar {stamp(case.by_calendar)})" if case.by_calendar else ""
        click.echo(f"sent {stamp(case.sent_at)}{by_calendar}, answer: {answer}")
        try:
            settled = outstanding.resolve(code, SAID[state])
        except NoCalendar as error:
            raise click.ClickException(f"nothing was done: the calendar does not answer: {error}") from None
        if not settled:
            raise click.ClickException(f"nothing was done: {_why_not(code, state)}")
        click.echo(f"now {state}")


def _why_not(code: str, state: str) -> str:
    if state == "unsent" and ":" not in code:
        return "an option is never sent again: say charged or declined"
    return "somebody else has settled it meanwhile"


def fit(project: Path, prices: Mapping[str, Mapping[str, int]]) -> str:
    """Take out of a project's plan file what its catalogue does not let it sell, and say so in a line."""
    file = project / PLANS.relative_to(PACKAGE.parent)
    text, gone = plan_file.fitted(file.read_text("utf-8"), _here(prices))
    if not gone:
        return ""
    file.write_text(text, "utf-8")
    return f"{file.relative_to(project)}: {', '.join(gone)} went, which the catalogue does not sell there."


def unfit(prices: Mapping[str, Mapping[str, int]]) -> Sequence[str]:
    """What the plan file breaks, by lines, where the catalogue says these prices."""
    try:
        plan_file.read(_configured(), _here(prices))
    except PlanFileError as error:
        return str(error).splitlines()
    return ()


def _here(prices: Mapping[str, Mapping[str, int]]) -> Mapping[str, int | None]:
    return {item: by_channel.get(NAME) for item, by_channel in prices.items()}


def _configured() -> Path:
    return Path(os.environ.get(f"{PREFIX}COLORME_PLANS") or PLANS)


def _checked(file: Path | None) -> PlanFile:
    """By the prices of the catalogue file, since there may be no database yet."""
    catalogue = Path(os.environ.get(f"{PREFIX}CATALOG") or PACKAGE / "shop" / "catalog.yaml")
    entries = catalog_file.read(catalogue, {})
    prices = {entry.id: entry.prices.get(NAME) for entry in entries}
    found = plan_file.read(file or _configured(), prices)
    sold = {option.item for option in found.options.values()} | found.metered
    for item_id in sorted(item for item, yen in prices.items() if yen is not None and item not in sold):
        click.echo(f"{item_id} has a price here, and is neither an option nor metered: nobody can have it.")
    return found


def _say(found: PlanFile) -> None:
    count = f"plans: {len(found.plans)}, options: {len(found.options)}, metered items: {len(found.metered)}"
    click.echo(f"{count}, no problem.")
