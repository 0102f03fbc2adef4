"""The wire log: what was said on this browser's stage, row by row, and the story of each payment."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from urllib.parse import urlsplit, urlunsplit

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue

from storefront.mixi import signing
from storefront.sandbox import (
    clock,
    form_tokens,
    happened,
    happenings,
    legible,
    people,
    signatures,
    stage,
    wirelog,
)
from storefront.sandbox.cast import BY_KEY
from storefront.sandbox.context import Sandbox, sandbox
from storefront.sandbox.desk import bookkeeping, wording
from storefront.sandbox.happenings import Happening
from storefront.sandbox.kinds import KINDS
from storefront.sandbox.legible import Header
from storefront.sandbox.mixi import payments
from storefront.sandbox.mixi.calls import Method
from storefront.sandbox.mixi.payments import Payment
from storefront.sandbox.mixi.resend import FAULTS
from storefront.sandbox.signatures import MISTAKES, Explanation
from storefront.sandbox.stage import Stage
from storefront.sandbox.wirelog import HIDDEN, Exchange, Filter, Kind, Outcome

RECENT = 50  # payments to choose from
AUTHORIZATION = "Authorization"
OF_THE_LINE = ("Host", "Content-Length", "Connection", "Accept-Encoding")  # what a client writes by itself

ASKED = ("kind", "outcome", "person", "payment", "walkthrough")

blueprint = Blueprint("log", __name__)


@dataclass(frozen=True)
class Bar:
    """The time used of the time there is, as parts of a hundred."""

    seconds: int
    queued: float
    taken: float
    is_late: bool


@dataclass(frozen=True)
class Scene:
    """One moment of a payment's story: what happened, what went over the wire for it, and as what a page of
    the app showed the payment.
    """

    at: datetime
    happening: Happening | None
    row: Exchange | None
    state: str = ""


@blueprint.get("/log")
def show() -> ResponseReturnValue:
    """What went over the wire, newest first."""
    on = stage.current()
    chosen = _filter()
    # A page number that SQLite could not count to would be an error, not an empty page.
    number = min(max(1, request.args.get("page", 1, type=int)), wirelog.KEEP)
    rows, pages = wirelog.page(on.id, number, chosen)
    return render_template(
        "sandbox/log/list.html",
        rows=rows,
        pages=pages,
        page=number,
        chosen=chosen,
        kinds=list(Kind),
        outcomes=list(Outcome),
        people=people.everyone(on.id),
        payments=payments.recent(on.id, RECENT),
        walkthroughs=sorted({one.walkthrough for one in stage.lately() if one.walkthrough}),
        names=_names(*stage.lately()),
    )


@blueprint.get("/log/<int:number>")
def row(number: int) -> ResponseReturnValue:
    """One exchange, whole."""
    on, exchange = _mine(number)
    return _shown(on, exchange)


@blueprint.post("/log/<int:number>/curl")
def curl(number: int) -> ResponseReturnValue:
    """The same request as a command, signed anew."""
    form_tokens.check()
    on, exchange = _mine(number)
    if not _can_be_signed(exchange):
        abort(400)
    try:
        head = _signed(sandbox(), exchange)
    except (signing.BadSignature, ValueError):
        abort(400)
    return _shown(on, exchange, signed=_command(exchange, head))


@blueprint.get("/payments/<code>")
def payment(code: str) -> ResponseReturnValue:
    """A payment's story, from the tap to the confirmation."""
    found = payments.by_code(code) or abort(404)
    on = next((one for one in stage.lately() if one.id == found.stage_id), None) or abort(404)
    return render_template(
        "sandbox/log/payment.html",
        payment=found,
        user=people.find(found.owner_id, on.id),
        is_here=on.id == stage.current().id,
        books=next(line for line in bookkeeping.of(on).payments if line.code == code),
        scenes=_story(on, found),
        bar=_bar,
        weather=KINDS,
        names=_names(on),
        meant=wording.meant,
    )


def _filter() -> Filter:
    """What the address asks for; what it asks for wrongly is not asked for."""
    kind, outcome, person, code, walkthrough = (request.args.get(name, "").strip() for name in ASKED)
    stages = stage.lately()
    return Filter(
        kind=Kind(kind) if kind in list(Kind) else None,
        outcome=Outcome(outcome) if outcome in list(Outcome) else None,
        person=person if person in BY_KEY else None,
        owners=tuple(user.owner_id for user in _names(*stages).values() if user.persona_key == person),
        payment=code or None,
        walkthrough=walkthrough or None,
        stages=tuple(one.id for one in stages if one.walkthrough == walkthrough),
        pictures="pictures" in request.args,
    )


def _mine(number: int) -> tuple[Stage, Exchange]:
    found = ((on, wirelog.row(on.id, number)) for on in stage.lately())
    return next(((on, row) for on, row in found if row), None) or abort(404)


def _names(*stages: Stage) -> Mapping[str, people.User]:
    return {user.owner_id: user for on in stages for user in people.everyone(on.id)}


def _shown(on: Stage, exchange: Exchange, signed: str = "") -> str:
    head, answered = legible.head(exchange.head), legible.head(exchange.answer_head)
    return render_template(
        "sandbox/log/row.html",
        row=exchange,
        names=_names(on),
        differences=signatures.differences,
        lines=signatures.lines,
        head=head,
        answered=answered,
        sent=legible.pretty(exchange.sent, legible.media_type(exchange.head)),
        answer=legible.pretty(exchange.answer, legible.media_type(exchange.answer_head)),
        bar=_bar(exchange),
        explanation=_explanation(exchange),
        mistakes=MISTAKES,
        weather=KINDS,
        payment=payments.by_code(exchange.point_code) if exchange.point_code else None,
        command=_command(exchange, head),
        signed=signed,
        faults=FAULTS,
        can_be_signed=_can_be_signed(exchange),
        good_for=sandbox().settings.api_timestamp_skew,
        cut=wirelog.CUT,
    )


def _bar(exchange: Exchange) -> Bar | None:
    """How much of its ten seconds a callback used, the wait in a queue included; nothing of all else."""
    if exchange.kind is not Kind.CALLBACK:
        return None
    seconds = sandbox().settings.callback_seconds
    queued = min(100.0, 100 * exchange.queued_seconds / seconds)
    taken = min(100.0 - queued, exchange.milliseconds / 10 / seconds)
    return Bar(seconds, queued, taken, exchange.queued_seconds + exchange.milliseconds / 1000 >= seconds)


def _explanation(exchange: Exchange) -> Explanation | None:
    """Of the app's request as it was explained when it came; of ours what was signed beside what was sent."""
    if not exchange.base_string:
        return None
    if exchange.incoming:
        mistakes = tuple(filter(None, exchange.mistakes.split(",")))
        signed = exchange.signed or ("" if exchange.is_ill_signed else exchange.base_string)
        return Explanation(exchange.base_string, signed, mistakes, exchange.tried_all)
    sent = _base_string(exchange)
    return Explanation(sent or exchange.base_string, exchange.base_string)


def _base_string(exchange: Exchange) -> str:
    """The base string that fits what was sent; nothing if that cannot be told from what was kept."""
    authorization = dict(legible.head(exchange.head)).get(AUTHORIZATION)
    if HIDDEN in exchange.url or not authorization:
        return ""
    parts = urlsplit(exchange.url)
    where, query = urlunsplit(parts._replace(query="")), parts.query.encode("ascii")
    try:
        header = signing.header_pairs(authorization)
        return signing.base_string(exchange.method, where, signing.query_pairs(query), header)
    except signing.BadSignature:  # an event names more people than a page has parameters
        return ""


def _command(exchange: Exchange, head: Sequence[Header]) -> str:
    written = [header for header in head if header.name not in OF_THE_LINE]
    return legible.curl(exchange.method, exchange.url, written, exchange.sent)


def _can_be_signed(exchange: Exchange) -> bool:
    """Whether nothing of it was left out, and it is signed in its header; of the app's what it has signed
    itself, for our published address.
    """
    whole = f"{exchange.url}{exchange.sent}"
    is_whole = HIDDEN not in whole and not exchange.sent.endswith(wirelog.CUT)
    if exchange.incoming:
        ours = urlsplit(sandbox().settings.public_url).netloc
        return is_whole and exchange.stage_id is not None and urlsplit(exchange.url).netloc == ours
    return is_whole and exchange.kind not in (Kind.START, Kind.NOTICE)


def _signed(platform: Sandbox, exchange: Exchange) -> Sequence[Header]:
    """Its headers with a signature made now, by who signed it then."""
    timestamp, nonce = int(clock.now().timestamp()), secrets.token_hex(10)
    head = legible.head(exchange.head)
    method = cast(Method, exchange.method)
    if exchange.incoming:
        kind = dict(header for header in head if header.name == "Content-Type")
        body = exchange.sent or None
        _, made, _ = platform.api_client(timestamp, nonce).sign(exchange.url, method, body, kind)
    else:
        own = exchange.kind is Kind.LIFECYCLE
        client = platform.own_client(timestamp, nonce) if own else platform.client(timestamp, nonce)
        _, made, _ = client.sign(exchange.url, method)
    others = [header for header in head if header.name != AUTHORIZATION]
    return [*others, Header(AUTHORIZATION, made[AUTHORIZATION])]


def _story(on: Stage, payment: Payment) -> Sequence[Scene]:
    """All that is known of it, oldest first; a row stands with what happened by it."""
    rows = {row.id: row for row in wirelog.about(on.id, payment.code)}
    told = happenings.about(on.id, payment.code)
    scenes = [Scene(one.at, one, rows.pop(one.wire_id or 0, None)) for one in told]
    scenes += [Scene(row.at, None, row) for row in rows.values()]
    scenes += _shown_by_the_app(on, payment)
    return sorted(scenes, key=lambda scene: scene.at)


def _shown_by_the_app(on: Stage, payment: Payment) -> Iterator[Scene]:
    """The pages after the purchase, and others as soon as they say something new of it."""
    known = ""
    for seen in happenings.pages(on.id):
        for mark in happened.marks(seen):
            state = mark.get("state", "") if mark.get("payment") == payment.code else ""
            if state and (state != known or seen.facts.get("page") == "finish"):
                yield Scene(seen.at, seen, wirelog.row(on.id, seen.wire_id or 0), state)
                known = state
