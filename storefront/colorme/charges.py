"""Options: bought at once, for keeps. The store asks nobody, so the press of our button is the consent.

`buy` writes an intent, makes one call, and settles by its answer; `resolve` is a person's word where there
was none. Each settles once: status, grant and entry in one transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, Exists, ForeignKey, String, and_, exists, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from storefront import clock
from storefront.colorme import calendar, client
from storefront.colorme.amounts import rate_on, with_tax
from storefront.colorme.client import Declined, NotConnected, Unknown
from storefront.colorme.contracts import ID_LENGTH, Contract
from storefront.colorme.intents import ANSWER_LENGTH, Intent, State, is_unknown, may_contradict, may_settle
from storefront.colorme.plan_file import Option
from storefront.colorme.settings import NAME
from storefront.colorme.tokens import decrypted
from storefront.db import Model, db, insert_once, transaction
from storefront.shop import customers, inventory, ledger, limits
from storefront.shop.catalog import Item, Offer
from storefront.shop.customers import Customer
from storefront.shop.form_tokens import StaleForm
from storefront.shop.ledger import About, Kind
from storefront.shop.limits import NotForSale, Reason

UNIT = "yen"  # before tax
NO_TOKEN = 401  # as the store says to a token that is none

log = structlog.get_logger()


class Charge(Intent, Model):
    """One option, with name and price as it was asked for; the code is our form's nonce."""

    __tablename__ = "colorme_charge"

    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    contract_id: Mapped[str] = mapped_column(ForeignKey("colorme_contract.id"))
    option_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    item_id: Mapped[str] = mapped_column(ForeignKey("item.id"))
    item_name: Mapped[str] = mapped_column(String(128))
    yen: Mapped[int]  # before tax, as registered
    paid: Mapped[int]  # with tax, as the button said
    is_test: Mapped[bool]
    made_at: Mapped[datetime]  # by the calendar
    item: Mapped[Item] = relationship()
    contract: Mapped[Contract] = relationship()

    @property
    def taken(self) -> int:
        """Yen with tax: what the store took, or until it says so what the button said."""
        if self.charged_yen is None or self.charged_yen == self.yen:
            return self.paid
        return with_tax(self.charged_yen, rate_on(clock.day(self.made_at)))


@dataclass(frozen=True)
class Outcome:
    """What became of a charge, and the evidence; `charged_yen` is before tax."""

    state: State
    answer: str
    http_status: int | None = None
    charge_id: str | None = None
    charged_yen: int | None = None
    retry_after: int | None = None
    made_at: datetime | None = None  # as the store says

    @property
    def evidence(self) -> Mapping[str, str | int | None]:
        """What is kept of it in either table."""
        answer = self.answer[:ANSWER_LENGTH]
        return {"answer": answer, "http_status": self.http_status, "charge_id": self.charge_id}


def buy(
    contract: Contract, option: Option, offer: Offer, name: str, code: str, *, again: bool = False
) -> None:
    """Charge one option for one form: whatever number of sends it has, it is one call.

    What is for keeps is bought `again` only by who has read that it is. Raises NotForSale, and StaleForm if
    it was bought since the form was made; then nothing was called.
    """
    token = decrypted(contract.access_token)
    values = {
        "customer_id": contract.customer_id,
        "contract_id": contract.id,
        "option_id": option.id,
        "item_id": offer.item.id,
        "item_name": name,
        "yen": offer.price.amount,
        "paid": offer.amount,
        "is_test": contract.is_test,
        "made_at": calendar.now(),
        "state": State.INTENDED,
        "sent_at": clock.now(),
        "answer": "",
    }
    with transaction() as session:
        customers.hold(session, contract.customer_id)
        if not insert_once(session, Charge, code=code, **values):
            return
        _reserve(session, offer, contract)
        if not (again or offer.item.consumable):
            _check_first(session, contract.customer_id, offer.item.id, code)
    outcome = _call(token, option.id)
    settle(code, outcome)


def settle(code: str, outcome: Outcome) -> None:
    """Bring a charge to where its answer says, unless it is there already or a person has said so."""
    now = calendar.now()
    with transaction() as session:
        mine = Charge.code == code
        settled = _settle(session, and_(mine, may_settle(Charge, outcome.state)), outcome, now)
        if not settled and outcome.state is not State.UNKNOWN:
            settled = _contradict(session, code, outcome)
    log.info("option", code=code, state=outcome.state.value, answer=outcome.answer, settled=settled)


def resolve(code: str, state: State) -> bool:
    """A person has seen at the store what became of it: settle it, once. False if there is nothing open."""
    open_now, now = and_(Charge.code == code, is_unknown(Charge)), calendar.now()
    with transaction() as session:
        charge = session.scalar(select(Charge).where(open_now))
        if charge is None:
            return False
        outcome = Outcome(state, charge.answer, charge.http_status, charge.charge_id, charge.yen)
        return _settle(session, open_now, outcome, now, resolved_at=clock.now())


def whose(code: str) -> int | None:
    """The customer whose charge has this code."""
    return db.session.scalar(select(Charge.customer_id).filter_by(code=code))


def find(customer_id: int, code: str) -> Charge | None:
    """A customer's own charge."""
    return db.session.scalar(select(Charge).filter_by(customer_id=customer_id, code=code))


def are_charged(customer_id: int, item_id: str) -> bool:
    """Whether a customer has bought this item here, or may have."""
    return bool(db.session.scalar(select(_had(customer_id, item_id))))


def newest(customer: Customer, most: int) -> Sequence[Charge]:
    return of(customer.id, most)


def of(customer_id: int, most: int) -> Sequence[Charge]:
    mine = select(Charge).where(Charge.customer_id == customer_id)
    return db.session.scalars(mine.order_by(Charge.made_at.desc(), Charge.code).limit(most)).all()


def unknown() -> Sequence[Charge]:
    """What a person has to look up at the store, the oldest first."""
    return db.session.scalars(select(Charge).where(is_unknown(Charge)).order_by(Charge.sent_at)).all()


def otherwise() -> Sequence[Charge]:
    """What the store charged another amount for than was registered, or than a person has said."""
    other = select(Charge).where(Charge.state == State.CHARGED, Charge.charged_yen != Charge.yen)
    return db.session.scalars(other.order_by(Charge.sent_at)).all()


def count_unknown() -> int:
    return db.session.scalar(select(func.count()).select_from(Charge).where(is_unknown(Charge))) or 0


def _reserve(session: Session, offer: Offer, contract: Contract) -> None:
    """Raise NotForSale unless one more may be sold, all that is on its way being sold."""
    item, buyer, is_test, now = offer.item, contract.customer_id, contract.is_test, clock.now()
    limits.enforce(session, item.id, buyer, offer.amount, now, channel=NAME, is_test=is_test)
    # What is on its way, this one among it, was not counted there.
    on_its_way = select(func.count()).where(
        Charge.item_id == item.id, Charge.state.in_((State.INTENDED, State.UNKNOWN))
    )
    if item.stock is not None:
        sold = inventory.hold_sold(session, item.id, is_test=is_test)
        if sold + (session.scalar(on_its_way) or 0) > item.stock:
            raise NotForSale(Reason.SOLD_OUT)
    if item.per_customer is not None:
        bought = inventory.bought(session, buyer, [item.id], is_test=is_test).get(item.id, 0)
        own = session.scalar(on_its_way.where(Charge.customer_id == buyer)) or 0
        if bought + own > item.per_customer:
            raise NotForSale(Reason.LIMIT_REACHED)


def _check_first(session: Session, customer_id: int, item_id: str, code: str) -> None:
    """Raise StaleForm unless this charge is the only one: another window may have been quicker."""
    if session.scalar(select(_had(customer_id, item_id, besides=code))):
        raise StaleForm


def _had(customer_id: int, item_id: str, besides: str = "") -> Exists:
    mine = and_(Charge.customer_id == customer_id, Charge.item_id == item_id, Charge.code != besides)
    return exists().where(mine, Charge.state != State.DECLINED)


def _call(token: str | None, option_id: str) -> Outcome:
    if token is None:
        return Outcome(State.DECLINED, "we have no token", NO_TOKEN)
    try:
        charged = client.charge(token, option_id)
    except Declined as refusal:
        return Outcome(State.DECLINED, str(refusal), refusal.status, retry_after=refusal.retry_after)
    except NotConnected as failure:
        return Outcome(State.DECLINED, f"not connected: {failure}")
    except Unknown as failure:
        return Outcome(State.UNKNOWN, failure.reason, failure.status)
    return Outcome(State.CHARGED, "201", 201, charged.id, charged.point)


def _contradict(session: Session, code: str, outcome: Outcome) -> bool:
    """What the store says after a person's word that it was charged is kept."""
    said = and_(Charge.code == code, may_contradict(Charge))
    values = {**outcome.evidence, "charged_yen": outcome.charged_yen or 0}
    return session.scalar(update(Charge).where(said).values(values).returning(Charge.code)) is not None


def _settle(
    session: Session,
    which: ColumnElement[bool],
    outcome: Outcome,
    now: datetime,
    resolved_at: datetime | None = None,
) -> bool:
    """The conditional update comes first: of any number that settle one charge, one gives and enters."""
    after = outcome.retry_after
    values = {
        **outcome.evidence,
        "state": outcome.state,
        "settled_at": now,
        "charged_yen": outcome.charged_yen if outcome.state is State.CHARGED else None,
        "retry_at": clock.now() + timedelta(seconds=after) if after is not None else None,
        "resolved_at": resolved_at or Charge.resolved_at,
    }
    moved = update(Charge).where(which).values(values).returning(*Charge.__table__.c)
    charge = session.execute(moved, execution_options={"synchronize_session": False}).one_or_none()
    if charge and outcome.state is State.CHARGED:
        key, buyer, test = f"{NAME}:{charge.code}", charge.customer_id, charge.is_test
        kind, yen = (Kind.TEST, 0) if test else (Kind.SALE, charge.charged_yen)
        inventory.grant(session, buyer, charge.item_id, key, now, is_test=test)
        about = About(charge.item_id)
        ledger.record(session, buyer, kind, yen, UNIT, key, now, channel=NAME, about=about)
    return charge is not None
