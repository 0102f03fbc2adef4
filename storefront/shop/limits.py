"""What may be sold to whom now: shown on the page, and enforced where the sale is made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from math import inf
from typing import Any, cast

from flask_babel import LazyString
from flask_babel import lazy_gettext as _
from sqlalchemy import Row, Table, bindparam, exists, select
from sqlalchemy.orm import Session

from storefront.config import settings
from storefront.db import db
from storefront.shop import ages, counter, customers, inventory
from storefront.shop.catalog import Item, Offer, Price
from storefront.shop.customers import Customer
from storefront.shop.devices import Device


class Reason(StrEnum):
    SOLD_OUT = "sold_out"
    LIMIT_REACHED = "limit_reached"
    NOT_YET = "not_yet"
    OVER = "over"
    STOPPED = "stopped"  # the shop sells nothing
    ELSEWHERE = "elsewhere"  # too dear for this device
    AGE_UNKNOWN = "age_unknown"
    AGE_LIMIT = "age_limit"
    WITHDRAWN = "withdrawn"  # from the catalogue, or from this channel
    PAUSED = "paused"  # by the operator, this item alone
    EXPIRED = "expired"  # the payment is older than it may be


CALLED: Mapping[Reason, LazyString] = {  # to the operator; buyers are told what it means for them
    Reason.SOLD_OUT: _("sold out"),
    Reason.LIMIT_REACHED: _("as many as one person may"),
    Reason.NOT_YET: _("not yet on sale"),
    Reason.OVER: _("the sale is over"),
    Reason.STOPPED: _("nothing was sold at all"),
    Reason.ELSEWHERE: _("too dear for this device"),
    Reason.AGE_UNKNOWN: _("month of birth not said"),
    Reason.AGE_LIMIT: _("too much in a month at this age"),
    Reason.WITHDRAWN: _("withdrawn"),
    Reason.PAUSED: _("paused"),
    Reason.EXPIRED: _("begun too long ago"),
}


class NotForSale(Exception):
    """The item cannot be sold to this customer now; `reason` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Withheld(Exception):
    """The counter does not sell the item to this customer now; says why in its own words."""

    def __init__(self, words: LazyString) -> None:
        super().__init__()
        self.words = words


@dataclass(frozen=True)
class Standing:
    """How an item stands with a customer: what is left, how many they may still buy, what forbids it.

    `withheld` is what its counter has against it, in that one's words.
    """

    left: int | None
    allowed: int | None
    reason: Reason | None
    withheld: LazyString | None = None


Limits = Item | Row[*tuple[Any, ...]]

_item, _price = (cast(Table, model.__table__) for model in (Item, Price))
# Built once, since it stands in the way of every sale. Whoever would change the catalogue waits for the
# sale that has read it, and the other way round.
LIMITS = (
    select(
        _item.c.withdrawn,
        _item.c.paused,
        _item.c.stock,
        _item.c.per_customer,
        _item.c.on_sale_from,
        _item.c.on_sale_until,
        exists()
        .where(_price.c.item_id == _item.c.id, _price.c.channel == bindparam("channel"))
        .label("priced"),
    )
    .where(_item.c.id == bindparam("item_id"))
    .with_for_update(read=True, key_share=True)
)


def enforce(
    session: Session,
    item_id: str,
    customer_id: int,
    amount: int,
    now: datetime,
    *,
    channel: str,
    is_test: bool = False,
) -> None:
    """Raise NotForSale unless one more may be sold; call it before the grant, in the sale's transaction.

    Whoever comes first holds the item's tally and the customer's row until the commit, so that several
    payment screens, open at once, are counted one after the other. `amount` is the price, of a test, too.
    """
    item = session.execute(LIMITS, {"item_id": item_id, "channel": channel}).one()
    if item.withdrawn or not item.priced:
        raise NotForSale(Reason.WITHDRAWN)
    sold = bought = 0
    if item.stock is not None:
        sold = inventory.hold_sold(session, item_id, is_test=is_test)
    if item.per_customer is not None or age_limits(channel):
        customers.hold(session, customer_id)
    if item.per_customer is not None:
        bought = inventory.bought(session, customer_id, [item_id], is_test=is_test).get(item_id, 0)
    reason = _counted(item, sold, bought, now).reason or _age(session, customer_id, channel, now)(amount)
    if reason:
        raise NotForSale(reason)


def check(offer: Offer, customer_id: int, device: Device, now: datetime) -> None:
    """Raise NotForSale or Withheld if this customer should not even start; what counts is `enforce`."""
    found = standing(offer, customer_id, device, now)
    if found.reason:
        raise NotForSale(found.reason)
    if found.withheld:
        raise Withheld(found.withheld)


def standing(offer: Offer, customer_id: int, device: Device, now: datetime) -> Standing:
    """How one offer stands with a customer on a device."""
    return standings([offer], offer.price.channel, customer_id, device, now)[offer.item.id]


def standings(
    offers: Sequence[Offer], channel: str, customer_id: int, device: Device, now: datetime
) -> dict[str, Standing]:
    """How each item of a channel stands with a customer, by item id; asks only about items with limits."""
    session, items = db.session(), [offer.item for offer in offers]
    sold = inventory.sold(session, [item.id for item in items if item.stock is not None])
    limited = [item.id for item in items if item.per_customer is not None]
    bought = inventory.bought(session, customer_id, limited)
    by_age = _age(session, customer_id, channel, now)
    seller = counter.of(channel)
    most, withheld = seller.most.get(device, inf), seller.withholds(customer_id, [item.id for item in items])

    def one(offer: Offer) -> Standing:
        item, amount = offer.item, offer.amount
        counted = _counted(item, sold.get(item.id, 0), bought.get(item.id, 0), now)
        dear = Reason.ELSEWHERE if amount > most else None
        stopped = None if settings().selling else Reason.STOPPED
        reason = stopped or counted.reason or dear or by_age(amount)
        return replace(counted, reason=reason, withheld=withheld.get(item.id))

    return {offer.item.id: one(offer) for offer in offers}


def age_limits(channel: str) -> Mapping[int, int]:
    """What buyers under age may spend in this channel in a month."""
    return settings().under_age_limits if counter.of(channel).ages_count else {}


def _counted(item: Limits, sold: int, bought: int, now: datetime) -> Standing:
    """How an item's own limits stand, so many of it being sold, and bought by this customer."""
    left = None if item.stock is None else max(0, item.stock - sold)
    allowed = None if item.per_customer is None else max(0, item.per_customer - bought)
    return Standing(left, allowed, _reason(item, left, allowed, now))


def _reason(item: Limits, left: int | None, allowed: int | None, now: datetime) -> Reason | None:
    if item.paused:
        return Reason.PAUSED
    if item.on_sale_from and now < item.on_sale_from:
        return Reason.NOT_YET
    if item.on_sale_until and now >= item.on_sale_until:
        return Reason.OVER
    if left == 0:
        return Reason.SOLD_OUT
    if allowed == 0:
        return Reason.LIMIT_REACHED
    return None


def _age(session: Session, customer_id: int, channel: str, now: datetime) -> Callable[[int], Reason | None]:
    """What a buyer's age has against one more amount this month; whoever has not said theirs cannot buy."""
    by_age = age_limits(channel)
    if not by_age:
        return lambda amount: None
    born = session.scalar(select(Customer.born).filter_by(id=customer_id))
    if born is None:
        return lambda amount: Reason.AGE_UNKNOWN
    most = ages.monthly_limit(by_age, born, now)
    if most is None:
        return lambda amount: None
    room = most - ages.spent(session, customer_id, channel, now)
    return lambda amount: Reason.AGE_LIMIT if amount > room else None
