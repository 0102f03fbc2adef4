"""A small, seeded share of the fuzz; the whole of it is `python -m tests.proof.fuzz`."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import request

from storefront.mixi import signing
from storefront.mixi.atom import PointEntry
from storefront.mixi.signing import BadSignature
from storefront.shop.visits import Visit
from tests.databases import ENGINES, new_database
from tests.proof import fuzz
from tests.proof.fuzz import PURE, SERVED, Shop, Tally

pytestmark = pytest.mark.long

SEED = 20260101
FEW, MANY = 150, 2000


@pytest.fixture(params=ENGINES)
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    """The real application, on each engine in turn."""
    address = fuzz.SQLITE
    if request.param == "postgresql":
        address = new_database(request.getfixturevalue("postgresql"), "fuzz")
    with fuzz.shop_on(address) as shop:
        yield shop


@pytest.mark.parametrize("part", PURE)
def test_only_the_documented_exceptions_leave(part: str) -> None:
    """Whatever is put in: a value that was meant, or the one exception that is promised."""
    assert_sound(fuzz.run(PURE[part](), MANY, SEED))


@pytest.mark.parametrize("part", SERVED)
def test_every_answer_is_a_page_or_a_refusal(shop: Shop, part: str) -> None:
    """No 5xx but 503, no traceback, no cookie, no secret, nothing granted; in time."""
    assert_sound(fuzz.run(SERVED[part](shop), FEW, SEED))


def test_a_seed_gives_the_same_inputs() -> None:
    """What was found once is found again."""
    first, again = fuzz.Signatures(), fuzz.Signatures()
    drawn = [[part.draw(fuzz.seeded(f"{SEED} {number}")) for number in range(50)] for part in (first, again)]
    assert drawn[0] == drawn[1]


def test_a_planted_mistake_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parser that lets another exception out, and a verifier that believes everybody, are both caught."""

    def careless(document: bytes) -> PointEntry:
        return PointEntry(document.decode("ascii"), None, None)

    monkeypatch.setattr(PointEntry, "read", careless)
    assert fuzz.run(fuzz.Atom(), 50, SEED).violations
    believing = fuzz.Signatures()
    monkeypatch.setattr(believing, "consumer", _Believing())
    assert fuzz.run(believing, 50, SEED).violations


def test_names_of_the_framework_are_among_the_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that hands a stranger's parameters on to the framework by name is caught."""

    def careless(here: Visit, language: str) -> str:
        return here.link(str(request.endpoint), **{**(request.view_args or {}), **request.args})

    monkeypatch.setattr(Visit, "here", careless)
    with fuzz.shop_on(fuzz.SQLITE) as shop:
        assert fuzz.run(fuzz.Pages(shop), FEW, SEED).violations


class _Believing:
    def verify(self, method: str, url: str, query: bytes, authorization: str | None, **more: Any) -> Any:
        if authorization is None:
            raise BadSignature("parameter_absent")
        return signing.Signed(signing.query_pairs(query), {}, 0, "")


def assert_sound(tally: Tally) -> None:
    assert not tally.violations, str(tally)
