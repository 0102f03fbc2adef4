"""The operator's forms: written and read, what contradicts itself, and that an old page undoes nothing."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from itertools import product
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from werkzeug.datastructures import MultiDict

from storefront.external import facts
from storefront.external.facts import RECORDED
from storefront.external.operator_forms import Choice, RegistrationForm, Tick, sent
from storefront.external.registration import (
    Certificate,
    Change,
    ChangeKind,
    Effect,
    Facts,
    Paper,
    Provider,
    Service,
    Sheet,
    Way,
)
from tests.databases import on_sqlite
from tests.external.conftest import DAY, PAY, Enter, Operator, fields_of, lawful, record, today
from tests.external.test_operator import FULL, MALFUNCTIONS, NEW, REGISTRATION, marked

SENT = str(today() - 10 * DAY)
BEFORE = str(today() - 11 * DAY)
CHANGE = {"changes-0-what": "x", "changes-0-form-signed": "y", "changes-0-form-sent_on": SENT}


def now_recorded(app: Flask) -> Facts:
    with app.app_context():
        return facts.current()


# How facts are written

words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), max_size=12)
names = words.filter(bool)
days = st.none() | st.dates()
prices = st.dictionaries(
    st.from_regex("[0-9A-Za-z]{1,64}", fullmatch=True), st.integers(0, 10**8), max_size=4
)
forms = st.builds(Paper, days, st.booleans(), days)
sheets = st.builds(Sheet, days, days, days)
certificates = st.builds(Certificate, words, days, days)
services = st.builds(Service, names, st.booleans())
providers = st.builds(
    Provider,
    names,
    st.sampled_from(["", "https://pay.example", "http://[::1]:8002"]),
    st.lists(services, max_size=12).map(tuple),
    certificates,
    certificates,
    st.booleans(),
)
changes = st.builds(
    Change,
    st.sampled_from(ChangeKind),
    names,
    forms,
    days,
    sheets,
    st.sampled_from(Effect),
    words,
    words,
    prices,
    st.sampled_from(Way),
)
registrations = st.builds(
    Facts,
    days,
    *[st.booleans()] * 4,
    forms,
    forms,
    st.lists(providers, max_size=3).map(tuple),
    sheets,
    st.lists(changes, max_size=12).map(tuple),
    days,
    prices,
    days,
    days,
    forms,
)
parts = st.sampled_from(
    ["providers", "changes", "name", "services", "0", "1", "01", "10", "", "٣", "²", "-1", " "]
)
wild = st.dictionaries(
    st.lists(parts, min_size=1, max_size=5).map("-".join), st.sampled_from(["x", "", " ", "y"])
)


def written(form: RegistrationForm) -> dict[str, str]:
    """What a browser sends of a form."""
    fields: dict[str, str] = {}
    for field in form.leaves:
        if isinstance(field, Tick):
            fields |= {field.name: "y"} if field.data else {}
        else:
            fields[field.name] = str(field.data or "provider") if isinstance(field, Choice) else field.text
    return fields


def read(fields: Mapping[str, Any]) -> RegistrationForm:
    return RegistrationForm(sent(MultiDict(fields)))


@settings(deadline=None, max_examples=50)
@given(registrations)
def test_there_and_back(recorded: Facts) -> None:
    """Facts that are written into the form and read again are the same, ten rows and more in their order."""
    again = read(written(RegistrationForm(obj=recorded)))
    assert again.told(RECORDED.validate_python) == recorded
    assert written(again) == written(RegistrationForm(obj=recorded))


def test_rows_close_up() -> None:
    """A row that was left empty is no row; the others keep their order, by number and not by spelling."""
    rows = {"10": "third", "2": "second", "0": "first", "1": " \t"}
    form = read({f"providers-{number}-name": name for number, name in rows.items()})
    assert [row["name"] for row in form.data["providers"]] == ["first", "second", "third"]
    assert [row.name.name for row in form.providers.forms] == [
        f"providers-{number}-name" for number in range(4)
    ]


def test_values_are_trimmed() -> None:
    """Blanks around a value are not part of it, and a field of blanks is empty."""
    form = read({"launched_on": " 2027-01-31\t", "stopped_on": " ", "prices": " excalibur 110 \r\n\r\n"})
    assert form.data["launched_on"] == date(2027, 1, 31)
    assert "stopped_on" not in form.data
    assert form.data["prices"] == {"excalibur": 110}


def test_the_prices_of_a_large_catalogue() -> None:
    """Hundreds of items have room in one paper."""
    form = read({"prices": "\n".join(f"an0item0of0a0catalogue{number} 110" for number in range(700))})
    assert form.validate()
    assert len(form.data["prices"]) == 700


@settings(deadline=None)
@given(wild)
def test_any_names(fields: dict[str, str]) -> None:
    """Whatever the fields are called, a form is read, and what is read is shown again."""
    form = read(fields)
    form.told(RECORDED.validate_python)
    assert written(read(written(form))) == written(form)


# What contradicts itself


def test_from_outside_facts_are_consistent(shop: Flask) -> None:
    """Facts that contradict themselves are refused, a word for each field; what was recorded is read."""
    form = {"sent_on": SENT, "received_on": BEFORE}
    change = {"kind": "price", "approved_on": SENT}
    wrong = {"registration": form, "providers": [{"name": "Pay"}, {"name": "Pay"}], "changes": [change]}
    with shop.app_context(), pytest.raises(ValidationError) as refused:
        facts.told(wrong)
    assert {(each["loc"], each["type"]) for each in refused.value.errors()} == {
        (("registration", "received_on"), "turn"),
        (("providers", 1, "name"), "twice"),
        (("changes", 0, "prices"), "blank"),
    }
    recorded = RECORDED.validate_python(wrong)
    record(shop, recorded)
    assert now_recorded(shop) == recorded


NOTHING_COMES = (
    ({"registration-sent_on": SENT, "registration-received_on": BEFORE}, "registration-received_on"),
    ({"sheet-requested_on": SENT, "sheet-submitted_on": BEFORE}, "sheet-submitted_on"),
    ({"sheet-requested_on": SENT, "sheet-deadline": BEFORE}, "sheet-deadline"),
    (
        {
            "providers-0-isms-since": SENT,
            "providers-0-isms-until": BEFORE,
            "providers-0-isms-number": "1",
        },
        "providers-0-isms-until",
    ),
    ({"providers-1-name": PAY.name}, "providers-1-name"),
    ({"prices": "Excalibur 110"}, "prices"),
    ({"prices": "excalibur 0"}, "prices"),
    ({**CHANGE, "changes-0-approved_on": BEFORE}, "changes-0-approved_on"),
    ({**CHANGE, "changes-0-kind": "provider", "changes-0-provider": PAY.name}, "changes-0-effect"),
    ({**CHANGE, "changes-0-kind": "price"}, "changes-0-prices"),
    ({**CHANGE, "changes-0-kind": "price", "changes-0-prices": "excalibr 120"}, "changes-0-prices"),
)


@on_sqlite
def test_what_would_come_to_nothing(shop: Flask, operator: Operator) -> None:
    """A day out of turn, a change that changes nothing, an item that is none: marked, and nothing saved."""
    found = fields_of(operator.get(REGISTRATION).text, REGISTRATION)
    for (changed, field), language in product(NOTHING_COMES, ("ja", "en")):
        answer = operator.post(REGISTRATION, {**found, **changed}, language)
        assert (answer.status_code, now_recorded(shop)) == (422, lawful()), changed
        assert marked(answer)[field] not in ("is not understood", "読み取れません"), changed


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


def test_many_papers(shop: Flask, operator: Operator) -> None:
    """However many papers there are, the page has them all and an empty one, and saving it forgets none."""
    papers = [Change(ChangeKind.SERVICE, f"paper {number}", Paper(today() - 9 * DAY)) for number in range(70)]
    record(shop, replace(lawful(), changes=tuple(papers)))
    before = now_recorded(shop)
    page = operator.get(REGISTRATION).text
    assert 'name="changes-70-what"' in page
    assert operator.fill(REGISTRATION, {"launched_on": str(before.launched_on)}).status_code == 303
    assert now_recorded(shop) == before
    assert operator.fill(REGISTRATION, {"changes-70-what": "one more"}).status_code == 303
    assert now_recorded(shop).changes[:-1] == before.changes


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
