"""Shop owners in a real browser: walkthroughs by hand, with script and without, and a look at every page."""

from collections.abc import Iterable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from storefront import demo as the_demo
from tests.browser.test_walk import follow, look
from tests.demo import Demo

pytestmark = pytest.mark.long
TURNING = 60_000  # milliseconds
CONSOLE = "/my/applications/12"
OPEN = (
    *("/", "/calendar", "/weather", "/log", "/rules", "/nowhere", CONSOLE, f"{CONSOLE}/state/usage_charges"),
    *(f"{CONSOLE}/state/sales", f"{CONSOLE}/mail", "/desk/walkthroughs", "/desk/walkthroughs/option-bought"),
)
# Kana and kanji, but for what says of itself that it is Japanese.
JAPANESE = r"""[...document.querySelectorAll("body *")].filter(one => !one.closest("[lang=ja], code, pre"))
  .flatMap(one => [...one.childNodes]).filter(one => one.nodeType === Node.TEXT_NODE)
  .map(one => one.data.trim()).filter(text => /[\u3041-\u30fa\u4e00-\u9fff]/.test(text))"""
STRANGERS = (
    *("/colorme/", "/colorme/oauth?error=access_denied&state=x", "/colorme/oauth?state=x&code=y"),
    *("/colorme/reckoning?form=monthly_usage", "/colorme/reckoning?form=monthly&monthly=3"),
)


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
    owner.press("main form.buy .button")
    expect(owner.page.locator('[data-payment][data-state="charged"]')).to_have_count(1)
    owner.seen()
    assert owner.steps() == ["done", "done", "open", "open"]
    owner.seen()
    owner.seen()
    assert owner.verdict() == "passed"


class Visitor:
    """Somebody who looks at every page, in one language."""

    def __init__(self, page: Page, running: Demo, language: str) -> None:
        self.page, self.app, self.language = page, running.shop, language
        self.store = the_demo.started(running.output.parent)["APPSTORE_PUBLIC_URL"]

    def begin(self) -> None:
        """New shops, and an app without cron: the days pass faster."""
        self.page.goto(f"{self.store}/calendar")
        follow(self.page, 'form[action$="/again"] button')
        self.page.goto(f"{self.store}/calendar")
        if self.page.locator('[data-daily="on"]').count():
            follow(self.page, "button[value=off]")

    def account(self, key: str) -> str:
        self.page.goto(f"{self.store}/")
        return str(self.page.locator(f'[data-key="{key}"]').get_attribute("data-shop"))

    def see(self, address: str) -> None:
        answer = self.page.goto(f"{address}{'&' if '?' in address else '?'}lang={self.language}")
        assert answer
        assert (answer.status == 404) == address.endswith("/nowhere"), address
        look(self.page)
        if self.language == "en" and address.startswith(self.store):
            assert self.page.evaluate(JAPANESE) == [], address

    def see_all(self, site: str, paths: Iterable[str]) -> None:
        for path in paths:
            self.see(site + path)

    def install(self, account: str, form: str) -> None:
        self.page.goto(f"{self.store}/shops/{account}/app")
        follow(self.page, f'[data-form="{form}"] button')
        look(self.page)
        follow(self.page, 'button[value="allow"]')

    def turn(self, day: str) -> None:
        self.page.goto(f"{self.store}/calendar")
        self.page.fill("#day", day)
        follow(self.page, "form.day-of button")
        expect(self.page.locator('main[data-state="standing"]')).to_have_count(1, timeout=TURNING)

    def weather(self, kind: str) -> None:
        self.page.goto(f"{self.store}/weather")
        self.page.select_option("select[name=kind]", kind)
        follow(self.page, "form.action button")

    def buy(self, item: str) -> None:
        self.page.goto(f"{self.app}/items/{item}")
        follow(self.page, "form.buy .button")


@pytest.fixture(params=["ja", pytest.param("en", marks=pytest.mark.thorough)])
def visitor(request: pytest.FixtureRequest, browser: Browser, running: Demo) -> Iterator[Visitor]:
    context = browser.new_context(locale=request.param)
    context.set_default_timeout(30_000)
    visitor = Visitor(context.new_page(), running, request.param)
    visitor.begin()
    yield visitor
    context.close()


def test_pages_of_the_store(visitor: Visitor) -> None:
    """They fit and are accessible at any width, in light or dark; an English one has no Japanese of ours."""
    account = visitor.account("bakery")
    own = [f"/shops/{account}", f"/shops/{account}/app", f"/shops/{account}/mail"]
    visitor.see_all(visitor.store, [*OPEN, *own])
    visitor.install(account, "monthly")
    visitor.turn("2021-08-02")
    visitor.weather("charge.lost")
    visitor.see_all(visitor.store, ["/", *own, "/calendar", "/weather", "/log", f"{CONSOLE}/state/sales"])
    follow(visitor.page, 'nav a[href$="/log"]')
    follow(visitor.page, "[data-wire] a")
    visitor.see(visitor.page.url)


def test_pages_of_an_owner(visitor: Visitor) -> None:
    """The app's own fit and are accessible: without a visit, in the trial, bought, unknown, leaving."""
    visitor.see_all(visitor.app, STRANGERS)
    visitor.install(visitor.account("bakery"), "monthly")
    visitor.see_all(visitor.app, ["/", "/items/cloak", "/items/loaf", "/history", "/colorme/"])
    visitor.buy("cloak")
    visitor.see(visitor.page.url)
    visitor.weather("charge.lost")
    visitor.buy("cloak")
    assert visitor.page.locator('[data-state="unknown"]').count() == 1
    visitor.see(visitor.page.url)
    visitor.turn("2021-09-05")
    visitor.see_all(visitor.app, ["/history", "/inventory", "/legal", "/colorme/"])
    visitor.weather("removal.before")
    visitor.page.goto(f"{visitor.app}/colorme/")
    follow(visitor.page, 'form[action*="/removal"] button')
    look(visitor.page)
    visitor.see(f"{visitor.app}/colorme/")
    follow(visitor.page, 'form[action*="/leave"] button')
    look(visitor.page)


def test_pages_by_use(visitor: Visitor) -> None:
    """What is taken on account: from the question whose shop it is to the store's list of usage."""
    visitor.install(visitor.account("bakery"), "free")
    visitor.install(visitor.account("lighthouse"), "usage")
    assert visitor.page.locator('[data-page="change"]').count() == 1
    look(visitor.page)
    follow(visitor.page, "form.twins button")
    visitor.see(f"{visitor.app}/items/moss")
    visitor.buy("moss")
    visitor.see_all(visitor.app, ["/inventory", "/colorme/"])
    assert visitor.page.locator('[data-taken="moss"]').count() == 1
    follow(visitor.page, 'form[action*="/removal"] button')
    look(visitor.page)
    visitor.see(f"{visitor.store}{CONSOLE}/state/usage_charges")
    assert visitor.page.locator("[data-usage]").count() >= 1
