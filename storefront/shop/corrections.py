"""What the operator puts right by hand: goods given or taken, an entry struck out of the book.

Each has a cause, such as a payment's code or the number of a letter, and is made for it once. Two who write
the same cause in other words are asked: whoever comes second hears of the first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

import structlog
from flask_babel import LazyString
from flask_babel import lazy_gettext as _
from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from storefront.db import Model, db, insert_once, transaction, words
from storefront.languages import said
from storefront.shop import counter, customers, inventory, ledger
from storefront.shop.catalog import Item
from storefront.shop.catalog_file import ITEM_ID
from storefront.shop.counter import Purchase, Turn
from storefront.shop.customers import Customer
from storefront.shop.inventory import Grant
from storefront.shop.ledger import About, Entry, Kind

CAUSE_LENGTH, REASON_LENGTH, NAME_LENGTH = 80, 200, 64
MOST = 99  # pieces at a time: more is a slip
UNDER_WAY = timedelta(minutes=1)  # longer than any answer takes
MOST_PAID = 10_000_000  # in whatever unit: more is a slip, too
ANY = "any"


class Act(StrEnum):
    GIVEN = "given"
    TAKEN = "taken"
    STRUCK = "struck"


class Correction(Model):
    """One act, with who did it and why; grant and entry have its key."""

    __tablename__ = "correction"

    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    act: Mapped[Act] = mapped_column(words(Act))
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    item_id: Mapped[str | None] = mapped_column(ForeignKey("item.id"))
    quantity: Mapped[int]
    channel: Mapped[str] = mapped_column(String(16))  # of the counter in whose book it is
    amount: Mapped[int]
    cause: Mapped[str] = mapped_column(String(CAUSE_LENGTH))
    code: Mapped[str | None] = mapped_column(
        String(CAUSE_LENGTH)
    )  # of the buyer's own purchase, if it is one
    reason: Mapped[str] = mapped_column(String(REASON_LENGTH))
    by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    made_at: Mapped[datetime]
    item: Mapped[Item | None] = relationship()


class Refused(Exception):
    """It was not done; `words` says why."""

    def __init__(self, words: LazyString) -> None:
        super().__init__()
        self.words = words


@dataclass(frozen=True)
class Done:
    """What was done, for which cause, by whom and when."""

    key: str
    quantity: int
    cause: str
    by: str
    at: datetime

    @classmethod
    def of(cls, one: Correction) -> "Done":
        return cls(one.key, one.quantity, one.cause, one.by, one.made_at)


class DoneBefore(Exception):
    """For this cause it was done already."""

    def __init__(self, first: Done) -> None:
        super().__init__(first.key)
        self.first = first


class AnotherBefore(Exception):
    """The same was done with this item, for a cause that is written otherwise; it may be the same one."""

    def __init__(self, before: Done) -> None:
        super().__init__(before.key)
        self.before = before


UNSAID = _("Say who you are, what it is for, and why.")
TOO_LONG = _("That is too long: shorten name, case or reason.")
OUT_OF_RANGE = _("Write a number of pieces from 1 to 99, and an amount of 0 or more.")
NO_ITEM = _("There is no such item.")
NO_COUNTER = _("No counter of that name sells to this buyer.")
TOO_FEW = _("This buyer does not hold so many. Nothing was taken.")
NO_ENTRY = _("There is no such entry, or its amount is 0.")
UNDONE = _("This was undone already: nothing of it is left in the book.")
DELIVERED = _("The goods of this purchase were delivered. For something else, name another case.")
OPEN = _("This purchase may still complete by itself. Wait until it is too old for that, then give.")
STATES: Mapping[Act, LazyString] = {
    Act.GIVEN: _("Given by the shop"),
    Act.TAKEN: _("Taken back by the shop"),
}

log = structlog.get_logger()


@dataclass(frozen=True)
class Note:
    """Who puts something right, for which cause, and why."""

    by: str
    cause: str
    reason: str

    @classmethod
    def read(cls, by: str, cause: str, reason: str) -> "Note":
        """What was written, if all of it was; or Refused."""
        note = cls(*(" ".join(text.split()) for text in (by, cause, reason)))
        if not all(text and text.isprintable() for text in (note.by, note.cause, note.reason)):
            raise Refused(UNSAID)
        lengths = ((note.by, NAME_LENGTH), (note.cause, CAUSE_LENGTH), (note.reason, REASON_LENGTH))
        if any(len(text) > longest for text, longest in lengths):
            raise Refused(TOO_LONG)
        return note


def give(
    customer: Customer,
    item_id: str,
    note: Note,
    now: datetime,
    *,
    quantity: int = 1,
    channel: str = "",
    amount: int = 0,
    beside: str | None = None,
) -> Correction:
    """Give so many of an item, once for its cause; `amount` is what its buyer has paid for them.

    It is entered at the counter of this channel, or at the one by which the buyer comes in. If some were
    given before, `beside` is the key of the newest of those, or ANY of them. Raises Refused, DoneBefore
    and AnotherBefore.
    """
    if not (1 <= quantity <= MOST and 0 <= amount <= MOST_PAID):
        raise Refused(OUT_OF_RANGE)
    return _move(Act.GIVEN, customer, item_id, quantity, note, now, channel, amount, beside)


def take(
    customer: Customer,
    item_id: str,
    note: Note,
    now: datetime,
    *,
    quantity: int = 1,
    channel: str = "",
    beside: str | None = None,
) -> Correction:
    """Take so many of an item that the customer holds, once for its cause; otherwise as `give`."""
    if not 1 <= quantity <= MOST:
        raise Refused(OUT_OF_RANGE)
    return _move(Act.TAKEN, customer, item_id, -quantity, note, now, channel, 0, beside)


def strike(customer_id: int, entry_id: int, note: Note, now: datetime) -> Correction:
    """Strike an entry of this customer's out of the book by one against it, once; goods stay where they are.

    Raises Refused and DoneBefore.
    """
    with transaction() as session:
        customers.hold(session, customer_id)
        entry = session.get(Entry, entry_id)
        if entry is None or entry.customer_id != customer_id or not entry.amount or entry.kind is Kind.STRUCK:
            raise Refused(NO_ENTRY)
        key = _key(Act.STRUCK, customer_id, f"entry {entry_id}")
        channel, amount = entry.channel, -entry.amount
        struck = _kept(session, Act.STRUCK, key, customer_id, note, now, channel=channel, amount=amount)
        of, about = entry.of or entry.key, About(entry.item_id, entry.device)
        if entry.amount > ledger.left(session, customer_id, of):
            raise Refused(UNDONE)
        who, unit, kind = customer_id, entry.unit, Kind.STRUCK
        ledger.record(session, who, kind, amount, unit, key, now, channel=channel, of=of, about=about)
    return _told(struck)


def may_complete(begun: datetime, longest: timedelta, now: datetime) -> bool:
    """Whether a purchase that is good for so long may complete yet, or has just been asked to."""
    return now - begun <= longest + UNDER_WAY


def whose(key: str) -> int | None:
    """The customer for whom this was done."""
    return db.session.scalar(select(Correction.customer_id).filter_by(key=key))


def newest(customer_id: int, most: int) -> Sequence[Correction]:
    """The newest of a customer's corrections."""
    mine = select(Correction).where(Correction.customer_id == customer_id)
    return db.session.scalars(mine.order_by(Correction.made_at.desc(), Correction.key).limit(most)).all()


def turns(customer: Customer, code: str) -> Sequence[Turn]:
    """What was given and taken by hand for a purchase of theirs, as one reads it there."""
    mine = select(Correction).where(Correction.customer_id == customer.id, Correction.code == code)
    made = db.session.scalars(mine.where(Correction.act != Act.STRUCK).order_by(Correction.made_at))
    return [Turn(STATES[one.act], one.made_at) for one in made]


def purchases(customer: Customer, most: int, language: str) -> Sequence[Purchase]:
    """What was given and taken by hand, as the buyer sees it in the history."""
    mine = select(Correction).where(Correction.customer_id == customer.id, Correction.act != Act.STRUCK)
    shown = mine.order_by(Correction.made_at.desc(), Correction.key).limit(most)
    return [_purchase(one, language) for one in db.session.scalars(shown)]


def _move(
    act: Act,
    customer: Customer,
    item_id: str,
    quantity: int,
    note: Note,
    now: datetime,
    channel: str,
    amount: int,
    beside: str | None,
) -> Correction:
    seller = _counter(customer, channel or customer.channel)
    is_own = any(one.whose(note.cause) == customer.id for one in counter.counters())
    code = note.cause if is_own else None
    key = _key(act, customer.id, f"{item_id}:{note.cause}")
    if act is Act.GIVEN:
        _check_barred(note.cause, now)
    with transaction() as session:
        if not ITEM_ID.fullmatch(item_id) or session.get(Item, item_id) is None:
            raise Refused(NO_ITEM)
        values = {"item_id": item_id, "quantity": abs(quantity), "code": code}
        made = _kept(
            session, act, key, customer.id, note, now, channel=seller.channel, amount=amount, **values
        )
        if not inventory.put_right(session, customer.id, item_id, quantity, key, now):
            raise Refused(TOO_FEW)
        _check_another(session, made, beside)
        kind, unit, about = Kind(act.value), seller.unit.code, About(item_id)
        ledger.record(session, customer.id, kind, amount, unit, key, now, channel=seller.channel, about=about)
    return _told(made)


def _check_barred(code: str, now: datetime) -> None:
    for one in counter.counters():
        why = one.bars(code, now)
        if why is not None:
            raise Refused(why)


def _check_another(session: Session, made: Correction, beside: str | None) -> None:
    """Whoever holds the customer sees what another has done meanwhile; two hosts' clocks may differ."""
    alike = select(Correction).filter_by(act=made.act, customer_id=made.customer_id, item_id=made.item_id)
    others = alike.where(Correction.key != made.key).join(Grant, Grant.key == Correction.key)
    newest = session.scalars(others.order_by(Grant.id.desc()).limit(1)).first()
    if newest is not None and beside not in (ANY, newest.key):
        raise AnotherBefore(Done.of(newest))


def _counter(customer: Customer, channel: str) -> counter.Counter:
    found = (one for one in counter.counters() if one.channel == channel and one.serves(customer.channel))
    seller = next(found, None)
    if seller is None:
        raise Refused(NO_COUNTER)
    return seller


def _kept(
    session: Session, act: Act, key: str, customer_id: int, note: Note, now: datetime, **more: object
) -> Correction:
    """Keep it, unless it is kept already; whoever comes second hears who was first."""
    values = {"act": act, "customer_id": customer_id, "made_at": now, "quantity": 0, **vars(note), **more}
    new = insert_once(session, Correction, key=key, **values)
    correction = session.get_one(Correction, key)
    if not new:
        raise DoneBefore(Done.of(correction))
    return correction


def _told(done: Correction) -> Correction:
    """What is committed is in the log."""
    facts = {"act": done.act.value, "key": done.key, "customer": done.customer_id, "item": done.item_id}
    log.warning("put right by hand", **facts, by=done.by)
    return done


def _key(act: Act, customer_id: int, cause: str) -> str:
    """The same for the same cause, so that the database refuses it twice."""
    return f"hand:{sha256(f'{act.value} {customer_id} {cause}'.encode()).hexdigest()[:32]}"


def _purchase(one: Correction, language: str) -> Purchase:
    return Purchase(
        code=one.key,
        channel=one.channel,
        item_id=one.item_id or "",
        item_name=said(one.item.names, language) if one.item else "",
        amount=one.amount,
        state=one.act.value,
        at=one.made_at,
        by_hand=STATES[one.act],
        quantity=one.quantity,
        of=one.code or "",
    )
