"""Stock, per-customer limits and sale windows: shown on the page, enforced where the sale is made."""

import re
from datetime import timedelta
from functools import partial

import pytest
from flask import Flask
from lxml import html
from sqlalchemy import update

from storefront import clock
from storefront.db import transaction
from storefront.mixi.payments import Payment, Status
from storefront.shop.catalog import Item
from tests.street import HANAKO, TARO, Books, Container, at_once, only_form, says, sentence

pytestmark = pytest.mark.money


def limit(app: Flask, item: str, **values: object) -> None:
    with app.app_context(), transaction() as session:
        session.execute(update(Item).filter_by(id=item).values(values))


def test_shown_on_the_page(container: Container) -> None:
    """How many are left, and how many one person may have."""
    shelf = html.fromstring(container.get("/").text)
    told = {item: shelf.cssselect(f"[data-item={item}] .limits")[0] for item in ("fireworks", "ticket")}
    assert {item: re.findall(r"\d+", said.text_content()) for item, said in told.items()} == {
        "fireworks": ["5"],
        "ticket": ["1"],
    }


def test_many_screens_cannot_beat_the_stock(app: Flask, container: Container, books: Books) -> None:
    """Eight payment screens for five fireworks, confirmed at the same moment: five are sold."""
    codes = [container.start("fireworks") for _ in range(8)]
    answers: list[int] = []
    at_once(
        *[partial(lambda code: answers.append(container.callback(code).status_code), code) for code in codes]
    )
    assert sorted(answers) == [200] * 5 + [409] * 3
    assert (books.grants(), books.earned()) == (5, 2500)


def test_many_screens_cannot_beat_the_limit(app: Flask, container: Container, books: Books) -> None:
    """Four tickets at once for one person: one; the next person has theirs."""
    codes = [container.start("ticket") for _ in range(4)]
    answers: list[int] = []
    at_once(
        *[partial(lambda code: answers.append(container.callback(code).status_code), code) for code in codes]
    )
    assert sorted(answers) == [200, 409, 409, 409]
    assert container.callback(container.start("ticket", TARO), TARO).text == "OK"
    assert books.grants() == 2


def test_the_reason_is_on_the_finish_page(app: Flask, container: Container, books: Books) -> None:
    """Refused when mixi asked: nothing was charged, nothing given, and the page says why."""
    limit(app, "fireworks", stock=1)
    late = container.start("fireworks", TARO)
    assert container.callback(container.start("fireworks")).text == "OK"
    assert container.callback(late, TARO).status_code == 409
    assert (books.status(late), books.grants()) == (Status.CREATE, 1)
    page = container.get("/mixi/finish", TARO, point_code=late, status="20")
    assert "sold_out" in says(page.text)
    assert not page.text.count("<form")


def test_refused_once_and_sold_later(app: Flask, container: Container, books: Books) -> None:
    """When there are more again, the same screen can be confirmed."""
    limit(app, "fireworks", stock=0)
    code = sneak(container, app)
    assert container.callback(code).status_code == 409
    limit(app, "fireworks", stock=1)
    assert container.callback(code).text == "OK"
    assert books.grants() == 1


def sneak(container: Container, app: Flask) -> str:
    limit(app, "fireworks", stock=1)
    code = container.start("fireworks")
    limit(app, "fireworks", stock=0)
    return code


def test_using_up_gives_none_back(container: Container, books: Books) -> None:
    """Who has used the one ticket may not buy another."""
    container.callback(container.start("ticket"))
    container.post(*only_form(container.get("/inventory").text))
    assert "limit_reached" in says(container.get("/items/ticket").text)


@pytest.mark.parametrize(
    ("window", "reason"),
    [
        ({"on_sale_from": timedelta(hours=1)}, "not_yet"),
        ({"on_sale_until": timedelta(hours=-1)}, "over"),
        ({"stock": 0}, "sold_out"),
    ],
)
def test_what_is_not_for_sale(
    app: Flask, container: Container, books: Books, window: dict[str, timedelta | int], reason: str
) -> None:
    """No button, the reason in its place; a form that was open already starts nothing."""
    form = only_form(container.get("/items/coat").text)
    values = {
        name: value if isinstance(value, int) else clock.now() + value for name, value in window.items()
    }
    limit(app, "coat", **values)
    (row,) = html.fromstring(container.get("/").text).cssselect("[data-item=coat]")
    page = container.get("/items/coat")
    assert row.cssselect(".limits")[0].text == sentence(page.text, reason)
    assert "<form" not in page.text
    answer = container.post(*form)
    assert answer.status_code == 409
    assert says(answer.text) == {reason, "nothing-paid"}
    assert books.payments() == 0


def test_the_sale_ends_while_the_screen_is_open(app: Flask, container: Container, books: Books) -> None:
    """What counts is the moment mixi asks."""
    code = container.start("coat", HANAKO)
    limit(app, "coat", on_sale_until=clock.now() - timedelta(seconds=1))
    assert container.callback(code).status_code == 409
    assert books.grants() == 0


def test_a_payment_has_an_age(app: Flask, container: Container, books: Books) -> None:
    """A payment parked for longer than half an hour is refused, and the finish page says why."""
    code, fresh_one = container.start("loaf"), container.start("loaf")
    ago = {code: timedelta(seconds=1801), fresh_one: timedelta(seconds=1790)}
    for each, age in ago.items():
        with app.app_context(), transaction() as session:
            at = clock.now() - age
            session.execute(update(Payment).filter_by(point_code=each).values(created_at=at))
    assert container.callback(code).status_code == 409
    assert container.callback(fresh_one).text == "OK"
    assert (books.status(code), books.grants()) == (Status.CREATE, 1)
    assert "expired" in says(container.get("/mixi/finish", point_code=code).text)
