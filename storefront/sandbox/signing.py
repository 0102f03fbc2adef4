"""How the platform signs; how that is verified, `mixi.signing` says to both sides. Pure.

Towards an app it signs with the secret that both know (HMAC-SHA1); in its own name with a key of which
others hold the certificate (RSA-SHA1), in a header, in an address, or in the fields of a form.
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlencode, urlsplit, urlunsplit

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1
from oauthlib import oauth1
from oauthlib.common import Request
from oauthlib.oauth1.rfc5849 import utils

from storefront.mixi.signing import (
    KEY_NAME,
    MAX_EVENT_PARAMETERS,
    MAX_PARAMETERS,
    PUBLISHER,
    Pairs,
    base_string,
    hmac_sha1,
    query_pairs,
)


class QueryClient(oauth1.Client):
    """Signs as mixi's servers do: all of the query, nothing of a form body."""

    most = MAX_PARAMETERS

    def get_oauth_signature(self, request: Request) -> str:
        query = query_pairs(urlsplit(request.uri).query.encode("ascii"), self.most)
        oauth = cast(Pairs, request.oauth_params)
        return self.signature_of(base_string(request.http_method, request.uri, query, oauth))

    def signature_of(self, base: str) -> str:
        """The signature of a base string, base64."""
        return hmac_sha1(base, self.client_secret)


class PublisherClient(QueryClient):
    """Signs as mixi does in its own name: with its own key, and that key's name in the header."""

    most = MAX_EVENT_PARAMETERS

    def __init__(self, key_name: str, key: RSAPrivateKey, *, timestamp: str, nonce: str) -> None:
        super().__init__(PUBLISHER, signature_method="RSA-SHA1", timestamp=timestamp, nonce=nonce)
        self.key_name = key_name
        self.private_key = key

    def get_oauth_params(self, request: Request) -> list[tuple[str, str]]:
        params = super().get_oauth_params(request)  # type: ignore[no-untyped-call]  # so in its stubs
        return [*params, (KEY_NAME, self.key_name)]

    def signature_of(self, base: str) -> str:
        return rsa_sha1(base, self.private_key)

    def sign(self, uri: str, *args: Any, **more: Any) -> tuple[str, dict[str, str], Any]:
        url, headers, body = super().sign(uri, *args, **more)
        # oauthlib writes only parameters that begin with oauth_.
        headers["Authorization"] += f', {KEY_NAME}="{utils.escape(self.key_name)}"'
        return url, headers, body


def signed_address(
    address: str, key_name: str, key: RSAPrivateKey, *, timestamp: int, nonce: str, method: str = "GET"
) -> str:
    """An address with its signature in its own query, as mixi opens an app on its own domain."""
    own = _in_own_name(method, address, (), key_name, key, timestamp, nonce)
    parts = urlsplit(address)
    return urlunsplit(parts._replace(query="&".join(filter(None, [parts.query, urlencode(own)]))))


def signed_form(
    address: str, fields: Mapping[str, str], key_name: str, key: RSAPrivateKey, *, timestamp: int, nonce: str
) -> dict[str, str]:
    """The fields of a form posted to this address, with their signature, as mixi's sample app takes them."""
    pairs = query_pairs(urlencode(fields).encode("ascii"))
    return {**fields, **_in_own_name("POST", address, pairs, key_name, key, timestamp, nonce)}


def rsa_sha1(base: str, key: RSAPrivateKey) -> str:
    """The signature of a base string under a private key, base64."""
    # SHA-1 because mixi says so.
    return base64.b64encode(key.sign(base.encode(), PKCS1v15(), SHA1())).decode("ascii")  # noqa: S303


def body_hash(body: bytes) -> str:
    """`oauth_body_hash` over the exact bytes of a body."""
    return base64.b64encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode("ascii")


def _in_own_name(
    method: str, address: str, form: Pairs, key_name: str, key: RSAPrivateKey, timestamp: int, nonce: str
) -> dict[str, str]:
    """The parameters with which mixi signs an address, and the form that is posted to it."""
    own = {
        "oauth_consumer_key": PUBLISHER,
        "oauth_nonce": nonce,
        "oauth_signature_method": "RSA-SHA1",
        "oauth_timestamp": str(timestamp),
        "oauth_version": "1.0",
        KEY_NAME: key_name,
    }
    signed = [*query_pairs(urlsplit(address).query.encode("ascii")), *form]
    return {**own, "oauth_signature": rsa_sha1(base_string(method, address, signed, tuple(own.items())), key)}
