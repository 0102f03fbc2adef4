"""The provider takes the money, then tells us: the goods come once, or the money goes back."""

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from lxml import html
from sqlalchemy import Connection, event, insert, select, text, update
from sqlalchemy.orm import Session
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from storefront import Settings, clock, create_app, reports
from storefront import db as database
from storefront.db import db, transaction
from storefront.external import payments
from storefront.external.channel import WINDOW
from storefront.external.payments import Contradiction, ExternalPayment, Notice, Outcome, Status
from storefront.external.registration import Change, ChangeKind, Effect, Paper
from storefront.external.settings import ExternalSettings
from storefront.external.signing import sealed
from storefront.mixi.payments import Payment
from storefront.mixi.payments import Status as MixiStatus
from storefront.shop import customers, inventory, ledger
from storefront.shop.ledger import Kind
from storefront.shop.limits import Reason
from storefront.shop.visit import PAGE
from tests.databases import on_sqlite
from tests.external.conftest import (
    DAY,
    MERCHANT,
    PAY,
    REFERENCE,
    SECRET,
    YEN,
    Browser,
    Enter,
    Outside,
    answered,
    lawful,
    limit,
    notice,
    points,
    record,
    tell,
    today,
)
from tests.street import (
    CONSUMER_KEY,
    CONSUMER_SECRET,
    HANAKO,
    KANA,
    TARO,
    Books,
    Container,
    at_once,
    claims,
    says,
    sentence,
    sign,
    words,
)

OK = (200, "text/plain", "OK")
REFUND = (409, "text/plain", "REFUND")
PAYMENTS, FEW = 10, 3
NOTICES = 8


@pytest.fixture
def code(hanako: Browser) -> str:
    """hanako has gone on to pay for an excalibur."""
    return hanako.leave()


@pytest.fixture
def codes(hanako: Browser) -> list[str]:
    return [hanako.leave() for _ in range(PAYMENTS)]


def untouched(outside: Outside, code: str) -> bool:
    """Whether nothing has come of a payment yet."""
    payment = outside.payment(code)
    kept = (payment.status, payment.settled_at, payment.reference)
    return kept == (Status.CREATE, None, None) and not outside.grants() and not outside.entries()


# Paid


@pytest.mark.money
def test_a_paid_notice(shop: Flask, code: str, outside: Outside) -> None:
    """One grant, one entry in yen, both under the payment's key; and OK, as plain text."""
    answer = tell(shop, notice(code))
    assert (answered(answer), answer.text) == (OK, "OK")
    assert outside.grants() == [(f"external:{code}", "excalibur", 1)]
    assert outside.entries() == [(f"external:{code}", "sale", YEN, "yen")]
    payment = outside.payment(code)
    assert (payment.status, payment.reference) == (Status.COMPLETE, REFERENCE)
    assert payment.settled_at is not None


def test_the_goods_are_in_the_bag(shop: Flask, hanako: Browser, code: str) -> None:
    """What was paid outside lies in the same bag as what was paid in points."""
    assert 'data-item="excalibur"' not in hanako.get("/inventory").text
    tell(shop, notice(code))
    (row,) = html.fromstring(hanako.get("/inventory").text).cssselect('[data-item="excalibur"]')
    assert row.get("data-quantity") == "1"


@pytest.mark.money
def test_a_repeated_notice(shop: Flask, code: str, outside: Outside) -> None:
    """However often the provider says it, it hears OK and the books stay as they were."""
    tell(shop, notice(code))
    before = outside.payment(code).settled_at
    assert {answered(tell(shop, notice(code, off=off))) for off in range(5)} == {OK}
    assert outside.payment(code).settled_at == before
    assert (len(outside.grants()), len(outside.entries())) == (1, 1)


@pytest.mark.money
def test_two_payments_are_two(shop: Flask, hanako: Browser, outside: Outside) -> None:
    """Each payment is settled by its own notice, for its own buyer."""
    first, second = hanako.leave(), hanako.leave("lantern")
    assert tell(shop, notice(second, yen="330")).text == "OK"
    assert outside.grants() == [(f"external:{second}", "lantern", 1)]
    assert untouched_but(outside, first, 1)
    assert tell(shop, notice(first)).text == "OK"
    assert len(outside.grants()) == 2


def untouched_but(outside: Outside, code: str, others: int) -> bool:
    return outside.status(code) is Status.CREATE and len(outside.grants()) == len(outside.entries()) == others


# Exactly once


def storm(app: Flask, codes: list[str], settle: Callable[[str], object]) -> int:
    """Eight notices of each payment, let go at the same moment; how many were answered."""
    answered: list[str] = []

    def deliver(code: str) -> None:
        with app.app_context():
            settle(code)
            answered.append(code)

    for code in codes:
        at_once(*[partial(deliver, code)] * NOTICES)
    return len(answered)


@pytest.mark.money
def test_one_grant_for_eight_notices(shop: Flask, codes: list[str], outside: Outside) -> None:
    """10 payments, 8 notices each, over the wire: 80 times OK, 10 grants, 10 entries."""

    def settle(code: str) -> None:
        assert answered(tell(shop, notice(code))) == OK

    assert storm(shop, codes, settle) == PAYMENTS * NOTICES
    keys = sorted(f"external:{code}" for code in codes)
    assert [key for key, _, _ in outside.grants()] == keys
    assert outside.entries() == [(key, "sale", YEN, "yen") for key in keys]


@pytest.mark.money
def test_the_naive_version_is_caught(shop: Flask, hanako: Browser, outside: Outside) -> None:
    """Read, decide, then write, with a fresh key each time: the same storm grants too much."""
    slow = threading.Barrier(NOTICES, timeout=30)
    codes = [hanako.leave() for _ in range(FEW)]

    def naive(code: str) -> None:
        with Session(db.engine) as session:
            payment = session.get_one(ExternalPayment, code)
            due = payment.status is Status.CREATE
            customer_id, item_id = payment.customer_id, payment.item_id
        slow.wait()
        if due:
            with transaction() as session:
                session.get_one(ExternalPayment, code).status = Status.COMPLETE
                key = f"naive:{code}:{threading.get_ident()}"
                inventory.grant(session, customer_id, item_id, key, datetime.now(UTC))

    storm(shop, codes, naive)
    assert len(outside.grants()) > FEW


@pytest.mark.money
def test_paid_against_cancelled(shop: Flask, codes: list[str], outside: Outside) -> None:
    """Paid and cancelled at the same moment: one of them, wholly; what was paid too late is owed back."""
    owed: list[tuple[str, Outcome, bool]] = []

    def deliver(code: str, outcome: Outcome) -> None:
        with shop.app_context():
            try:
                payments.settle(Notice(code, REFERENCE, YEN, outcome), clock.now())
            except Contradiction as why:
                owed.append((code, outcome, why.owed))

    for code in codes:
        at_once(partial(deliver, code, Outcome.PAID), partial(deliver, code, Outcome.CANCELLED))
        too_late = (code, Outcome.PAID, True) in owed
        assert outside.status(code) is (Status.CANCEL if too_late else Status.COMPLETE)
    bought = len(codes) - len(owed)
    assert (len(outside.grants()), len(outside.entries())) == (bought, bought)


@pytest.mark.money
def test_the_last_one_is_sold_once(shop: Flask, enter: Enter, hanako: Browser, outside: Outside) -> None:
    """Eight buyers have paid for three bundles: three get theirs, five their money."""
    limit(shop, "fireworks", stock=3)
    codes = [hanako.leave("fireworks") for _ in range(8)]
    heard: list[tuple[int, str, str]] = []
    at_once(
        *[
            partial(lambda code: heard.append(answered(tell(shop, notice(code, yen="550")))), code)
            for code in codes
        ]
    )
    assert (heard.count(OK), heard.count(REFUND)) == (3, 5)
    assert len(outside.grants()) == len(outside.entries()) == 3
    assert [outside.status(code) for code in codes].count(Status.REFUND) == 5


def test_withdrawn_meanwhile(shop: Flask, outside: Outside, hanako: Browser, code: str) -> None:
    """Paid for what is not sold any more: the money goes back, and the page says why."""
    limit(shop, "excalibur", withdrawn=True)
    assert answered(tell(shop, notice(code))) == REFUND
    assert (outside.status(code), outside.grants(), outside.entries()) == (Status.REFUND, [], [])
    assert outside.payment(code).refusal is Reason.WITHDRAWN
    assert Reason.WITHDRAWN.value in says(hanako.finish(code).text)


# Not to be believed


def without(name: str) -> Callable[[str], dict[str, str]]:
    """A signature over all of it, and then a field taken away."""

    def made(code: str) -> dict[str, str]:
        return {field: value for field, value in notice(code).items() if field != name}

    return made


UNBELIEVED: dict[str, Callable[[str], dict[str, str]]] = {
    "forged": lambda code: notice(code, secret="guessed"),
    "signed with nothing": lambda code: notice(code, secret=""),
    "signed with our own key of forms": lambda code: notice(
        code, secret="a secret of the tests, and of nobody else"
    ),
    "signed with mixi's secret": lambda code: notice(code, secret=CONSUMER_SECRET),
    "signed by another merchant's": lambda code: notice(code, merchant="somebody"),
    "without merchant": lambda code: notice(code, merchant=None),
    "another sum": lambda code: {**notice(code), "yen": "1"},
    "another outcome": lambda code: {**notice(code, outcome="cancelled"), "outcome": "paid"},
    "another reference": lambda code: {**notice(code), "reference": "X"},
    "a field more": lambda code: {**notice(code), "note": "x"},
    "too old": lambda code: notice(code, off=-WINDOW - 2),
    "of the future": lambda code: notice(code, off=WINDOW + 2),
    "another moment": lambda code: {**notice(code, off=-WINDOW - 2), "at": notice(code)["at"]},
    "no moment": without("at"),
    "no signature": without("signature"),
    "no sum": without("yen"),
    "an empty signature": lambda code: {**notice(code), "signature": ""},
    "a signature in another script": lambda code: {**notice(code), "signature": "灯"},
    "upper case": lambda code: {**notice(code), "signature": notice(code)["signature"].upper()},
    "a moment that is none": lambda code: resigned(code, "now"),
    "a moment in other digits": lambda code: resigned(code, "１２３"),
    "a moment of many digits": lambda code: resigned(code, "9" * 5000),
    "nothing at all": lambda code: {},
}


def resigned(code: str, at: str) -> dict[str, str]:
    """Rightly signed at a moment that is none."""
    fields = notice(code)
    said = {name: value for name, value in fields.items() if name not in ("at", "signature")}
    return sealed(said, SECRET, at)  # type: ignore[arg-type]  # what a careless provider writes


@on_sqlite
def test_what_is_not_believed(shop: Flask, code: str, outside: Outside) -> None:
    """Forged, altered, stale or of somebody else: 401, nothing done, and no word that returns money."""
    for what, made in UNBELIEVED.items():
        answer = tell(shop, made(code))
        assert (answer.status_code, answer.mimetype) == (401, "text/plain"), what
        assert answer.text.split()[0] not in ("OK", "REFUND"), what
        assert untouched(outside, code), what


@pytest.mark.parametrize("taken", ["external_secret", "external_merchant"])
@on_sqlite
def test_a_shop_that_cannot_verify(
    shop: Flask, settings: Settings, code: str, outside: Outside, taken: str
) -> None:
    """Whose secret or name was taken out of the settings hears the provider again once it is back."""
    door = {"external_provider_url": "", taken: ExternalSettings.model_fields[taken].default}
    without_door = create_app(settings.model_copy(update=door))
    answer = tell(without_door, notice(code))
    assert (answer.status_code, answer.mimetype) == (503, "text/plain")
    assert untouched(outside, code)
    assert answered(tell(shop, notice(code))) == OK


@pytest.mark.long
@pytest.mark.parametrize("off", [-WINDOW + 5, WINDOW - 5])
def test_within_the_window(shop: Flask, code: str, off: int) -> None:
    """A clock that is a few minutes off is forgiven."""
    assert answered(tell(shop, notice(code, off=off))) == OK


WRONG: dict[str, dict[str, Any]] = {
    "no payment": {"payment": None},
    "an empty payment": {"payment": ""},
    "no reference": {"reference": None},
    "an empty reference": {"reference": ""},
    "a long reference": {"reference": "R" * 65},
    "a reference of two words": {"reference": "REF 1"},
    "no sum": {"yen": None},
    "an empty sum": {"yen": ""},
    "a negative sum": {"yen": "-110"},
    "half a yen": {"yen": "110.5"},
    "no half a yen": {"yen": "110.00"},
    "a sum in other digits": {"yen": "１１０"},
    "a sum beyond all sums": {"yen": "1" + "0" * 9},
    "no currency": {"currency": ""},
    "a currency that is none": {"currency": "yen"},
    "a currency in small letters": {"currency": "jpy"},
}
NO_OUTCOME = {"none": None, "mixi's": "10", "a state of ours": "complete"}


@pytest.mark.long
@on_sqlite
def test_a_signature_does_not_make_sense_of_it(shop: Flask, code: str, outside: Outside) -> None:
    """Rightly signed, and yet no notice: 400, nothing done."""
    for (what, changes), outcome in product(WRONG.items(), ["cancelled", "declined", *BACK]):
        answer = tell(shop, notice(code, outcome=outcome, **changes))
        assert (answer.status_code, answer.mimetype) == (400, "text/plain"), (what, outcome)
        assert untouched(outside, code), (what, outcome)


@pytest.mark.long
@on_sqlite
def test_no_word_of_ours(shop: Flask, code: str, outside: Outside) -> None:
    """Nobody knows whether money was taken: 400, nothing done."""
    for what, outcome in NO_OUTCOME.items():
        answer = tell(shop, notice(code, outcome=outcome))
        assert (answer.status_code, answer.mimetype) == (400, "text/plain"), what
        assert untouched(outside, code), what


@pytest.mark.long
@on_sqlite
def test_money_of_a_notice_that_cannot_be_read(shop: Flask, code: str, outside: Outside) -> None:
    """Money was taken, and nobody can tell what for: it goes back, and the right word is heard after it."""
    for what, changes in WRONG.items():
        assert answered(tell(shop, notice(code, **changes))) == REFUND, what
        assert untouched(outside, code), what
    assert answered(tell(shop, notice(code))) == OK


@pytest.mark.long
@on_sqlite
def test_what_was_delivered_is_not_given_back_for_a_slip(shop: Flask, code: str, outside: Outside) -> None:
    """The delivered try told again in words that cannot be read is refused; only other money goes back."""
    tell(shop, notice(code))
    before = (outside.status(code), outside.grants(), outside.entries())
    for what, changes in WRONG.items():
        answer = tell(shop, notice(code, **changes))
        other = bool(changes.get("reference")) or "payment" in changes
        assert answer.status_code == 409, what
        assert answer.text.startswith("REFUND") == other, what
        assert (outside.status(code), outside.grants(), outside.entries()) == before, what


@pytest.mark.long
def test_a_field_twice(shop: Flask, code: str, outside: Outside) -> None:
    """A signature covers each field once, so that no two readers read different ones."""
    fields = notice(code)
    for name in ("payment", "yen", "outcome", "at", "signature", "merchant"):
        for second in (fields[name], "1"):
            body = urlencode([*fields.items(), (name, second)]).encode()
            answer = tell(
                shop, {}, input_stream=io.BytesIO(body), content_type=FORM, content_length=len(body)
            )
            assert answer.status_code == 401, (name, second)
            assert untouched(outside, code), (name, second)


FORM = "application/x-www-form-urlencoded"


@pytest.mark.long
def test_only_the_form_is_read(shop: Flask, code: str, outside: Outside) -> None:
    """A notice in the query, or asked for with GET, is none."""
    query = urlencode(notice(code))
    assert shop.test_client().post(f"/external/notices?{query}").status_code == 401
    assert shop.test_client().get(f"/external/notices?{query}").status_code == 405
    assert untouched(outside, code)


def test_an_unknown_payment(shop: Flask, code: str, outside: Outside) -> None:
    """A code that we never made, or that a restored database forgot: money taken for it goes back."""
    for unknown in ("nowhere", "p" * 41, "external:1", "a b", "灯台", "%00", "a\0b"):
        assert answered(tell(shop, notice(unknown))) == REFUND, unknown
        for outcome in ("cancelled", "declined", *BACK):
            answer = tell(shop, notice(unknown, outcome=outcome))
            assert (answer.status_code, answer.mimetype) == (404, "text/plain"), (unknown, outcome)
    assert untouched(outside, code)


@pytest.mark.long
@pytest.mark.parametrize("first", ["nothing", "paid", "cancelled"])
def test_another_sum(shop: Flask, code: str, outside: Outside, first: str) -> None:
    """A notice over another sum than ours gives out nothing and changes nothing."""
    if first != "nothing":
        assert tell(shop, notice(code, outcome=first)).text == "OK"
    before = (outside.status(code), outside.grants(), outside.entries())
    for yen in ("1", "109", "111", "0", "000000111"):
        answer = tell(shop, notice(code, yen=yen))
        assert answer.status_code == 409, yen
        assert answer.text.startswith("REFUND") == (first != "paid"), "what was delivered is not given back"
        assert answer.text.endswith(f"this payment is over {YEN} yen\n"), yen
        assert (outside.status(code), outside.grants(), outside.entries()) == before, yen


@pytest.mark.money
def test_a_wrong_sum_spoils_nothing(shop: Flask, code: str) -> None:
    """After a notice over a wrong sum the right one is heard as if it were the first."""
    assert tell(shop, notice(code, yen="1")).status_code == 409
    assert answered(tell(shop, notice(code))) == OK


@pytest.mark.long
@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"outcome": "cancelled"}, {"outcome": "paid"}),
        ({"outcome": "paid"}, {"outcome": "paid", "reference": "ANOTHER"}),
        ({"outcome": "cancelled"}, {"outcome": "paid", "reference": "ANOTHER"}),
    ],
)
def test_contradictions(
    shop: Flask, code: str, outside: Outside, first: dict[str, Any], then: dict[str, Any]
) -> None:
    """What was settled stays so; money for which nothing was given goes back, and no other."""
    assert answered(tell(shop, notice(code, **first))) == OK
    before = (outside.payment(code).reference, outside.status(code), outside.grants(), outside.entries())
    for _ in range(2):
        assert answered(tell(shop, notice(code, **then))) == REFUND
    after = (outside.payment(code).reference, outside.status(code), outside.grants(), outside.entries())
    assert after == before
    assert answered(tell(shop, notice(code, **first))) == OK


@pytest.mark.money
def test_a_cancelled_notice(shop: Flask, code: str, outside: Outside) -> None:
    """Nothing is given out and nothing is entered; said again, it is heard again."""
    for _ in range(3):
        assert answered(tell(shop, notice(code, outcome="cancelled"))) == OK
    assert outside.status(code) is Status.CANCEL
    assert (outside.grants(), outside.entries()) == ([], [])


# A second attempt, a declined try


@pytest.mark.money
@pytest.mark.parametrize("outcome", ["cancelled", "declined"])
@pytest.mark.parametrize("reference", [REFERENCE, "ANOTHER"])
def test_a_second_attempt_that_expired(
    shop: Flask, code: str, outside: Outside, outcome: str, reference: str
) -> None:
    """What is delivered stays so, whatever becomes of another try to pay it: OK, and nothing changes."""
    tell(shop, notice(code))
    before = (outside.payment(code).reference, outside.grants(), outside.entries())
    for _ in range(2):
        assert answered(tell(shop, notice(code, outcome=outcome, reference=reference))) == OK
    assert outside.status(code) is Status.COMPLETE
    assert (outside.payment(code).reference, outside.grants(), outside.entries()) == before


@pytest.mark.money
def test_a_declined_try(shop: Flask, hanako: Browser, code: str, outside: Outside) -> None:
    """A try that was declined changes nothing; the one that works is a sale under its own reference."""
    assert answered(tell(shop, notice(code, outcome="declined", reference="TRY1"))) == OK
    assert untouched(outside, code)
    assert 'data-state="create"' in hanako.finish(code).text
    assert answered(tell(shop, notice(code, reference="TRY2"))) == OK
    assert answered(tell(shop, notice(code, outcome="declined", reference="TRY1"))) == OK
    assert outside.grants() == [(f"external:{code}", "excalibur", 1)]
    assert (outside.status(code), outside.payment(code).reference) == (Status.COMPLETE, "TRY2")


@pytest.mark.long
@pytest.mark.parametrize("first", ["nothing", "paid", "cancelled"])
def test_another_currency(shop: Flask, code: str, outside: Outside, first: str) -> None:
    """Money in another currency is refused with a reason; only what was not delivered is owed back."""
    if first != "nothing":
        tell(shop, notice(code, outcome=first))
    before = (outside.status(code), outside.grants(), outside.entries())
    answer = tell(shop, notice(code, currency="USD"))
    assert answer.status_code == 409
    assert answer.text == ("" if first == "paid" else "REFUND ") + "this payment is in JPY\n"
    assert (outside.status(code), outside.grants(), outside.entries()) == before
    assert answered(tell(shop, notice(code, currency="JPY", outcome=first.replace("nothing", "paid")))) == OK


# The money goes back


BACK = ["refunded", "chargeback"]


@pytest.mark.money
@pytest.mark.parametrize("outcome", BACK)
def test_the_money_went_back(shop: Flask, hanako: Browser, code: str, outside: Outside, outcome: str) -> None:
    """Goods and entry are taken back under a key of their own, once, however often it is said."""
    tell(shop, notice(code))
    for _ in range(3):
        assert answered(tell(shop, notice(code, outcome=outcome))) == OK
    assert sorted(outside.grants()) == sorted(
        [(f"external:{code}", "excalibur", 1), (f"{outcome}:{code}", "excalibur", -1)]
    )
    assert sorted(outside.entries()) == sorted(
        [(f"external:{code}", "sale", YEN, "yen"), (f"{outcome}:{code}", "refund", -YEN, "yen")]
    )
    assert outside.status(code) is Status(outcome)
    assert 'data-item="excalibur"' not in hanako.get("/inventory").text
    assert f'data-state="{outcome}"' in hanako.get("/history").text
    for later in ("paid", "cancelled", "declined", *BACK):
        assert answered(tell(shop, notice(code, outcome=later))) == OK
    assert (len(outside.grants()), outside.status(code)) == (2, Status(outcome))


@pytest.mark.money
@pytest.mark.parametrize("outcome", BACK)
def test_money_of_another_try(shop: Flask, code: str, outside: Outside, outcome: str) -> None:
    """Paid twice, and the second one given back: the sale stands, since nothing was given for that money."""
    tell(shop, notice(code))
    assert answered(tell(shop, notice(code, reference="TWICE"))) == REFUND
    assert answered(tell(shop, notice(code, outcome=outcome, reference="TWICE"))) == OK
    assert (outside.status(code), len(outside.grants())) == (Status.COMPLETE, 1)


@pytest.mark.long
@pytest.mark.parametrize("outcome", BACK)
def test_back_before_it_was_told_of(shop: Flask, code: str, outside: Outside, outcome: str) -> None:
    """Money that went back before we heard of it buys nothing when the word of the payment comes late."""
    assert answered(tell(shop, notice(code, outcome=outcome))) == OK
    assert answered(tell(shop, notice(code))) == OK
    assert (outside.status(code), outside.grants(), outside.entries()) == (Status(outcome), [], [])


@pytest.mark.long
@pytest.mark.parametrize("outcome", BACK)
def test_back_for_a_try_that_did_not_work(shop: Flask, code: str, outside: Outside, outcome: str) -> None:
    """A try whose money went back before anything was given spoils no later try; one sale is the most."""
    assert answered(tell(shop, notice(code, outcome=outcome, reference="FIRST"))) == OK
    assert answered(tell(shop, notice(code, reference="SECOND"))) == OK
    assert (outside.status(code), len(outside.grants())) == (Status.COMPLETE, 1)
    assert answered(tell(shop, notice(code, outcome=outcome, reference="SECOND"))) == OK
    assert answered(tell(shop, notice(code, reference="THIRD"))) == REFUND
    assert (outside.status(code), len(outside.grants())) == (Status(outcome), 2)


@pytest.mark.long
@pytest.mark.parametrize("closing", ["stopped", "terminated"])
def test_closed_since_the_buyer_left(
    shop: Flask, hanako: Browser, code: str, outside: Outside, closing: str
) -> None:
    """What is paid after mixi stopped the app or ended the provider's use goes back to the buyer."""
    ended = Change(
        ChangeKind.PROVIDER,
        form=Paper(today() - 9 * DAY, signed=True),
        approved_on=today(),
        effect=Effect.TERMINATE,
        provider=PAY.name,
    )
    stopped, terminated = replace(lawful(), stopped_on=today()), replace(lawful(), changes=(ended,))
    record(shop, stopped if closing == "stopped" else terminated)
    assert answered(tell(shop, notice(code))) == REFUND
    assert (outside.grants(), outside.payment(code).refusal) == ([], Reason.WITHDRAWN)


def test_given_back_as_we_asked(shop: Flask, hanako: Browser, outside: Outside) -> None:
    """The provider may say that it did what REFUND asked for: OK, and the page still says why."""
    code = hanako.leave("fireworks")
    limit(shop, "fireworks", stock=0)
    assert answered(tell(shop, notice(code, yen="550"))) == REFUND
    assert answered(tell(shop, notice(code, yen="550", outcome="refunded"))) == OK
    assert (outside.status(code), outside.payment(code).refusal) == (Status.REFUND, Reason.SOLD_OUT)


def test_a_part_of_the_money(shop: Flask, code: str, outside: Outside) -> None:
    """A part cannot be taken back: refused with a reason, and the sale stands."""
    tell(shop, notice(code))
    answer = tell(shop, notice(code, outcome="refunded", yen="10"))
    assert answered(answer) == (409, "text/plain", "this")
    assert (outside.status(code), len(outside.grants())) == (Status.COMPLETE, 1)


@pytest.mark.money
def test_used_up_and_charged_back(shop: Flask, hanako: Browser, outside: Outside) -> None:
    """What is used up is taken back all the same, and the operator sees the holding below zero."""
    code = hanako.leave("fireworks")
    tell(shop, notice(code, yen="550"))
    with shop.app_context():
        inventory.use(outside.payment(code).customer_id, "fireworks", "tap", clock.now())
    assert answered(tell(shop, notice(code, yen="550", outcome="chargeback"))) == OK
    with shop.app_context():
        (below,) = inventory.negatives()
    assert (below.item_id, below.quantity) == ("fireworks", -1)


@pytest.mark.money
def test_taken_back_once_for_eight_notices(shop: Flask, codes: list[str], outside: Outside) -> None:
    """Eight notices of each refund at the same moment, four of them chargebacks: one taking back each."""
    for code in codes:
        tell(shop, notice(code))
    outcomes = BACK * (NOTICES // 2)
    for code in codes:
        at_once(*[partial(tell, shop, notice(code, outcome=outcome)) for outcome in outcomes])
    assert (len(outside.grants()), len(outside.entries())) == (2 * PAYMENTS, 2 * PAYMENTS)
    assert sum(quantity for _, _, quantity in outside.grants()) == 0
    assert sum(amount for _, _, amount, _ in outside.entries()) == 0


# Sold out in between


@pytest.mark.money
def test_sold_out_meanwhile(shop: Flask, hanako: Browser, outside: Outside) -> None:
    """What is not to be had any more is paid back: REFUND is the first word, now and for ever."""
    code = hanako.leave("fireworks")
    limit(shop, "fireworks", stock=0)
    answer = tell(shop, notice(code, yen="550"))
    assert answered(answer) == REFUND
    assert answer.text.startswith("REFUND ")
    assert (outside.grants(), outside.entries()) == ([], [])
    payment = outside.payment(code)
    assert (payment.status, payment.refusal, payment.reference) == (Status.REFUND, "sold_out", REFERENCE)
    limit(shop, "fireworks", stock=5)
    for _ in range(3):
        assert answered(tell(shop, notice(code, yen="550"))) == REFUND
    assert (outside.grants(), outside.status(code)) == ([], Status.REFUND)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"on_sale_until": clock.now() - timedelta(days=1)}, "over"),
        ({"per_customer": 1}, "limit_reached"),
    ],
)
def test_no_longer_for_sale(
    shop: Flask, hanako: Browser, outside: Outside, values: dict[str, object], reason: str
) -> None:
    """Whatever forbids the sale at the notice, the money goes back and the reason is kept."""
    first, second = hanako.leave("fireworks"), hanako.leave("fireworks")
    assert tell(shop, notice(first, yen="550")).text == "OK"
    limit(shop, "fireworks", **values)
    assert answered(tell(shop, notice(second, yen="550"))) == REFUND
    assert outside.payment(second).refusal == reason
    assert len(outside.grants()) == 1


# The database does not answer


@contextmanager
def renamed(app: Flask, table: str) -> Iterator[None]:
    """A table that is not there for a while."""
    with app.app_context():
        name = db.engine.dialect.identifier_preparer.quote(table)
        with db.engine.begin() as connection:
            connection.execute(text(f"ALTER TABLE {name} RENAME TO lost"))
        try:
            yield
        finally:
            with db.engine.begin() as connection:
                connection.execute(text(f"ALTER TABLE lost RENAME TO {name}"))


@pytest.mark.money
@pytest.mark.parametrize("table", ["external_payment", "item", "grant", "entry"])
def test_a_broken_database(shop: Flask, code: str, outside: Outside, table: str) -> None:
    """Whichever step of the sale fails: 503, nothing of it stays, and told again it is done wholly."""
    with renamed(shop, table):
        answer = tell(shop, notice(code))
        assert (answer.status_code, answer.mimetype) == (503, "text/plain")
        assert answer.text.split()[0] not in ("OK", "REFUND")
    assert untouched(outside, code)
    assert answered(tell(shop, notice(code))) == OK
    assert len(outside.grants()) == len(outside.entries()) == 1


@contextmanager
def held(app: Flask, code: str) -> Iterator[None]:
    """Somebody else holds the payment, and nobody waits long."""
    with app.app_context():
        db.engine.dispose()

        @event.listens_for(db.engine, "connect")
        def hurry(driver: object, record: object) -> None:
            if db.engine.dialect.name == "postgresql":
                driver.execute("SET lock_timeout = '100ms'")  # type: ignore[attr-defined]  # psycopg's
                driver.commit()  # type: ignore[attr-defined]

        with db.engine.connect() as connection, connection.begin():
            hold(connection, code)
            yield


def hold(connection: Connection, code: str) -> None:
    mine = ExternalPayment.__table__.c.code == code
    connection.execute(ExternalPayment.__table__.update().where(mine).values(item_name="held"))  # type: ignore[attr-defined]


@pytest.mark.money
def test_a_locked_database(shop: Flask, code: str, outside: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the payment is held by somebody else: 503; afterwards the notice is heard."""
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.1)
    with held(shop, code):
        assert tell(shop, notice(code)).status_code == 503
    assert answered(tell(shop, notice(code))) == OK
    assert len(outside.grants()) == len(outside.entries()) == 1


# Two secrets, two doors


def test_mixis_signature_opens_nothing_here(shop: Flask, code: str, outside: Outside) -> None:
    """What mixi signs for the application is no notice of the provider's."""
    query = urlencode({**claims(HANAKO), "payment": code, "status": "10"})
    target = f"/external/notices?{query}"
    unsigned = {name: value for name, value in notice(code).items() if name != "signature"}
    for fields in (unsigned, {}, notice(code, secret=CONSUMER_SECRET)):
        answer = shop.test_client().post(target, data=fields, headers=sign("POST", target))
        assert answer.status_code == 401
    assert untouched(outside, code)


def test_the_providers_secret_opens_nothing_at_mixis(shop: Flask, container: Container, books: Books) -> None:
    """What the provider could sign is no callback of mixi's."""
    code = container.start()
    target = container.callback_target(code)
    for key in (CONSUMER_KEY, MERCHANT):
        headers = sign("GET", target, key=key, secret=SECRET)
        assert shop.test_client().get(target, headers=headers).status_code == 401
    assert shop.test_client().get(f"/mixi/callback?{urlencode(notice(code))}").status_code == 401
    assert (books.grants(), books.status(code)) == (0, MixiStatus.CREATE)


@pytest.mark.changed(external_provider_url="", external_merchant="", external_secret=None)
def test_without_a_secret_nobody_is_believed(app: Flask, outside: Outside) -> None:
    """A shop whose provider was taken out of the settings believes no notice, not even one under ''."""
    code = begun(app)
    for merchant, secret in product(("", MERCHANT, None), ("", "None")):
        answer = tell(app, notice(code, secret=secret, merchant=merchant))
        assert answer.status_code == 503, (merchant, secret)
        assert untouched(outside, code), (merchant, secret)


def begun(app: Flask, **changed: object) -> str:
    """A payment of hanako's, made while there was a provider."""
    with app.app_context():
        who = customers.identify("mixi", HANAKO, clock.now())
        with transaction() as session:
            session.execute(insert(ExternalPayment).values(row(who.id, 0, clock.now()) | changed))
    return "e00"


def row(customer_id: int, number: int, at: datetime) -> dict[str, object]:
    return {
        "code": f"e{number:02}",
        "customer_id": customer_id,
        "item_id": "excalibur",
        "item_name": "excalibur",
        "yen": YEN,
        "status": Status.CREATE,
        "created_at": at,
    }


# The buyer returns


def finished(shop: Flask, hanako: Browser, state: str) -> str:
    """A payment in one of its six states."""
    code = hanako.leave("fireworks")
    if state == "refund":
        limit(shop, "fireworks", stock=0)
    if state != "create":
        tell(shop, notice(code, yen="550", outcome="cancelled" if state == "cancel" else "paid"))
    if state in BACK:
        tell(shop, notice(code, yen="550", outcome=state))
    return code


# What is said of it, and whether the sum is.
SAID = {
    "create": ({"not-told"}, False),
    "complete": ({"paid"}, True),
    "cancel": ({"nothing-paid"}, False),
    "refund": ({"is-paid-back", "sold_out"}, True),
    "refunded": ({"paid-back"}, True),
    "chargeback": ({"nothing-paid"}, True),
}


@pytest.mark.parametrize("state", SAID)
def test_the_finish_page_says_how_it_stands(
    shop: Flask, hanako: Browser, outside: Outside, state: str
) -> None:
    """Our state of the payment, in both languages; opening the page changes nothing."""
    code = finished(shop, hanako, state)
    before = (outside.status(code), outside.grants(), outside.entries())
    english, japanese = (hanako.finish(code, lang=lang, outcome="paid") for lang in ("en", "ja"))
    assert (english.status_code, f'data-state="{state}"' in english.text) == (200, True)
    facts, sum_said = SAID[state]
    for page, language in ((english, "en"), (japanese, "ja")):
        assert says(page.text) == facts
        assert all(bool(KANA.search(sentence(page.text, fact))) == (language == "ja") for fact in facts)
        assert ("550" in words(page.text).replace(code, "")) == sum_said
        assert code in words(page.text)
        assert points(shop, language) not in words(page.text)
    assert (outside.status(code), outside.grants(), outside.entries()) == before


def test_the_finish_page_is_its_owners(shop: Flask, hanako: Browser, enter: Enter) -> None:
    """taro learns nothing of hanako's payment, not even that there is one."""
    taro = enter(who=TARO)
    nowhere = taro.finish("nowhere")
    for state in SAID:
        limit(shop, "fireworks", stock=10)
        code = finished(shop, hanako, state)
        assert hanako.finish(code).status_code == 200, state
        there = taro.finish(code)
        assert (there.status_code, nowhere.status_code) == (404, 404), state
        assert words(there.text) == words(nowhere.text), state
        assert shop.test_client().get(f"/external/payments/{code}").status_code == 401, state


def test_codes_that_are_none(hanako: Browser) -> None:
    """An address with no payment's code in it is no page."""
    for code in ("nowhere", "%00", "a%00b", "x" * 2000, "%F0%9F%97%BC"):
        assert hanako.finish(code).status_code == 404, code


def test_looking_again(shop: Flask, hanako: Browser, code: str) -> None:
    """Who is back before the notice finds a way to look again, in the language of the visit."""
    page = hanako.finish(code, lang="en")
    (again,) = html.fromstring(page.text).cssselect("main a[href^='/external/']")
    assert again.get("href") == f"/external/payments/{code}?lang=en"
    tell(shop, notice(code))
    page = hanako.get(str(again.get("href")))
    assert f'data-payment="{code}" data-state="complete"' in page.text


# The history


NOON = datetime(2027, 1, 31, 3, tzinfo=UTC)
MIXED = 45


@pytest.fixture
def mixed(shop: Flask) -> list[str]:
    """45 purchases, some for points and some for yen, several in one moment; the codes, newest first."""
    at = {number: NOON - timedelta(minutes=number // 3) for number in range(MIXED)}
    yen = {number for number in at if number % 2 or number in (2, 8, 20, 40)}
    with shop.app_context():
        who = customers.identify("mixi", HANAKO, NOON)
        other = customers.identify("mixi", TARO, NOON)
        with transaction() as session:
            done = {"status": Status.COMPLETE, "reference": REFERENCE}
            rows = [
                row(who.id, number, at[number] - timedelta(hours=1)) | done | {"settled_at": at[number]}
                for number in yen
            ]
            session.execute(insert(ExternalPayment), rows)
            begun_by_taro = row(other.id, 99, NOON)
            session.execute(insert(ExternalPayment), [begun_by_taro])
            cancelled = {"status": MixiStatus.CANCEL, "is_test": False, "language": "ja"}
            points = [
                {
                    "point_code": f"m{number:02}",
                    "customer_id": who.id,
                    "owner_id": HANAKO,
                    "item_id": "excalibur",
                    "item_name": "excalibur",
                    "points": 100,
                    "created_at": at[number] - timedelta(hours=2),
                    "settled_at": at[number],
                    **cancelled,
                }
                for number in sorted(at.keys() - yen)
            ]
            session.execute(insert(Payment), points)
    return [f"{'e' if number in yen else 'm'}{number:02}" for number in at]


def shown(page: TestResponse) -> list[str]:
    assert page.status_code == 200
    rows = html.fromstring(page.text).cssselect("[data-payment]")
    return [str(row.get("data-payment")) for row in rows]


@pytest.mark.usefixtures("api")
def test_the_history_is_one(hanako: Browser, mixed: list[str]) -> None:
    """45 purchases at two counters, twenty on a page: the newest first, none twice, none missing."""
    pages = [shown(hanako.get("/history", page=str(number))) for number in range(4)]
    assert [len(page) for page in pages] == [PAGE, PAGE, 5, 0]
    listed = [code for page in pages for code in page]
    assert sorted(listed) == sorted(mixed)
    minutes = [int(code[1:]) // 3 for code in listed]
    assert minutes == sorted(minutes)
    assert [shown(hanako.get("/history", page=str(number))) for number in range(4)] == pages


@pytest.mark.usefixtures("api")
def test_the_history_goes_on_by_its_own_links(hanako: Browser, mixed: list[str]) -> None:
    """Older, older, and no further; every purchase is met on the way."""
    met, path = [], "/history"
    for _ in range(10):
        page = hanako.get(path)
        met += shown(page)
        links = html.fromstring(page.text).cssselect(".pages a")
        older = [str(link.get("href")) for link in links]
        later = [address for address in older if number_of(address) > number_of(path)]
        if not later:
            break
        (path,) = later
    assert sorted(met) == sorted(mixed)


def number_of(address: str) -> int:
    return int(address.partition("page=")[2].partition("&")[0] or 0)


@pytest.mark.parametrize("state", ["create", "complete", "cancel", "refund"])
def test_the_history_speaks_of_yen(shop: Flask, hanako: Browser, state: str) -> None:
    """A purchase for yen is told in yen, and never in words about points."""
    code = finished(shop, hanako, state)
    for language, price in (("en", "¥550"), ("ja", "550円")):
        (row,) = html.fromstring(hanako.get("/history", lang=language).text).cssselect("[data-payment]")
        told = " ".join(row.text_content().split()).replace(code, "")
        assert (row.get("data-payment"), row.get("data-state")) == (code, state)
        assert price in told
        (said,) = row.cssselect(".state")
        assert said.text_content()
        unpaid = row.cssselect("[data-says=nothing-paid]")
        assert [bool(one.text) for one in unpaid] == ([True] if state == "create" else [])
        assert points(shop, language) not in told
        assert "pt" not in told


@pytest.mark.usefixtures("api")
def test_what_was_left_leaves_the_history(app: Flask, enter: Enter, shop: Flask) -> None:
    """A payment that nobody finished is out of the way after a day; if it is paid, its money goes back."""
    code = begun(app, created_at=clock.now() - timedelta(days=1, minutes=1))
    hanako = enter()
    assert shown(hanako.get("/history")) == []
    assert answered(tell(app, notice(code))) == REFUND
    assert shown(hanako.get("/history")) == [code]


# The book


def test_units_are_not_added_up(shop: Flask, hanako: Browser, container: Container) -> None:
    """Points and yen are sums of their own, on the list as in the totals."""
    for _ in range(2):
        assert tell(shop, notice(hanako.leave())).text == "OK"
    assert container.callback(container.start()).text == "OK"
    with shop.app_context():
        totals = {(total.kind, total.unit): (total.count, total.amount) for total in ledger.totals()}
        printed, listed = io.StringIO(), io.StringIO()
        reports.totals(printed, True, None, None)
        reports.book(listed, True, None, None)
    assert totals[Kind.SALE, "yen"] == (2, 2 * YEN)
    assert totals[Kind.SALE, "point"] == (1, 100)
    assert {unit for _, unit in totals} == {"yen", "point"}
    lines = printed.getvalue().splitlines()
    assert [line for line in lines if line.startswith("all,")] == [
        "all,1,100,point,mixi",
        "all,2,220,yen,external",
    ]
    assert sum(line.count(",yen,external:") for line in listed.getvalue().splitlines()) == 2


# Secrets


def test_secrets_stay_secret(
    capfd: pytest.CaptureFixture[str], shop: Flask, hanako: Browser, outside: Outside
) -> None:
    """No log line, page or answer carries the shared secret or a signature, whatever happens to a notice."""
    code, spent = hanako.leave(), hanako.leave("fireworks")
    limit(shop, "fireworks", stock=0)
    notices = [
        *(made(code) for made in UNBELIEVED.values()),
        notice(code, yen="1"),
        notice("nowhere"),
        notice(code, outcome="?"),
        notice(spent, yen="550"),
        notice(code),
        notice(code, outcome="cancelled"),
    ]
    with capture_logs() as logged:
        told = [tell(shop, fields).text for fields in notices]
        with renamed(shop, "external_payment"):
            told.append(tell(shop, notice(code)).text)
    pages = [hanako.finish(code), hanako.get("/history"), hanako.warning(), hanako.get("/legal")]
    written = [str(logged), *told, *(page.text for page in pages), *capfd.readouterr(), repr(shop.extensions)]
    assert len(logged) >= 10
    for fields in notices:
        signature = fields.get("signature", "")
        assert len(signature) < 64 or not any(signature in text for text in written)
    assert not any(SECRET in text for text in written)
    with shop.app_context():
        stored = [str(tuple(found)) for found in db.session.execute(select(ExternalPayment.__table__))]
    assert stored
    assert not any(notice(code)["signature"] in text for text in stored)


@on_sqlite
def test_paid_too_late(shop: Flask, code: str, outside: Outside) -> None:
    """A payment that was left open for weeks is not delivered at an old price: the money goes back, once."""
    with shop.app_context(), transaction() as session:
        session.execute(update(ExternalPayment).values(created_at=clock.now() - timedelta(days=40)))
    assert answered(tell(shop, notice(code))) == REFUND
    assert answered(tell(shop, notice(code))) == REFUND
    assert (outside.status(code), outside.grants(), outside.entries()) == (Status.REFUND, [], [])
    assert outside.payment(code).refusal is Reason.EXPIRED


@pytest.mark.changed(external_taps_per_minute=3)
def test_few_payments_a_minute(shop: Flask, hanako: Browser, outside: Outside) -> None:
    """Payments outside are opened as often as a person shops; the same one again is no new one."""
    forms = [hanako.form() for _ in range(9)]
    answers = [hanako.post("/external/payments", form).status_code for form in (forms[0], *forms)]
    assert answers == [303] * 4 + [429] * 6
    assert outside.payments() == 3
