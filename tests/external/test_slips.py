"""What the operator's forms find wrong beyond each field, and that an old page undoes nothing."""

import re
from dataclasses import replace

import pytest
from flask import Flask

from storefront.external import facts
from storefront.external.registration import Facts
from tests.databases import on_sqlite
from tests.external.conftest import DAY, PAY, Enter, Operator, fields_of, lawful, record, today
from tests.external.test_operator import FULL, MALFUNCTIONS, NEW, REGISTRATION

SENT = str(today() - 10 * DAY)
BEFORE = str(today() - 11 * DAY)
CHANGE = {"changes.0.what": "x", "changes.0.form.signed": "yes", "changes.0.form.sent_on": SENT}


def now_recorded(app: Flask) -> Facts:
    with app.app_context():
        return facts.current()


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"registration.sent_on": SENT, "registration.received_on": BEFORE}, "registration.received_on"),
        ({"sheet.requested_on": SENT, "sheet.submitted_on": BEFORE}, "sheet.submitted_on"),
        ({"sheet.requested_on": SENT, "sheet.deadline": BEFORE}, "sheet.deadline"),
        (
            {
                "providers.0.isms.since": SENT,
                "providers.0.isms.until": BEFORE,
                "providers.0.isms.number": "1",
            },
            "providers.0.isms.until",
        ),
        ({"providers.1.name": PAY.name}, "providers.1.name"),
        ({"prices": "Excalibur 110"}, "prices"),
        ({"prices": "excalibur 0"}, "prices"),
        ({**CHANGE, "changes.0.approved_on": BEFORE}, "changes.0.approved_on"),
        ({**CHANGE, "changes.0.kind": "provider", "changes.0.provider": PAY.name}, "changes.0.effect"),
        ({**CHANGE, "changes.0.kind": "price"}, "changes.0.prices"),
        ({**CHANGE, "changes.0.kind": "price", "changes.0.prices": "excalibr 120"}, "changes.0.prices"),
    ],
)
@pytest.mark.parametrize("language", ["ja", "en"])
@on_sqlite
def test_what_would_come_to_nothing(
    shop: Flask, operator: Operator, changed: dict[str, str], field: str, language: str
) -> None:
    """A day out of turn, a change that changes nothing, an item that is none: marked, and nothing saved."""
    answer = operator.fill(REGISTRATION, changed, language)
    assert (answer.status_code, now_recorded(shop)) == (422, lawful())
    words = re.findall(
        rf'id="f-{field.replace(".", "-")}-wrong">([^<]+)|<span class="bad">([^<]+)', answer.text
    )
    assert words, answer.text
    assert "not understood" not in str(words)


def test_an_old_page(shop: Flask, operator: Operator, enter: Enter) -> None:
    """A page that was opened before something else was recorded undoes nothing, and loses nothing."""
    old = fields_of(operator.get(REGISTRATION).text, REGISTRATION)
    stopped = replace(lawful(), stopped_on=today())
    record(shop, stopped)
    answer = operator.post(REGISTRATION, {**old, "content_changed_on": SENT})
    assert (answer.status_code, now_recorded(shop)) == (409, stopped)
    assert f'data-counts="stopped_on">What counts now: {today()}' in answer.text
    again = fields_of(answer.text, REGISTRATION)
    assert again["content_changed_on"] == SENT
    assert operator.post(REGISTRATION, {**again, "stopped_on": str(today())}).status_code == 303
    assert now_recorded(shop).stopped_on == today()
    assert enter().warning().status_code == 403


def test_an_old_page_with_a_slip(shop: Flask, operator: Operator) -> None:
    """A page that comes back with a marked field is as old as it was."""
    old = fields_of(operator.get(REGISTRATION).text, REGISTRATION)
    record(shop, replace(lawful(), stopped_on=today()))
    marked = operator.post(REGISTRATION, {**old, "launched_on": "?"})
    assert marked.status_code == 422
    mended = {**fields_of(marked.text, REGISTRATION), "launched_on": old["launched_on"]}
    assert operator.post(REGISTRATION, mended).status_code == 409
    assert now_recorded(shop).stopped_on == today()


def test_the_same_twice(shop: Flask, operator: Operator) -> None:
    """The button pressed twice records once, and both are told that it is saved."""
    form = {**fields_of(operator.get(REGISTRATION).text, REGISTRATION), "content_changed_on": SENT}
    assert [operator.post(REGISTRATION, form).status_code for _ in range(2)] == [303, 303]


def test_an_old_report(shop: Flask, operator: Operator) -> None:
    """A report that was corrected meanwhile is not corrected back by an old page."""
    assert operator.fill(NEW, FULL).status_code == 303
    page = f"{MALFUNCTIONS}/1"
    old = fields_of(operator.get(page).text, page)
    assert operator.fill(page, {"inquiries": "7"}).status_code == 303
    answer = operator.post(page, {**old, "description": "another"})
    assert answer.status_code == 409
    assert 'data-counts="inquiries">What counts now: 7' in answer.text
    assert fields_of(answer.text, page)["description"] == "another"
    assert operator.post(page, {**fields_of(answer.text, page), "inquiries": "7"}).status_code == 303


@pytest.mark.parametrize("language", ["ja", "en"])
@on_sqlite
def test_open_and_nothing_to_buy(shop: Flask, operator: Operator, language: str) -> None:
    """An open door through which no item may go is no good news."""
    record(shop, replace(lawful(), prices={}))
    page = operator.get(REGISTRATION, language).text
    assert 'class="verdict warn" data-allowed="yes"' in page
    record(shop, lawful())
    assert 'class="verdict good" data-allowed="yes"' in operator.get(REGISTRATION, language).text
