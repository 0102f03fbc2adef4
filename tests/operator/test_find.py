"""Found by whatever a buyer writes, and told as one story; each look is in the log, and nobody else looks."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from lxml import html
from sqlalchemy import event, select
from sqlalchemy.engine import Engine

from storefront import clock
from storefront.db import db, insert_once, transaction
from storefront.mixi import purchases, taps
from storefront.mixi.payments import Payment
from storefront.mixi.taps import Intent
from storefront.operator import story
from storefront.shop import corrections, customers, devices, inventory, ledger, limits
from storefront.shop.customers import Customer
from storefront.shop.devices import Device
from storefront.shop.inventory import Grant, Kind
from storefront.shop.ledger import Entry
from storefront.shop.limits import Reason
from tests.databases import on_sqlite
from tests.operators import Operator, fields_of, in_words
from tests.street import HANAKO, TARO, Container, ScriptedApi, says, words

pytestmark = pytest.mark.long

FIND = "/operator/find"
CASE = {"cause": "letter 7", "reason": "paid, and lost", "by": "Umi"}


def who(app: Flask, owner: str = HANAKO) -> str:
    """The address of somebody's page."""
    with app.app_context():
        return f"/operator/customers/{customers.meet('mixi', owner, clock.now()).id}"


def looked_for(operator: Operator, text: str) -> str:
    """Where the search leads."""
    return str(operator.post(FIND, {"q": text}).headers.get("Location", "")).removeprefix(
        "http://shop.test:8000"
    )


def test_by_whatever_a_buyer_writes(container: Container, api: ScriptedApi, operator: Operator) -> None:
    """An id, a payment's code and the reference of a failed start lead to the buyer, an item's name to it."""
    code = container.start()
    api.status = "503 Service Unavailable"
    assert container.buy("lantern").status_code == 503
    with container.app.app_context():
        reference = db.session.scalars(select(Intent.reference).where(Intent.failed_at.is_not(None))).one()
    hanako = who(container.app)
    for text in (HANAKO, f" {code}\t", reference):
        assert looked_for(operator, text) == hanako
    assert looked_for(operator, "ランタン") == looked_for(operator, "lantern") == "/operator/items/lantern"
    for text in ("", code[:-1], "nobody", "%", "x" * 101, "\x00", "' OR 1=1 --"):
        assert looked_for(operator, text) == ""
    for text in ("e", "の"):  # of several items nobody knows which
        page = operator.post(FIND, {"q": text})
        assert (page.status_code, page.text.count("<li data-item=") > 1) == (200, True)


@on_sqlite
def test_two_of_one_id(app: Flask, operator: Operator) -> None:
    """One id in two channels is two people, and both are shown."""
    with app.app_context():
        for channel in ("mixi", "colorme"):
            customers.meet(channel, "PA01234567", clock.now())
    page = operator.post(FIND, {"q": "PA01234567"})
    assert page.text.count("<li data-customer=") == 2


@on_sqlite
def test_one_story(container: Container, api: ScriptedApi, operator: Operator) -> None:
    """Payment, goods, entry, use, failed start and what was put right, in their order, each part linked."""
    app, code = container.app, container.start("loaf")
    assert container.callback(code).text == "OK"
    with app.app_context():
        hanako = customers.meet("mixi", HANAKO, clock.now())
        assert inventory.use(hanako.id, "loaf", "eaten", clock.now())
    api.status = "403 Forbidden"
    container.buy("lantern")
    text = operator.get(who(app)).text
    turns = [
        taps.START_REFUSED,
        purchases.ASKED,
        story.GRANTS[Kind.USED],
        story.GRANTS[Kind.SOLD],
        story.ENTRIES[ledger.Kind.SALE],
        purchases.SAID_OK,
        purchases.PAYMENT_BEGUN,
        story.FIRST_SEEN,
    ]
    told = re.findall(r"<strong>([^<]+)</strong>", text.partition('id="story"')[2])
    assert told == [in_words(app, turn) for turn in turns]
    oldest = re.search(
        rf'id="step-(\d+)" data-step="\d+" data-key="mixi:{code}"(?!.*data-key="mixi:{code}")', text, re.S
    )
    assert oldest
    assert text.count(f'href="#step-{oldest[1]}"') == 4


@on_sqlite
def test_in_words(container: Container, operator: Operator) -> None:
    """Why a payment was refused, and on what somebody came in, has words in the reader's language."""
    codes = [container.start("fireworks") for _ in range(6)]
    assert [container.callback(code).text for code in codes][:5] == ["OK"] * 5
    hanako = who(container.app)
    for language in ("en", "ja"):
        sold_out = in_words(container.app, limits.CALLED[Reason.SOLD_OUT], language)
        assert sold_out in words(operator.get(hanako, language).text)
    assert (set(limits.CALLED), set(devices.CALLED)) == (set(Reason), set(Device))


@on_sqlite
@pytest.mark.changed(under_age_limits="15:120,19:10000")
def test_limits_and_age(container: Container, operator: Operator) -> None:
    """What is personal is there for the operator: month of birth, what was spent, what may be had."""
    hanako = who(container.app)
    assert "not-said" in says(operator.get(hanako).text)
    with container.app.app_context():
        customer = customers.meet("mixi", HANAKO, clock.now())
        with transaction() as session:
            session.get_one(Customer, customer.id).born = clock.day(clock.now()).replace(year=2012, day=1)
    text = words(operator.get(hanako).text)
    assert "2012-" in text
    assert "0 of 1" in text
    assert "0pt / 120pt" in text


@on_sqlite
def test_each_look_is_in_the_log(
    container: Container, operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who, whose and when; nothing that opens anything, and nothing that was looked for."""
    code, hanako = container.start(), who(container.app)
    capsys.readouterr()
    operator.post(FIND, {"q": code})
    operator.get(hanako)
    operator.get("/operator/items/excalibur")
    lines = [line for line in capsys.readouterr().err.splitlines() if "operator looked" in line]
    assert len(lines) == 3
    number = hanako.rpartition("/")[2]
    assert all("by=Umi" in line for line in lines)
    assert f"people=[{number}]" in lines[0]
    assert f"people=[{number}]" in lines[1]
    assert "item=excalibur" in lines[2]
    nonce = operator.nonce()
    assert not [line for line in lines if code in line or nonce in line]


PAGES = [
    ("GET", FIND),
    ("POST", FIND),
    ("GET", "/operator/customers/1"),
    ("POST", "/operator/customers/1/give"),
    ("POST", "/operator/customers/1/take"),
    ("POST", "/operator/customers/1/strike"),
    ("GET", "/operator/items/loaf"),
]


@on_sqlite
@pytest.mark.parametrize(("method", "path"), PAGES)
def test_nobody_else(container: Container, method: str, path: str) -> None:
    """Neither a stranger nor a buyer, however rightly signed, reaches any of it."""
    who(container.app)
    assert container.app.test_client().open(path, method=method).status_code == 401
    assert container.send(method, path, HANAKO, {}).status_code == 401


@on_sqlite
def test_put_right_on_the_page(container: Container, operator: Operator) -> None:
    """Given, taken and struck from the buyer's page, prefilled by the payment it is for; the story has it."""
    app, code = container.app, container.start()
    hanako = who(app)
    with app.app_context(), transaction() as session:
        session.get_one(Payment, code).created_at -= timedelta(hours=1)
    step = re.search(r'href="(\?give=\d+)#hand"', operator.get(hanako).text)
    assert step
    form = fields_of(operator.get(hanako + step[1]).text, f"{hanako}/give")
    assert (form["item"], form["paid"], form["cause"], form["by"]) == ("excalibur", "100", code, "Umi")
    done = operator.post(f"{hanako}/give", {**form, "reason": "mixi took the points"})
    assert done.status_code == 303
    assert 'data-item="excalibur" data-quantity="1"' in operator.get(hanako).text
    again = operator.post(f"{hanako}/give", {**form, "reason": "one more time"})
    assert again.status_code == 409
    (refused,) = html.fromstring(again.text).cssselect("[data-refused=give]")
    assert "Umi" in refused.text_content()
    assert 'value="one more time"' in again.text
    text = operator.get(hanako).text
    assert f"Umi: mixi took the points ({code})" in words(text)
    with app.app_context():
        entry = db.session.scalars(select(Entry)).one()
    struck = {**fields_of(text, f"{hanako}/strike"), "reason": "a slip", "cause": "slip"}
    assert struck["entry"] == str(entry.id)
    for huge in (2**31, 2**63, 10**30):
        assert operator.post(f"{hanako}/strike", {**struck, "entry": str(huge)}).status_code == 422
    assert operator.post(f"{hanako}/strike", struck).status_code == 303
    taken = {**fields_of(text, f"{hanako}/take"), "reason": "a slip", "cause": "slip"}
    assert operator.post(f"{hanako}/take", taken).status_code == 303
    took = in_words(app, story.CORRECTIONS[corrections.Act.TAKEN])
    assert f"{took} Excalibur -1" in words(operator.get(hanako).text)
    with app.app_context():
        assert [one.amount for one in db.session.scalars(select(Entry).order_by(Entry.id))] == [100, -100, 0]
        assert db.session.scalars(select(Grant.kind).order_by(Grant.id)).all() == [Kind.GIVEN, Kind.TAKEN]


@on_sqlite
def test_one_cause_in_other_words(app: Flask, operator: Operator) -> None:
    """Who writes the cause otherwise hears who gave the same item for what; ticked, it is done."""
    hanako = who(app)
    form = {**fields_of(operator.get(hanako).text, f"{hanako}/give"), **CASE, "item": "loaf"}
    assert operator.post(f"{hanako}/give", form).status_code == 303
    other = {**form, "cause": "Letter no. 7", "by": "Sora"}
    asked = operator.post(f"{hanako}/give", other)
    assert asked.status_code == 409
    (refused,) = html.fromstring(asked.text).cssselect("[data-refused=give]")
    assert re.search(r"Umi .*letter 7.* 1 ", refused.text_content())
    assert 'data-item="loaf" data-quantity="1"' in asked.text
    again = fields_of(operator.post(f"{hanako}/give", other).text, f"{hanako}/give")
    assert "again" not in again  # nobody ticks it but a person
    (before,) = html.fromstring(asked.text).xpath("//@data-before")
    done = operator.post(f"{hanako}/give", {**again, "again": str(before)})
    assert done.status_code == 303
    assert 'data-item="loaf" data-quantity="2"' in operator.get(hanako).text
    assert operator.post(f"{hanako}/give", {**form, "item": "lantern"}).status_code == 303


@pytest.mark.parametrize(
    "changed",
    [
        {"reason": ""},
        {"by": " "},
        {"quantity": "one"},
        {"quantity": "0"},
        {"paid": "-5"},
        {"paid": "9" * 30},
        {"item": "nothing"},
        {"item": "x" * 1000},
        {"counter": "colorme"},
        {"cause": "x" * 81},
        {"reason": "\0"},
        {"item": "\0"},
        {"counter": "\0"},
    ],
    ids=str,
)
def test_what_cannot_be_done(app: Flask, operator: Operator, changed: dict[str, str]) -> None:
    """It says why, keeps what was typed, and does nothing."""
    hanako = who(app)
    form = {**fields_of(operator.get(hanako).text, f"{hanako}/give"), **CASE, "item": "loaf", **changed}
    page = operator.post(f"{hanako}/give", form)
    assert page.status_code == 422
    assert 'data-refused="give"' in page.text
    assert f'value="{CASE["by"]}"' in page.text or "by" in changed
    with app.app_context():
        assert not db.session.scalars(select(Grant)).all()


def test_whose_forms(app: Flask, operator: Operator) -> None:
    """A form is its operator's, for one buyer and one act; in another's hands, or late, it does nothing."""
    hanako, taro = who(app), who(app, TARO)
    form = {**fields_of(operator.get(hanako).text, f"{hanako}/give"), **CASE, "item": "loaf"}
    assert form["counter"] == "mixi"  # the buyer's own, unless another is chosen
    another = Operator(app)
    assert another.post(f"{hanako}/give", form).status_code == 400
    assert operator.post(f"{taro}/give", form).status_code == 400
    assert operator.post(f"{hanako}/take", form).status_code == 400
    assert operator.post(f"{hanako}/give", {**form, "token": ""}).status_code == 400
    with app.app_context():
        assert not db.session.scalars(select(Grant)).all()
    assert operator.post(f"{hanako}/give", form).status_code == 303
    assert operator.get("/operator/items/%00").status_code == 404
    for number in ("0", "99999", "2147483648", str(10**30), "-1", "x"):
        assert operator.get(f"/operator/customers/{number}").status_code == 404


@pytest.fixture
def statements(app: Flask) -> Iterator[list[str]]:
    """What the database is asked."""
    asked: list[str] = []
    with app.app_context():
        engine: Engine = db.engine

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        asked.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield asked
    event.remove(engine, "before_cursor_execute", note)


@on_sqlite
def test_a_long_story_is_cut(container: Container, operator: Operator, statements: list[str]) -> None:
    """However much somebody has, their page asks as often and shows the newest."""
    app, hanako = container.app, who(container.app)
    operator.get(hanako)
    statements.clear()
    operator.get(hanako)
    before = len(statements)
    with app.app_context():
        mine = customers.meet("mixi", HANAKO, clock.now()).id
        with transaction() as session:
            for number in range(story.MOST + 50):
                values = {"customer_id": mine, "item_id": "loaf", "quantity": 1, "is_test": False}
                key = f"k{number}"
                insert_once(session, Grant, kind=Kind.SOLD, key=key, granted_at=clock.now(), **values)
    statements.clear()
    text = operator.get(hanako).text
    assert len(statements) == before
    assert text.count("data-step=") == story.MOST
    assert "storefront ledger" in text


@on_sqlite
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/operator/items/nothing", 404),
        ("GET", "/operator/customers/4711", 404),
        ("GET", "/operator/customers/99999999999", 404),
        ("GET", "/operator/nowhere", 404),
        ("POST", "/operator/leave", 400),
        ("POST", "/operator/today", 405),
        ("GET", "/external/malfunctions/4711", 404),
    ],
)
def test_a_way_back(container: Container, operator: Operator, method: str, path: str, status: int) -> None:
    """What is not there, or cannot be done, is said to the operator on a page of theirs, to nobody else."""
    page = operator.client.open(path, method=method)
    assert page.status_code == status
    assert html.fromstring(page.text).cssselect("header.bridge nav a[href$='/operator/today']")
    stranger = container.app.test_client().open(path, method=method)
    assert stranger.status_code in (status, 401)
    assert "bridge" not in stranger.text
    buyers = html.fromstring(operator.client.get("/items/nothing").text)
    assert not buyers.cssselect(".bridge")


@on_sqlite
def test_what_buyers_are_told_without_the_operator(container: Container, statements: list[str]) -> None:
    """Where a counter's room has a page of the operator's, too, nobody asks whether a buyer is one."""
    assert container.get("/mixi/finish", point_code="0123456789abcdef0123").status_code == 404
    assert not [one for one in statements if "operator_login" in one]
