"""The app's book against the store's statement, contract by contract, to the yen."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from flask import Flask
from sqlalchemy import func, select

from storefront.colorme import fees
from storefront.colorme.amounts import rate_on, with_tax
from storefront.colorme.charges import Charge
from storefront.colorme.contracts import Contract, Reason
from storefront.colorme.intents import State
from storefront.colorme.reporting import Report
from storefront.colorme.usage import Usage
from storefront.db import db
from storefront.shop.inventory import Grant
from storefront.shop.ledger import Entry

Told = Mapping[str, Any]  # one contract of the store's statement
What = tuple[str, str, int]  # contract, option's item or report's description, yen before tax

BILLED = ("collected", "open", "owed")  # a bill of none of these was never anybody's debt
ITEMS = {"CLOAK1": "cloak", "COAT01": "coat"}


@dataclass
class Audit:
    """Sums in yen before tax, and whatever does not add up."""

    sums: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def hold(self, *, true: bool, what: str) -> None:
        self.problems += [] if true else [what]

    def __str__(self) -> str:
        sums = [f"{yen:14,} yen {name}" for name, yen in self.sums.items()]
        return "\n".join([*sums, *self.problems, f"{len(self.problems)} problems"])


def audit(shop: Flask, told: Sequence[Told]) -> Audit:
    """Hold everything against everything; test shops and what is not confirmed are no part of the book."""
    found = Audit()
    with shop.app_context():
        kept = {one.id: one for one in db.session.scalars(select(Contract))}
        book = _book()
        for one in told:
            _contract(found, one, kept.pop(one["contract"], None), book.pop(one["contract"], 0))
        for contract in kept.values():
            what = f"{contract.id} is none of the store's, and is confirmed"
            found.hold(true=contract.confirmed_at is None, what=what)
            found.sums["in the book for no contract of the store"] += book.pop(contract.id, 0)
        found.hold(true=not any(book.values()), what=f"of no contract: {book}")
        _charges(found, told)
        _usage(found)
        _goods(found)
    return found


def charges_of(told: Sequence[Told]) -> Iterator[What]:
    """Everything that the store has charged because the app said so."""
    for one in told:
        for option in one["options"]:
            yield one["contract"], ITEMS[option["option"]], option["yen"]
        for usage in one["usage"]:
            yield one["contract"], usage["description"], usage["yen"]


def known_charges() -> Iterator[What]:
    """The same, as the app knows of it."""
    for charge in db.session.scalars(select(Charge).where(Charge.state == State.CHARGED)):
        yield charge.contract_id, charge.item_id, charge.charged_yen or 0
    for report in db.session.scalars(select(Report).where(Report.state == State.CHARGED)):
        yield report.contract_id, report.description, report.yen


def _contract(found: Audit, told: Told, kept: Contract | None, book: int) -> None:
    name = (
        f"{told['contract']} ({told['form']}, {told['installed_on']} to {told['ended_at']}, {told['reason']})"
    )
    billed, coming = _billed(told), _coming(told)
    confirmed = kept is not None and kept.confirmed_at is not None
    found.sums["billed by the store"] += billed
    found.sums["told to it, to be billed when the period is fixed"] += coming
    if confirmed:
        found.sums["in the book"] += book
        found.hold(
            true=book == billed + coming, what=f"{name}: {billed} + {coming} billed, {book} in the book"
        )
    else:
        found.sums["not confirmed"] += billed + coming
        found.hold(true=book == 0, what=f"{name}: not confirmed, and {book} in the book")
    if kept:
        ended = (kept.ended_at is None) == (told["ended_at"] is None)
        found.hold(true=ended, what=f"{name}: ended here {kept.ended_at}, {kept.reason}")
        _owed(found, told, kept, name)
    for bill in told["bills"]:
        rate = rate_on(date.fromisoformat(bill["last" if bill["kind"] == "postpaid" else "first"]))
        same = with_tax(bill["yen"], rate) == bill["yen"] + bill["tax"]
        found.hold(true=same, what=f"{name}: tax {bill['tax']} of {bill['yen']}")


def _billed(told: Told) -> int:
    return sum(bill["yen"] for bill in [*told["bills"], *told["options"]] if bill["state"] in BILLED)


def _coming(told: Told) -> int:
    """Usage of periods whose amounts are not fixed yet."""
    if told["test"]:
        return 0
    fixed = {bill["first"] for bill in told["bills"]}
    return sum(usage["yen"] for usage in told["usage"] if usage["first"] not in fixed)


def _owed(found: Audit, told: Told, kept: Contract, name: str) -> None:
    """What a forced uninstall left unpaid is listed as owed, as far as it is the plan's."""
    owed = {bill["first"] for bill in told["bills"] if bill["state"] == "owed"}
    found.sums["of that owed"] += sum(bill["yen"] for bill in told["bills"] if bill["state"] == "owed")
    if kept.reason is Reason.BY_UNPAID and kept.monthly and owed:
        listed = {str(bill.period.first) for bill in fees.unpaid(kept) if bill.period}
        found.hold(true=owed <= listed, what=f"{name}: owed {sorted(owed)}, listed {sorted(listed)}")


def _charges(found: Audit, told: Sequence[Told]) -> None:
    """Each charge stands on both sides, once."""
    theirs, ours = Counter(charges_of(told)), Counter(known_charges())
    for what in {*theirs, *ours}:
        twice = f"{what}: charged {theirs[what]} times, known {ours[what]} times"
        found.hold(true=theirs[what] == ours[what], what=twice)


def _usage(found: Audit) -> None:
    """What was taken on account is charged, lost, declined, or is still to be counted."""
    taken = dict(_yen(Usage.contract_id, Usage.yen))
    waiting = dict(_yen(Usage.contract_id, Usage.yen, ~Usage.reported))
    reported = dict(_yen(Report.contract_id, Report.yen))
    for contract, yen in taken.items():
        rest = yen - waiting.get(contract, 0) - reported.get(contract, 0)
        found.hold(true=rest == 0, what=f"{contract}: {rest} yen of usage are nowhere")
    sums = [
        ("lost", Report.is_lost),
        ("declined", (Report.state == State.DECLINED) & ~Report.is_lost),
        ("still to be sent", Report.state.in_((State.WAITING, State.INTENDED, State.UNKNOWN))),
    ]
    for name, which in sums:
        found.sums[f"of usage {name}"] = sum(yen for _, yen in _yen(Report.contract_id, Report.yen, which))
    found.sums["of usage still to be counted"] = sum(waiting.values())


def _goods(found: Audit) -> None:
    """Unlocked is what was charged."""
    for charge in db.session.scalars(select(Charge)):
        given = db.session.scalar(
            select(func.count()).select_from(Grant).where(Grant.key == f"colorme:{charge.code}")
        )
        right = given == (charge.state is State.CHARGED)
        found.hold(true=right, what=f"{charge.code}: {charge.state}, and given {given} times")


def _book() -> dict[str, int]:
    """Yen by contract: fees and reports name it in their key, options are of a charge."""
    of = {charge.code: charge.contract_id for charge in db.session.scalars(select(Charge))}
    sums: Counter[str] = Counter()
    for entry in db.session.scalars(select(Entry).where(Entry.channel == "colorme")):
        name = entry.key.split(":")[1]
        sums[of.get(name, name)] += entry.amount
    return dict(sums)


def _yen(by: Any, yen: Any, *which: Any) -> Iterator[tuple[str, int]]:
    for contract, total in db.session.execute(select(by, func.sum(yen)).where(*which).group_by(by)):
        yield contract, int(total)
