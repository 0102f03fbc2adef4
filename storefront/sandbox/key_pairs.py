"""The key pairs with which the platform signs in its own name: made once, and kept."""

import os
import re
import tempfile
from collections.abc import Set
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from itertools import count
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from storefront.sandbox import clock
from storefront.sandbox.devices import Device

# The platform's own names carry the date of their making; these say whose they are.
NAME = "lc_sandbox"
# The platform has a certificate for each channel (source: start URL); "touch" is its word for smartphones.
START_NAMES = {Device.SMARTPHONE: "touch_sandbox", Device.PC: "pc_sandbox"}
LIFECYCLE = "lifecycle"  # the channel that is no device's
# What may be asked for; no name of a file that is not ours to show.
PUBLIC_NAME = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.-]{0,63}")
PUBLISHED = 10  # keys of each channel that stay published after they were replaced
BITS = 2048
VALID_FOR = timedelta(days=3652)  # ten years, as the platform's own


@dataclass(frozen=True)
class KeyPair:
    """A private key, its name, and its certificate as a PEM file."""

    name: str
    private: rsa.RSAPrivateKey
    certificate: x509.Certificate
    path: Path

    def __repr__(self) -> str:
        return f"KeyPair({self.name!r})"

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


def certificate(folder: Path, name: str = NAME) -> Path:
    """Where the certificate of this key is; both are made if they are not there yet."""
    return keep(folder, name).path


def keep(folder: Path, name: str = NAME) -> KeyPair:
    """The key pair of this name in this folder, made at first. Safe to call twice, and twice at once."""
    folder.mkdir(parents=True, exist_ok=True)
    private, path = _private(folder / f"{name}.key"), folder / f"{name}.pem"
    kept = _kept(path)
    if kept is None or kept.public_key() != private.public_key():
        kept = _issue(private, name)
        written = _write(folder, kept.public_bytes(Encoding.PEM))
        written.replace(path)
    return KeyPair(name, private, kept, path)


def published(folder: Path, name: str) -> bytes | None:
    """The certificate of a key that is kept in this folder under this name, as a PEM file."""
    if not PUBLIC_NAME.fullmatch(name) or not (folder / f"{name}.key").is_file():
        return None
    kept = _kept(folder / f"{name}.pem")
    # Written anew, so that nothing else that the file may hold is shown.
    return kept.public_bytes(Encoding.PEM) if kept else None


def follows(name: str, first: str) -> bool:
    """Whether this is the name of a channel's first key, or of one that came after it."""
    return re.fullmatch(rf"{re.escape(first)}(_\d+)?", name) is not None


def successor(folder: Path, name: str) -> str:
    """A name for the key that follows this one; no key in this folder has it. pc, pc_2, pc_3, …"""
    found = re.fullmatch(r"(.+?)(?:_(\d+))?", name)
    stem, number = (found[1], int(found[2] or 1)) if found else (name, 1)
    names = (f"{stem}_{next_one}" for next_one in count(number + 1))
    return next(free for free in names if not (folder / f"{free}.key").exists())


def tidy(folder: Path, first: str, used: Set[str]) -> None:
    """Forget the keys that followed this first one, but the newest and those under which somebody signs."""
    names = (path.stem for path in folder.glob(f"{first}_*.key"))
    rotated = sorted(
        (name for name in names if follows(name, first)), key=lambda name: int(name[len(first) + 1 :])
    )
    for name in rotated[:-PUBLISHED]:
        if name not in used:
            for path in (folder / f"{name}.key", folder / f"{name}.pem"):
                path.unlink(missing_ok=True)


def _private(path: Path) -> rsa.RSAPrivateKey:
    if not path.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
        written = _write(path.parent, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        try:
            # Only the first of two who make one at once keeps it.
            os.link(written, path)
        except FileExistsError:
            pass
        finally:
            written.unlink()
    loaded = _loaded(path.read_bytes())
    if not isinstance(loaded, rsa.RSAPrivateKey):
        raise ValueError(f"{path} is no RSA key; remove it, and another is made")
    return loaded


@lru_cache(maxsize=16)
def _loaded(pem: bytes) -> PrivateKeyTypes:
    """Kept by what it is read from, since the numbers of a key take long to prove."""
    return load_pem_private_key(pem, None)


def _kept(path: Path) -> x509.Certificate | None:
    return x509.load_pem_x509_certificate(path.read_bytes()) if path.exists() else None


def _issue(private: rsa.RSAPrivateKey, name: str) -> x509.Certificate:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "JP"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "storefront sandbox, not mixi"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    now = clock.now()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # for a shop whose clock is behind
        .not_valid_after(now + VALID_FOR)
        .sign(private, SHA256())
    )


def _write(folder: Path, content: bytes) -> Path:
    """A new file of this content that only its owner can read."""
    number, name = tempfile.mkstemp(dir=folder, prefix=".new-")
    with os.fdopen(number, "wb") as file:
        file.write(content)
    return Path(name)
