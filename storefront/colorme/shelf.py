"""What a shop owner may have of the shelf: options at once, metered pieces on account by plan."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from flask_babel import LazyString
from flask_babel import lazy_gettext as _

from storefront.colorme import calendar, charges, contracts, plans, usage
from storefront.colorme.amounts import rate_on, with_tax
from storefront.colorme.contracts import Contract
from storefront.colorme.periods import Period
from storefront.colorme.plan_file import Plan
from storefront.colorme.plan_page import trial_left
from storefront.colorme.settings import NAME
from storefront.shop import catalog
from storefront.shop.catalog import Offer
from storefront.shop.catalog_file import PriceRule
from storefront.shop.visits import Visit

ON_NO_PLAN = _("It is sold on no plan at present.")
NOT_BY_USE = _("It is taken on account, on plans that are charged by use. Yours is not one of them.")
NOT_NOW = _("It cannot be taken on account at this moment.")
IN_TRIAL = _("It is taken on account, and not during the free trial.")


@dataclass(frozen=True)
class OnPlan:
    """A contract, the plan as it is offered, and the free days left, that day among them."""

    contract: Contract
    plan: Plan | None
    trial_left: int | None


@dataclass(frozen=True)
class BeforeTax(PriceRule):
    """Its limits are those of what stands in the catalogue, whatever tax is asked with it."""

    def forbids(self, amount: int, on: date) -> str:
        return "" if self.minimum <= amount <= self.maximum else f"{amount} is not within {self}"


def asked(yen: int, on: date) -> int:
    """What a button says: with tax, at the rate of the calendar's day."""
    return with_tax(yen, rate_on(calendar.today()))


def is_metered(offer: Offer) -> bool:
    """Whether a press takes it on account, in place of points."""
    return offer.item.id in plans.current().metered


def counted_to(customer_id: int) -> Period | None:
    """The period of a piece that this owner takes on account now."""
    contract = contracts.standing(customer_id)
    return usage.counted_to(contract, calendar.now()) if contract else None


def on_plan(customer_id: int) -> OnPlan | None:
    """What an owner is to know before the goods: which plan, and how long it is free."""
    contract = contracts.standing(customer_id)
    if contract is None:
        return None
    plan = plans.find(contract.plan_id)
    return OnPlan(contract, plan, trial_left(contract, calendar.today()))


def means(here: Visit, item_id: str) -> str:
    """What a press comes to: at once or on account, under which contract, and whether it is one more."""
    contract, offer = contracts.standing(here.customer.id), catalog.offer(item_id, NAME)
    kind = "usage" if item_id in plans.current().metered else "option"
    again = "again" if offer and is_had_by(offer, here.customer.id) else ""
    return f"{kind}:{contract.id if contract else ''}:{again}"


def is_had_by(offer: Offer, customer_id: int) -> bool:
    """Whether a press buys one more of what is for keeps, which the page must say."""
    return not offer.item.consumable and charges.are_charged(customer_id, offer.item.id)


def withheld(customer_id: int, item_ids: Collection[str]) -> Mapping[str, LazyString]:
    """Which of these items this owner cannot have now, and why."""
    contract, offered = contracts.standing(customer_id), plans.current()
    today = calendar.today()
    options = {option.item for option in offered.options.values()}
    metered = set(item_ids) & offered.metered
    reason = _against_usage(contract, today)
    said = {item_id: reason for item_id in metered if reason}
    return {**dict.fromkeys(set(item_ids) - options - metered, ON_NO_PLAN), **said}


def _against_usage(contract: Contract | None, today: date) -> LazyString | None:
    if contract is None or not contract.form.has_usage:
        return NOT_BY_USE
    if usage.may_take(contract, today):
        return None
    return IN_TRIAL if contract.in_trial(today) else NOT_NOW
