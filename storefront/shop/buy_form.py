"""The buy form: bound to its buyer, its counter, its item, its price and what a press comes to.

A counter sells to nobody whose form was not accepted here.
"""

from flask import request
from werkzeug.exceptions import NotFound

from storefront import clock
from storefront.shop import counter, form_tokens, limits, visit
from storefront.shop.catalog import Offer
from storefront.shop.visits import Visit


def seal(here: Visit, offer: Offer, carries: str = "") -> str:
    """A token for the form with which this visitor takes this offer."""
    return form_tokens.seal(here.customer.id, _purpose(here, offer), carries)


def sent() -> str:
    """The nonce of the form that was sent, or StaleForm; says nothing of whether it may still be bought."""
    return form_tokens.nonce(request.form.get("token", ""))


def accept(here: Visit, offer: Offer) -> str:
    """The same, if it is this visitor's for this offer, who may begin to buy it now.

    Raises StaleForm, NotForSale or Withheld, and NotFound at a counter that does not serve this visitor.
    """
    if not counter.of(offer.price.channel).serves(here.channel):
        raise NotFound
    nonce = form_tokens.unseal(request.form.get("token", ""), here.customer.id, _purpose(here, offer))
    visit.refresh(here)  # what was paid back meanwhile counts for no limit
    limits.check(offer, here.customer.id, here.device, clock.now())
    return nonce


def _purpose(here: Visit, offer: Offer) -> str:
    channel, item_id = offer.price.channel, offer.item.id
    means = counter.of(channel).means(here, item_id)
    return ":".join(filter(None, ["buy", channel, item_id, str(offer.amount), means]))
