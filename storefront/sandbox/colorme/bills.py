"""What is collected from shop owners. Points are taken here, and nowhere else.

prepaid, one-time, option    collected at once, or not at all
postpaid                     open from the 1st, due on the month's last day, owed from the day after

A test shop's are written down, and that is all.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.sandbox.colorme import diary, reckoning, shops
from storefront.sandbox.colorme.calendar import JAPAN
from storefront.sandbox.colorme.cast import Debit
from storefront.sandbox.colorme.charges import OptionCharge
from storefront.sandbox.colorme.contracts import Contract, State, code
from storefront.sandbox.colorme.diary import Mood
from storefront.sandbox.colorme.reckoning import Form, Line, Period
from storefront.sandbox.colorme.shops import Shop
from storefront.sandbox.colorme.store import Base, reading, transaction
from storefront.sandbox.language import N_
from storefront.sandbox.storefile import Moment


class Kind(StrEnum):
    ONE_TIME = "one_time"
    PREPAID = "prepaid"
    POSTPAID = "postpaid"
    OPTION = "option"


class Paid(StrEnum):
    """Where a bill stands."""

    COLLECTED = "collected"
    OPEN = "open"
    OWED = "owed"
    UNPAID = "unpaid"  # could not be collected, and is no debt: it ended the contract
    TEST = "test"


NAMES = {
    Kind.ONE_TIME: N_("One-time purchase"),
    Kind.PREPAID: N_("Plan, prepaid"),
    Kind.POSTPAID: N_("Plan, postpaid"),
    Kind.OPTION: N_("Option"),
}
STATES = {
    Paid.COLLECTED: N_("collected"),
    Paid.OPEN: N_("to be paid"),
    Paid.OWED: N_("owed"),
    Paid.UNPAID: N_("could not be collected"),
    Paid.TEST: N_("test shop: not collected"),
}


class Bill(Base):
    """One collection. `yen` is before tax; what is taken is `total`."""

    __tablename__ = "bill"

    code: Mapped[str] = mapped_column(primary_key=True)
    contract_id: Mapped[str] = mapped_column(ForeignKey(Contract.id), index=True)
    account: Mapped[str] = mapped_column(ForeignKey(Shop.account), index=True)
    kind: Mapped[Kind]
    # Of an option its day, and its id; of a one-time purchase the day.
    first: Mapped[date]
    last: Mapped[date]
    option_id: Mapped[str | None]
    lines: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    yen: Mapped[int]
    tax: Mapped[int]
    state: Mapped[Paid]
    made_at: Mapped[datetime] = mapped_column(Moment)
    due_on: Mapped[date | None]
    collected_at: Mapped[datetime | None] = mapped_column(Moment)

    @property
    def total(self) -> int:
        return self.yen + self.tax

    @property
    def collected_on(self) -> date | None:
        return self.collected_at and self.collected_at.astimezone(JAPAN).date()

    @property
    def listed_on(self) -> date:
        """From when on it stands on the sales page: postpaid from the 1st after the contract's end."""
        return reckoning.fixed_on(Period(self.first, self.last)) if self.due_on else self.made_on

    @property
    def made_on(self) -> date:
        return self.made_at.astimezone(JAPAN).date()


class Usage(Base):
    """One usage charge that the app has told us."""

    __tablename__ = "usage"
    __table_args__ = (UniqueConstraint("code"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str]
    contract_id: Mapped[str] = mapped_column(ForeignKey(Contract.id), index=True)
    yen: Mapped[int]
    description: Mapped[str]
    made_at: Mapped[datetime] = mapped_column(Moment)
    # The first day of the period that it belongs to.
    first: Mapped[date]


def can_prepay(session: Session, contract: Contract, day: date) -> bool:
    """Whether what is due in advance on this day could be collected; nothing is taken."""
    shop = session.get_one(Shop, contract.account)
    _, lines = _in_advance(contract, day)
    total = _with_tax(lines, day)
    return contract.is_test or shop.debit is Debit.CARD or shop.points >= total


def prepay(session: Session, contract: Contract, now: datetime) -> Bill | None:
    """Collect what is due in advance today; the bill says whether it worked. None if nothing is due."""
    day = now.astimezone(JAPAN).date()
    period, lines = _in_advance(contract, day)
    if not lines:
        return None
    kind = Kind.ONE_TIME if contract.form is Form.ONE_TIME else Kind.PREPAID
    bill = _bill(contract, kind, period, lines, reckoning.tax(_sum(lines), day), now)
    return _collected(session, bill, contract, now, buys=True, otherwise=Paid.UNPAID)


def buy(session: Session, contract: Contract, option: OptionCharge, now: datetime) -> Bill | None:
    """Charge for an option; None if points are short: nobody buys them for that, and nothing is written."""
    day = now.astimezone(JAPAN).date()
    lines = [Line(N_("Option"), option.yen)]
    bill = _bill(contract, Kind.OPTION, Period(day, day), lines, reckoning.tax(option.yen, day), now)
    bill.option_id = option.id
    done = _collected(session, bill, contract, now, buys=False, otherwise=None)
    if done:
        diary.note(
            session,
            now,
            N_("Option %(option)s was charged: ¥%(yen)s with tax."),
            {"option": option.id, "yen": bill.total},
            account=contract.account,
            contract=contract.id,
            mood=Mood.GOOD,
        )
    return done


def fix(session: Session, contract: Contract, period: Period, now: datetime) -> Bill | None:
    """What a postpaid period comes to, once it is over; None if that is nothing, or was done."""
    known = select(Bill.code).where(
        Bill.contract_id == contract.id, Bill.kind == Kind.POSTPAID, Bill.first == period.first
    )
    if session.scalars(known).first():
        return None
    lines = [*reckoning.lines(contract.terms, period), *_used(session, contract, period)]
    if not lines:
        return None
    # Ours: the contract's last day decides the rate.
    bill = _bill(contract, Kind.POSTPAID, period, lines, reckoning.tax(_sum(lines), period.last), now)
    bill.due_on = reckoning.due_on(period)
    bill.state = Paid.TEST if contract.is_test else Paid.OPEN
    session.add(bill)
    return bill


def report(session: Session, contract: Contract, period: Period, yen: int, text: str, now: datetime) -> Usage:
    """Write down usage that the app tells; it belongs to the period of the day it is made on."""
    usage = Usage(
        code=code(),
        contract_id=contract.id,
        yen=yen,
        description=text,
        made_at=now,
        first=period.first,
    )
    session.add(usage)
    diary.note(
        session,
        now,
        N_("Usage of ¥%(yen)s before tax was told for the period from %(first)s."),
        {"yen": yen, "first": period.first.isoformat()},
        account=contract.account,
        contract=contract.id,
    )
    return usage


def pay(session: Session, bill: Bill, now: datetime) -> bool:
    """The owner pays what is open or owed, or the store debits it; False if points are short."""
    if bill.state not in (Paid.OPEN, Paid.OWED):
        return True
    if not shops.take(session, bill.account, bill.total, NAMES[bill.kind], now, buys=True):
        return False
    bill.state, bill.collected_at = Paid.COLLECTED, now
    return True


def owe(session: Session, bill: Bill) -> None:
    """The due day is over."""
    bill.state = Paid.OWED
    session.flush()


def throw_away(session: Session, contract: Contract, now: datetime) -> None:
    """As if an install that its app did not confirm had never been."""
    for bill in session.scalars(select(Bill).where(Bill.contract_id == contract.id)):
        if bill.state is Paid.COLLECTED:
            shops.give(session, bill.account, bill.total, N_("Given back: the install was cancelled"), now)
        session.delete(bill)
    session.flush()


def of_shop(account: str) -> Sequence[Bill]:
    """Its bills, newest first."""
    chosen = select(Bill).where(Bill.account == account).order_by(Bill.made_at.desc(), Bill.code)
    with reading() as session:
        return session.scalars(chosen).all()


def find(bill_code: str) -> Bill | None:
    with reading() as session:
        return session.get(Bill, bill_code)


def open_on(session: Session, due: date) -> Sequence[Bill]:
    """What is open and due on this day or before it."""
    chosen = (
        select(Bill)
        .join(Shop, Shop.account == Bill.account)
        .where(Bill.state == Paid.OPEN, Bill.due_on <= due, Shop.is_gone.is_(False))
    )
    return session.scalars(chosen.order_by(Bill.code)).all()


def usage(of: Iterable[Contract]) -> Sequence[Usage]:
    """What was told of these contracts, newest first."""
    ids = [contract.id for contract in of]
    chosen = select(Usage).where(Usage.contract_id.in_(ids)).order_by(Usage.id.desc())
    with reading() as session:
        return session.scalars(chosen).all()


def all_bills(of: Iterable[Contract]) -> Sequence[Bill]:
    ids = [contract.id for contract in of]
    chosen = select(Bill).where(Bill.contract_id.in_(ids)).order_by(Bill.made_at, Bill.code)
    with reading() as session:
        return session.scalars(chosen).all()


def debts(account: str, of: Iterable[Contract], today: date) -> tuple[int, bool]:
    """What this shop has not paid yet, with tax; and whether a period's amount is still to be fixed."""
    unpaid = (Bill.account == account, Bill.state.in_([Paid.OPEN, Paid.OWED]))
    with reading() as session:
        sum_of = int(session.scalar(select(func.sum(Bill.yen + Bill.tax)).where(*unpaid)) or 0)
        unfixed = any(
            not contract.is_test and (contract.may_be_told(today) or to_come(session, contract, today))
            for contract in of
            if contract.form.postpaid
        )
    return sum_of, unfixed


def to_come(session: Session, contract: Contract, today: date) -> Sequence[Period]:
    """The postpaid periods that have begun, whose amounts are not fixed, and that come to something."""
    last = contract.ended_on if contract.ended_on else today
    begun = [one for one in reckoning.periods_until(contract.terms, last) if reckoning.fixed_on(one) > today]
    return [one for one in begun if [*reckoning.lines(contract.terms, one), *_used(session, contract, one)]]


def payouts(of: Iterable[Bill]) -> Mapping[date, int]:
    """What was collected, with tax, by the day on which it is paid out."""
    sums: dict[date, int] = {}
    for bill in of:
        if bill.state is Paid.COLLECTED and bill.collected_on:
            day = reckoning.paid_out_on(bill.collected_on)
            sums[day] = sums.get(day, 0) + bill.total
    return dict(sorted(sums.items()))


def settle(bill_code: str, now: datetime) -> bool:
    """The owner presses pay."""
    with transaction() as session:
        return pay(session, session.get_one(Bill, bill_code), now)


def forget_installing(session: Session, now: datetime) -> None:
    """Throw away installs in the middle of which we stopped."""
    for contract in session.scalars(select(Contract).where(Contract.state == State.INSTALLING)).all():
        throw_away(session, contract, now)
        session.delete(contract)


def _in_advance(contract: Contract, day: date) -> tuple[Period, Sequence[Line]]:
    if contract.form is Form.ONE_TIME:
        return Period(day, day), reckoning.lines(contract.terms, Period(day, day))
    period = reckoning.period_at(contract.terms, day) if contract.form.prepaid else None
    if period is None or period.first != day:
        return Period(day, day), ()
    return period, reckoning.lines(contract.terms, period)


def _used(session: Session, contract: Contract, period: Period) -> Sequence[Line]:
    told = select(func.sum(Usage.yen)).where(Usage.contract_id == contract.id, Usage.first == period.first)
    yen = session.scalar(told)
    return [Line(N_("Usage"), int(yen))] if yen else []


def _bill(
    contract: Contract, kind: Kind, period: Period, lines: Sequence[Line], tax: int, now: datetime
) -> Bill:
    return Bill(
        code=code(),
        contract_id=contract.id,
        account=contract.account,
        kind=kind,
        first=period.first,
        last=period.last,
        lines=[{"what": one.what, "yen": one.yen, "part": one.part, "whole": one.whole} for one in lines],
        yen=_sum(lines),
        tax=tax,
        made_at=now,
    )


def _collected(
    session: Session, bill: Bill, contract: Contract, now: datetime, *, buys: bool, otherwise: Paid | None
) -> Bill | None:
    """The bill with what came of it; None if points are short and nothing else is to be written."""
    if contract.is_test:
        bill.state = Paid.TEST
    elif shops.take(session, contract.account, bill.total, NAMES[bill.kind], now, buys=buys):
        bill.state, bill.collected_at = Paid.COLLECTED, now
    elif otherwise is None:
        return None
    else:
        bill.state = otherwise
    session.add(bill)
    session.flush()
    return bill


def _sum(lines: Sequence[Line]) -> int:
    return sum(line.yen for line in lines)


def _with_tax(lines: Sequence[Line], day: date) -> int:
    return _sum(lines) + reckoning.tax(_sum(lines), day)
