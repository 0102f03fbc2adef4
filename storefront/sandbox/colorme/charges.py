"""課金設定, the developer's plan charges and options, and the application by which plans are published."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import JSON, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.sandbox.colorme import diary
from storefront.sandbox.colorme.plan_file import PlanFile
from storefront.sandbox.colorme.reckoning import LEAST_YEN, MOST_YEN, Form
from storefront.sandbox.colorme.store import Base, reading, transaction
from storefront.sandbox.language import N_
from storefront.sandbox.storefile import Moment

ID = re.compile(r"[0-9A-Z]{6,}")
ONE = 1


class Refused(Exception):
    """The console does not take it; the message is a text of the catalogue."""


class PlanCharge(Base):
    """A definition that shops are charged by. Once used, its amounts stay."""

    __tablename__ = "plan_charge"

    id: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    form: Mapped[Form]
    name: Mapped[dict[str, str]] = mapped_column(JSON)
    price: Mapped[int] = mapped_column(default=0)
    monthly: Mapped[int] = mapped_column(default=0)
    initial: Mapped[int] = mapped_column(default=0)
    used_at: Mapped[datetime | None] = mapped_column(Moment)
    is_published: Mapped[bool] = mapped_column(default=False)

    @property
    def amounts(self) -> Mapping[str, int]:
        """What is registered, by the names of its form."""
        return {name: getattr(self, name) for name in self.form.amounts}


class OptionCharge(Base):
    """A fixed amount that the app may charge after the install, by its id."""

    __tablename__ = "option_charge"

    id: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    name: Mapped[dict[str, str]] = mapped_column(JSON)
    yen: Mapped[int]


class Listing(Base):
    """The app itself at the store: its trial, and what was last applied for."""

    __tablename__ = "listing"

    id: Mapped[int] = mapped_column(primary_key=True)
    trial_days: Mapped[int] = mapped_column(default=0)
    applied: Mapped[list[str]] = mapped_column(JSON, default=list)
    applied_at: Mapped[datetime | None] = mapped_column(Moment)


def register(session: Session, file: PlanFile) -> Sequence[str]:
    """Take over what the file says; the ids of plans that were used and would have other amounts."""
    _check(file)
    listing = session.get(Listing, ONE)
    if listing is None:
        session.add(listing := Listing(id=ONE))
    listing.trial_days = file.trial_days
    frozen = []
    for position, plan in enumerate(file.plans):
        known = session.get(PlanCharge, plan.id)
        if known and known.used_at:
            same = known.form is plan.form and known.amounts == plan.amounts
            frozen += [] if same else [plan.id]
            continue
        kept = bool(known and known.is_published)
        session.merge(
            PlanCharge(
                id=plan.id,
                position=position,
                form=plan.form,
                name=dict(plan.name),
                is_published=kept,
                **{name: plan.amounts.get(name, 0) for name in ("price", "monthly", "initial")},
            )
        )
    for position, option in enumerate(file.options):
        session.merge(OptionCharge(id=option.id, position=position, name=dict(option.name), yen=option.yen))
    return frozen


def plans(*, published: bool = False) -> Sequence[PlanCharge]:
    """The plan charges in the file's order; of the published ones exactly those on the detail page."""
    chosen = select(PlanCharge).order_by(PlanCharge.position, PlanCharge.id)
    with reading() as session:
        return session.scalars(chosen.where(PlanCharge.is_published) if published else chosen).all()


def plan(plan_id: str) -> PlanCharge | None:
    with reading() as session:
        return session.get(PlanCharge, plan_id)


def options() -> Sequence[OptionCharge]:
    with reading() as session:
        return session.scalars(select(OptionCharge).order_by(OptionCharge.position, OptionCharge.id)).all()


def listing() -> Listing:
    with reading() as session:
        return session.get_one(Listing, ONE)


def reprice(plan_id: str, amounts: Mapping[str, int], now: datetime) -> None:
    """Give an unused plan charge other amounts; Refused for a used one, and outside the bounds."""
    known = plan(plan_id)
    if known is None:
        raise Refused(N_("No plan charge has this id."))
    if not all(LEAST_YEN <= amounts.get(name, 0) <= MOST_YEN for name in known.form.amounts):
        raise Refused(N_("An amount must be from ¥100 to ¥1,000,000."))
    with transaction() as session:
        changed = (
            update(PlanCharge)
            .where(PlanCharge.id == plan_id, PlanCharge.used_at.is_(None))
            .values({name: amounts[name] for name in known.form.amounts})
            .returning(PlanCharge.id)
        )
        if known.amounts and session.execute(changed).first() is None:
            raise Refused(N_("This plan charge was used once: its amounts cannot be changed any more."))
        diary.note(session, now, N_("Plan charge %(plan)s was given other amounts."), {"plan": plan_id})


def use(session: Session, plan_id: str, now: datetime) -> None:
    """From now on its amounts stay, on a trial and in a test shop, too."""
    first = update(PlanCharge).where(PlanCharge.id == plan_id, PlanCharge.used_at.is_(None))
    session.execute(first.values(used_at=now))


def apply(chosen: Sequence[str], now: datetime) -> None:
    """Apply for the app to be published with these plan charges."""
    known = {one.id for one in plans()}
    if not chosen or not set(chosen) <= known:
        raise Refused(N_("Choose at least one plan charge: a free app is published with its free plan."))
    with transaction() as session:
        values = {"applied": list(chosen), "applied_at": now}
        session.execute(update(Listing).where(Listing.id == ONE).values(values))
        diary.note(session, now, N_("The developer applied for publication."))


def approve(now: datetime) -> None:
    """The store publishes what was applied for, and nothing else."""
    with transaction() as session:
        asked = session.get_one(Listing, ONE)
        if asked.applied_at is None:
            raise Refused(N_("Nothing was applied for."))
        publish(session, asked.applied)
        asked.applied_at = None
        diary.note(session, now, N_("The app was published with the plans that were applied for."))


def publish(session: Session, chosen: Sequence[str]) -> None:
    session.execute(update(PlanCharge).values(is_published=PlanCharge.id.in_(chosen)))


def _check(file: PlanFile) -> None:
    ids = [*(one.id for one in file.plans), *(one.id for one in file.options)]
    yen = [*(sum for one in file.plans for sum in one.amounts.values()), *(one.yen for one in file.options)]
    if len(set(ids)) != len(ids) or not all(map(ID.fullmatch, ids)):
        raise Refused(N_("An id is there twice, or is not made of six or more digits and capitals."))
    if not all(LEAST_YEN <= one <= MOST_YEN for one in yen):
        raise Refused(N_("An amount must be from ¥100 to ¥1,000,000."))
