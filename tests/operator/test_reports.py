"""Reports: by day, item, counter and device, and a month's end by the platform's own moments."""

import csv
import io
from datetime import UTC, date, datetime

import pytest
from flask import Flask
from lxml import html
from sqlalchemy import select

from storefront import clock
from storefront.db import db, transaction
from storefront.mixi.payments import Payment
from storefront.operator import reports
from storefront.operator.reports import Question
from storefront.sandbox.key_pairs import KeyPair
from storefront.shop import corrections, customers, ledger
from storefront.shop.corrections import Note
from storefront.shop.devices import Device
from storefront.shop.ledger import About, Entry, Kind
from tests.databases import on_sqlite
from tests.operators import Operator
from tests.street import HANAKO, TARO, Browser, Container, ScriptedApi, form_to, start_address

pytestmark = pytest.mark.long

REPORTS = "/operator/reports"
MONTH = {"from": "2027-01-01", "until": "2027-01-31"}
IN, OUT = datetime(2027, 1, 31, 14, 59, tzinfo=UTC), datetime(2027, 1, 31, 15, tzinfo=UTC)
ROWS = [
    ("mixi", "point", Kind.SALE, 100, IN, About("excalibur", Device.MOBILE, IN)),
    ("mixi", "point", Kind.SALE, 10, IN, About("loaf", Device.PC, OUT)),
    ("mixi", "point", Kind.SALE, 10, OUT, About("loaf", Device.PC, IN)),
    ("mixi", "point", Kind.REFUND, -10, IN, About("loaf", Device.PC)),
    ("external", "yen", Kind.SALE, 110, IN, About("excalibur", Device.PC)),
    ("colorme", "yen", Kind.SALE, 980, IN, About()),
]


@pytest.fixture
def entered(app: Flask) -> Flask:
    with app.app_context():
        customer = customers.meet("mixi", HANAKO, clock.now())
        with transaction() as session:
            for number, (channel, unit, kind, amount, at, about) in enumerate(ROWS):
                key = f"{channel}:{number}"
                ledger.record(session, customer.id, kind, amount, unit, key, at, channel=channel, about=about)
    return app


def told(operator: Operator, **asked: str) -> list[list[str]]:
    """The lines of the file below its heading."""
    answer = operator.client.get(f"{REPORTS}.csv", query_string={**MONTH, **asked, "lang": "ja"})
    assert answer.status_code == 200
    assert answer.data.startswith("\ufeff".encode())
    return list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))[1:]


def test_never_added(entered: Flask, operator: Operator) -> None:
    """By counter, unit and kind at least; days are Japan's, so what came at 15:00 UTC is another month's."""
    assert told(operator) == [
        ["colorme", "sale", "1", "980", "yen"],
        ["external", "sale", "1", "110", "yen"],
        ["mixi", "sale", "2", "110", "point"],
        ["mixi", "refund", "1", "-10", "point"],
    ]


def test_told_apart(entered: Flask, operator: Operator) -> None:
    """By day, item with its name, and device; what is not known is empty."""
    assert told(operator, item="y") == [
        ["", "", "colorme", "sale", "1", "980", "yen"],
        ["excalibur", "エクスカリバー", "external", "sale", "1", "110", "yen"],
        ["excalibur", "エクスカリバー", "mixi", "sale", "1", "100", "point"],
        ["loaf", "まるパン", "mixi", "sale", "1", "10", "point"],
        ["loaf", "まるパン", "mixi", "refund", "1", "-10", "point"],
    ]
    assert [row[:2] for row in told(operator, day="y", device="y", until="2027-02-28")] == [
        ["2027-01-31", ""],
        ["2027-01-31", "mobile"],
        ["2027-01-31", "pc"],
        ["2027-01-31", "pc"],
        ["2027-01-31", "pc"],
        ["2027-02-01", "pc"],
    ]


def test_by_the_platforms_moments(entered: Flask, operator: Operator) -> None:
    """At a month's end the platform's own moments count, and what it puts elsewhere is listed."""
    by_platform = told(operator, platform="y", item="y")
    assert ["loaf", "まるパン", "mixi", "sale", "1", "10", "point"] in by_platform
    page = html.fromstring(operator.client.get(REPORTS, query_string={**MONTH, "platform": "y"}).text)
    assert page.xpath("//@data-moved") == ["mixi:2", "mixi:1"]
    assert not html.fromstring(operator.client.get(REPORTS, query_string=MONTH).text).xpath("//@data-moved")


def test_a_purchase_says_it_all(container: Container, api: ScriptedApi, pair: KeyPair) -> None:
    """From the tap and the callback: item, device and mixi's moment, in payment and entry, on each device."""
    desk = Browser(container.app)
    assert desk.get(start_address(pair, viewer=TARO)).status_code == 303
    fields = form_to(desk.get("/items/loaf").text, "/mixi/payments")
    assert desk.post("/mixi/payments", fields).status_code == 302
    with container.app.app_context():
        outside = db.session.scalars(select(Payment.point_code)).one()
    code = container.start("excalibur")
    for one, owner in ((outside, TARO), (code, HANAKO)):
        assert container.callback(one, owner, updated="2027-01-31T14:59:00Z").text == "OK"
    api.body = api.entry(code).replace(
        b"<content/>",
        b'<content><status xmlns="http://mixi.jp/atom/ns#point">pay_back</status></content>',
    )
    assert container.get("/history").status_code == 200
    with container.app.app_context():
        rows = {(one.kind, one.item_id): one for one in db.session.scalars(select(Entry))}
        sale, back = rows[Kind.SALE, "excalibur"], rows[Kind.REFUND, "excalibur"]
        assert (sale.device, sale.platform_at) == (Device.MOBILE, IN)
        assert (back.device, back.platform_at) == (Device.MOBILE, datetime(2026, 1, 1, tzinfo=UTC))
        assert rows[Kind.SALE, "loaf"].device is Device.PC
        assert db.session.get_one(Payment, outside).updated_at == IN


@on_sqlite
def test_by_hand(app: Flask, operator: Operator) -> None:
    """What was put right is of its item, too, and a strike of what it strikes."""
    with app.app_context():
        hanako, note = customers.meet("mixi", HANAKO, clock.now()), Note("Umi", "letter 7", "lost")
        corrections.give(hanako, "loaf", note, clock.now(), amount=10)
        entry = db.session.scalars(select(Entry)).one()
        corrections.strike(hanako.id, entry.id, note, clock.now())
        assert db.session.scalars(select(Entry.item_id)).all() == ["loaf", "loaf"]


@pytest.mark.parametrize(
    ("asked", "days"),
    [
        ({}, (date(2027, 3, 1), date(2027, 3, 15))),
        (MONTH, (date(2027, 1, 1), date(2027, 1, 31))),
        ({"from": "2027-02-30", "until": "x"}, (date(2027, 3, 1), date(2027, 3, 15))),
        ({"from": "2027-02-03", "until": "2027-01-31"}, (date(2027, 1, 31), date(2027, 1, 31))),
        ({"from": "0001-01-01", "until": "9999-12-31"}, (date(2027, 3, 1), date(2027, 3, 15))),
        ({"from": "2000-01-01", "until": "2027-01-31"}, (date(2017, 1, 23), date(2027, 1, 31))),
    ],
)
def test_which_days(asked: dict[str, str], days: tuple[date, date]) -> None:
    """What an address does not say, or says wrongly, is this month so far; ten years are the longest."""
    found = Question.read(asked, date(2027, 3, 15))
    assert (found.first, found.last) == days


def test_the_month_that_is_over() -> None:
    """On any day of a month the one before, from its first day to its last."""
    found = reports.last_month(date(2028, 3, 1))
    assert (found.first, found.last, found.by_platform) == (date(2028, 2, 1), date(2028, 2, 29), True)


@on_sqlite
@pytest.mark.parametrize("path", [REPORTS, f"{REPORTS}.csv"])
def test_nobody_else(container: Container, path: str) -> None:
    """Neither a stranger nor a buyer reads them."""
    assert container.app.test_client().get(path).status_code == 401
    assert container.get(path).status_code == 401
