"""What was written down about external payment, for a file."""

import sys

import click

from storefront import rim
from storefront.db import fresh
from storefront.external import malfunctions as reported


@click.command()
def malfunctions() -> None:
    """Print the reports of malfunctions, as comma-separated values."""
    with rim.shop().app_context():
        found = reported.reports()
        fresh()  # whoever reads on and pauses holds nothing in the database
        reported.export(sys.stdout, found)
