"""Every device in both languages: buying, what fits on it, and the operator at a PC."""

import re
import subprocess
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_desk import enter
from tests.browser.test_walk import follow, look
from tests.demo import COMMAND, Demo

pytestmark = pytest.mark.long

WIDTHS = {"mobile": 240, "smartphone": 360, "pc": 1280}


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
    yield Hand(page, running, request.param, language)
    context.close()


def expect_in_bag(page: Page, name: str) -> None:
    """A page that is glad of an item: its state, and the item's name in its heading."""
    expect(page.locator("article.finish")).to_have_attribute("data-state", "complete")
    expect(page.locator("h1")).to_contain_text(name)


def test_buy_with_points(hand: Hand) -> None:
    """hanako buys a loaf: confirm, return, find it in the bag."""
    before = hand.held("loaf")
    hand.open("/items/loaf")
    follow(hand.page, "form.buy .button")
    expect(hand.page).to_have_url(re.compile("/point/"))
    follow(hand.page, "form[action$=buy] button")
    follow(hand.page, "main a.button >> nth=0")
    expect_in_bag(hand.page, {"ja": "まるパン", "en": "Round loaf"}[hand.language])
    assert hand.held("loaf") == before + 1


@pytest.mark.thorough
def test_by_keyboard_alone(hand: Hand) -> None:
    """Tab and Enter buy, and one sees where one is; the light sweeps, unless motion is unwanted."""
    hand.open("/")
    for there in ("[data-item=loaf] a", "form.buy .button", "form[action$=buy] button", "a[data-finish]"):
        enter(hand.page, there)
    expect_in_bag(hand.page, {"ja": "まるパン", "en": "Round loaf"}[hand.language])
    light = "getComputedStyle(document.querySelector('.joy'), '::after').animationName"
    assert hand.page.evaluate(light) == ("none" if hand.device == "mobile" else "sweep")
    hand.page.emulate_media(reduced_motion="reduce")
    assert hand.page.evaluate(light) == "none"


def test_what_only_a_pc_may_pay(hand: Hand) -> None:
    """The telescope costs more than a phone may pay at once; there its page says where it is sold."""
    hand.open("/items/telescope")
    assert hand.page.locator("form.buy").count() == (1 if hand.device == "pc" else 0)
    assert hand.page.locator("main .message").count() == (0 if hand.device == "pc" else 1)


@pytest.mark.thorough
@pytest.mark.parametrize("spoken", ["ja", "en"])
def test_pages_on_our_own_domain(browser: Browser, running: Demo, spoken: str) -> None:
    """They fit and are accessible: what a visitor sees on a PC."""
    context = browser.new_context(locale=spoken)
    page = context.new_page()
    page.goto(f"{running.platform}/?lang={spoken}")
    follow(page, '[data-persona="yuki"] [data-device="pc"]')
    for path in ("/", "/items/excalibur", "/inventory", "/history", "/legal"):
        page.goto(f"{running.shop}{path}?lang={spoken}")
        look(page)
    page.goto(f"{running.shop}/?lang={spoken}")
    follow(page, ".foot button")
    look(page)
    page.goto(f"{running.shop}/history")
    assert page.locator(".places").count() == 0, "logged out"
    context.close()


@pytest.mark.thorough
@pytest.mark.parametrize("spoken", ["ja", "en"])
def test_the_operators_pages(browser: Browser, running: Demo, spoken: str) -> None:
    """The printed address leads in, and every page of every room fits and is accessible."""
    page = operators_page(browser, running, spoken)
    look(page)
    page.fill("#name", "灯子")
    follow(page, "main button")
    paths = [link.get_attribute("href") for link in page.locator(".bridge nav a").all()]
    assert len(paths) > 3
    for path in paths:
        page.goto(f"{running.shop}{path}")
        look(page)
    page.context.close()


def come_in(browser: Browser, running: Demo, spoken: str, **more: Any) -> Page:
    """The operator's home, entered by the printed address in a name."""
    page = operators_page(browser, running, spoken, **more)
    page.fill("#name", "灯子")
    follow(page, "main button")
    return page


def operators_page(browser: Browser, running: Demo, spoken: str, **more: Any) -> Page:
    """The page that the printed address opens, one press before the others."""
    command = [COMMAND, "operator", "--demo", "--data", str(running.output.parent)]
    address = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0]
    page = browser.new_context(locale=spoken, **more).new_page()
    page.goto(address)
    return page
