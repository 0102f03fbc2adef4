"""Options as their buyer sees them in the history, in this counter's words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from flask_babel import LazyString
from flask_babel import lazy_gettext as _

from storefront.colorme import charges
from storefront.colorme.charges import Charge
from storefront.colorme.intents import State, abandoned
from storefront.colorme.settings import NAME
from storefront.shop.counter import Purchase, Turn
from storefront.shop.customers import Customer

STATES: Mapping[str, LazyString] = {
    State.CHARGED: _("Bought"),
    State.DECLINED: _("Not bought"),
    State.UNKNOWN: _("Not known yet"),
    State.INTENDED: _("Being charged"),
}
BEGUN = _("You pressed the button.")
TURNS = {
    State.CHARGED: _("The store took the points, and the item came into your bag."),
    State.DECLINED: _("The store took no points."),
    State.UNKNOWN: _("The store has not answered. We look it up."),
    State.INTENDED: _("The store is being asked."),
}
MOST = 20
NOT_CHARGED = _("Nothing was charged.")
LOOKED_UP = _("Color Me has not said whether it was charged. We look it up, and charge nothing again.")


def newest(customer: Customer, most: int) -> Sequence[Purchase]:
    return [shown(charge) for charge in charges.newest(customer, most)]


def purchase(customer: Customer, code: str) -> Purchase | None:
    """A customer's own option, with what became of it."""
    charge = charges.find(customer.id, code)
    return replace(shown(charge), course=list(_course(charge))) if charge else None


def in_doubt(customer: Customer) -> Sequence[Purchase]:
    """Those of the newest that nobody knows yet whether they were charged."""
    return [one for one in newest(customer, MOST) if one.in_doubt]


def state(charge: Charge) -> State:
    """Where it stands; without an answer after all its time it is unknown."""
    lost = charge.state is State.INTENDED and charge.sent_at < abandoned()
    return State.UNKNOWN if lost else charge.state


def shown(charge: Charge) -> Purchase:
    """A charge as its buyer sees it."""
    stands = state(charge)
    return Purchase(
        code=charge.code,
        channel=NAME,
        item_id=charge.item_id,
        item_name=charge.item_name,
        amount=charge.taken,
        is_test=charge.is_test,
        state=stands.value,
        at=charge.made_at,
        unfinished=NOT_CHARGED if stands is State.DECLINED else None,
        notes=[LOOKED_UP] if stands is State.UNKNOWN else [],
        in_doubt=stands is State.UNKNOWN,
    )


def _course(charge: Charge) -> Iterator[Turn]:
    stands = state(charge)
    settled = stands in (State.CHARGED, State.DECLINED)
    yield Turn(BEGUN, charge.made_at)
    yield Turn(TURNS[stands], charge.made_at if settled else None)
