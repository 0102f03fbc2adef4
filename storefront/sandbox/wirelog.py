"""The log of everything that went over the wire, in both directions, without its secrets."""

import re
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

from sqlalchemy import ForeignKey, Index, delete, func, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from storefront.sandbox import doors
from storefront.sandbox.doors import HIDDEN, SECRET_LENGTH
from storefront.sandbox.store import Base, reading, transaction
from storefront.sandbox.storefile import Moment

# Of one stage: enough for a long afternoon; a page shows a handful of rows.
KEEP = 3000
PAGE = 25
EXCERPT = 500

# What is redacted of an exchange.
TEXTS = ("url", "base_string", "sent", "answer", "forbidden")

# As phones have it, with the signs that JIS left to the makers; all else is read as UTF-8.
SHIFT_JIS = ("shift_jis", "shift-jis", "sjis", "x-sjis", "windows-31j", "cp932")

_SECRETS = (
    # Whatever ends a callback address, also of a request that we refuse.
    re.compile(rf"(\bcallback_url\s*=\s*[\"'][^\"'<>]*/)[^\"'<>/]{{{SECRET_LENGTH},}}"),
    # A signature in a header, a query or a base string.
    re.compile(r"(oauth_signature(?:=|%3D|%253D)\"?)[^\s\"&,<>]+", re.IGNORECASE),
    # A token in a query or a form: token=…, csrf_token=…, session=…
    re.compile(r"((?:token|csrf|secret|password|session)[a-z_]*(?:=|%3D|%253D))[^\s\"'&%<>]+", re.IGNORECASE),
    # What a page hides in its forms.
    re.compile(r"(<input\b(?=[^>]*\btype=[\"']?hidden)[^>]*?\bvalue=[\"']?)[^\"'>\s]+", re.IGNORECASE),
    re.compile(r"(<button\b(?=[^>]*\bname=)[^>]*?\bvalue=[\"'])[^\"'>]{16,}", re.IGNORECASE),
)


class Kind(StrEnum):
    """What a request was for."""

    PAGE = "page"
    IMAGE = "image"
    API = "api"
    CALLBACK = "callback"
    LIFECYCLE = "lifecycle"
    START = "start"


class Exchange(Base):
    """One request and its answer."""

    __tablename__ = "wire"
    __table_args__ = (Index("rows_of_a_stage", "stage_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    # Whose stage, whose request, about which payment, as far as it can be told. What names nobody that we
    # know has no stage, and stands in every log.
    stage_id: Mapped[str | None] = mapped_column(ForeignKey("stage.id", ondelete="CASCADE"))
    owner_id: Mapped[str | None]
    point_code: Mapped[str | None] = mapped_column(index=True)
    at: Mapped[datetime] = mapped_column(Moment)
    kind: Mapped[Kind]
    method: Mapped[str]
    url: Mapped[str]
    base_string: Mapped[str]
    sent: Mapped[str] = mapped_column(default="")
    status: Mapped[int | None]
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


def record(exchange: Exchange) -> int:
    """Write one exchange down, redacted, and forget its stage's oldest; the number of its row."""
    texts = [getattr(exchange, name) or "" for name in TEXTS]
    for name, text in zip(TEXTS, map(redact, doors.hide(*texts)), strict=True):
        setattr(exchange, name, text)
    with transaction() as session:
        session.add(exchange)
        session.flush()
        mine = Exchange.stage_id.is_not_distinct_from(exchange.stage_id)
        kept = select(Exchange.id).where(mine).order_by(Exchange.id.desc()).offset(KEEP)
        session.execute(delete(Exchange).where(Exchange.id.in_(kept)))
    return exchange.id


def excerpt(content_type: str, body: bytes) -> str:
    """The beginning of a text answer; nothing of an image."""
    if not re.match(r"text/|application/(.*xml|json)", content_type):
        return ""
    charset = re.search(r"charset\s*=\s*[\"']?([\w-]+)", content_type, re.IGNORECASE)
    codec = "cp932" if charset and charset[1].lower() in SHIFT_JIS else "utf-8"
    # Redact before cutting: half a field would no longer be recognised, nor would half a word later.
    text = redact(body.decode(codec, "replace").replace("\0", ""))
    return (text if len(text) <= EXCERPT else re.sub(r"[\w.~%-]+$", "", text[:EXCERPT])).strip()


def redact(text: str) -> str:
    """The same text without signatures, tokens and hidden fields."""
    for secret in _SECRETS:
        text = secret.sub(rf"\g<1>{HIDDEN}", text)
    return text


def row(stage_id: str, number: int) -> Exchange | None:
    """The row of this number, if it is in the log of this stage."""
    with reading() as session:
        found = session.get(Exchange, number)
    return found if found and found.stage_id in (stage_id, None) else None


def page(stage_id: str, number: int, kind: Kind | None) -> tuple[Sequence[Exchange], int]:
    """One page of a stage's log, newest first, and how many pages there are."""
    chosen = select(Exchange).where(or_(Exchange.stage_id == stage_id, Exchange.stage_id.is_(None)))
    chosen = chosen if kind is None else chosen.where(Exchange.kind == kind)
    with reading() as session:
        total = session.scalar(select(func.count()).select_from(chosen.subquery())) or 0
        rows = session.scalars(
            chosen.order_by(Exchange.id.desc()).limit(PAGE).offset((number - 1) * PAGE)
        ).all()
    return rows, max(1, -(-total // PAGE))
