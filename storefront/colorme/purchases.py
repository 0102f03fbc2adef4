"""Options as their buyer sees them in the history, in this counter's words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from flask_babel import LazyString
from flask_babel import lazy_gettext as _

from storefront.colorme import charges, contracts
from storefront.colorme.charges import Charge
from storefront.colorme.contracts import Contract, Reason
from storefront.colorme.intents import State, abandoned
from storefront.colorme.settings import NAME
from storefront.db import db
from storefront.shop import corrections
from storefront.shop.counter import Purchase, Step, Turn
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
ENDED: Mapping[Reason, LazyString] = {
    Reason.BY_SHOP_OWNER: _("by the shop owner"),
    Reason.BY_UNPAID: _("by the store, since it was not paid"),
    Reason.BY_APP: _("from our plan page"),
    Reason.REPLACED: _("replaced by a later install"),
    Reason.NOT_FOUND: _("the store did not know it any more"),
    Reason.NEVER_MADE: _("the store threw its install away"),
}
TO_RESOLVE = _("Nobody knows yet whether it was charged. Resolve it on the page of this counter.")
MOST = 20
NOT_CHARGED = _("Nothing was charged.")
LOOKED_UP = _("Color Me has not said whether it was charged. We look it up, and charge nothing again.")


def newest(customer: Customer, most: int) -> Sequence[Purchase]:
    return [shown(charge) for charge in charges.newest(customer, most)]


def purchase(customer: Customer, code: str) -> Purchase | None:
    """A customer's own option, with what became of it."""
    charge = charges.find(customer.id, code)
    return replace(shown(charge), course=list(_course(charge))) if charge else None


def whose(code: str) -> int | None:
    """The customer whose option or contract has this code."""
    contract = db.session.get(Contract, code)
    return contract.customer_id if contract else charges.whose(code)


def bars(code: str, now: datetime) -> LazyString | None:
    """Why nothing may be given by hand for an option: it was delivered, or a person has to resolve it."""
    charge = db.session.get(Charge, code)
    if charge is None or charge.state is State.DECLINED:
        return None
    return corrections.DELIVERED if charge.state is State.CHARGED else TO_RESOLVE


def steps(customer_id: int, most: int) -> Iterator[Step]:
    """What the operator should know: contracts, and the newest options."""
    for contract in contracts.of(customer_id, most):
        yield Step(contract.arrived_at, _("Installed"), code=contract.id, notes=[contract.plan_id])
        if contract.ended_at:
            why = [ENDED[contract.reason]] if contract.reason else []
            yield Step(contract.ended_at, _("The contract ended"), code=contract.id, notes=why)
    for charge in charges.of(customer_id, most):
        yield Step(
            charge.made_at,
            _("Option asked for"),
            f"{NAME}:{charge.code}",
            charge.code,
            charge.item_id,
            charge.yen,
            NAME,
            [STATES[state(charge)], charge.answer],
        )


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
