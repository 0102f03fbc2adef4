"""The certificates of mixi itself: those the operator holds, and those mixi publishes by name.

A published one is fetched when its name is first seen and kept for an hour, so that a new key needs no
restart and an old one is forgotten. mixi has certificates for each of its channels, and what one of
them vouches for says nothing in another: apps' scripts, too, can have requests signed in theirs.
"""

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from threading import Lock

import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import Certificate, load_pem_x509_certificate

from storefront.clock import monotonic
from storefront.gate import Gate
from storefront.mixi.client import Crowded, Transport, Patience, Unavailable, fetch

NAME = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.-]{0,63}")
KEEP_SECONDS = 3600.0
MISS_SECONDS = 60.0  # a name that mixi does not know, or could not answer for, is not asked for again so soon
CROWDED_SECONDS = 1.0  # then whoever was turned away may try again
FETCHES = 10  # in a minute: whoever makes up names of keys shall not make us ask mixi for each
MINUTE = 60.0
PATIENCE = Patience(connect=2.0, read=2.0, total=4.0)

log = structlog.get_logger()


class NotNow(Exception):
    """mixi cannot be asked now whether it has a certificate of this name; in so many `seconds` it can."""

    def __init__(self, seconds: float) -> None:
        super().__init__("mixi cannot be asked for this key now")
        self.seconds = max(1, ceil(seconds))


@dataclass(frozen=True)
class _Kept:
    """What mixi said of a name, for how long to believe it, and whether it said anything."""

    certificate: Certificate | None
    until: float
    answered: bool = True


@dataclass
class Published:
    """The certificates of one channel, by their keys' names. `address` has `{name}` in it, or is empty."""

    pinned: Mapping[str, Certificate]
    address: str
    transport: Transport
    asking: Gate = field(default_factory=lambda: Gate(1, Crowded))  # who comes with a new name waits briefly
    _kept: dict[str, _Kept] = field(default_factory=dict)
    _fetched: deque[float] = field(default_factory=lambda: deque(maxlen=FETCHES))
    _renewing: Lock = field(default_factory=Lock)

    def __bool__(self) -> bool:
        """Whether any certificate can be found at all."""
        return bool(self.pinned or self.address)

    def get(self, name: str, /) -> Certificate | None:
        """The certificate of this name, or None if mixi has none. Raises NotNow."""
        if name in self.pinned or not self.address or not NAME.fullmatch(name):
            return self.pinned.get(name)
        kept = self._kept.get(name)
        if kept is None or kept.until <= monotonic():
            kept = self._renew(name, kept) if kept and kept.certificate else self._ask(name)
        if not kept.answered:
            raise NotNow(kept.until - monotonic())
        return kept.certificate

    def _renew(self, name: str, old: _Kept) -> _Kept:
        """mixi has published it, so nobody made it up: no number of other names stands in its way."""
        if not self._renewing.acquire(blocking=False):
            return old  # somebody is asking
        try:
            return self._fetch(name, old)
        except Crowded:
            return old
        finally:
            self._renewing.release()

    def _ask(self, name: str) -> _Kept:
        try:
            with self.asking.place():
                now, kept = monotonic(), self._kept.get(name)
                if kept and kept.until > now:  # somebody has asked while we waited
                    return kept
                if len(self._fetched) == FETCHES and now - self._fetched[0] < MINUTE:
                    return _Kept(None, self._fetched[0] + MINUTE, answered=False)
                kept = self._fetch(name)
                self._fetched.append(now)
                self._forget(now)
                return kept
        except Crowded:  # mixi was not asked, so nothing is known
            return _Kept(None, monotonic() + CROWDED_SECONDS, answered=False)

    def _forget(self, now: float) -> None:
        """Names that turned out to be none are not kept for ever."""
        for name in [name for name, kept in self._kept.items() if not kept.certificate and kept.until < now]:
            del self._kept[name]

    def _fetch(self, name: str, old: _Kept | None = None) -> _Kept:
        try:
            found = fetch(self.transport, self.address.replace("{name}", name), PATIENCE)
            certificate = None if found is None else _read(found)
        except Crowded:
            raise
        except Unavailable as failure:
            log.warning("certificate not fetched", key=name, reason=str(failure))
            known = old.certificate if old else None
            kept = _Kept(known, monotonic() + MISS_SECONDS, answered=known is not None)
        else:
            log.info("certificate fetched", key=name, known=certificate is not None)
            kept = _Kept(certificate, monotonic() + (KEEP_SECONDS if certificate else MISS_SECONDS))
        self._kept[name] = kept
        return kept


def _read(pem: bytes) -> Certificate:
    try:
        certificate = load_pem_x509_certificate(pem)
        usable = isinstance(certificate.public_key(), RSAPublicKey)
    except ValueError:
        usable = False
    if not usable:
        raise Unavailable("no certificate with an RSA key")
    return certificate
