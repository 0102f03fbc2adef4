"""The door out in a browser: on each device, in a frame, over TLS, and on the operator's pages."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_devices import Hand, come_in, expect_in_bag, hand, language
from tests.browser.test_frames import desk, open_app, over_tls
from tests.browser.test_walk import follow, look
from tests.demo import Demo

__all__ = ["desk", "hand", "language"]  # fixtures

pytestmark = pytest.mark.long

FORBIDDEN = {"mobile": "never_on_mobile", "smartphone": "smartphone_silent"}


def test_the_warning_page(hand: Hand) -> None:
    """On a PC hanako meets the warning and pays outside in a new window; elsewhere the rule is named."""
    before = hand.held("lantern")
    if hand.device != "pc":
        hand.open("/items/lantern")
        assert hand.page.locator(".way").count() == 0
        hand.open("/external/items/lantern")
        expect(hand.page.locator("main")).to_have_attribute("data-reason", FORBIDDEN[hand.device])
        expect(hand.page.locator("html")).to_have_attribute("lang", hand.language)
        expect(hand.page.locator("[data-says=rule]")).to_have_text(re.compile(r"\S"))
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
    expect_in_bag(outside, {"ja": "ランタン", "en": "antern"}[hand.language])
    assert hand.held("lantern") == before + 1


@pytest.mark.parametrize("spoken", ["ja", "en"])
def test_its_pages_fit(browser: Browser, running: Demo, spoken: str) -> None:
    """They fit and are accessible: the warning, what the provider shows, and the way back."""
    context = browser.new_context(locale=spoken)
    page = context.new_page()
    page.goto(f"{running.platform}/?lang={spoken}")
    follow(page, '[data-persona="yuki"] [data-device="pc"]')
    page.goto(f"{running.shop}/external/items/excalibur?lang={spoken}")
    look(page)
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
    context.close()


@pytest.mark.thorough
@pytest.mark.parametrize("spoken", ["ja", "en"])
def test_the_operators_pages(browser: Browser, running: Demo, spoken: str) -> None:
    """Stopping the app on paper closes the door, taking it back opens it."""
    page = come_in(browser, running, spoken)
    page.goto(f"{running.shop}/external/malfunctions/new")
    look(page)
    page.goto(f"{running.shop}/external/registration")
    for allowed in ("no", "yes"):
        page.fill('[name="stopped_on"]', "2026-01-01" if allowed == "no" else "")
        follow(page, ".fields button")
        expect(page.locator(".verdict")).to_have_attribute("data-allowed", allowed)
    page.context.close()


def test_from_the_frame(desk: Page, running: Demo) -> None:
    """The warning stands in the frame, the provider in a window of its own, which shows the payment after."""
    app = open_app(desk, running.platform)
    app.locator(".card", has_text="ランタン").click()
    app.locator(".way a").click()
    expect(app.locator("[data-page=warning]")).to_be_visible()
    with desk.expect_popup() as opened:
        app.locator(".twins button").click()
    outside = opened.value
    expect(outside).to_have_url(re.compile("/payments/"))
    assert outside.evaluate("window.opener") is None
    outside.click("form[action$=pay] button")
    outside.click("a[data-back]")
    expect(outside.locator("article")).to_have_attribute("data-state", "complete")
    expect(app.locator("[data-page=warning]")).to_be_visible()


@pytest.mark.thorough
def test_from_a_frame_of_another_site_over_tls(browser: Browser, tmp_path: Path) -> None:
    """Where browsers keep other sites' cookies out, the way back opens no visit; the frame has one."""
    with over_tls(browser, tmp_path) as (page, app, street):
        app.locator(".card", has_text="ランタン").click()
        app.locator(".way a").click()
        with page.expect_popup() as opened:
            app.locator(".twins button").click()
        outside = opened.value
        expect(outside).to_have_url(re.compile(f"^{street['PROVIDER_PUBLIC_URL']}/payments/"))
        outside.click("form[action$=cancel] button")
        outside.click("a[data-back]")
        expect(outside.locator("article")).to_have_attribute("data-state", "create")
        expect(outside.locator(".places")).to_have_count(0)
        outside.goto(f"{street['STOREFRONT_PUBLIC_URL']}/history")
        expect(outside.locator("[data-payment]")).to_have_count(0)
        app.locator(".twins a").click()
        app.locator(".places a:nth-child(3)").click()
        expect(app.locator("[data-payment]")).to_have_count(1)
