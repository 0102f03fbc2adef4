"""Walkthroughs of shop owners by hand, in a real browser, with script and without."""

import pytest
from playwright.sync_api import Page, expect

from storefront import demo as the_demo
from tests.demo import Demo

pytestmark = [
    pytest.mark.long,
    # What the pages do does not depend on the database.
    pytest.mark.parametrize("running", ["sqlite"], indirect=True),
]
TURNING = 60_000  # milliseconds


class Owner:
    """A shop owner, with the list of what must be seen beside."""

    def __init__(self, page: Page, running: Demo) -> None:
        self.page = page
        self.store = the_demo.started(running.output.parent)["APPSTORE_PUBLIC_URL"]
        self.walk = ""

    def begin(self, name: str) -> None:
        self.page.goto(f"{self.store}/desk/walkthroughs/{name}")
        self.press('form[action$="/begin"] button')
        self.walk = self.page.url
        assert self.verdict() == "open"

    def press(self, selector: str) -> None:
        with self.page.expect_navigation():
            self.page.locator(selector).first.click()

    def at_shop(self) -> None:
        self.page.goto(self.walk)
        self.press("main .actions a.button")

    def install(self, form: str) -> None:
        self.at_shop()
        self.press('main a[href$="/app"]')
        self.press(f'[data-form="{form}"] button')
        self.press('button[value="allow"]')
        expect(self.page.locator('[data-page="shelf"]')).to_have_count(1)

    def turn(self, day: str) -> None:
        self.page.goto(f"{self.store}/calendar")
        self.page.fill("#day", day)
        self.press("form.day-of button")
        expect(self.page.locator('main[data-state="standing"]')).to_have_count(1, timeout=TURNING)
        assert day in str(self.page.locator("time[data-now]").get_attribute("datetime"))

    def seen(self) -> None:
        self.page.goto(self.walk)
        self.press('[data-state="open"] button[value="yes"]')

    def steps(self) -> list[str]:
        self.page.goto(self.walk)
        return [str(one.get_attribute("data-state")) for one in self.page.locator("[data-step]").all()]

    def verdict(self) -> str:
        self.page.goto(self.walk)
        return str(self.page.locator("main").get_attribute("data-verdict"))


@pytest.fixture
def owner(page: Page, running: Demo) -> Owner:
    return Owner(page, running)


def test_a_trial_is_left_in_time(owner: Owner) -> None:
    """Install, let in, ten days, uninstall: what the store knows ticks itself, of the app one says it."""
    owner.begin("trial-left-in-time")
    owner.install("monthly")
    owner.seen()
    owner.turn("2021-07-20")
    owner.at_shop()
    owner.press('form[action$="/uninstall"] button')
    assert owner.steps() == ["done", "done", "open"]
    owner.turn("2021-08-01")
    owner.seen()
    assert owner.verdict() == "passed"


def test_an_option_is_bought(owner: Owner) -> None:
    """The press of the button is one purchase, in the app's history and among the store's bills."""
    owner.begin("option-bought")
    owner.install("free")
    shelf = owner.page.url
    owner.seen()
    owner.page.goto(shelf)
    owner.press('[data-item="cloak"] a')
    owner.press("main form.buy button")
    expect(owner.page.locator('[data-payment][data-state="charged"]')).to_have_count(1)
    owner.seen()
    assert owner.steps() == ["done", "done", "open", "open"]
    owner.seen()
    owner.seen()
    assert owner.verdict() == "passed"
