"""The point API: a SAP creates a payment, a SAP confirms one. Both signed."""

import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from threading import BoundedSemaphore
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from flask import Blueprint, Response, request
from sqlalchemy import UniqueConstraint, delete, func, or_, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Mapped, mapped_column

from storefront.mixi import signing
from storefront.sandbox import clock, legible, people, signatures, stage, weather
from storefront.sandbox.context import Sandbox, sandbox
from storefront.sandbox.happened import Name
from storefront.sandbox.happenings import Line, line
from storefront.sandbox.kinds import Call
from storefront.sandbox.language import N_
from storefront.sandbox.mixi import atom, payments
from storefront.sandbox.mixi.caller import waits
from storefront.sandbox.people import User
from storefront.sandbox.signatures import HASH, Received
from storefront.sandbox.signing import body_hash
from storefront.sandbox.stage import Stage
from storefront.sandbox.store import Base, transaction
from storefront.sandbox.storefile import Moment
from storefront.sandbox.weather import Weather
from storefront.sandbox.wirelog import Exchange, Kind, record, text

PATH = "/atom/mobile/point/@me"
MINUTE = timedelta(minutes=1)

# The vocabulary of OAuth Problem Reporting; which of its words the platform used is ours.
REASONS = {
    "parameter_absent": "the Authorization header lacks an oauth parameter",
    "parameter_rejected": "the query has too many parameters",
    "signature_method_rejected": "oauth_signature_method must be HMAC-SHA1",
    "version_rejected": "oauth_version must be 1.0",
    "consumer_key_unknown": "no app has this oauth_consumer_key",
    "timestamp_refused": "oauth_timestamp is too far from the platform's clock",
    "nonce_used": "oauth_nonce was used before",
    "signature_invalid": "oauth_signature does not match",
}
REFUSED = {
    400: N_("Refused: the request breaks a rule."),
    401: N_("Refused: the request is not properly signed."),
    403: N_("Refused: not allowed."),
    404: N_("Refused: there is no such payment."),
    503: N_("Refused: not now. Too many requests for this user, or maintenance."),
}

# By whether the base string had https.
ANSWERED = {
    False: N_("Verified and answered."),
    True: N_("Verified and answered, though the base string has https; the published one has http."),
}

CUT = N_("The line was cut by the weather: the app heard nothing.")
RUBBISH = "<html><body><h1>It works!</h1></body></html>"
FOREIGN_HOST = "https://payment.example"
# So many requests may be kept waiting by weather at once: the other threads are everybody's.
BEDS = BoundedSemaphore(12)

blueprint = Blueprint("api", __name__)


class Refusal(Exception):
    """The API says no: a status, and the reason in plain words."""

    def __init__(
        self, status: int, reason: str, problem: str = "", base_string: str = "", *, retry_after: int = 0
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.problem = problem
        self.base_string = base_string
        self.retry_after = retry_after


class Nonce(Base):
    """A nonce that was used; kept as long as its timestamp would be accepted."""

    __tablename__ = "nonce"
    __table_args__ = (UniqueConstraint("consumer_key", "nonce"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    consumer_key: Mapped[str]
    nonce: Mapped[str]
    timestamp: Mapped[int]


class Asked(Base):
    """A request about a user; kept as long as it counts."""

    __tablename__ = "asked"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[str] = mapped_column(index=True)
    at: Mapped[datetime] = mapped_column(Moment)


@dataclass
class _Seen:
    """A request as the log may show it: what came of it; and if its signature was right whose it is, and
    what weather met it. Any other is nobody's, whoever it names.
    """

    call: Call
    owner_id: str | None = None
    point_code: str | None = None
    stage: Stage | None = None
    weather: list[str] = field(default_factory=list)
    base_string: str = ""
    is_ill_signed: bool = False
    by_https: bool = False
    answer: str = ""
    happened: Name = Name.API_REFUSED
    facts: Mapping[str, Any] = field(default_factory=dict)

    def now(self) -> datetime:
        return self.stage.now() if self.stage else clock.now()

    def meets(self, kind: str) -> Weather | None:
        """The weather of this kind that strikes this request."""
        if self.stage is None:
            return None
        met = weather.take(self.stage, kind, self.owner_id, self.point_code, call=self.call)
        self.weather += [kind] if met else []
        return met


Act = Callable[[Sandbox, _Seen, signing.Signed], Response]


@blueprint.post(PATH, provide_automatic_options=False)
def create() -> Response:
    """Keep a payment, and say where the buyer goes to confirm it."""
    return _answer(_create, Call.CREATE)


@blueprint.get(PATH, provide_automatic_options=False)
def confirm() -> Response:
    """Say how a payment stands."""
    return _answer(_confirm, Call.CONFIRM)


def _answer(act: Act, call: Call) -> Response:
    platform, now, started = sandbox(), clock.now(), monotonic()
    seen = _Seen(call)
    try:
        signed = _verified(platform, seen)
        _recognise(seen, signed)
        response = _hindered(seen) or _returned(seen, act(platform, seen, signed))
        verdict = ANSWERED[seen.by_https]
    except Refusal as refusal:
        response = _refusal(refusal)
        seen.base_string = seen.base_string or refusal.base_string
        seen.is_ill_signed = bool(refusal.base_string)
        seen.happened, seen.facts = Name.API_REFUSED, {"status": refusal.status, "reason": refusal.reason}
        verdict = REFUSED.get(refusal.status, REFUSED[400])
    cut = isinstance(response, _Cut)
    record(
        Exchange(
            stage_id=seen.stage and seen.stage.id,
            owner_id=seen.owner_id,
            point_code=seen.point_code,
            at=now,
            kind=Kind.API,
            method=request.method,
            url=request.url,
            base_string=seen.base_string,
            **_signature(platform, seen),
            **_hashes(),
            head=legible.lines(dict(request.headers)),
            # What is nobody's stands in every log, and a body may have a callback's word in it.
            sent=text("text/xml", request.get_data()[: atom.MAX_BYTES]) if seen.stage else "",
            status=None if cut else response.status_code,
            answer_head="" if cut else legible.lines(dict(response.headers)),
            answer=seen.answer or ("" if cut else _text(response)),
            milliseconds=round((monotonic() - started) * 1000),
            good=not cut and response.status_code == 200,
            verdict=CUT if cut else verdict,
            weather=",".join(seen.weather),
        ),
        _happened(seen),
    )
    return response


def _signature(platform: Sandbox, seen: _Seen) -> Mapping[str, Any]:
    """Of a signature that does not fit, how its sender must have come to it."""
    if not seen.is_ill_signed:
        return {}
    received = Received(request.query_string, request.headers["Authorization"], request.get_data())
    found = signatures.explain(received, seen.base_string, platform.secrets)
    return {
        "is_ill_signed": True,
        "signed": found.signed,
        "mistakes": ",".join(found.mistakes),
        "tried_all": found.is_complete,
    }


def _hashes() -> Mapping[str, str]:
    """The body hash that was given, and the one that is right; if they differ, of what the first one is."""
    try:
        header = dict(signing.header_pairs(request.headers.get("Authorization")))
    except signing.BadSignature:
        header = {}
    given, body = header.get(HASH, ""), request.get_data()
    if not given and not body:
        return {}
    right = body_hash(body)
    words = signatures.hashed(given, body) if given != right else None
    return {"hash_given": given, "hash_computed": right, "hash_words": words or ""}


def _recognise(seen: _Seen, signed: signing.Signed) -> None:
    """Whose log, and whose weather: the stage of the payment that it names, or on which its buyer lives."""
    told = dict(signed.params)
    owner_id, code = told.get("xoauth_requestor_id", ""), told.get("point_code")
    payment = payments.by_code(code) if code else None
    known = payment and payment.owner_id == owner_id
    seen.stage = stage.by_id(payment.stage_id) if payment and known else stage.of_owner(owner_id)
    if seen.stage:
        seen.owner_id, seen.point_code = owner_id, code


def _happened(seen: _Seen) -> Sequence[Line]:
    if seen.stage is None:
        return []
    told: dict[str, Any] = {"call": seen.call.value, **seen.facts}
    who: dict[str, Any] = {"owner_id": seen.owner_id, "point_code": seen.point_code}
    return [line(seen.stage.id, seen.happened, **who, **told)]


def _hindered(seen: _Seen) -> Response | None:
    """What weather makes of a request before it is acted on: another answer, a refusal, or nothing."""
    with _bed() as free:
        if free and (slow := seen.meets("api.slow")):
            sleep(slow.seconds or 0)
    if seen.meets("platform.maintenance"):
        raise Refusal(503, "the platform is under maintenance", retry_after=MINUTE.seconds)
    if seen.meets("api.401"):
        raise Refusal(401, REASONS["signature_invalid"], "signature_invalid")
    if seen.meets("api.403"):
        raise Refusal(403, "no access to this user")
    if throttled := seen.meets("api.throttled"):
        raise Refusal(503, "too many requests for this user", retry_after=throttled.seconds or 1)
    seen.facts = {"status": None}
    if seen.meets("api.down"):
        return _Cut()
    return Response(RUBBISH, 200, content_type="text/html") if seen.meets("api.rubbish") else None


def _returned(seen: _Seen, answer: Response) -> Response:
    """What weather makes of an answer on its way back."""
    if seen.meets("api.lost"):
        return _Cut()
    if drip := seen.meets("api.drip"):
        seen.answer = _text(answer)
        answer.response = _dripping(answer.get_data(), drip.seconds or 0)
    return answer


def _text(answer: Response) -> str:
    return text(answer.content_type or "", answer.get_data())


class _Cut(Response):
    """No answer: the line is cut before its first byte."""

    def __init__(self) -> None:
        super().__init__(_cutting())


def _cutting() -> Iterator[bytes]:
    # A server that hears this from the body closes the connection, and has sent nothing so far.
    raise ConnectionResetError(errno.ECONNRESET, "cut by the weather")
    yield b""


def _dripping(body: bytes, seconds: int) -> Iterator[bytes]:
    """A byte a second, and in the end the rest."""
    with _bed() as free:
        drops = body[:seconds] if free else b""
        for byte in drops:
            yield bytes([byte])
            sleep(1)
    yield body[len(drops) :]


@contextmanager
def _bed() -> Iterator[bool]:
    """A place to wait in, if one is free: who finds none is not kept waiting."""
    free = BEDS.acquire(blocking=False)
    try:
        yield free
    finally:
        if free:
            BEDS.release()


def _create(platform: Sandbox, seen: _Seen, signed: signing.Signed) -> Response:
    now = seen.now()
    _check_body_hash(signed, request.get_data())
    buyer, on = _requestor(platform, seen, signed)
    _check_approved(on)
    kind = request.mimetype, request.mimetype_params.get("type", "").lower()
    if kind != ("application/atom+xml", "entry"):
        raise Refusal(400, "Content-Type must be application/atom+xml;type=entry")
    settings = platform.settings
    # The maximum differs by device, and the API has no parameter for the device: that the one counts on
    # which the buyer opened the app last is ours. The payment screen looks again, at the one in the hand.
    limits = atom.Limits(settings.min_point, settings.most(buyer.device), settings.name_width)
    try:
        wanted = atom.read(request.get_data(), limits)
    except atom.Broken as broken:
        raise Refusal(400, str(broken)) from None
    is_test = wanted.is_test or on.in_development
    payment = payments.create(buyer, wanted, is_test, now, waits(settings))
    seen.point_code, seen.happened = payment.code, Name.PAYMENT_CREATED
    seen.facts = {"points": payment.points, "item_id": payment.item_id, "is_test": is_test}
    host = FOREIGN_HOST if seen.meets("api.foreign_link") else settings.public_url
    return _entry(atom.write_created(payment.code, clock.stamp(now), f"{host}/point/{payment.token}"))


def _confirm(platform: Sandbox, seen: _Seen, signed: signing.Signed) -> Response:
    asker, on = _requestor(platform, seen, signed)
    _check_approved(on)
    payment = payments.by_code(_parameter(signed, "point_code"))
    if payment is None:
        raise Refusal(404, "no payment has this point_code")
    if payment.owner_id != asker.owner_id:
        raise Refusal(403, "this payment is another user's")
    seen.happened, seen.facts = Name.PAYMENT_CONFIRMED, {"status": payment.status.value}
    return _entry(
        atom.write_entry(
            atom.PointEntry(payment.code, clock.stamp(payment.updated_at), payment.request, payment.status)
        )
    )


def _verified(platform: Sandbox, seen: _Seen) -> signing.Signed:
    settings, seconds = platform.settings, int(clock.now().timestamp())
    try:
        signed, seen.by_https = _by_either_scheme(platform, seconds)
    except signing.BadSignature as bad:
        advice = f"\nbase string computed here:\n{bad.base_string}" if bad.base_string else ""
        raise Refusal(
            401, REASONS.get(bad.problem, bad.problem) + advice, bad.problem, bad.base_string or ""
        ) from None
    seen.base_string = signed.base_string
    if "oauth_version" not in signed.oauth:
        raise Refusal(401, "oauth_version is missing", "parameter_absent")
    if not _first_use(signed, settings.api_timestamp_skew, seconds):
        raise Refusal(401, REASONS["nonce_used"], "nonce_used")
    return signed


def _by_either_scheme(platform: Sandbox, seconds: int) -> tuple[signing.Signed, bool]:
    """What the request says, and whether the address in its base string is https; or BadSignature.

    http is published, for a request that travels by https as well. That https is taken, too, is ours.
    """
    address = signing.http_form(platform.settings.public_url + PATH)
    try:
        return _signed(platform, address, seconds), False
    except signing.BadSignature as bad:
        try:
            return _signed(platform, urlunsplit(urlsplit(address)._replace(scheme="https")), seconds), True
        except signing.BadSignature:
            raise bad from None


def _signed(platform: Sandbox, address: str, seconds: int) -> signing.Signed:
    return platform.consumer.verify(
        request.method,
        address,
        request.query_string,
        request.headers.get("Authorization"),
        now=seconds,
        window=platform.settings.api_timestamp_skew,
    )


def _first_use(signed: signing.Signed, window: int, now: int) -> bool:
    nonce = {
        "consumer_key": signed.oauth["oauth_consumer_key"],
        "nonce": signed.oauth["oauth_nonce"],
        "timestamp": signed.timestamp,
    }
    with transaction() as session:
        session.execute(delete(Nonce).where(Nonce.timestamp < now - window))
        kept = insert(Nonce).values(nonce).on_conflict_do_nothing().returning(Nonce.id)
        return session.execute(kept).first() is not None


def _check_body_hash(signed: signing.Signed, body: bytes) -> None:
    given = signed.oauth.get("oauth_body_hash")
    if not given:
        raise Refusal(401, "oauth_body_hash is missing", "parameter_absent")
    if given != body_hash(body):
        raise Refusal(401, "oauth_body_hash is not the hash of this body", "parameter_rejected")


def _requestor(platform: Sandbox, seen: _Seen, signed: signing.Signed) -> tuple[User, Stage]:
    on, now = seen.stage, seen.now()
    owner_id = _parameter(signed, "xoauth_requestor_id")
    user = people.find(owner_id, on.id) if on else None
    if user is None or on is None:
        raise Refusal(403, "no access to this user")
    _check_rate(user, platform.settings.rate_limit, now)
    if not user.has_app:
        status = platform.settings.removed_user_status
        raise Refusal(status, "this user does not have the app", "permission_denied" if status == 401 else "")
    unused = timedelta(seconds=platform.settings.unused_seconds)
    if unused and user.used_at and now - user.used_at > unused:
        raise Refusal(401, "this user has not used the app for too long", "permission_denied")
    return user, on


def _check_rate(user: User, most: int, now: datetime) -> None:
    """Count this request, unless there were as many within a minute as there may be."""
    mine = Asked.owner_id == user.owner_id
    with transaction() as session:
        # What lies ahead was asked before the clock of the stage was turned back.
        session.execute(delete(Asked).where(mine, or_(Asked.at <= now - MINUTE, Asked.at > now)))
        lately = select(func.count(), func.min(Asked.at)).where(mine)
        count, oldest = session.execute(lately).one()
        if count < most:
            session.add(Asked(owner_id=user.owner_id, at=now))
            return
    wait = ceil((oldest + MINUTE - now).total_seconds())
    raise Refusal(503, f"more than {most} requests a minute for this user", retry_after=max(1, wait))


def _parameter(signed: signing.Signed, name: str) -> str:
    try:
        return signed.one(name)
    except signing.Malformed as malformed:
        raise Refusal(400, str(malformed)) from None


def _check_approved(on: Stage) -> None:
    if not on.approved:
        raise Refusal(403, "this app is not approved for payment")


def _entry(body: bytes) -> Response:
    return Response(body, 200, content_type=atom.MEDIA_TYPE)


def _refusal(refusal: Refusal) -> Response:
    response = Response(refusal.reason + "\n", refusal.status, content_type="text/plain; charset=utf-8")
    if refusal.problem:
        problem = f'OAuth oauth_problem="{refusal.problem}"'
        if refusal.base_string:
            problem += f', oauth_problem_advice="{quote(refusal.base_string, safe="")}"'
        response.headers["WWW-Authenticate"] = problem
    if refusal.retry_after:
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response
