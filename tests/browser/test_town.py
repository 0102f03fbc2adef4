"""A real browser follows what it has bought into the harbour town of the sample game."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_walk import Walk, follow, look
from tests.demo import Demo

pytestmark = pytest.mark.long


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
        walk.press("購入する")
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
