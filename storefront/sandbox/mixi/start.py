"""Opening the app on its own domain: its start address, signed in our own name, as a link or a form."""

import secrets
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from storefront.languages import DEFAULT_LANGUAGE
from storefront.mixi.signing import Publisher
from storefront.sandbox import clock, key_pairs, stage, weather
from storefront.sandbox.context import Sandbox
from storefront.sandbox.devices import Device
from storefront.sandbox.happened import Name
from storefront.sandbox.happenings import line
from storefront.sandbox.key_pairs import KeyPair
from storefront.sandbox.language import N_, language
from storefront.sandbox.people import User
from storefront.sandbox.signing import signed_address, signed_form
from storefront.sandbox.stage import Stage
from storefront.sandbox.wirelog import Exchange, Kind, record


def address(sandbox: Sandbox, on: Stage, device: Device, user: User) -> str:
    """Where the browser of this user goes to open the app on this device, signed now. Another each time."""
    registered, pair, timestamp, weathered = _now(sandbox, on, device, user)
    signed = signed_address(
        _with_query(registered, urlencode({**spoken(), **_ids(sandbox, user)})),
        pair.name,
        pair.private,
        timestamp=timestamp,
        nonce=secrets.token_hex(10),
    )
    _log("GET", signed, "", pair, timestamp, user, weathered)
    return signed


def form(sandbox: Sandbox, on: Stage, device: Device, user: User) -> tuple[str, dict[str, str]]:
    """The same as a form: where the browser posts it to, and its signed fields.

    So the platform's own sample app takes it, in a frame; that an app on its own domain is opened so is ours.
    """
    registered, pair, timestamp, weathered = _now(sandbox, on, device, user)
    fields = signed_form(
        registered,
        _ids(sandbox, user),
        pair.name,
        pair.private,
        timestamp=timestamp,
        nonce=secrets.token_hex(10),
    )
    _log("POST", registered, urlencode(fields), pair, timestamp, user, weathered)
    return registered, fields


def spoken() -> dict[str, str]:
    """What the first address of the app has to say about the language: nothing of the usual one."""
    return {} if language() == DEFAULT_LANGUAGE else {"lang": language()}


def in_language(page: str) -> str:
    """A page of the app, in the language of this browser; one whose address says a language keeps it."""
    is_said = "lang" in parse_qs(urlsplit(page).query)
    return page if is_said or not spoken() else _with_query(page, urlencode(spoken()))


def key(sandbox: Sandbox, on: Stage, device: Device) -> KeyPair:
    """The key under which the start address of this device is signed now on this stage."""
    return key_pairs.keep(sandbox.key_folder, on.key_name(device))


def rotate(sandbox: Sandbox, on: Stage, device: Device) -> None:
    """Sign under a new key from now on. The certificate of the old one stays published for a while."""
    old = on.key_name(device)
    new = key_pairs.keep(sandbox.key_folder, key_pairs.successor(sandbox.key_folder, old))
    stage.sign_with(on, device, new.name, instead_of=old)
    key_pairs.tidy(sandbox.key_folder, key_pairs.START_NAMES[device], stage.keys_used(device))


def _now(sandbox: Sandbox, on: Stage, device: Device, user: User) -> tuple[str, KeyPair, int, str]:
    """Where the app opens on this device, under which key, when it is now, and by what weather."""
    skew = weather.take(on, "clock.skew", user.owner_id)
    timestamp = int(clock.now().timestamp()) + ((skew and skew.seconds) or 0)
    return (
        sandbox.settings.start_address(device),
        key(sandbox, on, device),
        timestamp,
        skew.kind if skew else "",
    )


def _ids(sandbox: Sandbox, user: User) -> dict[str, str]:
    return {
        "opensocial_app_id": sandbox.settings.app_id,
        "opensocial_owner_id": user.owner_id,
        "opensocial_viewer_id": user.owner_id,
    }


def _with_query(address: str, more: str) -> str:
    parts = urlsplit(address)
    return urlunsplit(parts._replace(query=f"{parts.query}&{more}" if parts.query else more))


def _log(method: str, url: str, sent: str, pair: KeyPair, timestamp: int, user: User, weathered: str) -> None:
    parts = urlsplit(url)
    publisher = Publisher({pair.name: pair.certificate})
    where, query = urlunsplit(parts._replace(query="")), parts.query.encode("ascii")
    # Reading what was signed back gives the base string to show, and catches a slip of ours.
    read = publisher.verify_address(method, where, query, sent.encode("ascii"), now=timestamp, window=0)
    how = "form" if sent else "link"
    given = line(user.stage_id, Name.START_GIVEN, owner_id=user.owner_id, device=user.device, how=how)
    record(
        Exchange(
            stage_id=user.stage_id,
            owner_id=user.owner_id,
            at=clock.now(),
            kind=Kind.START,
            method=method,
            url=url,
            base_string=read.base_string,
            sent=sent,
            milliseconds=0,
            good=True,
            verdict=N_("Given to the browser; what the app answers it is not seen here."),
            weather=weathered,
        ),
        [given],
    )
