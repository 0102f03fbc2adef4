"""Goods without a deploy: paused, stock, limit and window; it wins over the file until it is given back."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from lxml import html
from sqlalchemy import select

from storefront import Settings, clock
from storefront.db import db, transaction
from storefront.operator import goods, goods_views
from storefront.operator.goods import Outdated, Wish
from storefront.shop import adjustments, books, catalog, inventory
from storefront.shop.adjustments import Adjustment, Field
from storefront.shop.catalog import Item
from tests.command import run
from tests.databases import on_sqlite
from tests.operators import Operator, fields_of, in_words
from tests.street import GOODS, TARO, Container, at_once, says, words

PAGE = "/operator/items/fireworks"


def item(app: Flask, item_id: str = "fireworks") -> Item:
    with app.app_context():
        found = db.session.get_one(Item, item_id)
        db.session.refresh(found)
        db.session.expunge(found)
        return found


def load(app: Flask, path: Path = GOODS) -> None:
    with app.app_context(), transaction() as session:
        catalog.load(session, path)


def change(operator: Operator, changed: dict[str, str], path: str = PAGE) -> int:
    return operator.fill(path, changed).status_code


@pytest.mark.money
def test_a_paused_item_is_sold_to_nobody(container: Container, operator: Operator) -> None:
    """Not at the button, and not to who has its payment screen open; resumed, it is sold again."""
    code = container.start("fireworks")
    assert change(operator, {"paused": "yes"}) == 303
    assert 'data-reason="paused"' in container.get("/items/fireworks", TARO).text
    assert "paused" in says(container.get("/items/fireworks", TARO).text)
    assert container.callback(code).status_code == 409
    assert change(operator, {"paused": ""}) == 303
    assert container.callback(code).text == "OK"
    assert not item(container.app).paused


@pytest.mark.money
def test_stock_is_counted_from_then_on(container: Container, operator: Operator) -> None:
    """What had no stock is counted with all that was sold of it; without one it is counted no more."""
    app = container.app
    assert container.callback(container.start("loaf")).text == "OK"
    assert change(operator, {"stock": "2"}, "/operator/items/loaf") == 303
    assert 'data-left="1"' in container.get("/items/loaf", TARO).text
    code, late = container.start("loaf", TARO), container.start("loaf")
    assert container.callback(code, TARO).text == "OK"
    assert container.callback(late).status_code == 409
    assert 'data-left="0"' in operator.get("/operator/items/loaf").text
    with app.app_context():
        assert not books.check(db.session()).stocks
    assert change(operator, {"stock": ""}, "/operator/items/loaf") == 303
    assert "data-left" not in container.get("/items/loaf").text
    with app.app_context():
        assert inventory.sold(db.session(), ["loaf"]) == {}


def in_the_file(operator: Operator) -> str:
    """What the page says of the stock in the catalogue's file."""
    (said, *_) = html.fromstring(operator.get(PAGE).text).cssselect("[data-field=stock] .quiet")
    return "".join(re.findall(r"\d", said.text_content()))


@on_sqlite
def test_it_wins_over_the_file(app: Flask, operator: Operator, settings: Settings, tmp_path: Path) -> None:
    """Whatever the file says, `catalog` and `upgrade` leave it and say so, until it is given back."""
    assert change(operator, {"stock": "20", "per_customer": "3", "remark": "a lorry came"}) == 303
    text = GOODS.read_text().replace("  stock: 5\n", "  stock: 7\n").replace("mixi: 80", "mixi: 90")
    other = tmp_path / "other.yaml"
    other.write_text(text)
    only = run(settings, "catalog", "--differences", str(other))
    today = clock.day(clock.now())
    assert only.stdout.splitlines() == [
        "tidetable: price at mixi 80 -> 90",
        "fireworks: stock 5 -> 7",
        f"fireworks: stock stays 20, set by Umi on {today}; the file says 7",
        f"fireworks: per_customer stays 3, set by Umi on {today}; the file says none",
    ]
    assert in_the_file(operator) == "5"
    assert run(settings, "catalog", str(other)).stdout.startswith(only.stdout)
    assert (item(app).stock, item(app).per_customer) == (20, 3)
    assert in_the_file(operator) == "7"
    said = run(settings, "upgrade").stdout
    assert f"fireworks: stock stays 20, set by Umi on {today}; the file says 5" in said
    assert (item(app).stock, item(app).per_customer) == (20, 3)
    assert change(operator, {"file-stock": "y"}) == 303
    assert (item(app).stock, item(app).per_customer) == (5, 3)
    assert "stock stays" not in run(settings, "upgrade").stdout
    notes = html.fromstring(operator.get(PAGE).text).cssselect("[data-says~=stock]")
    assert [str(note.get("data-says")) for note in notes] == ["stock given-back", "stock set"]
    assert "Umi" in notes[0].text_content()
    assert " 20 ・ Umi: a lorry came" in notes[1].text_content()


@on_sqlite
def test_a_window(app: Flask, operator: Operator, container: Container) -> None:
    """In Japan's time, as in the file; one that ends before it begins is refused, all of it."""
    assert change(operator, {"on_sale_from": "2027-01-31T18:00"}) == 303
    assert item(app).on_sale_from == datetime(2027, 1, 31, 9, tzinfo=UTC)
    assert 'value="2027-01-31T18:00"' in operator.get(PAGE).text
    assert 'data-reason="not_yet"' in container.get("/items/fireworks").text
    refused = operator.fill(PAGE, {"on_sale_until": "2027-01-31T18:00", "stock": "9"})
    assert refused.status_code == 422
    assert in_words(app, goods.NO_WINDOW) in words(refused.text)
    assert 'value="9"' in refused.text
    assert (item(app).on_sale_until, item(app).stock) == (None, 5)
    load(app)
    assert item(app).on_sale_from == datetime(2027, 1, 31, 9, tzinfo=UTC)
    assert change(operator, {"file-on_sale_from": "y"}) == 303
    assert item(app).on_sale_from is None


@pytest.mark.parametrize(
    "changed",
    [
        {"stock": "-1"},
        {"stock": "1.5"},
        {"stock": "２"},
        {"stock": "99999999999"},
        {"per_customer": "0"},
        {"on_sale_from": "2027-02-30T00:00"},
        {"on_sale_until": "soon"},
        {"on_sale_until": "\0"},
        {"stock": "9", "by": ""},
        {"stock": "9", "by": "x" * 65},
        {"stock": "9", "remark": "x" * 201},
        {"stock": "9", "remark": "\0"},
    ],
    ids=str,
)
def test_what_cannot_be_set(app: Flask, operator: Operator, changed: dict[str, str]) -> None:
    """It says why, keeps what was typed, and sets nothing."""
    form = {**fields_of(operator.get(PAGE).text, PAGE), **changed}
    page = operator.post(PAGE, form)
    assert page.status_code == 422
    assert 'data-refused="goods"' in page.text
    with app.app_context():
        assert not db.session.scalars(select(Adjustment)).all()


@on_sqlite
def test_two_windows(app: Flask, operator: Operator) -> None:
    """Whose form another has overtaken is told, and undoes nothing; one sent twice sets once."""
    form = fields_of(operator.get(PAGE).text, PAGE)
    assert operator.post(PAGE, {**form, "stock": "6"}).status_code == 303
    late = operator.post(PAGE, {**form, "stock": "8"})
    assert late.status_code == 409
    assert 'value="6"' in late.text
    assert item(app).stock == 6
    assert operator.post(PAGE, {**form, "stock": "6"}).status_code == 303
    with app.app_context():
        assert len(adjustments.of("fireworks", 9)) == 1
    assert Operator(app).post(PAGE, form).status_code == 400
    loaf = fields_of(operator.get("/operator/items/loaf").text, "/operator/items/loaf")
    assert operator.post(PAGE, loaf).status_code == 400


@pytest.mark.money
def test_at_the_same_moment(app: Flask) -> None:
    """Of two operators who set one item at once, one is overtaken, and told."""
    overtaken: list[str] = []

    def set_(number: int) -> None:
        with app.app_context():
            try:
                wish = Wish({Field.STOCK: number}, [], "Umi", "")
                goods.change("fireworks", wish, 0, clock.now())
            except Outdated:
                overtaken.append("one")

    at_once(*[lambda number=number: set_(number) for number in (6, 7, 8)])
    assert len(overtaken) == 2
    assert item(app).stock in (6, 7, 8)


@on_sqlite
def test_the_list(app: Flask, operator: Operator) -> None:
    """Every item with its prices, what is left, and what was set."""
    change(operator, {"paused": "yes"})
    text = operator.get("/operator/items").text
    assert '<li data-item="fireworks" data-paused="yes">' in text
    (left,) = html.fromstring(text).cssselect('[data-item=fireworks] [data-left="5"]')
    assert re.findall(r"\d+", left.text_content()) == ["5", "5"]
    assert f"<mark>{in_words(app, goods_views.FIELDS[Field.PAUSED])}</mark>" in text
    assert text.count("<mark>") == 1


@on_sqlite
@pytest.mark.parametrize(("method", "path"), [("GET", "/operator/items"), ("GET", PAGE), ("POST", PAGE)])
def test_nobody_else(container: Container, method: str, path: str) -> None:
    """Neither a stranger nor a buyer sets anything."""
    assert container.app.test_client().open(path, method=method).status_code == 401
    assert container.send(method, path, TARO, {}).status_code == 401
