"""While mixi's API keeps everybody waiting, callbacks find a thread all the same."""

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import requests

from tests.demo import wait_for
from tests.proof.pressure import Call, Held, Shop, street

pytestmark = pytest.mark.long

WORKERS, THREADS, PLACES = 1, 4, 2
TOKEN = "the token of the proofs, and of nobody else"
# Longer than anything here takes, so that only the API's answer ends a call.
PATIENT = {
    "STOREFRONT_MIXI_READ_SECONDS": "4",
    "STOREFRONT_MIXI_TOTAL_SECONDS": "5",
    "STOREFRONT_MIXI_CONFIRM_SECONDS": "5",
    "STOREFRONT_METRICS_TOKEN": TOKEN,
}
BUYERS = [f"mo3buyer{number}" for number in range(2 * THREADS)]
PAYERS = [f"mo3payer{number}" for number in range(3)]
Actions = Sequence[Callable[[], Call]]


def taps(shop: Shop) -> Actions:
    return [partial(shop.tap, shop.form(owner), owner) for owner in BUYERS]


def pages(shop: Shop) -> Actions:
    for owner in BUYERS:
        assert shop.callback(shop.start(owner), owner).is_ok
    return [partial(shop.page, "/history", owner) for owner in BUYERS]


def crowded(shop: Shop, call: str) -> float:
    """How many calls of mixi's API were not made."""
    page = requests.get(f"{shop.origin}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
    found = re.search(
        rf'^storefront_api_calls_total{{call="{call}",result="crowded"}} (\S+)', page.text, re.M
    )
    return float(found[1]) if found else 0


@pytest.mark.parametrize(("others", "call"), [(taps, "create"), (pages, "confirm")])
def test_callbacks_find_a_thread(others: Callable[[Shop], Actions], call: str) -> None:
    """More than there are threads ask for what mixi keeps back; callbacks are answered before they are."""
    with street(WORKERS, THREADS, PATIENT) as shop, ThreadPoolExecutor(len(BUYERS)) as buyers:
        codes = {owner: shop.start(owner) for owner in PAYERS}
        actions = others(shop)
        shop.api.behaviour = held = Held()
        asked = [buyers.submit(action) for action in actions]
        try:
            wait_for(lambda: len(held.asked) >= PLACES)
            for owner, code in codes.items():
                assert shop.callback(code, owner).is_ok
            assert (len(held.asked), held.left) == (PLACES, [])
        finally:
            held.let_go.set()
        statuses = [answer.result().status for answer in asked]
        assert set(statuses) <= {200, 302, 503}
        assert crowded(shop, call) > 0
        if call == "create":
            assert crowded(shop, call) == statuses.count(503)
