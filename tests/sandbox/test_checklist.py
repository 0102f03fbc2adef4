"""Walkthroughs at the desk: to read, to begin, and to see ticked off."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from lxml import html

from storefront.sandbox import happenings, walks, walkthroughs, weather
from storefront.sandbox.chapters import Broken
from storefront.sandbox.desk import presses, wording
from storefront.sandbox.happened import Name
from storefront.sandbox.people import PLAYED
from storefront.sandbox.stage import by_id
from storefront.sandbox.walkthroughs import CHECKS, PAGES, SCREENS, STATES
from tests.sandbox.conftest import PLATFORM, SHOP, Phone, Sap, Shop

FIRST = "/desk/walkthroughs/first-purchase"
LOST = "/desk/walkthroughs/lost-ok"
LAW = "/desk/walkthroughs/law-beside-the-button"
ITEM = '<main data-page="item"><p data-item="loaf" data-amount="10" data-unit="point">loaf, 10pt</p></main>'
BAG = {"status": 200, "path": "/b", "page": "bag", "marks": [{"item": "loaf", "quantity": "1"}]}


def begin(phone: Phone, page: str = FIRST, **fields: str) -> str:
    """Begin a walkthrough; where its checklist stands."""
    answer = phone.press(page, f"{page}/begin", **fields)
    assert answer.status_code == 303, answer.text
    return str(answer.location)


def read(phone: Phone, path: str) -> Any:
    return json.loads(phone.get(path).text)


def checklist(phone: Phone, walk: str) -> list[tuple[str, str]]:
    page = html.fromstring(phone.get(walk).text)
    steps = page.cssselect("[data-step]")
    return [(str(one.get("data-step")), str(one.get("data-state"))) for one in steps]


def verdict(phone: Phone, walk: str) -> str:
    page = html.fromstring(phone.get(walk).text)
    said = str(page.cssselect("main")[0].get("data-verdict"))
    assert read(phone, f"{walk}.json")["verdict"] == said
    return said


def told(phone: Phone) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read(phone, "/desk/happenings.json?after=0")
    return found


@pytest.mark.parametrize(
    ("query", "chapter"), [("", "buying"), ("?chapter=own", "own"), ("?chapter=x", "buying")]
)
def test_one_chapter_is_open(phone: Phone, query: str, chapter: str) -> None:
    """The first, or the one that a link leads to; the others are a press away."""
    page = html.fromstring(phone.get(f"/desk/walkthroughs{query}").text)
    assert [one.get("id") for one in page.cssselect("details[open]")] == [chapter]
    jumps = [str(one.get("href")).partition("#")[2] for one in page.cssselect("nav.tabs a")]
    assert jumps == [one.get("id") for one in page.cssselect("details")]


@pytest.mark.parametrize("language", ["ja", "en"])
def test_all_are_there_to_read(phone: Phone, language: str) -> None:
    """Every walkthrough is listed with its rule, chapter by chapter, and has a page with its steps."""
    listed = html.fromstring(phone.get(f"/desk/walkthroughs?lang={language}").text)
    names = [one.get("data-walkthrough") for one in listed.cssselect("[data-walkthrough]")]
    known = read(phone, "/desk/walkthroughs.json")
    assert names == [one["name"] for one in known["walkthroughs"]]
    assert len(listed.cssselect("h2")) == len(known["chapters"])
    assert len(known["chapters"]) == len({one.chapter for one in walkthroughs.read()})
    page = phone.get(FIRST).text
    title = {"ja": "はじめての購入", "en": "The first purchase"}[language]
    assert title in html.fromstring(page).cssselect("h1")[0].text_content()
    assert len(html.fromstring(page).cssselect(".steps > li")) == 3
    assert phone.get("/desk/walkthroughs/nowhere").status_code == 404


def test_a_walk_has_a_stage_of_its_own(phone: Phone, app: Flask) -> None:
    """Beginning makes a fresh stage, with the points and the weather that the walkthrough wants."""
    walk = begin(phone, LOST, device="pc", price="100")
    made = next(one for one in told(phone) if one["name"] == "walk_begun")
    assert (made["facts"]["walkthrough"], made["facts"]["hand"]) == ("lost-ok", "pc")
    home = html.fromstring(phone.get("/").text)
    assert home.cssselect('[data-persona="hanako"]')[0].get("data-balance") == "150"
    with app.test_request_context():
        on = by_id(made_on(walk))
        assert on
        assert [(one.kind, one.left) for one in weather.standing(on)] == [("callback.lost", 1)]
    assert checklist(phone, walk) == [(str(step), "open") for step in (1, 2, 3, 4, 5)]  # the last: its books
    assert verdict(phone, walk) == "open"


def made_on(walk: str) -> str:
    found = walks.by_id(int(walk.rpartition("/")[2]))
    assert found
    return found.stage_id


def test_a_walk_is_its_browsers_own(phone: Phone, app: Flask) -> None:
    """Nobody else sees a walk, or says anything about it."""
    walk = begin(phone)
    stranger = Phone(app.test_client())
    assert stranger.get(walk).status_code == 404
    assert stranger.get(f"{walk}.json").status_code == 404
    begin(stranger)
    assert stranger.press(FIRST, f"{walk}/seen", step="0", seen="yes").status_code == 404


def test_looking_changes_nothing(phone: Phone) -> None:
    """A GET begins nothing, and no form but the desk's own does."""
    begin(phone)
    before = len(told(phone))
    for page in ("/desk/walkthroughs", FIRST, "/desk/walkthroughs.json"):
        assert phone.get(page).status_code == 200
    assert phone.post(f"{FIRST}/begin").status_code == 400
    assert phone.get(f"{FIRST}/begin").status_code == 405
    assert len(told(phone)) == before


def test_the_container_reads_what_it_carries(phone: Phone, sap: Sap) -> None:
    """On a mobile phone a page's facts tick by themselves."""
    walk = begin(phone, "/desk/walkthroughs/law-beside-the-button", device="mobile")
    phone.belongs_to("hanako")
    sap.says("/items/loaf", ITEM)
    phone.page(f"{SHOP}/items/loaf")
    assert checklist(phone, walk)[:2] == [("1", "done"), ("2", "open")]
    sap.says("/legal", '<main data-page="legal"></main>')
    phone.page(f"{SHOP}/legal")
    assert checklist(phone, walk)[:2] == [("1", "done"), ("2", "done")]


def test_what_a_person_says(phone: Phone) -> None:
    """Of a page on the shop's own domain a person says whether it was as expected."""
    walk = begin(phone, LAW, device="pc")
    open_app(phone, "pc")
    answer = phone.press(walk, f"{walk}/seen", step="0", seen="yes")
    assert answer.location == walk
    assert checklist(phone, walk)[0] == ("1", "done")
    phone.press(walk, f"{walk}/seen", step="1", seen="no")
    assert checklist(phone, walk)[1] == ("2", "missed")
    assert verdict(phone, walk) == "missed"
    steps = read(phone, f"{walk}.json")["steps"]
    assert (steps[1]["state"], steps[1]["expected"], steps[1]["got"]) == ("missed", "page legal", "not seen")


def open_app(phone: Phone, device: str) -> None:
    assert phone.press("/", f"/phone/{device}", persona="hanako", window="own").status_code == 303


def can_say(phone: Phone, walk: str) -> set[str]:
    """What the page of a walk offers to say."""
    page = html.fromstring(phone.get(walk).text)
    return {str(button.get("value")) for button in page.cssselect("button[name=seen]")}


@pytest.mark.long
@pytest.mark.parametrize(
    ("page", "device"),
    [
        ("exact-points", "mobile"),
        ("unsigned-callback", "mobile"),
        ("cancel", "smartphone"),
        ("finish-never-opened", "pc"),
    ],
)
def test_what_did_not_happen_was_not_seen(phone: Phone, page: str, device: str) -> None:
    """No word makes up for what the platform sees itself: the step stays open, and the page says why."""
    walk = begin(phone, f"/desk/walkthroughs/{page}", device=device)
    open_app(phone, device)
    before = checklist(phone, walk)
    assert can_say(phone, walk) == {"no"}
    for step in range(len(before) - 1):
        phone.press(walk, f"{walk}/seen", step=str(step), seen="yes")
    assert 'class="note"' in phone.get(walk).text
    assert checklist(phone, walk) == before
    assert verdict(phone, walk) == "open"


def test_a_word_can_be_taken_back(phone: Phone) -> None:
    """Who has said *not seen* by mistake takes it back, and says the other."""
    walk = begin(phone, LAW, device="pc")
    open_app(phone, "pc")
    phone.press(walk, f"{walk}/seen", step="0", seen="no")
    assert verdict(phone, walk) == "missed"
    assert can_say(phone, walk) >= {"back"}
    phone.press(walk, f"{walk}/seen", step="0", seen="back")
    assert (verdict(phone, walk), can_say(phone, walk)) == ("open", {"yes", "no"})
    phone.press(walk, f"{walk}/seen", step="0", seen="yes")
    assert checklist(phone, walk)[0] == ("1", "done")


def test_a_walk_in_another_tab(phone: Phone) -> None:
    """A browser that has begun a second walk still reads the first, and goes back to it by a press."""
    first = begin(phone, LAW, device="pc")
    second = begin(phone)
    assert (phone.get(first).status_code, can_say(phone, first)) == (200, set())
    assert phone.press(second, f"{first}/seen", step="0", seen="no").status_code == 404
    assert phone.press(first, f"{first}/return").location == first
    open_app(phone, "pc")
    assert can_say(phone, first) == {"yes", "no"}
    assert phone.get(second).status_code == 200


def test_one_begins_again(phone: Phone) -> None:
    """A walk is begun again from its own page, on the same device with the same price."""
    walk = begin(phone, LOST, device="pc", price="100")
    page = html.fromstring(phone.get(walk).text)
    (form,) = [form for form in page.forms if form.action == f"{LOST}/begin"]
    again = str(phone.post(str(form.action), data=dict(form.form_values())).location)
    assert again != walk
    assert read(phone, f"{again}.json")["device"] == "pc"
    home = html.fromstring(phone.get("/").text)
    assert home.cssselect('[data-persona="hanako"]')[0].get("data-balance") == "150"


def test_the_way_back_to_a_walk(phone: Phone, sap: Sap) -> None:
    """While a walkthrough is played, every page of the platform leads back to it, the phone's, too."""
    walk = begin(phone, LAW, device="mobile")
    assert html.fromstring(phone.get("/log").text).cssselect(f'.strip a[href="{walk}"]')
    open_app(phone, "mobile")
    sap.says("/items/loaf", ITEM.join(("<html><body>", "</body></html>")))
    assert html.fromstring(phone.page(f"{SHOP}/items/loaf").text).cssselect(f'aside a[href="{walk}"]')


ON_SHELF = '<p data-item="{0}" data-amount="{1}"><a href="?url=http%3A%2F%2Fshop.test%2Fi%2F{0}"></a></p>'
SHELF = f'<main data-page="shelf">{ON_SHELF.format("pin", 10)}{ON_SHELF.format("rope", 40)}</main>'


@pytest.mark.parametrize(
    ("name", "who", "item", "points"),
    [("lost-ok", "hanako", "Pin", 60), ("short-and-topped-up", "yuki", "Rope", 20)],
)
def test_an_item_from_the_shelf(phone: Phone, sap: Sap, name: str, who: str, item: str, points: int) -> None:
    """Who names no price gets an item of the shelf that fits, named with its price on the walk's page."""
    sap.says("/", SHELF)
    for one in ("pin", "rope"):
        sap.says(f"/i/{one}", f'<main data-page="item" data-item="{one}"><h1>{one.title()}</h1></main>')
    walk = begin(phone, f"/desk/walkthroughs/{name}")
    assert item in phone.get(walk).text
    home = html.fromstring(phone.get("/").text)
    assert home.cssselect(f'[data-persona="{who}"]')[0].get("data-balance") == str(points)


AT_THE_DESK = ("switch", "weather", "remove", "rotate", "as")


def test_every_step_has_its_presses(app: Flask, phone: Phone) -> None:
    """Whatever a step plays at the desk has a button, and each leads to something there is."""
    begin(phone)
    with app.test_request_context():
        on, routes = by_id(stage_of(phone)), app.url_map.bind("platform.test")
        assert on
        for one in walkthroughs.read():
            for number, step in enumerate(one.steps):
                found = presses.of(one, number, on, one.on[0])
                assert found or not any(words.split(" ")[0] in AT_THE_DESK for words in step.play), one.name
                for press in found:
                    if press.leads.startswith("/"):
                        assert routes.match(press.leads, method="GET" if press.fields is None else "POST")


def stage_of(phone: Phone) -> str:
    with phone.client.session_transaction(base_url=PLATFORM) as browser:
        return str(browser[PLAYED])


@pytest.mark.parametrize("device", ["mobile", "pc"])
def test_the_result_page_by_hand(shop: Shop, phone: Phone, device: str) -> None:
    """The step that opens the result page by hand has a button that does it, on the device of the walk."""
    walk = begin(phone, "/desk/walkthroughs/finish-by-hand", device=device, price="100")
    open_app(phone, device)
    buyer = next(one for one in told(phone) if one["name"] == "walk_begun")["facts"]["people"]["hanako"]
    assert shop.create(buyer).status_code in (200, 201)
    with phone.client.application.test_request_context():
        on = by_id(stage_of(phone))
        assert on
        assert on.device
        by_hand = next(one for one in walkthroughs.read() if one.name == "finish-by-hand")
        (press,) = presses.of(by_hand, 1, on, on.device)
    leads = str(phone.press(walk, press.leads, **(press.fields or {})).location)
    assert "status" in leads
    assert leads.startswith("/ma/" if device == "mobile" else f"{SHOP}/finish?")


def test_what_the_robot_says(phone: Phone) -> None:
    """The robot tells the facts of each page, and that a step is over."""
    walk = begin(phone, "/desk/walkthroughs/law-beside-the-button", device="pc")
    facts = json.dumps(
        {"status": 200, "path": "/i", "page": "item", "marks": [{"item": "loaf", "price": "shown"}]}
    )
    said = {"persona": "hanako", "device": "pc", "step": "0"}
    assert phone.press(walk, f"{walk}/seen", facts=facts, **said).status_code == 204
    assert checklist(phone, walk)[0] == ("1", "done")
    phone.press(walk, f"{walk}/seen", step="1", seen="end")
    assert checklist(phone, walk)[1] == ("2", "missed")


@pytest.mark.parametrize(
    "fields",
    [
        {"step": "0"},
        {"seen": "yes"},
        {"step": "9", "seen": "yes"},
        {"step": "0", "seen": "perhaps"},
        {"step": "0", "seen": "yes", "facts": json.dumps(BAG)},
        {"step": "0", "facts": "{"},
        {"step": "0", "facts": json.dumps({**BAG, "more": 1})},
        {"step": "0", "facts": json.dumps({**BAG, "status": 7})},
        {"step": "0", "facts": json.dumps({**BAG, "marks": [{"item": "x" * 500}]})},
    ],
)
def test_what_is_no_word(phone: Phone, fields: dict[str, str]) -> None:
    """What says nothing, or too much, is refused."""
    walk = begin(phone)
    assert phone.press(walk, f"{walk}/seen", **fields).status_code == 400


def test_what_does_not_apply(phone: Phone) -> None:
    """A walkthrough that the shop has nothing for, says why."""
    walk = begin(phone)
    phone.press(walk, f"{walk}/seen", step="0", seen="not-applicable", reason="no item is sold")
    assert verdict(phone, walk) == "not-applicable"
    assert "no item is sold" in phone.get(walk).text


def test_folders_of_ones_own(make: Callable[..., Flask], tmp_path: Path) -> None:
    """SANDBOX_WALKTHROUGHS adds folders; one that is broken stops the sandbox with its line."""
    text = (Path(__file__).parents[2] / "storefront/sandbox/walkthroughs/6-own.yaml").read_text()
    own = "- name: mine" + text.split("\n- name: law-beside-the-button")[1].split("\n- name:")[0]
    (tmp_path / "1-mine.yaml").write_text(own)
    phone = Phone(make(walkthroughs=(tmp_path,)).test_client())
    assert phone.get("/desk/walkthroughs/mine").status_code == 200
    (tmp_path / "1-mine.yaml").write_text(own.replace("who: hanako", "who: nobody"))
    with pytest.raises(Broken, match=r"1-mine.yaml:\d+: who"):
        make(walkthroughs=(tmp_path,))


def test_all_that_can_be_asked_has_words(app: Flask) -> None:
    """No word that a file may say stands as code on a page, and each is said in both languages."""
    assert set(wording.ASKED) == set(CHECKS)
    assert set(wording.HAPPENED) == set(Name)
    assert {*SCREENS, *PAGES, *STATES} <= set(wording.MEANT)
    for language, said in (
        ("en", "state of the purchase: bought, in doubt"),
        ("ja", "購入の状態：購入済み、未確認"),
    ):
        with app.test_request_context(headers={"Accept-Language": language}):
            assert wording.expected("state complete doubt yes") == said
            assert wording.came("answer OK OK 409", "OK 409") == "OK 409"
            assert "_" not in wording.expected("never callback_answered")


def test_the_other_language_is_of_the_same_page(phone: Phone) -> None:
    """Who changes the language stays where they are, with all that the address asks for."""
    page = html.fromstring(phone.get("/situation?who=yuki&points=price-20&lang=ja").text)
    assert page.cssselect("a[hreflang=en]")[0].get("href") == "?who=yuki&points=price-20&lang=en"


def test_a_long_walk(phone: Phone, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many pages are opened on a walk, its beginning is kept, and what happens then still counts."""
    monkeypatch.setattr(happenings, "KEEP", 3)
    monkeypatch.setattr(happenings, "MOST", 2)
    walk = begin(phone, LOST)
    with app.test_request_context():
        for status in range(200, 220):
            happenings.note(made_on(walk), Name.PAGE_SHOWN, status=status)
    assert phone.press(walk, f"{walk}/seen", step="0", seen="no").status_code == 303
    assert checklist(phone, walk)[0] == ("1", "missed")
    with app.test_request_context():
        kept = happenings.all_of(made_on(walk))
    assert kept[0].name is Name.WALK_BEGUN
    assert [one.facts["status"] for one in kept if one.name is Name.PAGE_SHOWN] == [217, 218, 219]
