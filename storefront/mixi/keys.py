"""The certificates of mixi itself: those the operator holds, and those mixi publishes by name.

A published one is fetched when its name is first seen and kept for an hour, so that a new key needs no
restart and an old one is forgotten.
"""

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock

import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import Certificate, load_pem_x509_certificate

from storefront.clock import monotonic
from storefront.mixi.client import Line, Patience, Unavailable, fetch

NAME = re.compile(r"[0-9A-Za-z_.-]{1,64}")
KEEP_SECONDS = 3600.0
MISS_SECONDS = 60.0  # a name that mixi does not know, or could not answer for, is not asked for again so soon
FETCHES = 10  # in a minute: whoever makes up names of keys shall not make us ask mixi for each
MINUTE = 60.0
PATIENCE = Patience(connect=2.0, read=2.0, total=4.0)

log = structlog.get_logger()


@dataclass(frozen=True)
class _Kept:
    certificate: Certificate | None
    until: float


@dataclass
class KeyRing:
    """Certificates by the names of their keys. `address` has `{name}` in it, or is empty."""

    pinned: Mapping[str, Certificate]
    address: str
    line: Line
    _kept: dict[str, _Kept] = field(default_factory=dict)
    _fetched: deque[float] = field(default_factory=lambda: deque(maxlen=FETCHES))
    _lock: Lock = field(default_factory=Lock)

    def __bool__(self) -> bool:
        """Whether any certificate can be found at all."""
        return bool(self.pinned or self.address)

    def get(self, name: str, /) -> Certificate | None:
        """The certificate of this name, or None if mixi is not known to have one."""
        if name in self.pinned or not self.address or not NAME.fullmatch(name):
            return self.pinned.get(name)
        kept = self._kept.get(name)
        if kept is None or kept.until <= monotonic():
            with self._lock:
                kept = self._kept.get(name)  # somebody may have asked while we waited
                if kept is None or kept.until <= monotonic():
                    kept = self._ask(name, kept)
        return kept.certificate

    def _ask(self, name: str, old: _Kept | None) -> _Kept:
        now = monotonic()
        if old is None or old.certificate is None:  # else mixi has published it, and nobody made it up
            if len(self._fetched) == FETCHES and now - self._fetched[0] < MINUTE:
                return _Kept(None, now)
            self._fetched.append(now)
            self._forget(now)
        certificate, seconds = self._fetch(name, old)
        self._kept[name] = _Kept(certificate, now + seconds)
        return self._kept[name]

    def _forget(self, now: float) -> None:
        """Names that turned out to be none are not kept for ever."""
        for name in [name for name, kept in self._kept.items() if not kept.certificate and kept.until < now]:
            del self._kept[name]

    def _fetch(self, name: str, old: _Kept | None) -> tuple[Certificate | None, float]:
        """The certificate as it is published, and for how long to believe so."""
        try:
            found = fetch(self.line, self.address.replace("{name}", name), PATIENCE)
        except Unavailable as failure:
            log.warning("certificate not fetched", key=name, reason=str(failure))
            return old.certificate if old else None, MISS_SECONDS
        certificate = _read(found) if found else None
        log.info("certificate fetched", key=name, usable=certificate is not None)
        return certificate, KEEP_SECONDS if certificate else MISS_SECONDS


def _read(pem: bytes) -> Certificate | None:
    try:
        certificate = load_pem_x509_certificate(pem)
        return certificate if isinstance(certificate.public_key(), RSAPublicKey) else None
    except ValueError:
        return None
