"""The desk in a browser: a stage of one's own, pages that everybody can use, and no need of a mouse."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.test_by_hand import Begin, begin
from tests.browser.test_walk import follow, look
from tests.demo import Demo

__all__ = ["begin"]  # a fixture

pytestmark = [pytest.mark.long]

SITUATION = (
    "/situation?who=yuki&on=mobile&item=any&points=price-20&weather=callback.lost*1,api.slow:3*2&clock=%2B1d"
)
EMPTY = (
    *("/", "/desk", "/desk/side", "/desk/live", "/desk/phone", "/desk/outcomes", SITUATION, "/desk/books"),
    *("/desk/walkthroughs", "/desk/walkthroughs/lost-ok", "/desk/walkthroughs/shop-frozen", "/desk/weather"),
    *("/desk/signatures", "/assumptions", "/developer", "/log", "/situation?who=nobody", "/nowhere"),
)
PLAYED = ("/", "/desk", "/desk/live", "/desk/live?pause=", "/desk/phone", "/desk/books", "/log")
MOST_TABS = 120  # presses of Tab until a control must have been reached


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 360, "height": 740})
    context.set_default_timeout(15_000)
    yield context
    context.close()


def test_reset_is_a_fresh_stage(begin: Begin) -> None:
    """Nothing of before is on it: no payment, no row, no weather, and everybody's points as at the start."""
    hands = begin("lost-ok", "mobile")
    hands.item()
    hands.buy()
    hands.decide("buy", "failed")
    page = hands.page
    page.goto(f"{hands.platform}/desk")
    follow(page, "form[action='/reset'] button")
    expect(page).to_have_url(re.compile("/desk$"))
    expect(page.locator("[data-weather]")).to_have_count(0)
    expect(page.locator("[data-books]")).to_have_attribute("data-books", "green")
    page.goto(f"{hands.platform}/")
    expect(page.locator("[data-payment]")).to_have_count(0)
    assert {row.get_attribute("data-app") for row in page.locator("[data-persona]").all()} == {"no"}
    page.goto(f"{hands.platform}/log")
    expect(page.locator("[data-row]")).to_have_count(0)


def test_a_stage_is_its_browsers(begin: Begin, context: BrowserContext) -> None:
    """Another browser sees neither its payments nor its log, nor its walk, and is asked for no decision."""
    hands = begin("first-purchase", "mobile")
    hands.item()
    hands.buy()
    screen = hands.page.url
    hands.page.goto(f"{hands.platform}/log")
    row = hands.page.locator("[data-row]").first.get_attribute("data-row")
    code = hands.page.locator("[data-row][data-payment]").first.get_attribute("data-payment")
    stranger = context.new_page()
    for path in (
        "/",
        "/log",
        "/desk",
        "/desk/live",
        "/desk/books",
        "/desk/happenings.json",
        "/log?payment=" + str(code),
    ):
        stranger.goto(hands.platform + path)
        expect(stranger.locator("[data-payment], [data-row], [data-happening]")).to_have_count(0)
        assert f"payments/{code}" not in stranger.content()
    for address in (f"/log/{row}", f"/payments/{code}", hands.walk.removeprefix(hands.platform)):
        assert stranger.request.get(hands.platform + address).status == 404
    stranger.goto(screen)
    expect(stranger.locator("form[action$='/buy']")).to_have_count(0)
    hands.page.goto(screen)
    hands.decide("buy", "bought")


@pytest.mark.thorough
def test_every_page_of_the_desk(browser: Browser, running: Demo) -> None:
    """It fits and is accessible at every width, in light and dark, before anything was done on the stage."""
    page = _speaking(browser, running, "en")
    for path in EMPTY:
        page.goto(running.platform + path)
        look(page)
    page.goto(f"{running.platform}/desk/signatures")
    page.fill("#address", f"{running.platform}/atom/mobile/point/@me?xoauth_requestor_id=1")
    page.fill("#header", 'OAuth oauth_consumer_key="k", oauth_nonce="n", oauth_signature="s"')
    follow(page, ".paste button")
    look(page)
    page.context.close()


def test_every_page_of_a_played_stage(browser: Browser, running: Demo) -> None:
    """The same of what a purchase leaves: rows, payments, weather, a turned clock, and a walk half done."""
    page = _speaking(browser, running, "ja")
    page.goto(f"{running.platform}/desk/walkthroughs/lost-ok")
    follow(page, "button[value=mobile]")
    walk = page.url
    look(page)
    follow(page, "form[action='/phone/mobile'] button")
    for press in ("[data-item][data-amount] a", "form.buy .button", "form[action$='/buy'] button"):
        follow(page, f"{press} >> nth=0")
        look(page)
    for form, press in (
        ("weather", "next"),
        ("clock", "seconds"),
        ("switches/in_development", "on"),
        ("books", ""),
    ):
        page.goto(f"{running.platform}/desk")
        follow(page, f"form[action='/desk/{form}'] button{f'[name={press}]' if press else ''} >> nth=0")
    look(page)
    page.goto(f"{running.platform}/log")
    rows = {
        row.get_attribute("data-kind"): row.get_attribute("data-row")
        for row in page.locator("[data-row]").all()
    }
    code = page.locator("[data-row][data-payment]").first.get_attribute("data-payment")
    told = [f"/log/{rows['page']}", f"/log/{rows['api']}", f"/log/{rows['callback']}", f"/payments/{code}"]
    for path in (*PLAYED, *told):
        page.goto(running.platform + path)
        look(page)
    page.goto(walk)
    follow(page, "button[name=seen][value=no]")
    expect(page.locator("main")).to_have_attribute("data-verdict", "missed")
    look(page)
    page.context.close()


def test_by_keyboard_alone(context: BrowserContext, running: Demo) -> None:
    """Tab, Enter and letters begin a walkthrough, buy, come back, read the books: it is passed."""
    page = context.new_page()
    page.goto(f"{running.platform}/desk/walkthroughs/first-purchase")
    reach(page, "details summary")
    page.keyboard.press("Enter")
    reach(page, "#price")
    page.keyboard.type("10")
    walk = enter(page, "button[value=mobile]")
    enter(page, "form[action='/phone/mobile'] button")
    for there in (
        "[data-item][data-amount] a",
        "form.buy .button",
        "form[action$='/buy'] button",
        "a[data-finish]",
    ):
        enter(page, there)
    enter(page, ".places a:nth-child(2)")
    page.goto(walk)
    enter(page, "[data-step] a[href='/desk/books']")
    enter(page, "form.read button")
    page.goto(walk)
    expect(page.locator("main")).to_have_attribute("data-verdict", "passed")


def test_what_reloads_itself(context: BrowserContext, running: Demo) -> None:
    """It takes the focus from nobody, and stands still once it is told to pause."""
    page = context.new_page()
    page.goto(f"{running.platform}/desk")
    loads: list[str] = []
    page.on("framenavigated", lambda frame: loads.append(frame.url))
    reach(page, "a[href='/desk/weather']")
    with page.expect_event("framenavigated"):  # by itself
        pass
    assert _is_here(page, "a[href='/desk/weather']")
    live = page.frame_locator("iframe.live")
    live.locator("a[href='/desk/live?pause=']").click()
    expect(live.locator("a[href='/desk/live']")).to_be_visible()
    assert page.request.get(f"{running.platform}/desk/live").headers["refresh"] == "10"
    assert "refresh" not in page.request.get(f"{running.platform}/desk/live?pause=").headers
    loads.clear()
    page.wait_for_timeout(11_000)
    assert loads == []


def _speaking(browser: Browser, running: Demo, spoken: str) -> Page:
    page = browser.new_context(locale=spoken).new_page()
    page.goto(f"{running.platform}/?lang={spoken}")
    return page


def enter(page: Page, selector: str) -> str:
    """Go there by Tab, press Enter, and wait for the page it leads to; its address."""
    reach(page, selector)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    return page.url


def reach(page: Page, selector: str) -> None:
    for _ in range(MOST_TABS):
        if _is_here(page, selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {selector} of {page.url}")


def _is_here(page: Page, selector: str) -> bool:
    """Whether the focus is on the first that this selector names, and one sees that it is."""
    found = page.locator(selector).first
    return bool(
        found.evaluate(
            "one => one === document.activeElement && getComputedStyle(one).outlineStyle !== 'none'"
        )
    )
