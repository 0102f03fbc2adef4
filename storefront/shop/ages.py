"""How much buyers under age may spend in a month, where the settings say so."""

from collections.abc import Mapping
from datetime import date, datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from storefront import clock
from storefront.clock import JAPAN
from storefront.config import OLDEST
from storefront.db import transaction
from storefront.shop.customers import Customer
from storefront.shop.ledger import Entry, Kind

PARTS = ("year", "month")


class NotABirthMonth(Exception):
    """Nobody who buys here can have been born then; `part` is what cannot be so."""

    def __init__(self, part: str) -> None:
        super().__init__(part)
        self.part = part


def declare(customer_id: int, year: int, month: int, now: datetime) -> None:
    """Keep the month a buyer says they were born in, once and for good; or NotABirthMonth.

    What could be changed by who is limited by it would limit nobody.
    """
    today = clock.day(now)
    if not today.year - OLDEST <= year <= today.year:
        raise NotABirthMonth("year")
    if not 1 <= month <= 12 or (year, month) > (today.year, today.month):
        raise NotABirthMonth("month")
    with transaction() as session:
        unsaid = update(Customer).where(Customer.id == customer_id, Customer.born.is_(None))
        session.execute(unsaid.values(born=date(year, month, 1)))


def monthly_limit(by_age: Mapping[int, int], born: date, now: datetime) -> int | None:
    """The most that somebody born in this month may spend in a calendar month; None is no limit.

    A year is counted when the month of birth is over, so that nobody counts as older than they are.
    """
    today = clock.day(now)
    age = today.year - born.year - (today.month <= born.month)
    return next((by_age[until] for until in sorted(by_age) if age <= until), None)


def spent(session: Session, customer_id: int, channel: str, now: datetime) -> int:
    """What a customer has bought at a counter since the month began in Japan, less what of it was undone."""
    month = now.astimezone(JAPAN).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    mine = (Entry.customer_id == customer_id, Entry.channel == channel, Entry.entered_at >= month)
    entries = session.execute(select(Entry.kind, Entry.key, Entry.of, Entry.amount).where(*mine)).all()
    bought = {key: amount for kind, key, _, amount in entries if kind in (Kind.SALE, Kind.GIVEN)}
    return sum(bought.values()) + sum(amount for _, _, of, amount in entries if of in bought)
