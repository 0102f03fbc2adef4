"""What a request does by its method: GET and POST act, no other does, at any address, whoever signs it."""

import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from storefront.db import db
from storefront.sandbox.key_pairs import KeyPair
from storefront.sandbox.signing import PublisherClient
from tests.street import (
    APP_ID,
    HANAKO,
    SHOP,
    TARO,
    Browser,
    Container,
    ScriptedApi,
    callback_target,
    sign,
    start_address,
)

# What an address of ours may have in its path; whoever adds a kind says here what to try.
PARTS = {
    "channel": "mixi",
    "code": "{code}",
    "customer_id": "1",
    "device": "pc",
    "filename": "shop.css",
    "item_id": "loaf",
    "report_id": "1",
}
EVENT = f"eventtype=event.removeapp&opensocial_app_id={APP_ID}&id={HANAKO}"


@pytest.fixture
def code(container: Container) -> str:
    """A payment of hanako's that awaits its callback; beside it is one that mixi has not confirmed."""
    assert container.callback(container.start("loaf")).text == "OK"
    return container.start("loaf")


@pytest.fixture
def books(app: Flask) -> Callable[[], dict[str, list[str]]]:
    """Every row of every table, but the one by which monitors have it tried whether we can sell."""

    def books() -> dict[str, list[str]]:
        with app.app_context():
            tables = [table for table in db.metadata.sorted_tables if table.name != "pulse"]
            return {table.name: sorted(map(repr, db.session.execute(select(table)))) for table in tables}

    return books


def address(rule: Rule, code: str) -> str:
    """An address of this kind that leads somewhere."""
    built = rule.build({name: PARTS[name].format(code=code) for name in rule.arguments})
    assert built, rule
    return built[1]


def asked(browser: Browser, pair: KeyPair, method: str, at: str, code: str) -> Iterator[TestResponse]:
    """The same request from whoever may be believed: container, payment server, mixi itself, a visit."""
    queries = [callback_target(code, owner).partition("?")[2] for owner in (HANAKO, TARO)]
    for target in (f"{at}?{query}" for query in queries):
        yield browser.client.open(SHOP + target, method=method, headers=sign(method, target))
    stamp, nonce = str(int(time.time())), secrets.token_hex(10)
    mixi = PublisherClient(pair.name, pair.private, timestamp=stamp, nonce=nonce)
    event = f"{at}?{EVENT}"
    yield browser.client.open(SHOP + event, method=method, headers=mixi.sign(SHOP + event, method)[1])
    start = start_address(pair, viewer=TARO, method=method).partition("?")[2]
    yield browser.client.open(f"{SHOP}{at}?{start}", method=method)
    yield browser.client.open(f"{SHOP}{at}?point_code={code}&status=10", method=method)


@pytest.mark.long
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "TRACE"])
def test_only_get_and_post_do_anything(
    app: Flask,
    api: ScriptedApi,
    pair: KeyPair,
    code: str,
    books: Callable[[], dict[str, list[str]]],
    method: str,
) -> None:
    """Nothing is written, nobody is entered, and mixi is asked nothing; what HEAD does not serve says so."""
    browser = Browser(app)
    browser.get(start_address(pair))
    before, questions = books(), len(api.requests)
    methods: dict[str, set[str]] = defaultdict(set)
    for rule in app.url_map.iter_rules():
        methods[str(rule)] |= rule.methods or set()
    for rule in app.url_map.iter_rules():
        for answer in asked(browser, pair, method, address(rule, code), code):
            if method not in methods[str(rule)]:
                assert answer.status_code == 405
                assert method not in answer.headers["Allow"]
        assert len(api.requests) == questions, rule
    assert books() == before


def test_these_answer_head(app: Flask) -> None:
    """Monitors ask by HEAD whether we live; what is one's own, or changes anything, is got."""
    rules = [rule for rule in app.url_map.iter_rules() if "HEAD" in (rule.methods or ())]
    # Who takes every method refuses all but its own by itself, in the words of its caller.
    refusing = {str(rule) for rule in rules if "PUT" in (rule.methods or ())}
    heads = {str(rule) for rule in rules} - refusing
    others = {"/operator", "/static/<path:filename>"}
    assert heads == {"/", "/healthz", "/legal", "/readyz", "/robots.txt"} | others
    for path in heads - others:
        assert app.test_client().head(path).status_code == 200
    assert not [path for path in refusing if app.test_client().head(path).status_code < 400]
