"""Closed periods are reported to the store: counted once, written down, and sent part by part.

`count` closes what is `ripe`, `send` sends what is `waiting`. Both may run twice at once: whoever moves a row
first has it. Nothing that may have arrived is sent again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any

import structlog
from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    String,
    and_,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from storefront import clock
from storefront.colorme import calendar, client, contracts, reckoning, usage
from storefront.colorme.amounts import LEAST, usage_reports
from storefront.colorme.charges import Outcome
from storefront.colorme.client import Declined, NotConnected, Unknown
from storefront.colorme.contracts import Contract, Reason
from storefront.colorme.intents import Intent, State, is_unknown, may_contradict, may_settle
from storefront.colorme.periods import Period, closing_on
from storefront.colorme.settings import NAME
from storefront.colorme.tokens import decrypted
from storefront.colorme.usage import Usage, closes_before
from storefront.db import Model, db, transaction
from storefront.shop import ledger
from storefront.shop.ledger import Kind

UNIT = "yen"  # before tax
TOO_MANY = 429
OF_NOBODY = (401, 404)  # as the store says to a token that is none, and of a contract that has ended
NO_TOKEN = "there is no token to send it with"  # noqa: S105  # words
WRITTEN_OFF = f"below {LEAST} yen at the end of the contract"
RESTORED = "a backup was put back: the store may have it"
TOO_LATE = "the store takes no more reports of it"

log = structlog.get_logger()


class Report(Intent, Model):
    """One part of a period's usage, as it is reported; parts count from 1."""

    __tablename__ = "colorme_report"

    contract_id: Mapped[str] = mapped_column(ForeignKey("colorme_contract.id"), primary_key=True)
    period_first: Mapped[date] = mapped_column(primary_key=True)
    part: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    yen: Mapped[int]  # before tax
    description: Mapped[str] = mapped_column(String(50))
    counts_to: Mapped[date | None]  # the first day of the period that the store bills it with
    is_late: Mapped[bool]  # sent after its period: at the store it belongs to the next
    is_lost: Mapped[bool]  # the store takes no report of it any more
    contract: Mapped[Contract] = relationship()

    @property
    def code(self) -> str:
        """What the operator calls it by."""
        return f"{self.contract_id}:{self.period_first}:{self.part}"

    @property
    def entered(self) -> int:
        """Yen before tax, as the store has it, or will."""
        return self.yen if self.charged_yen is None else self.charged_yen


ENTERED = func.coalesce(Report.charged_yen, Report.yen)


@dataclass(frozen=True)
class Expected:
    """Usage as the store bills it, by the first day of its period; `earlier` is what of it was taken before.

    `taken` has what was taken in each period, and `waits` is less than a report may say.
    """

    billed: Mapping[date, int]
    earlier: Mapping[date, int]
    taken: Mapping[date, int]
    waits: int


def ripe(now: datetime) -> Sequence[str]:
    """The contracts of which something is to be counted. `now` is the calendar's."""
    closed = _closed(now)
    total = func.sum(Usage.yen)
    worth = or_(total >= LEAST, func.count(Contract.ended_at) > 0)
    found = select(Usage.contract_id).join(Contract).where(*closed).group_by(Usage.contract_id).having(worth)
    return db.session.scalars(found.order_by(Usage.contract_id)).all()


def count(contract_id: str, now: datetime) -> None:
    """Close the periods of a contract that are to be closed, each once."""
    with transaction() as session:
        _count(session, contract_id, _closed(now))


def send(report: Report) -> bool:
    """Send what waits, once; what surely did not arrive waits for the next run. Whether it is charged now.

    Midnight may pass while others are sent, so each goes by a moment of its own.
    """
    outcome = _send(report, calendar.now())
    if outcome:
        log.info("usage", code=report.code, state=outcome.state.value, answer=outcome.answer)
    return outcome is not None and outcome.state is State.CHARGED


def tell(contract: Contract) -> None:
    """Report all that was taken until now, though its period is not over: the contract is about to end.

    Its owner waits for it, so that the first one that the store does not take is the last.
    """
    with transaction() as session:
        _count(session, contract.id, [~Usage.reported])
    mine = select(Report).where(Report.contract_id == contract.id, Report.state == State.WAITING)
    for report in db.session.scalars(mine.order_by(Report.period_first, Report.part)).all():
        if not send(report):
            return


def reopen(session: Session, contract: Contract) -> None:
    """What the store declined because the contract had ended is sent anew, with the token of its end."""
    mine = and_(Report.contract_id == contract.id, Report.resolved_at.is_(None))
    void = and_(mine, Report.state == State.DECLINED, Report.http_status.in_(OF_NOBODY))
    if contract.usage_token:
        session.execute(update(Report).where(void).values(state=State.WAITING))


def revive(session: Session, contract: Contract) -> None:
    """Its end was none: what was declined, lost or written off because of it is to be reported after all."""
    mine = and_(Report.contract_id == contract.id, Report.state == State.DECLINED)
    nobody_said = and_(mine, Report.resolved_at.is_(None))
    unsent = and_(nobody_said, or_(Report.http_status.in_(OF_NOBODY), Report.answer == TOO_LATE))
    session.execute(update(Report).where(unsent).values(state=State.WAITING, is_lost=False))
    for report in session.scalars(select(Report).where(mine, Report.answer == WRITTEN_OFF)).all():
        _take_up(session, report)


def doubt(now: datetime) -> int:
    """Let a person look before anything closed is sent: a backup may be older than a report of it."""
    for contract_id in ripe(now):
        count(contract_id, now)
    values = {"state": State.UNKNOWN, "answer": RESTORED}
    with transaction() as session:
        doubted = update(Report).where(Report.state == State.WAITING).values(values).returning(Report.part)
        return len(session.execute(doubted, execution_options={"synchronize_session": False}).all())


def resolve(code: str, state: State) -> bool:
    """A person has seen at the store what became of it: settle it, once. False if there is nothing open.

    What the store does not have may wait to be sent (anew).
    """
    report = next((one for one in unsettled() if one.code == code), None)
    if report is None:
        return False
    outcome = Outcome(state, report.answer, report.http_status, report.charge_id, report.yen)
    resolved_at = None if state is State.WAITING else clock.now()
    counted = {"counts_to": report.counts_to or report.period_first}
    return _settle(report, _is_unsettled(), outcome, calendar.now(), counted, resolved_at=resolved_at)


def waiting(today: date) -> Sequence[Report]:
    """What is counted and not sent; of a calendar that went back, nothing that has not begun."""
    found = select(Report).where(Report.state == State.WAITING, Report.period_first <= today)
    return db.session.scalars(found.order_by(Report.contract_id, Report.period_first, Report.part)).all()


def without_token() -> Sequence[Report]:
    """What waits, and cannot be sent: its owner has to come in, or its contract's end to be told."""
    found = select(Report).where(Report.state == State.WAITING)
    ordered = found.order_by(Report.contract_id, Report.period_first, Report.part)
    return [report for report in db.session.scalars(ordered) if _token(report.contract) is None]


def may_be_sent(contract: Contract, now: datetime) -> bool:
    """Whether usage of a contract that has ended waits, and the store may take it still."""
    counted = exists().where(Report.contract_id == contract.id, Report.state == State.WAITING)
    waits = db.session.scalar(select(counted)) or usage.open_yen(contract.id)
    return bool(waits and contract.ended_at and not _is_past_closing(contract, contract.ended_at, now))


def taken_until(report: Report) -> date:
    """The last day on which the store takes it, or while the contract stands, takes it for its period."""
    contract = report.contract
    if contract.closing_at:
        return clock.day(contract.closing_at)
    at = clock.day(contract.ended_at) if contract.ended_at else report.period_first
    period = reckoning.period_at(contract.terms, at)
    if period is None:
        return report.period_first
    return closing_on(period) if contract.ended_at else period.last


def unsettled() -> Sequence[Report]:
    """What a person has to look up or to claim: unknown, or declined by the store."""
    found = select(Report).where(_is_unsettled())
    return db.session.scalars(found.order_by(Report.contract_id, Report.period_first, Report.part)).all()


def lost() -> Sequence[Report]:
    """What will never be paid: it came too late, or is below the least of a report."""
    return db.session.scalars(select(Report).where(Report.is_lost).order_by(Report.contract_id)).all()


def late() -> Sequence[Report]:
    """What was sent after its period, so that the store bills it with the next."""
    return db.session.scalars(select(Report).where(Report.is_late).order_by(Report.contract_id)).all()


def otherwise() -> Sequence[Report]:
    """What the store entered another sum for than was reported, or than a person has said."""
    other = select(Report).where(Report.state == State.CHARGED, Report.charged_yen != Report.yen)
    return db.session.scalars(other.order_by(Report.contract_id, Report.period_first, Report.part)).all()


def billed(contract: Contract, period: Period) -> int:
    """Usage that the store bills with this period: reported for it in time, or late for one before."""
    mine = and_(Report.contract_id == contract.id, Report.state == State.CHARGED)
    mine = and_(mine, Report.counts_to == period.first)
    return db.session.scalar(select(func.sum(ENTERED)).where(mine)) or 0


def expected(contract: Contract, today: date) -> Expected:
    """What was sent, and what is still to be sent.

    What is not sent when its period is over, or was below the least of a report, comes with the running one.
    """
    running = reckoning.period_at(contract.terms, max(today, contract.charged_from))
    billed, own, taken, waits = Counter[date](), Counter[date](), Counter[date](), Counter[date]()

    def bill(taken_in: date, first: date, yen: int) -> None:
        billed[first] += yen
        own[first] += yen if taken_in == first else 0

    reports = select(Report).where(Report.contract_id == contract.id, ~Report.is_lost)
    for report in db.session.scalars(reports.where(Report.state != State.DECLINED)):
        sent = report.counts_to if report.state is not State.WAITING else None
        bill(report.period_first, sent or _at_least(running, report.period_first), report.entered)
    mine = select(Usage).where(Usage.contract_id == contract.id).order_by(Usage.period_first)
    for first, pieces in groupby(db.session.scalars(mine), lambda piece: piece.period_first):
        each = list(pieces)
        taken[first] = sum(piece.yen for piece in each)
        waits[first] = sum(piece.yen for piece in each if not piece.reported)
        if waits.total() >= LEAST:
            for taken_in, yen in waits.items():
                bill(taken_in, _at_least(running, first), yen)
            waits.clear()
    earlier = {first: yen - min(own[first], taken[first]) for first, yen in billed.items()}
    return Expected(billed, earlier, taken, waits.total())


def of_contract(contract_id: str) -> Sequence[Report]:
    """The reports of one contract, the newest first."""
    mine = select(Report).where(Report.contract_id == contract_id)
    return db.session.scalars(mine.order_by(Report.period_first.desc(), Report.part)).all()


def _at_least(running: Period | None, first: date) -> date:
    return max(running.first, first) if running else first


def _is_unsettled() -> ColumnElement[bool]:
    """Nobody has said yet what became of it."""
    declined = and_(Report.state == State.DECLINED, ~Report.is_lost, Report.resolved_at.is_(None))
    return or_(is_unknown(Report), declined)


def _closed(now: datetime) -> Sequence[ColumnElement[bool]]:
    """Usage that nothing is added to: its period is closed, or its contract has ended."""
    over = or_(Usage.period_last < closes_before(now), Contract.ended_at.is_not(None))
    return ~Usage.reported, Usage.period_first <= closes_before(now), over


def _count(session: Session, contract_id: str, closed: Sequence[ColumnElement[bool]]) -> None:
    """Whoever holds the contract counts; the other finds nothing left.

    Each period is reported for itself, however many were missed; only what is below the least is carried on.
    """
    contract = contracts.hold(session, contract_id)
    mine = select(Usage).join(Contract).where(Usage.contract_id == contract_id, *closed)
    pieces = session.scalars(mine.with_for_update(of=Usage).order_by(Usage.period_first)).all()
    carried: list[Usage] = []
    for (first, last), taken in groupby(pieces, lambda piece: (piece.period_first, piece.period_last)):
        carried += taken
        if sum(piece.yen for piece in carried) >= LEAST:
            _write(session, contract, Period(first, last), carried)
            carried = []
    if carried and contract.ended_at:
        last_one = carried[-1]
        _write(session, contract, Period(last_one.period_first, last_one.period_last), carried)


def _write(session: Session, contract: Contract, period: Period, pieces: Sequence[Usage]) -> None:
    """One period's reports, with what was carried on to it; what is below the least is written off."""
    for piece in pieces:
        piece.reported = True
    yen = sum(piece.yen for piece in pieces)
    parts, rest = usage_reports(yen)
    same = select(func.count()).where(Report.contract_id == contract.id, Report.period_first == period.first)
    before = session.scalar(same) or 0
    for number, part in enumerate(parts or [rest], before + 1):
        session.add(
            Report(
                contract_id=contract.id,
                period_first=period.first,
                part=number,
                yen=part,
                description=f"{period} 利用分",
                state=State.WAITING if parts else State.DECLINED,
                answer="" if parts else WRITTEN_OFF,
                sent_at=clock.now(),
                is_late=False,
                is_lost=not parts,
            )
        )


def _take_up(session: Session, report: Report) -> None:
    """The pieces that were written off wait again for more: they are the last that were taken."""
    last = select(Usage).where(Usage.contract_id == report.contract_id, Usage.reported)
    pieces, yen = session.scalars(last.order_by(Usage.taken_at.desc(), Usage.code)), 0
    for piece in pieces.all():
        if yen == report.yen:
            break
        piece.reported, yen = False, yen + piece.yen
    session.delete(report)


def _send(report: Report, now: datetime) -> Outcome | None:
    """One call, for one row that this run has moved; None if another run has."""
    contract = report.contract
    if _is_closed(contract, now):
        outcome = Outcome(State.DECLINED, TOO_LATE)
        return outcome if _settle(report, Report.state == State.WAITING, outcome, now, is_lost=True) else None
    token = _token(contract)
    if token is None:
        return Outcome(State.WAITING, NO_TOKEN)
    if not _claim(report, _counted(contract, report, now)):
        return None
    outcome = _call(report, {"usage_token" if contract.ended_at else "token": token})
    counted = _counted(contract, report, outcome.made_at or now)
    if _settle(report, may_settle(Report, outcome.state), outcome, now, counted):
        return outcome
    if outcome.state is not State.UNKNOWN:
        _contradict(report, outcome)
    log.warning("usage settled before its answer", code=report.code, answer=outcome.answer)
    return None


def _token(contract: Contract) -> str | None:
    """What its usage is reported with; None, too, where the key is gone that it was kept under."""
    return decrypted(contract.usage_token if contract.ended_at else contract.access_token)


def _is_closed(contract: Contract, now: datetime) -> bool:
    """Whether nothing can be reported any more. Where we only concluded the end, its hook may still come."""
    if contract.ended_at is None or _may_stand(contract):
        return False
    concluded = contract.reason in (Reason.REPLACED, Reason.NOT_FOUND)
    if contract.usage_token is None and not concluded:
        return True
    return _is_past_closing(contract, contract.ended_at, now)


def _is_past_closing(contract: Contract, ended_at: datetime, now: datetime) -> bool:
    if contract.closing_at:
        return contract.closing_at < now
    last = reckoning.period_at(contract.terms, clock.day(ended_at))
    return last is None or clock.day(now) > closing_on(last)


def _may_stand(contract: Contract) -> bool:
    """Whether the store has still to say that what was replaced is gone: nothing is written off before."""
    return contract.reason is Reason.REPLACED and decrypted(contract.access_token) is not None


def _counted(contract: Contract, report: Report, at: datetime) -> dict[str, Any]:
    """To which period the store counts what it is told at a moment; after an uninstall, to the last one."""
    until = min(at, contract.ended_at) if contract.ended_at else at
    period = reckoning.period_at(contract.terms, clock.day(until))
    first = period.first if period else report.period_first
    return {"counts_to": first, "is_late": first > report.period_first}


def _claim(report: Report, counted: dict[str, Any]) -> bool:
    values = {"state": State.INTENDED, "sent_at": clock.now(), **counted}
    with transaction() as session:
        mine = update(Report).where(_is(report), Report.state == State.WAITING).values(values)
        return session.execute(mine.returning(Report.part)).first() is not None


def _call(report: Report, keys: dict[str, str | None]) -> Outcome:
    try:
        charged = client.report(report.contract_id, report.yen, report.description, **keys)
    except Declined as refusal:
        state = State.WAITING if refusal.status == TOO_MANY else State.DECLINED
        return Outcome(state, str(refusal), refusal.status)
    except NotConnected as failure:
        return Outcome(State.WAITING, f"not connected: {failure}")
    except Unknown as failure:
        return Outcome(State.UNKNOWN, failure.reason, failure.status)
    told = "201" if charged.point == report.yen else f"201, ¥{charged.point:,} in place of ¥{report.yen:,}"
    return Outcome(State.CHARGED, told, 201, charged.id, charged.point, made_at=charged.made_at)


def _settle(
    report: Report,
    which: ColumnElement[bool],
    outcome: Outcome,
    now: datetime,
    counted: dict[str, Any] | None = None,
    *,
    resolved_at: datetime | None = None,
    is_lost: bool = False,
) -> bool:
    """The conditional update comes first: of any number that settle one report, one enters it."""
    values = {
        **outcome.evidence,
        "state": outcome.state,
        "settled_at": now,
        "charged_yen": outcome.charged_yen if outcome.state is State.CHARGED else None,
        "resolved_at": resolved_at or Report.resolved_at,
        "is_lost": is_lost,
        **(counted or {}),
    }
    with transaction() as session:
        moved = update(Report).where(_is(report), which).values(values).returning(Report.part)
        done = session.execute(moved, execution_options={"synchronize_session": False}).first() is not None
        if done and outcome.state is State.CHARGED:
            contract = session.get_one(Contract, report.contract_id)
            kind, yen = (Kind.TEST, 0) if contract.is_test else (Kind.SALE, outcome.charged_yen or 0)
            key = f"{NAME}:{report.code}"
            ledger.record(session, contract.customer_id, kind, yen, UNIT, key, now, channel=NAME)
    return done


def _contradict(report: Report, outcome: Outcome) -> None:
    """What the store says after a person's word that it was charged is kept."""
    values = {**outcome.evidence, "charged_yen": outcome.charged_yen or 0}
    with transaction() as session:
        session.execute(update(Report).where(_is(report), may_contradict(Report)).values(values))


def _is(report: Report) -> ColumnElement[bool]:
    return and_(
        Report.contract_id == report.contract_id,
        Report.period_first == report.period_first,
        Report.part == report.part,
    )
