"""The operator's forms: written and read, what contradicts itself, and that an old page undoes nothing."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from itertools import product
from typing import Any

import pytest
from flask import Flask
from flask_babel import force_locale
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import html
from pydantic import ValidationError
from sqlalchemy import select
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from storefront import clock
from storefront.db import db, transaction
from storefront.external import facts, operator_forms, wording
from storefront.external.facts import RECORDED, Record
from storefront.external.operator_forms import (
    Choice,
    MalfunctionForm,
    RegistrationForm,
    Rows,
    Text,
    Tick,
    mark,
    sent,
)
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
from storefront.operator.login import Login
from storefront.shop import form_tokens
from tests.databases import on_sqlite
from tests.external.conftest import DAY, ISMS, PAY, Enter, fields_of, lawful, record, today
from tests.external.test_operator import FULL, MALFUNCTIONS, NEW, REGISTRATION, marked, problem
from tests.operators import Operator
from tests.street import KANA, says, sentence

pytestmark = pytest.mark.long

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


def counting(page: TestResponse) -> dict[str, str]:
    """The fields that are marked with what counts now, and what that is."""
    rows = html.fromstring(page.text).cssselect("[data-counts]")
    return {str(row.get("data-counts")): str(row.cssselect("span span")[0].text) for row in rows}


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


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
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


def test_as_many_price_lists_as_it_promises(shop: Flask, operator: Operator) -> None:
    """The prices of more than a thousand items may change time and again; each list stays on the page."""
    listed = {f"item0of0a0catalogue{number}": 110 for number in range(1200)}
    papers = [Change(ChangeKind.PRICE, f"paper {number}", prices=listed) for number in range(12)]
    record(shop, replace(lawful(), prices=listed, changes=tuple(papers)))
    answer = operator.fill(REGISTRATION, {"launched_on": ""})
    assert answer.status_code == 422
    found, unknown = marked(answer), problem(shop, "item", "en")
    assert found["prices"] == found["changes-11-prices"] == unknown


def test_a_form_that_is_too_large(shop: Flask, operator: Operator) -> None:
    """It says what to leave out, to the operator; a stranger is nobody whose form is read."""
    page = fields_of(operator.get(REGISTRATION).text, REGISTRATION)
    large = {**page, "prices": "x" * 2**20}
    for language in ("en", "ja"):
        answer = operator.post(REGISTRATION, large, language)
        assert (answer.status_code, says(answer.text)) == (413, {"nothing-saved", "shorten"})
        assert bool(KANA.search(sentence(answer.text, "shorten"))) == (language == "ja")
    assert operator.post(NEW, {**FULL, "description": "x" * 2**17}).status_code == 413
    assert shop.test_client().post(REGISTRATION, data=large).status_code == 401
    assert now_recorded(shop) == lawful()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
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
        (told,) = html.fromstring(answer.text).cssselect(f"#{field}-wrong")
        assert told.get("data-error") in wording.PROBLEMS, changed
        assert marked(answer)[field] == problem(shop, str(told.get("data-error")), language), changed


def test_an_old_page(shop: Flask, operator: Operator, enter: Enter) -> None:
    """A page that was opened before something else was recorded undoes nothing, and loses nothing."""
    old = fields_of(operator.get(REGISTRATION).text, REGISTRATION)
    stopped = replace(lawful(), stopped_on=today())
    record(shop, stopped)
    answer = operator.post(REGISTRATION, {**old, "content_changed_on": SENT})
    assert (answer.status_code, now_recorded(shop)) == (409, stopped)
    assert counting(answer)["stopped_on"] == str(today())
    again = fields_of(answer.text, REGISTRATION)
    assert again["content_changed_on"] == SENT
    assert operator.post(REGISTRATION, {**again, "stopped_on": str(today())}).status_code == 303
    assert now_recorded(shop).stopped_on == today()
    assert enter().warning().status_code == 403


def test_rows_that_an_old_page_does_not_have(shop: Flask, operator: Operator) -> None:
    """Papers, providers and services recorded meanwhile are all shown, each field with what counts."""
    old = fields_of(operator.get(REGISTRATION).text, REGISTRATION)
    price = Change(ChangeKind.PRICE, "dearer", prices={"excalibur": 120})
    end = Change(what="the end", approved_on=today(), effect=Effect.TERMINATE, provider=PAY.name)
    pay = replace(PAY, services=(*PAY.services, Service("bank"), Service("shop")))
    rival = Provider("Rival Pay", services=(Service("card"),))
    record(shop, replace(lawful(), changes=(price, end), providers=(pay, rival, Provider("Last Pay"))))
    answer = operator.post(REGISTRATION, {**old, "sheet-deadline": str(today())})
    assert (answer.status_code, now_recorded(shop).changes) == (409, (price, end))
    shown = counting(answer)
    assert {shown[f"changes-{number}-what"] for number in (0, 1)} == {"dearer", "the end"}
    with shop.test_request_context(), force_locale("en"):
        assert shown["changes-1-effect"] == str(wording.ALL[Effect.TERMINATE])
    assert shown["changes-1-approved_on"] == str(today())
    assert shown["changes-1-provider"] == PAY.name
    assert shown["providers-0-services-2-name"] == "shop"
    assert (shown["providers-1-services-0-name"], shown["providers-2-name"]) == ("card", "Last Pay")
    assert {"changes-2-what", "providers-3-name"} <= fields_of(answer.text, REGISTRATION).keys()


def test_a_row_that_nobody_else_has(shop: Flask, operator: Operator) -> None:
    """A paper that stands on an old page alone is one more than count now, and is said to be."""
    old = fields_of(operator.get(REGISTRATION).text, REGISTRATION)
    record(shop, replace(lawful(), stopped_on=today()))
    answer = operator.post(REGISTRATION, {**old, "changes-0-what": "the end"})
    assert answer.status_code == 409
    assert counting(answer) == {"stopped_on": str(today()), "changes-0-what": "nothing"}


def test_what_is_the_same_is_not_marked(shop: Flask, operator: Operator) -> None:
    """Where an old page and the facts agree, and be it that both are empty, there is nothing to look at."""
    change = Change(ChangeKind.PRICE, "dearer")
    record(shop, replace(lawful(), changes=(change,)))
    old = fields_of(operator.get(REGISTRATION).text, REGISTRATION)
    record(shop, replace(lawful(), changes=(change,), stopped_on=today()))
    answer = operator.post(REGISTRATION, {**old, "providers-0-isms-number": "", "launched_on": SENT})
    assert counting(answer) == {
        "stopped_on": str(today()),
        "launched_on": str(lawful().launched_on),
        "providers-0-isms-number": ISMS,
    }


def test_a_page_from_before_an_upgrade(shop: Flask, operator: Operator) -> None:
    """Fields that were called otherwise are none of ours: nothing of it counts, and it is said."""
    with shop.app_context():
        holder = db.session.scalars(select(Login.nonce)).one()
        before = {name: form_tokens.seal(holder, name, "1") for name in ("registration", "malfunction")}
    page = fields_of(operator.get(REGISTRATION).text, REGISTRATION)
    dotted = {name.replace("-", "."): value for name, value in page.items()}
    for path, fields in ((REGISTRATION, dotted), (NEW, FULL)):
        token = {"token": before["registration" if path == REGISTRATION else "malfunction"]}
        for language in ("en", "ja"):
            answer = operator.post(path, {**fields, **token}, language)
            assert (answer.status_code, now_recorded(shop)) == (400, lawful())
            assert bool(KANA.search(sentence(answer.text, "nothing-saved"))) == (language == "ja")
            assert f'href="{REGISTRATION}"' in answer.text
    assert "data-report" not in operator.get(MALFUNCTIONS).text


def test_another_field_is_another_form() -> None:
    """A form is known by its fields, those of its rows as well."""

    class Dearer(operator_forms.Change):
        why = Text()

    class Later(RegistrationForm):
        changes = Rows(Dearer)

    assert len({mark(RegistrationForm), mark(Later), mark(MalfunctionForm)}) == 3
    assert mark(RegistrationForm) == mark(RegistrationForm)


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


def test_back_to_the_version_before(shop: Flask) -> None:
    """A version that lets the database number the records can go on behind ours."""
    record(shop, replace(lawful(), stopped_on=today()))
    with shop.app_context():
        with transaction() as session:
            session.add(Record(facts={}, recorded_at=clock.now()))
        assert facts.number() == 3


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
    assert counting(answer)["inquiries"] == "7"
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
