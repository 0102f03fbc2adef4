"""While the store is slow, only some of us wait for it; everybody else hears something, and soon."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from flask import Flask
from werkzeug.wrappers import Request, Response

from storefront import Settings
from storefront.colorme import checks
from storefront.findings import Verdict
from tests.colorme.conftest import HERE, Kept, Store, way_back
from tests.databases import on_sqlite
from tests.demo import wait_for
from tests.street import Browser, form_to

pytestmark = on_sqlite
CHARGES, ACTION = "/appstore/v1/application_charges.json", "/colorme/charges"
PLACES, THREADS, TAPS = 2, 8, 20  # the first two as the settings have them
LASTS = 120.0  # seconds until nobody is held any longer: a test that fails shall not hang
VISIT = "visit-8000"  # the cookie


@contextmanager
def slow(store: Store, path: str) -> Iterator[ThreadPoolExecutor]:
    """The store answers nobody here inside the block; threads to ask it with."""
    well, let_go = store.answers[path], threading.Event()

    def held(asked: Request) -> Response:
        let_go.wait(LASTS)
        return well(asked)

    store.answers[path] = held
    with ThreadPoolExecutor(THREADS) as owners:
        try:
            yield owners
        finally:
            let_go.set()
    store.answers[path] = well


def another_window(app: Flask, owner: Browser) -> Browser:
    """The same visit, in a browser that asks for itself."""
    visit = owner.client.get_cookie(VISIT, "127.0.0.1")
    assert visit
    browser = Browser(app, HERE)
    browser.client.set_cookie(VISIT, visit.value, domain="127.0.0.1")
    return browser


@pytest.mark.changed(colorme_read_seconds=30, colorme_total_seconds=60)
def test_taps_beyond_the_gate(app: Flask, owner: Browser, store: Store, kept: Kept) -> None:
    """Of twenty taps two wait for the store; the others hear that nothing was charged, and pages open."""
    owner.press("/items/cloak", ACTION)
    forms = [form_to(owner.get("/items/cloak").text, ACTION) for _ in range(TAPS)]
    windows = [another_window(app, owner) for _ in forms]
    with slow(store, CHARGES) as owners:
        taps = [owners.submit(one.post, ACTION, form) for one, form in zip(windows, forms, strict=True)]
        wait_for(lambda: sum(tap.done() for tap in taps) == TAPS - PLACES)
        for path in ("/", "/items/coat", "/history", "/colorme/", "/inventory"):
            assert owner.get(path).status_code == 200
        turned_away = next(tap.result() for tap in taps if tap.done())
        assert 'data-state="declined"' in owner.get(str(turned_away.location)).text
    assert {tap.result().status_code for tap in taps} == {303}
    assert len(store.calls(CHARGES)) == 1 + PLACES
    states = sorted(charge.state.value for charge in kept.charges())
    assert states == ["charged"] * (1 + PLACES) + ["declined"] * (TAPS - PLACES)
    assert kept.holdings()["cloak"] == 1 + PLACES


def test_made_up_codes(app: Flask, owner: Browser, store: Store) -> None:
    """However many come with one, an owner who is in is served."""
    windows = [Browser(app, HERE) for _ in range(6)]
    addresses = [way_back(one, code="made-up") for one in windows]
    with slow(store, "/oauth/token") as strangers:
        ways = [strangers.submit(one.get, address) for one, address in zip(windows, addresses, strict=True)]
        wait_for(lambda: sum(way.done() for way in ways) == len(ways) - 1)
        assert {way.result().status_code for way in ways if way.done()} == {503}
        bought = owner.press("/items/cloak", ACTION)
        assert 'data-state="charged"' in owner.get(str(bought.location)).text


@pytest.mark.changed(colorme_calls_at_once=1)
@pytest.mark.parametrize("path", ["/oauth/token", "/v1/shop.json"])
def test_the_way_in_has_gates(app: Flask, owner: Browser, store: Store, path: str) -> None:
    """Who would come in while all places are taken hears that the store is silent; the setting counts."""
    windows = [Browser(app, HERE) for _ in range(4)]
    addresses = [way_back(one) for one in windows]
    asked = len(store.calls(path))
    with slow(store, path) as owners:
        ways = [owners.submit(one.get, address) for one, address in zip(windows, addresses, strict=True)]
        wait_for(lambda: sum(way.done() for way in ways) == len(ways) - 1)
        assert {way.result().status_code for way in ways if way.done()} == {503}
    assert sorted(way.result().status_code for way in ways) == [303, 503, 503, 503]
    assert len(store.calls(path)) == asked + 1


@pytest.mark.parametrize(("calls", "verdict"), [(2, Verdict.OK), (3, Verdict.WARN)])
def test_threads_for_others(app: Flask, settings: Settings, calls: int, verdict: Verdict) -> None:
    """More than a quarter of the threads waiting for the store is a warning: others need them, too."""
    told: Any = settings.model_copy(update={"threads": 8, "colorme_calls_at_once": calls})
    assert [one.verdict for one in checks.threads(told, requests.Session())] == [verdict]
