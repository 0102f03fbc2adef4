"""The operator's home: what came in, what waits, and how the shop stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from importlib.metadata import version

from flask import Blueprint, render_template

from storefront import clock, health
from storefront.config import settings
from storefront.db import db
from storefront.operator import backups, chart, login, matters
from storefront.operator.chart import Chart
from storefront.shop import counter, sums
from storefront.shop.counter import Counter
from storefront.shop.ledger import Kind, Total
from storefront.shop.sums import Part

MONTH, WEEK = 30, 7  # days, this one among them

blueprint = Blueprint("operator_today", __name__, url_prefix="/operator")
blueprint.before_request(login.guard)


@dataclass(frozen=True)
class Till:
    """A counter's sums, in its own unit: of today, of seven days and of thirty, and the thirty drawn."""

    counter: Counter
    today: Sequence[Total]
    week: int
    month: int
    chart: Chart


@blueprint.get("/today")
def home() -> str:
    now, waiting = clock.now(), matters.matters()
    people = {case.customer_id for one in waiting for case in one.cases}
    if people:
        login.looked(people=sorted(people))
    return render_template(
        "operator/today.html",
        today=clock.day(now),
        tills=tills(now),
        matters=waiting,
        selling=settings().selling,
        version=version("storefront"),
        database=db.engine.dialect.name,
        revision=health.revision(db.session.connection()),
        backup=backups.last(),
    )


def tills(now: datetime) -> Sequence[Till]:
    """Of every counter; what was entered at one that is gone is in the reports."""
    today = clock.day(now)
    days = [today - timedelta(days=ago) for ago in range(MONTH - 1, -1, -1)]
    entered = [
        (date.fromisoformat(one.parts[Part.DAY]), one.total)
        for one in sums.of([Part.DAY], days[0], today, today)
    ]
    return [
        _till(one, [row for row in entered if row[1].channel == one.channel], days)
        for one in counter.counters()
    ]


def _till(one: Counter, entered: Sequence[tuple[date, Total]], days: Sequence[date]) -> Till:
    net: dict[date, int] = {}
    for day, total in entered:
        if total.unit == one.unit.code:
            net[day] = net.get(day, 0) + total.amount
    of_today = {total.kind: total for day, total in entered if day == days[-1]}
    none = [Total(one.channel, kind, one.unit.code, 0, 0) for kind in Kind]
    return Till(
        one,
        today=[of_today.get(total.kind, total) for total in none],
        week=sum(net.get(day, 0) for day in days[-WEEK:]),
        month=sum(net.values()),
        chart=chart.drawn(net, days),
    )
