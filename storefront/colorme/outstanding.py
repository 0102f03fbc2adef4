"""What waits for a person: what nobody knows to be charged, and what was lost on the way.

`resolve` settles what somebody has looked up at the store.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, mapped_column

from storefront import clock
from storefront.colorme import charges, contracts, fees, reporting
from storefront.colorme.charges import Charge
from storefront.colorme.contracts import Contract, Reason
from storefront.colorme.intents import State
from storefront.colorme.periods import Period
from storefront.colorme.reporting import Report
from storefront.colorme.settings import settings
from storefront.db import Model, db, insert_once, transaction


@dataclass(frozen=True)
class Case:
    """A charge that a person should know of, with the evidence: when, what, which answer."""

    code: str
    contract: Contract
    what: str  # the option's item, or the report's description
    yen: int  # before tax
    state: State
    sent_at: datetime
    by_calendar: datetime | None  # the same, where the store's calendar is not the clock
    http_status: int | None
    answer: str
    charge_id: str | None

    @property
    def is_usage(self) -> bool:
        """A report may be sent after all, where the store does not have it."""
        return ":" in self.code

    @property
    def is_of_none(self) -> bool:
        """The store never had its contract, so that nothing can be reported of it."""
        return self.contract.reason is Reason.NEVER_MADE


@dataclass(frozen=True)
class Debt:
    """What an owner owes for a period, by our reckoning: the store does not tell of a payment since."""

    contract: Contract
    period: Period
    yen: int  # before tax

    @property
    def code(self) -> str:
        return f"{self.contract.id}:{self.period.first}"


class Seen(Model):
    """What a person has seen to, by the list it stood on and its code there; the book stays as it is."""

    __tablename__ = "colorme_seen"

    code: Mapped[str] = mapped_column(String(64), primary_key=True)
    seen_at: Mapped[datetime]


One = TypeVar("One", Case, Debt)


def to_resolve() -> Sequence[Case]:
    """What was sent, and has no answer that says whether it was charged."""
    return [*map(_of_option, charges.unknown()), *map(_of_usage, reporting.unsettled())]


def without_token() -> Sequence[Case]:
    """Usage that waits, and cannot be sent, with the last day for it."""
    return [
        replace(_of_usage(report), answer=f"{reporting.NO_TOKEN}, by {reporting.taken_until(report)}")
        for report in reporting.without_token()
    ]


def lost() -> Sequence[Case]:
    """Usage that the store takes no report of any more."""
    return _unseen("lost", [_of_usage(report) for report in reporting.lost()])


def late() -> Sequence[Case]:
    """Usage that was reported after its period: the store bills it with the next."""
    return _unseen("late", [_of_usage(report) for report in reporting.late()])


def owed() -> Sequence[Debt]:
    """Postpaid bills of those who were forced out, which stay in the book: the store goes on billing them."""
    debts = [
        Debt(contract, bill.period, yen)
        for contract in contracts.forced_out()
        for bill in fees.unpaid(contract)
        if bill.period and (yen := bill.yen + reporting.billed(contract, bill.period))
    ]
    return _unseen("owed", debts)


def otherwise() -> Sequence[Case]:
    """What the store charged another amount for than it was asked to, or than a person has said."""
    cases = [*map(_of_option, charges.otherwise()), *map(_of_usage, reporting.otherwise())]
    return _unseen("otherwise", cases)


def unconfirmed() -> Sequence[Contract]:
    """Installs whose owner has never come in: the store may have thrown them away."""
    return contracts.unconfirmed()


def never_made() -> Sequence[Contract]:
    """Installs that the store threw away: what was entered and given for them was undone."""
    return contracts.never_made()


def resolve(code: str, state: State) -> bool:
    """Settle what was looked up at the store, once, with grant and entry; false if there is nothing open.

    A report that is not there may wait to be sent; of an option, that is its owner's to say.
    """
    if ":" in code:
        return reporting.resolve(code, state)
    return state is not State.WAITING and charges.resolve(code, state)


def put_aside(code: str) -> bool:
    """Somebody has seen to it, and it is listed no more; false if nothing is listed under this code."""
    lists: Mapping[str, Sequence[Case | Debt]]
    lists = {"lost": lost(), "late": late(), "owed": owed(), "otherwise": otherwise()}
    found = [f"{name}:{code}" for name, listed in lists.items() if code in {one.code for one in listed}]
    with transaction() as session:
        return sum(insert_once(session, Seen, code=one, seen_at=clock.now()) for one in found) > 0


def count_unknown() -> int:
    return charges.count_unknown() + len(reporting.unsettled())


def count_without_token() -> int:
    return len(reporting.without_token())


def count_lost() -> int:
    return len(lost())


def count_unconfirmed() -> int:
    return len(contracts.unconfirmed())


def _unseen(name: str, listed: Sequence[One]) -> Sequence[One]:
    seen = set(db.session.scalars(select(Seen.code).where(Seen.code.startswith(f"{name}:"))))
    return [one for one in listed if f"{name}:{one.code}" not in seen]


def _of_option(charge: Charge) -> Case:
    return Case(
        charge.code,
        charge.contract,
        charge.item_id,
        charge.yen if charge.charged_yen is None else charge.charged_yen,
        charge.state,
        charge.sent_at,
        charge.made_at if settings().colorme_calendar_url else None,
        charge.http_status,
        charge.answer,
        charge.charge_id,
    )


def _of_usage(report: Report) -> Case:
    return Case(
        report.code,
        report.contract,
        report.description,
        report.entered,
        report.state,
        report.sent_at,
        report.settled_at if settings().colorme_calendar_url else None,
        report.http_status,
        report.answer,
        report.charge_id,
    )
