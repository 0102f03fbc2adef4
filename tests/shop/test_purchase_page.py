"""The page of one purchase: what was bought, what became of the money, and the code that support asks for."""

import pytest
from lxml import html
from sqlalchemy import update

from storefront import clock
from storefront.db import transaction
from storefront.mixi.payments import Payment, Status
from tests.databases import on_sqlite
from tests.street import HANAKO, KANA, TARO, Container, links, says, sentence, words


def bought(container: Container, item: str = "loaf") -> str:
    code = container.start(item)
    assert container.callback(code).text == "OK"
    return code


def became(container: Container, code: str, status: Status, *, is_test: bool = False) -> None:
    with container.app.app_context(), transaction() as session:
        values = {"status": status, "confirmed_at": clock.now(), "is_test": is_test}
        session.execute(update(Payment).filter_by(point_code=code).values(values))


def test_each_row_leads_to_its_page(container: Container) -> None:
    """A row of the history is a link to the page of its purchase, which leads back, and to the item."""
    code = bought(container)
    (row,) = html.fromstring(container.get("/history").text).cssselect("[data-payment] > a")
    address = f"http://shop.test:8000/history/mixi/{code}"
    assert links(html.tostring(row, encoding="unicode")) == [address]
    page = container.get(f"/history/mixi/{code}")
    assert f'data-payment="{code}" data-state="complete"' in page.text
    assert {"http://shop.test:8000/history", "http://shop.test:8000/items/loaf"} <= set(links(page.text))
    assert code in words(page.text)


@on_sqlite
@pytest.mark.parametrize(
    ("status", "said", "sum_said"),
    [
        (Status.CREATE, "nothing-paid", False),
        (Status.COMPLETE, "paid", True),
        (Status.CANCEL, "nothing-paid", False),
        (Status.PAY_BACK, "paid-back", True),
        (Status.VOID, "nothing-paid", True),
    ],
)
def test_money_is_a_sentence(container: Container, status: Status, said: str, sum_said: bool) -> None:
    """However it ended, it is said what became of the points, here and on the page after the purchase."""
    code = bought(container)
    became(container, code, status)
    for path, query in ((f"/history/mixi/{code}", {}), ("/mixi/finish", {"point_code": code})):
        if status is Status.CREATE and query:
            continue  # it may still be bought there
        ja, en = (sentence(container.get(path, lang=lang, **query).text, said) for lang in ("ja", "en"))
        assert [bool(KANA.search(told)) for told in (ja, en)] == [True, False], (ja, en)
        assert ["10pt" in told for told in (ja, en)] == [sum_said] * 2, (ja, en)


def test_a_test_used_no_points(container: Container) -> None:
    """Whatever the price, a test purchase is said to have cost nothing."""
    code = bought(container)
    became(container, code, Status.COMPLETE, is_test=True)
    page = container.get(f"/history/mixi/{code}").text
    assert says(page) >= {"test", "nothing-paid"}
    assert "paid" not in says(page)


def test_the_course_of_it(container: Container) -> None:
    """What happened stands in its sequence, with its moments; what is awaited has none."""
    code = container.start("loaf")
    (_, awaited) = html.fromstring(container.get(f"/history/mixi/{code}").text).cssselect(".course li")
    assert (awaited.get("class"), awaited.cssselect("time")) == ("open", [])
    container.callback(code)
    turns = html.fromstring(container.get(f"/history/mixi/{code}").text).cssselect(".course li")
    assert [len(turn.cssselect("time")) for turn in turns] == [1, 1, 0]
    assert len({str(turn.text).strip() for turn in turns} - {""}) == 3


def test_nobody_elses(container: Container) -> None:
    """It is its buyer's alone: to others, and at another counter, there is no such page."""
    code = bought(container)
    page = f"/history/mixi/{code}"
    nowhere = words(container.get("/history/mixi/nothing", TARO).text)
    assert container.get(page, HANAKO).status_code == 200
    answer = container.get(page, TARO)
    assert (answer.status_code, words(answer.text)) == (404, nowhere)
    assert container.app.test_client().get(page).status_code == 401
    for path in (f"external/{code}", f"colorme/{code}", f"nowhere/{code}", "mixi/" + "x" * 500):
        assert container.get(f"/history/{path}").status_code == 404, path


def test_looking_changes_nothing(container: Container) -> None:
    """It is read and nothing else: no question to mixi, no form, and no other method."""
    code = bought(container)
    page = container.get(f"/history/mixi/{code}")
    assert not html.fromstring(page.text).forms
    assert container.post(f"/history/mixi/{code}", {}).status_code == 405
    assert container.get(f"/history/mixi/{code}").text == page.text
