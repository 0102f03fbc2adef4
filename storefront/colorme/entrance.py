"""The entrance of shop owners, as the shop sees it: they come in by `starts`, and go on with its visit."""

from collections.abc import Sequence

from storefront.colorme import contracts, installs
from storefront.colorme.channel import channel
from storefront.shop.counter import Message
from storefront.shop.customers import Customer
from storefront.shop.visit import Stranger
from storefront.shop.visits import Visit


def address() -> str:
    """Where an owner comes in."""
    return channel().start_url


def recognise() -> Visit | None:
    """No request says by itself whose it is."""
    return None


def refresh(customer: Customer) -> None:
    """Where the store has not said whether the app was removed, it is asked; Stranger, if it was."""
    contract = contracts.standing(customer.id)
    if contract and contract.asked_to_go_at:
        installs.see(contract)
    if contracts.standing(customer.id) is None:
        raise Stranger


def messages(customer: Customer) -> Sequence[Message]:
    return ()
