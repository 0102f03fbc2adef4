"""Put right by hand: goods given and taken, an entry struck; each once, with a name and a reason."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from storefront import Settings, clock
from storefront.db import db, transaction
from storefront.mixi.payments import Payment
from storefront.shop import ages, books, corrections, customers, inventory, ledger
from storefront.shop.corrections import ANY, AnotherBefore, Correction, DoneBefore, Note, Refused
from storefront.shop.inventory import Grant
from storefront.shop.ledger import Entry, Kind
from tests.command import run
from tests.databases import on_sqlite
from tests.operators import in_words
from tests.street import HANAKO, TARO, Container, ScriptedApi, at_once, words

LONGEST = timedelta(minutes=30)  # that a payment is good for
PAID_BACK = b'<content><status xmlns="http://mixi.jp/atom/ns#point">pay_back</status></content>'
LETTER = Note("Umi", "letter 7", "paid, and the answer was lost")


def held(app: Flask, owner: str = HANAKO) -> dict[str, int]:
    with app.app_context():
        customer = customers.meet("mixi", owner, clock.now())
        return {one.item.id: one.quantity for one in inventory.holdings(customer.id)}


def book(app: Flask) -> list[tuple[str, int, str | None]]:
    with app.app_context():
        rows = db.session.scalars(select(Entry).order_by(Entry.id))
        return [(one.kind.value, one.amount, one.of) for one in rows]


def put_right(app: Flask, act: Callable[..., Correction], item: str = "loaf", **more: Any) -> str:
    """The key of what was done."""
    with app.app_context():
        customer = customers.meet("mixi", HANAKO, clock.now())
        return act(customer, item, more.pop("note", LETTER), clock.now(), **{"beside": ANY, **more}).key


def old(app: Flask, code: str, by: timedelta = timedelta(hours=1)) -> None:
    """A payment that no callback completes any more."""
    with app.app_context(), transaction() as session:
        session.get_one(Payment, code).created_at -= by


def agree(app: Flask) -> bool:
    """Whether what is kept of sales is what the grants say."""
    with app.app_context():
        found = books.check(db.session())
        return not (found.stocks or found.unseen)


@pytest.mark.money
def test_once_for_its_cause(app: Flask) -> None:
    """Eight operators give for one letter at the same moment: one gives, seven hear who it was."""
    told: list[str] = []

    def give() -> None:
        try:
            put_right(app, corrections.give, "fireworks", amount=500)
        except DoneBefore as before:
            told.append(before.first.by)

    held(app)
    at_once(*[give] * 8)
    assert told == ["Umi"] * 7
    assert held(app) == {"fireworks": 1}
    assert book(app) == [("given", 500, None)]
    assert agree(app)
    put_right(app, corrections.give, "fireworks", note=Note("Umi", "letter 8", "another"))
    assert held(app) == {"fireworks": 2}


@pytest.mark.money
@pytest.mark.parametrize("act", [corrections.give, corrections.take])
def test_one_cause_in_other_words(app: Flask, act: Callable[..., Correction]) -> None:
    """Each of six operators writes the same cause otherwise: one acts, five hear of it and are asked."""
    put_right(app, corrections.give, "fireworks", quantity=9)
    before = put_right(app, corrections.take, "fireworks")
    first = (
        before
        if act is corrections.take
        else put_right(app, corrections.give, "fireworks", note=Note("Umi", "0", "-"))
    )
    left, heard = held(app)["fireworks"], []

    def acting(number: int, beside: str | None) -> Callable[[], None]:
        def do() -> None:
            note = Note(f"operator {number}", f"letter no. {number}", "paid, and lost")
            try:
                put_right(app, act, "fireworks", note=note, beside=beside)
            except AnotherBefore as another:
                heard.append(another.before)

        return do

    at_once(*[acting(number, None) for number in range(6)])
    assert [one.key for one in heard] == [first] * 6
    assert held(app) == {"fireworks": left}
    at_once(*[acting(number, first) for number in range(6)])
    newest = heard[6:]
    assert len(newest) == 5
    assert len({(one.by, one.cause) for one in newest}) == 1
    assert newest[0].by.startswith("operator")
    assert held(app)["fireworks"] == left + (1 if act is corrections.give else -1)
    assert agree(app)


@on_sqlite
def test_a_host_whose_clock_is_slow(app: Flask) -> None:
    """The newest is what was done last, whatever moment its host took it for."""
    now = clock.now()

    def give(letter: int, at: datetime, beside: str | None) -> str:
        note = Note("Umi", f"letter {letter}", "lost")
        return corrections.give(customer, "fireworks", note, at, beside=beside).key

    with app.app_context():
        customer = customers.meet("mixi", HANAKO, now)
        first = give(1, now, None)
        second = give(2, now - timedelta(seconds=30), first)
        with pytest.raises(AnotherBefore) as another:
            give(3, now, first)
    assert another.value.before.key == second


@pytest.mark.money
def test_taken_never_below_zero(app: Flask) -> None:
    """What the customer holds can be taken, and no more, in however many windows."""
    put_right(app, corrections.give, quantity=2)
    refused: list[object] = []

    def take(number: int) -> Callable[[], None]:
        def act() -> None:
            try:
                put_right(app, corrections.take, note=Note("Umi", f"slip {number}", "given in error"))
            except Refused as refusal:
                refused.append(refusal.words)

        return act

    at_once(*[take(number) for number in range(6)])
    assert refused == [corrections.TOO_FEW] * 4
    assert held(app) == {}
    assert [kind for kind, *_ in book(app)] == ["given", "taken", "taken"]
    assert agree(app)


@pytest.mark.money
def test_an_entry_is_struck_once(container: Container) -> None:
    """The sale is gone from the sums; goods stay, and a second strike says who was first."""
    app, code = container.app, container.start()
    assert container.callback(code).text == "OK"
    with app.app_context():
        sale = db.session.scalars(select(Entry)).one().id
        db.session.remove()

    def strike(number: int = 0) -> None:
        with app.app_context():
            corrections.strike(1, number or sale, LETTER, clock.now())

    with pytest.raises(DoneBefore):
        at_once(*[strike] * 2)
    assert book(app) == [("sale", 100, None), ("struck", -100, f"mixi:{code}")]
    assert held(app) == {"excalibur": 1}
    for number in (sale + 1, 4711):
        with pytest.raises(Refused):
            strike(number)
    with app.app_context():
        assert sum(one.amount for one in ledger.totals()) == 0
        assert {one.kind: one.count for one in ledger.totals()}[Kind.STRUCK] == 1


@pytest.mark.money
def test_what_was_struck_goes_back_once(container: Container, api: ScriptedApi) -> None:
    """Struck and then paid back, or paid back and then struck: it leaves the book once."""
    app, struck = container.app, container.start()

    def undone(code: str) -> None:
        api.body = api.entry(code).replace(b"<content/>", PAID_BACK)
        assert container.get("/history").status_code == 200
        api.body = None

    assert container.callback(struck).text == "OK"
    with app.app_context():
        sale = db.session.scalars(select(Entry)).one()
        corrections.strike(sale.customer_id, sale.id, LETTER, clock.now())
    undone(struck)
    back = container.start("loaf")
    assert container.callback(back).text == "OK"
    undone(back)
    with app.app_context():
        sale = db.session.scalars(select(Entry).filter_by(amount=10)).one()
        with pytest.raises(Refused) as refusal:
            corrections.strike(sale.customer_id, sale.id, LETTER, clock.now())
    assert refusal.value.words is corrections.UNDONE
    assert book(app) == [
        ("sale", 100, None),
        ("struck", -100, f"mixi:{struck}"),
        ("refund", 0, f"mixi:{struck}"),
        ("sale", 10, None),
        ("refund", -10, f"mixi:{back}"),
    ]
    assert held(app) == {}


@on_sqlite
def test_the_buyer_sees_it(container: Container) -> None:
    """In bag and history, as given and taken, with the purchase it puts right; never with the reason."""
    code = container.start()
    old(container.app, code)
    case = Note("Umi", code, "mixi took the points")
    key = put_right(container.app, corrections.give, "excalibur", note=case, amount=100)
    put_right(container.app, corrections.take, "excalibur", note=LETTER)
    page = container.get("/history", lang="en").text
    row = f'data-payment="{key}" data-state="given" data-item="excalibur" data-quantity="1" data-of="{code}"'
    assert row in page
    assert 'data-state="taken" data-item="excalibur" data-quantity="1">' in page
    acts = (corrections.Act.GIVEN, corrections.Act.TAKEN)
    assert all(in_words(container.app, corrections.STATES[act]) in words(page) for act in acts)
    assert "letter 7" not in page
    assert case.reason not in page
    given = in_words(container.app, corrections.STATES[corrections.Act.GIVEN], "ja")
    assert given in container.get("/history").text
    assert "hand:" not in container.get("/history", TARO).text


@on_sqlite
@pytest.mark.changed(under_age_limits="15:120,19:10000")
def test_it_counts_for_ages(container: Container) -> None:
    """What was paid for and given by hand is spent; an entry that was struck is not."""
    app, now = container.app, clock.now()
    put_right(app, corrections.give, "excalibur", amount=100)
    with app.app_context():
        hanako = customers.meet("mixi", HANAKO, now).id
        assert ages.spent(db.session(), hanako, "mixi", now) == 100
        entry = db.session.scalars(select(Entry)).one()
        corrections.strike(hanako, entry.id, LETTER, now)
        assert ages.spent(db.session(), hanako, "mixi", now) == 0


@on_sqlite
def test_it_counts_as_sold(container: Container) -> None:
    """Out of the stock and of what one person may have; taken, it is back in both."""
    app = container.app
    put_right(app, corrections.give, "ticket")
    put_right(app, corrections.give, "fireworks", quantity=4)
    assert 'data-left="1"' in container.get("/items/fireworks").text
    assert 'data-reason="limit_reached"' in container.get("/items/ticket").text
    put_right(app, corrections.take, "ticket", note=LETTER)
    assert 'data-allowed="1"' in container.get("/items/ticket").text


@on_sqlite
def test_what_a_test_has_given(container: Container) -> None:
    """Taken by hand it is counted as a test: nobody's stock grows by it."""
    app, code = container.app, container.start("fireworks", "mo3testmika00")
    assert container.callback(code, "mo3testmika00").text == "OK"
    with app.app_context():
        mika = customers.meet("mixi", "mo3testmika00", clock.now())
        corrections.take(mika, "fireworks", LETTER, clock.now())
        assert inventory.sold(db.session(), ["fireworks"]) == {"fireworks": 0}
        assert db.session.scalars(select(Grant.is_test).order_by(Grant.id)).all() == [True, True]
    assert agree(app)


@pytest.mark.money
def test_never_beside_a_callback(container: Container) -> None:
    """While a callback may deliver a payment, or has, nothing is given for it by hand; too old, it may be."""
    app, open_, done = container.app, container.start(), container.start()
    assert container.callback(done).text == "OK"
    for code, words_ in ((open_, corrections.OPEN), (done, corrections.DELIVERED)):
        with pytest.raises(Refused) as refusal:
            put_right(app, corrections.give, "excalibur", note=Note("Umi", code, "nothing came"))
        assert refusal.value.words is words_
    old(app, open_, by=LONGEST + timedelta(seconds=30))  # a callback may be under way
    with pytest.raises(Refused):
        put_right(app, corrections.give, "excalibur", note=Note("Umi", open_, "nothing came"))
    old(app, open_)
    put_right(app, corrections.give, "excalibur", note=Note("Umi", open_, "nothing came"))
    assert container.callback(open_).status_code == 409
    assert held(app) == {"excalibur": 2}


WRONG: dict[str, dict[str, Any]] = {
    "no name": {"by": " "},
    "no reason": {"reason": ""},
    "no cause": {"cause": "\n"},
    "a long name": {"by": "x" * 65},
    "a long cause": {"cause": "x" * 81},
    "a long reason": {"reason": "x" * 201},
}


@on_sqlite
@pytest.mark.parametrize("wrong", WRONG)
def test_what_a_note_must_say(app: Flask, wrong: str) -> None:
    """Who, for what and why, each within its length."""
    with pytest.raises(Refused):
        Note.read(**{**vars(LETTER), **WRONG[wrong]})


@on_sqlite
@pytest.mark.parametrize(
    "wrong",
    [
        {"quantity": 0},
        {"quantity": 100},
        {"quantity": -1},
        {"amount": -1},
        {"amount": 10_000_001},
        {"item": "nothing"},
        {"channel": "colorme"},
        {"channel": "nowhere"},
    ],
    ids=str,
)
def test_what_is_refused(app: Flask, wrong: dict[str, Any]) -> None:
    """A number that is a slip, an item that is none, a counter that does not serve the buyer."""
    with pytest.raises(Refused):
        put_right(app, corrections.give, **wrong)
    assert book(app) == []
    assert held(app) == {}


CASE = ("--for", "letter 7", "--reason", "paid, and lost", "--by", "Umi")


@on_sqlite
def test_commands(app: Flask, settings: Settings) -> None:
    """From a terminal the same, once; unknown buyers and items are told, and nothing is done."""
    held(app)
    done = run(settings, "grant", HANAKO, "loaf", "--quantity", "2", "--paid", "20", *CASE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("given 2 loaf, under hand:")
    again = run(settings, "grant", HANAKO, "loaf", *CASE)
    assert again.returncode == 1
    assert "nothing was done: Umi did it at" in again.stderr
    other = ("--for", "the letter of Friday", *CASE[2:])
    asked = run(settings, "grant", HANAKO, "loaf", *other)
    assert asked.returncode == 1
    assert "for 'letter 7', quantity 2" in asked.stderr
    assert run(settings, "grant", HANAKO, "loaf", "--again", *other).returncode == 0
    assert run(settings, "take-back", HANAKO, "loaf", *CASE).stdout.startswith("taken 1 loaf, under hand:")
    for words_ in (("nobody", "loaf"), (HANAKO, "nothing")):
        assert run(settings, "grant", *words_, *CASE).returncode == 1
    assert run(settings, "grant", HANAKO, "loaf").returncode == 2
    assert held(app) == {"loaf": 2}
    with app.app_context():
        made = db.session.scalars(select(Correction).order_by(Correction.made_at)).all()
        assert [(one.act, one.by, one.reason) for one in made] == [
            ("given", "Umi", "paid, and lost"),
            ("given", "Umi", "paid, and lost"),
            ("taken", "Umi", "paid, and lost"),
        ]
        keys = db.session.scalars(select(Grant.key).order_by(Grant.id)).all()
        assert keys == [one.key for one in made]
