"""What the town asks the shop: the only HTTP between the two.

changes()    what is new after a cursor
holdings()   what somebody holds
use()        use one of an item; the same key uses once

Silent is no answer that says whether it was done, Refused is one that says that it was not.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Annotated, Any, TypeVar
from urllib.parse import quote, urlencode

import requests
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from storefront.bounded import TooLarge
from storefront.sandbox import clock
from storefront.sandbox.game.context import Game
from storefront.sandbox.game.faults import Fault
from storefront.sandbox.game.store import Base, reading, transaction
from storefront.sandbox.mixi.calls import FAILURES, Answer, answer_to
from storefront.sandbox.storefile import Moment

MOST_BYTES = 2 * 1024 * 1024
SHOWN = 2000  # characters of what was sent and answered
KEEP = 200
KEY = "Idempotency-Key"
NOBODYS = "a token of nobody's"
ELSEWHERE = "99999999999999999.00000000"  # a cursor as another shop may have given it
DONE, UNAUTHORIZED, NOT_FOUND, GONE, LATER, BROKEN = 200, 401, 404, 410, 429, 500
PROBLEMS = "/game/problems/"
NO_SUCH_CUSTOMER, CURSOR_GONE = "no-such-customer", "cursor-gone"


class Silent(Exception):
    """The shop said nothing that we could use; the message is a word for it."""


class Refused(Exception):
    """The shop said no; the message is its word for why."""


class _Said(BaseModel):
    """What is new in an answer later is passed over."""

    model_config = ConfigDict(frozen=True, strict=True)


class Change(_Said):
    """So many more, or fewer, of what somebody holds."""

    channel: str
    external_id: str
    item: str
    quantity: int
    kind: str
    test: bool


class News(_Said):
    """The next changes, and where to go on from."""

    changes: Sequence[Change]
    cursor: Annotated[str, Field(max_length=200)]
    more: bool


class Holding(_Said):
    """How many somebody holds of an item, and how many of these come from test purchases."""

    item: str
    quantity: int
    tests: int


class Holdings(_Said):
    holdings: Sequence[Holding]


class Used(_Said):
    left: int


class Call(Base):
    """One request to the shop, and what it said; of those that brought nothing new there are none."""

    __tablename__ = "call"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment)
    method: Mapped[str]
    path: Mapped[str]
    whose: Mapped[str | None]  # an external id; None if it was about everybody
    sent: Mapped[str]
    status: Mapped[int | None]
    answer: Mapped[str]
    milliseconds: Mapped[int]
    fault: Mapped[str]


def changes(game: Game, cursor: str | None, fault: Fault | None = None) -> News:
    """What is new after this cursor, from the first change on without one."""
    after = ELSEWHERE if fault is Fault.CURSOR else cursor
    asked = {"limit": str(game.settings.changes_at_once)} | ({"after": after} if after else {})
    return _read(News, _ask(game, _Asked("GET", f"/game/changes?{urlencode(asked)}"), fault))


def holdings(game: Game, channel: str, external_id: str) -> Sequence[Holding]:
    """What somebody holds; whom the shop has never met holds nothing."""
    path = f"/game/customers/{quote(channel, safe='')}/{quote(external_id, safe='')}/holdings"
    try:
        return _read(Holdings, _ask(game, _Asked("GET", path, external_id))).holdings
    except Refused as why:
        if str(why) == NO_SUCH_CUSTOMER:
            return ()
        raise


def use(game: Game, key: str, channel: str, external_id: str, item: str, fault: Fault | None = None) -> int:
    """Use one of an item up; how many are left."""
    body = {"channel": channel, "external_id": external_id, "item": item, "quantity": 1}
    sent = json.dumps(body, ensure_ascii=False)
    return _read(Used, _ask(game, _Asked("POST", "/game/uses", external_id, key, sent), fault)).left


def calls(whose: Sequence[str]) -> Sequence[Call]:
    """What was asked lately about these, or about everybody, newest first."""
    mine = or_(Call.whose.is_(None), Call.whose.in_(whose))
    with reading() as session:
        return session.scalars(select(Call).where(mine).order_by(Call.id.desc()).limit(KEEP)).all()


@dataclass(frozen=True)
class _Asked:
    method: str
    path: str
    whose: str | None = None
    key: str = ""
    body: str = ""

    @property
    def headers(self) -> dict[str, str]:
        accepted = {"Accept": "application/json"}
        if self.method == "GET":
            return accepted
        return {**accepted, "Content-Type": "application/json", KEY: self.key}

    @property
    def shown(self) -> str:
        return f"{KEY}: {self.key}\n{self.body}" if self.key else ""


def _ask(game: Game, asked: _Asked, fault: Fault | None = None) -> Any:
    started = monotonic()
    answer = _answer(game, asked, fault)
    took, said = round((monotonic() - started) * 1000), _json(answer)
    _write_down(asked, answer, said, took, fault)
    if answer is None or (fault is Fault.LOST and asked.key):
        raise Silent("silent")
    if answer.status == DONE:
        return said
    if answer.status == LATER or answer.status >= BROKEN:
        raise Silent("silent")
    raise Refused(_why(answer.status, said))


def _answer(game: Game, asked: _Asked, fault: Fault | None) -> Answer | None:
    if fault is Fault.SILENT:
        return None
    token = NOBODYS if fault is Fault.TOKEN else game.settings.token.get_secret_value()
    url, headers = game.settings.shop_url + asked.path, {**asked.headers, "Authorization": f"Bearer {token}"}
    sending = requests.Request(asked.method, url, headers=headers, data=asked.body.encode())
    try:
        return answer_to(sending.prepare(), game.http, game.settings.call_seconds, MOST_BYTES)
    except (TimeoutError, TooLarge, *FAILURES):
        return None


def _json(answer: Answer | None) -> Any:
    try:
        return json.loads(answer.body) if answer else None
    except (ValueError, RecursionError):
        return None


def _write_down(asked: _Asked, answer: Answer | None, said: Any, took: int, fault: Fault | None) -> None:
    news = said.get("changes") if isinstance(said, dict) else None
    if news == [] and not fault:
        return
    # Whose changes they were is nobody else's business.
    text = json.dumps({**said, "changes": len(news)}) if isinstance(news, list) else _text(answer)
    row = Call(
        at=clock.now(),
        method=asked.method,
        path=asked.path,
        whose=asked.whose,
        sent=asked.shown[:SHOWN],
        status=answer and answer.status,
        answer=text[:SHOWN],
        milliseconds=took,
        fault=fault or "",
    )
    kept = select(Call.id).order_by(Call.id.desc()).limit(KEEP)
    with transaction() as session:
        session.add(row)
        session.flush()
        session.execute(delete(Call).where(Call.id.not_in(kept)))


def _text(answer: Answer | None) -> str:
    return answer.body.decode("utf-8", "replace") if answer else ""


def _why(status: int, said: Any) -> str:
    """The shop's own word for it, or ours for its status."""
    kind = str(said.get("type", "")) if isinstance(said, dict) else ""
    if kind.startswith(PROBLEMS):
        return kind.removeprefix(PROBLEMS)
    return {UNAUTHORIZED: "token", NOT_FOUND: "closed", GONE: CURSOR_GONE}.get(status, "refused")


S = TypeVar("S", bound=_Said)


def _read(kind: type[S], said: Any) -> S:
    try:
        return kind.model_validate(said, strict=False)
    except ValidationError:
        raise Silent("nonsense") from None
