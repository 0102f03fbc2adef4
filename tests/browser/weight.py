"""What shelf and item weigh, on a PC and on a phone: `python -m tests.browser.weight` prints the table."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, unquote_to_bytes

from playwright.sync_api import Browser, Page, sync_playwright

from storefront.config import PACKAGE
from storefront.shop import identity
from tests.browser.conftest import launched
from tests.demo import Demo, demo

SHIPPED = {
    "STOREFRONT_CATALOG": str(PACKAGE / "shop" / "catalog.yaml"),
    "STOREFRONT_IDENTITY": str(identity.SHIPPED),
}
PAGES = {"shelf": "/", "item": "/items/excalibur"}
SHIFT = """new Promise(done => {
  let sum = 0
  new PerformanceObserver(seen => { for (const one of seen.getEntries()) sum += one.value })
    .observe({type: "layout-shift", buffered: true})
  setTimeout(() => done(sum), 500)
})"""
BARS = re.compile(rb'<aside [^>]*style="all:initial.*?</aside>', re.DOTALL)
REROUTED = re.compile(rb'(?<=src=")[^"]*url=([^"&]*)')


@dataclass(frozen=True)
class Weight:
    """Of one page: what a browser asked for and got, and how far its lines moved meanwhile."""

    requests: int
    bytes: int
    shift: float


def on_pc(browser: Browser, running: Demo, path: str) -> tuple[Weight, Weight]:
    """The first look at a page, and the next."""
    page = browser.new_context(locale="ja-JP", viewport={"width": 1280, "height": 900}).new_page()
    open_app(page, running, "pc")
    page.goto("about:blank")
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.send("Network.clearBrowserCache")
    weights = weigh(page, running.shop + path), weigh(page, running.shop + path)
    page.context.close()
    return weights


def weigh(page: Page, address: str) -> Weight:
    """One look at a page, on the wire."""
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    asked: set[str] = set()
    got: list[int] = []
    wire.on("Network.requestWillBeSent", lambda event: asked.add(event["requestId"]))
    wire.on("Network.loadingFinished", lambda event: got.append(event["encodedDataLength"]))
    page.goto(address, wait_until="networkidle")
    shift = page.evaluate(SHIFT)
    wire.detach()
    return Weight(len(asked), sum(got), shift)


def on_phone(browser: Browser, running: Demo, path: str) -> int:
    """Bytes of a page with its style in it, as the shop gave it to the container."""
    page = browser.new_context(locale="ja-JP").new_page()
    open_app(page, running, "mobile")
    address = f"{running.platform}/ma/12345/?guid=ON&url={quote(running.shop + path, safe='')}"
    answer = page.goto(address)
    assert answer
    size = len(REROUTED.sub(as_written, BARS.sub(b"", answer.body())))
    page.context.close()
    return size


def as_written(found: re.Match[bytes]) -> bytes:
    """Where an image is before the container reroutes it."""
    return unquote_to_bytes(found[1])


def open_app(page: Page, running: Demo, device: str) -> None:
    page.goto(running.platform + "/")
    with page.expect_navigation():
        page.click(f'[data-persona="hanako"] [data-device="{device}"]')


def kilobytes(size: int) -> str:
    return f"{size / 1000:.0f} KB"


def main() -> None:
    with (
        TemporaryDirectory() as folder,
        demo(Path(folder), **SHIPPED) as running,
        sync_playwright() as playwright,
        launched(playwright.chromium) as browser,
    ):
        for name, path in PAGES.items():
            first, again = on_pc(browser, running, path)
            sums = [f"{one.requests} requests, {kilobytes(one.bytes)}" for one in (first, again)]
            shift = f"{max(first.shift, again.shift):.3g}"
            phone = kilobytes(on_phone(browser, running, path))
            sys.stdout.write(f"| {name} | {' | '.join(sums)} | {shift} | {phone} |\n")


if __name__ == "__main__":
    main()
