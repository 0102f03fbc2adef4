"""Opening the app on its own domain: its start address, signed in our own name in the query."""

import secrets
from urllib.parse import urlencode, urlsplit, urlunsplit

from storefront.mixi import signing
from storefront.sandbox import clock, keys
from storefront.sandbox.application import application, sign_with
from storefront.sandbox.context import Sandbox
from storefront.sandbox.devices import Device
from storefront.sandbox.keys import KeyPair
from storefront.sandbox.language import N_
from storefront.sandbox.wirelog import Exchange, Kind, record


def address(sandbox: Sandbox, device: Device, owner_id: str) -> str:
    """Where the browser of this user goes to open the app on this device, signed now. Another each time."""
    now, pair = clock.now(), key(sandbox, device)
    ids = {
        "opensocial_app_id": sandbox.settings.app_id,
        "opensocial_owner_id": owner_id,
        "opensocial_viewer_id": owner_id,
    }
    timestamp = int(now.timestamp())
    signed = signing.signed_address(
        _with_query(sandbox.settings.start_address(device), urlencode(ids)),
        pair.name,
        pair.private,
        timestamp=timestamp,
        nonce=secrets.token_hex(10),
    )
    record(
        Exchange(
            at=now,
            kind=Kind.START,
            method="GET",
            url=signed,
            base_string=_base_string(signed, pair, timestamp),
            milliseconds=0,
            good=True,
            verdict=N_("Given to the browser; what the app answers it is not seen here."),
        )
    )
    return signed


def key(sandbox: Sandbox, device: Device) -> KeyPair:
    """The key under which the start address of this device is signed now."""
    return keys.keep(sandbox.key_folder, application(sandbox.settings.app_id).key_name(device))


def rotate(sandbox: Sandbox, device: Device) -> None:
    """Sign under a new key from now on. The certificate of the old one stays published."""
    app_id = sandbox.settings.app_id
    old = application(app_id).key_name(device)
    new = keys.keep(sandbox.key_folder, keys.successor(sandbox.key_folder, old))
    sign_with(app_id, device, new.name, instead_of=old)


def _with_query(address: str, more: str) -> str:
    parts = urlsplit(address)
    return urlunsplit(parts._replace(query=f"{parts.query}&{more}" if parts.query else more))


def _base_string(signed: str, pair: KeyPair, timestamp: int) -> str:
    """What was signed. Reading it back catches a slip of ours."""
    parts = urlsplit(signed)
    publisher = signing.Publisher({pair.name: pair.certificate})
    where = urlunsplit(parts._replace(query=""))
    return publisher.verify_address(
        "GET", where, parts.query.encode("ascii"), now=timestamp, window=0
    ).base_string
