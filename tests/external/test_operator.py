"""The operator's pages: who gets in, what may be recorded, and that nothing typed is lost."""

import csv
import io
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import product

import pytest
from flask import Flask
from flask_babel import force_locale
from itsdangerous import TimestampSigner
from lxml import html
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from storefront import Settings, clock
from storefront.config import PACKAGE, PREFIX
from storefront.db import Model, db
from storefront.external import facts, wording
from storefront.external.facts import Record
from storefront.external.malfunctions import Report
from storefront.external.registration import (
    Certificate,
    Change,
    ChangeKind,
    Effect,
    Facts,
    Paper,
    Provider,
    Rule,
    Service,
    Sheet,
    State,
    Way,
)
from storefront.mixi.rules import NOW
from storefront.operator.login import Login
from storefront.shop import customers, form_tokens
from tests.command import run
from tests.databases import on_sqlite
from tests.external.conftest import (
    DAY,
    ISMS,
    MARK,
    PAY,
    PRICES,
    PROVIDER,
    SECRET,
    YEN,
    Browser,
    Enter,
    fields_of,
    lawful,
    operator_address,
    record,
    rule_in_words,
    today,
)
from tests.operators import Operator
from tests.street import HANAKO, KANA, SHOP, at_once, says, sentence, words

pytestmark = pytest.mark.long

REGISTRATION, MALFUNCTIONS = "/external/registration", "/external/malfunctions"
NEW = f"{MALFUNCTIONS}/new"
PAGES = [
    ("GET", REGISTRATION),
    ("POST", REGISTRATION),
    ("GET", MALFUNCTIONS),
    ("GET", f"{MALFUNCTIONS}.csv"),
    ("GET", NEW),
    ("POST", NEW),
    ("GET", f"{MALFUNCTIONS}/1"),
    ("POST", f"{MALFUNCTIONS}/1"),
    ("GET", "/mixi/rules"),
    ("POST", "/operator/leave"),
]
LANGUAGES = ("ja", "en")


def count(app: Flask, model: type[Model]) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def current(app: Flask) -> Facts:
    with app.app_context():
        return facts.current()


def token_in(address: str) -> str:
    return address.removeprefix("/operator?token=")


def aged(app: Flask, seconds: int) -> str:
    """An address as it was printed a while ago."""
    with pytest.MonkeyPatch.context() as past:
        past.setattr(TimestampSigner, "get_timestamp", lambda self: int(time.time()) - seconds)
        return operator_address(app)


def says_how_to_get_in(answer: TestResponse, language: str) -> bool:
    said = sentence(answer.text, "operators-alone")
    assert bool(KANA.search(said)) == (language == "ja")
    return answer.status_code == 401 and "storefront operator" in said


# Getting in


def test_looking_at_the_address_uses_nothing_up(app: Flask) -> None:
    """Whatever fetches the address, a preview or a scanner, finds a button and leaves it good."""
    address = operator_address(app)
    for _ in range(3):
        page = app.test_client().get(address)
        assert (page.status_code, "Set-Cookie" in page.headers) == (200, False)
        assert fields_of(page.text, "/operator") == {"token": token_in(address)}
    assert count(app, Login) == 0
    assert app.test_client().head(address).status_code == 200
    client = app.test_client()
    answer = client.post("/operator", data=fields_of(page.text, "/operator"))
    assert answer.status_code == 303
    assert answer.location.startswith(f"{SHOP}/")
    assert client.get(answer.location.removeprefix(SHOP)).status_code == 200


def test_an_address_is_good_once(app: Flask) -> None:
    """Who presses second, in whatever browser, does not get in; who is in, stays."""
    token = {"token": token_in(operator_address(app))}
    first, second = app.test_client(), app.test_client()
    assert first.post("/operator", data=token).status_code == 303
    for client in (first, second):
        assert client.post("/operator", data=token).status_code == 401
    assert second.get(REGISTRATION).status_code == 401
    assert first.get(REGISTRATION).status_code == 200


def test_eight_presses_at_once(app: Flask) -> None:
    """Of eight browsers that press at the same moment, one gets in."""
    token = {"token": token_in(operator_address(app))}
    clients = [app.test_client() for _ in range(8)]
    at_once(*[partial(client.post, "/operator", data=token) for client in clients])
    assert sorted(client.get(REGISTRATION).status_code for client in clients) == [200] + [401] * 7


@pytest.mark.parametrize(("seconds", "good"), [(590, True), (601, False), (86400, False)])
def test_an_address_is_good_for_ten_minutes(app: Flask, seconds: int, good: bool) -> None:
    """An address from a while ago, an old mail or a log, lets nobody in."""
    address = aged(app, seconds)
    client = app.test_client()
    assert client.get(address).status_code == (200 if good else 401)
    answer = client.post("/operator", data={"token": token_in(address)})
    assert answer.status_code == (303 if good else 401)
    assert count(app, Login) == good


def form_token(app: Flask) -> str:
    with app.app_context():
        return form_tokens.seal(1, "operator")


def test_garbage_opens_nothing(app: Flask) -> None:
    """What we did not sign for this opens nothing, and is told how one gets in."""
    said, _, signature = token_in(operator_address(app)).rpartition(".")
    altered = f"{said}.{signature[::-1]}"
    for token, language in product(("", "x", "a.b.c", altered, form_token(app), "\0", "灯"), LANGUAGES):
        client, spoken = app.test_client(), {"Accept-Language": language}
        looked = client.get("/operator", query_string={"token": token}, headers=spoken)
        pressed = client.post("/operator", data={"token": token}, headers=spoken)
        assert says_how_to_get_in(looked, language), token
        assert says_how_to_get_in(pressed, language), token
        assert client.get(REGISTRATION).status_code == 401, token
    assert count(app, Login) == 0


def test_nobody_else_gets_in(shop: Flask) -> None:
    """Each of the pages is shut to strangers, in words that say how to get in, and nothing is kept."""
    for (method, path), language in product(PAGES, LANGUAGES):
        answer = shop.test_client().open(path, method=method, headers={"Accept-Language": language})
        assert says_how_to_get_in(answer, language), path
    assert (count(shop, Record), count(shop, Report)) == (1, 0)


def test_a_buyer_is_no_operator(hanako: Browser) -> None:
    """A buyer's visit opens none of the operator's pages, and no form of a buyer's is one of theirs."""
    with hanako.app.app_context():
        who = customers.identify("mixi", HANAKO, clock.now())
        tokens = [
            form_tokens.seal(who.id, purpose) for purpose in ("registration", "malfunction", "operator")
        ]
    for (method, path), token in product(PAGES, tokens):
        assert hanako.client.open(path, method=method, data={"token": token}).status_code == 401, path


@on_sqlite
def test_an_operator_is_no_buyer(operator: Operator) -> None:
    """The operator's visit shows nobody's bag."""
    assert operator.get("/inventory").status_code == 401


def test_the_switch_of_languages(operator: Operator) -> None:
    """The footer changes the language; pages, errors and what comes after a form stay in it."""
    assert 'href="?lang=ja"' in operator.get(REGISTRATION).text
    assert '<html lang="ja">' in operator.get(f"{REGISTRATION}?lang=ja").text
    for path in (REGISTRATION, MALFUNCTIONS, f"{MALFUNCTIONS}/new", "/mixi/rules"):
        page = operator.get(path).text
        assert '<html lang="ja">' in page
        assert 'href="?lang=en"' in page
    refused = operator.fill(REGISTRATION, {"launched_on": "some day"})
    assert (refused.status_code, '<html lang="ja">' in refused.text) == (422, True)
    assert "?lang=" not in refused.text, "what was typed would be lost"
    assert '<html lang="ja">' in leave(operator).text


# Getting out


def leave(operator: Operator) -> TestResponse:
    page = operator.get(REGISTRATION)
    return operator.post("/operator/leave", fields_of(page.text, "/operator/leave"))


def test_logging_out_ends_it_everywhere(app: Flask, operator: Operator) -> None:
    """After logging out no page opens, not even to a copy of the cookie."""
    cookie = operator.client.get_cookie("operator")
    assert cookie
    thief = app.test_client()
    thief.set_cookie("operator", cookie.value)
    assert thief.get(REGISTRATION).status_code == 200
    assert "logged-out" in says(leave(operator).text)
    operator.client.set_cookie("operator", cookie.value)
    for client in (thief, operator.client):
        assert {client.open(path, method=method).status_code for method, path in PAGES} == {401}


def test_logging_out_leaves_the_others_in(app: Flask, operator: Operator) -> None:
    """Each address opens a visit of its own."""
    colleague = Operator(app)
    leave(operator)
    assert (operator.get(REGISTRATION).status_code, colleague.get(REGISTRATION).status_code) == (401, 200)


def test_an_operator_who_has_left(app: Flask, settings: Settings, operator: Operator) -> None:
    """A command ends all visits, whoever has their cookies; its address lets the next one in."""
    another = Operator(app)
    ended = run(settings, "operator", "--end-visits")
    assert "Visits ended: 2" in ended.stderr
    assert operator.get("/operator/today").status_code == another.get("/operator/today").status_code == 401
    assert ended.stdout.startswith(f"{settings.public_url}/operator?token=")
    assert Operator(app).get("/operator/today").status_code == 200


def test_logging_out_needs_its_form(app: Flask, operator: Operator) -> None:
    """No foreign page can log the operator out."""
    other = fields_of(Operator(app).get(REGISTRATION).text, "/operator/leave")
    for fields in ({}, {"token": "x"}, other):
        assert operator.post("/operator/leave", fields).status_code == 400
    assert operator.get(REGISTRATION).status_code == 200


@pytest.mark.parametrize(("hours", "status"), [(11.9, 200), (12.1, 401)])
def test_a_visit_ends_by_itself(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, hours: float, status: int
) -> None:
    """After twelve hours even an operator who never rested comes in anew."""
    moment = clock.now() + timedelta(hours=hours)
    monkeypatch.setattr(clock, "now", lambda: moment)
    assert operator.get(REGISTRATION).status_code == status


def test_another_visits_form(app: Flask, operator: Operator) -> None:
    """A form is good in the visit that it was shown to, and for its purpose."""
    colleague = Operator(app)
    sent = fields_of(colleague.get(REGISTRATION).text, REGISTRATION)
    of_reports = fields_of(operator.get(NEW).text, NEW)
    for fields in (sent, {**sent, "token": of_reports["token"]}, {**sent, "token": ""}):
        assert operator.post(REGISTRATION, fields).status_code == 400
    assert count(app, Record) == 0


# The checklist


def steps(page: TestResponse) -> dict[str, str]:
    """Each step's state, by its rule."""
    rows = html.fromstring(page.text).cssselect(".steps li")
    return {str(row.get("data-rule")): str(row.get("class")) for row in rows}


def verdict_of(page: TestResponse) -> tuple[str | None, str | None]:
    """Whether buyers on a PC may pay outside, and of which day that is said."""
    (verdict,) = html.fromstring(page.text).cssselect("[data-allowed]")
    day = re.search(r"\d{4}-\d\d-\d\d", verdict.text_content())
    return verdict.get("data-allowed"), day and day[0]


def step_words(page: TestResponse) -> list[str]:
    rows = html.fromstring(page.text).cssselect(".steps li")
    return [" ".join(" ".join(str(text) for text in row.itertext()).split()) for row in rows]


def marked(page: TestResponse) -> dict[str, str]:
    """The fields that are said to be wrong, and in which words."""
    tree = html.fromstring(page.text)
    found = {}
    for field in tree.cssselect('[aria-invalid="true"]'):
        (told,) = tree.cssselect(f"#{field.get('aria-describedby')}")
        found[str(field.get("name"))] = str(told.text_content())
    return found


def problem(app: Flask, kind: str, language: str) -> str:
    with app.test_request_context(), force_locale(language):
        return str(wording.PROBLEMS[kind])


def lawful_fields() -> dict[str, str]:
    """What the operator fills in to record a registration followed to the letter."""
    sent = today() - 40 * DAY
    return {
        "launched_on": str(sent - 50 * DAY),
        "stable": "y",
        "registration-signed": "y",
        "registration-sent_on": str(sent),
        "registration-received_on": str(sent + 5 * DAY),
        "sheet-requested_on": str(sent + 5 * DAY),
        "sheet-deadline": str(sent + 19 * DAY),
        "sheet-submitted_on": str(sent + 12 * DAY),
        "prices": "\n".join(f"{item} {yen}" for item, yen in PRICES.items()),
        "providers-0-name": PAY.name,
        "providers-0-site": PROVIDER,
        "providers-0-services-0-name": "card",
        "providers-0-services-0-listed": "y",
        "providers-0-privacy_mark-number": MARK,
        "providers-0-isms-number": ISMS,
        "providers-0-listed": "y",
    }


def test_nothing_recorded_yet(operator: Operator) -> None:
    """At first nothing is allowed, and the page says what to do next."""
    english, japanese = (operator.get(REGISTRATION, language) for language in ("en", "ja"))
    for page, language in ((english, "en"), (japanese, "ja")):
        assert verdict_of(page) == ("no", str(today()))
        said = rule_in_words(operator.client.application, Rule.STABLE_OPERATION, language)
        assert said in sentence(page.text, "next")
    assert set(steps(english).values()) == {"open", "waiting"}


def test_the_whole_form(app: Flask, operator: Operator, enter: Enter) -> None:
    """Filled in to the letter, the form opens the door, and the page and the buyers see it at once."""
    answer = operator.fill(REGISTRATION, lawful_fields())
    assert (answer.status_code, answer.location) == (303, f"{SHOP}{REGISTRATION}")
    assert current(app) == lawful()
    page = operator.get(REGISTRATION)
    assert verdict_of(page) == verdict_of(operator.get(REGISTRATION, "ja")) == ("yes", str(today()))
    assert set(steps(page).values()) == {"done"}
    assert "next" not in says(page.text)
    assert enter().go_on().status_code == 303


def test_saving_again_changes_nothing(app: Flask, operator: Operator) -> None:
    """The form shows all that was recorded: sent as it stands, it records the same, beside the earlier."""
    recorded = Facts(
        **{
            **vars(lawful()),
            "registered_before": True,
            "changes": (
                Change(ChangeKind.PRICE, "dearer", approved_on=today(), prices={"excalibur": 500, "coat": 1}),
                Change(effect=Effect.ADD, provider="Rival Pay", way=Way.REPLY),
            ),
            "providers": (
                replace(PAY, isms=Certificate(ISMS, today() - DAY, today() + DAY)),
                Provider("Rival Pay", "https://rival.example", (Service("a & b"), Service("c <d>", True))),
            ),
            "prices_taken_on": today(),
            "content_changed_on": today(),
            "copy": Paper(today(), signed=True),
        }
    )
    record(app, recorded)
    assert operator.fill(REGISTRATION, {}).status_code == 303
    assert (current(app), count(app, Record)) == (recorded, 1)


def test_earlier_records_are_kept(app: Flask, operator: Operator) -> None:
    """The newest record counts; what was recorded before it stays to be read."""
    operator.fill(REGISTRATION, lawful_fields())
    operator.fill(REGISTRATION, {"stable": ""})
    assert (current(app).stable, count(app, Record)) == (False, 2)
    with app.app_context():
        records = db.session.scalars(select(Record).order_by(Record.id)).all()
        assert [one.facts["stable"] for one in records] == [True, False]
        assert records[0].recorded_at <= records[1].recorded_at


@pytest.mark.parametrize(
    ("changed", "rule", "state", "due", "verdict"),
    [
        ({"stable": ""}, Rule.STABLE_OPERATION, State.OPEN, None, "no"),
        ({"launched_on": -14}, Rule.FOURTEEN_DAYS, State.WAITING, 1, "no"),
        ({"registration-signed": ""}, Rule.AUTHORISED_SIGNATURE, State.OPEN, None, "no"),
        ({"registration-received_on": ""}, Rule.RECEIPT_MAIL, State.WAITING, None, "no"),
        ({"registration-received_on": 3}, Rule.RECEIPT_MAIL, State.WAITING, 3, "no"),
        ({"providers-0-listed": ""}, Rule.PROVIDER_LISTED, State.OPEN, None, "no"),
        (
            {"providers-0-privacy_mark-until": -1, "providers-0-isms-number": ""},
            Rule.PROVIDER_CERTIFIED,
            State.OVERDUE,
            -1,
            "no",
        ),
        (
            {"providers-0-privacy_mark-since": 1, "providers-0-isms-number": ""},
            Rule.PROVIDER_CERTIFIED,
            State.WAITING,
            1,
            "no",
        ),
        (
            {"sheet-requested_on": -30, "sheet-deadline": "", "sheet-submitted_on": ""},
            Rule.CHECK_SHEET,
            State.OPEN,
            None,
            "yes",
        ),
        (
            {"sheet-requested_on": -3, "sheet-deadline": 2, "sheet-submitted_on": ""},
            Rule.CHECK_SHEET,
            State.OPEN,
            2,
            "yes",
        ),
        (
            {"sheet-requested_on": -20, "sheet-deadline": -6, "sheet-submitted_on": ""},
            Rule.CHECK_SHEET,
            State.OVERDUE,
            -6,
            "yes",
        ),
        ({"content_changed_on": 0}, Rule.NEW_COPY, State.OPEN, None, "yes"),
        (
            {"providers-0-services-1-name": "bank"},
            Rule.SERVICE_APPROVED,
            State.OPEN,
            None,
            "yes",
        ),
        ({"stopped_on": 0}, Rule.STOPPED_BY_MIXI, State.WAITING, None, "no"),
    ],
)
def test_the_page_follows_the_facts(
    app: Flask,
    operator: Operator,
    changed: dict[str, str | int],
    rule: Rule,
    state: State,
    due: int | None,
    verdict: str,
) -> None:
    """One fact changed through the form: its step, the verdict and what is next, in both languages."""
    days = {name: str(today() + off * DAY) if isinstance(off, int) else off for name, off in changed.items()}
    assert operator.fill(REGISTRATION, {**lawful_fields(), **days}).status_code == 303
    for language in LANGUAGES:
        page = operator.get(REGISTRATION, language)
        assert steps(page)[rule.value] == state.value
        assert rule_in_words(app, rule, language) in words(page.text)
        (row,) = html.fromstring(page.text).cssselect(f"[data-rule={rule.value}]")
        days_told = [str(day.text_content()) for day in row.cssselect("small")]
        assert len(days_told) == (0 if due is None else 1)
        assert all(str(today() + (due or 0) * DAY) in told for told in days_told)
        assert verdict_of(page) == (verdict, str(today()))
        overdue = rule is Rule.CHECK_SHEET and state is State.OVERDUE
        assert ("overdue" in says(page.text)) is overdue
        assert rule_in_words(app, rule, language) in sentence(page.text, "next") or rule in (
            Rule.AUTHORISED_SIGNATURE,
            Rule.STOPPED_BY_MIXI,
        )


@pytest.mark.changed(external_provider_url="")
def test_no_provider_is_configured(shop: Flask, operator: Operator) -> None:
    """A registration alone opens no door: the page names the setting that is missing."""
    assert f"{PREFIX}EXTERNAL_PROVIDER_URL" in words(operator.get(REGISTRATION).text)


WRONG: list[tuple[str, str, str]] = [
    ("launched_on", "yesterday", "day"),
    ("launched_on", "2010-02-30", "day"),
    ("launched_on", "20100301", "day"),
    ("launched_on", "0", "day"),
    ("stopped_on", "86400", "day"),
    ("registration-sent_on", "01/03/2010", "day"),
    ("sheet-deadline", "2010-03-01T10:00", "day"),
    ("providers-0-privacy_mark-until", "for ever", "day"),
    ("providers-0-isms-since", "always", "day"),
    ("content_changed_on", "soon", "day"),
    ("changes-0-approved_on", "soon", "day"),
    ("changes-0-sheet-requested_on", "２０１０-03-01", "day"),
    ("providers-0-site", "https://mixi.jp", "site"),
    ("providers-0-site", "https://pay.mixi.jp/pay", "site"),
    ("providers-0-site", "HTTPS://PAY.MIXI.CO.JP", "site"),
    ("providers-0-site", "https://mixi.net", "site"),
    ("providers-0-site", "https://pay.mixi.jp.", "site"),
    ("providers-0-site", "http://platform.test", "site"),
    ("providers-0-site", "ftp://pay.example.com", "site"),
    ("providers-0-site", "javascript:alert(1)", "site"),
    ("providers-0-site", "pay.example.com", "site"),
    ("providers-0-site", "https://", "site"),
    ("providers-0-site", "https://user:word@pay.example.com", "site"),
    ("providers-0-site", "https://mixi.jp\\.example.com", "site"),
    ("providers-0-site", "https://pay.example.com:port", "site"),
    ("providers-0-name", "long", "long"),
    ("providers-0-services-0-name", "long", "long"),
    ("providers-0-privacy_mark-number", "long", "long"),
    ("providers-0-isms-number", "long", "long"),
    ("changes-0-what", "long", "long"),
    ("prices", "excalibur", "prices"),
    ("prices", "excalibur 1.5", "prices"),
    ("prices", "excalibur -110", "prices"),
    ("prices", "エクスカリバー 110", "prices"),
    ("prices", "excalibur 110\nexcalibur 120", "prices"),
    ("changes-0-prices", "110", "prices"),
    ("changes-0-prices", "long", "long"),
]


@pytest.mark.parametrize("kind", dict.fromkeys(kind for _, _, kind in WRONG))
@on_sqlite
def test_wrong_facts(app: Flask, operator: Operator, kind: str) -> None:
    """Nothing is saved, all that was typed is still there, and the wrong field is marked, with words."""
    found = fields_of(operator.get(REGISTRATION).text, REGISTRATION)
    correct = {**lawful_fields(), "changes-0-what": "dearer", "changes-0-kind": "price"}
    for number, (name, value) in enumerate((name, value) for name, value, other in WRONG if other == kind):
        language = LANGUAGES[number % len(LANGUAGES)]
        filled = {**correct, name: value.replace("long", "long" * 12_000) if kind == "long" else value}
        answer = operator.post(REGISTRATION, {**found, **filled}, language)
        assert answer.status_code == 422, value
        assert marked(answer) == {name: problem(app, kind, language)}, value
        (alert,) = html.fromstring(answer.text).cssselect('[role="alert"]')
        assert alert.text_content().strip()
        kept = fields_of(answer.text, REGISTRATION)
        assert {field: kept.get(field) for field in filled} == filled
    assert count(app, Record) == 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_several_wrong_facts(app: Flask, operator: Operator, language: str) -> None:
    """Every wrong field is marked, not only the first; corrected, the same form is saved."""
    wrong = {"launched_on": "?", "providers-0-site": "ftp://x", "sheet-deadline": "?"}
    answer = operator.fill(REGISTRATION, {**lawful_fields(), **wrong}, language)
    assert (answer.status_code, marked(answer).keys()) == (422, wrong.keys())
    corrected = {**fields_of(answer.text, REGISTRATION), **lawful_fields()}
    assert operator.post(REGISTRATION, corrected).status_code == 303
    assert current(app) == lawful()


@pytest.mark.parametrize("written", ["excalibur 1,110", "excalibur:1110\n\n", " excalibur\t¥1110 "])
@on_sqlite
def test_prices_as_people_write_them(app: Flask, operator: Operator, written: str) -> None:
    """An item and its yen on each line, with or without the marks that one is used to."""
    assert operator.fill(REGISTRATION, {**lawful_fields(), "prices": written}).status_code == 303
    assert current(app).prices == {"excalibur": 1110}


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"kind": "provider", "effect": "add"}, {"provider": "provider"}),
        ({"kind": "provider", "effect": "terminate", "provider": "Nobody"}, {"provider": "provider"}),
        ({"kind": "method", "effect": "add"}, {"provider": "provider", "service": "blank"}),
        ({"kind": "method", "effect": "add", "provider": PAY.name}, {"service": "blank"}),
        ({"kind": "provider", "effect": "add", "provider": PAY.name}, {}),
        ({"kind": "provider", "effect": "change"}, {}),
        ({"kind": "price", "effect": "add"}, {}),
    ],
)
@on_sqlite
def test_what_is_added_has_a_name(
    app: Flask, operator: Operator, change: dict[str, str], wrong: dict[str, str]
) -> None:
    """A change that adds or terminates names what, since nothing would come of its approval else."""
    row = {f"changes-0-{name}": value for name, value in {"what": "another", **change}.items()}
    answer = operator.fill(REGISTRATION, {**lawful_fields(), **row})
    assert answer.status_code == (422 if wrong else 303)
    expected = {f"changes-0-{name}": problem(app, kind, "en") for name, kind in wrong.items()}
    assert marked(answer) == expected


def part(page: TestResponse, selector: str) -> str:
    """One part of a page."""
    (row,) = html.fromstring(page.text).cssselect(selector)
    return html.tostring(row, encoding="unicode")


def test_the_page_says_what_stays_as_it_was(shop: Flask, operator: Operator) -> None:
    """Of a change that waits: what it is, that it is not to be made yet, and what counts, since when."""
    done = Change(ChangeKind.SCREEN_FLOW, "two pages", Paper(today() - 9 * DAY, signed=True), today() - DAY)
    record(shop, replace(lawful(), changes=(done, Change(ChangeKind.SCREEN_FLOW, "one page"))))
    page = operator.get(REGISTRATION)
    flow = part(page, '[data-kind="screen_flow"]')
    assert str(today() - DAY) in sentence(flow, "since")
    assert sentence(flow, "what-counts") == "two pages"
    assert sentence(flow, "not-approved-yet").endswith("one page")
    product = part(page, '[data-kind="product"]')
    assert str(today() - 35 * DAY) in sentence(product, "since")
    assert says(product) == {"since", "as-the-form-says"}


def test_the_page_says_what_items_cost(shop: Flask, operator: Operator) -> None:
    """Each item with its price on the shelf, the approved one, since when, and whether it has a door."""
    more = {"excalibur": YEN + 1, "coat": 5280}
    record(shop, replace(lawful(), prices=more, prices_taken_on=today() - DAY))
    page = operator.get(REGISTRATION)
    excalibur = part(page, '[data-item="excalibur"][data-door="no"]')
    assert says(excalibur) == {"taken", "no-door"}
    assert all(fact in sentence(excalibur, "taken") for fact in ("¥111", str(today() - DAY)))
    assert says(part(page, '[data-item="lantern"][data-door="no"]')) == {"no-paper", "no-door"}
    assert "no-door" not in says(part(page, '[data-item="coat"][data-door="yes"]'))


def test_the_operator_knows_the_provider_by_its_name(shop: Flask, operator: Operator) -> None:
    """One party, one name: as buyers read it, beside prices and over what came in."""
    record(shop, lawful())
    for address in ("/operator/items", "/operator/today"):
        text = operator.get(address).text
        assert PAY.name in text
        assert "(external)" not in text


def test_a_late_sheet_is_shown_as_late(shop: Flask, operator: Operator) -> None:
    """Sent back a day after its deadline, the sheet is shown as late, and asks for nothing."""
    record(shop, replace(lawful(), sheet=Sheet(deadline=today() - 9 * DAY, submitted_on=today() - 8 * DAY)))
    page = operator.get(REGISTRATION)
    assert steps(page)["check_sheet"] == "late"
    assert str(today() - 9 * DAY) in part(page, "[data-rule=check_sheet] small")
    assert says(page.text) & {"next", "overdue"} == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_operator_needs_stands_on_the_page(operator: Operator, language: str) -> None:
    """The address, the forms by their names, who signs, the days, and the mail that ends the programme."""
    page = operator.get(REGISTRATION, language).text
    text = words(page)
    assert says(page) >= {"who-may-sell", "when-to-begin", "who-signs", "check-sheet"}
    for fact in (
        "外部決済方法利用届出書",  # their own names, in any language
        "新規外部決済利用アプリ申請書",
        "外部決済利用アプリ変更申請書",
        "mixi Platform Team",
        "1-2-20 Higashi, Shibuya-ku",
        "Tokyo 150-0011, Japan",
        "mpp_info@mixi.co.jp",
        "14",
    ):
        assert fact in text


@pytest.mark.parametrize("path", [MALFUNCTIONS, NEW])
def test_borrowed_fields_are_labelled(operator: Operator, path: str) -> None:
    """The fields of a report are another product's, and the page says so."""
    told = [sentence(operator.get(path, language).text, "borrowed") for language in ("en", "ja")]
    assert [bool(KANA.search(said)) for said in told] == [False, True]


def test_the_last_change_is_there_to_be_filled_in(app: Flask, operator: Operator) -> None:
    """The empty row below the changes, with its choice of a kind, is no change."""
    operator.fill(REGISTRATION, lawful_fields())
    assert current(app).changes == ()
    operator.fill(REGISTRATION, {"changes-0-what": "dearer", "changes-0-kind": "price"})
    assert current(app).changes == (Change(ChangeKind.PRICE, "dearer"),)
    operator.fill(REGISTRATION, {"changes-1-kind": "method"})
    assert current(app).changes == (Change(ChangeKind.PRICE, "dearer"),)
    page = operator.get(REGISTRATION).text
    assert ('name="changes-1-what"' in page, 'name="changes-2-what"' in page) == (True, False)


def test_several_providers_and_changes(app: Flask, operator: Operator) -> None:
    """There is always one more row; emptied rows close up and the others keep their order."""
    operator.fill(REGISTRATION, lawful_fields())
    for number in range(1, 12):
        more = {
            f"providers-{number}-name": f"Pay {number}",
            f"providers-{number}-services-0-name": "card",
            f"providers-{number}-services-1-name": "bank & more",
            f"changes-{number - 1}-what": f"change {number}",
        }
        assert operator.fill(REGISTRATION, more).status_code == 303
    recorded = current(app)
    assert [provider.name for provider in recorded.providers] == [
        PAY.name,
        *(f"Pay {number}" for number in range(1, 12)),
    ]
    assert recorded.providers[11].services == (Service("card"), Service("bank & more"))
    assert [change.what for change in recorded.changes] == [f"change {number}" for number in range(1, 12)]
    emptied = {"providers-3-name": "", "changes-4-what": ""}
    emptied |= {f"providers-3-services-{place}-name": "" for place in (0, 1)}
    operator.fill(REGISTRATION, emptied)
    recorded = current(app)
    assert "Pay 3" not in [provider.name for provider in recorded.providers]
    assert [change.what for change in recorded.changes][3:6] == ["change 4", "change 6", "change 7"]
    assert (len(recorded.providers), len(recorded.changes)) == (11, 10)


@on_sqlite
def test_a_cleared_change_does_not_move_the_mark(operator: Operator) -> None:
    """With the first change cleared and the second one wrong, the second one is marked."""
    filled = {
        "changes-0-kind": "provider",
        "changes-1-kind": "price",
        "changes-1-what": "dearer",
        "changes-1-approved_on": "soon",
    }
    sent = {**fields_of(operator.get(REGISTRATION).text, REGISTRATION), **filled}
    answer = operator.post(REGISTRATION, sent)
    assert answer.status_code == 422
    (name,) = marked(answer)
    kept = fields_of(answer.text, REGISTRATION)
    assert kept[name] == "soon"


STRANGE = [
    {"providers": "x"},
    {"changes": "x"},
    {"providers-0": "x"},
    {"changes-0": "x"},
    {"providers-x-name": "y"},
    {"changes-x-what": "y"},
    {"providers-0-site-x": "y"},
    {"providers-0-services-x": "y"},
    {"providers-0-services": "x"},
    {"providers-0-privacy_mark": "x"},
    {"prices-0": "x"},
    {"prices-x": "y"},
    {"changes-0-prices-x": "y"},
    {"providers-1000000000-name": "y"},
    {f"providers-{'9' * 5000}-name": "y"},
    {"registration": "x"},
    {"sheet-0": "x"},
    {"stable": "perhaps"},
    {"changes-0-kind": "nothing", "changes-0-what": "y"},
    {"providers-²-name": "y"},
    {"changes-٣-what": "y"},
    {"providers-0-services-²-name": "y"},
    {"a" + "-a" * 5000: "y"},
    {"a" + "-0" * 5000: "y"},
    {"0": "x"},
    {"": "x"},
    {"-": "x"},
    {"launched_on": "2010-03-01\0"},
]


@on_sqlite
def test_strange_fields(operator: Operator) -> None:
    """A form with fields that we do not have is refused or read without them; it breaks nothing."""
    for fields in STRANGE:
        page = operator.get(REGISTRATION)
        assert page.status_code == 200, fields
        token = fields_of(page.text, REGISTRATION)["token"]
        assert operator.post(REGISTRATION, {"token": token, **fields}).status_code < 500, fields
    assert operator.get(REGISTRATION).status_code == 200


# The command


def printed(settings: Settings, *words: str) -> str:
    done = run(settings, *words)
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("state", ["nothing", "in order", "late"])
def test_the_command(app: Flask, settings: Settings, state: str) -> None:
    """`storefront operator` prints a link that works, and the very steps of the page."""
    operator = Operator(app)
    if state != "nothing":
        late = {"sheet-deadline": str(today() - 6 * DAY), "sheet-submitted_on": ""}
        operator.fill(REGISTRATION, {**lawful_fields(), **(late if state == "late" else {})})
    address, _, steps = printed(settings, "operator").partition("\n")
    assert address.startswith(f"{SHOP}/operator?token=")
    client = app.test_client()
    assert client.get(address.removeprefix(SHOP)).status_code == 200
    entered = client.post("/operator", data={"token": token_in(address.removeprefix(SHOP))})
    assert entered.status_code == 303
    page = operator.get(REGISTRATION)
    lines = [" ".join(line.split()) for line in steps.splitlines() if line.startswith("  ")]
    assert [line.replace("(", "").replace(")", "") for line in lines] == step_words(page)
    verdict = "may not" if state == "nothing" else "may"
    assert re.search(rf"^On {today()} .* {verdict} pay", steps, re.MULTILINE)
    assert ("Risk: mixi may stop or delete the app." in steps) is (state == "late")
    (following,) = re.findall(r"^Next: (.*)$", steps, re.MULTILINE) or [""]
    assert following.replace("(", "").replace(")", "") in words(page.text)
    assert bool(following) is (state != "in order")


def test_the_command_names_items_without_a_door(shop: Flask, settings: Settings) -> None:
    """What mixi has not approved the price of is named, with both prices."""
    record(shop, replace(lawful(), prices={**PRICES, "excalibur": YEN + 1}))
    lines = [line for line in printed(settings, "operator").splitlines() if line.startswith("Not outside")]
    assert lines == [f"Not outside: excalibur costs {YEN} yen, {YEN + 1} yen is approved."]


# Malfunctions


FULL = {
    "contact_name": "灯台守",
    "contact_mail": "keeper@example.com",
    "app_id": "12345",
    "app_name": "灯台の町の道具屋",
    "progress": "handling",
    "harm": "other",
    "description": "Two buyers were charged, and got nothing.",
    "inquiries": "2",
    "occurred_at": "2027-01-31T18:00",
    "discovered_at": "2027-01-31T18:30",
    "handled_at": "2027-01-31T19:00",
}
REQUIRED = [*FULL][:-1]


def report(operator: Operator, changed: Mapping[str, str] | None = None) -> None:
    answer = operator.fill(NEW, {**FULL, **(changed or {})})
    assert (answer.status_code, answer.location) == (303, f"{SHOP}{MALFUNCTIONS}")


def listed(operator: Operator, language: str = "en") -> list[str]:
    rows = html.fromstring(operator.get(MALFUNCTIONS, language).text).cssselect("[data-report]")
    return [html.tostring(row, encoding="unicode") for row in rows]


def plain(row: str) -> str:
    """A row without its markup."""
    return " ".join(html.fromstring(row).text_content().split())


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_reporting(operator: Operator) -> None:
    """A report is listed in words of either language, with Japan's time, and can be opened again."""
    assert "no-malfunction" in says(operator.get(MALFUNCTIONS).text)
    new = fields_of(operator.get(NEW).text, NEW)
    assert (new["app_id"], new["inquiries"]) == ("12345", "0")
    report(operator)
    (row,) = listed(operator)
    (japanese,) = listed(operator, "ja")
    for told in (row, japanese):
        assert says(told) == {"handling", "other"}
        assert "2027-01-31 18:00" in plain(told)
        assert FULL["description"] in plain(told)
    assert [sentence(told, "handling").isascii() for told in (row, japanese)] == [True, False]
    (link,) = html.fromstring(operator.get(MALFUNCTIONS).text).cssselect("[data-report] a")
    opened = fields_of(operator.get(str(link.get("href"))).text, str(link.get("href")))
    assert {name: opened[name] for name in FULL} == FULL


def test_correcting(app: Flask, operator: Operator) -> None:
    """What is known later takes the report's old words' place; the other reports stay as they are."""
    report(operator)
    report(operator, {"description": "Another one."})
    corrected = {"progress": "recovered", "recovered_at": "2027-02-01T09:00", "description": "All is well."}
    assert operator.fill(f"{MALFUNCTIONS}/1", corrected).status_code == 303
    second, first = listed(operator)
    assert ("Another one." in second, "handling" in says(second)) == (True, True)
    assert ("All is well." in first, "recovered" in says(first)) == (True, True)
    assert FULL["description"] not in first
    with app.app_context():
        kept = db.session.get_one(Report, 1)
        assert kept.reported_at < kept.changed_at
    assert count(app, Report) == 2


@on_sqlite
def test_required(app: Flask, operator: Operator) -> None:
    """Without any of these it is no report; what was filled in is kept."""
    found = fields_of(operator.get(NEW).text, NEW)
    for name, value, language in product(REQUIRED, ["", " \t "], LANGUAGES):
        answer = operator.post(NEW, {**found, **FULL, name: value}, language)
        assert answer.status_code == 422, name
        assert marked(answer) == {name: problem(app, "missing", language)}
        kept = fields_of(answer.text, NEW)
        assert {field: kept[field] for field in FULL if field != name} == {
            field: FULL[field] for field in FULL if field != name
        }
    assert count(app, Report) == 0


MISTAKES: list[tuple[str, str, str]] = [
    ("contact_mail", "keeper", "mail"),
    ("contact_mail", "two@at@example.com", "mail"),
    ("contact_mail", "a b@example.com", "mail"),
    ("inquiries", "some", "number"),
    ("inquiries", "-1", "number"),
    ("inquiries", "1.5", "number"),
    ("inquiries", "9" * 30, "number"),
    ("occurred_at", "yesterday", "moment"),
    ("discovered_at", "2027-02-30T10:00", "moment"),
    ("handled_at", "10:00", "moment"),
    ("contact_name", "x" * 201, "long"),
    ("contact_mail", "x" * 200 + "@example.com", "long"),
    ("app_name", "x" * 201, "long"),
    ("description", "x" * 4001, "long"),
]


@pytest.mark.parametrize("path", [NEW, f"{MALFUNCTIONS}/1"])
@on_sqlite
def test_mistakes(app: Flask, operator: Operator, path: str) -> None:
    """A mistake in a new report or an old one: nothing saved, nothing lost, the field marked with words."""
    report(operator)
    before = listed(operator)
    found = {**fields_of(operator.get(path).text, path), **FULL, "description": "changed"}
    for (name, value, kind), language in product(MISTAKES, LANGUAGES):
        answer = operator.post(path, {**found, name: value}, language)
        assert answer.status_code == 422, value
        assert marked(answer) == {name: problem(app, kind, language)}, value
        kept = fields_of(answer.text, path)
        assert (kept[name], kept["contact_name"]) == (value, value if name == "contact_name" else "灯台守")
    assert listed(operator) == before


IN_TURN: list[tuple[dict[str, str], str, str]] = [
    ({"discovered_at": "2027-01-31T17:59"}, "discovered_at", "discovered"),
    ({"recovered_at": "2027-01-31T17:59"}, "recovered_at", "recovered"),
    ({"progress": "recovered"}, "recovered_at", "unrecovered"),
]


def test_moments_in_turn(app: Flask, operator: Operator) -> None:
    """Nothing is discovered or over before it began, or over without a moment; the field is marked."""
    for (changed, name, kind), language in product(IN_TURN, LANGUAGES):
        answer = operator.fill(NEW, {**FULL, **changed}, language)
        assert answer.status_code == 422
        assert marked(answer) == {name: problem(app, kind, language)}
    assert count(app, Report) == 0


def test_moments_may_be_the_same(operator: Operator) -> None:
    """What was discovered and over in the minute it began is a report like any other."""
    moment = FULL["occurred_at"]
    report(operator, {"discovered_at": moment, "recovered_at": moment, "progress": "recovered"})


@pytest.mark.parametrize("moment", ["0001-01-01T00:00", "0027-01-31T18:00", "9999-12-31T23:59"])
@on_sqlite
def test_a_mistyped_year(operator: Operator, moment: str) -> None:
    """A year that slipped from the keyboard is to be seen and corrected, not to break the pages for good."""
    years = {"occurred_at": moment, "discovered_at": moment, "handled_at": moment}
    assert operator.fill(NEW, {**FULL, **years}).status_code in (303, 422)
    for path in (MALFUNCTIONS, f"{MALFUNCTIONS}.csv"):
        assert operator.get(path).status_code == 200


def test_no_such_report(operator: Operator) -> None:
    """A number that no report has is no page, to read or to write."""
    report(operator)
    token = fields_of(operator.get(NEW).text, NEW)["token"]
    for number in ("0", "2", "99", "2147483648", "9223372036854775808", "9" * 40, "x", "-1"):
        assert operator.get(f"{MALFUNCTIONS}/{number}").status_code == 404, number
        assert operator.post(f"{MALFUNCTIONS}/{number}", {**FULL, "token": token}).status_code == 404, number
    assert len(listed(operator)) == 1


def test_a_report_sent_twice(operator: Operator) -> None:
    """A form brings one report, however often it is sent; what was changed since is shown, and not lost."""
    sent = {**FULL, "token": fields_of(operator.get(NEW).text, NEW)["token"]}
    assert [operator.post(NEW, sent).status_code for _ in range(2)] == [303, 303]
    changed = operator.post(NEW, {**sent, "description": "told otherwise"})
    assert changed.status_code == 409
    assert len(listed(operator)) == 1
    again = fields_of(changed.text, NEW)
    assert again["description"] == "told otherwise"
    assert operator.post(NEW, again).status_code == 303
    assert len(listed(operator)) == 2


def test_reports_are_text(operator: Operator) -> None:
    """What is written in a report is no markup on the page."""
    report(operator, {"description": "<script>alert(1)</script> & <b>"})
    assert "<script" not in operator.get(MALFUNCTIONS).text
    assert "<script>alert(1)</script> & <b>" in plain(listed(operator)[0])


def test_the_export(operator: Operator) -> None:
    """A line for each report, the newest first, in UTF-8 that says so, with moments in Japan's time."""
    report(operator)
    report(operator, {"description": 'Line one,\nline "two"; 三行目'})
    answer = operator.get(f"{MALFUNCTIONS}.csv")
    assert answer.content_type == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.data.startswith(b"\xef\xbb\xbf")
    second, first = table(answer.data.decode("utf-8-sig"))
    assert (first["report"], second["report"]) == ("1", "2")
    assert second["description"].splitlines() == ["Line one,", 'line "two"; 三行目']
    assert first["occurred_at"] == "2027-01-31T18:00+09:00"
    assert first["recovered_at"] == ""
    for name in ("reported_at", "changed_at"):
        assert first[name].endswith("+09:00")
    same = ("contact_name", "contact_mail", "app_id", "app_name", "progress", "harm", "inquiries")
    assert {name: first[name] for name in same} == {name: FULL[name] for name in same}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\uff1d"])
@on_sqlite
def test_the_export_has_no_formulas(operator: Operator, start: str) -> None:
    """No cell of it begins with what a spreadsheet would reckon or run."""
    poison = f'{start}HYPERLINK("http://evil.test","?")'
    texts = {"contact_name": poison, "app_id": poison, "app_name": poison, "description": poison}
    mail = f"{start.replace('@', '')}1@example.com"
    report(operator, {**texts, "contact_mail": mail})
    (row,) = table(operator.get(f"{MALFUNCTIONS}.csv").data.decode("utf-8-sig"))
    assert not [cell for cell in row.values() if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
    assert row["description"] == f"'{poison}"


def test_the_export_of_nothing(operator: Operator) -> None:
    """Without reports there is the heading alone."""
    lines = operator.get(f"{MALFUNCTIONS}.csv").data.decode("utf-8-sig").splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("report,contact_name,")


def test_the_command_exports_the_same(settings: Settings, operator: Operator) -> None:
    """`storefront malfunctions` prints what the page lets one download."""
    report(operator)
    report(operator, {"description": "Another one."})
    assert table(printed(settings, "malfunctions").removeprefix("\ufeff")) == table(
        operator.get(f"{MALFUNCTIONS}.csv").data.decode("utf-8-sig")
    )


# The rules of the programme


def test_every_rule_has_its_code(operator: Operator) -> None:
    """Each rule names file, line and name of the code that keeps it, and shows just that code."""
    rows = html.fromstring(operator.get("/mixi/rules").text).cssselect(".rules > li")
    assert len(rows) >= 10
    for row in rows:
        (place,) = row.cssselect("summary code")
        (code,) = row.cssselect("pre code")
        file, line, name = re.fullmatch(r"(\S+):(\d+) (\S+)", str(place.text_content())).groups()  # type: ignore[union-attr]
        source = (PACKAGE.parent / file).read_text().splitlines()
        shown = str(code.text_content()).splitlines()
        assert len(shown) > 1
        assert source[int(line) - 1 :][: len(shown)] == shown
        defined = re.compile(rf"\s*(def|class) {name.rpartition('.')[2]}\b")
        assert any(defined.match(one) for one in shown[:5])
        assert row.cssselect("p")[0].text_content().strip()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_rules_in_words(operator: Operator, language: str) -> None:
    """The rules and their sources are told in the operator's language."""
    rows = html.fromstring(operator.get("/mixi/rules", language).text).cssselect(".rules > li > p")
    for row in rows:
        text = str(row.text_content())
        assert bool(re.search(r"[ぁ-ん一-龠ァ-ン]", text)) is (language == "ja"), text


@pytest.mark.parametrize("selling", [True, pytest.param(False, marks=pytest.mark.changed(selling=False))])
@on_sqlite
def test_the_rules_say_whether_the_shop_sells(operator: Operator, selling: bool) -> None:
    """Beside the rule on stopping stands how it is now."""
    with operator.client.application.test_request_context(), force_locale("en"):
        now, otherwise = str(NOW[selling]), str(NOW[not selling])
    text = words(operator.get("/mixi/rules").text)
    assert now in text
    assert otherwise not in text
