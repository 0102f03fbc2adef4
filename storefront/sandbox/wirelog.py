"""The log of everything that went over the wire, in both directions, without its secrets."""

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

from sqlalchemy import (
    ColumnElement,
    Delete,
    ForeignKey,
    Index,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.sandbox import happenings
from storefront.sandbox.happenings import Line
from storefront.sandbox.store import Base, reading, transaction
from storefront.sandbox.storefile import Moment

# Of one stage: enough for a long afternoon; a page shows a handful of rows.
KEEP = 1000
# Of what names nobody that we know: anybody can send it, and it stands in every log.
KEEP_OF_STRANGERS = 20
# Of all stages together, some hundreds of megabytes: the oldest rows go first, whosever they are. What
# strangers send pushes none of them out. Counted once in so many rows.
KEEP_IN_ALL, COUNTED = 50_000, 100
PAGE = 25
# Characters of a body; more than any page that a phone takes. What is longer ends in a sign that says so.
MOST_TEXT = 64 * 1024
# Bytes of a body that are looked at for it: as many characters take, and room for a form field at the end.
MOST_BYTES = 4 * MOST_TEXT + 16 * 1024
CUT = "\n[✂]"  # on a line of its own, or what hides a word would hide it, too
HIDDEN = "[…]"

# What is redacted of an exchange.
TEXTS = ("url", "base_string", "signed", "head", "sent", "answer_head", "answer", "forbidden")

# As phones have it, with the signs that JIS left to the makers; all else is read as UTF-8.
SHIFT_JIS = ("shift_jis", "shift-jis", "sjis", "x-sjis", "windows-31j", "cp932")

# Each is one pass over a text, however long: what stands before a value is bounded, or goes no further than
# its line or its tag.
_SECRETS = (
    # A signature in a header, a query or a base string.
    re.compile(r"(oauth_signature(?:=|%3D|%253D)\"?)[^\s\"&,<>]+", re.IGNORECASE),
    # A token in a query or a form: token=…, csrf_token=…, session=…
    re.compile(
        r"((?:token|csrf|secret|password|session)[a-z_]{0,32}+(?:=|%3D|%253D))[^\s\"'&%<>]+", re.IGNORECASE
    ),
    # A cookie, given or sent.
    re.compile(r"((?:^|\n)(?:set-)?cookie: [^=\s]*=)[^;\n]+", re.IGNORECASE),
)
# What a page hides in its forms.
_CONTROL = re.compile(r"<(input|button)\b[^>]*+", re.IGNORECASE)
_HIDES = {
    "input": re.compile(r"\btype=[\"']?hidden", re.IGNORECASE),
    "button": re.compile(r"\bname=", re.IGNORECASE),
}
_HIDDEN_VALUE = {
    "input": re.compile(r"(\bvalue=[\"']?)[^\"'>\s]+", re.IGNORECASE),
    "button": re.compile(r"(\bvalue=[\"'])[^\"'>]{16,}", re.IGNORECASE),
}


class Kind(StrEnum):
    """What a request was for."""

    PAGE = "page"
    IMAGE = "image"
    API = "api"
    CALLBACK = "callback"
    LIFECYCLE = "lifecycle"
    START = "start"
    NOTICE = "notice"


class Outcome(StrEnum):
    """What became of it, to look for."""

    GOOD = "good"
    BAD = "bad"
    SILENT = "silent"
    WEATHER = "weather"


class Exchange(Base):
    """One request and its answer."""

    __tablename__ = "wire"
    __table_args__ = (Index("rows_of_a_stage", "stage_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    # Whose stage, whose request, about which payment, as far as it can be told. What names nobody that we
    # know has no stage, and stands in every log; the provider's word in none, until it shows whose it is.
    stage_id: Mapped[str | None] = mapped_column(ForeignKey("stage.id", ondelete="CASCADE"))
    owner_id: Mapped[str | None]
    point_code: Mapped[str | None] = mapped_column(index=True)
    at: Mapped[datetime] = mapped_column(Moment)
    kind: Mapped[Kind]
    method: Mapped[str]
    url: Mapped[str]
    # Of the app's request the one that it should have; of ours the one that we signed.
    base_string: Mapped[str]
    # If the app's signature did not fit: the one that it must have signed, and by which mistakes, with commas
    # between; nothing of either if no known mistake leads there.
    is_ill_signed: Mapped[bool] = mapped_column(default=False)
    signed: Mapped[str] = mapped_column(default="")
    mistakes: Mapped[str] = mapped_column(default="")
    tried_all: Mapped[bool] = mapped_column(default=True)
    hash_given: Mapped[str] = mapped_column(default="")
    hash_computed: Mapped[str] = mapped_column(default="")
    hash_words: Mapped[str] = mapped_column(default="")
    # Headers, one a line.
    head: Mapped[str] = mapped_column(default="")
    sent: Mapped[str] = mapped_column(default="")
    status: Mapped[int | None]
    answer_head: Mapped[str] = mapped_column(default="")
    answer: Mapped[str] = mapped_column(default="")
    milliseconds: Mapped[int]
    good: Mapped[bool]
    verdict: Mapped[str]
    # The links of a page that the platform allows no app, a line each.
    forbidden: Mapped[str] = mapped_column(default="")
    # A phone asked for what is for the platform's servers alone.
    attack: Mapped[bool] = mapped_column(default=False)
    # What of its time counted as used before it was sent; what weather touched it, by name, with commas
    # between; what it did to its buyer's points.
    queued_seconds: Mapped[int] = mapped_column(default=0)
    weather: Mapped[str] = mapped_column(default="")
    points_moved: Mapped[int] = mapped_column(default=0)

    @property
    def incoming(self) -> bool:
        """Whether the shop asked us; otherwise we asked the shop."""
        return self.kind is Kind.API

    @property
    def path(self) -> str:
        """The address without its host and query."""
        return urlsplit(self.url).path


@dataclass(frozen=True)
class Filter:
    """Which rows of a log are wanted; None is all. `owners` are who plays `person`, the key of one.

    Without pictures there are none that simply arrived, unless their kind is asked for.
    """

    kind: Kind | None = None
    outcome: Outcome | None = None
    person: str | None = None
    owners: tuple[str, ...] = ()
    payment: str | None = None
    walkthrough: str | None = None
    # Those on which the walkthrough was played, in place of the one that is asked about.
    stages: tuple[str, ...] = ()
    pictures: bool = True

    @property
    def query(self) -> Mapping[str, str]:
        """The same as the query of an address."""
        named = {
            "kind": self.kind and self.kind.value,
            "outcome": self.outcome and self.outcome.value,
            "person": self.person,
            "payment": self.payment,
            "walkthrough": self.walkthrough,
            "pictures": "yes" if self.pictures else None,
        }
        return {name: value for name, value in named.items() if value}

    @property
    def is_set(self) -> bool:
        return bool(self.query)

    def conditions(self) -> list[ColumnElement[bool]]:
        """The same for the store; a stage is played for one walkthrough, so that is no column."""
        chosen: list[ColumnElement[bool]] = []
        chosen += [Exchange.kind == self.kind] if self.kind else []
        chosen += [] if self.pictures or self.kind else [_NO_PLAIN_PICTURE]
        chosen += [Exchange.owner_id.in_(self.owners)] if self.person else []
        chosen += [Exchange.point_code == self.payment] if self.payment else []
        return [*chosen, _OUTCOMES[self.outcome]] if self.outcome else chosen


_NO_PLAIN_PICTURE = or_(Exchange.kind != Kind.IMAGE, Exchange.good.is_(False), Exchange.attack.is_(True))
_OUTCOMES: Mapping[Outcome, ColumnElement[bool]] = {
    Outcome.GOOD: Exchange.good.is_(True),
    Outcome.BAD: Exchange.good.is_(False),
    Outcome.SILENT: and_(Exchange.status.is_(None), Exchange.kind != Kind.START),
    Outcome.WEATHER: Exchange.weather != "",
}


# Put together once, since every row asks for it.
_WIRE = Base.metadata.tables[Exchange.__tablename__]
_RECORD = insert(_WIRE).returning(_WIRE.c.id)
_STRANGERS = and_(Exchange.stage_id.is_(None), Exchange.kind != Kind.NOTICE)
_NOTICES = and_(Exchange.stage_id.is_(None), Exchange.kind == Kind.NOTICE)
_KNOWN = Exchange.stage_id.is_not(None)


def _forgetting(rows: Select[int]) -> Delete:
    return delete(Exchange).where(Exchange.id.in_(rows)).execution_options(synchronize_session=False)


def _but_newest(mine: ColumnElement[bool]) -> Delete:
    """A statement that forgets all of these but the newest."""
    return _forgetting(select(Exchange.id).where(mine).order_by(Exchange.id.desc()).offset(bindparam("keep")))


_FORGET, _FORGET_STRANGERS, _FORGET_NOTICES = map(
    _but_newest, (Exchange.stage_id == bindparam("stage"), _STRANGERS, _NOTICES)
)
_FORGET_OLDEST = _forgetting(select(Exchange.id).where(_KNOWN).order_by(Exchange.id).limit(bindparam("many")))
_ALL_KNOWN = select(func.count()).where(_KNOWN)


def record(exchange: Exchange, happened: Sequence[Line] = ()) -> int:
    """Write one exchange down, redacted, with what happened by it, and forget its stage's oldest.

    The number of its row; if its stage has been forgotten meanwhile nothing is written, and it is none's.
    """
    for name in TEXTS:
        setattr(exchange, name, redact(getattr(exchange, name) or ""))
    with suppress(IntegrityError), transaction() as session:
        number: int = session.scalars(_RECORD, _columns(exchange)).one()
        _forget(session, exchange, number)
        happenings.write(session, [{**line, "wire_id": number} for line in happened])
        return number
    return 0


def _forget(session: Session, exchange: Exchange, number: int) -> None:
    """Make room for this row, which has been written."""
    if exchange.stage_id:
        session.execute(_FORGET, {"stage": exchange.stage_id, "keep": KEEP})
    elif exchange.kind is Kind.NOTICE:
        session.execute(_FORGET_NOTICES, {"keep": KEEP})
    else:
        session.execute(_FORGET_STRANGERS, {"keep": KEEP_OF_STRANGERS})
    if number % COUNTED == 0:
        too_many = session.scalars(_ALL_KNOWN).one() - KEEP_IN_ALL
        session.execute(_FORGET_OLDEST, {"many": max(0, too_many)})


def _columns(exchange: Exchange) -> Mapping[str, object]:
    """Of the row what is told; the rest is as usual."""
    told = ((column.name, getattr(exchange, column.name)) for column in _WIRE.columns)
    return {name: value for name, value in told if value is not None}


def text(content_type: str, body: bytes) -> str:
    """A body as text, redacted; nothing of an image. What is too long to keep ends in CUT."""
    if not re.match(r"text/|application/(.*xml|json|x-www-form-urlencoded)", content_type):
        return ""
    charset = re.search(r"charset\s*=\s*[\"']?([\w-]+)", content_type, re.IGNORECASE)
    codec = "cp932" if charset and charset[1].lower() in SHIFT_JIS else "utf-8"
    # Redact before cutting: half a field would no longer be recognised, nor would half a word later.
    whole = redact(body[:MOST_BYTES].decode(codec, "replace").replace("\0", ""))
    if len(whole) <= MOST_TEXT and len(body) <= MOST_BYTES:
        return whole
    return re.sub(r"(?<![\w.~%-])[\w.~%-]+$", "", whole[:MOST_TEXT]) + CUT


def redact(text: str) -> str:
    """The same text without signatures, tokens and hidden fields."""
    for secret in _SECRETS:
        text = secret.sub(rf"\g<1>{HIDDEN}", text)
    return _CONTROL.sub(_without_value, text)


def _without_value(control: re.Match[str]) -> str:
    kind = control[1].lower()
    hides = _HIDES[kind].search(control[0])
    return _HIDDEN_VALUE[kind].sub(rf"\g<1>{HIDDEN}", control[0]) if hides else control[0]


def adopt(stage_id: str, point_codes: Collection[str]) -> None:
    """Rows that nobody could say whose they are belong to the stage whose buyer has the payment."""
    nobodys = (Exchange.stage_id.is_(None), Exchange.point_code.in_(point_codes))
    with transaction() as session:
        session.execute(update(Exchange).where(*nobodys).values(stage_id=stage_id))


def row(stage_id: str, number: int) -> Exchange | None:
    """The row of this number, if it is in the log of this stage."""
    with reading() as session:
        return session.scalars(select(Exchange).where(Exchange.id == number, _seen_by(stage_id))).first()


def page(stage_id: str, number: int, wanted: Filter | None = None) -> tuple[Sequence[Exchange], int]:
    """One page of a stage's log, newest first, and how many pages there are."""
    wanted = wanted or Filter()
    seen = Exchange.stage_id.in_(wanted.stages) if wanted.walkthrough else _seen_by(stage_id)
    chosen = select(Exchange).where(seen, *wanted.conditions())
    with reading() as session:
        total = session.scalar(select(func.count()).select_from(chosen.subquery())) or 0
        rows = session.scalars(
            chosen.order_by(Exchange.id.desc()).limit(PAGE).offset((number - 1) * PAGE)
        ).all()
    return rows, max(1, -(-total // PAGE))


def about(stage_id: str, point_code: str) -> Sequence[Exchange]:
    """The rows about this payment, oldest first."""
    mine = (Exchange.stage_id == stage_id, Exchange.point_code == point_code)
    with reading() as session:
        return session.scalars(select(Exchange).where(*mine).order_by(Exchange.id)).all()


def agreed(stage_id: str) -> Sequence[Exchange]:
    """The callbacks of a purchase that the app answered with OK, heard or not, oldest first."""
    said = (Exchange.stage_id == stage_id, Exchange.kind == Kind.CALLBACK, Exchange.status == 200)
    bought = (Exchange.url.contains("status=10"), func.trim(Exchange.answer) == "OK")
    with reading() as session:
        return session.scalars(select(Exchange).where(*said, *bought).order_by(Exchange.id)).all()


def visited(stage_id: str, owner_id: str, mark: str) -> Sequence[Exchange]:
    """What this buyer sent the app in the container, and the pages with this mark in them, oldest first."""
    pages = (Exchange.stage_id == stage_id, Exchange.owner_id == owner_id, Exchange.kind == Kind.PAGE)
    wanted = or_(Exchange.method == "POST", Exchange.answer.contains(mark))
    with reading() as session:
        return session.scalars(select(Exchange).where(*pages, wanted).order_by(Exchange.id)).all()


def _seen_by(stage_id: str) -> ColumnElement[bool]:
    return or_(Exchange.stage_id == stage_id, _STRANGERS)
