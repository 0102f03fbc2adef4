"""What can be seen over the wire only: the shop at its public address, and why a server is not heard."""

import os
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from storefront import Settings, health
from storefront.bounded import Timeouts
from storefront.config import PREFIX
from storefront.findings import Finding, fail, ok

TIMEOUTS = Timeouts(connect=2.0, read=3.0, total=5.0)
# A name that is none comes out of requests as an error of what lies below it.
UNREACHABLE = (requests.RequestException, HTTPError, OSError)
# What a proxy may drop, or write in another way: then every signature of mixi's is a bad one.
AUTHORIZATION = 'OAuth realm="storefront doctor", oauth_nonce="%2B%7e"'
QUERY = "b=2&a=1&a=%2f%2F&plus=+%20&empty=&bare&&word=%e3%81%82"
NAMES = {"query": "query", "authorization": "Authorization header"}
LET_THROUGH = "have the proxy pass it on untouched: all that mixi signs would be refused"
OWN_CA = (
    "name the file of your own CA in REQUESTS_CA_BUNDLE, or let the server send the certificates in between"
)
# Where requests finds its certificates, the first before the second (source: its manual).
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# By OpenSSL's codes (source: its manual, X509_STORE_CTX_get_error).
CERTIFICATES = {
    9: "compare this host's clock with a time server",
    10: "it has to be renewed",
    18: OWN_CA,
    19: OWN_CA,
    20: OWN_CA,
    21: OWN_CA,
    62: "it has to be for this name, or the setting names another host",
    64: "it has to be for this address, or name the host by its name",
}


def public_url(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    address = f"{settings.public_url}{health.ALIVE}"
    keys = (settings.secret_key, settings.secret_key_previous)  # the host that answers may be a step behind
    correct = f"correct {PREFIX}PUBLIC_URL, or what stands in front of the shop"
    headers = {"Authorization": AUTHORIZATION}
    try:
        with http.get(
            f"{address}?{QUERY}",
            headers=headers,
            auth=_as_it_is,
            timeout=TIMEOUTS.within(),
            allow_redirects=False,
            stream=True,
        ) as answer:
            status, found, sent = answer.status_code, answer.headers, urlsplit(answer.url).query
    except UNREACHABLE as error:
        why, advice = unheard(error)
        what = f"{address} does not answer ({why})"
        yield fail("public URL", what, advice or f"start the shop, open the way in, or {correct}")
        return
    if 300 <= status < 400:
        yield fail(
            "public URL",
            f"{address} leads on to {found.get('Location', '')}",
            f"{correct}: signatures hold for one address only",
        )
    elif health.MARK not in found:
        yield fail("public URL", f"{address} is answered by something else (status {status})", correct)
    elif found[health.MARK] not in (health.mark(settings, key) for key in keys if key):
        advice = f"{correct}; every host needs the same {PREFIX}SECRET_KEY and {PREFIX}PUBLIC_URL"
        yield fail("public URL", f"{address} is answered by another storefront", advice)
    else:
        yield ok("public URL", f"{address} is this shop")
        yield from _way_in(found, {"query": sent, "authorization": AUTHORIZATION})


def _way_in(found: Mapping[str, str], sent: Mapping[str, str]) -> Iterator[Finding]:
    """Whether what a signature is made of comes through a proxy as it was sent."""
    changed = [part for part, words in sent.items() if found.get(health.HEARD[part]) != health.trace(words)]
    for part in changed:
        yield fail("way in", f"the {NAMES[part]} does not come through as it was sent", LET_THROUGH)
    if not changed:
        yield ok("way in", "query and Authorization header come through as they were sent")


def unheard(error: BaseException) -> tuple[str, str]:
    """Why nothing was heard; of a certificate what is wrong with it, and what to do about that."""
    lost = _lost_bundle()
    if lost and (type(error) is OSError or isinstance(error, requests.exceptions.SSLError)):
        return lost
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate: {cause.verify_message}", CERTIFICATES.get(cause.verify_code, "")
        if isinstance(cause, ssl.SSLError):
            return f"no TLS: {cause.reason or cause}", ""
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__, ""


def _lost_bundle() -> tuple[str, str] | None:
    """With it no server's certificate can be checked, whoever is asked."""
    name = next((name for name in BUNDLES if os.environ.get(name)), "")
    file = os.environ.get(name, "")
    if not name or os.path.isdir(file):
        return None
    try:
        ssl.create_default_context(cafile=file)
    except OSError:  # of which TLS's own errors are a kind
        return f"no certificates can be read in {file}", f"correct {name}, or take it out of the environment"
    return None


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Whatever a .netrc has for that host."""
    return request


def moment_of(stamp: str) -> datetime | None:
    """The moment that a Date names, if it does."""
    try:
        moment = parsedate_to_datetime(stamp)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
