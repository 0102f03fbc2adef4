"""Green where points and goods agree, amber where it is not known yet, red where they differ."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from storefront.sandbox import books
from storefront.sandbox.books import (
    Books,
    ByHand,
    Entry,
    Page,
    Pause,
    Payment,
    Person,
    Verdict,
    as_json,
    verdict,
)

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
PAUSE = Pause(void=timedelta(seconds=60), confirm=timedelta(seconds=60))
HANAKO = Person("mo3hanako", "hanako", given=1000, topped_up=500, balance=1400)
BOUGHT = Payment("code1", "mo3hanako", "lantern", "ランタン", 100, "complete", NOW, answered_at=NOW)
SOON = NOW + timedelta(minutes=2)
READ = Page("mo3hanako", NOW + timedelta(minutes=5), {"lantern": 1}, {"code1": Entry("complete")})


def of(person: Person = HANAKO, payment: Payment = BOUGHT, page: Page | None = READ) -> Books:
    return verdict([person], [payment], [page] if page else [], PAUSE)


def test_all_agrees() -> None:
    """One lantern, one charge, one in the bag: green, and nothing differs."""
    assert of().verdict is Verdict.GREEN
    assert of().first_difference is None
    assert as_json(of())["first_difference"] is None


def test_nothing_has_happened() -> None:
    """Books with nothing in them are green."""
    assert verdict([replace(HANAKO, balance=1500)], [], [], PAUSE).verdict is Verdict.GREEN


@pytest.mark.parametrize(
    ("status", "state", "held", "balance", "reason"),
    [
        ("create", "complete", 1, 1500, books.FREE),
        ("cancel", "complete", 1, 1500, books.FREE),
        ("pay_back", "complete", 1, 1500, books.FREE),
        ("complete", "create", 0, 1400, books.TAKEN),
        ("complete", "void", 0, 1400, books.TAKEN),
        ("complete", "", 0, 1400, books.TAKEN),
    ],
)
def test_one_side_only(status: str, state: str, held: int, balance: int, reason: str) -> None:
    """Charged and not held, or held and not charged, is red, and named with its payment."""
    page = replace(READ, bag={"lantern": held}, history={"code1": Entry(state)} if state else {})
    found = of(replace(HANAKO, balance=balance), replace(BOUGHT, status=status), page)
    assert found.verdict is Verdict.RED
    first = as_json(found)["first_difference"]
    assert (first["kind"], first["code"], first["reason"]) == ("payment", "code1", reason)


@pytest.mark.parametrize(
    ("status", "state", "balance"),
    [
        ("create", "create", 1500),
        ("create", "", 1500),
        ("create", "void", 1500),
        ("create", "cancel", 1500),
        ("cancel", "cancel", 1500),
        ("pay_back", "pay_back", 1500),
    ],
)
def test_neither_charged_nor_held(status: str, state: str, balance: int) -> None:
    """What nobody was charged for and nobody holds is green, though one side may know less."""
    page = replace(READ, bag={}, history={"code1": Entry(state)} if state else {})
    assert of(replace(HANAKO, balance=balance), replace(BOUGHT, status=status), page).verdict is Verdict.GREEN


@pytest.mark.parametrize(
    ("payment", "booked", "found"),
    [
        (BOUGHT, 100, Verdict.GREEN),
        (BOUGHT, None, Verdict.GREEN),
        (BOUGHT, 0, Verdict.RED),
        (BOUGHT, 200, Verdict.RED),
        (replace(BOUGHT, charged=0, is_test=True), 0, Verdict.GREEN),
        (replace(BOUGHT, charged=0, is_test=True), 100, Verdict.RED),
        (replace(BOUGHT, charged=0, yen=330, status="paid"), 330, Verdict.GREEN),
        (replace(BOUGHT, charged=0, yen=330, status="paid"), 100, Verdict.RED),
    ],
)
def test_the_shops_own_book(payment: Payment, booked: int | None, found: Verdict) -> None:
    """A shop that has another sum in its own book than was taken, of a test too, is red."""
    page = replace(READ, history={"code1": Entry("complete", booked=booked)})
    assert of(replace(HANAKO, balance=1500 - payment.charged), payment, page).verdict is found


def test_what_went_back_and_stands_in_the_book() -> None:
    """What was paid back, and is in the shop's own book still, is red."""
    page = replace(READ, bag={}, history={"code1": Entry("pay_back", booked=100)})
    found = of(replace(HANAKO, balance=1500), replace(BOUGHT, status="pay_back"), page)
    assert found.first_difference
    assert found.first_difference.reason == books.ANOTHER_SUM


def test_an_unheard_ok() -> None:
    """Held, not charged, and in doubt: amber, with the moment from which it is void; the bag is no worse."""
    page = replace(READ, at=SOON, history={"code1": Entry("complete", doubt=True)})
    found = of(replace(HANAKO, balance=1500), replace(BOUGHT, status="create"), page)
    assert found.verdict is Verdict.AMBER
    assert found.payments[0].void_from == NOW + timedelta(seconds=60)
    assert found.items[0].verdict is Verdict.AMBER


@pytest.mark.parametrize(
    ("status", "unheard", "found"),
    [
        ("create", None, Verdict.RED),
        ("create", NOW + timedelta(minutes=4), Verdict.AMBER),
        ("create", NOW + timedelta(minutes=1), Verdict.RED),
        ("complete", None, Verdict.AMBER),
    ],
)
def test_a_doubt_that_lasts(status: str, unheard: datetime | None, found: Verdict) -> None:
    """Once the shop could have heard that nobody was charged, its doubt is over; so it is if it asked once
    in vain, and has had the time to ask again.
    """
    page = replace(READ, history={"code1": Entry("complete", doubt=True)})
    balance = 1400 if status == "complete" else 1500
    payment = replace(BOUGHT, status=status, unheard_at=unheard)
    assert of(replace(HANAKO, balance=balance), payment, page).verdict is found


def test_a_history_of_somebody_else() -> None:
    """What stands in the history of somebody whose it is not is red."""
    taro = Person("mo3taro", "taro", given=100, topped_up=0, balance=100)
    his = replace(READ, owner_id="mo3taro", bag={})
    found = verdict([HANAKO, taro], [BOUGHT], [READ, his], PAUSE)
    assert (found.verdict, found.first_difference and found.first_difference.reason) == (
        Verdict.RED,
        books.ANOTHERS,
    )


def test_a_doubt_without_an_ok() -> None:
    """Who was never really asked, or answered too late, is in no doubt: it gave what nobody paid for."""
    page = replace(READ, history={"code1": Entry("complete", doubt=True)})
    found = of(replace(HANAKO, balance=1500), replace(BOUGHT, status="create", answered_at=None), page)
    assert (found.verdict, found.payments[0].reason) == (Verdict.RED, books.FREE)


def test_granted_twice() -> None:
    """Two in the bag for one charge are red, with the payment to look at."""
    found = of(page=replace(READ, bag={"lantern": 2}))
    assert found.verdict is Verdict.RED
    first = as_json(found)["first_difference"]
    assert (first["kind"], first["code"], first["reason"]) == ("item", "code1", books.TOO_MANY)


def test_granted_to_another() -> None:
    """Goods in the bag of someone who bought nothing are red, and so is the empty bag of the buyer."""
    taro = Person("mo3taro", "taro", given=100, topped_up=0, balance=100)
    pages = [replace(READ, bag={}), replace(READ, owner_id="mo3taro", history={})]
    found = verdict([HANAKO, taro], [BOUGHT], pages, PAUSE)
    assert [stock.reason for stock in found.items] == [books.MISSING, books.TOO_MANY]


def test_bought_where_nobody_was_charged() -> None:
    """A purchase that only the shop knows is red."""
    page = replace(READ, history={"code1": Entry("complete"), "code2": Entry("complete")})
    assert of(page=page).payments[-1].reason == books.UNKNOWN


def test_a_balance_that_does_not_add_up() -> None:
    """Points that went, or came, by no payment are red."""
    found = of(replace(HANAKO, balance=1300))
    assert (found.people[0].should, found.people[0].verdict) == (1400, Verdict.RED)


def test_a_test_takes_nothing_and_is_held() -> None:
    """A test purchase is delivered and charges nothing: green, and counted apart."""
    found = of(replace(HANAKO, balance=1500), replace(BOUGHT, charged=0, is_test=True))
    assert found.verdict is Verdict.GREEN
    assert (found.items[0].for_points, found.items[0].tests) == (0, 1)


def test_what_was_seen_to_be_used() -> None:
    """An item that was used is not in the bag, and was granted all the same."""
    assert of(page=replace(READ, bag={}, used={"lantern": 1})).verdict is Verdict.GREEN


def test_what_is_used_and_kept() -> None:
    """Who has used one, and holds all that were charged, was given one too many."""
    kept = frozenset({"lantern"})
    found = of(page=replace(READ, kept=kept))
    assert (found.verdict, found.items[0].reason) == (Verdict.RED, books.KEPT)
    again = replace(READ, bag={}, used={"lantern": 1}, kept=kept)  # the second press of one form
    assert of(page=again).verdict is Verdict.GREEN


def test_what_may_have_been_used() -> None:
    """What is for use may have been used where nobody saw it: amber. Anything else is missing: red."""
    empty = replace(READ, bag={})
    assert of(page=replace(empty, consumable=frozenset({"lantern"}))).verdict is Verdict.AMBER
    assert of(page=empty).verdict is Verdict.RED


def test_not_read_and_not_read_since() -> None:
    """Without the bag and the history, or with old ones, nobody knows: amber, never green."""
    assert of(page=None).payments[0].reason == books.UNREAD
    assert of(page=replace(READ, at=NOW - timedelta(seconds=1))).payments[0].reason == books.CHANGED


def test_paid_back_just_now() -> None:
    """The shop learns of points paid back by asking, and does not ask all the time."""
    soon = replace(READ, at=NOW + timedelta(seconds=5))
    found = of(replace(HANAKO, balance=1500), replace(BOUGHT, status="pay_back"), soon)
    assert (found.verdict, found.payments[0].reason) == (Verdict.AMBER, books.NOT_ASKED)


def test_outside() -> None:
    """What the provider was paid counts as charged; what the shop has not heard of yet is amber."""
    paid = replace(BOUGHT, charged=0, yen=120, status="paid")
    rich = replace(HANAKO, balance=1500)
    assert of(rich, paid).verdict is Verdict.GREEN
    assert of(rich, paid).items[0].outside == 1
    unheard = replace(READ, bag={}, history={"code1": Entry("create")})
    assert of(rich, replace(paid, is_told=False), unheard).verdict is not Verdict.GREEN
    assert of(rich, paid, unheard).verdict is Verdict.RED


def test_who_lives_on_several_stages() -> None:
    """Of a bag that others fill, too, only what came since the first reading is asked for."""
    mika = replace(HANAKO, balance=1500, is_everywhere=True)
    payment = replace(BOUGHT, charged=0, is_test=True)
    history = {"code1": Entry("complete"), "elsewhere": Entry("complete")}
    before = NOW - timedelta(minutes=1)
    page = replace(READ, history=history, bag={"lantern": 4}, before={"lantern": 3}, since=before)
    assert of(mika, payment, page).verdict is Verdict.GREEN
    assert of(mika, payment, replace(page, bag={"lantern": 5})).verdict is Verdict.RED


def test_put_right_by_hand() -> None:
    """What the operator gave for a charge is its delivery; what comes on top, or goes, is theirs."""
    lost = replace(READ, history={"code1": Entry("create")})
    given, one_more = ByHand("lantern", 1, "code1"), ByHand("lantern", 1)
    found = of(page=replace(lost, by_hand=[given]))
    assert (found.verdict, found.items[0].by_hand) == (Verdict.GREEN, 0)
    assert of(page=replace(lost, by_hand=[one_more])).payments[0].reason == books.TAKEN
    assert of(page=replace(lost, bag={}, by_hand=[given])).items[0].reason == books.MISSING
    twice = of(page=replace(READ, bag={"lantern": 2}, by_hand=[one_more]))
    assert (twice.verdict, twice.items[0].by_hand) == (Verdict.GREEN, 1)
    assert of(page=replace(READ, by_hand=[given])).items[0].reason == books.MISSING
    taken = replace(READ, bag={}, by_hand=[ByHand("lantern", -1)])
    assert of(page=taken).verdict is Verdict.GREEN
    for_nothing = replace(READ, bag={}, by_hand=[ByHand("lantern", -1, "code1")])
    never = replace(BOUGHT, status="cancel")
    assert of(replace(HANAKO, balance=1500), never, for_nothing).verdict is Verdict.GREEN
    assert of(replace(HANAKO, balance=1500), never).verdict is Verdict.RED


def test_for_a_machine() -> None:
    """The same in JSON, under fixed names."""
    told = as_json(of())
    assert set(told) == {"verdict", "people", "payments", "items", "first_difference"}
    assert told["verdict"] == "green"
    assert told["payments"][0]["shop"] == "complete"
    assert told["people"][0]["should"] == 1400
    assert told["items"][0]["charged"] == told["items"][0]["granted"] == 1
