"""The door of mobile phones: signed page requests of the container. The other devices have `starts`."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

import structlog
from flask import Request, request

from storefront import clock
from storefront.mixi import payments, questions, taps
from storefront.mixi.channel import NAME, channel
from storefront.mixi.signing import BadSignature, Malformed, Signed, header_pairs, is_opaque
from storefront.shop import customers, visit
from storefront.shop.counter import FalseClaim, Message
from storefront.shop.customers import Customer
from storefront.shop.devices import Device
from storefront.shop.visits import Visit

START = f"{NAME}.start"
METHODS = ("GET", "POST")  # the container keeps the phone's, and phones have these (spec: process flow)
SCHEME = "oauth"  # of an Authorization header of the container's
KEY = "oauth_consumer_key"
CLAIMS = ("opensocial_app_id", "opensocial_owner_id")

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


def address() -> str:
    """Where the app is opened at mixi."""
    return channel().app_url


def recognise() -> Visit | None:
    """Who is looking, if the request claims to come from the container; or FalseClaim."""
    return _from_container() if is_from_container(request) else None


def is_from_container(asked: Request) -> bool:
    """Whether a request claims to come through the mobile container; a start address makes like claims."""
    if asked.endpoint == START:
        return False
    said = parse_qsl(asked.query_string.decode("latin-1"), keep_blank_values=True)
    keys = [*_keys(asked.headers.get("Authorization", "")), *(value for name, value in said if name == KEY)]
    # Who names a key says whose they are: other platforms sign with theirs, and in the same way.
    return channel().consumer.key in keys if keys else any(name in CLAIMS for name, _ in said)


def messages(customer: Customer) -> Sequence[Message]:
    return taps.messages(customer, clock.now())


def refresh(customer: Customer) -> None:
    questions.refresh(channel(), customer.id, clock.now())


def _keys(authorization: str) -> Sequence[str]:
    """The consumer key that a header names; none if it is in another scheme, such as a proxy's password."""
    if authorization.partition(" ")[0].lower() != SCHEME:
        return ()
    try:
        return [value for name, value in header_pairs(authorization) if name == KEY]
    except BadSignature:
        return ()


def _from_container() -> Visit:
    mixi = channel()
    if request.method not in METHODS:
        raise FalseClaim
    try:
        owner_id = _owner(mixi.verify(request, clock.now()), mixi.app_id)
    except (BadSignature, Malformed) as refusal:
        log.warning("page refused", reason=str(refusal))
        raise FalseClaim from refusal
    customer = customers.identify(NAME, owner_id, clock.now())
    links = ContainerLinks(mixi.container_url)
    return Visit(customer, Device.MOBILE, links, visit.asked_language())


def _owner(signed: Signed, app_id: str) -> str:
    if signed.one("opensocial_app_id") != app_id:
        raise Malformed("opensocial_app_id is another application's")
    owner_id = signed.one("opensocial_owner_id")
    if not is_opaque(owner_id, payments.OWNER_LENGTH):
        raise Malformed("opensocial_owner_id is no id")
    return owner_id
