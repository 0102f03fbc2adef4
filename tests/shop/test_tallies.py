"""What is kept of sales beside the grants: never wrong, tests apart, and never a sum over everything sold."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from flask import Flask
from lxml import html
from sqlalchemy import delete, event, func, select, update
from sqlalchemy.exc import IntegrityError, OperationalError

from storefront import Settings, clock
from storefront.db import db, transaction
from storefront.mixi.payments import Payment, Status
from storefront.shop import ages, catalog, inventory, limits
from storefront.shop import books as kept
from storefront.shop.books import Differences
from storefront.shop.catalog import Item, Price
from storefront.shop.customers import identify
from storefront.shop.inventory import Grant, Overdrawn, Tally
from storefront.shop.limits import NotForSale, Reason
from tests.command import run
from tests.databases import on_postgresql, on_sqlite, preset
from tests.street import HANAKO, TARO, Books, Container, at_once, says, sign

pytestmark = pytest.mark.money

MIKA = "mo3testmika00"  # her purchases are tests
SOLD_OUT, GONE = Reason.SOLD_OUT.value, Reason.WITHDRAWN.value
NOTHING_WRONG = Differences([], [])
TOKEN = "the token of the tests, and of nobody else"


def told(container: Container, item: str, owner: str) -> int:
    """What a purchase of this item is answered when the platform asks."""
    return container.callback(container.start(item, owner), owner).status_code


def tallied(app: Flask, item: str) -> tuple[int, int] | None:
    """How many are sold and tested of an item, as it is kept."""
    with app.app_context():
        row = db.session.execute(select(Tally.sold, Tally.tested).filter_by(item_id=item)).one_or_none()
        return row and (row.sold, row.tested)


def checked(app: Flask) -> Differences:
    with app.app_context():
        return kept.check(db.session())


def customer(app: Flask, owner: str = HANAKO) -> int:
    with app.app_context():
        return identify("mixi", owner, clock.now()).id


def sell(app: Flask, item: str, owner: str, key: str, *, is_test: bool = False, amount: int = 500) -> None:
    """A sale as a counter makes it: first the limits, then the goods."""
    buyer, now = customer(app, owner), clock.now()
    with app.app_context(), transaction() as session:
        limits.enforce(session, item, buyer, amount, now, channel="mixi", is_test=is_test)
        inventory.grant(session, buyer, item, key, now, is_test=is_test)


# Tests are counted apart


def test_tests_use_up_nobodys_stock(app: Flask, container: Container) -> None:
    """Five test purchases of five fireworks: the sixth is told "sold out", and buyers still get all five."""
    open_screen = container.start("fireworks", MIKA)
    assert [told(container, "fireworks", MIKA) for _ in range(5)] == [200] * 5
    assert container.callback(open_screen, MIKA).status_code == 409
    assert SOLD_OUT in says(container.get("/mixi/finish", MIKA, point_code=open_screen).text)
    assert 'data-left="5"' in container.get("/items/fireworks").text
    late = container.start("fireworks", TARO)
    assert [told(container, "fireworks", HANAKO) for _ in range(5)] == [200] * 5
    assert container.callback(late, TARO).status_code == 409
    assert tallied(app, "fireworks") == (5, 5)
    assert checked(app) == NOTHING_WRONG


def test_a_test_is_refused_where_a_sale_would_be(app: Flask, container: Container) -> None:
    """Sold out for buyers is sold out for testers."""
    code = container.start("fireworks", MIKA)
    assert [told(container, "fireworks", HANAKO) for _ in range(5)] == [200] * 5
    assert container.callback(code, MIKA).status_code == 409
    assert tallied(app, "fireworks") == (5, 0)


def test_tests_use_up_no_limit(app: Flask, container: Container) -> None:
    """One ticket a person: a second test is refused, a purchase after a test is none too many."""
    codes = [container.start("ticket", MIKA) for _ in range(2)]
    assert [container.callback(code, MIKA).status_code for code in codes] == [200, 409]
    sell(app, "ticket", MIKA, "real")
    with pytest.raises(NotForSale, match="limit_reached"):
        sell(app, "ticket", MIKA, "real again")
    with pytest.raises(NotForSale, match="limit_reached"):
        sell(app, "ticket", MIKA, "test again", is_test=True)


@pytest.mark.changed(under_age_limits="15:5000")
def test_tests_see_the_limit_by_age(app: Flask, container: Container) -> None:
    """A test for more than its buyer may spend is refused; what tests cost counts for nothing."""
    now = clock.now()
    with app.app_context():
        ages.declare(identify("mixi", MIKA, now).id, now.year - 15, 1, now)
    sell(app, "excalibur", MIKA, "one", is_test=True, amount=5000)
    sell(app, "excalibur", MIKA, "two", is_test=True, amount=5000)
    with pytest.raises(NotForSale, match="age_limit"):
        sell(app, "excalibur", MIKA, "three", is_test=True, amount=5001)
    assert told(container, "excalibur", MIKA) == 200


def test_back_to_where_it_was_taken_from(app: Flask) -> None:
    """What is taken back is in stock again: a sale's for buyers, a test's for testers."""
    now, buyer = clock.now(), customer(app)
    sell(app, "fireworks", HANAKO, "sale")
    sell(app, "fireworks", HANAKO, "test", is_test=True)
    with app.app_context(), transaction() as session:
        inventory.take_back(session, buyer, "fireworks", "void:sale", now)
    assert tallied(app, "fireworks") == (0, 1)
    with app.app_context(), transaction() as session:
        inventory.take_back(session, buyer, "fireworks", "void:test", now, is_test=True)
    assert tallied(app, "fireworks") == (0, 0)
    assert checked(app) == NOTHING_WRONG


def test_a_sale_that_was_a_test(app: Flask, books: Books) -> None:
    """Counted among the tests since it is known, once; the item stays with its holder."""
    now, buyer = clock.now(), customer(app)
    sell(app, "fireworks", HANAKO, "sale")
    sell(app, "ticket", HANAKO, "ticket")
    for item, key in (("fireworks", "a"), ("ticket", "b")):
        with app.app_context(), transaction() as session:
            inventory.count_as_test(session, buyer, item, key, now)
    assert tallied(app, "fireworks") == (0, 1)
    assert books.grants() == 2
    with app.app_context(), pytest.raises(IntegrityError), transaction() as session:
        inventory.count_as_test(session, buyer, "fireworks", "a", now)
    assert tallied(app, "fireworks") == (0, 1)
    sell(app, "ticket", HANAKO, "ticket again")
    assert checked(app) == NOTHING_WRONG


# What is not sold any more


def withdraw(app: Flask, item: str, how: str) -> None:
    with app.app_context(), transaction() as session:
        if how == "withdrawn":
            session.execute(update(Item).filter_by(id=item).values(withdrawn=True))
        else:
            session.execute(delete(Price).filter_by(item_id=item, channel="mixi"))


@pytest.mark.parametrize("how", ["withdrawn", "no price"])
def test_withdrawn_while_the_screen_is_open(app: Flask, container: Container, books: Books, how: str) -> None:
    """What left the catalogue, or this channel, is refused when the platform asks, and the page says why."""
    code = container.start("excalibur")
    withdraw(app, "excalibur", how)
    assert container.callback(code).status_code == 409
    assert (books.status(code), books.grants(), books.earned()) == (Status.CREATE, 0, 0)
    page = container.get("/mixi/finish", point_code=code)
    assert page.status_code == 200
    assert GONE in says(page.text)
    assert "<form" not in page.text


def test_each_reason_may_be_noted(app: Flask, container: Container) -> None:
    """The database takes every reason, and every one has words."""
    code = container.start("excalibur")
    withdraw(app, "excalibur", "withdrawn")
    for reason in Reason:
        with app.app_context(), transaction() as session:
            session.execute(update(Payment).values(refusal=reason))
        assert reason.value in says(container.get("/mixi/finish", point_code=code).text), reason


# At the same moment


@pytest.fixture
def repeatable(database_url: str) -> None:
    """A server on which every transaction keeps the snapshot of its first statement."""
    preset(database_url, "default_transaction_isolation = 'repeatable read'")


def sold_at_once(app: Flask, sales: int, item: str, owners: list[str]) -> int:
    """Sell in threads that are let go together, each trying again until it is told; how many were sold."""
    for owner in owners:
        customer(app, owner)
    sold: list[int] = []

    def one(number: int) -> None:
        for _ in range(100):
            try:
                sell(app, item, owners[number % len(owners)], f"sale {number}")
            except OperationalError:  # another came between: a 503, and the platform's buyer presses again
                continue
            except NotForSale:
                return
            sold.append(number)
            return

    at_once(*[partial(one, number) for number in range(sales)])
    return len(sold)


@on_postgresql
@pytest.mark.usefixtures("repeatable")
def test_no_snapshot_beats_the_stock(app: Flask, books: Books) -> None:
    """Five fireworks, 16 buyers at once, each with a view from before the others: five are sold."""
    assert sold_at_once(app, 16, "fireworks", [f"buyer{number}" for number in range(16)]) == 5
    assert books.grants() == 5
    assert checked(app) == NOTHING_WRONG


@on_postgresql
@pytest.mark.usefixtures("repeatable")
def test_no_snapshot_beats_the_limit(app: Flask, books: Books) -> None:
    """One ticket a person, eight screens at once: one."""
    assert sold_at_once(app, 8, "ticket", [HANAKO]) == 1
    assert books.grants() == 1


def test_uses_and_takings_back_at_the_same_moment(app: Flask, container: Container) -> None:
    """Whichever comes first, a holding that ends below zero is seen."""
    now, buyer = clock.now(), customer(app)

    def take_back(number: int) -> None:
        with app.app_context(), transaction() as session:
            inventory.take_back(session, buyer, "loaf", f"back {number}", now)

    def use(number: int) -> None:
        with app.app_context():
            inventory.use(buyer, "loaf", f"eaten {number}", now)

    for number in range(10):
        sell(app, "loaf", HANAKO, f"sale {number}", amount=10)
        at_once(partial(take_back, number), partial(use, number))
        with app.app_context():
            held = db.session.scalar(select(func.sum(Grant.quantity)).filter_by(customer_id=buyer)) or 0
            assert inventory.count_negatives() == (held < 0)
        if held:
            sell(app, "loaf", HANAKO, f"again {number}", amount=10)
    assert checked(app) == NOTHING_WRONG


def test_filled_again(app: Flask) -> None:
    """A holding below zero is shown until it is bought again, with nothing to write at that sale."""
    now, buyer = clock.now(), customer(app)
    for key in ("a", "b"):
        with app.app_context(), transaction() as session:
            inventory.take_back(session, buyer, "loaf", key, now)
    for key, below in (("c", [(HANAKO, -2)]), ("d", [(HANAKO, -1)]), ("e", [])):
        with app.app_context():
            assert [(one.external_id, one.quantity) for one in inventory.negatives()] == below
            assert inventory.count_negatives() == len(below)
        sell(app, "loaf", HANAKO, key, amount=10)


# The books


def test_the_books(app: Flask, container: Container, settings: Settings) -> None:
    """A difference is named and fails, a rebuild names what it changed, and then all is well."""
    assert told(container, "fireworks", HANAKO) == 200
    assert told(container, "fireworks", MIKA) == 200
    fine = run(settings, "doctor", "--books")
    assert (fine.returncode, "what is kept is what the grants say" in fine.stdout) == (0, True), fine.stderr
    buyer = customer(app, TARO)
    with app.app_context(), transaction() as session:
        inventory.take_back(session, buyer, "loaf", "back", clock.now())
        session.execute(delete(Overdrawn))
        session.execute(update(Tally).filter_by(item_id="fireworks").values(sold=4, tested=0))
    for words_, status in (("doctor --books", 1), ("doctor --books --rebuild", 0)):
        found = run(settings, *words_.split())
        assert found.returncode == status, found.stderr
        assert "fireworks has 4 sold, 0 as tests; the grants say 1 sold, 1 as tests" in found.stdout
        assert f"mixi {TARO} has -1 of loaf" in found.stdout
    assert tallied(app, "fireworks") == (1, 1)
    assert run(settings, "doctor", "--books").returncode == 0
    assert run(settings, "doctor", "--rebuild").returncode == 2


def test_a_stock_set_later(app: Flask, settings: Settings, tmp_path: Any, container: Container) -> None:
    """What was sold before there was a stock is counted once there is one; without one nothing is kept."""
    file, goods = tmp_path / "catalog.yaml", settings.catalog.read_text()
    for _ in range(3):
        assert told(container, "loaf", HANAKO) == 200
    assert tallied(app, "loaf") is None
    file.write_text(goods.replace("- id: loaf\n", "- id: loaf\n  stock: 4\n"))
    assert run(settings, "catalog", str(file)).returncode == 0
    assert tallied(app, "loaf") == (3, 0)
    late = container.start("loaf")
    assert 'data-left="1"' in container.get("/items/loaf").text
    assert told(container, "loaf", TARO) == 200
    assert container.callback(late).status_code == 409
    assert run(settings, "catalog", str(settings.catalog)).returncode == 0
    assert tallied(app, "loaf") is None
    assert container.callback(late).status_code == 200


def test_a_stock_set_past_the_catalogue(app: Flask, container: Container) -> None:
    """A stock that was written by hand is counted by the first sale."""
    for _ in range(2):
        assert told(container, "loaf", HANAKO) == 200
    with app.app_context(), transaction() as session:
        session.execute(update(Item).filter_by(id="loaf").values(stock=3))
    late = container.start("loaf")
    assert told(container, "loaf", TARO) == 200
    assert container.callback(late).status_code == 409
    assert tallied(app, "loaf") == (3, 0)


def test_a_stock_is_set_while_it_sells(app: Flask) -> None:
    """Whoever sets a stock waits for the sales under way, and no sale passes it by."""

    def stock() -> None:
        with app.app_context(), transaction() as session:
            catalog.hold(session)
            session.execute(update(Item).filter_by(id="loaf").values(stock=100))
            inventory.tally(session)

    def one(number: int) -> None:
        sell(app, "loaf", HANAKO, f"sale {number}", amount=10)

    at_once(*[partial(one, number) for number in range(6)], stock)
    assert tallied(app, "loaf") == (6, 0)
    assert checked(app) == NOTHING_WRONG


# What stands in the way of a sale or a page


@contextmanager
def heard(app: Flask) -> Iterator[list[tuple[str, Any]]]:
    """Every statement that the shop sends to its database meanwhile."""
    sent: list[tuple[str, Any]] = []

    def hear(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        sent.append((statement, parameters))

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", hear)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", hear)


def test_what_an_unlimited_sale_costs(app: Flask, container: Container) -> None:
    """Claim, limits, grant, entry: four statements, and no row that another sale writes."""
    target = container.callback_target(container.start("loaf"))
    headers = sign("GET", target)
    with heard(app) as sent:
        assert app.test_client().get(target, headers=headers).status_code == 200
    kinds = [statement.split()[0] for statement, _ in sent]
    assert [kind for kind in kinds if kind != "BEGIN"] == ["UPDATE", "SELECT", "INSERT", "INSERT"]


def test_loading_the_catalogue_sums_nothing_again(app: Flask, settings: Settings) -> None:
    """What is kept is kept: a catalogue that is loaded again reads no grant."""
    with app.app_context(), transaction() as session:
        catalog.load(session, settings.catalog)
    with heard(app) as sent, app.app_context(), transaction() as session:
        catalog.load(session, settings.catalog)
    assert not [statement for statement, _ in sent if '"grant"' in statement]


def test_the_shelf_asks_once(app: Flask, container: Container) -> None:
    """However many items have limits, their standings take the same number of questions."""
    container.get("/")
    with heard(app) as before:
        container.get("/")
    with app.app_context(), transaction() as session:
        session.execute(update(Item).values(stock=9, per_customer=3))
    with heard(app) as after:
        (limits,) = html.fromstring(container.get("/").text).cssselect("[data-item=moss] .limits")
        assert re.findall(r"\d+", limits.text_content()) == ["9", "3"]
    assert len(after) == len(before)


@on_sqlite
@pytest.mark.changed(metrics_token=TOKEN)
@pytest.mark.parametrize("what", ["callback", "shelf", "item", "bag", "use", "outstanding"])
def test_nothing_reads_all_sales(app: Flask, container: Container, what: str) -> None:
    """No statement of these reads a table that grows with what is sold but through an index."""
    with app.app_context(), transaction() as session:
        session.execute(update(Item).filter_by(id="fireworks").values(per_customer=9))
    told(container, "fireworks", HANAKO)
    code = container.start("fireworks")
    scrape = {"path": "/metrics", "headers": {"Authorization": f"Bearer {TOKEN}"}}
    acts: dict[str, Callable[[], object]] = {
        "callback": lambda: container.callback(code),
        "shelf": lambda: container.get("/"),
        "item": lambda: container.get("/items/fireworks"),
        "bag": lambda: container.get("/inventory"),
        "use": lambda: inventory.use(1, "fireworks", "x", clock.now()),
        "outstanding": lambda: (app.test_client().get(**scrape), inventory.negatives()),
    }
    with app.app_context(), heard(app) as sent:
        acts[what]()
    assert sent
    with app.app_context():
        for statement, parameters in sent:
            if statement.split()[0] in ("SELECT", "UPDATE", "INSERT"):
                plan = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                scans = [row.detail for row in plan if row.detail.startswith("SCAN")]
                whole = [one for one in scans if one.split()[1] in ("grant", "payment", "entry")]
                assert all("ix_payment_unconfirmed" in one for one in whole), (statement, scans)
