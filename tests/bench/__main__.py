"""The command: `python -m tests.bench --help`."""

import os
import platform
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from tests.bench import limited, rounds, tables
from tests.bench.servers import THREADS, street
from tests.bench.traffic import WORKERS

DATABASES = ("sqlite", "postgresql")
ROUNDS, QUICK_ROUNDS = 5, 3


def _sizes(context: click.Context, parameter: click.Parameter, value: str | None) -> list[int] | None:
    try:
        return sorted({int(part) for part in value.split(",")}) if value else None
    except ValueError:
        raise click.BadParameter("numbers with commas between, such as 0,100000") from None


def _databases(context: click.Context, parameter: click.Parameter, value: str) -> list[str]:
    if unknown := set(value.split(",")) - set(DATABASES):
        raise click.BadParameter(f"not {', '.join(sorted(unknown))}, but {' or '.join(DATABASES)}")
    return value.split(",")


@click.command()
@click.option("--quick", is_flag=True, help="Fewer, shorter rounds: under 90 seconds for both databases.")
@click.option("--earlier", callback=_sizes, help="Earlier payments; default 0,100000,1000000, quick: 0.")
@click.option("--database", "databases", default=",".join(DATABASES), callback=_databases, show_default=True)
@click.option("--seconds", type=float, help="Length of one measurement; default 2, quick: 0.4.")
@click.option("--rounds", "count", type=int, help=f"Default {ROUNDS}, quick: {QUICK_ROUNDS}.")
@click.option("--tail", "only_tail", is_flag=True, help="Only how long callbacks wait at saturation.")
@click.option(
    "--against",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A checkout of an earlier version with the same tables: both in turns.",
)
def main(
    quick: bool,
    earlier: list[int] | None,
    databases: list[str],
    seconds: float | None,
    count: int | None,
    only_tail: bool,
    against: Path | None,
) -> None:
    """Measure the shop beside the least that any shop would have to do."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that every server is ended, too
    sizes = earlier or ([0] if quick or only_tail else [0, 100_000, 1_000_000])
    length, count = seconds or (0.4 if quick else 2.0), count or (QUICK_ROUNDS if quick else ROUNDS)
    click.echo(
        f"Python {platform.python_version()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f};"
        f" gunicorn {WORKERS} x {THREADS} threads; {count} rounds of {length:g} s each\n"
    )
    for database in databases:
        began = time.monotonic()
        with (
            TemporaryDirectory(prefix="bench-") as folder,
            street(database, sizes, Path(folder), against) as running,
        ):
            click.echo(f"== {database} (ready after {time.monotonic() - began:.0f} s)\n")
            if against:
                click.echo(tables.of_versions(rounds.versions(running, 3 * count)))
            click.echo(tables.of_tail(rounds.tail(running, count, length)))
            if only_tail:
                continue
            click.echo(tables.of_saturation(rounds.saturation(running, count, length)))
            click.echo(tables.of_steady(rounds.steady(running, count, length)))
            click.echo(tables.of_purchase(rounds.purchase(running, count)))
            click.echo(limited.of_limited(limited.limited(running, Path(folder), count)))
        click.echo(f"({time.monotonic() - began:.0f} s)\n")


if __name__ == "__main__":
    main()
