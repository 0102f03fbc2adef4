"""Buying by hand: the walks a newcomer takes, in a real browser over real HTTP."""

import re
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.demo import Demo

pytestmark = pytest.mark.long

PLACES = ["shelf", "bag", "history"]
LOOKS: dict[int, Literal["light", "dark"] | None] = {240: "light", 1280: "dark", 360: None}
# What a page looks like does not depend on the database, and what is sold is sold on each without a browser.


class Walk:
    """One simulated user's phone."""

    def __init__(self, page: Page, running: Demo) -> None:
        self.page = page
        self.running = running

    def home(self) -> None:
        self.page.goto(self.running.platform + "/")

    def open_app(self, persona: str) -> None:
        self.home()
        follow(self.page, f'[data-persona="{persona}"] button >> nth=0')
        expect(self.page.locator("[data-page=shelf]")).to_have_count(1)

    def choose(self, name: str) -> None:
        follow(self.page, f".shelf a:has-text('{name}')")
        expect(self.page.locator("h1")).to_have_text(name)

    def press(self, name: str) -> None:
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=re.compile(name)).first.click()

    def go(self, place: str) -> None:
        """To one of the shop's places."""
        follow(self.page, f".places a:nth-child({PLACES.index(place) + 1})")
        expect(self.page.locator(f"[data-page={place}]")).to_have_count(1)

    def buy(self, name: str) -> None:
        """As far as the point interface."""
        self.choose(name)
        follow(self.page, "form.buy .button")
        expect(self.page).to_have_url(re.compile("/point/"))

    def confirm(self) -> None:
        """Say yes to the platform."""
        follow(self.page, "form[action$=buy] button")

    def come_back(self) -> None:
        """From the platform into the shop."""
        follow(self.page, "a[data-finish]")

    def balance(self, persona: str) -> int:
        self.home()
        return int(self.page.locator(f'[data-persona="{persona}"]').get_attribute("data-balance") or "")

    def held(self, item: str) -> int:
        self.go("bag")
        found = self.page.locator(f'[data-item="{item}"]')
        return int(found.get_attribute("data-quantity") or "0") if found.count() else 0

    def newest(self) -> str | None:
        self.go("history")
        return self.page.locator("[data-state]").first.get_attribute("data-state")


@pytest.fixture
def walk(page: Page, running: Demo) -> Walk:
    walk = Walk(page, running)
    walk.home()
    walk.press("ポイントをもとに|もどす|戻す|リセット")
    return walk


def test_buy(walk: Walk) -> None:
    """taro has exactly enough: confirm, return, find the sword in the bag, points spent."""
    walk.open_app("taro")
    before = walk.held("excalibur")
    walk.go("shelf")
    walk.buy("エクスカリバー")
    walk.confirm()
    walk.come_back()
    expect(walk.page.locator("[data-payment]")).to_have_attribute("data-state", "complete")
    expect(walk.page.locator("h1")).to_contain_text("エクスカリバー")
    assert walk.held("excalibur") == before + 1
    assert walk.newest() == "complete"
    assert walk.balance("taro") == 0


def test_use(walk: Walk) -> None:
    """hanako buys a loaf and eats it."""
    walk.open_app("hanako")
    before = walk.held("loaf")
    walk.go("shelf")
    walk.buy("まるパン")
    walk.confirm()
    walk.come_back()
    assert walk.held("loaf") == before + 1
    follow(walk.page, '[data-item="loaf"] .button')
    assert walk.held("loaf") == before


def test_cancel(walk: Walk) -> None:
    """hanako thinks better of it: nothing held, nothing spent, and the pages say so."""
    walk.open_app("hanako")
    before = walk.held("coat")
    walk.go("shelf")
    walk.buy("船長の上着")
    follow(walk.page, "form[action$=cancel] button")
    walk.come_back()
    expect(walk.page.locator("[data-payment]")).to_have_attribute("data-state", "cancel")
    expect(walk.page.locator("[data-says=nothing-paid]")).to_have_text(re.compile(r"\S"))
    assert walk.held("coat") == before
    assert walk.newest() == "cancel"
    assert walk.balance("hanako") == 50_000


def test_top_up(walk: Walk) -> None:
    """yuki is a little short: she tops up, and the same purchase goes on."""
    walk.open_app("yuki")
    before = walk.held("excalibur")
    walk.go("shelf")
    walk.buy("エクスカリバー")
    address = walk.page.url
    follow(walk.page, "form button >> nth=0")
    expect(walk.page).to_have_url(address)
    walk.confirm()
    walk.come_back()
    assert walk.held("excalibur") == before + 1
    assert walk.newest() == "complete"


def test_leave(walk: Walk) -> None:
    """jiro just leaves: the purchase stays unfinished, and nothing is held or owed."""
    walk.open_app("jiro")
    walk.buy("まるパン")
    walk.open_app("jiro")
    assert walk.held("loaf") == 0
    assert walk.newest() == "create"
    assert walk.balance("jiro") == 0


def test_test_purchase(walk: Walk) -> None:
    """mika tests for the shop: the goods come, no points go."""
    walk.open_app("mika")
    walk.buy("船長の上着")
    expect(walk.page.locator(".point .banner")).to_be_visible()
    walk.confirm()
    walk.come_back()
    assert walk.newest() == "complete"
    follow(walk.page, "[data-payment] a.entry >> nth=0")
    expect(walk.page.locator("[data-says~=test]")).to_have_text(re.compile(r"\S"))


def test_the_bare_shop_leads_to_the_platform(walk: Walk) -> None:
    """Opened outside, the shop says where it opens, and its link goes there."""
    walk.page.goto(walk.running.shop)
    expect(walk.page.locator("main")).to_have_attribute("data-page", "door")
    follow(walk.page, f'main a.button[href^="{walk.running.platform}"]')
    expect(walk.page).to_have_url(re.compile(walk.running.platform))


@pytest.mark.parametrize("language", ["ja", pytest.param("en", marks=pytest.mark.thorough)])
def test_pages_fit_and_are_accessible(browser: Browser, running: Demo, language: str) -> None:
    """No page scrolls sideways or breaks a rule of accessibility, at any width, in light or dark."""
    context = browser.new_context(locale=language)
    page = context.new_page()
    page.goto(f"{running.platform}/?lang={language}")
    look(page)
    follow(page, '[data-persona="hanako"] button[name=persona]')
    look(page)
    for place in (1, 2, 3):
        follow(page, f".places a:nth-child({place})")
        look(page)
    follow(page, ".foot a >> nth=0")
    look(page)
    follow(page, ".places a >> nth=0")
    follow(page, ".shelf a >> nth=0")
    look(page)
    follow(page, "form.buy .button")
    look(page)
    follow(page, "button[value=cancel]")
    look(page)
    page.goto(f"{running.platform}/log")
    look(page)
    page.goto(f"{running.platform}/developer")
    look(page)
    context.close()


def follow(page: Page, selector: str) -> None:
    """Press what leads to another page, and wait until that page is there."""
    with page.expect_navigation():
        page.click(selector)


def look(page: Page) -> None:
    """On a small, a usual and a large screen: does it fit; and is it accessible, in light and in dark?"""
    for width, scheme in LOOKS.items():
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, f"{page.url} is {overflow} px too wide at {width}"
        if scheme:
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
