"""The operator's home: sums by counter and unit, a month drawn, and what waits."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from flask import Flask
from lxml import html
from sqlalchemy import delete, select, text

from storefront import Settings, clock
from storefront.db import db, transaction
from storefront.operator import chart, today
from storefront.shop import corrections, customers, inventory, ledger, sums
from storefront.shop.corrections import Note
from storefront.shop.day_sums import DaySum
from storefront.shop.ledger import Kind
from storefront.shop.sums import Part
from tests.command import run
from tests.databases import on_postgresql, on_sqlite
from tests.operators import Operator
from tests.street import HANAKO, Container, says, sentence, words

pytestmark = pytest.mark.long

HOME = "/operator/today"
DAYS = [date(2027, 1, 1) + timedelta(days=number) for number in range(3)]


def enter(app: Flask, rows: Sequence[tuple[str, str, Kind, int, datetime]]) -> None:
    with app.app_context():
        customer = customers.meet("mixi", HANAKO, clock.now())
        with transaction() as session:
            for number, (channel, unit, kind, amount, at) in enumerate(rows):
                key = f"{channel}:{number}"
                ledger.record(session, customer.id, kind, amount, unit, key, at, channel=channel)


def test_days_are_japans(app: Flask) -> None:
    """At 15:00 UTC the next day begins, and what counters take is never added to another's."""
    before, after = datetime(2027, 1, 31, 14, 59, tzinfo=UTC), datetime(2027, 1, 31, 15, tzinfo=UTC)
    enter(
        app,
        [
            ("mixi", "point", Kind.SALE, 100, before),
            ("mixi", "point", Kind.SALE, 10, after),
            ("mixi", "point", Kind.REFUND, -100, after),
            ("external", "yen", Kind.SALE, 110, after),
        ],
    )
    with app.app_context():
        found = {one.counter.channel: one for one in today.tills(after)}
        by_kind = {total.kind: (total.count, total.amount) for total in found["mixi"].today}
        assert by_kind[Kind.SALE] == (1, 10)
        assert by_kind[Kind.REFUND] == (1, -100)
        assert (found["mixi"].week, found["mixi"].month) == (10, 10)
        assert (found["external"].week, found["external"].month) == (110, 110)
        assert [bar.amount for bar in found["mixi"].chart.bars[-2:]] == [100, -90]


@on_sqlite
def test_seven_and_thirty_days(app: Flask) -> None:
    """This day is the last of both; what is older is in neither."""
    now = clock.now()
    enter(
        app,
        [
            ("mixi", "point", Kind.SALE, 10**at, now - timedelta(days=ago))
            for at, ago in enumerate((0, 6, 7, 29, 30))
        ],
    )
    with app.app_context():
        found = next(one for one in today.tills(now) if one.counter.channel == "mixi")
    assert (found.week, found.month) == (11, 1111)


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        ([0, 0, 0], (100, [(100, 0), (100, 0), (100, 0)])),
        ([50, 100, 1], (100, [(50, 50), (0, 100), (98, 2)])),
        ([100, -100, 0], (50, [(0, 50), (50, 50), (50, 0)])),
        ([-3, 0, 0], (0, [(0, 100), (0, 0), (0, 0)])),
    ],
)
def test_drawn(amounts: list[int], expected: tuple[int, list[tuple[int, int]]]) -> None:
    """The tallest fills the height, what is little can be seen, and what went back hangs below the line."""
    found = chart.drawn(dict(zip(DAYS, amounts, strict=True)), DAYS)
    assert (found.base, [(bar.y, bar.height) for bar in found.bars]) == expected
    assert found.width == 3 * chart.STEP


@on_sqlite
def test_the_week_is_drawn(app: Flask, operator: Operator) -> None:
    """The bars of the last seven days stand out, however few days have one; a minus is before the sign."""
    now = clock.now()
    rows = [("external", "yen", Kind.SALE, 110, now - timedelta(days=ago)) for ago in (9, 3)]
    enter(app, [*rows, ("external", "yen", Kind.REFUND, -110, now)])
    page = html.fromstring(operator.get(HOME).text)
    bars = page.cssselect("[data-counter=external] rect")
    assert [bar.get("class") for bar in bars] == [None, "week", "week"]
    assert [bar.text_content().partition(": ")[2] for bar in bars] == ["¥110", "¥110", "-¥110"]


@on_sqlite
def test_what_waits(container: Container, operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    """What is in doubt, and below zero, is counted, and leads to whose it is, which is in the log."""
    app, code = container.app, container.start("loaf")
    quiet = html.fromstring(operator.get(HOME).text)
    assert quiet.xpath("//li[@data-count='0'][@data-good='no']") == []
    assert container.callback(code).text == "OK"
    with app.app_context():
        hanako = customers.meet("mixi", HANAKO, clock.now())
        inventory.use(hanako.id, "loaf", "eaten", clock.now())
        with transaction() as session:
            inventory.take_back(session, hanako.id, "loaf", "pay_back:x", clock.now())
    capsys.readouterr()
    page = html.fromstring(operator.get(HOME).text)
    cases = [(str(link.get("href")), link.text_content()) for link in page.cssselect(".cases a")]
    assert cases == [
        ("/operator/customers/1", f"{HANAKO}: loaf -1"),
        ("/operator/customers/1", code),
    ]
    assert "operator looked" in capsys.readouterr().err
    with app.app_context():
        hanako = customers.meet("mixi", HANAKO, clock.now())
        corrections.give(hanako, "loaf", Note("Umi", "letter 7", "let it be"), clock.now())
    assert f"{HANAKO}: loaf" not in operator.get(HOME).text


@on_sqlite
def test_the_shop_and_its_backup(settings: Settings, operator: Operator, tmp_path: Path) -> None:
    """Version, database and revision, and when `storefront backup` last made a copy."""
    assert "storefront backup" in sentence(operator.get(HOME).text, "no-backup")
    assert run(settings, "backup", str(tmp_path / "copy")).returncode == 0
    page = operator.get(HOME).text
    text = words(page)
    assert str(clock.day(clock.now())) in sentence(page, "backup")
    assert re.search(r"sqlite, .*00\d\d", text)


def test_days_that_are_over(app: Flask) -> None:
    """They are summed up once; an entry that comes late for one of them counts all the same."""
    asked = (DAYS[0], DAYS[2], DAYS[2])

    def found() -> list[tuple[str, int, int]]:
        return [
            (one.parts[Part.DAY], one.total.count, one.total.amount) for one in sums.of([Part.DAY], *asked)
        ]

    noons = [datetime.combine(day, time(12), clock.JAPAN) for day in DAYS]
    enter(app, [("mixi", "point", Kind.SALE, 100, noon) for noon in noons])
    first, _, third = map(str, DAYS)
    on_time = [(str(day), 1, 100) for day in DAYS]
    with app.app_context():
        assert found() == on_time
        assert [(one.day, one.amount) for one in kept()] == [(DAYS[0], 100), (DAYS[1], 100)]
    enter(app, [("late", "point", Kind.SALE, 10, noons[0]), ("late", "point", Kind.VOID, -10, noons[2])])
    with app.app_context():
        by_day = found()
        assert sorted(by_day) == sorted([*on_time, (first, 1, 10), (third, 1, -10)])
        with transaction() as session:  # as whoever saw the day before that entry would leave it
            session.execute(delete(DaySum).where(DaySum.channel == "late"))
        assert found() == by_day


@on_sqlite
def test_nobody_can_keep_them(app: Flask) -> None:
    """On a database that takes nothing, sums are what the entries are."""
    noon = datetime.combine(DAYS[0], time(12), clock.JAPAN)
    enter(app, [("mixi", "point", Kind.SALE, 100, noon)])
    with app.app_context():
        db.session.execute(text("PRAGMA query_only = ON"))
        assert [one.total.amount for one in sums.of([], DAYS[0], DAYS[2], DAYS[2])] == [100]
        assert not kept()


def kept() -> Sequence[DaySum]:
    return db.session.scalars(select(DaySum).order_by(DaySum.day, DaySum.channel)).all()


@on_postgresql
def test_a_backup_by_another_tool(settings: Settings, operator: Operator, tmp_path: Path) -> None:
    """What `pg_dump` has made is known once the shop was told; of an empty file it is not."""
    copy = tmp_path / "shop.dump"
    copy.touch()
    assert run(settings, "backed-up", str(copy)).returncode == 1
    assert "storefront backed-up" in sentence(operator.get(HOME).text, "no-backup")
    copy.write_bytes(b"PGDMP")
    assert run(settings, "backed-up", str(copy)).returncode == 0
    assert f"{clock.day(clock.now())}" in sentence(operator.get(HOME).text, "backup")


@on_sqlite
@pytest.mark.changed(selling="false")
def test_nothing_is_sold(operator: Operator) -> None:
    """Who has switched the shop off is told so."""
    assert "stopped" in says(operator.get(HOME).text)


@on_sqlite
def test_it_is_where_one_comes_in(app: Flask) -> None:
    """The address leads to it, in the name that was said; and it looks like no page of the shop."""
    operator = Operator(app, "ja", name="灯子")
    text = operator.get(HOME).text
    assert '<html lang="ja">' in text
    assert html.fromstring(text).cssselect("header .post strong")[0].text
    assert 'value="灯子"' in operator.get(who(app)).text
    assert str(operator.get("/operator").headers["Location"]).endswith(HOME)
    assert app.test_client().get("/operator").status_code == 401
    for method in ("GET", "POST"):
        assert app.test_client().open(HOME, method=method).status_code in (401, 405)


def who(app: Flask) -> str:
    with app.app_context():
        return f"/operator/customers/{customers.meet('mixi', HANAKO, clock.now()).id}"
