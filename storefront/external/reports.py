"""What the operator reads of external payment: how its registration stands."""

from typing import TextIO

from storefront import clock
from storefront.external import facts, shelf, wording
from storefront.external.channel import channel
from storefront.external.registration import State, Step, assess, forbidden
from storefront.shop.devices import Device


def registration(out: TextIO) -> None:
    """Step by step how external payment stands, what is next and by when; as on the operator's page."""
    recorded, today = facts.current(), clock.day(clock.now())
    site = channel().site if channel() else ""
    assessment = assess(recorded, today)
    closed = not site or forbidden(recorded, Device.PC, site, today, on_smartphone=False)
    print(f"On {today} buyers on a PC {'may not' if closed else 'may'} pay outside mixi.\n", file=out)
    if closed and assessment.allowed:
        print(f"  The configured provider is not among those that may be used: {site or 'none'}\n", file=out)
    for step in assessment.steps:
        print(f"  {wording.STATES[step.state]!s:<8} {_step(step)}", file=out)
    if assessment.next:
        print(f"\nNext: {_step(assessment.next)}", file=out)
    for step in assessment.risks:
        print(f"Risk: mixi may stop or delete the app. {_step(step)}", file=out)
    rows = [] if closed else shelf.rows(recorded, today)
    if not closed and all(row.closed_by for row in rows):
        print("No item has a price that mixi has approved, so none can be bought there.", file=out)
    for row in rows:
        if row.closed_by:
            approved = f"{row.approved.yen} yen is approved" if row.approved else "no price is approved"
            print(f"Not outside: {row.item.id} costs {row.yen} yen, {approved}.", file=out)


def _step(step: Step) -> str:
    when = "from" if step.state is State.WAITING else "by"
    due = f"({when} {step.due_on})" if step.due_on else ""
    return " ".join(filter(None, [str(wording.RULES[step.rule]), step.subject, due]))
