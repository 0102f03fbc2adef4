"""One customer as the operator reads them: what they hold, may and have spent, and what happened."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from flask_babel import LazyString
from flask_babel import lazy_gettext as _

from storefront.db import db
from storefront.shop import ages, catalog, corrections, counter, devices, inventory, ledger, limits, visits
from storefront.shop.catalog import Item
from storefront.shop.corrections import Correction
from storefront.shop.counter import Counter, Step
from storefront.shop.customers import Customer
from storefront.shop.inventory import Grant, Holding
from storefront.shop.ledger import Entry

MOST = 200  # steps of one story, the newest; of each kind no more are read

GRANTS: Mapping[inventory.Kind, LazyString] = {
    inventory.Kind.SOLD: _("Into the bag"),
    inventory.Kind.TAKEN_BACK: _("Out of the bag: taken back"),
    inventory.Kind.USED: _("Used"),
    inventory.Kind.RECOUNTED: _("Counted anew, as a test"),
    inventory.Kind.GIVEN: _("Into the bag, by hand"),
    inventory.Kind.TAKEN: _("Out of the bag, by hand"),
}
ENTRIES: Mapping[ledger.Kind, LazyString] = {
    ledger.Kind.SALE: _("Entered: sale"),
    ledger.Kind.TEST: _("Entered: test"),
    ledger.Kind.REFUND: _("Entered: refund"),
    ledger.Kind.VOID: _("Entered: void"),
    ledger.Kind.GIVEN: _("Entered: given by hand"),
    ledger.Kind.TAKEN: _("Entered: taken by hand"),
    ledger.Kind.STRUCK: _("Entered: struck by hand"),
}
CORRECTIONS: Mapping[corrections.Act, LazyString] = {
    corrections.Act.GIVEN: _("The operator gave it"),
    corrections.Act.TAKEN: _("The operator took it"),
    corrections.Act.STRUCK: _("The operator struck an entry"),
}
FIRST_SEEN = _("First seen")


@dataclass(frozen=True)
class Told:
    """A step of the story. `part_of` is the number of the oldest step of the same purchase, `entry_id` the
    entry that may be struck.
    """

    step: Step
    number: int = 0
    part_of: int | None = None
    quantity: int | None = None
    entry_id: int | None = None


@dataclass(frozen=True)
class Limit:
    """An item of which one person may have so many, and how many this one has bought."""

    item: Item
    bought: int


@dataclass(frozen=True)
class Allowance:
    """What a customer has spent this month at a counter where ages count, and may spend."""

    counter: Counter
    spent: int
    most: int | None


@dataclass(frozen=True)
class Story:
    """All that the shop knows of one customer."""

    customer: Customer
    counters: Sequence[Counter]  # that they may buy at
    holdings: Sequence[Holding]
    limits: Sequence[Limit]
    born: date | None
    allowances: Sequence[Allowance]
    steps: Sequence[Told]  # newest first
    is_cut: bool


def of(customer_id: int, now: datetime) -> Story | None:
    """The story of this customer; None if there is none."""
    customer = db.session.get(Customer, customer_id)
    if customer is None:
        return None
    serving = [one for one in counter.counters() if one.serves(customer.channel)]
    told = sorted(_told(customer, serving), key=lambda one: one.step.at)
    return Story(
        customer=customer,
        counters=serving,
        holdings=inventory.holdings(customer_id),
        limits=_limits(customer_id),
        born=customer.born,
        allowances=list(_allowances(customer, serving, now)),
        steps=_linked(told)[::-1][:MOST],
        is_cut=len(told) > MOST,
    )


def _told(customer: Customer, serving: Sequence[Counter]) -> Iterator[Told]:
    yield Told(Step(customer.first_seen_at, FIRST_SEEN))
    if customer.event_at:
        words = _("Left the app") if customer.removed_at else _("Is in the app, as the platform says")
        yield Told(Step(customer.event_at, words))
    for opened in visits.newest(customer.id, MOST):
        yield Told(Step(opened.opened_at, _("Came in"), notes=[devices.CALLED[opened.device]]))
    steps = [step for one in serving for step in one.steps(customer.id, MOST)]
    yield from map(Told, steps)
    entries, by_hand = ledger.newest(customer.id, MOST), corrections.newest(customer.id, MOST)
    purchases = {entry.key: entry.of or entry.key for entry in entries} | _put_right(by_hand, steps)
    for entry in entries:
        yield _of_entry(entry, purchases[entry.key])
    for grant in inventory.newest(customer.id, MOST):
        yield _of_grant(grant, purchases.get(grant.key, grant.key))
    for one in by_hand:
        yield _of_correction(one, purchases.get(one.key, one.key))


def _put_right(by_hand: Sequence[Correction], steps: Sequence[Step]) -> dict[str, str]:
    """By the key of a correction, that of the purchase which it puts right."""
    keys = {step.code: step.key for step in steps if step.key}
    return {one.key: keys[one.code] for one in by_hand if one.code in keys}


def _of_entry(entry: Entry, key: str) -> Told:
    step = Step(
        at=entry.entered_at,
        words=ENTRIES[entry.kind],
        key=key,
        item_id=entry.item_id or "",
        amount=entry.amount,
        channel=entry.channel,
    )
    may_be_struck = entry.amount and entry.kind is not ledger.Kind.STRUCK
    return Told(step, entry_id=entry.id if may_be_struck else None)


def _of_grant(grant: Grant, key: str) -> Told:
    step = Step(grant.granted_at, GRANTS[grant.kind], key, item_id=grant.item_id)
    return Told(step, quantity=grant.quantity)


def _of_correction(one: Correction, key: str) -> Told:
    step = Step(
        at=one.made_at,
        words=CORRECTIONS[one.act],
        key=key,
        code=one.key,
        item_id=one.item_id or "",
        notes=[f"{one.by}: {one.reason} ({one.cause})"],
    )
    moved = -one.quantity if one.act is corrections.Act.TAKEN else one.quantity
    return Told(step, quantity=moved or None)


def _linked(told: Sequence[Told]) -> list[Told]:
    """Numbered from the oldest; each part of a purchase knows the first."""
    first: dict[str, int] = {}
    linked = []
    for number, one in enumerate(told, 1):
        key = one.step.key
        linked.append(replace(one, number=number, part_of=first.get(key) if key else None))
        first.setdefault(key, number)
    return linked


def _limits(customer_id: int) -> list[Limit]:
    limited = [item for item in catalog.everything() if item.per_customer is not None]
    bought = inventory.bought(db.session(), customer_id, [item.id for item in limited])
    return [Limit(item, bought.get(item.id, 0)) for item in limited]


def _allowances(customer: Customer, serving: Sequence[Counter], now: datetime) -> Iterator[Allowance]:
    for one in serving:
        if by_age := limits.age_limits(one.channel):
            most = ages.monthly_limit(by_age, customer.born, now) if customer.born else None
            yield Allowance(one, ages.spent(db.session(), customer.id, one.channel, now), most)
