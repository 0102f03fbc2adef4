"""Write first, call after: what is to be charged stands in a row before the store is asked.

The store knows no key that would make a second call harmless. So nothing that may have arrived is sent
again, and what has no answer stays unknown until a person resolves it.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, String, and_, or_
from sqlalchemy.orm import Mapped, mapped_column

from storefront import clock
from storefront.colorme.settings import settings
from storefront.db import words

ANSWER_LENGTH = 200
WORKERS_SECONDS = 30  # ours: what a worker may need beside its call, for the database and for its turn


class State(StrEnum):
    """Where a charge stands.

    waiting  -> intended                       a report of usage, which the next run sends (again)
    intended -> charged | declined | unknown   by the answer, or by there being none
    intended -> waiting                        a report that surely did not arrive
    unknown  -> charged | declined             by a person, once
    waiting  -> unknown                        a backup was put back, which may know less than the store
    unknown  -> waiting                        a report that the store does not have, as a person has seen
    declined -> charged                        by an answer that comes after a person's word, and is true
    """

    WAITING = "waiting"
    INTENDED = "intended"
    CHARGED = "charged"
    DECLINED = "declined"
    UNKNOWN = "unknown"


class Intent:
    """What every row has that says: this is to be charged. Its evidence is when, and which answer.

    `sent_at` is real time, the other moments are the calendar's.
    """

    state: Mapped[State] = mapped_column(words(State))
    sent_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    http_status: Mapped[int | None]
    answer: Mapped[str] = mapped_column(String(ANSWER_LENGTH), default="")  # in a few words, for the operator
    charge_id: Mapped[str | None] = mapped_column(String(64))  # the store's own
    charged_yen: Mapped[int | None]  # before tax, as the store answered; 0 where it says no to a person's yes
    retry_at: Mapped[datetime | None]  # real time; by the store's Retry-After
    resolved_at: Mapped[datetime | None]  # when a person said what became of it; real time


def is_unknown(kind: type[Intent]) -> ColumnElement[bool]:
    """Without an answer; one that is still intended after all its time has lost its worker."""
    lost = and_(kind.state == State.INTENDED, kind.sent_at < abandoned())
    return or_(kind.state == State.UNKNOWN, lost)


def abandoned() -> datetime:
    """Whoever sent before this moment has ended: no call is as long, nor what its worker does besides."""
    return clock.now() - timedelta(seconds=settings().colorme_total_seconds + WORKERS_SECONDS)


def may_settle(kind: type[Intent], outcome: State) -> ColumnElement[bool]:
    """What an answer settles: what waits for it. That it was charged is true, whatever a person has said."""
    open_still = kind.state == State.INTENDED
    said_otherwise = and_(kind.state == State.DECLINED, kind.resolved_at.is_not(None))
    return or_(open_still, said_otherwise) if outcome is State.CHARGED else open_still


def may_contradict(kind: type[Intent]) -> ColumnElement[bool]:
    """What a late answer is noted on, a refusal or another amount: a person has said that it was charged.

    Goods and entry stay until a person undoes them.
    """
    return and_(kind.state == State.CHARGED, kind.resolved_at.is_not(None))
