"""Kept sums are the entries' own, whatever comes late, goes back or is put right by hand."""

import random
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from storefront import clock
from storefront.db import db, transaction
from storefront.shop import corrections, customers, ledger, sums
from storefront.shop.corrections import ANY, Note
from storefront.shop.customers import Customer
from storefront.shop.day_sums import OURS, PLATFORMS, Calendar
from storefront.shop.devices import Device
from storefront.shop.ledger import About, Entry, Kind
from storefront.shop.sums import Part
from tests.street import HANAKO

pytestmark = pytest.mark.long

FIRST, DAYS = date(2027, 1, 30), 5  # across the end of a month
STEPS = 60

Sums = dict[tuple[str, ...], tuple[int, int]]


@dataclass
class Life:
    """A shop to which things happen, in an order that a seed makes up."""

    customer: Customer
    chance: random.Random
    now: datetime
    number: int = 0

    def sell(self) -> None:
        item, device = self.chance.choice(["loaf", "lantern"]), self.chance.choice([*Device, None])
        amount = self.chance.choice([0, 10, 300])
        kind = Kind.SALE if amount else Kind.TEST
        self._enter(kind, amount, About(item, device, self._platforms_moment()))

    def undo(self) -> None:
        """A void or a refund of some sale, which the platform may have made long ago."""
        sales = db.session.scalars(select(Entry).where(Entry.kind == Kind.SALE)).all()
        if sales:
            sale, kind = self.chance.choice(sales), self.chance.choice([Kind.VOID, Kind.REFUND])
            who, unit, of = self.customer.id, sale.unit, sale.key
            about = About(sale.item_id, sale.device, self._platforms_moment())
            key = self._key()
            with transaction() as session:
                ledger.undo(session, who, kind, unit, key, self.now, channel="mixi", of=of, about=about)

    def put_right(self) -> None:
        case, amount = Note("Umi", self._key(), "lost"), self.chance.choice([0, 10])
        given = corrections.give(self.customer, "loaf", case, self.now, amount=amount, beside=ANY)
        if self.chance.random() < 0.5 and given.amount:
            entry = db.session.scalars(select(Entry).filter_by(key=given.key)).one()
            corrections.strike(self.customer.id, entry.id, case, self.now)

    def wait(self) -> None:
        self.now += timedelta(hours=self.chance.randint(1, 12))

    def look(self) -> None:
        """Some days by some parts, as the page has them and as the entries say, by either's moments."""
        first = FIRST + timedelta(days=self.chance.randint(0, DAYS))
        last = first + timedelta(days=self.chance.randint(0, DAYS))
        by = [part for part in Part if self.chance.random() < 0.5]
        for calendar in (OURS, PLATFORMS):
            found = sums.of(by, first, last, clock.day(self.now), calendar)
            shown = [(_place(one.parts.values(), one.total), one.total) for one in found]
            assert len(shown) == len({place for place, _ in shown})
            assert {place: (total.count, total.amount) for place, total in shown} == entered(
                calendar, by, first, last
            )

    def _enter(self, kind: Kind, amount: int, about: About) -> None:
        key, who = self._key(), self.customer.id
        with transaction() as session:
            ledger.record(session, who, kind, amount, "point", key, self.now, channel="mixi", about=about)

    def _platforms_moment(self) -> datetime | None:
        """Most often just before ours; at times of days before or of tomorrow, or not known."""
        hours = self.chance.choice([None, 0, 0, 0, 7, 24, 72, -3])
        return None if hours is None else self.now - timedelta(hours=hours, seconds=1)

    def _key(self) -> str:
        self.number += 1
        return f"mixi:{self.number}"


def entered(calendar: Calendar, by: Collection[Part], first: date, last: date) -> Sums:
    """The sums as somebody makes them who reads every entry."""
    counts: Counter[tuple[str, ...]] = Counter()
    amounts: Counter[tuple[str, ...]] = Counter()
    for one in db.session.scalars(select(Entry)):
        moment = (one.platform_at or one.entered_at) if calendar is PLATFORMS else one.entered_at
        day = clock.day(moment)
        if first <= day <= last:
            of = {Part.DAY: str(day), Part.ITEM: one.item_id or "", Part.DEVICE: one.device or ""}
            place = _place([of[part] for part in Part if part in by], one)
            counts[place] += 1
            amounts[place] += one.amount
    return {place: (counts[place], amounts[place]) for place in counts}


def _place(parts: Collection[str], one: Entry | ledger.Total) -> tuple[str, ...]:
    return (*parts, one.channel, one.unit, one.kind.value)


@pytest.mark.parametrize("seed", range(4))
def test_they_are_what_the_entries_say(app: Flask, seed: int) -> None:
    """After each step, by our moments and by the platform's, in whatever parts."""
    chance = random.Random(seed)  # noqa: S311  # nobody gains by guessing
    with app.app_context():
        customer = customers.meet("mixi", HANAKO, clock.now())
        life = Life(customer, chance, datetime.combine(FIRST, time(12), clock.JAPAN))
        happen = [life.sell, life.sell, life.undo, life.put_right, life.wait, life.look]
        for _ in range(STEPS):
            chance.choice(happen)()
        life.look()
