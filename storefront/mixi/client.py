"""The only HTTP of this room: creating and confirming payments."""

from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import requests
from requests_oauthlib import OAuth1
from urllib3.exceptions import HTTPError

from storefront.bounded import cut_after
from storefront.clock import Deadline, TooLate
from storefront.config import DEFAULT_PORTS, names
from storefront.gate import Gate
from storefront.mixi.atom import MAX_BYTES, MEDIA_TYPE, PointEntry, PointRequest, Unreadable
from storefront.mixi.signing import ApiClient

CHUNK = 8 * 1024
PLAIN = {"Accept-Encoding": "identity"}
# Too slow, too early, too much: these say no more than 503 does, that waiting helps.
LATER = (408, 425, 429)
# Keys, the clock, or a buyer who removed the app (401); approval (403); the way there (407, 451). Any other
# 4xx says that our request is wrong. Sources: 2-legged OAuth, mobile API FAQ.
OPERATORS = (401, 403, 407, 451)


class Refused(Exception):
    """The API said no, and will again until somebody acts: `whose` turn it is, by its HTTP `status`."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the API answered {status}")
        self.status = status
        self.whose = "operator" if status in OPERATORS else "developer"


class Unavailable(Exception):
    """The API said nothing that could be understood in time, or asked us to wait."""

    whose = "mixi"


class Crowded(Unavailable):
    """The API was not asked: as many of us wait for its answers already as may."""


@dataclass(frozen=True)
class Patience:
    """Seconds to reach the API, between two bytes of its answer, and for everything together."""

    connect: float
    read: float
    total: float


@dataclass(frozen=True)
class Transport:
    """The way to mixi: the connections, and the gate that every thread passes before it waits for mixi."""

    http: requests.Session
    gate: Gate


@dataclass(frozen=True)
class PointClient:
    """Speaks to the point API in the name of one application."""

    transport: Transport
    consumer_key: str
    consumer_secret: str
    point_url: str
    confirm_url: str
    platform_hosts: tuple[str, ...]
    patience: Patience

    def __repr__(self) -> str:
        return f"PointClient({self.point_url!r})"

    def create(self, owner_id: str, request: PointRequest, deadline: Deadline) -> PointEntry:
        """Create a payment. Its `interface_url` is on a host of the platform.

        Raises Refused or Unavailable; then nothing was charged, and nothing will be.
        """
        query = {"xoauth_requestor_id": owner_id}
        with self.transport.gate.place():
            entry = self._ask("POST", self.point_url, query, request.write(), deadline)
        if not _is_on(entry.interface_url or "", self.platform_hosts):
            raise Unavailable("the answer leads to a host that is not the platform's")
        return entry

    def get(self, owner_id: str, code: str, deadline: Deadline) -> PointEntry:
        """How the platform sees a payment. Raises Refused or Unavailable; who asks is inside the gate."""
        query = {"xoauth_requestor_id": owner_id, "point_code": code}
        entry = self._ask("GET", self.confirm_url, query, None, deadline)
        if entry.code != code:
            raise Unavailable("the answer is about another payment")
        return entry

    def _ask(
        self, method: str, url: str, query: dict[str, str], body: bytes | None, deadline: Deadline
    ) -> PointEntry:
        address = f"{url}?{urlencode(query)}"
        try:
            try:
                return self._send(method, address, body, deadline)
            except requests.ConnectionError as broken:
                # A pooled connection may have been closed meanwhile; a second try is signed anew.
                if isinstance(broken, requests.Timeout):
                    raise
                return self._send(method, address, body, deadline)
        except (requests.RequestException, HTTPError, OSError, TooLate) as failure:
            raise Unavailable(type(failure).__name__) from failure
        except Unreadable as failure:
            raise Unavailable(f"the answer is unreadable: {failure}") from failure

    def _send(self, method: str, address: str, body: bytes | None, deadline: Deadline) -> PointEntry:
        deadline.check()
        with self.transport.http.request(
            method,
            address,
            data=body,
            headers={**PLAIN, **({"Content-Type": MEDIA_TYPE} if body else {})},
            auth=self._signature(body),
            timeout=(min(self.patience.connect, deadline.left()), min(self.patience.read, deadline.left())),
            allow_redirects=False,
            stream=True,
        ) as response:
            if _is_refusal(response.status_code):
                raise Refused(response.status_code)
            if not 200 <= response.status_code < 300:
                raise Unavailable(f"the API answered {response.status_code}")
            return PointEntry.read(_read(response, deadline))

    def _signature(self, body: bytes | None) -> OAuth1:
        return OAuth1(
            self.consumer_key,
            self.consumer_secret,
            client_class=ApiClient,
            force_include_body=body is not None,  # or oauth_body_hash stays out
        )


def fetch(transport: Transport, url: str, patience: Patience) -> bytes | None:
    """A short public document, or None if there is no such one. Raises Unavailable."""
    deadline = Deadline.after(patience.total)
    waits = (patience.connect, patience.read)
    try:
        with (
            transport.gate.place(),
            transport.http.get(
                url, headers=PLAIN, auth=_nobody, timeout=waits, allow_redirects=False, stream=True
            ) as response,
        ):
            if response.status_code == 200:
                return _read(response, deadline)
            if response.status_code in (404, 410):
                return None
            raise Unavailable(f"the answer was {response.status_code}")
    except (requests.RequestException, HTTPError, OSError, TooLate) as failure:
        raise Unavailable(type(failure).__name__) from failure


def _is_refusal(status: int) -> bool:
    return 400 <= status < 500 and status not in LATER


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Who asks says nothing of itself, whatever a .netrc has for that host."""
    return request


def _read(response: requests.Response, deadline: Deadline) -> bytes:
    """The body, as far as it comes before the deadline and fits an entry."""
    body = b""
    # One read may go on for ever: in a chunk's length, in trailers, in an archive of nothing.
    with cut_after(deadline.left(), getattr(response.raw, "transport", None)):
        while chunk := response.raw.read1(CHUNK, decode_content=False):
            body += chunk
            deadline.check()
            if len(body) > MAX_BYTES:
                raise Unavailable("the answer is too long")
    deadline.check()
    return body


def _is_on(url: str, hosts: tuple[str, ...]) -> bool:
    """Whether a browser that follows `url` arrives at one of `hosts` (host, or host:port)."""
    try:
        parts = urlsplit(url)
        called = names(url)
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and not set(url) & set(' "<>\\^`{|}')
    if not plain or parts.scheme not in DEFAULT_PORTS or parts.username is not None:
        return False
    return not called.isdisjoint(hosts)
