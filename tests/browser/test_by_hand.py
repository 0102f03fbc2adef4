"""Walkthroughs by hand, without script: one begins one, does what it says, and sees it tick itself off."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests.browser.test_walk import one_shop_is_enough
from tests.demo import Demo

pytestmark = [pytest.mark.long, one_shop_is_enough]

PRICE = "10"  # of a loaf, the cheapest
BAG, HISTORY = 1, 2  # among the places
VOID_MILLISECONDS = 12_500


class Tester:
    """Somebody with a walkthrough open, and the app in a phone or in the platform's frame."""

    def __init__(self, page: Page, running: Demo, name: str, device: str) -> None:
        self.page, self.device = page, device
        page.goto(f"{running.platform}/desk/walkthroughs/{name}")
        page.fill("#price", PRICE)
        self._press(f'button[value="{device}"]')
        self.walk = page.url
        self._press(f'form[action="/phone/{device}"] button')

    @property
    def app(self) -> Page | FrameLocator:
        return self.page.frame_locator("iframe.appframe") if self.device == "pc" else self.page

    def item(self) -> None:
        self._click("[data-item][data-amount] a")
        expect(self.app.locator("[data-page=item]")).to_be_visible()

    def buy(self) -> None:
        self._click("form.buy button")
        expect(self.app.locator("[data-screen=confirm]")).to_be_visible()

    def decide(self, what: str, screen: str) -> None:
        self._click(f"form[action$='/{what}'] button")
        expect(self.app.locator(f"[data-screen={screen}]")).to_be_visible()

    def back(self) -> None:
        self._click("a[data-finish]")
        expect(self.app.locator("[data-page=finish]")).to_be_visible()

    def place(self, number: int, kind: str) -> None:
        self._click(f".places a >> nth={number}")
        expect(self.app.locator(f"[data-page={kind}]")).to_be_visible()

    def states(self) -> list[str]:
        """How the steps stand, as another window shows it; the books are the last."""
        window = self.page.context.new_page()
        window.goto(self.walk)
        found = window.locator("[data-step]")
        states = [str(found.nth(number).get_attribute("data-state")) for number in range(found.count())]
        window.close()
        return states

    def say(self, seen: str) -> None:
        """Of the step that waits for it: seen, or not seen."""
        window = self.page.context.new_page()
        window.goto(self.walk)
        with window.expect_navigation():
            window.click(f'button[name="seen"][value="{seen}"]')
        window.close()

    def _press(self, selector: str) -> None:
        with self.page.expect_navigation():
            self.page.click(selector)

    def _click(self, selector: str) -> None:
        self.app.locator(selector).first.click()


Begin = Callable[[str, str], Tester]


@pytest.fixture
def begin(browser: Browser, running: Demo) -> Iterator[Begin]:
    """A tester's browser, with script off."""
    context = browser.new_context(java_script_enabled=False, viewport={"width": 360, "height": 740})
    context.set_default_timeout(15_000)
    yield lambda name, device: Tester(context.new_page(), running, name, device)
    context.close()


def test_the_first_purchase(begin: Begin) -> None:
    """On a mobile phone every step ticks itself."""
    tester = begin("first-purchase", "mobile")
    tester.item()
    tester.buy()
    assert tester.states()[:2] == ["done", "open"]
    tester.decide("buy", "bought")
    assert tester.states()[:3] == ["done", "done", "open"]
    tester.back()
    tester.place(BAG, "bag")
    assert tester.states() == ["done", "done", "done", "open"]


def test_a_cancelled_purchase(begin: Begin) -> None:
    """The second of five: nothing is given out, and the page after it says so."""
    tester = begin("cancel", "mobile")
    tester.item()
    tester.buy()
    tester.decide("cancel", "cancelled")
    tester.back()
    tester.place(BAG, "bag")
    assert tester.states()[:3] == ["done", "done", "done"]


def test_the_law(begin: Begin) -> None:
    """The third: the legal notice is reached from beside the button."""
    tester = begin("law-beside-the-button", "mobile")
    tester.item()
    tester.app.locator(".terms a").first.click()
    expect(tester.app.locator("[data-page=legal]")).to_be_visible()
    assert tester.states()[:2] == ["done", "done"]


def test_a_lost_ok(begin: Begin) -> None:
    """The fourth: what the platform did not commit is taken back after the wait, which is short in a demo."""
    tester = begin("lost-ok", "mobile")
    tester.item()
    tester.buy()
    tester.decide("buy", "failed")
    assert tester.states()[:2] == ["done", "open"]
    tester.back()
    tester.page.wait_for_timeout(VOID_MILLISECONDS)
    tester.place(HISTORY, "history")
    tester.place(BAG, "bag")
    assert tester.states()[:4] == ["done", "done", "done", "done"]


def test_on_a_pc(begin: Begin) -> None:
    """The fifth, in the platform's frame: what the platform cannot see the tester says."""
    tester = begin("first-purchase", "pc")
    tester.item()
    tester.buy()
    tester.decide("buy", "bought")
    assert tester.states()[:3] == ["done", "done", "open"]
    tester.back()
    tester.place(BAG, "bag")
    tester.say("yes")
    assert tester.states()[:3] == ["done", "done", "done"]
