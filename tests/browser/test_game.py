"""A real browser follows what it has bought into the harbour town of the sample game."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_by_hand import BAG, HISTORY, Hands
from tests.browser.test_walk import Walk, follow, look
from tests.demo import Demo

pytestmark = pytest.mark.long

PAUSE_MILLISECONDS = 4_000  # a demo's shop asks again about a payment after three seconds


@pytest.fixture
def page(browser: Browser) -> Page:
    """A page in Japanese, without script."""
    context = browser.new_context(java_script_enabled=False, locale="ja-JP")
    context.set_default_timeout(15_000)
    return context.new_page()


def test_into_the_town(page: Page, browser: Browser, running: Demo) -> None:
    """A lantern and a loaf arrive there; the loaf is eaten, and the bag in the shop is empty of it."""
    walk = Walk(page, running)
    for name in ("まるパン", "船乗りのランタン"):
        walk.open_app("hanako")
        walk.buy(name)
        walk.confirm()
    walk.home()
    follow(page, '[data-persona="hanako"] a[data-town]')
    expect(page.locator("h1")).to_have_text("花子の港町")
    expect(page.locator(".scene.lit")).to_be_visible()
    walk.press("港のみんなで食べる")
    expect(page.locator("[data-outcome=used]")).to_be_visible()
    expect(page.locator('[data-item="loaf"]')).to_have_attribute("data-quantity", "0")
    walk.open_app("hanako")
    assert walk.held("lantern") == 1
    assert walk.held("loaf") == 0


@pytest.mark.thorough
@pytest.mark.parametrize("device", ["mobile", "smartphone"])
def test_by_hand(page: Page, running: Demo, device: str) -> None:
    """The walkthrough into the game, as its page says: it ticks itself, but for the shop's own domain."""
    hands = Hands(page, running, "to-the-game", device)
    for _ in range(2):
        hands.item()
        hands.buy()
        hands.decide("buy", "bought")
        hands.back()
        page.locator(".places a").first.click()
    town = to_town(hands)
    assert hands.states()[:2] == ["done", "open"]
    follow(town, '[data-item="loaf"] form button')
    assert hands.states()[:3] == ["done", "done", "open"]
    hands.place(BAG, "bag")
    if device == "smartphone":
        hands.say("yes")
    assert hands.states()[:4] == ["done", "done", "done", "open"]
    desk = page.context.new_page()
    desk.goto(hands.walk)
    follow(desk, "form[action='/desk/actions/pay-back'] button")
    page.wait_for_timeout(PAUSE_MILLISECONDS)
    hands.place(HISTORY, "history")
    to_town(hands)
    if device == "smartphone":
        hands.say("yes")
    assert hands.states() == ["done", "done", "done", "done", "open"]
    assert hands.verdict() == "passed"


def to_town(hands: Hands) -> Page:
    """By the link of the step that asks for it, in a window of its own."""
    desk = hands.page.context.new_page()
    desk.goto(hands.walk)
    with desk.expect_popup() as opened:
        desk.click("a[href^='/town/']")
    expect(opened.value.locator("main")).to_have_attribute("data-screen", "town")
    return opened.value


@pytest.mark.thorough
def test_pages_of_the_town(browser: Browser, running: Demo) -> None:
    """Empty, silent, what was asked, and the closed door: each fits every screen, and axe finds no fault."""
    context = browser.new_context(locale="ja-JP")
    page = context.new_page()
    page.goto(running.platform)
    look(page)
    follow(page, '[data-persona="taro"] a[data-town]')
    look(page)
    page.locator("summary").click()
    follow(page, 'form[action$="/faults/silent"] button')
    expect(page.locator("main")).to_have_attribute("data-trouble", "silent")
    look(page)
    follow(page, "header a >> nth=1")
    look(page)
    follow(page, "header a >> nth=0")
    look(page)
    page.goto(page.url.rstrip("/") + "/enter?pass=nobody")
    look(page)
    context.close()
