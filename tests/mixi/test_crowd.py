"""While mixi is slow, only some of us wait for it; everybody else hears something, and soon."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from storefront.bounded import Timeouts
from storefront.db import db
from storefront.mixi.channel import channel
from storefront.mixi.client import Crowded, fetch
from storefront.mixi.payments import Payment
from tests.demo import wait_for
from tests.street import HANAKO, PLATFORM, TARO, Books, Container, ScriptedApi, only_form, says

pytestmark = pytest.mark.money

PLACES = 2  # as the settings have it
LASTS = 20.0  # seconds until nobody is held any longer: a test that fails shall not hang


class Held:
    """A point API that keeps every question until it is let go."""

    def __init__(self, api: ScriptedApi) -> None:
        self.api = api
        self.asked: list[str] = []
        self.let_go = threading.Event()

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        self.asked.append(environ["REQUEST_METHOD"])
        self.let_go.wait(LASTS)
        return self.api(environ, start_response)


@pytest.fixture
def held(app: Flask, api: ScriptedApi) -> Held:
    return Held(api)


@contextmanager
def slow(app: Flask, held: Held) -> Iterator[ThreadPoolExecutor]:
    """mixi answers nobody inside the block; threads to ask it with."""
    wire = app.extensions["http"].get_adapter(PLATFORM)
    wire.application = held
    with ThreadPoolExecutor(10) as buyers:
        try:
            yield buyers
        finally:
            held.let_go.set()
    wire.application = held.api


@contextmanager
def crowded(app: Flask, container: Container, held: Held) -> Iterator[list[Future[TestResponse]]]:
    """As many taps wait for mixi as may; they go on after the block."""
    forms = [(form(container, owner), owner) for owner in ("mo3first", "mo3second")]
    with slow(app, held) as buyers:
        taps = [buyers.submit(container.post, *form, owner) for form, owner in forms]
        wait_for(lambda: len(held.asked) == PLACES)
        yield taps


def form(container: Container, owner: str, item: str = "loaf") -> tuple[str, dict[str, str]]:
    return only_form(container.get(f"/items/{item}", owner).text)


def test_taps_beyond_the_gate(app: Flask, container: Container, held: Held, books: Books) -> None:
    """Of eight taps two wait for mixi; the other six hear before those do that nothing was charged."""
    forms = [(form(container, owner), owner) for owner in (f"mo3buyer{number}" for number in range(8))]
    with capture_logs() as log, slow(app, held) as buyers:
        taps = [buyers.submit(container.post, *form, owner) for form, owner in forms]
        wait_for(lambda: sum(tap.done() for tap in taps) == len(taps) - PLACES)
        turned_away = [tap.result() for tap in taps if tap.done()]
        assert len(held.asked) == PLACES
    assert {page.status_code for page in turned_away} == {503}
    assert all("nothing-paid" in says(page.text) for page in turned_away)
    assert sum(tap.result().status_code == 302 for tap in taps) == PLACES
    assert books.payments() == PLACES
    assert sum(line["event"] == "payment not started" for line in log) == len(taps) - PLACES
    for page in turned_away:
        assert only_form(page.text)[1]["item"] == "loaf"


def test_a_tap_that_was_turned_away_may_be_made_again(app: Flask, container: Container, held: Held) -> None:
    """The next page says it once more, and the button works as soon as mixi does."""
    mine = form(container, HANAKO)
    with crowded(app, container, held):
        page = container.post(*mine, HANAKO)
        assert 'data-notice="not-started"' in container.get("/").text
    assert page.status_code == 503
    assert container.post(*mine, HANAKO).status_code == 302


def test_one_may_wait_for_its_turn(app: Flask, container: Container, held: Held) -> None:
    """A tap that comes while a place is about to be free gets it."""
    mine = form(container, HANAKO)
    with crowded(app, container, held), ThreadPoolExecutor(1) as other:
        tap = other.submit(container.post, *mine, HANAKO)
        with app.app_context():
            gate = channel().gate
        wait_for(lambda: tap.done() or gate._waiting._value == 0)
        held.let_go.set()
        assert tap.result().status_code == 302


def test_a_second_tap_waits_in_a_place(app: Flask, container: Container, held: Held, books: Books) -> None:
    """It waits for mixi as the first one does; who may not hears that the first is under way."""
    mine, another = form(container, HANAKO), form(container, TARO)
    with slow(app, held) as buyers:
        taps = [buyers.submit(container.post, *mine, HANAKO)]
        wait_for(lambda: len(held.asked) == 1)
        taps.append(buyers.submit(container.post, *mine, HANAKO))
        with app.app_context():
            gate = channel().gate
        wait_for(lambda: gate._inside._value == 0)
        assert container.post(*mine, HANAKO).status_code == 202
        assert container.post(*another, TARO).status_code == 503
        assert len(held.asked) == 1
    assert {tap.result().location for tap in taps} == {f"{PLATFORM}/point/1"}
    assert books.payments() == 1


def test_pages_beyond_the_gate(app: Flask, container: Container, held: Held) -> None:
    """Every page opens while others wait for mixi; what it would have asked is not known yet, nor asked."""
    code = container.start("loaf")
    assert container.callback(code).text == "OK"
    with crowded(app, container, held):
        for path in ("/history", "/inventory", f"/mixi/finish?point_code={code}"):
            page = container.get(path.partition("?")[0], **({"point_code": code} if "?" in path else {}))
            assert page.status_code == 200
        assert "in-doubt" in says(page.text)
        assert held.asked == ["POST"] * PLACES
    with app.app_context():
        assert db.session.get_one(Payment, code).asked_at is None
    container.get("/history")
    with app.app_context():
        assert db.session.get_one(Payment, code).asked_at is not None


def test_questions_hold_places_as_well(app: Flask, container: Container, held: Held) -> None:
    """Pages that ask mixi leave as few threads with it as taps do."""
    buyers = [f"mo3buyer{number}" for number in range(6)]
    for owner in buyers:
        assert container.callback(container.start("loaf", owner), owner).text == "OK"
    with slow(app, held) as threads:
        pages = [threads.submit(container.get, "/history", owner) for owner in buyers]
        wait_for(lambda: len(held.asked) == PLACES)
        wait_for(lambda: sum(page.done() for page in pages) == len(pages) - PLACES)
        assert held.asked == ["GET"] * PLACES
    assert {page.result().status_code for page in pages} == {200}


def test_certificates_go_through_the_same_gate(app: Flask, container: Container, held: Held) -> None:
    """Whoever would fetch one while all places are taken hears that mixi cannot be asked now."""
    with crowded(app, container, held), app.app_context():
        with pytest.raises(Crowded):
            fetch(channel().certificates["pc"].transport, f"{PLATFORM}/keys/pc", Timeouts(1, 1, 1))
        assert len(held.asked) == PLACES


@pytest.mark.changed(mixi_calls_at_once=1)
def test_the_setting_counts(app: Flask, container: Container, held: Held) -> None:
    """With one place, one waits for mixi."""
    mine, another = form(container, HANAKO), form(container, TARO)
    with slow(app, held) as buyers:
        buyers.submit(container.post, *mine, HANAKO)
        wait_for(lambda: len(held.asked) == 1)
        assert container.post(*another, TARO).status_code == 503
        assert len(held.asked) == 1
