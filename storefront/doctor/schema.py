"""What stands in the database: its revision, and what a person should look at."""

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import Connection

from storefront import clock, health
from storefront.config import PREFIX
from storefront.doctor.finding import Finding, fail, ok, warn
from storefront.mixi import payments, questions
from storefront.mixi.channel import EVERYBODY, channel
from storefront.shop import inventory

OVERDUE = timedelta(days=1)  # the finish page, moments after a purchase, confirms all but a few


def migrated(connection: Connection) -> Iterator[Finding]:
    found, head = health.revision(connection), health.head()
    if found != head:
        yield fail(
            "migrations",
            f"the database is at {found or 'none'}, this code at {head}",
            "run `storefront upgrade` before serving",
        )
        return
    yield ok("migrations", f"at {head}, the newest")
    yield from _outstanding()
    yield from _tests()


def _outstanding() -> Iterator[Finding]:
    show = "see `storefront outstanding`"
    waiting = payments.unconfirmed()
    overdue = [one for one in waiting if one.payment.ok_at and one.payment.ok_at < clock.now() - OVERDUE]
    removed = [one for one in waiting if one.removed_at]
    below = inventory.negatives()
    yield _count(
        "unconfirmed", len(overdue), "payments that mixi has not confirmed for more than a day", show
    )
    yield _count("removed", len(removed), "unconfirmed payments of buyers who removed the app", show)
    yield _count("negative", len(below), "holdings below zero", show)


def _tests() -> Iterator[Finding]:
    """Whether shop and mixi agree on which purchases are tests, as far as the shop can know."""
    name = f"{PREFIX}MIXI_TEST_OWNERS"
    found = questions.tests_found(clock.now() - OVERDUE)
    if EVERYBODY in channel().test_owners:
        yield warn("tests", "every purchase is one", f"take {EVERYBODY} out of {name} when the app is public")
    elif found:
        what = f"{found} purchases of the last day were booked as sales and were tests at mixi"
        yield warn("tests", what, f"while the app is in development there, set {name}={EVERYBODY}")
    else:
        yield ok("tests", "no sale of the last day was a test at mixi")


def _count(check: str, number: int, what: str, show: str) -> Finding:
    return warn(check, f"{number} {what}", show) if number else ok(check, f"no {what}")
