"""The mobile container's door: a signed page request becomes a visit."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import structlog
from flask import request

from storefront import clock
from storefront.mixi import payments, taps
from storefront.mixi.channel import NAME, channel
from storefront.mixi.signing import BadSignature, Malformed, Signed, is_opaque
from storefront.shop import customers, visit
from storefront.shop.customers import Customer
from storefront.shop.visit import Entrance, Notice, Stranger, Visit

CLAIMS = ("opensocial_app_id", "opensocial_owner_id", "oauth_consumer_key")

log = structlog.get_logger()


@dataclass(frozen=True)
class ContainerLinks:
    """Inside the container every address of ours travels in its `url` parameter."""

    container_url: str
    added = frozenset({"opensocial_app_id", "opensocial_owner_id"})

    def in_page(self, address: str) -> str:
        return f"?guid=ON&url={quote(address, safe='')}"

    def in_redirect(self, address: str) -> str:
        return self.container_url + self.in_page(address)


def entrance() -> Entrance:
    return Entrance(NAME, "mixi", channel().container_url, recognise, payments.purchases, _notices, _refresh)


def recognise() -> Visit | None:
    """The visit behind a page request of the container; nothing if it makes no such claim."""
    if "Authorization" not in request.headers and not request.args.keys() & set(CLAIMS):
        return None
    mixi = channel()
    try:
        owner_id = _owner(mixi.verify(request, clock.now()), mixi.app_id)
    except (BadSignature, Malformed) as refusal:
        log.warning("page refused", reason=str(refusal))
        raise Stranger(forged=True) from refusal
    customer = customers.identify(NAME, owner_id, clock.now())
    return Visit(customer, NAME, ContainerLinks(mixi.container_url), visit.asked_language())


def _owner(signed: Signed, app_id: str) -> str:
    if signed.one("opensocial_app_id") != app_id:
        raise Malformed("opensocial_app_id is another application's")
    owner_id = signed.one("opensocial_owner_id")
    if not is_opaque(owner_id, payments.OWNER_LENGTH):
        raise Malformed("opensocial_owner_id is no id")
    return owner_id


def _notices(customer: Customer) -> Sequence[Notice]:
    return taps.notices(customer, clock.now())


def _refresh(customer: Customer, thorough: bool) -> None:
    payments.refresh(channel(), customer.id, clock.now(), confirmed_too=thorough)
