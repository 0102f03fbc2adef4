"""A real browser, walking through a real demo."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserType, Page, sync_playwright

from tests.conftest import lacking
from tests.demo import Demo, demo

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# Chromium would look up hosts of its own at every start, and as root it needs to be without its sandbox.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright, launched(playwright.chromium) as browser:
        yield browser


@contextmanager
def launched(chromium: BrowserType, *more: str) -> Iterator[Browser]:
    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if path is None:
        lacking("Chromium is not installed")
    browser = chromium.launch(executable_path=path, args=[*QUIET, *more])
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo as it starts; a browser sees nothing of its database."""
    folder: Path = tmp_path_factory.mktemp("demo")
    with demo(folder) as running:
        yield running


@pytest.fixture(params=[pytest.param("script", marks=pytest.mark.thorough), "no script"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A phone-sized page, in Japanese, with script and without."""
    context = browser.new_context(
        java_script_enabled=request.param == "script",
        viewport={"width": 360, "height": 740},
        locale="ja-JP",
    )
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()
