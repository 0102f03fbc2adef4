"""The description is held against the code: schemathesis asks what it allows, and what it does not."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.databases import ENGINES, on_sqlite
from tests.game.conftest import Game
from tests.street import HANAKO, TARO

pytestmark = pytest.mark.long

FEW, MANY = 10, 300  # requests to each address, and as many that are not as described
# What is as described may be refused for what the shop knows: a key reused, a cursor gone.
REFUSABLE = [positive_data_acceptance]
# Answered with 200, 404, 409, and 422 twice.
USES = (("loaf", 1, "a"), ("loaf", 1, "a"), ("loaf", 9, "b"), ("loaf", 2, "a"), ("excalibur", 1, "c"))


class Described:
    """Every answer is held against the description; `seen` counts them by status."""

    def __init__(self, app: Flask, game: Game) -> None:
        self.schema = schemathesis.openapi.from_wsgi("/game/openapi.json", app)
        self.game = game
        self.seen: Counter[int] = Counter()

    def hold(self, case: Any) -> None:
        answer = case.call_and_validate(headers=self.game.headers, excluded_checks=REFUSABLE)
        self.seen[answer.status_code] += 1

    def sale(self) -> Iterable[Any]:
        """Requests that mean something, one after another."""
        at = self.schema
        who = {"channel": "mixi", "external_id": HANAKO}
        uses = at["/game/uses"]["POST"]
        for item, quantity, key in USES:
            body: Any = {**who, "item": item, "quantity": quantity}
            yield uses.Case(body=body, headers={"Idempotency-Key": key}, media_type="application/json")
        for person in (HANAKO, "nobody"):
            path = {**who, "external_id": person}
            yield at["/game/customers/{channel}/{external_id}/holdings"]["GET"].Case(path_parameters=path)
        for query in ({}, {"limit": 2}, {"after": "9.00000000"}, {"after": "x"}):
            yield at["/game/changes"]["GET"].Case(query=query)

    def ask(self, examples: int) -> None:
        """As many requests of each kind as are wanted, made up."""
        results: Iterable[Any] = self.schema.get_all_operations()
        found = [one.ok() for one in results]
        assert {one.path.split("/")[2] for one in found} == {"changes", "customers", "uses"}
        for one in found:
            for mode in GenerationMode:
                ask = settings(
                    max_examples=examples,
                    deadline=None,
                    derandomize=True,
                    database=None,
                    phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck),
                )
                ask(given(case=one.as_strategy(generation_mode=mode))(self.hold))()


@pytest.fixture
def described(app: Flask, game: Game, give: Callable[..., None]) -> Described:
    for who in (HANAKO, TARO):
        give(3, who=who)
    give(1, "excalibur")
    return Described(app, game)


@on_sqlite
def test_every_answer_is_described(described: Described) -> None:
    """What the game is told has the shape that it was promised, when it is refused, too."""
    for case in described.sale():
        described.hold(case)
    assert described.seen == {200: 5, 404: 1, 409: 1, 410: 1, 422: 2, 400: 1}
    described.ask(FEW)


@pytest.mark.thorough
@pytest.mark.parametrize("database_url", ENGINES, indirect=True)
def test_many_answers(described: Described) -> None:
    described.ask(MANY)
    assert not [status for status in described.seen if status >= 500]
