"""Usage: metered pieces taken on account, granted at once, each counted to a contract period."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from sqlalchemy import ForeignKey, Index, Row, String, exists, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront import clock
from storefront.colorme import contracts, reckoning
from storefront.colorme.contracts import Contract
from storefront.colorme.periods import Period, renewed_on
from storefront.colorme.settings import NAME, settings
from storefront.db import Model, db, transaction
from storefront.shop import inventory, limits
from storefront.shop.catalog import Item, Offer


class NotOnAccount(Exception):
    """Nothing may be taken on account now: another plan, a trial, or the contract has ended."""


class Usage(Model):
    """Pieces of one item, taken by one form, and the period they count to; `reported` once it is closed."""

    __tablename__ = "colorme_usage"
    __table_args__ = (Index("ix_colorme_usage_open", "reported", "period_last"),)

    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    contract_id: Mapped[str] = mapped_column(ForeignKey("colorme_contract.id"), index=True)
    item_id: Mapped[str] = mapped_column(ForeignKey("item.id"))
    quantity: Mapped[int]
    yen: Mapped[int]  # for all of them, before tax
    taken_at: Mapped[datetime]  # by the calendar
    period_first: Mapped[date]
    period_last: Mapped[date]
    reported: Mapped[bool] = mapped_column(default=False)


def may_take(contract: Contract, today: date) -> bool:
    """Whether the plan has a usage part, its trial is over, and its owner has not asked to go."""
    stands = contract.ended_at is None and contract.asked_to_go_at is None
    return stands and contract.form.has_usage and not contract.in_trial(today)


def take(contract: Contract, offer: Offer, code: str, now: datetime) -> bool:
    """Take one piece on account, and have it at once; false if this form has brought it before.

    `now` is the calendar's. Raises NotForSale, and NotOnAccount.
    """
    values = {"contract_id": contract.id, "item_id": offer.item.id, "quantity": 1, "yen": offer.price.amount}
    with transaction() as session:
        held = contracts.hold(session, contract.id)
        if session.get(Usage, code):  # looked at before limits, which it has perhaps used up
            return False
        period = _period(session, held, offer, now)
        days = {"period_first": period.first, "period_last": period.last}
        session.add(Usage(code=code, taken_at=now, reported=False, **values, **days))
        key, test = f"{NAME}:usage:{code}", contract.is_test  # no option has it, whatever its form was
        inventory.grant(session, contract.customer_id, offer.item.id, key, now, is_test=test)
    return True


def was_taken(customer_id: int, code: str) -> bool:
    """Whether this form of a customer's has brought a piece."""
    own = exists().where(Usage.code == code, Usage.contract_id == Contract.id)
    return bool(db.session.scalar(select(own.where(Contract.customer_id == customer_id))))


def move(session: Session, of: Contract, to: Contract) -> None:
    """What was taken under a contract that the store never had counts to the one that stood meanwhile."""
    pieces = select(Usage).where(Usage.contract_id == of.id, ~Usage.reported)
    for piece in session.scalars(pieces).all() if to.form.has_usage else ():
        if period := reckoning.period_at(to.terms, closes_before(piece.taken_at)):
            piece.contract_id, piece.period_first, piece.period_last = to.id, period.first, period.last


def pieces(contract_id: str, period: Period) -> Sequence[Row[Item, int, int]]:
    """What was taken in a period: each item, how many, and yen before tax."""
    taken = select(Item, func.sum(Usage.quantity), func.sum(Usage.yen)).join(Usage)
    mine = taken.where(Usage.contract_id == contract_id, Usage.period_first == period.first)
    return db.session.execute(mine.group_by(Item.id).order_by(Item.position)).all()


def open_yen(contract_id: str) -> int:
    """What was taken and is not counted yet, what an earlier period carried on included."""
    mine = select(func.sum(Usage.yen)).where(Usage.contract_id == contract_id, ~Usage.reported)
    return db.session.scalar(mine) or 0


def closes_before(now: datetime) -> date:
    """Periods that end before this day are closed: their count ends some minutes before they do."""
    return clock.day(now + timedelta(minutes=settings().colorme_closing_minutes))


def counted_until(period: Period) -> datetime:
    """The first moment at which a piece counts to the next one."""
    end = datetime.combine(renewed_on(period), time(), clock.JAPAN)
    return end - timedelta(minutes=settings().colorme_closing_minutes)


def counted_to(contract: Contract, now: datetime) -> Period | None:
    """The period of a piece that is taken now."""
    return reckoning.period_at(contract.terms, closes_before(now))


def _period(session: Session, held: Contract, offer: Offer, now: datetime) -> Period:
    """What a piece counts to that is taken now; the contract stays as it is meanwhile."""
    buyer, test = held.customer_id, held.is_test
    limits.enforce(session, offer.item.id, buyer, offer.amount, clock.now(), channel=NAME, is_test=test)
    period = counted_to(held, now)
    if period is None or not may_take(held, clock.day(now)):
        raise NotOnAccount
    return period
