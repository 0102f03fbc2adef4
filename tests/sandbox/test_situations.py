"""A situation is an address: looking at it changes nothing, pressing its button sets it up to the letter."""

from collections.abc import Callable

import pytest
from flask import Flask
from lxml import html

from storefront.sandbox import people, situation, stage, store, weather
from storefront.sandbox.desk import outcomes
from storefront.sandbox.desk.outcomes import WEATHERS, Outcome
from storefront.sandbox.kinds import KINDS
from storefront.sandbox.people import PLAYED
from storefront.sandbox.situation import Points, Spell, Unknown
from storefront.sandbox.stage import Stage
from tests.sandbox.conftest import PLATFORM, SHOP, XML, Phone, Sap, Shop, read_created

pytestmark = pytest.mark.long

ROW = (
    '<li data-item="{item}" data-amount="{amount}">'
    '<a href="?guid=ON&amp;url=http%3A%2F%2Fshop.test%2Fitems%2F{item}">{item}</a></li>'
)
PRICES = {"coat": 300, "loaf": 40, "pin": 30, "glass": 8000}
ROWS = "".join(ROW.format(item=item, amount=amount) for item, amount in PRICES.items())
SHELF = f'<main data-page="shelf"><ul>{ROWS}</ul></main>'
XML_40 = XML.replace('point="100"', 'point="40"')
PAGES = {
    "coat": '<main data-page="item" data-item="coat" data-left="3"></main>',
    "loaf": '<main data-page="item" data-item="loaf" data-consumable="yes"></main>',
    "pin": '<main data-page="item" data-item="pin" data-allowed="1"></main>',
    "glass": '<main data-page="item" data-item="glass" data-reason="elsewhere"></main>',
}


@pytest.fixture
def goods(sap: Sap) -> Sap:
    sap.says("/", SHELF)
    for item, page in PAGES.items():
        sap.says(f"/items/{item}", page)
    return sap


def set_up(phone: Phone, query: str) -> str:
    """Press the button of a situation's page; where the phone is sent."""
    page = phone.get(f"/situation?{query}")
    assert page.status_code == 200, page.text
    (form,) = [form for form in html.fromstring(page.text).forms if form.action == "/situations"]
    answer = phone.post("/situations", data=dict(form.form_values()))
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def played(phone: Phone) -> str:
    with phone.client.session_transaction(base_url=PLATFORM) as browser:
        return str(browser[PLAYED])


AMOUNTLESS = [ROW.format(item="coat", amount=amount) for amount in ("&sup2;", "5" * 5000)]


@pytest.mark.parametrize("shelf", [" ", "<!-- -->", *AMOUNTLESS], ids=range(4))
def test_an_app_that_shows_nothing(phone: Phone, sap: Sap, shelf: str) -> None:
    """Whatever stands in the place of its shelf, an app without goods stops nobody from looking."""
    sap.says("/", shelf)
    assert phone.get("/situation?who=taro").status_code == 200


def test_looks_ask_the_app_once_in_a_while(phone: Phone, goods: Sap, later: Callable[[float], None]) -> None:
    """However often anybody looks, at whatever situation, a page of the app is asked for once in a while."""
    for points in range(5):
        phone.get(f"/situation?who=taro&item=consumable&points=price-{points}")
    asked = len(goods.heard)
    phone.get("/situation?who=yuki&item=consumable")
    assert len(goods.heard) == asked <= len(PAGES) + 1
    later(31)
    phone.get("/situation?who=yuki&item=consumable")
    assert len(goods.heard) > asked


@pytest.mark.parametrize("language", ["ja", "en"])
def test_a_look_changes_nothing(phone: Phone, app: Flask, goods: Sap, language: str) -> None:
    """The page says what will be set up, asks the app for pages alone, and makes no stage."""
    before = played(phone)
    query = "who=taro&on=pc&item=dear&points=price-20&weather=callback.lost*1,api.slow:3*2&clock=%2B1d"
    text = phone.get(f"/situation?{query}&lang={language}").text
    assert "callback.lost*1" in text
    assert "api.slow:3*2" in text
    assert played(phone) == before
    assert {request.method for request in goods.heard} == {"GET"}
    with app.app_context(), store.reading() as session:
        assert session.query(Stage).count() == 1


@pytest.mark.parametrize(
    ("role", "item"),
    [
        ("any", "loaf"),
        ("once", "pin"),
        ("few", "coat"),
        ("dear", "glass"),
        ("consumable", "loaf"),
        ("coat", "coat"),
    ],
)
def test_items_by_role(phone: Phone, goods: Sap, role: str, item: str) -> None:
    """An item is chosen by what its pages say of it, or by its id; the phone opens at its page."""
    assert f"items%2F{item}" in set_up(phone, f"who=hanako&item={role}")


@pytest.mark.parametrize(
    ("points", "balance"),
    [("price", 40), ("price-20", 20), ("price%2B50", 90), ("price+50", 90), ("7", 7), ("price-100", 200)],
)
def test_points(phone: Phone, goods: Sap, points: str, balance: int) -> None:
    """Points are a number, or a sum about the price of the item; they are what the books begin with."""
    set_up(phone, f"who=yuki&item=any&points={points}")
    text = phone.get("/").text
    assert f'data-persona="yuki" data-balance="{balance}"' in text


@pytest.mark.parametrize(
    ("query", "item", "price", "points"),
    [
        ("who=yuki&points=price-20", "loaf", "40pt", "20pt"),
        ("who=taro&item=coat&points=price", "coat", "300pt", "300pt"),
        ("who=hanako&item=dear", "glass", "8,000pt", "50,000pt"),
        ("who=hanako&points=7", "loaf", "40pt", "7pt"),
    ],
)
def test_named_before_it_is_set_up(
    phone: Phone, goods: Sap, query: str, item: str, price: str, points: str
) -> None:
    """The page names the item, its price, and the points that the person will have."""
    page = html.fromstring(phone.get(f"/situation?{query}").text)
    named = [" ".join(one.text_content().split()) for one in page.cssselect("dd > strong")]
    assert named[1:3] == [f"{item}, {price}", points]
    assert page.cssselect(f"dd[data-item={item}]")


def test_an_app_that_says_nothing(phone: Phone, sap: Sap) -> None:
    """Where no item can be named the page says so, and stays what it is."""
    answer = phone.get("/situation?who=yuki&points=price-20&lang=en")
    assert answer.status_code == 200
    assert "sells no such item now, or could not be asked" in answer.text
    assert "20 less than the price of the item" in answer.text


def test_all_of_it(phone: Phone, goods: Sap, app: Flask) -> None:
    """Person, device, weather and clock are set up on a fresh stage of this browser."""
    before = played(phone)
    leads = set_up(phone, "who=taro&on=pc&weather=callback.lost*1,api.slow:3*2&clock=-3m")
    assert leads.startswith(f"{SHOP}/mixi/start/pc?")
    assert played(phone) != before
    with app.app_context():
        made = stage.by_id(played(phone))
        assert made
        rows = [(row.kind, row.seconds, row.left) for row in weather.standing(made)]
        assert rows == [("callback.lost", None, 1), ("api.slow", 3, 2)]
        assert made.clock_seconds == -180
    assert 'data-hand="pc"' in phone.get("/").text


def test_no_such_item(phone: Phone, sap: Sap) -> None:
    """What the app does not sell is said, and the browser stays where it was."""
    before = played(phone)
    assert set_up(phone, "who=taro&item=dear").startswith("/situation?")
    assert played(phone) == before
    assert "nothing was set up" in phone.get("/situation?lang=en").text


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("who=nobody", "who=nobody"),
        ("on=tablet", "on=tablet"),
        ("item=a+b", "item=a b"),
        ("points=lots", "points=lots"),
        ("points=-5", "points=-5"),
        ("weather=api.none", "weather=api.none"),
        ("weather=api.down:3", "weather=api.down:3"),
        ("weather=api.slow:31", "weather=api.slow:31"),
        ("weather=api.down*0", "weather=api.down*0"),
        ("clock=tomorrow", "clock=tomorrow"),
        ("clock=99999d", "clock=99999d"),
        ("colour=red", "colour"),
    ],
)
def test_what_nobody_knows(phone: Phone, query: str, named: str) -> None:
    """A situation that says what nobody knows is refused, with the name of it."""
    answer = phone.get(f"/situation?{query}")
    assert answer.status_code == 400
    assert named in answer.text


@pytest.mark.parametrize(
    "words", ["callback.queued:0", "api.slow:-5", "api.down:5", ",".join(["callback.lost"] * 21)]
)
def test_weather_that_cannot_be(phone: Phone, words: str) -> None:
    """What cannot be set is not promised: the page is 400, as the press would be."""
    assert phone.get(f"/situation?weather={words}").status_code == 400


def test_a_situation_is_one_address() -> None:
    """However it was written, a situation has one address, which says the same."""
    for said in (
        {"who": "hanako"},
        {"who": "taro", "on": "pc", "points": "price+50", "weather": "api.slow:3*2,api.down", "clock": "1d"},
        {"who": "yuki", "points": "0", "item": "few"},
    ):
        read = situation.read(said)
        assert situation.read(read.fields) == read
    assert situation.read({"points": "price"}).points == Points(0, about_price=True)
    assert situation.spell("callback.queued:14*2") == Spell("callback.queued", 14, 2)
    with pytest.raises(Unknown):
        situation.spell("callback")


def test_every_cell_of_the_table_is_a_situation(phone: Phone) -> None:
    """Each cell leads to a page that can be opened, on every device and for every role."""
    seen = set()
    for device in ("mobile", "smartphone", "pc"):
        page = html.fromstring(phone.get(f"/desk/outcomes?on={device}&item=any").text)
        links = [str(a.get("href")) for a in page.cssselect(".cells a")]
        assert len(links) == len(outcomes.people()) * len(WEATHERS)
        seen |= set(links)
    for link in sorted(seen)[::7]:
        assert phone.get(link).status_code == 200
    assert phone.get("/desk/outcomes?item=none").status_code == 404
    assert all(spell is None or spell.kind in KINDS for spell in WEATHERS)


@pytest.mark.parametrize(
    ("who", "spell", "ends"),
    [
        ("hanako", "", Outcome.SOLD),
        ("yuki", "", Outcome.SHORT),
        ("hanako", "callback.lost*1", Outcome.FAILED),
        ("hanako", "screen.expired*1", Outcome.EXPIRED),
        ("hanako", "callback.copies:8*1", Outcome.SOLD),
    ],
)
def test_what_was_last_seen(
    phone: Phone, goods: Sap, shop: Shop, app: Flask, who: str, spell: str, ends: Outcome
) -> None:
    """After a purchase the table says what came of it, beside what was expected; the two are the same."""
    purse = {"hanako": "price%2B1000", "yuki": "price-20"}[who]
    set_up(phone, f"who={who}&item=any&points={purse}&weather={spell}")
    with app.app_context():
        (user,) = [one for one in people.everyone(played(phone)) if one.persona_key == who]
    purchase = read_created(shop.create(user.owner_id, XML_40))
    goods.redirects("/buy", purchase.url)
    phone.page(f"{SHOP}/buy")
    if phone.screen(purchase.url) == "confirm":
        phone.buy(purchase.url)
    page = html.fromstring(phone.get("/desk/outcomes").text)
    tried = [(one.get("data-expected"), one.get("data-seen")) for one in page.cssselect("[data-seen]")]
    assert [pair for pair in tried if pair[1]] == [(ends.value, ends.value)]
