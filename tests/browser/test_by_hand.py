"""Walkthroughs by hand, without script: one begins one, does what it says, and sees it tick itself off."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests.demo import Demo

pytestmark = [pytest.mark.long]

PRICE = "10"  # of a loaf, the cheapest
BAG, HISTORY = 1, 2  # among the places
OUTSIDE = "lantern"  # sold outside as well
VOID_MILLISECONDS = 12_500


class Hands:
    """Somebody with a walkthrough open, and the app in a phone or in the platform's frame."""

    def __init__(self, page: Page, running: Demo, name: str, device: str) -> None:
        self.page, self.device, self.platform = page, device, running.platform
        page.goto(f"{running.platform}/desk/walkthroughs/{name}")
        page.click("details summary")
        page.fill("#price", PRICE)
        self._press(f'button[value="{device}"]')
        self.walk = page.url
        self._press(f'form[action="/phone/{device}"] button')

    @property
    def app(self) -> Page | FrameLocator:
        return self.page.frame_locator("iframe.appframe") if self.device == "pc" else self.page

    def item(self, name: str = "") -> None:
        self._click(f"[data-item{f'={name}' if name else ''}][data-amount] a")
        expect(self.app.locator("[data-page=item]")).to_be_visible()

    def buy(self, screen: str = "confirm") -> None:
        self._click("form.buy .button")
        expect(self.app.locator(f"[data-screen={screen}]")).to_be_visible()

    def warning(self) -> None:
        self._click(".way a")
        expect(self.app.locator("[data-page=warning]")).to_be_visible()

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

    def verdict(self) -> str | None:
        """What the walk's page says once the books were read, as its last step asks."""
        window = self.page.context.new_page()
        window.goto(self.walk)
        window.click("[data-step]:last-of-type a[href='/desk/books']")
        window.click("form.read button")
        expect(window.locator("main")).to_have_attribute("data-verdict", "green")
        window.goto(self.walk)
        verdict = window.locator("main").get_attribute("data-verdict")
        window.close()
        return verdict

    def _press(self, selector: str) -> None:
        with self.page.expect_navigation():
            self.page.click(selector)

    def _click(self, selector: str) -> None:
        self.app.locator(selector).first.click()


Begin = Callable[[str, str], Hands]


@pytest.fixture
def begin(browser: Browser, running: Demo) -> Iterator[Begin]:
    """A tester's browser, with script off."""
    context = browser.new_context(java_script_enabled=False, viewport={"width": 360, "height": 740})
    context.set_default_timeout(15_000)
    yield lambda name, device: Hands(context.new_page(), running, name, device)
    context.close()


def test_the_first_purchase(begin: Begin) -> None:
    """On a mobile phone every step ticks itself."""
    hands = begin("first-purchase", "mobile")
    hands.item()
    hands.buy()
    assert hands.states()[:2] == ["done", "open"]
    hands.decide("buy", "bought")
    assert hands.states()[:3] == ["done", "done", "open"]
    hands.back()
    hands.place(BAG, "bag")
    assert hands.states() == ["done", "done", "done", "open"]
    assert hands.verdict() == "passed"


@pytest.mark.thorough
def test_a_shortage(begin: Begin) -> None:
    """The second of five: 20 points short, topped up on the payment screen, and the same payment goes on."""
    hands = begin("short-and-topped-up", "mobile")
    hands.item()
    hands.buy("shortage")
    hands.decide("top-up", "confirm")
    hands.decide("buy", "bought")
    hands.back()
    hands.place(BAG, "bag")
    assert hands.states() == ["done", "done", "done", "open"]
    assert hands.verdict() == "passed"


@pytest.mark.thorough
def test_a_cancelled_purchase(begin: Begin) -> None:
    """The third, on a smartphone: what stands on the shop's own domain the tester says."""
    hands = begin("cancel", "smartphone")
    hands.item()
    hands.buy()
    hands.decide("cancel", "cancelled")
    assert hands.states()[:2] == ["done", "open"]
    hands.back()
    hands.say("yes")
    hands.place(BAG, "bag")
    hands.say("yes")
    assert hands.states() == ["done", "done", "done", "open"]
    assert hands.verdict() == "passed"


def test_a_lost_ok(begin: Begin) -> None:
    """The fourth: what the platform did not commit is taken back after the wait, which is short in a demo."""
    hands = begin("lost-ok", "mobile")
    hands.item()
    hands.buy()
    hands.decide("buy", "failed")
    assert hands.states()[:2] == ["done", "open"]
    hands.back()
    hands.page.wait_for_timeout(VOID_MILLISECONDS)
    hands.place(HISTORY, "history")
    hands.place(BAG, "bag")
    assert hands.states()[:4] == ["done", "done", "done", "done"]
    assert hands.verdict() == "passed"


def test_paying_outside_on_a_pc(begin: Begin) -> None:
    """The fifth, in the platform's frame, past the warning to the provider's window and back."""
    hands = begin("outside-purchase", "pc")
    hands.item(OUTSIDE)
    hands.warning()
    hands.say("yes")
    with hands.page.expect_popup() as opened:
        hands.app.locator(".twins button").click()
    outside = opened.value
    outside.click("form[action$=pay] button")
    expect(outside.locator("main")).to_have_attribute("data-screen", "paid")
    hands.say("yes")
    assert hands.states()[:3] == ["done", "done", "open"]
    outside.click("a[data-back]")
    expect(outside.locator("[data-page=finish]")).to_be_visible()
    outside.click(f".places a >> nth={BAG}")
    expect(outside.locator("[data-page=bag]")).to_be_visible()
    hands.say("yes")
    hands.app.locator(".places a >> nth=0").click()
    hands.item(OUTSIDE)
    hands.warning()
    hands.say("yes")
    assert hands.states() == ["done", "done", "done", "done", "open"]
    assert hands.verdict() == "passed"


@pytest.mark.thorough
def test_the_law(begin: Begin) -> None:
    """The legal notice is reached from beside the button."""
    hands = begin("law-beside-the-button", "mobile")
    hands.item()
    hands.app.locator(".terms a").first.click()
    expect(hands.app.locator("[data-page=legal]")).to_be_visible()
    assert hands.states()[:2] == ["done", "done"]


def test_in_a_frame(begin: Begin) -> None:
    """The first purchase on a PC: decision and points tick themselves, the bag is the tester's word."""
    hands = begin("first-purchase", "pc")
    hands.item()
    hands.buy()
    hands.decide("buy", "bought")
    assert hands.states()[:3] == ["done", "done", "open"]
    hands.back()
    hands.place(BAG, "bag")
    hands.say("no")
    assert hands.states()[:3] == ["done", "done", "missed"]
