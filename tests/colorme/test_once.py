"""One form is one charge, whatever number of sends arrives at the same moment."""

from functools import partial

import pytest
from flask import Flask

from storefront.colorme import charges, contracts, plans, usage
from storefront.shop import catalog
from tests.colorme.conftest import KONDO, Hooks, Kept, Store, come_in
from tests.street import at_once

pytestmark = pytest.mark.long
FORMS, SENDS = 25, 8


@pytest.fixture
def kondo(app: Flask, store: Store, hooks: Hooks) -> str:
    """Who is in, on a plan that is charged by use."""
    assert hooks.install(plan="SPRAY1").status_code == 200
    come_in(app)
    return KONDO


def buy(app: Flask, account: str, code: str) -> None:
    with app.app_context():
        contract, option = contracts.standing_of(account), plans.current().option_of("cloak")
        offer = catalog.offer("cloak", "colorme")
        assert contract
        assert option
        assert offer
        charges.buy(contract, option, offer, "a cloak", code, again=True)


def take(app: Flask, account: str, code: str) -> None:
    with app.app_context():
        contract, offer = contracts.standing_of(account), catalog.offer("moss", "colorme")
        assert contract
        assert offer
        usage.take(contract, offer, code, contract.arrived_at)


def test_one_charge_for_eight_sends(app: Flask, kondo: str, store: Store, kept: Kept) -> None:
    """25 forms of an option, 8 sends each: 25 calls, 25 pieces, 25 entries."""
    for number in range(FORMS):
        at_once(*[partial(buy, app, kondo, f"form-{number}")] * SENDS)
    assert len(store.calls("/appstore/v1/application_charges.json")) == FORMS
    assert kept.holdings() == {"cloak": FORMS}
    assert sorted(kept.book()) == sorted(("sale", f"colorme:form-{number}", 500) for number in range(FORMS))


def test_one_piece_for_eight_sends(app: Flask, kondo: str, kept: Kept) -> None:
    """25 forms of a metered piece, 8 sends each: 25 pieces."""
    for number in range(FORMS):
        at_once(*[partial(take, app, kondo, f"form-{number}")] * SENDS)
    assert kept.holdings() == {"moss": FORMS}
