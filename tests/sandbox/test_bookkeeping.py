"""The books of a real shop: bags and histories are read on a press, and what differs is found."""

from typing import Any

import pytest
from lxml import html
from sqlalchemy import select

from storefront import clock
from storefront.db import transaction
from storefront.mixi.signing import Consumer, Signed, query_pairs
from storefront.sandbox import books
from storefront.sandbox.desk import reading
from storefront.shop import inventory
from storefront.shop.customers import Customer
from tests.sandbox import test_attack
from tests.sandbox.conftest import APP, PLATFORM, SHOP, Phone
from tests.sandbox.test_attack import ITEM, Street

pytestmark = pytest.mark.long

street = test_attack.street


def believing(
    consumer: Consumer, method: str, url: str, query: bytes, authorization: str | None, **_times: int
) -> Signed:
    """A shop's check of signatures that checks nothing."""
    return Signed(query_pairs(query), {}, int(clock.now().timestamp()), "")


def read(street: Street) -> dict[str, Any]:
    """Press *read*, then the books for a machine."""
    assert street.phone.press("/desk/books", "/desk/books").status_code == 303
    told = street.phone.get("/desk/books.json").get_json()
    assert isinstance(told, dict)
    return told


def buy(street: Street, device: str = "mobile") -> str:
    street.enter(device)
    payment = street.start(device)
    assert street.phone.buy(f"{PLATFORM}/point/{payment.token}") == "bought"
    return payment.code


def test_bought(street: Street) -> None:
    """After a purchase points and goods agree, item by item."""
    code = buy(street)
    told = read(street)
    assert (told["verdict"], told["first_difference"]) == ("green", None)
    (item,) = told["items"]
    assert (item["item_id"], item["charged"], item["granted"]) == (ITEM, 1, 1)
    (payment,) = told["payments"]
    assert (payment["code"], payment["status"], payment["shop"]) == (code, "complete", "complete")


def test_nothing_is_read_by_looking(street: Street) -> None:
    """Until somebody presses, nobody's bag is opened, and the page says that it does not know."""
    buy(street)
    heard = street.asked().id
    page = html.fromstring(street.phone.get("/desk/books?lang=en").text)
    assert page.cssselect("main[data-verdict=amber]")
    assert "have not been read" in page.text_content()
    street.phone.get("/desk/books.json")
    assert street.asked().id == heard


def test_an_ok_that_nobody_heard(street: Street) -> None:
    """It is amber, says from when on it is void, and leads to its payment."""
    street.enter("mobile")
    street.phone.press("/desk", "/desk/weather", kind="callback.lost", next="1")
    payment = street.start("mobile")
    assert street.phone.buy(f"{PLATFORM}/point/{payment.token}") == "failed"
    told = read(street)
    first = told["first_difference"]
    assert told["verdict"] == "amber"
    assert (first["code"], first["reason"], first["status"]) == (payment.code, books.IN_DOUBT, "create")
    assert first["void_from"]
    shown = html.fromstring(street.phone.get("/desk/books?lang=en").text)
    assert f"/payments/{payment.code}" in [link.get("href") for link in shown.cssselect(".books a")]


def test_a_grant_too_many(street: Street) -> None:
    """Goods that nobody was charged for turn the books red."""
    buy(street)
    with street.shop.app_context(), transaction() as session:
        (customer,) = session.scalars(select(Customer.id))
        inventory.grant(session, customer, ITEM, "a bug", clock.now())
    told = read(street)
    first = told["first_difference"]
    assert told["verdict"] == "red"
    assert (first["kind"], first["item_id"], first["reason"]) == ("item", ITEM, books.TOO_MANY)


@pytest.mark.parametrize("times", [1, 2])
def test_what_was_used(street: Street, times: int) -> None:
    """What was used in the container is not missed, however often its form was sent."""
    buy(street)
    bag = html.fromstring(street.phone.page(f"{SHOP}/inventory").text)
    (form,) = [form for form in bag.forms if "use" in str(form.action)]
    for _ in range(times):
        street.phone.post(f"/ma/{APP}/{form.action}", data=dict(form.form_values()))
    told = read(street)
    assert told["verdict"] == "green"
    (item,) = told["items"]
    assert (item["held"], item["used"]) == (0, 1)


def test_bought_on_a_pc(street: Street) -> None:
    """A customer is the same on every device, so the container's bag has what a PC bought."""
    buy(street, "pc")
    assert read(street)["verdict"] == "green"


def test_a_shop_without_marks(street: Street) -> None:
    """Who cannot be read is named, with the reason, and is amber; the press is no error."""
    buy(street)
    before = street.shop.view_functions["shop.bag"]
    street.shop.view_functions["shop.bag"] = lambda: "<main>no marks</main>"
    told = read(street)
    street.shop.view_functions["shop.bag"] = before
    assert told["verdict"] == "amber"
    assert "do not say which" in street.phone.get("/desk/books?lang=en").text


def test_books_of_ones_own(street: Street) -> None:
    """A stranger's books have none of it."""
    code = buy(street)
    stranger = Phone(street.sandbox.test_client())
    stranger.press("/", "/reset")
    assert code not in stranger.get("/desk/books").text
    assert stranger.get("/desk/books.json").get_json()["verdict"] == "green"


@pytest.mark.parametrize("fault", ["unsigned", "wrong_key", "stale"])
def test_a_shop_that_believes_anything(street: Street, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Goods given for what was forged are red at once, though the shop waits for a confirmation."""
    street.enter("mobile")
    payment = street.start("mobile")
    monkeypatch.setattr("storefront.mixi.signing.Consumer.verify", believing)
    street.phone.press("/desk", "/desk/actions/send", payment=payment.code, decision="bought", fault=fault)
    monkeypatch.undo()
    told = read(street)
    first = told["first_difference"]
    assert told["verdict"] == "red"
    assert (first["code"], first["reason"]) == (payment.code, books.FREE)


def test_the_desk_has_the_verdict(street: Street) -> None:
    """The desk shows how the books stand, and a press there reads them."""
    buy(street)
    assert html.fromstring(street.phone.get("/desk").text).cssselect("[data-books=amber]")
    assert street.phone.press("/desk", "/desk/books").status_code == 303
    assert html.fromstring(street.phone.get("/desk").text).cssselect("[data-books=green]")


@pytest.mark.parametrize("path", ["/desk", "/desk/books"])
def test_nothing_read_nothing_said(street: Street, path: str) -> None:
    """Before anything was read the books have no colour, and say what to press; as they do in amber."""
    page = html.fromstring(street.phone.get(f"{path}?lang=en").text)
    assert page.cssselect(".books.unread")
    read(street)
    street.phone.press("/desk", "/desk/weather", kind="callback.lost", next="1")
    street.enter("mobile")
    payment = street.start("mobile")
    assert street.phone.buy(f"{PLATFORM}/point/{payment.token}") == "failed"
    assert read(street)["verdict"] == "amber"
    (books_now,) = html.fromstring(street.phone.get(f"{path}?lang=en").text).cssselect(".books.amber")
    assert "“Read them now”" in books_now.text_content()


def use(street: Street) -> None:
    """Open the bag, and press its first button to use something."""
    bag = html.fromstring(street.phone.page(f"{SHOP}/inventory").text)
    form = next(form for form in bag.forms if "use" in str(form.action))
    street.phone.post(f"/ma/{APP}/{form.action}", data=dict(form.form_values()))


def test_a_use_that_uses_nothing(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was used and is all there is red: it was given once more than it was charged."""
    buy(street)
    monkeypatch.setattr("storefront.shop.inventory.use", lambda *_: True)
    use(street)
    told = read(street)
    assert (told["verdict"], told["first_difference"]["reason"]) == ("red", books.KEPT)


def test_a_press_is_no_grant(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    """A press that used nothing does not stand for an item that was charged and never given."""
    buy(street)
    monkeypatch.setattr("storefront.shop.inventory.grant", lambda *_, **__: None)
    buy(street)
    monkeypatch.setattr("storefront.shop.inventory.use", lambda *_: False)
    use(street)
    told = read(street)
    assert (told["verdict"], told["first_difference"]["reason"]) == ("amber", books.MAYBE_USED)


def test_bought_while_it_is_read(street: Street) -> None:
    """What changes between the history and the bag is not known yet, and no difference."""
    street.enter("mobile")
    payment = street.start("mobile")
    other, bag = Phone(street.sandbox.test_client()), street.shop.view_functions["shop.bag"]
    other.belongs_to("hanako")
    pressed: list[str] = []

    def meanwhile() -> Any:
        """The bag is opened to see what it is, and once more to be counted: in between she buys."""
        pressed.append(other.buy(f"{PLATFORM}/point/{payment.token}") if len(pressed) == 1 else "")
        return bag()

    street.shop.view_functions["shop.bag"] = meanwhile
    told = read(street)
    street.shop.view_functions["shop.bag"] = bag
    assert "bought" in pressed
    assert (told["verdict"], told["first_difference"]["reason"]) == ("amber", books.CHANGED)
    assert read(street)["verdict"] == "green"


def test_the_newest_is_the_last_that_was_made(street: Street) -> None:
    """Of two payments the newest is the one that was made last, wherever the stage's clock was turned to."""
    street.enter("mobile")
    first = street.start("mobile")
    street.phone.press("/desk", "/desk/clock", seconds="-3600")
    assert street.start("mobile").code != first.code


@pytest.mark.parametrize("words", ["<b>{}</b> You have 1.", "{} You have 1.", "<b>{}</b>"])
def test_a_name_within_a_name(words: str) -> None:
    """An item outside is found under its own name, though another's has that name in it."""
    rows = "".join(
        f'<li data-item="{item}" data-quantity="1">{words.format(name)}</li>'
        for item, name in [("high", "High Potion"), ("potion", "Potion"), ("old", "Old Potion")]
    )
    page = html.fromstring(f"<main>{rows}</main>")
    assert reading._named({"Potion", "High Potion"}, [page]) == {"Potion": "potion", "High Potion": "high"}
