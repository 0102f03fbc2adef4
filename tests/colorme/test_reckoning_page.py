"""The open page that reckons a contract: by an address alone, each value with its source."""

import pytest
from flask import Flask
from lxml import html
from lxml.html import HtmlElement

from tests.databases import on_sqlite
from tests.street import KANA

pytestmark = on_sqlite

CHAINED = {"form": "monthly_usage", "monthly": "2000", "trial_days": "0", "usage": "0"}


def test_the_example(app: Flask) -> None:
    """Without a question it shows the documents' own example, P11, to who has no visit."""
    page = asked(app)
    assert page.xpath("//*[@data-charged-from]/@data-charged-from") == ["2021-07-21"]
    assert bills(page)[0] == ("2021-07-21", "2021-08-31", [1064, 3000], 4470)
    assert days(page)[:5] == [
        ("installed", "2021-07-10", "stated"),
        ("trial", "2021-07-11", "stated"),
        ("reminded", "2021-07-17", "read"),
        ("reminded", "2021-07-19", "read"),
        ("charged_from", "2021-07-21", "stated"),
    ]


@pytest.mark.parametrize(
    ("form", "bill"),
    [
        ("one_time", (None, None, [9800], 10780)),
        ("monthly", ("2021-07-21", "2021-08-31", [1064, 3000], 4470)),
        ("monthly_initial", ("2021-07-21", "2021-08-31", [1064, 3000, 5000], 9970)),
        ("monthly_usage", ("2021-07-21", "2021-08-09", [1935, 1500], 3778)),
        ("usage", ("2021-07-10", "2021-08-09", [1500], 1650)),
    ],
)
def test_each_form(app: Flask, form: str, bill: object) -> None:
    """Every form has its first bill; what it has not of the amounts and of the trial is passed over."""
    page = asked(app, form=form)
    assert bills(page)[0] == bill


def test_free(app: Flask) -> None:
    """A free plan has a day of install and nothing else."""
    page = asked(app, form="free")
    assert bills(page) == []
    assert days(page) == [("installed", "2021-07-10", "stated")]


def test_at_the_install(app: Flask) -> None:
    """What is collected with an install ends no contract: that nothing is installed then is ours."""
    for asked_for in ({"form": "one_time"}, {"form": "monthly", "trial_days": "0"}):
        told = days(asked(app, **asked_for))
        assert ("paid_at_once", "2021-07-10", "stated") in told
        assert ("short", "2021-07-10", "ours") in told
        assert ("collected", "2021-07-10", "stated") not in told


def test_both_readings(app: Flask) -> None:
    """Q4 and its other reading: what is read is marked as read, and the reading is told."""
    long = asked(app, installed_on="2021-04-05", **CHAINED)
    assert bills(long)[0] == ("2021-04-05", "2021-05-09", [322, 2000], 2554)
    short = asked(app, installed_on="2021-04-05", first_period="running_block", **CHAINED)
    assert bills(short)[0] == ("2021-04-05", "2021-04-09", [322], 354)
    for page in (long, short):
        (period,) = page.xpath("//*[@data-bill='1']/p/*[@data-source]")
        assert (period.get("data-source"), period.get("href")) == ("read", "#first_period")
        assert page.xpath("//*[@id='first_period']")


def test_every_value_has_its_source(app: Flask) -> None:
    """Each day, line and sum bears a source, and each reading that it names is told below."""
    for form in ("one_time", "monthly", "monthly_initial", "monthly_usage", "usage"):
        page = asked(app, form=form, installed_on="2019-09-05", usage="1000050")
        values = page.xpath("//*[@data-day or @data-line or @data-tax or @data-total or @data-sum]")
        assert values
        for value in values:
            assert len(value.xpath(".//*[@data-source]")) == 1, html.tostring(value)
        named = {link.removeprefix("#") for link in page.xpath("//a[contains(@class, 'origin')]/@href")}
        told = set(page.xpath("//*[contains(@class, 'readings')]/li/@id"))
        assert named == told if form in ("one_time", "monthly", "monthly_initial") else named <= told


def test_reports(app: Flask) -> None:
    """Usage beyond one report is told in its parts; below the least of one, it is not collected."""
    page = asked(app, form="usage", usage="1000050")
    assert "999,950 + 100" in page.text_content()
    page = asked(app, form="usage", usage="99")
    assert bills(page)[0][2] == []


NOT_UNDERSTOOD = [
    ("form", "yearly"),
    ("form", ""),
    ("installed_on", "2021-02-29"),
    ("installed_on", "2014-03-31"),
    ("installed_on", "9999-12-31"),
    ("installed_on", "20210710"),
    ("trial_days", "2"),
    ("trial_days", "91"),
    ("trial_days", "-3"),
    ("monthly", "99"),
    ("initial", "1000001"),
    ("price", "1e3"),
    ("price", "９８００"),
    ("usage", "9" * 5000),
    ("usage", "100000001"),
    ("first_period", "both"),
]


def test_not_understood(app: Flask) -> None:
    """What cannot be reckoned is a 400 that marks the field, and keeps what else was said."""
    for name, value in NOT_UNDERSTOOD:
        answer = app.test_client().get("/colorme/reckoning", query_string={"price": "1234", name: value})
        page = html.fromstring(answer.text)
        assert (name, value, answer.status_code) == (name, value, 400)
        assert page.xpath("//*[@aria-invalid]/@name") == [name]
        assert bills(page) == []
        if name != "price":
            assert page.xpath("//input[@name='price']/@value") == ["1234"]


def test_unsaid_and_unknown(app: Flask) -> None:
    """Other parameters change nothing, whatever the framework calls its own."""
    page = asked(app, _external="1", endpoint="shop.index", _anchor="x", lang="en")
    assert bills(page)[0][3] == 4470


def test_languages(app: Flask) -> None:
    """The switch keeps the question; nothing is left in English on the Japanese page."""
    page = asked(app, monthly="980", lang="ja")
    assert KANA.search(page.xpath("//h1")[0].text_content())
    others = page.xpath("//footer//a/@href")
    assert any("lang=en" in other for other in others)
    assert all("monthly=980" in other for other in others)


@pytest.mark.changed(colorme_client_id="", colorme_client_secret=None, colorme_webhook_secret=None)
def test_no_counter_no_page(app: Flask) -> None:
    """Where the counter has no keys, it has no pages either."""
    assert app.test_client().get("/colorme/reckoning").status_code == 404


def asked(app: Flask, **query: str) -> HtmlElement:
    answer = app.test_client().get("/colorme/reckoning", query_string=query)
    assert answer.status_code == 200, answer.text
    return html.fromstring(answer.text)


def bills(page: HtmlElement) -> list[tuple[str | None, str | None, list[int], int]]:
    """Of each bill first and last day, the yen of its lines, and what is collected."""
    return [
        (
            bill.get("data-period-first"),
            bill.get("data-period-last"),
            [int(yen) for yen in bill.xpath(".//@data-yen")],
            int(bill.xpath(".//@data-total")[0]),
        )
        for bill in page.xpath("//*[@data-bill]")
    ]


def days(page: HtmlElement) -> list[tuple[str, str, str]]:
    return [
        (row.get("data-day"), row.xpath(".//time/@datetime")[0], row.xpath(".//@data-source")[0])
        for row in page.xpath("//*[@data-day]")
    ]
