"""Every device in both languages: buying, and meeting the warning page or the rule that forbids it."""

import re
import subprocess
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_walk import follow, look, one_shop_is_enough
from tests.demo import COMMAND, Demo

pytestmark = pytest.mark.long

WIDTHS = {"mobile": 240, "smartphone": 360, "pc": 1280}
IN_BAG = {"ja": "かばんに入りました", "en": "is in your bag"}
FORBIDDEN = {
    ("mobile", "ja"): "携帯電話では、mixiの決済のほかは認められていません",
    ("mobile", "en"): "On mobile phones mixi allows no other payment",
    ("smartphone", "ja"): "スマートフォンでの外部決済はmixiの案内に書かれていない",
    ("smartphone", "en"): "does not say whether one may pay outside on a smartphone",
}


class Hand:
    """hanako's device in a browser of its own."""

    def __init__(self, page: Page, running: Demo, device: str, language: str) -> None:
        self.page = page
        self.running = running
        self.device = device
        self.language = language

    def open(self, path: str) -> None:
        """A page of the shop, as this device has addresses written."""
        address = f"{self.running.shop}{path}?lang={self.language}"
        if self.device == "mobile":
            address = f"{self.running.platform}/ma/12345/?guid=ON&url={quote(address, safe='')}"
        self.page.goto(address)

    def held(self, item: str) -> int:
        self.open("/inventory")
        found = self.page.locator(f'[data-item="{item}"]')
        return int(found.get_attribute("data-quantity") or "0") if found.count() else 0


@pytest.fixture(params=["ja", "en"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=WIDTHS)
def hand(request: pytest.FixtureRequest, browser: Browser, running: Demo, language: str) -> Iterator[Hand]:
    """The app, opened on the device, without script."""
    context = browser.new_context(
        java_script_enabled=False,
        viewport={"width": WIDTHS[request.param], "height": 800},
        locale={"ja": "ja-JP", "en": "en-GB"}[language],
    )
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.goto(running.platform + "/")
    follow(page, f'[data-persona="hanako"] [data-device="{request.param}"]')
    if language == "en" and request.param != "pc":  # there the switch of the shop is in the frame
        follow(page, "a[hreflang=en]")
    yield Hand(page, running, request.param, language)
    context.close()


def test_buy_with_points(hand: Hand) -> None:
    """hanako buys a loaf: confirm, return, find it in the bag."""
    before = hand.held("loaf")
    hand.open("/items/loaf")
    follow(hand.page, "form.buy button")
    expect(hand.page).to_have_url(re.compile("/point/"))
    follow(hand.page, "form[action$=buy] button")
    follow(hand.page, "main a.button >> nth=0")
    expect(hand.page.locator("h1")).to_contain_text(IN_BAG[hand.language])
    assert hand.held("loaf") == before + 1


def test_the_warning_page(hand: Hand) -> None:
    """On a PC hanako meets the warning and pays outside in a new window; elsewhere the rule is named."""
    before = hand.held("lantern")
    if hand.device != "pc":
        hand.open("/items/lantern")
        assert hand.page.locator(".way").count() == 0
        hand.open("/external/items/lantern")
        expect(hand.page.locator("main")).to_contain_text(FORBIDDEN[hand.device, hand.language])
        return
    hand.open("/items/lantern")
    follow(hand.page, ".way a")
    follow(hand.page, ".twins a")  # back: nothing happened
    expect(hand.page).to_have_url(re.compile("/items/lantern"))
    follow(hand.page, ".way a")
    weights = [hand.page.locator(f".twins {choice}").bounding_box() for choice in ("a", "button")]
    assert weights[0]
    assert weights[1]
    assert weights[0]["height"] == weights[1]["height"]
    assert weights[0]["width"] == pytest.approx(weights[1]["width"], abs=1)
    with hand.page.expect_popup() as opened:
        hand.page.click(".twins button")
    outside = opened.value
    expect(outside).to_have_url(re.compile("/payments/"))
    assert outside.evaluate("window.opener") is None
    outside.click("form[action$=pay] button")
    expect(outside.locator("main")).to_have_attribute("data-screen", "paid")
    outside.click("a[data-back]")
    expect(outside.locator("h1")).to_contain_text(IN_BAG[hand.language])
    assert hand.held("lantern") == before + 1


@one_shop_is_enough
def test_what_only_a_pc_may_pay(hand: Hand) -> None:
    """The telescope costs more than a phone may pay at once; there its page says where it is sold."""
    hand.open("/items/telescope")
    assert hand.page.locator("form.buy").count() == (1 if hand.device == "pc" else 0)
    assert hand.page.locator("main .notice").count() == (0 if hand.device == "pc" else 1)


@one_shop_is_enough
@pytest.mark.parametrize("spoken", ["ja", "en"])
def test_pages_on_our_own_domain(browser: Browser, running: Demo, spoken: str) -> None:
    """They fit and are accessible: what a visitor sees on a PC, and what the provider shows."""
    context = browser.new_context(locale=spoken)
    page = context.new_page()
    page.goto(f"{running.platform}/?lang={spoken}")
    follow(page, '[data-persona="yuki"] [data-device="pc"]')
    for path in ("/", "/items/excalibur", "/external/items/excalibur", "/inventory", "/history", "/legal"):
        page.goto(f"{running.shop}{path}?lang={spoken}")
        look(page)
    page.goto(f"{running.shop}/external/items/excalibur?lang={spoken}")
    with page.expect_popup() as opened:
        page.click(".twins button")
    outside = opened.value
    outside.wait_for_load_state()
    look(outside)
    outside.click("form[action$=cancel] button")
    expect(outside.locator("main")).to_have_attribute("data-screen", "cancelled")
    look(outside)
    outside.click("a[data-back]")
    expect(outside.locator("[data-state]")).to_have_attribute("data-state", "cancel")
    look(outside)
    page.goto(f"{running.shop}/?lang={spoken}")
    follow(page, ".foot button")
    look(page)
    page.goto(f"{running.shop}/history")
    assert page.locator("[data-payment]").count() == 0, "logged out"
    context.close()


@one_shop_is_enough
@pytest.mark.parametrize("spoken", ["ja", "en"])
def test_the_operators_pages(browser: Browser, running: Demo, spoken: str) -> None:
    """The printed address leads in; stopping the app on paper closes the door, taking it back opens it."""
    command = [COMMAND, "operator", "--demo", "--data", str(running.output.parent)]
    address = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0]
    context = browser.new_context(locale=spoken)
    page = context.new_page()
    page.goto(address)
    look(page)
    follow(page, "main button")
    pages = [link.get_attribute("href") for link in page.locator(".places a").all()]
    for path in (*pages, "/external/malfunctions/new"):
        page.goto(f"{running.shop}{path}")
        look(page)
    page.goto(f"{running.shop}/external/registration")
    for allowed in ("no", "yes"):
        page.fill('[name="stopped_on"]', "2026-01-01" if allowed == "no" else "")
        follow(page, ".fields button")
        expect(page.locator(".verdict")).to_have_attribute("data-allowed", allowed)
    context.close()
