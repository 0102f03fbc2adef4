"""The plans on offer, as the plan file was loaded last, and which of them a shop once used."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, cast

from sqlalchemy import JSON, String, Table, and_, bindparam, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.colorme import plan_file
from storefront.colorme.plan_file import AMOUNTS, Form, Option, Plan, PlanFile, PlanFileError
from storefront.colorme.settings import NAME, settings
from storefront.db import BY_UPGRADE, Model, db, insert_once, upsert, words
from storefront.shop.catalog import Item, Price

THE_ONE = 1
NOTHING = PlanFile(0, {}, {}, frozenset())


class Offered(Model):
    """The plan file in one row, and the plans of files before it; who holds it sees no other plans come."""

    __tablename__ = "colorme_offered"
    __table_args__ = BY_UPGRADE

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    said: Mapped[dict[str, Any]] = mapped_column(JSON)


class PlanUse(Model):
    """The first use of a plan, with the amounts that it keeps from then on (plan billing)."""

    __tablename__ = "colorme_plan_use"

    plan_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    form: Mapped[Form] = mapped_column(words(Form))
    price: Mapped[int | None]
    monthly: Mapped[int | None]
    initial: Mapped[int | None]
    account: Mapped[str] = mapped_column(String(32))
    used_on: Mapped[date]


_offered, _use = cast(Table, Offered.__table__), cast(Table, PlanUse.__table__)
# Built once, since the store waits for the answer to an install.
OFFERED = (
    select(_offered.c.said, _use.c.plan_id)
    .outerjoin(_use, _use.c.plan_id == bindparam("plan"))
    .with_for_update(read=True, of=_offered)
)


def current() -> PlanFile:
    """What is offered now; nothing, before a plan file was loaded."""
    return _read(db.session.scalar(select(Offered.said)))


def find(plan_id: str) -> Plan | None:
    """A plan that is offered, or was when somebody took it: its contracts go on."""
    said = db.session.scalar(select(Offered.said))
    return _plan(said, plan_id, "plans") or _plan(said, plan_id, "retired")


def take(session: Session, plan_id: str, account: str, on: date) -> Plan | None:
    """A plan for somebody who installs it, so that it keeps its amounts; None if it is not offered."""
    said, used = session.execute(OFFERED, {"plan": plan_id}).one_or_none() or (None, None)
    plan = _plan(said, plan_id, "plans")
    if plan and used is None:
        insert_once(session, PlanUse, **_terms(plan), plan_id=plan.id, account=account, used_on=on)
    return plan


def load(session: Session, path: Path) -> PlanFile:
    """Offer what the file says. Raises PlanFileError, and offers what it did before."""
    found = plan_file.read(path, prices(session))
    before = session.scalar(select(Offered.said))
    known = {**_retired(before), **_read(before).plans}
    retired = [plan for plan in known.values() if plan.id not in found.plans]
    said = {**_said(found), "retired": _plans_said(retired)}
    row = upsert(session, Offered).values(id=THE_ONE, said=said)
    session.execute(row.on_conflict_do_update(index_elements=["id"], set_={"said": row.excluded.said}))
    if kept := "\n".join(_broken(session, found, path)):
        raise PlanFileError(kept)
    return found


def load_configured(session: Session) -> str:
    """Offer what the configured file says, where there is the counter; says so in a line."""
    if not settings().colorme_is_open:
        return ""
    found = load(session, settings().colorme_plans)
    return f"{len(found.plans)} plans on offer."


def _broken(session: Session, found: PlanFile, path: Path) -> Iterator[str]:
    """Each plan that says other amounts than it was used with, and each option with the id of such a plan."""
    for use in session.scalars(select(PlanUse).order_by(PlanUse.plan_id)):
        if use.plan_id in found.options:
            place = f"{path}:{found.lines[use.plan_id]}"
            yield f"{place}: {use.plan_id} was a plan that {use.account} has used: take an id of its own"
        plan = found.plans.get(use.plan_id)
        if plan and _terms(plan) != {name: getattr(use, name) for name in ("form", *AMOUNTS)}:
            had = [f"{name} {getattr(use, name)}" for name in AMOUNTS if getattr(use, name) is not None]
            kept = " and ".join([f"form {use.form}", *had])
            first = f"{use.account} was the first to use it, on {use.used_on}"
            place = f"{path}:{found.lines[plan.id]}"
            yield f"{place}: {plan.id} keeps {kept}: {first}; other amounts need a new id"


def prices(session: Session) -> Mapping[str, int | None]:
    """Every item of the catalogue, with its yen at this counter or None."""
    priced = and_(Price.item_id == Item.id, Price.channel == NAME)
    rows = session.execute(select(Item.id, Price.amount).outerjoin(Price, priced).where(~Item.withdrawn))
    return {row.id: row.amount for row in rows}


def _terms(plan: Plan) -> dict[str, Any]:
    return {name: getattr(plan, name) for name in ("form", *AMOUNTS)}


def _said(found: PlanFile) -> dict[str, Any]:
    return {
        "trial_days": found.trial_days,
        "plans": _plans_said(found.plans.values()),
        "options": [option.model_dump() for option in found.options.values()],
        "metered": sorted(found.metered),
    }


def _plans_said(plans: Iterable[Plan]) -> list[dict[str, Any]]:
    return [plan.model_dump(mode="json", exclude_none=True) for plan in plans]


def _plan(said: dict[str, Any] | None, plan_id: str, among: str) -> Plan | None:
    """One plan, without reading the others."""
    rows = said.get(among, ()) if said else ()
    return next((Plan.model_validate(row) for row in rows if row["id"] == plan_id), None)


def _retired(said: dict[str, Any] | None) -> Mapping[str, Plan]:
    """Those that a file before this one had."""
    rows = said.get("retired", ()) if said else ()
    return {plan.id: plan for plan in map(Plan.model_validate, rows)}


def _read(said: dict[str, Any] | None) -> PlanFile:
    if said is None:
        return NOTHING
    plans = [Plan.model_validate(row) for row in said["plans"]]
    options = [Option.model_validate(row) for row in said["options"]]
    return PlanFile(
        said["trial_days"],
        {plan.id: plan for plan in plans},
        {option.id: option for option in options},
        frozenset(said["metered"]),
    )
