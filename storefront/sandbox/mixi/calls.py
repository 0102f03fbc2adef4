"""The platform's line to the app: one signed request, one answer, within a time."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Literal, TypeVar
from urllib.parse import urlsplit, urlunsplit

import requests
from urllib3.exceptions import HTTPError

from storefront import bounded
from storefront.mixi import signing
from storefront.sandbox import doors, legible, weather
from storefront.sandbox.context import Sandbox, sandbox
from storefront.sandbox.happenings import Line
from storefront.sandbox.language import N_
from storefront.sandbox.stage import Stage
from storefront.sandbox.wirelog import Exchange, Kind, record, text

T = TypeVar("T")
Method = Literal["GET", "POST"]

# Addresses, names and sockets that fail raise these, and so does a query too long to be signed.
FAILURES = (requests.RequestException, HTTPError, OSError, ValueError, signing.BadSignature)


class NoAnswer(Exception):
    """The app said nothing we could use; `reason` is a text of the catalogue."""

    reason = N_("The app could not be reached.")


class TimedOut(NoAnswer):
    reason = N_("The app took too long.")


class NotTrusted(NoAnswer):
    reason = N_("The app's certificate is not one that the platform trusts. Of your own: SANDBOX_SHOP_CA.")


class TooLarge(NoAnswer):
    reason = N_("The app's answer was too large.")


@dataclass(frozen=True)
class Answer:
    """What the app said. `headers` ignores the case of names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "")

    @property
    def media_type(self) -> str:
        return self.content_type.partition(";")[0].strip().lower()


@dataclass(frozen=True)
class Forgery:
    """What is wrong with a request on purpose: no signature, another secret, sent to what was not signed."""

    unsigned: bool = False
    secret: str | None = None
    sent_to: str = ""


@dataclass
class Call:
    """One request to the app and what became of it; `log()` writes it down.

    `signed_seconds` is how far its timestamp is from the real clock; `queued_seconds` is what of its time
    was used before it was sent.
    """

    stage: Stage
    kind: Kind
    method: Method
    url: str
    at: datetime
    seconds: float
    max_bytes: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    in_own_name: bool = False  # else with the app's own consumer key
    forged: Forgery | None = None
    owner_id: str | None = None
    point_code: str | None = None
    nonce: str = field(default_factory=lambda: secrets.token_hex(10))
    signed_seconds: int = 0
    skew: int | None = None  # of the platform's clock, as soon as it is known
    queued_seconds: int = 0
    weather: list[str] = field(default_factory=list)
    base_string: str = ""
    answer: Answer | None = None
    took: float = 0.0

    def send(self, sandbox: Sandbox) -> Answer:
        """Sign it, send it, and return the answer, or raise NoAnswer."""
        self._look_at_the_clock()
        started = monotonic()
        try:
            self._sign(sandbox)
            self.answer = answer_to(self._prepared(), sandbox.http, self.seconds, self.max_bytes)
        except (TimeoutError, requests.Timeout):
            raise TimedOut from None
        except requests.exceptions.SSLError:
            raise NotTrusted from None
        except bounded.TooLarge:
            raise TooLarge from None
        except FAILURES:
            raise NoAnswer from None
        finally:
            self.took = monotonic() - started
        return self.answer

    def log(
        self,
        verdict: str,
        *,
        good: bool,
        forbidden: Sequence[str] = (),
        points_moved: int = 0,
        happened: Sequence[Line] = (),
    ) -> int:
        """Put the exchange into the wire log, with what we made of it in words, and links it may not have.

        What happened by it is noted with it. The number of its row.
        """
        answer = self.answer
        return record(
            Exchange(
                stage_id=self.stage.id,
                owner_id=self.owner_id,
                point_code=self.point_code,
                at=self.at,
                kind=self.kind,
                method=self.method,
                url=self.target,
                base_string=self.base_string,
                head=legible.lines(self.headers),
                sent=text(self.headers.get("Content-Type", ""), self.body),
                status=answer and answer.status,
                answer_head=legible.lines(answer.headers) if answer else "",
                answer=text(answer.content_type, answer.body) if answer else "",
                milliseconds=round(self.took * 1000),
                good=good,
                verdict=verdict,
                forbidden="\n".join(forbidden),
                attack=self._by_phone and doors.leads_to(self.url, sandbox().settings.server_addresses),
                queued_seconds=self.queued_seconds,
                weather=",".join(self.weather),
                points_moved=points_moved,
            ),
            happened,
        )

    @property
    def target(self) -> str:
        """Where it really goes."""
        return (self.forged and self.forged.sent_to) or self.url

    @property
    def _by_phone(self) -> bool:
        """Whether a phone has named the address."""
        return self.kind in (Kind.PAGE, Kind.IMAGE)

    def _look_at_the_clock(self) -> None:
        if self.skew is None:
            met = weather.take(self.stage, "clock.skew", self.owner_id, self.point_code)
            self.weather += [met.kind] if met else []
            self.skew = (met and met.seconds) or 0

    def _sign(self, sandbox: Sandbox) -> None:
        if self.forged and self.forged.unsigned:
            return
        timestamp = int(self.at.timestamp()) + self.signed_seconds + (self.skew or 0)
        secret = self.forged.secret if self.forged else None
        reader = sandbox.publisher if self.in_own_name else sandbox.signed_with(secret)
        signer = (
            sandbox.own_client(timestamp, self.nonce)
            if self.in_own_name
            else sandbox.client(timestamp, self.nonce, secret)
        )
        _, signed, _ = signer.sign(self.url, self.method)
        self.headers["Authorization"] = signed["Authorization"].replace("OAuth ", 'OAuth realm="", ', 1)
        parts = urlsplit(self.url)
        address = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
        # Reading our own signature back gives the base string to show, and catches a slip of ours.
        self.base_string = reader.verify(
            self.method,
            address,
            parts.query.encode("ascii"),
            self.headers["Authorization"],
            now=timestamp,
            window=0,
        ).base_string

    def _prepared(self) -> requests.PreparedRequest:
        prepared = requests.Request(self.method, self.target, headers=self.headers, data=self.body).prepare()
        # requests tidies percent-escapes; the app must see the bytes that were signed.
        prepared.url = self.target
        return prepared


def answer_to(
    prepared: requests.PreparedRequest, http: requests.Session, seconds: float, max_bytes: int
) -> Answer:
    """What is answered to one request within so many seconds; whatever comes later is cut off.

    Raises TimeoutError, bounded.TooLarge, or one of FAILURES.
    """
    # A kept connection may be closed by the other side just as it is used; one each is plainer.
    prepared.headers["Connection"] = "close"
    ends = monotonic() + seconds

    def exchange() -> Answer:
        with http.send(prepared, stream=True, timeout=seconds, allow_redirects=False) as response:
            body = bounded.read(response, ends - monotonic(), max_bytes, decoded=True)
            return Answer(response.status_code, response.headers, body)

    return _within(seconds, exchange)


def new_session(authorities: Path | None = None) -> requests.Session:
    """A line that obeys no proxy variables, never retries and keeps no cookies.

    Certificates are checked against these authorities, or against those that everybody trusts.
    """
    session = bounded.session()
    session.trust_env = False
    session.verify = str(authorities) if authorities else True
    session.headers.clear()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def _within(seconds: float, work: Callable[[], T]) -> T:
    """What `work` returns, or TimeoutError when it takes longer; names, sockets and all."""
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as error:  # raised again by the one who waits
            result.set_exception(error)

    Thread(target=run, daemon=True).start()
    return result.result(timeout=seconds)
