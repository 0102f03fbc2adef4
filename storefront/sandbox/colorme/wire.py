"""The store's wire log: what went to the app and came from it, without secrets."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Mapped, mapped_column

from storefront.sandbox import clock, legible, wirelog
from storefront.sandbox.colorme import calendar
from storefront.sandbox.colorme.store import Base, reading, transaction
from storefront.sandbox.language import N_
from storefront.sandbox.storefile import Moment
from storefront.sandbox.wirelog import HIDDEN

KEEP = 2000
PAGE = 25

_SECRETS = (
    re.compile(r'("(?:access_token|api_token|client_secret|code)"\s*:\s*")[^"]+'),
    re.compile(r"((?:client_secret|code|access_token)(?:=|%3D))[^&\s]+"),
    re.compile(r"(^(?:authorization: \w+|x-appstore-[\w-]+:) )\S+", re.IGNORECASE | re.MULTILINE),
)


class Kind(StrEnum):
    """What a request was for."""

    INSTALL = "install"
    UNINSTALL = "uninstall"
    OAUTH = "oauth"
    SHOP = "shop"
    CHARGE = "charge"
    USAGE = "usage"
    REMOVAL = "removal"


NAMES = {
    Kind.INSTALL: N_("Install hook"),
    Kind.UNINSTALL: N_("Uninstall hook"),
    Kind.OAUTH: N_("OAuth token"),
    Kind.SHOP: N_("Shop (shop.json)"),
    Kind.CHARGE: N_("Option charge"),
    Kind.USAGE: N_("Usage charge"),
    Kind.REMOVAL: N_("Removal by the app"),
}


class Exchange(Base):
    """One request and its answer."""

    __tablename__ = "wire"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment)
    on: Mapped[datetime] = mapped_column(Moment)  # the calendar
    kind: Mapped[Kind]
    account: Mapped[str | None]
    contract: Mapped[str | None]
    method: Mapped[str]
    url: Mapped[str]
    head: Mapped[str]
    sent: Mapped[str]
    status: Mapped[int | None]
    answer_head: Mapped[str]
    answer: Mapped[str]
    milliseconds: Mapped[int]
    good: Mapped[bool]
    verdict: Mapped[str]
    weather: Mapped[str]

    @property
    def incoming(self) -> bool:
        """Whether the app asked us; otherwise we told the app."""
        return self.kind not in (Kind.INSTALL, Kind.UNINSTALL)


def record(
    kind: Kind,
    method: str,
    url: str,
    *,
    head: Mapping[str, str],
    sent: bytes,
    status: int | None,
    answer_head: Mapping[str, str],
    answer: bytes,
    milliseconds: int,
    good: bool,
    verdict: str,
    weather: Sequence[str] = (),
    account: str | None = None,
    contract: str | None = None,
) -> int:
    """Write one exchange down, redacted, and forget the oldest; the number of its row."""
    kept = Exchange(
        at=clock.now(),
        on=calendar.now(),
        kind=kind,
        account=account,
        contract=contract,
        method=method,
        url=redact(url),
        head=redact(legible.lines(head)),
        sent=redact(_text(head, sent)),
        status=status,
        answer_head=redact(legible.lines(answer_head)),
        answer=redact(_text(answer_head, answer)),
        milliseconds=milliseconds,
        good=good,
        verdict=verdict,
        weather=",".join(weather),
    )
    with transaction() as session:
        session.add(kept)
        session.flush()
        session.execute(delete(Exchange).where(Exchange.id <= kept.id - KEEP))
    return kept.id


def redact(text: str) -> str:
    """The same text without tokens, codes, signatures and secrets."""
    for secret in _SECRETS:
        text = secret.sub(rf"\g<1>{HIDDEN}", text)
    return text


def row(number: int) -> Exchange | None:
    with reading() as session:
        return session.get(Exchange, number)


def page(number: int, kind: Kind | None = None, account: str = "") -> tuple[Sequence[Exchange], int]:
    """One page of the log, newest first, and how many pages there are."""
    chosen = select(Exchange)
    chosen = chosen.where(Exchange.kind == kind) if kind else chosen
    chosen = chosen.where(Exchange.account == account) if account else chosen
    with reading() as session:
        total = session.scalar(select(func.count()).select_from(chosen.subquery())) or 0
        rows = session.scalars(
            chosen.order_by(Exchange.id.desc()).limit(PAGE).offset((number - 1) * PAGE)
        ).all()
    return rows, max(1, -(-total // PAGE))


def _text(head: Mapping[str, str], body: bytes) -> str:
    kinds = {name.lower(): value for name, value in head.items()}
    return wirelog.text(kinds.get("content-type", ""), body)
