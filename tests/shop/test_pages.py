"""The pages of the shop, as their reader sees them."""

import re

import pytest
from lxml import html

from tests.street import (
    HANAKO,
    SHOP,
    TARO,
    Books,
    Container,
    buy_button,
    heading,
    kind,
    links,
    only_form,
    says,
    sentence,
    words,
)


def holding(container: Container, item: str, owner: str = HANAKO) -> int | None:
    page = html.fromstring(container.get("/inventory", owner).text)
    found = page.cssselect(f'[data-item="{item}"]')
    return int(found[0].attrib["data-quantity"]) if found else None


def give(container: Container, item: str, owner: str = HANAKO) -> str:
    code = container.start(item, owner)
    assert container.callback(code, owner).text == "OK"
    return code


def test_the_shelf_sells_everything(container: Container) -> None:
    """Every item with its price as icon, number and pt."""
    page = html.fromstring(container.get("/").text)
    cards = page.cssselect(".shelf > li")
    assert len(cards) == 11
    read_aloud = str(cards[0].cssselect(".amount img")[0].get("alt"))
    assert re.fullmatch(r"\S.* ", read_aloud)  # and not one word with the number
    assert cards[0].cssselect(".amount")[0].text_content() == "10pt"
    assert "4,800pt" in page.text_content()


def test_before_the_button_is_pressed(container: Container) -> None:
    """Beside the button: what happens next, when it is delivered, that it cannot be returned, the law."""
    page = container.get("/items/excalibur").text
    assert "100pt" in buy_button(page)
    assert says(page) >= {"what-comes-next", "delivery", "no-returns"}
    assert "/legal" in " ".join(links(page))


def test_an_empty_bag_teaches(container: Container) -> None:
    """Nothing yet: the cheapest item is one tap away."""
    page = container.get("/inventory")
    assert "まるパン 10pt" in words(page.text)
    assert "http://shop.test:8000/items/loaf" in links(page.text)


def test_bag_and_use(container: Container) -> None:
    """Two loaves, one eaten, one left; the other person's bag is none of it."""
    give(container, "loaf")
    give(container, "loaf")
    assert holding(container, "loaf") == 2
    assert holding(container, "loaf", TARO) is None
    form = only_form(container.get("/inventory").text)
    answer = container.post(*form)
    assert answer.status_code == 302
    assert answer.location.startswith("http://platform.test/ma/12345/?guid=ON&url=")
    assert holding(container, "loaf") == 1


def test_using_twice_by_one_form(container: Container) -> None:
    """The same form uses one, however often it is sent."""
    give(container, "loaf")
    give(container, "loaf")
    form = only_form(container.get("/inventory").text)
    assert {container.post(*form).status_code for _ in range(3)} == {302}
    assert holding(container, "loaf") == 1


def test_what_was_used_is_said(container: Container) -> None:
    """The bag says what a press did, by the book, and the same if the press is repeated."""
    for _ in range(3):
        give(container, "loaf")
    bag = container.get("/inventory").text
    form = only_form(bag)
    first, again = (container.follow(container.post(*form)) for _ in range(2))
    for page in (first, again):
        assert used(page.text) == "まるパン"
        assert re.findall(r"\d+", sentence(page.text, "left")) == ["2"]
    assert use_button(first.text) not in ("", use_button(bag))  # it says: another
    last = container.follow(container.post(*only_form(container.get("/inventory").text)))
    assert re.findall(r"\d+", sentence(last.text, "left")) == ["1"]
    gone = container.follow(container.post(*only_form(last.text)))
    assert (used(gone.text), says(gone.text) & {"left", "last"}) == ("まるパン", {"last"})


def used(text: str) -> str | None:
    """The name of the item that the bag says was used."""
    for said in html.fromstring(text).cssselect("[data-used]"):
        return next(name for name in ("まるパン", "エクスカリバー") if name in said.text_content())
    return None


def use_button(text: str) -> str:
    """What the first button of the bag says."""
    return str(html.fromstring(text).cssselect("form input[type=submit]")[0].get("value"))


@pytest.mark.parametrize("pressed", ["A" * 16, "x", "%00", ""])
def test_what_nobody_used_is_not_said(container: Container, pressed: str) -> None:
    """An address alone claims nothing, and what another has used is none of mine."""
    give(container, "loaf")
    give(container, "loaf", TARO)
    pressed_by_taro = container.post(*only_form(container.get("/inventory", TARO).text), owner=TARO)
    taros = pressed_by_taro.location.rpartition("used%3D")[2]
    for nonce in (pressed, taros):
        page = container.get("/inventory", used=nonce)
        assert used(page.text) is None
        assert "not-used" in says(page.text) or not nonce


def test_using_what_is_gone(container: Container) -> None:
    """Two open pages, one loaf: the second press uses nothing, says so, and nothing falls below zero."""
    give(container, "loaf")
    first, second = (only_form(container.get("/inventory").text) for _ in range(2))
    container.post(*first)
    answer = container.post(*second)
    assert answer.status_code == 302
    assert "not-used" in says(container.follow(answer).text)
    assert holding(container, "loaf") is None


def test_back_to_the_place_on_the_shelf(container: Container) -> None:
    """An item's page leads back to where it stands: the shelf has an element of its name."""
    (back,) = html.fromstring(container.get("/items/moss").text).cssselect(".up a")
    assert str(back.get("href")).endswith("%2F#moss")
    assert html.fromstring(container.get("/").text).cssselect("#moss[data-item=moss]")


def test_the_sign_leads_home(container: Container) -> None:
    """The shop's name, on every page that knows its visitor, leads to the shelf."""
    for path in ("/inventory", "/history", "/items/loaf", "/nowhere"):
        (home,) = html.fromstring(container.get(path).text).cssselect(".sign a")
        assert str(home.get("href")) == "?guid=ON&url=http%3A%2F%2Fshop.test%3A8000%2F"


def test_a_sword_is_not_used_up(container: Container) -> None:
    """What is kept for good has no use button."""
    give(container, "excalibur")
    assert not html.fromstring(container.get("/inventory").text).forms


@pytest.mark.parametrize("token", ["", "x"])
def test_use_needs_our_form(container: Container, token: str) -> None:
    """A form that we did not make uses nothing."""
    give(container, "loaf")
    assert container.post("/inventory/loaf/use", {"token": token}).status_code == 400
    assert holding(container, "loaf") == 1


def test_history(container: Container) -> None:
    """Newest first: item, points, state and moment of every purchase, and nobody else's."""
    bought, left = give(container, "excalibur"), container.start("loaf")
    stopped = container.start("moss")
    container.callback(stopped, status="20")
    rows = html.fromstring(container.get("/history").text).cssselect("[data-payment]")
    assert [(row.get("data-payment"), row.get("data-state")) for row in rows] == [
        (stopped, "cancel"),
        (left, "create"),
        (bought, "complete"),
    ]
    text = " ".join(rows[2].text_content().split())
    assert "エクスカリバー" in text
    assert "100pt" in text
    assert "data-payment" not in container.get("/history", TARO).text


def test_a_long_history_has_pages(container: Container) -> None:
    """Eight on a page of a mobile phone, the rest a tap away."""
    for _ in range(9):
        container.start("loaf")
    first = html.fromstring(container.get("/history").text)
    second = html.fromstring(container.get("/history", page="1").text)
    assert [len(page.cssselect("[data-payment]")) for page in (first, second)] == [8, 1]
    assert container.get("/history", page="-5").status_code == 200
    assert container.get("/history", page="x").status_code == 200
    assert container.get("/history", page="9" * 30).status_code == 200


def test_finish_shows_our_state(container: Container, books: Books) -> None:
    """The address may claim what it likes: the page says what our books say, and gives nothing."""
    code = container.start("excalibur")
    page = container.get("/mixi/finish", point_code=code, status="10")
    assert page.status_code == 200
    assert f'data-payment="{code}" data-state="create"' in page.text
    assert books.grants() == 0
    container.callback(code)
    page = container.get("/mixi/finish", point_code=code, status="20")
    assert f'data-payment="{code}" data-state="complete"' in page.text
    assert "エクスカリバー" in heading(page.text)
    assert books.grants() == 1


def test_finish_after_cancelling(container: Container) -> None:
    """Cancelled is said, and that no points were used."""
    code = container.start()
    container.callback(code, status="20")
    page = container.get("/mixi/finish", point_code=code, status="20").text
    assert f'data-payment="{code}" data-state="cancel"' in page
    assert "nothing-paid" in says(page)


def test_finish_is_for_the_owner(container: Container) -> None:
    """taro learns nothing about hanako's payment, not even that there is one."""
    code = container.start()
    assert container.get("/mixi/finish", TARO, point_code=code).status_code == 404
    assert container.get("/mixi/finish", point_code="a\0").status_code == 404
    assert container.app.test_client().get(f"/mixi/finish?point_code={code}").status_code == 401


def test_an_unfinished_purchase_can_be_tried_again(container: Container, books: Books) -> None:
    """One tap on the finish page makes a fresh payment."""
    code = container.start()
    page = container.get("/mixi/finish", point_code=code, status="20")
    assert container.post(*only_form(page.text)).status_code == 302
    assert books.payments() == 2


def test_finish_goes_on_in_the_buyers_language(container: Container) -> None:
    """The finish address carries no language, the payment remembers it."""
    action, fields = only_form(container.get("/items/excalibur", lang="en").text)
    assert container.post(action, fields, lang="en").status_code == 302
    code = html.fromstring(container.get("/history").text).cssselect("[data-payment]")[0].get("data-payment")
    page = container.get("/mixi/finish", point_code=str(code), status="10").text
    assert '<html lang="en">' in page
    assert "lang%3Den" in page
    assert '<html lang="ja">' in container.get("/mixi/finish", point_code=str(code), lang="ja").text


def test_legal_notice_says_what_is_missing(container: Container) -> None:
    """Unfilled fields say so."""
    fields = html.fromstring(container.get("/legal").text).cssselect("[data-says=not-filled-in]")
    assert [bool(field.text_content()) for field in fields] == [True] * 7


@pytest.mark.parametrize(("path", "method", "status"), [("/nowhere", "GET", 404), ("/", "POST", 405)])
def test_lost(container: Container, path: str, method: str, status: int) -> None:
    """A wrong turn ends on a page with the way back."""
    answer = container.send(method, path, HANAKO, {})
    assert answer.status_code == status
    assert kind(answer.text) == "error"
    assert html.fromstring(answer.text).cssselect("main h1 ~ p a.button")
    assert f"{SHOP}/" in links(answer.text)


def test_health(container: Container) -> None:
    """The process lives; the database answers and is migrated."""
    browser = container.app.test_client()
    assert browser.get("/healthz").status_code == 200
    assert browser.get("/readyz").text == "ready\n"


def test_names_are_escaped(container: Container) -> None:
    """Nothing of an address is markup in a page."""
    answer = container.get("/items/<script>alert(1)</script>")
    assert answer.status_code == 404
    assert "<script" not in answer.text
