"""A new key comes in three steps, host by host, and no buyer notices."""

from typing import NamedTuple

import pytest
from flask import Flask
from pydantic import SecretStr

from storefront import Settings, create_app
from storefront.operator import login
from storefront.operator.login import NotOperator
from storefront.shop import words
from tests.databases import on_sqlite
from tests.street import SHOP, Books, Container, ScriptedApi, only_form

pytestmark = pytest.mark.long

OLD, NEW = "the old key, of 32 characters or more", "the new key, of 32 characters or more"


class Keys(NamedTuple):
    """What a host signs with, and what else it verifies."""

    current: str
    previous: str | None = None


BEFORE, FIRST, SECOND, AFTER = Keys(OLD), Keys(OLD, NEW), Keys(NEW, OLD), Keys(NEW)


@on_sqlite
@pytest.mark.parametrize(
    ("here", "there"),
    [(BEFORE, FIRST), (FIRST, FIRST), (FIRST, SECOND), (SECOND, SECOND), (SECOND, AFTER)],
)
def test_a_new_key_on_one_of_two_hosts(
    settings: Settings, app: Flask, api: ScriptedApi, books: Books, here: Keys, there: Keys
) -> None:
    """At each step of a rotation a page of one host is a form of the other: sixteen purchases of sixteen."""
    hosts = [host(settings, app, keys) for keys in (here, there)]
    for number in range(16):
        shown, sent = hosts[:: 1 if number % 2 else -1]
        action, fields = only_form(shown.get("/items/loaf").text)
        assert sent.post(action, fields).status_code == 302
    assert books.payments() == 16


@on_sqlite
def test_what_else_is_signed(settings: Settings, app: Flask) -> None:
    """What has no age is believed under both keys; the current one signs."""
    for signs, hears, believed in (
        (FIRST, SECOND, True),
        (SECOND, FIRST, True),
        (FIRST, BEFORE, True),
        (SECOND, AFTER, True),
        (SECOND, BEFORE, False),
        (FIRST, AFTER, False),
    ):
        with host(settings, app, signs).app.test_request_context():
            seal = words.signer("salt").get_signature("word")
        with host(settings, app, hears).app.test_request_context():
            assert words.signer("salt").verify_signature("word", seal) is believed


@on_sqlite
@pytest.mark.parametrize("shop", [FIRST, SECOND, AFTER])
def test_the_operator_is_known_by_the_current_key(settings: Settings, app: Flask, shop: Keys) -> None:
    """Whoever has a key that leaked is no operator, neither by an address nor by the cookie of a visit."""
    leaked = host(settings, app, Keys(OLD if shop.current == NEW else NEW)).app
    with leaked.test_request_context():
        token = login.address().rpartition("=")[2]
    entered = leaked.test_client().post("/operator", data={"token": token}, base_url=SHOP)
    cookie = {"Cookie": entered.headers["Set-Cookie"].partition(";")[0]}
    current = host(settings, app, shop).app
    with current.test_request_context(), pytest.raises(NotOperator):
        login.check(token)
    statuses = [
        one.test_client(use_cookies=False).post("/operator/leave", base_url=SHOP, headers=cookie).status_code
        for one in (leaked, current)
    ]
    assert statuses[0] != 401  # the key opens the visit on a host of its own
    assert statuses[1] == 401


def host(settings: Settings, app: Flask, keys: Keys) -> Container:
    """One more host of the shop, on the same database."""
    current, previous = keys
    changed = {"secret_key": SecretStr(current), "secret_key_previous": previous and SecretStr(previous)}
    return Container(create_app(settings.model_copy(update=changed), app.extensions["http"]))
