"""The books: the points that the platform took beside the goods that the shop gave. Pure.

people      given + topped up + paid back - taken = balance
payments    the platform's state beside the shop's, as the buyer's history has it
items       charged = granted, of each buyer and item: what the bag holds, and what was seen to be used;
            what the operator gave or took by hand, as the history says, is neither too many nor missing

Green is what agrees; amber what is not settled yet, or cannot be known; red is where points and goods differ.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from enum import IntEnum
from itertools import chain
from typing import Any

from storefront.sandbox.language import N_

# The platform's and the provider's words for money that was taken, for money that came back, and for neither.
CHARGED = ("complete", "paid")
BACK = ("pay_back", "refunded", "chargeback")
HELD = "complete"  # the shop's word for goods that are with the buyer
# Both sides' words where nothing is charged and nothing held, and they say the same or the shop knows less.
ALIKE = {
    ("create", ""),  # the answer to its creation was lost
    ("create", "void"),
    ("create", "cancel"),  # the shop's OK was lost
    ("waiting", "create"),
    ("waiting", ""),
    ("cancelled", "cancel"),
    ("cancelled", "create"),  # not told yet
    ("refunded", "refund"),
}

UNREAD = N_("The bag and the history of this buyer have not been read.")
CHANGED = N_("It has changed since the bag and the history were read.")
IN_DOUBT = N_("The shop waits for the platform's confirmation, and asks on the buyer's next visit.")
NOT_ASKED = N_("The points were paid back just now, and the shop has not asked since.")
TAKEN = N_("The points were taken, and the shop does not count it as bought.")
FREE = N_("The shop counts it as bought, and no points were taken.")
ANOTHER_SUM = N_("The shop's own book has another sum for it than was taken.")
UNKNOWN = N_("The shop counts as bought what the platform does not know.")
FORGOTTEN = N_("The points were never taken. The shop had the time to see it, and keeps it as bought.")
ANOTHERS = N_("The shop shows it to somebody whose it is not.")
OTHERWISE = N_("The two sides do not say the same. Nothing is charged, and nothing held.")
NOT_TOLD = N_("The shop has not heard yet what the provider has done.")
MISSING = N_("The bag holds fewer than were charged.")
TOO_MANY = N_("The bag holds more than were charged.")
MAYBE_USED = N_(
    "The bag holds fewer than were charged. It can be used, and may have been where nobody saw it."
)
KEPT = N_("It was used, and the bag holds all that were charged.")
UNSETTLED = N_("The bag holds what is not settled yet.")
BALANCE = N_("The balance is not what was given and topped up, less what was taken.")


class Verdict(IntEnum):
    """How bad it is; the worst counts."""

    GREEN = 0
    AMBER = 1
    RED = 2

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Person:
    """A member of the cast. Who lives on several stages has a bag from all of them."""

    owner_id: str
    name: str
    given: int
    topped_up: int
    balance: int
    is_everywhere: bool = False


@dataclass(frozen=True)
class Payment:
    """A payment as the platform has it, or the provider; `status` is its word, `charged` in points.

    All moments are the real clock's.
    """

    code: str
    owner_id: str
    item_id: str
    item_name: str
    charged: int
    status: str
    changed_at: datetime
    is_test: bool = False
    yen: int = 0  # at the provider; then it is no payment in points
    is_told: bool = True  # whether the shop has said what it does about it
    answered_at: datetime | None = None  # when the shop last said OK to the purchase, asked by us and in time
    unheard_at: datetime | None = None  # when the shop last asked how it stands, if it was given no answer


@dataclass(frozen=True)
class Entry:
    """A payment in its buyer's history."""

    state: str
    doubt: bool = False
    booked: int | None = None  # what the shop's own book has of it, in points or yen, if its page says so


@dataclass(frozen=True)
class ByHand:
    """So many more of an item by the operator's hand, or fewer; `of` is the payment it puts right, if any."""

    item_id: str
    quantity: int
    of: str = ""


@dataclass(frozen=True)
class Page:
    """A buyer's bag and history as they were read.

    `used` counts what was seen to be used, `kept` names what was no fewer after it was used. Of who lives on
    several stages only what came after the first reading is asked for: `since` is its moment, `before` what
    the bag held then.
    """

    owner_id: str
    at: datetime
    bag: Mapping[str, int]
    history: Mapping[str, Entry]
    used: Mapping[str, int] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    consumable: frozenset[str] = frozenset()
    since: datetime | None = None
    before: Mapping[str, int] = field(default_factory=dict)
    by_hand: Sequence[ByHand] = ()


@dataclass(frozen=True)
class Pause:
    """How long the shop waits until it voids what was not confirmed, and until it asks again."""

    void: timedelta
    confirm: timedelta


@dataclass(frozen=True)
class Account:
    """A person's points."""

    person: Person
    taken: int
    back: int
    verdict: Verdict
    reason: str = ""

    @property
    def should(self) -> int:
        return self.person.given + self.person.topped_up + self.back - self.taken


@dataclass(frozen=True)
class Pair:
    """A payment in both books; a side that does not have it says nothing."""

    code: str
    owner_id: str
    payment: Payment | None
    entry: Entry | None
    verdict: Verdict
    reason: str = ""
    void_from: datetime | None = None

    @property
    def is_charged(self) -> bool:
        return self.payment is not None and self.payment.status in CHARGED

    @property
    def is_held(self) -> bool:
        return self.entry is not None and self.entry.state == HELD


@dataclass(frozen=True)
class Stock:
    """What one buyer has of one item, and why."""

    owner_id: str
    item_id: str
    for_points: int
    outside: int
    tests: int
    unsettled: int
    held: int
    used: int
    by_hand: int = 0  # but for what was charged or held otherwise
    code: str = ""  # of the newest payment about it
    verdict: Verdict = Verdict.GREEN
    reason: str = ""

    @property
    def charged(self) -> int:
        return self.for_points + self.outside + self.tests

    @property
    def granted(self) -> int:
        return self.held + self.used


@dataclass(frozen=True)
class Books:
    """All of it, with a verdict on each line."""

    people: Sequence[Account]
    payments: Sequence[Pair]
    items: Sequence[Stock]

    @property
    def verdict(self) -> Verdict:
        return max((line.verdict for line in self._lines), default=Verdict.GREEN)

    @property
    def first_difference(self) -> Account | Pair | Stock | None:
        """The first of the worst lines; None where all agrees."""
        worst = self.verdict
        return next((line for line in self._lines if worst and line.verdict is worst), None)

    @property
    def _lines(self) -> Iterator[Account | Pair | Stock]:
        return chain(self.payments, self.items, self.people)


def verdict(
    people: Sequence[Person], payments: Sequence[Payment], pages: Sequence[Page], pause: Pause
) -> Books:
    """Compare them. `pages` has at most one of each person; who has none has not been read."""
    by_owner = {page.owner_id: page for page in pages}
    pairs = [_pair(payment, by_owner.get(payment.owner_id), pause) for payment in payments]
    strangers = [
        pair for person in people for pair in _strangers(person, payments, by_owner.get(person.owner_id))
    ]
    return Books(
        people=[_account(person, payments) for person in people],
        payments=[*pairs, *strangers],
        items=[stock for page in pages for stock in _stocks(page, pairs)],
    )


def as_json(books: Books) -> dict[str, Any]:
    """The same for a machine."""
    first = books.first_difference
    return {
        "verdict": books.verdict.word,
        "people": [_line(account) for account in books.people],
        "payments": [_line(pair) for pair in books.payments],
        "items": [_line(stock) for stock in books.items],
        "first_difference": _line(first) if first else None,
    }


def _account(person: Person, payments: Sequence[Payment]) -> Account:
    mine = [payment for payment in payments if payment.owner_id == person.owner_id]
    taken = sum(payment.charged for payment in mine if payment.status in (*CHARGED, *BACK))
    back = sum(payment.charged for payment in mine if payment.status in BACK)
    account = Account(person, taken, back, Verdict.GREEN)
    if account.should == person.balance:
        return account
    return Account(person, taken, back, Verdict.RED, BALANCE)


def _pair(payment: Payment, page: Page | None, pause: Pause) -> Pair:
    entry = page.history.get(payment.code) if page else None
    worst, reason = _compared(payment, entry, page, pause)
    pair = Pair(payment.code, payment.owner_id, payment, entry, worst, reason)
    if reason == IN_DOUBT and payment.answered_at and not pair.is_charged:
        return replace(pair, void_from=payment.answered_at + pause.void)
    return pair


def _compared(payment: Payment, entry: Entry | None, page: Page | None, pause: Pause) -> tuple[Verdict, str]:
    charged, state = payment.status in CHARGED, entry.state if entry else ""
    if page is None:
        return Verdict.AMBER, UNREAD
    if page.at < payment.changed_at:
        return Verdict.AMBER, CHANGED
    # Nobody can be in doubt who never said OK to what was really asked.
    if entry and entry.doubt and (charged or payment.answered_at):
        return (Verdict.RED, FORGOTTEN) if _is_forgotten(payment, page, pause) else (Verdict.AMBER, IN_DOUBT)
    if _put_right(payment.code, page) == charged - (state == HELD) != 0:
        return Verdict.GREEN, ""
    if charged and state != HELD:
        return (Verdict.RED, TAKEN) if payment.is_told else (Verdict.AMBER, NOT_TOLD)
    if not charged and state == HELD:
        if payment.status in BACK and not payment.is_told:
            return Verdict.AMBER, NOT_TOLD
        just_now = payment.status in BACK and page.at - payment.changed_at < pause.confirm
        return (Verdict.AMBER, NOT_ASKED) if just_now else (Verdict.RED, FREE)
    if entry and entry.booked not in (None, (payment.yen or payment.charged) if charged else 0):
        return Verdict.RED, ANOTHER_SUM
    if charged or state == payment.status or (payment.status, state) in ALIKE:
        return Verdict.GREEN, ""
    return Verdict.AMBER, OTHERWISE


def _put_right(code: str, page: Page) -> int:
    """How many the operator gave for a payment, or took (negative)."""
    return sum(one.quantity for one in page.by_hand if one.of == code)


def _is_forgotten(payment: Payment, page: Page, pause: Pause) -> bool:
    """Whether nobody was charged, and the shop could have heard so: a pause after it may void, or later.

    Who asked in vain has that time anew; who does not ask again has lost it.
    """
    if payment.status in CHARGED or payment.answered_at is None:
        return False
    since = max(payment.answered_at, payment.unheard_at or payment.answered_at)
    return page.at - since > pause.void + pause.confirm


def _strangers(person: Person, payments: Sequence[Payment], page: Page | None) -> Iterator[Pair]:
    """What only the shop has, bought, and what is somebody else's.

    Who lives on several stages has payments from elsewhere.
    """
    owners = {payment.code: payment.owner_id for payment in payments}
    for code, entry in page.history.items() if page else ():
        if owners.get(code, person.owner_id) != person.owner_id:
            yield Pair(code, person.owner_id, None, entry, Verdict.RED, ANOTHERS)
        elif code not in owners and entry.state == HELD and not person.is_everywhere:
            yield Pair(code, person.owner_id, None, entry, Verdict.RED, UNKNOWN)


def _stocks(page: Page, pairs: Sequence[Pair]) -> Iterator[Stock]:
    by_item: dict[str, list[Pair]] = {
        item: [] for item in (*page.bag, *(one.item_id for one in page.by_hand))
    }
    for pair in pairs:
        payment = pair.payment
        is_asked_for = payment and (page.since is None or payment.changed_at > page.since)
        if payment and is_asked_for and payment.owner_id == page.owner_id:
            by_item.setdefault(payment.item_id, []).append(pair)
    for item_id, mine in by_item.items():
        stock = _stock(page, item_id, mine)
        if stock.charged or stock.unsettled or stock.granted or stock.by_hand:
            yield stock


def _stock(page: Page, item_id: str, pairs: Sequence[Pair]) -> Stock:
    charged = [pair.payment for pair in pairs if pair.payment and pair.is_charged]
    by_hand = sum(one.quantity for one in page.by_hand if one.item_id == item_id)
    stock = Stock(
        owner_id=page.owner_id,
        item_id=item_id,
        for_points=sum(not (payment.yen or payment.is_test) for payment in charged),
        outside=sum(bool(payment.yen) for payment in charged),
        tests=sum(payment.is_test for payment in charged),
        unsettled=sum(_unsettled(pair) for pair in pairs),
        held=page.bag.get(item_id, 0) - page.before.get(item_id, 0),
        used=0,
        by_hand=by_hand - sum(_settled_by_hand(pair) for pair in pairs),
        code=pairs[-1].code if pairs else "",
    )
    # Of who lives on several stages others may have used it; no more was used than is missing.
    missing = max(0, stock.charged + stock.unsettled + stock.by_hand - stock.held)
    stock = replace(stock, used=min(page.used.get(item_id, 0), missing))
    worst, reason = _weighed(stock, is_stale=any(pair.reason == CHANGED for pair in pairs), page=page)
    return replace(stock, verdict=worst, reason=reason)


def _unsettled(pair: Pair) -> int:
    """What is held though it is not charged, or charged though it is not held, and may still be put right."""
    return (pair.is_held - pair.is_charged) if pair.verdict is Verdict.AMBER else 0


def _settled_by_hand(pair: Pair) -> int:
    """What the operator gave for a charge, or took for want of one: green, though it was not sold so."""
    return (pair.is_charged - pair.is_held) if pair.verdict is Verdict.GREEN else 0


def _weighed(stock: Stock, *, is_stale: bool, page: Page) -> tuple[Verdict, str]:
    short = stock.charged + stock.unsettled + stock.by_hand - stock.granted
    if is_stale:
        return Verdict.AMBER, CHANGED
    if stock.item_id in page.kept and not (short or stock.used):
        return Verdict.RED, KEPT
    if short > 0 and stock.item_id in page.consumable:
        return Verdict.AMBER, MAYBE_USED
    if short:
        return Verdict.RED, MISSING if short > 0 else TOO_MANY
    return (Verdict.AMBER, UNSETTLED) if stock.unsettled else (Verdict.GREEN, "")


def _line(line: Account | Pair | Stock) -> dict[str, Any]:
    common = {"verdict": line.verdict.word, "reason": line.reason}
    match line:
        case Account(person=person):
            sums = {"taken": line.taken, "paid_back": line.back, "should": line.should}
            return {"kind": "person", **_flat(person), **sums, **common}
        case Pair(payment=payment, entry=entry):
            ours = _flat(payment) if payment else {"code": line.code, "owner_id": line.owner_id}
            theirs = {"shop": entry and entry.state, "doubt": bool(entry and entry.doubt)}
            void_from = line.void_from and line.void_from.isoformat()
            return {"kind": "payment", **ours, **theirs, "void_from": void_from, **common}
        case Stock():
            sums = {"charged": line.charged, "granted": line.granted}
            return {"kind": "item", **_flat(line), **sums, **common}


def _flat(one: Any) -> dict[str, Any]:
    """The fields of a dataclass that are plain values; moments as text."""
    values = {each.name: getattr(one, each.name) for each in fields(one)}
    moments = {name: value.isoformat() for name, value in values.items() if isinstance(value, datetime)}
    return values | moments
