"""What we sign is believed on every host of ours, whose clocks are never quite the same."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from flask import Flask
from itsdangerous import TimestampSigner

from storefront.clock import SKEW_SECONDS
from storefront.operator import login
from storefront.sandbox.key_pairs import KeyPair
from storefront.shop import form_tokens
from storefront.shop.form_tokens import StaleForm
from tests.databases import on_sqlite
from tests.street import Browser, start_address

OnHost = Callable[[float], AbstractContextManager[None]]

pytestmark = [
    on_sqlite,
    pytest.mark.parametrize(("ahead", "good"), [(1, True), (SKEW_SECONDS, True), (60, False)]),
]


@pytest.fixture
def on_host(monkeypatch: pytest.MonkeyPatch) -> OnHost:
    """What is signed inside is signed by a host whose clock is so many seconds ahead."""

    @contextmanager
    def on_host(ahead: float) -> Iterator[None]:
        with monkeypatch.context() as there:
            there.setattr(TimestampSigner, "get_timestamp", lambda self: int(time.time() + ahead))
            yield

    return on_host


def test_a_form(app: Flask, on_host: OnHost, ahead: int, good: bool) -> None:
    """A form from the host before is good where it is a moment earlier, and none from next minute is."""
    with app.app_context():
        with on_host(ahead):
            token = form_tokens.seal(1, "buy")
        if good:
            assert form_tokens.unseal(token, 1, "buy")
        else:
            with pytest.raises(StaleForm):
                form_tokens.unseal(token, 1, "buy")


def test_the_operators_address(app: Flask, on_host: OnHost, ahead: int, good: bool) -> None:
    """So is the address that the operator's command has printed on another host."""
    with app.test_request_context(), on_host(ahead):
        address = login.address()
    assert Browser(app).get(address).status_code == (200 if good else 401)


def test_a_visit(app: Flask, pair: KeyPair, on_host: OnHost, ahead: int, good: bool) -> None:
    """So is the cookie of a visit."""
    browser = Browser(app)
    with on_host(ahead):
        assert browser.get(start_address(pair)).status_code == 303
    assert browser.get("/inventory").status_code == (200 if good else 401)
