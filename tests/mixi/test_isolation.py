"""The shop says itself how its transactions see each other, whatever the server's default is."""

from functools import partial

import pytest
from flask import Flask
from sqlalchemy import text

from storefront.db import db, transaction
from tests.databases import on_postgresql, preset
from tests.street import HANAKO, Books, Container, at_once

pytestmark = pytest.mark.money

SCREENS = 20


@pytest.fixture(autouse=True, params=["repeatable read", "serializable"])
def default(request: pytest.FixtureRequest, database_url: str) -> str:
    """A database that its administrator has made stricter than PostgreSQL is delivered."""
    preset(database_url, f"default_transaction_isolation = '{request.param}'")
    return str(request.param)


def confirm_at_once(container: Container, buyers: dict[str, str]) -> list[int]:
    """All these payments are confirmed at the same moment; what was answered."""
    answers: list[int] = []

    def confirm(code: str, owner: str) -> None:
        answers.append(container.callback(code, owner).status_code)

    at_once(*[partial(confirm, code, owner) for code, owner in buyers.items()])
    return sorted(answers)


@on_postgresql
def test_the_stock_is_what_was_committed(container: Container, books: Books) -> None:
    """Twenty screens for five fireworks: five are sold, also where a count could read an old snapshot."""
    owners = [f"mo3screen{number}" for number in range(SCREENS)]
    buyers = {container.start("fireworks", owner): owner for owner in owners}
    assert confirm_at_once(container, buyers) == [200] * 5 + [409] * (SCREENS - 5)
    assert books.grants() == 5


@on_postgresql
def test_one_person_has_one(container: Container, books: Books) -> None:
    """Seven screens of one person for what each may have once: one is sold."""
    buyers = {container.start("ticket"): HANAKO for _ in range(7)}
    assert confirm_at_once(container, buyers) == [200] + [409] * 6
    assert books.grants() == 1


@on_postgresql
def test_every_transaction_says_it(app: Flask, default: str) -> None:
    """Reading and writing alike are in read committed, and the server's default stands as it was."""
    with app.app_context():
        assert db.session.scalar(text("SHOW transaction_isolation")) == "read committed"
        with transaction() as session:
            assert session.scalar(text("SHOW transaction_isolation")) == "read committed"
            assert session.scalar(text("SHOW default_transaction_isolation")) == default
