"""Selling nothing at all, and selling to people under age: where the settings say so, and nowhere else."""

from datetime import UTC, date, datetime, timedelta
from functools import partial

import pytest
from flask import Flask
from lxml import html
from sqlalchemy import select, update

from storefront import Settings, clock, create_app
from storefront.clock import JAPAN
from storefront.db import db, transaction
from storefront.mixi.payments import Payment, Status
from storefront.shop import ages, form_tokens, ledger
from storefront.shop.customers import Customer, identify
from storefront.shop.ledger import Entry, Kind
from storefront.shop.limits import Reason
from tests.databases import on_sqlite
from tests.street import (
    HANAKO,
    SETTINGS,
    TARO,
    Books,
    Container,
    ScriptedApi,
    at_once,
    links,
    only_form,
    says,
    sentence,
    words,
)

pytestmark = pytest.mark.money

MIKA = "mo3testmika00"  # her purchases are tests
LIMITS = {15: 5000, 19: 10000}
limited = pytest.mark.changed(under_age_limits="15:5000,19:10000")
stopped = pytest.mark.changed(selling=False)
STOPPED = Reason.STOPPED.value
UNKNOWN = Reason.AGE_UNKNOWN.value
TOO_MUCH = Reason.AGE_LIMIT.value
NOTHING_USED = "nothing-paid"


@pytest.fixture
def before(app: Flask, api: ScriptedApi, settings: Settings) -> Container:
    """The same shop, before its settings were changed: it sells, and asks nobody's age."""
    changed = settings.model_copy(update={"selling": True, "under_age_limits": {}})
    return Container(create_app(changed, app.extensions["http"]))


# Selling nothing


@stopped
def test_nothing_can_be_bought(container: Container, before: Container, books: Books) -> None:
    """No page has a buy form, each says why, and a form that was open already starts nothing."""
    form, code = only_form(before.get("/items/loaf").text), before.start("excalibur")
    why = sentence(container.get("/items/loaf").text, STOPPED)
    for path, query in [("/", {}), ("/items/loaf", {}), ("/mixi/finish", {"point_code": code})]:
        page = container.get(path, **query)
        assert page.status_code == 200
        assert "<form" not in page.text
        assert why in words(page.text)
    for path in ("/inventory", "/history", "/legal"):
        assert "<form" not in container.get(path).text
    assert "まるパン" not in container.get("/inventory").text
    answer = container.post(*form)
    assert answer.status_code == 409
    assert STOPPED in says(answer.text)
    assert NOTHING_USED in says(answer.text)
    assert "<form" not in answer.text
    assert books.payments() == 1


@stopped
@pytest.mark.parametrize(("status", "state", "grants"), [("10", "complete", 1), ("20", "cancel", 0)])
def test_what_was_begun_is_settled(
    container: Container, before: Container, books: Books, status: str, state: str, grants: int
) -> None:
    """Who was at the payment screen already gets what they decide there."""
    code = before.start("loaf")
    assert container.callback(code, status=status).text == "OK"
    assert books.grants() == grants
    assert f'data-state="{state}"' in container.get("/history").text
    assert "<form" not in container.get("/mixi/finish", point_code=code).text


@stopped
def test_what_is_held_is_used(container: Container, before: Container, books: Books) -> None:
    """Bags stay open, and what is in them is used."""
    before.callback(before.start("loaf"))
    assert container.post(*only_form(container.get("/inventory").text)).status_code == 302
    assert books.grants() == 0
    assert container.get("/inventory").status_code == 200


# Ages


THIS_YEAR = clock.now().astimezone(JAPAN).year
# Born in a January: of that age, or a year younger while that month lasts.
FIFTEEN, SEVENTEEN, GROWN = ((THIS_YEAR - years, 1) for years in (15, 17, 30))


def say(container: Container, born: tuple[object, object], owner: str = HANAKO) -> tuple[int, set[str]]:
    """Say the year and month of birth; the answer's status, and what it says."""
    action, fields = only_form(container.get("/age", owner).text)
    answer = container.post(action, {**fields, "year": str(born[0]), "month": str(born[1])}, owner)
    return answer.status_code, says(answer.text)


def born(container: Container, owner: str = HANAKO) -> date | None:
    with container.app.app_context():
        return db.session.scalars(select(Customer.born).filter_by(external_id=owner)).one()


@limited
def test_first_the_age(container: Container, before: Container, books: Books) -> None:
    """Who has not said their age buys nothing: the page asks, an open form starts nothing."""
    form = only_form(before.get("/items/loaf").text)
    page = container.get("/items/loaf")
    assert UNKNOWN in says(page.text)
    assert "<form" not in page.text
    assert "%2Fage" in page.text
    (row,) = html.fromstring(container.get("/").text).cssselect("[data-item=loaf]")
    assert row.cssselect(".limits")[0].text == sentence(page.text, UNKNOWN)
    answer = container.post(*form)
    assert answer.status_code == 409
    assert UNKNOWN in says(answer.text)
    assert books.payments() == 0
    assert say(container, GROWN)[0] == 302
    assert container.buy("coat").status_code == 302


@limited
def test_the_age_is_asked_for_in_the_callback(container: Container, before: Container, books: Books) -> None:
    """A payment that was begun before anybody asked is refused, and the finish page says why."""
    code = before.start("excalibur")
    assert container.callback(code).status_code == 409
    assert (books.status(code), books.grants(), books.earned()) == (Status.CREATE, 0, 0)
    page = container.get("/mixi/finish", point_code=code)
    assert UNKNOWN in says(page.text)
    assert "<form" not in page.text
    say(container, GROWN)
    assert container.callback(code).text == "OK"


NO_MONTHS: tuple[tuple[object, object], ...] = (
    ("", ""),
    ("2010", ""),
    ("", "1"),
    ("2010", "0"),
    ("2010", "13"),
    ("2010", "-1"),
    ("10", "1"),
    ("-2010", "1"),
    (THIS_YEAR + 1, "1"),
    (THIS_YEAR - 121, "12"),
    ("9" * 30, "1"),
    ("2010.5", "1"),
    ("2e3", "1"),
    ("x", "y"),
    ("平成22", "1"),
    ("2010\0", "1"),
)


@limited
@on_sqlite
def test_no_month_of_birth(container: Container, books: Books) -> None:
    """What nobody can have been born in is refused in words, and nothing is kept."""
    for nonsense in NO_MONTHS:
        status, said = say(container, nonsense)
        assert status == 400, nonsense
        assert "nothing-saved" in said, nonsense
        assert born(container) is None, nonsense
    assert say(container, FIFTEEN)[0] == 302
    assert born(container) == date(*FIFTEEN, 1)


@limited
@pytest.mark.parametrize("year", [THIS_YEAR - 120, THIS_YEAR - 1, f" {THIS_YEAR - 20} "])
def test_a_month_of_birth(container: Container, year: object) -> None:
    """Whoever lives may buy, from the oldest to the youngest."""
    assert say(container, (year, 12))[0] == 302
    assert born(container) == date(int(str(year)), 12, 1)


@limited
def test_said_once(container: Container) -> None:
    """An age cannot be changed by whom it limits: neither by an old form nor by a new one."""
    opened = [only_form(container.get("/age").text) for _ in range(4)]
    assert say(container, FIFTEEN)[0] == 302
    for action, fields in opened:
        container.post(action, {**fields, "year": str(GROWN[0]), "month": "1"})
    assert born(container) == date(*FIFTEEN, 1)
    again = container.get("/age")
    assert again.status_code == 302
    assert again.location.endswith("%2F")
    with container.app.app_context():
        customer = db.session.scalars(select(Customer.id).filter_by(external_id=HANAKO)).one()
        ages.declare(customer, *GROWN, clock.now())
    assert born(container) == date(*FIFTEEN, 1)


@limited
def test_what_was_typed_stays(container: Container) -> None:
    """A year or month that cannot be is said at its field, and both stay as they were typed."""
    action, fields = only_form(container.get("/age").text)
    for year, month, wrong in (
        ("98", "4", "year"),
        ("1998", "13", "month"),
        (str(THIS_YEAR + 1), "1", "year"),
        ("<i>", "4", "year"),
    ):
        answer = container.post(action, {**fields, "year": year, "month": month})
        assert (answer.status_code, says(answer.text)) == (400, {f"wrong-{wrong}", "nothing-saved"})
        page = html.fromstring(answer.text)
        typed = {one.get("name"): one for one in page.cssselect("#year, #month")}
        assert [typed[part].get("value") for part in ("year", "month")] == [year, month]
        assert [part for part in typed if typed[part].get("aria-invalid")] == [wrong]
    assert born(container) is None


@limited
def test_on_to_what_was_wanted(container: Container) -> None:
    """Who was asked on account of an item comes back to it, and to the shelf if it is nowhere."""
    (ask,) = [link for link in links(container.get("/items/moss").text) if "/age" in link]
    assert ask.endswith("/age?item=moss")
    for wanted, page in (("nothing", "shelf"), ("a b", "shelf"), ("moss", "item")):
        owner = f"owner{page}{len(wanted)}"
        action, fields = only_form(container.get("/age", owner, item=wanted).text)
        said = container.post(action, {**fields, "year": str(GROWN[0]), "month": "1"}, owner)
        assert f'data-page="{page}"' in container.follow(said, owner).text, wanted


@limited
def test_saying_it_needs_our_form(container: Container) -> None:
    """Nobody's age is said by a form that is not their own."""
    with container.app.app_context():
        hanako, taro = (identify("mixi", owner, clock.now()).id for owner in (HANAKO, TARO))
        taros, for_buying = form_tokens.seal(taro, "age"), form_tokens.seal(hanako, "buy:mixi:loaf:10")
    for token in ("", "x", taros, for_buying):
        fields = {"token": token, "year": str(GROWN[0]), "month": "1"}
        assert container.post("/age", fields).status_code == 400, token
        assert born(container) is None, token


@pytest.mark.parametrize(
    ("month", "now", "limit"),
    [
        # Japan's month turns at 15:00 UTC of the day before.
        (date(2010, 6, 1), datetime(2026, 6, 30, 14, 59, 59, tzinfo=UTC), 5000),
        (date(2010, 6, 1), datetime(2026, 6, 30, 15, 0, 0, tzinfo=UTC), 10000),
        (date(2010, 6, 1), datetime(2026, 6, 1, 0, 0, 0, tzinfo=UTC), 5000),
        (date(2010, 6, 1), datetime(2026, 5, 31, 0, 0, 0, tzinfo=UTC), 5000),
        (date(2006, 6, 1), datetime(2026, 6, 30, 14, 59, 59, tzinfo=UTC), 10000),
        (date(2006, 6, 1), datetime(2026, 6, 30, 15, 0, 0, tzinfo=UTC), None),
        (date(2009, 12, 1), datetime(2025, 12, 31, 14, 59, 59, tzinfo=UTC), 5000),
        (date(2009, 12, 1), datetime(2025, 12, 31, 15, 0, 0, tzinfo=UTC), 10000),
        (date(2010, 1, 1), datetime(2026, 1, 31, 14, 59, 59, tzinfo=UTC), 5000),
        (date(2010, 1, 1), datetime(2026, 1, 31, 15, 0, 0, tzinfo=UTC), 10000),
        (date(2026, 6, 1), datetime(2026, 6, 30, 0, 0, 0, tzinfo=UTC), 5000),
        (date(1950, 1, 1), datetime(2026, 6, 30, 0, 0, 0, tzinfo=UTC), None),
    ],
)
def test_a_year_counts_when_its_month_is_over(month: date, now: datetime, limit: int | None) -> None:
    """15 becomes 16, and 19 becomes 20, when the month of birth has passed in Japan."""
    assert ages.monthly_limit(LIMITS, month, now) == limit
    assert ages.monthly_limit(dict(reversed(LIMITS.items())), month, now) == limit
    assert ages.monthly_limit({}, month, now) is None


@pytest.mark.parametrize(
    ("entered", "now", "spent"),
    [
        (datetime(2026, 6, 30, 14, 59, 59, tzinfo=UTC), datetime(2026, 6, 30, 14, 59, 59, tzinfo=UTC), 100),
        (datetime(2026, 6, 30, 14, 59, 59, tzinfo=UTC), datetime(2026, 6, 30, 15, 0, 0, tzinfo=UTC), 0),
        (datetime(2026, 6, 30, 15, 0, 0, tzinfo=UTC), datetime(2026, 6, 30, 15, 0, 0, tzinfo=UTC), 100),
        (datetime(2026, 6, 30, 15, 0, 0, tzinfo=UTC), datetime(2026, 7, 31, 14, 59, 59, tzinfo=UTC), 100),
        (datetime(2026, 6, 30, 15, 0, 0, tzinfo=UTC), datetime(2026, 7, 31, 15, 0, 0, tzinfo=UTC), 0),
        (datetime(2025, 12, 31, 15, 0, 0, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 0, tzinfo=UTC), 100),
    ],
)
def test_a_month_is_japans(app: Flask, entered: datetime, now: datetime, spent: int) -> None:
    """What was spent before midnight in Japan belongs to the month before; not another's, nor elsewhere."""
    with app.app_context():
        mine, other = (identify("mixi", owner, now).id for owner in (HANAKO, TARO))
        with transaction() as session:
            for buyer, amount, key, channel in (
                (mine, 100, "mixi:1", "mixi"),
                (other, 7, "mixi:2", "mixi"),
                (mine, 30, "external:1", "external"),
            ):
                ledger.record(session, buyer, Kind.SALE, amount, "unit", key, entered, channel=channel)
        assert ages.spent(db.session(), mine, "mixi", now) == spent


@limited
def test_the_limit_at_the_button(container: Container, books: Books) -> None:
    """At 15 one spends 5,000 a month, to the point; then nothing is sold, nor by a form from before."""
    say(container, FIFTEEN)
    open_form = only_form(container.get("/items/loaf").text)
    for item in ("coat", "excalibur"):
        assert container.callback(container.start(item)).text == "OK"
    assert TOO_MUCH in says(container.get("/items/moss").text)
    assert container.callback(container.start("excalibur")).text == "OK"
    assert books.earned() == 5000
    page = container.get("/items/loaf")
    assert TOO_MUCH in says(page.text)
    assert "<form" not in page.text
    answer = container.post(*open_form)
    assert answer.status_code == 409
    assert TOO_MUCH in says(answer.text)
    assert NOTHING_USED in says(answer.text)
    assert books.payments() == 3


@limited
@pytest.mark.parametrize(("when", "sold"), [(FIFTEEN, 1), (SEVENTEEN, 2), (GROWN, 3)])
def test_two_screens_do_not_beat_the_limit(
    container: Container, books: Books, when: tuple[int, int], sold: int
) -> None:
    """Three screens for 4,800 each, opened together: what counts is the moment mixi asks."""
    say(container, when)
    codes = [container.start("coat") for _ in range(3)]
    answers = [container.callback(code).status_code for code in codes]
    assert answers == [200] * sold + [409] * (3 - sold)
    assert (books.grants(), books.earned()) == (sold, 4800 * sold)
    for code in codes[sold:]:
        page = container.get("/mixi/finish", point_code=code)
        assert TOO_MUCH in says(page.text)
        assert "<form" not in page.text
        assert books.status(code) is Status.CREATE


@limited
def test_eight_screens_at_the_same_moment(container: Container, books: Books) -> None:
    """Confirmed together, in threads: one is sold."""
    say(container, FIFTEEN)
    answers: list[int] = []
    codes = [container.start("coat") for _ in range(8)]
    at_once(*[partial(lambda code: answers.append(container.callback(code).status_code), c) for c in codes])
    assert sorted(answers) == [200] + [409] * 7
    assert (books.grants(), books.earned()) == (1, 4800)


def undo(container: Container, api: ScriptedApi, code: str, state: str = "create") -> None:
    """mixi says that it never took the points, or that it gave them back."""
    api.body = (
        '<entry xmlns="http://www.w3.org/2005/Atom" xmlns:point="http://mixi.jp/atom/ns#point">'
        f'<id>{code}</id><content type="text/xml"><point:status>{state}</point:status></content></entry>'
    ).encode()
    with container.app.app_context(), transaction() as session:
        session.execute(update(Payment).values(ok_at=clock.now() - timedelta(minutes=5)))
    container.get("/history")
    api.body = None


@limited
@pytest.mark.parametrize("state", ["create", "pay_back"])
def test_what_came_back_may_be_spent_again(
    container: Container, api: ScriptedApi, books: Books, state: str
) -> None:
    """A purchase that was undone gives its room back."""
    say(container, FIFTEEN)
    code = container.start("coat")
    assert container.callback(code).text == "OK"
    assert TOO_MUCH in says(container.get("/items/coat").text)
    undo(container, api, code, state)
    assert books.earned() == 0
    assert container.callback(container.start("coat")).text == "OK"
    assert TOO_MUCH in says(container.get("/items/coat").text)


@limited
def test_a_new_month(container: Container, books: Books) -> None:
    """What was spent in another month is not counted in this one."""
    say(container, FIFTEEN)
    container.callback(container.start("coat"))
    with container.app.app_context(), transaction() as session:
        session.execute(update(Entry).values(entered_at=clock.now() - timedelta(days=32)))
    assert container.callback(container.start("coat")).text == "OK"


@limited
def test_what_came_back_from_another_month(container: Container, api: ScriptedApi, books: Books) -> None:
    """A purchase of last month that is undone in this one gives no more room than the month has."""
    say(container, FIFTEEN)
    code = container.start("coat")
    container.callback(code)
    with container.app.app_context(), transaction() as session:
        session.execute(update(Entry).values(entered_at=clock.now() - timedelta(days=32)))
    undo(container, api, code)
    assert container.callback(container.start("coat")).text == "OK"
    assert TOO_MUCH in says(container.get("/items/coat").text)


@limited
def test_test_purchases_cost_nothing(container: Container, books: Books) -> None:
    """Whose purchases are tests spends nothing, so no limit is ever reached; but the age is asked."""
    assert UNKNOWN in says(container.get("/items/coat", MIKA).text)
    say(container, FIFTEEN, MIKA)
    codes = [container.start("coat", MIKA) for _ in range(3)]
    assert {container.callback(code, MIKA).text for code in codes} == {"OK"}
    assert (books.grants(), books.earned()) == (3, 0)
    assert container.buy("coat", MIKA).status_code == 302


@limited
def test_ages_are_everybodys_own(container: Container) -> None:
    """hanako's age and spending say nothing about taro."""
    say(container, FIFTEEN)
    container.callback(container.start("coat"))
    assert UNKNOWN in says(container.get("/items/loaf", TARO).text)
    say(container, FIFTEEN, TARO)
    assert container.callback(container.start("coat", TARO), TARO).text == "OK"


def test_by_default_nobody_is_asked(container: Container) -> None:
    """Without limits in the settings there is no question, no page for it, and nothing to know."""
    for path in ("/", "/items/loaf", "/inventory"):
        assert "%2Fage" not in container.get(path).text
    answer = container.get("/age")
    assert answer.status_code == 302
    assert container.callback(container.start("coat")).text == "OK"
    assert container.callback(container.start("coat")).text == "OK"
    assert born(container) is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [("", {}), ("15:5000,19:10000", LIMITS), (" 19 : 10000 , 15:5000, ", LIMITS), ("17:0", {17: 0})],
)
def test_limits_as_they_are_written(written: str, meant: dict[int, int]) -> None:
    """age:amount, with commas between."""
    assert Settings.model_validate({**SETTINGS, "under_age_limits": written}).under_age_limits == meant


@pytest.mark.parametrize(
    "written",
    ["15", "15:", ":5000", "a:b", "15:5,000", "-1:5000", "15:-1", "15:5000;19:1", "5000:15", "１５:5000"],
)
def test_limits_that_are_none(written: str) -> None:
    """What cannot be read stops the shop from starting, by the setting's name."""
    with pytest.raises(ValueError, match="under_age_limits") as error:
        Settings.model_validate({**SETTINGS, "under_age_limits": written})
    assert "15:5000,19:10000" in str(error.value)
