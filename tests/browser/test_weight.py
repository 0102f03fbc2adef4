"""What the README says that pages weigh, of the tests' own goods."""

import pytest
from playwright.sync_api import Browser

from tests.browser.weight import PAGES, on_pc, on_phone
from tests.demo import Demo

pytestmark = [pytest.mark.long, pytest.mark.thorough]

MOST_BYTES, MOST_AGAIN = 40_000, 6_000
MOST_ON_A_PHONE = 10 * 1024


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_weight(browser: Browser, running: Demo, path: str) -> None:
    """No line moves while a page comes in; a second look costs little, and a phone gets 10 KB at most."""
    first, again = on_pc(browser, running, path)
    assert first.shift == again.shift == 0
    assert first.bytes < MOST_BYTES
    assert again.bytes < MOST_AGAIN
    assert on_phone(browser, running, path) < MOST_ON_A_PHONE
