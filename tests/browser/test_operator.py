"""An operator's morning: a buyer writes "I paid and have nothing"; found, understood and put right."""

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_devices import Hand, come_in
from tests.browser.test_walk import follow, look
from tests.demo import Demo

pytestmark = pytest.mark.long

MINUTE = 60


@pytest.fixture
def hanako(browser: Browser, running: Demo) -> Iterator[Hand]:
    """Her phone, without script, on a stage of its own."""
    context = browser.new_context(java_script_enabled=False, viewport={"width": 360, "height": 740})
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.goto(f"{running.platform}/?lang=ja")
    follow(page, '[data-persona="hanako"] [data-device="mobile"]')
    yield Hand(page, running, "mobile", "ja")
    context.close()


def buy(hand: Hand) -> str:
    """A loaf, to the end; the payment's code."""
    hand.open("/items/loaf")
    follow(hand.page, "form.buy button, form.buy input[type=submit]")
    follow(hand.page, "form[action$=buy] button")
    hand.open("/history")
    return str(hand.page.locator("[data-payment]").first.get_attribute("data-payment"))


def forget(running: Demo, code: str) -> None:
    """What a backup from just before the callback would have left of this payment."""
    with closing(sqlite3.connect(running.output.parent / "storefront.db", timeout=10)) as file, file:
        changed = file.execute(
            "UPDATE payment SET status = 'create', settled_at = NULL, updated_at = NULL, ok_at = NULL,"
            " asked_at = NULL, confirmed_at = NULL, created_at = '2026-01-01 00:00:00' WHERE point_code = ?",
            [code],
        )
        assert changed.rowcount == 1
        for table in ('"grant"', "entry"):
            file.execute(f"DELETE FROM {table} WHERE key = ?", [f"mixi:{code}"])  # noqa: S608  # our own words


def read_books(hand: Hand) -> str:
    """The verdict of the desk's books on her stage."""
    hand.page.goto(f"{hand.running.platform}/desk/books")
    follow(hand.page, "form.read button")
    return str(hand.page.locator("main").get_attribute("data-verdict"))


def test_paid_and_nothing_there(browser: Browser, running: Demo, hanako: Hand) -> None:
    """From her letter to her bag in under a minute, without script; then points and goods agree again."""
    code = buy(hanako)
    forget(running, code)
    assert hanako.held("loaf") == 0
    assert read_books(hanako) == "red"
    begun = time.monotonic()
    page = come_in(browser, running, "ja", java_script_enabled=False)
    page.fill("#seek", code)
    follow(page, ".seek button")
    story = page.locator(f'[data-key="mixi:{code}"]')
    expect(story.first.locator("strong")).to_have_text(re.compile(r"\S"))
    expect(page.locator('[data-item="loaf"]')).to_have_count(0)
    follow(page, f'[data-key="mixi:{code}"] >> a[href*="give="]')
    page.fill("#give-reason", "mixiではポイントが引き落とされていた")
    follow(page, "form[action$=give] button")
    expect(page.locator('[data-item="loaf"][data-quantity="1"]')).to_be_visible()
    assert time.monotonic() - begun < MINUTE
    expect(story).to_have_count(4)  # the payment, and goods, entry and correction with it
    page.context.close()
    assert hanako.held("loaf") == 1
    hanako.open("/history")
    given = hanako.page.locator('[data-state="given"]')
    expect(given).to_have_attribute("data-of", code)
    expect(given.locator(".state")).to_have_text(re.compile(r"\S"))
    assert read_books(hanako) == "green"


@pytest.mark.thorough
@pytest.mark.parametrize("spoken", ["ja", "en"])
def test_its_pages(browser: Browser, running: Demo, hanako: Hand, spoken: str) -> None:
    """Open forms, a refusal, a rich day, an item with what was set, and a report fit and are accessible."""
    code = buy(hanako)
    page = come_in(browser, running, spoken)
    page.fill("#seek", "no such thing")
    follow(page, ".seek button")
    look(page)
    page.fill("#seek", code)
    follow(page, ".seek button")
    for summary in page.locator("details summary").all():
        summary.click()
    look(page)
    follow(page, f'[data-key="mixi:{code}"] a[href^="?give"]')
    page.fill("#give-reason", "x")
    page.fill("#give-quantity", "0")
    follow(page, "form[action$=give] button")
    expect(page.locator("[data-refused=give]")).to_be_visible()
    look(page)
    for name, text in {"quantity": "1", "paid": "9999999", "cause": "letter 7"}.items():
        page.fill(f"#give-{name}", text)
    follow(page, "form[action$=give] button")
    page.goto(f"{running.shop}/operator/today?lang={spoken}")
    expect(page.locator("[data-kind=given] .amount").first).to_contain_text(re.compile(r"\d,\d{3},\d{3}pt"))
    look(page)
    page.goto(f"{running.shop}/operator/items/fireworks?lang={spoken}")
    page.fill("#remark", "a lorry came")
    page.fill("#stock", "20")
    follow(page, ".goods button")
    expect(page.locator("[data-field=stock]")).to_have_attribute("data-adjusted", "yes")
    look(page)
    page.check("[name=file-stock]")
    follow(page, ".goods button")
    expect(page.locator("[data-field=stock]")).to_have_attribute("data-adjusted", "no")
    page.goto(f"{running.shop}/operator/reports?day=y&item=y&device=y&platform=y&lang={spoken}")
    expect(page.locator("tbody tr").first).to_be_visible()
    look(page)
    page.set_viewport_size({"width": 240, "height": 800})
    beyond = page.locator(".wide").evaluate("one => one.scrollWidth - one.clientWidth")
    assert beyond <= 0, f"of the report {beyond} px are seen by scrolling sideways only"
    assert_reachable_by_keyboard(page)
    page.context.close()


def assert_reachable_by_keyboard(page: Page) -> None:
    """The first stops of the tabulator are search and places, each with a ring that can be seen."""
    page.keyboard.press("Tab")
    for _ in range(4):
        ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert re.fullmatch("solid|auto", ring)
        page.keyboard.press("Tab")
