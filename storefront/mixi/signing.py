"""OAuth 1.0a (RFC 5849), two-legged, as mixi speaks it. Pure: no clock, no network, no database.

mixi differs from the RFC in ways that oauthlib's own server side would refuse:

* on mobile a form body is never part of the base string, the query always is;
* the query is signed as the bytes that arrived, whatever charset they are in;
* a parameter that stands both in the query and in the header counts once;
* its own samples carry keys and nonces of any length, over plain http.

So the base string is put together here, and oauthlib does the rest.

Two sign: a consumer, the application, with a secret that both sides know (HMAC-SHA1), as we do towards
the API; and mixi in its own name, with a key of which others hold the certificate (RSA-SHA1).
"""

import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlsplit, urlunsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.x509 import Certificate
from oauthlib import oauth1
from oauthlib.common import Request
from oauthlib.oauth1.rfc5849 import signature, utils

# Names and values are percent-decoded bytes, carried as latin-1 text so that any charset survives.
Pairs = Sequence[tuple[str, str]]

REQUIRED = (
    "oauth_consumer_key",
    "oauth_nonce",
    "oauth_signature",
    "oauth_signature_method",
    "oauth_timestamp",
)
# No page asks for nearly as many; a longer query is refused before any work is spent on it.
MAX_PARAMETERS = 100
# A lifecycle event names each of its people in a parameter; how many at most is ours.
MAX_EVENT_IDS = 1000
MAX_EVENT_PARAMETERS = MAX_EVENT_IDS + MAX_PARAMETERS
# The consumer key under which mixi signs in its own name, and the parameter that names its key.
PUBLISHER = "mixi.jp"
OWNER_LENGTH = 64  # of the id of a person
KEY_NAME = "xoauth_signature_publickey"


class BadSignature(Exception):
    """The request was not signed by the consumer it names, or not now.

    `problem` is a word of the OAuth Problem Reporting extension; `base_string` is the one the
    verifier computed, given only when everything but the signature itself was right.
    """

    def __init__(self, problem: str, base_string: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.base_string = base_string


class Malformed(Exception):
    """A verified request lacks a parameter, repeats it, or gives it a value it cannot have."""


@dataclass(frozen=True)
class Signed:
    """What a verified request says. Nothing else of it may be believed."""

    params: Pairs
    oauth: dict[str, str]
    timestamp: int
    base_string: str

    def one(self, name: str) -> str:
        """The only value of a query parameter, as UTF-8 text, or Malformed.

        A repeated name is refused, never picked from: a link may carry an
        `opensocial_owner_id` of its own beside the one the container adds.
        """
        values = self.each(name)
        if len(values) != 1:
            raise Malformed(f"{name} is given {len(values)} times, expected once")
        return values[0]

    def each(self, name: str) -> Sequence[str]:
        """Every value of a query parameter that may be repeated, as UTF-8 text, or Malformed."""
        try:
            return [value.encode("latin-1").decode("utf-8") for key, value in self.params if key == name]
        except UnicodeDecodeError:
            raise Malformed(f"{name} is not UTF-8") from None


@dataclass(frozen=True)
class Consumer:
    """A consumer key, and the secrets under which its signatures are accepted."""

    key: str
    secrets: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Consumer({self.key!r})"

    def verify(
        self, method: str, url: str, query: bytes, authorization: str | None, *, now: int, window: int
    ) -> Signed:
        """Check a request against its Authorization header, or raise BadSignature.

        `url` is the address as the sender called it, without its query; `query` the raw bytes
        behind the question mark; `now` and `window` are in seconds.
        """
        params, header = query_pairs(query), header_pairs(authorization)
        claim = _claim(self.key, "HMAC-SHA1", method, url, params, header, now, window)
        given = claim.oauth["oauth_signature"]
        if not any(_same(given, hmac_sha1(claim.base_string, secret)) for secret in self.secrets):
            raise BadSignature("signature_invalid", claim.base_string)
        return claim


class Certificates(Protocol):
    """The certificates of mixi itself, by the names of their keys. A dict is one."""

    def get(self, name: str, /) -> Certificate | None: ...


@dataclass(frozen=True)
class Publisher:
    """mixi itself, and its certificates.

    The dates in a certificate are not looked at: that it is among these is what makes it valid.
    """

    certificates: Certificates
    key: str = PUBLISHER

    def verify(
        self, method: str, url: str, query: bytes, authorization: str | None, *, now: int, window: int
    ) -> Signed:
        """Check a request against its Authorization header, or raise BadSignature; as Consumer.verify."""
        params, header = query_pairs(query, MAX_EVENT_PARAMETERS), header_pairs(authorization)
        return self._fitting(_claim(self.key, "RSA-SHA1", method, url, params, header, now, window))

    def verify_address(
        self,
        method: str,
        url: str,
        query: bytes,
        form: bytes = b"",
        *,
        now: int,
        window: int,
        ahead: int | None = None,
    ) -> Signed:
        """Check an address that carries its signature in its query, or in the form posted to it.

        Raises BadSignature; also if its timestamp is more than `ahead` seconds to come. Source: start
        URL of PC and smartphone, where unlike on mobile a form is in the base string.
        """
        in_query, in_form = query_pairs(query), query_pairs(form)
        # On these devices a field is said to shadow a parameter of its name: one of the two is not signed.
        if not dict(in_query).keys().isdisjoint(dict(in_form)):
            raise BadSignature("parameter_rejected")
        pairs = [*in_query, *in_form]
        oauth = [pair for pair in pairs if pair[0].startswith("oauth_") or pair[0] == KEY_NAME]
        if len(dict(oauth)) != len(oauth):
            raise BadSignature("parameter_rejected")
        params = tuple(pair for pair in pairs if pair not in oauth)
        return self._fitting(_claim(self.key, "RSA-SHA1", method, url, params, oauth, now, window, ahead))

    def _fitting(self, claim: Signed) -> Signed:
        name = claim.oauth.get(KEY_NAME)
        if not name:
            raise BadSignature("parameter_absent")
        certificate = self.certificates.get(name)
        if certificate is None:
            raise BadSignature("consumer_key_unknown")
        if not _fits(claim, certificate):
            raise BadSignature("signature_invalid", claim.base_string)
        return claim


class ApiClient(oauth1.Client):
    """Signs as a SAP does towards the API: all of the query, and the address as http, however it travels.

    Source: the confirm URI is https, the base string printed for it says http.
    """

    def get_oauth_signature(self, request: Request) -> str:
        uri, oauth = http_form(request.uri), cast(Pairs, request.oauth_params)
        query = query_pairs(urlsplit(uri).query.encode("ascii"))
        return hmac_sha1(base_string(request.http_method, uri, query, oauth), self.client_secret)


def base_string(method: str, url: str, query: Pairs, header: Pairs) -> str:
    """The text that is signed: method, address without query, sorted parameters."""
    beside = [pair for pair in header if pair not in query and pair[0] not in ("oauth_signature", "realm")]
    params = sorted((_escape(name), _escape(value)) for name, value in [*query, *beside])
    normalized = "&".join(f"{name}={value}" for name, value in params)
    address = signature.base_string_uri(url)
    return str(signature.signature_base_string(method, address, normalized))  # type: ignore[arg-type]  # any method


def hmac_sha1(base: str, secret: str) -> str:
    """The signature of a base string, base64. There is no token, so its secret is empty."""
    key = f"{utils.escape(secret)}&"
    return base64.b64encode(hmac.digest(key.encode(), base.encode(), "sha1")).decode("ascii")


def http_form(url: str) -> str:
    """The same address as http, for a base string."""
    parts = urlsplit(url)
    netloc = parts.netloc.removesuffix(":443") if parts.scheme == "https" else parts.netloc
    return urlunsplit(("http", netloc, parts.path, parts.query, ""))


def query_pairs(query: bytes, most: int = MAX_PARAMETERS) -> Pairs:
    """The names and values of a raw query, percent-decoded and nothing more; at most `most` of them."""
    try:
        return tuple(
            parse_qsl(
                query.decode("latin-1"),
                keep_blank_values=True,
                encoding="latin-1",
                max_num_fields=most,
            )
        )
    except ValueError:
        raise BadSignature("parameter_rejected") from None


def header_pairs(authorization: str | None) -> Pairs:
    """The names and values in an Authorization header of OAuth, or BadSignature."""
    try:
        pairs = utils.parse_authorization_header(authorization or "")
    except ValueError:
        raise BadSignature("parameter_absent") from None
    return tuple((_unescape(name), _unescape(value)) for name, value in pairs)


def is_opaque(text: str, longest: int) -> bool:
    """Whether `text` can be an id or code of the platform: half-width, printable, not too long."""
    return 0 < len(text) <= longest and text.isascii() and text.isprintable() and " " not in text


def _claim(
    key: str,
    signature_method: str,
    method: str,
    url: str,
    params: Pairs,
    given: Pairs,
    now: int,
    window: int,
    ahead: int | None = None,
) -> Signed:
    """What a request claims, in all but the signature itself as it must be; not yet to be believed."""
    oauth = dict(given)
    if not all(oauth.get(name) for name in REQUIRED):
        raise BadSignature("parameter_absent")
    if oauth["oauth_signature_method"] != signature_method:
        raise BadSignature("signature_method_rejected")
    if oauth.get("oauth_version", "1.0") != "1.0":
        raise BadSignature("version_rejected")
    if not _same(oauth["oauth_consumer_key"], key):
        raise BadSignature("consumer_key_unknown")
    timestamp = _timestamp(oauth["oauth_timestamp"])
    if not -(window if ahead is None else ahead) <= now - timestamp <= window:
        raise BadSignature("timestamp_refused")
    return Signed(params, oauth, timestamp, base_string(method, url, params, given))


def _fits(claim: Signed, certificate: Certificate) -> bool:
    """Whether the owner of this certificate has signed what the request claims."""
    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey):
        return False
    try:
        given = base64.b64decode(claim.oauth["oauth_signature"], validate=True)
        key.verify(given, claim.base_string.encode(), PKCS1v15(), SHA1())  # noqa: S303  # because mixi says so
    except (InvalidSignature, ValueError):
        return False
    return True


def _timestamp(text: str) -> int:
    # Ten digits last until the year 2286; int() alone would take signs, spaces and other scripts' digits.
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise BadSignature("timestamp_refused")
    return int(text)


def _escape(text: str) -> str:
    return quote(text, safe="~", encoding="latin-1")


def _unescape(text: str) -> str:
    return unquote_to_bytes(text.encode("latin-1", "replace")).decode("latin-1")


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
