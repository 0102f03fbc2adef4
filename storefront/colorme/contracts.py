"""Contracts: one for each install, by the store's own id. An account has one at a time.

`install` and `end` join the caller's transaction. Each does its work once, whatever comes again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    String,
    Table,
    and_,
    bindparam,
    exists,
    func,
    null,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column, relationship

from storefront.colorme.periods import Period, renewed_on
from storefront.colorme.plan_file import Form, Plan
from storefront.colorme.reckoning import Terms
from storefront.colorme.settings import NAME, FirstPeriod, settings
from storefront.db import INSERTS, Model, Upsert, db, insert_once, words
from storefront.shop import customers, visits
from storefront.shop.customers import Customer

ID_LENGTH = 32  # of plans, options and contracts; ours, the source names none
SHOP_NAME_LENGTH = 128
CLOCKS_DIFFER = timedelta(minutes=1)  # at most: ours, the store's, and those of our hosts
DOUBTED = timedelta(days=3)  # ours: no mistake of the store's lasts longer


class Reason(StrEnum):
    """Why a contract ended."""

    BY_SHOP_OWNER = "by_shop_owner"
    BY_UNPAID = "by_unpaid"
    BY_APP = "by_app"  # from our plan page: no hook follows
    REPLACED = "replaced"  # by a later install; its own uninstall was lost, or is still to come
    NOT_FOUND = "not_found"  # of a removal without an answer: the store knew its token no more
    NEVER_MADE = "never_made"  # the store has thrown its install away: another one stood all the while


# Concluded only, since the store has not told it: the token is kept, and where the store knows it after all,
# the contract has never ended. A hook that tells the end wins, too.
INFERRED = (Reason.REPLACED, Reason.NOT_FOUND, Reason.NEVER_MADE)


class Contract(Model):
    """A plan that a shop owner chose, with its amounts as they were; days are Japan's.

    It takes part in the sums once `confirmed_at` is set: an install whose answer was lost is none at the
    store. `access_token` and `usage_token` are encrypted.
    """

    __tablename__ = "colorme_contract"
    __table_args__ = (
        Index(
            "ix_colorme_contract_standing",
            "customer_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    plan_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    form: Mapped[Form] = mapped_column(words(Form))
    price: Mapped[int | None]
    monthly: Mapped[int | None]
    initial: Mapped[int | None]
    shop_name: Mapped[str] = mapped_column(String(SHOP_NAME_LENGTH), default="")
    is_test: Mapped[bool]
    arrived_at: Mapped[datetime]  # the install hook, by the calendar
    installed_on: Mapped[date]
    trial_first: Mapped[date | None]
    trial_last: Mapped[date | None]
    charged_from: Mapped[date]
    in_block: Mapped[bool]  # how its first postpaid period is read, whatever the setting says later
    confirmed_at: Mapped[datetime | None]  # when its owner first came in
    access_token: Mapped[str | None] = mapped_column(String(1024))
    ended_at: Mapped[datetime | None]
    reason: Mapped[Reason | None] = mapped_column(words(Reason))
    usage_token: Mapped[str | None] = mapped_column(String(1024))
    closing_at: Mapped[datetime | None]  # until then usage may be reported with that token
    # The day on which the book has to be looked at next; none where something has changed since.
    reckon_on: Mapped[date | None] = mapped_column(index=True)
    parcels_until: Mapped[date | None]  # what was due by then was brought, or there was none
    asked_to_go_at: Mapped[
        datetime | None
    ]  # a removal without an answer; the next page or day asks the store
    customer: Mapped[Customer] = relationship()

    @property
    def account(self) -> str:
        return self.customer.external_id

    @property
    def terms(self) -> Terms:
        """What it is reckoned by."""
        amounts = self.price, self.monthly, self.initial
        return Terms(self.form, self.charged_from, *amounts, self.in_block)

    @property
    def trial(self) -> Period | None:
        return Period(self.trial_first, self.trial_last) if self.trial_first and self.trial_last else None

    def in_trial(self, today: date) -> bool:
        """Whether nothing is charged for the plan yet; the day of the install belongs to it."""
        return today < self.charged_from


class EndedFirst(Model):
    """A contract of which the store told the end before its beginning: its install revives nothing."""

    __tablename__ = "colorme_ended_first"

    contract_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)


_table = cast(Table, Contract.__table__)


def _kept(row: Upsert) -> Any:
    ended = exists().where(EndedFirst.contract_id == bindparam("id"))
    values = select(*(bindparam(name, type_=column.type) for name, column in _table.c.items()))
    kept = row.from_select(_table.c.keys(), values.where(~ended)).on_conflict_do_nothing()
    return kept.returning(_table.c.id)


# Built once, since the store waits for the answer to an install.
KEEP = {engine: _kept(insert(_table)) for engine, insert in INSERTS.items()}


class Contradiction(Exception):
    """A contract of this id stands already, of another account or plan."""


@dataclass(frozen=True)
class Agreed:
    """What an install says: who, which plan, and its days."""

    id: str
    account: str
    plan: Plan
    installed_on: date
    trial: Period | None

    @property
    def charged_from(self) -> date:
        return renewed_on(self.trial) if self.trial else self.installed_on


@dataclass(frozen=True)
class Ending:
    """How a contract ends; `usage_token` is encrypted."""

    reason: Reason
    at: datetime
    usage_token: str | None = None
    closing_at: datetime | None = None


STANDS = Contract.ended_at.is_(None)
OPEN = or_(STANDS, Contract.reason.in_(INFERRED))


def install(session: Session, agreed: Agreed, *, is_test: bool, arrived_at: datetime, now: datetime) -> bool:
    """Keep a contract, once; another one of its account is replaced. False for the same again.

    Where the store's own days say that it is the older one, it is the one that is replaced: its hook is late.
    Raises Contradiction. `now` is real time, `arrived_at` the calendar's.
    """
    customer_id = customers.enrol_held(session, NAME, agreed.account, now)
    row = _row(agreed, customer_id, is_test=is_test, arrived_at=arrived_at)
    if _keep(session, row):
        return True
    stands = and_(Contract.customer_id == customer_id, Contract.ended_at.is_(None))
    found = session.scalars(select(Contract).where(or_(Contract.id == agreed.id, stands))).all()
    known = next((one for one in found if one.id == agreed.id), None)
    if known and (known.customer_id, known.plan_id) != (customer_id, agreed.plan.id):
        raise Contradiction
    if known or session.get(EndedFirst, agreed.id):
        return False
    newer = next((one.arrived_at for one in found if one.installed_on > agreed.installed_on), None)
    if newer is None:
        _end(session, stands, Ending(Reason.REPLACED, arrived_at), now)
    if not _keep(session, row | {"ended_at": newer, "reason": newer and Reason.REPLACED}):
        raise Contradiction  # at this very moment
    return True


def _row(agreed: Agreed, customer_id: int, *, is_test: bool, arrived_at: datetime) -> dict[str, Any]:
    plan, trial = agreed.plan, agreed.trial
    return dict.fromkeys(_table.c.keys()) | {
        "id": agreed.id,
        "customer_id": customer_id,
        "plan_id": plan.id,
        "form": plan.form,
        "price": plan.price,
        "monthly": plan.monthly,
        "initial": plan.initial,
        "shop_name": "",
        "is_test": is_test,
        "arrived_at": arrived_at,
        "installed_on": agreed.installed_on,
        "trial_first": trial and trial.first,
        "trial_last": trial and trial.last,
        "charged_from": agreed.charged_from,
        "in_block": settings().colorme_first_period is FirstPeriod.RUNNING_BLOCK,
    }


def _keep(session: Session, row: Mapping[str, Any]) -> bool:
    """Insert a contract, unless its id or its owner has one, or its end was told before."""
    return session.scalar(KEEP[session.get_bind().dialect.name], row) is not None


def hold(session: Session, contract_id: str) -> Contract:
    """A contract as it stands now, and stays until the commit.

    Its owner first and goods afterwards, as everywhere at this counter: who holds some of them in another
    sequence could wait for each other.
    """
    customers.hold(session, session.get_one(Contract, contract_id).customer_id)
    held = select(Contract).where(Contract.id == contract_id).with_for_update(key_share=True)
    return session.scalars(held, execution_options={"populate_existing": True}).one()


def hold_all(session: Session, account: str, now: datetime) -> None:
    """The same for all that an account has, of which any may end; for one that is just being kept, too."""
    customers.enrol_held(session, NAME, account, now)


def end(session: Session, account: str, contract_id: str, ending: Ending, now: datetime) -> Contract | None:
    """End a contract, once; the contract if it was ended now."""
    mine = and_(Contract.id == contract_id, _is_of(account), OPEN)
    return next(iter(_end(session, mine, ending, now)), None)


def remember_end(session: Session, contract_id: str) -> None:
    """Of a contract that we do not know: its install may still be on its way."""
    insert_once(session, EndedFirst, contract_id=contract_id)


def end_unnamed(
    session: Session, account: str, plan_id: str, ending: Ending, now: datetime
) -> Contract | None:
    """The same where only account and plan are told: the one that was installed by then, and no later one."""
    mine = and_(_is_of(account), Contract.plan_id == plan_id)
    told = and_(mine, Contract.ended_at == ending.at, Contract.reason == ending.reason)
    if session.scalar(select(exists().where(told))):
        return None
    # An owner has one at a time, so an older one has ended before; of one second only the first can have.
    opened = select(Contract.id).where(mine, OPEN)
    before = opened.where(Contract.arrived_at < ending.at).order_by(Contract.arrived_at.desc())
    then = opened.where(Contract.arrived_at.between(ending.at, ending.at + CLOCKS_DIFFER))
    found = session.scalar(before.limit(1)) or session.scalar(then.order_by(Contract.arrived_at).limit(1))
    return end(session, account, found, ending, now) if found else None


def end_never_made(session: Session, stood: Contract, until: datetime, now: datetime) -> Sequence[Contract]:
    """End what came while this one stood at the store: an account has one at a time, so it was none there.

    Our answer to such an install was lost, or the hook was kept by somebody and sent again.
    """
    meanwhile = and_(
        _beside(stood), or_(STANDS, _in_sequence() > _made(stood)), Contract.arrived_at <= until, OPEN
    )
    return _end(session, meanwhile, Ending(Reason.NEVER_MADE, until), now)


def end_before(session: Session, stood: Contract, now: datetime) -> Sequence[Contract]:
    """End what stands here and was made before this one, which the store had: nobody has told its end."""
    older = and_(_beside(stood), STANDS, _in_sequence() < _made(stood))
    return _end(session, older, Ending(Reason.REPLACED, stood.arrived_at), now)


def thrown_out_after(session: Session, stood: Contract, until: datetime) -> Contract | None:
    """The last install that we took for none because this one stood, which had ended by then.

    With a token from after its end it seemed to stand, as long as nobody had told us.
    """
    mine = and_(Contract.customer_id == stood.customer_id, Contract.reason == Reason.NEVER_MADE)
    found = select(Contract).where(mine, Contract.arrived_at > until)
    return session.scalar(found.order_by(Contract.arrived_at.desc(), Contract.id).limit(1))


def find(account: str, contract_id: str) -> Contract | None:
    """An account's contract of this id, whatever became of it."""
    return db.session.scalar(select(Contract).where(_is_of(account), Contract.id == contract_id))


def of(customer_id: int, most: int) -> Sequence[Contract]:
    """The newest of a customer's."""
    mine = select(Contract).where(Contract.customer_id == customer_id)
    return db.session.scalars(mine.order_by(Contract.arrived_at.desc(), Contract.id).limit(most)).all()


def newest(account: str, plan_id: str) -> Contract | None:
    """The last one that an account has made on this plan."""
    made = select(Contract).where(_is_of(account), Contract.plan_id == plan_id)
    return db.session.scalar(made.order_by(Contract.arrived_at.desc()).limit(1))


def standing(customer_id: int) -> Contract | None:
    """The contract that a shop owner has now."""
    mine = select(Contract).where(Contract.customer_id == customer_id, Contract.ended_at.is_(None))
    return db.session.scalar(mine)


def standing_of(account: str) -> Contract | None:
    """The same, by the account."""
    return db.session.scalar(select(Contract).where(_is_of(account), Contract.ended_at.is_(None)))


def come_in(session: Session, contract_id: str, access_token: str, shop_name: str, at: datetime) -> bool:
    """Its owner is in, by this token; false if the contract has ended meanwhile."""
    mine = update(Contract).where(Contract.id == contract_id, Contract.ended_at.is_(None))
    confirmed = func.coalesce(Contract.confirmed_at, at)
    values = {"access_token": access_token, "shop_name": shop_name, "confirmed_at": confirmed}
    done = mine.values(**values, asked_to_go_at=None, reckon_on=None).returning(Contract.id)
    return session.scalar(done) is not None


def ask_to_go(session: Session, contract_id: str, at: datetime) -> bool:
    """Its removal was asked for; until there is an answer nobody knows whether it stands at the store.

    False if it was asked for before, and nobody knows yet.
    """
    first = update(Contract).where(Contract.id == contract_id, Contract.asked_to_go_at.is_(None))
    return session.scalar(first.values(asked_to_go_at=at).returning(Contract.id)) is not None


def asked_to_go() -> Sequence[Contract]:
    """Those that stand here, and of which nobody knows whether they do at the store."""
    waiting = select(Contract).where(Contract.asked_to_go_at.is_not(None), Contract.ended_at.is_(None))
    return db.session.scalars(waiting.order_by(Contract.id)).all()


def stay(session: Session, contract_id: str) -> None:
    """The store says that it stands."""
    session.execute(update(Contract).where(Contract.id == contract_id).values(asked_to_go_at=None))


def doubtful(account: str) -> Contract | None:
    """One of an account that may stand at the store after all: what was replaced, or else its last one."""
    mine = select(Contract).where(_is_of(account)).order_by(Contract.arrived_at.desc())
    made = db.session.scalars(mine).all()
    stands = any(one.ended_at is None for one in made)
    last = made[0] if made and not stands and made[0].reason in INFERRED else None
    return next((one for one in made if _is_in_doubt(one)), last)


def to_ask_about(now: datetime) -> Sequence[Contract]:
    """Those in whose place another one stands, as long as the store has not said that they are gone.

    And for some days those of which one answer alone has said so.
    """
    lately = and_(Contract.reason == Reason.NOT_FOUND, Contract.ended_at > now - DOUBTED)
    waiting = select(Contract).where(or_(Contract.reason == Reason.REPLACED, lately))
    waiting = waiting.where(Contract.access_token.is_not(None))
    return db.session.scalars(waiting.order_by(Contract.arrived_at, Contract.id)).all()


def is_gone(session: Session, contract_id: str) -> None:
    """The store knows the token of what was replaced no more, which is no conclusion: it is forgotten."""
    found = update(Contract).where(Contract.id == contract_id, Contract.reason == Reason.REPLACED)
    session.execute(found.values(access_token=None))


def stand_again(session: Session, contract_id: str) -> bool:
    """The store knows the token after all: the contract has never ended.

    False if that was seen before, or another one has come to stand meanwhile.
    """
    other = aliased(Contract)
    taken = exists().where(other.customer_id == Contract.customer_id, other.ended_at.is_(None))
    found = update(Contract).where(Contract.id == contract_id, Contract.reason.in_(INFERRED), ~taken)
    values = {"ended_at": None, "reason": None, "reckon_on": None}
    return session.scalar(found.values(values).returning(Contract.id)) is not None


def forced_out() -> Sequence[Contract]:
    """Those that ended because a bill was not paid."""
    unpaid = select(Contract).where(Contract.reason == Reason.BY_UNPAID, Contract.confirmed_at.is_not(None))
    return db.session.scalars(unpaid.order_by(Contract.ended_at, Contract.id)).all()


def unconfirmed() -> Sequence[Contract]:
    """Installs that stand, and whose owner has never come in: the store may have thrown them away."""
    waiting = select(Contract).where(Contract.confirmed_at.is_(None), Contract.ended_at.is_(None))
    return db.session.scalars(waiting.order_by(Contract.arrived_at, Contract.id)).all()


def never_made() -> Sequence[Contract]:
    """Installs that came to nothing at the store, though they stood here for a while."""
    none = select(Contract).where(Contract.reason == Reason.NEVER_MADE)
    return db.session.scalars(none.order_by(Contract.arrived_at, Contract.id)).all()


def _beside(contract: Contract) -> ColumnElement[bool]:
    """The others of its owner."""
    return and_(Contract.customer_id == contract.customer_id, Contract.id != contract.id)


def _in_sequence() -> ColumnElement[Any]:
    """When each was made; a late hook counts to its own day."""
    return tuple_(Contract.installed_on, Contract.arrived_at)


def _made(contract: Contract) -> tuple[date, datetime]:
    return contract.installed_on, contract.arrived_at


def _is_of(account: str) -> ColumnElement[bool]:
    own = select(Customer.id).where(Customer.channel == NAME, Customer.external_id == account)
    return Contract.customer_id.in_(own)


def _is_in_doubt(contract: Contract) -> bool:
    return contract.reason is Reason.REPLACED and contract.access_token is not None


def _confirmed(reason: Reason, at: datetime) -> Any:
    if reason in (Reason.BY_SHOP_OWNER, Reason.BY_UNPAID):
        return func.coalesce(Contract.confirmed_at, at)
    return null() if reason is Reason.NEVER_MADE else Contract.confirmed_at


def _end(session: Session, which: ColumnElement[bool], ending: Ending, now: datetime) -> Sequence[Contract]:
    """End these, and every visit of those who have none left; their tokens are forgotten.

    Not those by which the store can be asked whether that is true.
    What the store tells the end of, it has had: that confirms it as well as its owner would. What it never
    had, nobody has confirmed: the owner who came in was another's.
    """
    values = {
        "confirmed_at": _confirmed(ending.reason, ending.at),
        "ended_at": ending.at,
        "reason": ending.reason,
        "access_token": Contract.access_token if ending.reason in INFERRED else None,
        "asked_to_go_at": None,
        "usage_token": ending.usage_token,
        "closing_at": ending.closing_at,
        "reckon_on": None,
    }
    ended = update(Contract).where(which).values(values).returning(Contract)
    # As it stands now, whatever the session has read of it before.
    anew = {"synchronize_session": False, "populate_existing": True}
    contracts = session.scalars(ended, execution_options=anew).all()
    for contract in contracts:
        stands = exists().where(Contract.customer_id == contract.customer_id, Contract.ended_at.is_(None))
        if not session.scalar(select(stands)):
            visits.end_all(session, [contract.customer_id], now + CLOCKS_DIFFER, now)
    return contracts
