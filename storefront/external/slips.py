"""What is wrong with facts that are well-formed each: days out of turn, changes that change nothing. Pure."""

from collections.abc import Collection, Iterator, Mapping
from datetime import date

from storefront.external.registration import Change, ChangeKind, Effect, Facts, Form, Provider, Sheet

Slip = tuple[str, str]  # the field, and what is wrong with it in a word


def slips(facts: Facts, items: Collection[str]) -> dict[str, str]:
    """The word for each field; `items` are those of the catalogue, also of an earlier one."""
    return dict(_found(facts, items))


def _found(facts: Facts, items: Collection[str]) -> Iterator[Slip]:
    for name in ("registration", "application", "copy"):
        yield from _form(f"{name}.", getattr(facts, name))
    yield from _sheet("sheet.", facts.sheet)
    yield from _prices("prices", facts.prices, items)
    names: list[str] = []
    for number, provider in enumerate(facts.providers):
        yield from _provider(f"providers.{number}.", provider, names)
        names.append(provider.name)
    for number, change in enumerate(facts.changes):
        yield from _change(f"changes.{number}.", change, names, items)


def _form(before: str, form: Form) -> Iterator[Slip]:
    yield from _turn(f"{before}received_on", form.sent_on, form.received_on)


def _sheet(before: str, sheet: Sheet) -> Iterator[Slip]:
    yield from _turn(f"{before}deadline", sheet.requested_on, sheet.deadline)
    yield from _turn(f"{before}submitted_on", sheet.requested_on, sheet.submitted_on)


def _provider(before: str, provider: Provider, names: Collection[str]) -> Iterator[Slip]:
    if not provider.name:
        yield f"{before}name", "blank"  # the warning page names whom the buyer pays
    elif provider.name in names:
        yield f"{before}name", "twice"
    for certificate in ("privacy_mark", "isms"):
        held = getattr(provider, certificate)
        yield from _turn(f"{before}{certificate}.until", held.since, held.until)


def _change(before: str, change: Change, names: Collection[str], items: Collection[str]) -> Iterator[Slip]:
    yield from _turn(f"{before}approved_on", change.form.sent_on, change.approved_on)
    yield from _sheet(f"{before}sheet.", change.sheet)
    yield from _prices(f"{before}prices", change.prices, items)
    if change.form.sent_on or change.approved_on:
        yield from _empty(before, change)
    if change.effect is not Effect.CHANGE and change.kind in (ChangeKind.PROVIDER, ChangeKind.METHOD):
        # What is added or terminated has to be named, or nothing would come of the approval.
        if change.provider not in names:
            yield f"{before}provider", "provider"
        if change.kind is ChangeKind.METHOD and not change.service:
            yield f"{before}service", "blank"


def _empty(before: str, change: Change) -> Iterator[Slip]:
    """What mixi was asked for would change nothing; as long as nobody was asked, it may be unfinished."""
    if change.kind is ChangeKind.PRICE and not change.prices:
        yield f"{before}prices", "blank"
    if change.kind is ChangeKind.PROVIDER and change.effect is Effect.CHANGE:
        yield f"{before}effect", "effect"


def _prices(name: str, prices: Mapping[str, int], items: Collection[str]) -> Iterator[Slip]:
    if not set(prices) <= set(items):
        yield name, "item"
    elif 0 in prices.values():
        yield name, "prices"


def _turn(name: str, first: date | None, then: date | None) -> Iterator[Slip]:
    if first and then and then < first:
        yield name, "turn"
