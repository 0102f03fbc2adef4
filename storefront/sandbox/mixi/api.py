"""The point API: a SAP creates a payment, a SAP confirms one. Both signed."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from urllib.parse import quote

from flask import Blueprint, Response, request
from sqlalchemy import UniqueConstraint, delete
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Mapped, mapped_column

from storefront.mixi import signing
from storefront.sandbox import clock, people
from storefront.sandbox.application import Application, application
from storefront.sandbox.context import Sandbox, sandbox
from storefront.sandbox.language import N_
from storefront.sandbox.mixi import atom, payments
from storefront.sandbox.mixi.caller import patience
from storefront.sandbox.people import User
from storefront.sandbox.store import Base, transaction
from storefront.sandbox.wirelog import Exchange, Kind, excerpt, record

PATH = "/atom/mobile/point/@me"

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
}

blueprint = Blueprint("api", __name__)


class Refusal(Exception):
    """The API says no: a status, and the reason in plain words."""

    def __init__(self, status: int, reason: str, problem: str = "", base_string: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.problem = problem
        self.base_string = base_string


class Nonce(Base):
    """A nonce that was used; kept as long as its timestamp would be accepted."""

    __tablename__ = "nonce"
    __table_args__ = (UniqueConstraint("consumer_key", "nonce"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    consumer_key: Mapped[str]
    nonce: Mapped[str]
    timestamp: Mapped[int]


@dataclass
class _Seen:
    """What the log may show of a request whose signature was right."""

    base_string: str = ""


Act = Callable[[Sandbox, datetime, _Seen], Response]


@blueprint.post(PATH, provide_automatic_options=False)
def create() -> Response:
    """Keep a payment, and say where the buyer goes to confirm it."""
    return _answer(_create)


@blueprint.get(PATH, provide_automatic_options=False)
def confirm() -> Response:
    """Say how a payment stands."""
    return _answer(_confirm)


def _answer(act: Act) -> Response:
    platform, now, started = sandbox(), clock.now(), monotonic()
    seen = _Seen()
    try:
        response = act(platform, now, seen)
        verdict = N_("Verified and answered.")
    except Refusal as refusal:
        response = _refusal(refusal)
        seen.base_string = seen.base_string or refusal.base_string
        verdict = REFUSED.get(refusal.status, REFUSED[400])
    record(
        Exchange(
            at=now,
            kind=Kind.API,
            method=request.method,
            url=request.url,
            base_string=seen.base_string,
            sent=excerpt("text/xml", request.get_data()[: atom.MAX_BYTES]),
            status=response.status_code,
            answer=excerpt(response.content_type or "", response.get_data()),
            milliseconds=round((monotonic() - started) * 1000),
            good=response.status_code == 200,
            verdict=verdict,
        )
    )
    return response


def _create(platform: Sandbox, now: datetime, seen: _Seen) -> Response:
    signed = _verified(platform, now, seen)
    _check_body_hash(signed, request.get_data())
    buyer = _requestor(signed)
    app = _approved(platform)
    if not re.fullmatch(r"application/atom\+xml\s*;\s*type=\"?entry\"?", request.content_type or ""):
        raise Refusal(400, "Content-Type must be application/atom+xml;type=entry")
    settings = platform.settings
    # The maximum differs by device, and the API has no parameter for the device: that the one counts on
    # which the buyer opened the app last is ours. The payment screen looks again, at the one in the hand.
    limits = atom.Limits(settings.min_point, settings.most(buyer.device), settings.name_width)
    try:
        wanted = atom.read(request.get_data(), limits)
    except atom.Broken as broken:
        raise Refusal(400, str(broken)) from None
    is_test = wanted.is_test or app.in_development
    payment = payments.create(buyer, wanted, is_test, now, patience(settings))
    interface_url = f"{settings.public_url}/point/{payment.token}"
    return _entry(atom.write_created(payment.code, clock.stamp(now), interface_url))


def _confirm(platform: Sandbox, now: datetime, seen: _Seen) -> Response:
    signed = _verified(platform, now, seen)
    asker = _requestor(signed)
    _approved(platform)
    payment = payments.by_code(_parameter(signed, "point_code"))
    if payment is None:
        raise Refusal(404, "no payment has this point_code")
    if payment.owner_id != asker.owner_id:
        raise Refusal(403, "this payment is another user's")
    return _entry(
        atom.write_entry(
            atom.PointEntry(payment.code, clock.stamp(payment.updated_at), payment.request, payment.status)
        )
    )


def _verified(platform: Sandbox, now: datetime, seen: _Seen) -> signing.Signed:
    settings, seconds = platform.settings, int(now.timestamp())
    try:
        signed = platform.consumer.verify(
            request.method,
            # http in the base string, however the request travelled (source: the printed example).
            signing.http_form(settings.public_url + PATH),
            request.query_string,
            request.headers.get("Authorization"),
            now=seconds,
            window=settings.api_timestamp_skew,
        )
    except signing.BadSignature as bad:
        advice = f"\nbase string computed here:\n{bad.base_string}" if bad.base_string else ""
        raise Refusal(
            401, REASONS.get(bad.problem, bad.problem) + advice, bad.problem, bad.base_string or ""
        ) from None
    seen.base_string = signed.base_string
    if not _first_use(signed, settings.api_timestamp_skew, seconds):
        raise Refusal(401, REASONS["nonce_used"], "nonce_used")
    return signed


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
    if given != signing.body_hash(body):
        raise Refusal(401, "oauth_body_hash is not the hash of this body", "parameter_rejected")


def _requestor(signed: signing.Signed) -> User:
    user = people.find(_parameter(signed, "xoauth_requestor_id"))
    if user is None:
        raise Refusal(403, "no access to this user")
    if not user.has_app:
        # That this is 401, and that it never lapses, is ours.
        raise Refusal(401, "this user does not have the app", "permission_denied")
    return user


def _parameter(signed: signing.Signed, name: str) -> str:
    try:
        return signed.one(name)
    except signing.Malformed as malformed:
        raise Refusal(400, str(malformed)) from None


def _approved(platform: Sandbox) -> Application:
    app = application(platform.settings.app_id)
    if not app.approved:
        raise Refusal(403, "this app is not approved for payment")
    return app


def _entry(body: bytes) -> Response:
    return Response(body, 200, content_type=atom.MEDIA_TYPE)


def _refusal(refusal: Refusal) -> Response:
    response = Response(refusal.reason + "\n", refusal.status, content_type="text/plain; charset=utf-8")
    if refusal.problem:
        problem = f'OAuth oauth_problem="{refusal.problem}"'
        if refusal.base_string:
            problem += f', oauth_problem_advice="{quote(refusal.base_string, safe="")}"'
        response.headers["WWW-Authenticate"] = problem
    return response
