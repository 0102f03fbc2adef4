"""A PC: the app in a frame of the platform's page, in its own window, and across hosts, without script."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from storefront import demo
from storefront.sandbox import key_pairs
from tests.browser.apart import apart
from tests.browser.conftest import launched
from tests.browser.test_walk import follow, look
from tests.demo import Demo, free_ports

pytestmark = pytest.mark.long

SERVERS = tuple(demo.ports())


@pytest.fixture(params=["script", "no script"])
def desk(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A PC-sized page."""
    context = browser.new_context(
        java_script_enabled=request.param == "script",
        viewport={"width": 1280, "height": 800},
        locale="en-GB",
        ignore_https_errors=True,
    )
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


def open_app(page: Page, platform: str, persona: str = "hanako") -> FrameLocator:
    """The platform's page around the app."""
    page.goto(f"{platform}/?lang=ja")
    follow(page, f'[data-persona="{persona}"] [data-device=pc]')
    expect(page).to_have_url(re.compile("/apps/pc$"))
    return page.frame_locator("iframe")


def in_own_window(page: Page) -> Page:
    with page.expect_popup() as opened:
        page.click(".appbar button")
    window = opened.value
    window.wait_for_load_state()
    return window


def test_a_purchase_in_the_frame(desk: Page, running: Demo) -> None:
    """Shelf, item, payment screen, and back: all in the frame, and the page around it stays."""
    app = open_app(desk, running.platform, "yuki")
    expect(app.locator(".who")).to_contain_text("mixi …")
    app.locator(".card", has_text="まるパン").click()
    app.locator("form.buy .button").click()
    expect(app.locator("main")).to_have_attribute("data-screen", "confirm")
    expect(app.locator(".strip")).to_have_count(0)
    app.locator("form[action$=buy] button").click()
    expect(app.locator("main")).to_have_attribute("data-screen", "bought")
    app.locator("a[data-finish]").click()
    expect(app.locator("[data-payment]")).to_have_attribute("data-state", "complete")
    expect(app.locator("h1")).to_contain_text("まるパン")
    app.locator("article.finish a.button").click()
    expect(app.locator('[data-item="loaf"]')).to_be_visible()
    expect(desk).to_have_url(re.compile("/apps/pc$"))


def test_leaving_the_payment_screen_leaves_the_frame(desk: Page, running: Demo) -> None:
    """No page of the platform's stands in a frame of its own but the payment screen."""
    app = open_app(desk, running.platform)
    app.locator(".card", has_text="まるパン").click()
    app.locator("form.buy .button").click()
    app.locator(".leave a").click()
    expect(desk).to_have_url(f"{running.platform}/")


def test_by_choice_in_its_own_window(desk: Page, running: Demo) -> None:
    """The same app, the same person, and nothing of the platform's around it."""
    open_app(desk, running.platform)
    window = in_own_window(desk)
    expect(window).to_have_url(f"{running.shop}/")
    expect(window.locator(".who")).to_be_visible()


def test_somebody_elses_start_address_asks(desk: Page, running: Demo) -> None:
    """Opened in a browser with a visit it asks, in the frame as well; the choice is the buyer's."""
    hanako = str(open_app(desk, running.platform, "hanako").locator(".who").text_content())
    app = open_app(desk, running.platform, "taro")
    expect(app.locator("[data-page=change]")).to_be_visible()
    app.locator(".twins a").click()
    expect(app.locator(".who")).to_have_text(hanako)
    app = open_app(desk, running.platform, "taro")
    app.locator(".twins button").click()
    expect(app.locator(".who")).to_contain_text("mixi …")
    expect(app.locator(".who")).not_to_have_text(hanako)


@pytest.mark.parametrize("spoken", ["ja", "en"])
def test_the_pages_fit(browser: Browser, running: Demo, spoken: str) -> None:
    """The platform's page around the app, and the page that asks, at every width, in light and dark."""
    context = browser.new_context(locale=spoken)
    page = context.new_page()
    page.goto(f"{running.platform}/?lang={spoken}")
    follow(page, '[data-persona="hanako"] [data-device=pc]')
    look(page)
    page.goto(f"{running.platform}/?lang={spoken}")
    follow(page, '[data-persona="taro"] [data-device=pc]')
    window = in_own_window(page)
    expect(window.locator("[data-page=change]")).to_be_visible()
    look(window)
    context.close()


@pytest.mark.thorough
@pytest.mark.parametrize("desk", ["no script"], indirect=True)
def test_the_point_interface_on_another_host(desk: Page, tmp_path: Path) -> None:
    """Container and interface are two hosts, and the button of the shop still leads to the interface."""
    ports = dict(zip(SERVERS, free_ports(len(SERVERS)), strict=True))
    container = f"http://localhost:{ports['sandbox']}"
    changed = {
        "STOREFRONT_MIXI_CONTAINER_URL": f"{container}/ma/12345/",
        "STOREFRONT_MIXI_APP_URL": f"{container}/",
    }
    with apart(tmp_path, ports, changed) as street:
        assert street["STOREFRONT_MIXI_PLATFORM_HOSTS"] == f"127.0.0.1:{ports['sandbox']}"
        open_app(desk, street["SANDBOX_PUBLIC_URL"])
        shop = in_own_window(desk)
        shop.click(".card:has-text('まるパン')")
        shop.click("form.buy .button")
        expect(shop).to_have_url(re.compile(f"^{street['SANDBOX_PUBLIC_URL']}/point/"))
        shop.click("form[action$=buy] button")
        shop.click("a[data-finish]")
        expect(shop.locator("[data-payment]")).to_have_attribute("data-state", "complete")
        expect(shop.locator("h1")).to_contain_text("まるパン")


@pytest.mark.thorough
def test_the_frame_of_another_site_over_tls(browser: Browser, tmp_path: Path) -> None:
    """Where browsers keep other sites' cookies out, the visit lives in the frame."""
    with over_tls(browser, tmp_path) as (_, app, _street):
        hanako = str(app.locator(".who").text_content())
        app.locator(".places a:nth-child(3)").click()
        expect(app.locator("[data-page=history]")).to_be_visible()
        expect(app.locator(".who")).to_have_text(hanako)


@contextmanager
def over_tls(browser: Browser, folder: Path) -> Iterator[tuple[Page, FrameLocator, Mapping[str, str]]]:
    """hanako's app in a frame of another site; the browser lets such frames see no cookie but their own."""
    ports = dict(zip(SERVERS, free_ports(len(SERVERS)), strict=True))
    platform, name = f"https://localhost:{ports['sandbox']}", "pc_sandbox"
    changed = {
        "SANDBOX_PUBLIC_URL": platform,
        "STOREFRONT_MIXI_CONTAINER_URL": f"{platform}/ma/12345/",
        "STOREFRONT_MIXI_APP_URL": f"{platform}/",
        "STOREFRONT_MIXI_PLATFORM_HOSTS": f"localhost:{ports['sandbox']}",
        # No server believes this certificate, so mixi's is there beforehand, and no call is made.
        "STOREFRONT_MIXI_CERTIFICATE_URL": "",
        "STOREFRONT_MIXI_CERTIFICATES": f"pc:{name}={key_pairs.certificate(folder / 'keys', name)}",
    }
    with (
        apart(folder, ports, changed, tls=True) as street,
        launched(browser.browser_type, "--test-third-party-cookie-phaseout") as strict,
    ):
        page = strict.new_context(java_script_enabled=False, ignore_https_errors=True).new_page()
        yield page, open_app(page, platform), street
