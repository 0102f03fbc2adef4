"""Opening the app on its own domain: its start address, signed in our own name, as a link or a form."""

import secrets
from urllib.parse import urlencode, urlsplit, urlunsplit

from storefront.mixi.signing import Publisher
from storefront.sandbox import clock, key_pairs
from storefront.sandbox.application import application, sign_with
from storefront.sandbox.context import Sandbox
from storefront.sandbox.devices import Device
from storefront.sandbox.key_pairs import KeyPair
from storefront.sandbox.language import N_
from storefront.sandbox.signing import signed_address, signed_form
from storefront.sandbox.wirelog import Exchange, Kind, record


def address(sandbox: Sandbox, device: Device, owner_id: str) -> str:
    """Where the browser of this user goes to open the app on this device, signed now. Another each time."""
    registered, pair, timestamp = _now(sandbox, device)
    signed = signed_address(
        _with_query(registered, urlencode(_ids(sandbox, owner_id))),
        pair.name,
        pair.private,
        timestamp=timestamp,
        nonce=secrets.token_hex(10),
    )
    _log("GET", signed, "", pair, timestamp)
    return signed


def form(sandbox: Sandbox, device: Device, owner_id: str) -> tuple[str, dict[str, str]]:
    """The same as a form: where the browser posts it to, and its signed fields.

    So the platform's own sample app takes it, in a frame; that an app on its own domain is opened so is ours.
    """
    registered, pair, timestamp = _now(sandbox, device)
    fields = signed_form(
        registered,
        _ids(sandbox, owner_id),
        pair.name,
        pair.private,
        timestamp=timestamp,
        nonce=secrets.token_hex(10),
    )
    _log("POST", registered, urlencode(fields), pair, timestamp)
    return registered, fields


def key(sandbox: Sandbox, device: Device) -> KeyPair:
    """The key under which the start address of this device is signed now."""
    return key_pairs.keep(sandbox.key_folder, application(sandbox.settings.app_id).key_name(device))


def rotate(sandbox: Sandbox, device: Device) -> None:
    """Sign under a new key from now on. The certificate of the old one stays published."""
    app_id = sandbox.settings.app_id
    old = application(app_id).key_name(device)
    new = key_pairs.keep(sandbox.key_folder, key_pairs.successor(sandbox.key_folder, old))
    sign_with(app_id, device, new.name, instead_of=old)


def _now(sandbox: Sandbox, device: Device) -> tuple[str, KeyPair, int]:
    """Where the app opens on this device, under which key, and when: now."""
    return sandbox.settings.start_address(device), key(sandbox, device), int(clock.now().timestamp())


def _ids(sandbox: Sandbox, owner_id: str) -> dict[str, str]:
    return {
        "opensocial_app_id": sandbox.settings.app_id,
        "opensocial_owner_id": owner_id,
        "opensocial_viewer_id": owner_id,
    }


def _with_query(address: str, more: str) -> str:
    parts = urlsplit(address)
    return urlunsplit(parts._replace(query=f"{parts.query}&{more}" if parts.query else more))


def _log(method: str, url: str, sent: str, pair: KeyPair, timestamp: int) -> None:
    parts = urlsplit(url)
    publisher = Publisher({pair.name: pair.certificate})
    where, query = urlunsplit(parts._replace(query="")), parts.query.encode("ascii")
    # Reading what was signed back gives the base string to show, and catches a slip of ours.
    read = publisher.verify_address(method, where, query, sent.encode("ascii"), now=timestamp, window=0)
    record(
        Exchange(
            at=clock.now(),
            kind=Kind.START,
            method=method,
            url=url,
            base_string=read.base_string,
            sent=sent,
            milliseconds=0,
            good=True,
            verdict=N_("Given to the browser; what the app answers it is not seen here."),
        )
    )
