"""Exactly once, under real threads on real databases; and proof that this harness would notice."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from storefront.clock import Deadline, TooLate
from storefront.db import db, fresh, transaction
from storefront.mixi import payments
from storefront.mixi.payments import Callback, Contradiction, Payment, Status
from storefront.mixi.signing import Signed
from storefront.shop import inventory
from storefront.shop.customers import Customer
from tests.street import HANAKO, TARO, Books, Container, at_once

pytestmark = pytest.mark.money

PAYMENTS, FEW = 25, 5
CALLBACKS = 8


@pytest.fixture
def codes(container: Container) -> list[str]:
    return [container.start("loaf") for _ in range(PAYMENTS)]


def asked_for(code: str, outcome: Status) -> Callback:
    return Callback(code, HANAKO, outcome, str(fresh().get_one(Payment, code).word))


def storm(app: Flask, codes: list[str], settle: Callable[[Callback], None]) -> int:
    """Eight callbacks for each payment, let go at the same moment; how many were answered OK."""
    answered: list[str] = []

    def deliver(code: str) -> None:
        with app.app_context():
            settle(asked_for(code, Status.COMPLETE))
            answered.append(code)

    for code in codes:
        at_once(*[partial(deliver, code)] * CALLBACKS)
    return len(answered)


def test_one_grant_for_eight_callbacks(app: Flask, codes: list[str], books: Books) -> None:
    """25 payments, 8 callbacks each: 200 times OK, 25 grants."""

    def settle(callback: Callback) -> None:
        payments.settle(callback, Deadline.after(10), datetime.now(UTC))

    assert storm(app, codes, settle) == PAYMENTS * CALLBACKS
    assert (books.grants(), books.earned()) == (PAYMENTS, PAYMENTS * 10)


def test_the_naive_version_is_caught(app: Flask, container: Container, books: Books) -> None:
    """Read, decide, then write, with a fresh key each time: the same storm grants too much."""
    slow = threading.Barrier(CALLBACKS, timeout=30)
    codes = [container.start("loaf") for _ in range(FEW)]

    def naive(callback: Callback) -> None:
        with Session(db.engine) as session:
            payment = session.get_one(Payment, callback.point_code)
            due = payment.status is Status.CREATE
            customer_id, item_id = payment.customer_id, payment.item_id
        slow.wait()
        if due:
            with transaction() as session:
                session.get_one(Payment, callback.point_code).status = Status.COMPLETE
                key = f"naive:{callback.point_code}:{threading.get_ident()}"
                inventory.grant(session, customer_id, item_id, key, datetime.now(UTC))

    storm(app, codes, naive)
    assert books.grants() > FEW


def test_complete_against_cancel(app: Flask, codes: list[str], books: Books) -> None:
    """Bought and cancelled at the same moment: one of them, wholly."""
    refused: dict[str, Status] = {}

    def deliver(code: str, outcome: Status) -> None:
        with app.app_context():
            try:
                payments.settle(asked_for(code, outcome), Deadline.after(10), datetime.now(UTC))
            except Contradiction:
                refused[code] = outcome

    sides = {Status.COMPLETE, Status.CANCEL}
    for code in codes:
        at_once(*[partial(deliver, code, side) for side in sides])
        assert books.status(code) is (sides - {refused[code]}).pop()
    assert books.grants() == list(refused.values()).count(Status.CANCEL)


def test_one_customer_for_many_first_visits(app: Flask, container: Container) -> None:
    """taro opens eight pages at once for the first time: one taro."""
    at_once(*[partial(container.get, "/", TARO)] * 8)
    with app.app_context():
        assert db.session.query(Customer).filter_by(external_id=TARO).count() == 1


def test_too_late_changes_nothing(app: Flask, container: Container, books: Books) -> None:
    """Past the deadline the transaction is taken back as a whole."""
    code = container.start()
    with app.app_context():
        wanted, late = asked_for(code, Status.COMPLETE), Deadline.after(-0.001)
        with pytest.raises(TooLate):
            payments.settle(wanted, late, datetime.now(UTC))
    assert (books.status(code), books.grants(), books.earned()) == (Status.CREATE, 0, 0)


@pytest.mark.parametrize(
    ("signed_ago", "spent_since_arrival", "left"),
    [(0, 0, 10), (2, 0, 10), (5, 0, 7), (0, 3, 7), (5, 3, 4), (13, 0, -1)],
)
def test_the_deadline_counts_from_the_earlier(
    signed_ago: float, spent_since_arrival: float, left: float
) -> None:
    """Ten seconds from arrival, or ten and the skew from the signature: whatever is over first."""
    arrived = datetime.now(UTC)
    signed = Signed((), {}, int(arrived.timestamp()), "")
    arrived += timedelta(seconds=signed_ago + signed.timestamp - arrived.timestamp())
    arrival = Deadline.after(10 - spent_since_arrival)
    assert payments.deadline_of(signed, arrival, arrived, 2).left() == pytest.approx(left, abs=0.05)
