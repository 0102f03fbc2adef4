"""The store's tokens as they are kept: encrypted with a key made of the shop's own.

While that key changes both decrypt, and the current one alone encrypts.
"""

import re
from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from storefront.colorme.settings import settings
from storefront.shop import words

USE = b"storefront.colorme.tokens"
# What may stand in a header, and no longer than that its cipher fits its column.
GOOD_TOKEN = re.compile(r"[!-~]{1,512}")


def encrypted(token: str) -> str:
    return _cipher().encrypt(token.encode()).decode()


def decrypted(kept: str | None) -> str | None:
    """The token; None if there is none, or the key it was kept under is gone."""
    try:
        return _cipher().decrypt(kept).decode() if kept else None
    except InvalidToken:
        return None


def _cipher() -> MultiFernet:
    current_first = reversed(words.keys(settings()))
    return MultiFernet([Fernet(_key(key)) for key in current_first])


def _key(secret: str) -> bytes:
    made = HKDF(algorithm=SHA256(), length=32, salt=None, info=USE)
    return urlsafe_b64encode(made.derive(secret.encode()))
