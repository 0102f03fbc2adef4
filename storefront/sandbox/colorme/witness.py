"""Sees what the store writes down, and notes it for the walk that is on, in the same transaction.

So whoever does something need not think of walkthroughs, and cannot forget to say it.
"""

from typing import Any

from flask import Response, request
from sqlalchemy import Connection, event, inspect, select

from storefront.sandbox.colorme import walks
from storefront.sandbox.colorme.bills import Bill, Usage
from storefront.sandbox.colorme.contracts import Contract, State
from storefront.sandbox.colorme.diary import Letter
from storefront.sandbox.colorme.happened import Name
from storefront.sandbox.colorme.shops import PAID_IN, Movement, Shop
from storefront.sandbox.colorme.walks import note
from storefront.sandbox.colorme.weather import KINDS
from storefront.sandbox.colorme.wire import Exchange
from storefront.sandbox.mixi import facts


@event.listens_for(Contract, "after_update")
def _contract(mapper: object, connection: Connection, contract: Contract) -> None:
    if not _changed(contract, "state"):
        return
    said: dict[str, Any] = {"plan": contract.plan_id, "form": contract.form.value}
    if contract.state is State.STANDING:
        said |= {"charged_from": contract.charged_from.isoformat(), "trial": contract.trial_days}
        note(connection, Name.INSTALLED, contract.account, **said, test=contract.is_test)
    elif contract.reason:
        note(connection, Name.UNINSTALLED, contract.account, **said, reason=contract.reason.value)


@event.listens_for(Contract, "after_delete")
def _cancelled(mapper: object, connection: Connection, contract: Contract) -> None:
    note(connection, Name.INSTALL_CANCELLED, contract.account, plan=contract.plan_id)


@event.listens_for(Bill, "after_insert")
def _billed(mapper: object, connection: Connection, bill: Bill) -> None:
    note(connection, Name.BILLED, bill.account, **_bill(bill))


@event.listens_for(Bill, "after_update")
def _bill_changed(mapper: object, connection: Connection, bill: Bill) -> None:
    if _changed(bill, "state"):
        note(connection, Name.BILL_CHANGED, bill.account, **_bill(bill))


@event.listens_for(Bill, "after_delete")
def _bill_dropped(mapper: object, connection: Connection, bill: Bill) -> None:
    note(connection, Name.BILL_DROPPED, bill.account, **_bill(bill))


@event.listens_for(Movement, "after_insert")
def _moved(mapper: object, connection: Connection, one: Movement) -> None:
    note(connection, Name.POINTS_MOVED, one.account, points=one.points, paid_in=one.text == PAID_IN)


@event.listens_for(Letter, "after_insert")
def _written(mapper: object, connection: Connection, letter: Letter) -> None:
    about, _, more = letter.key.partition(":")
    days = more.rpartition(":")[2] if ":" in more else ""
    note(connection, Name.LETTER_WRITTEN, letter.account or None, letter=f"{about}-{days}".rstrip("-"))


@event.listens_for(Usage, "after_insert")
def _used(mapper: object, connection: Connection, usage: Usage) -> None:
    account = connection.scalar(select(Contract.account).where(Contract.id == usage.contract_id))
    note(connection, Name.USAGE_TOLD, account, yen=usage.yen, first=usage.first.isoformat())


@event.listens_for(Exchange, "after_insert")
def _answered(mapper: object, connection: Connection, one: Exchange) -> None:
    name = Name.CALL_ANSWERED if one.incoming else Name.HOOK_ANSWERED
    said = {"kind": one.kind.value, "status": one.status, "good": one.good}
    note(connection, name, one.account, one.id, **said)
    for kind in one.weather.split(","):
        place, _, what = kind.partition(".")
        if what in KINDS.get(place, ()):
            note(connection, Name.WEATHER_MET, one.account, one.id, kind=kind)


@event.listens_for(Shop, "after_update")
def _closed(mapper: object, connection: Connection, shop: Shop) -> None:
    if shop.closed_at and _changed(shop, "closed_at"):
        note(connection, Name.SHOP_CLOSED, shop.account)


def page(response: Response, account: str | None) -> None:
    """A page of the store was shown, if a walk is on."""
    if walks.current():
        shown = facts.read(response.get_data())
        walks.write(Name.PAGE_SHOWN, account, status=response.status_code, path=request.path, **shown)


def _changed(row: object, name: str) -> bool:
    return bool(inspect(row, raiseerr=True).attrs[name].history.has_changes())


def _bill(bill: Bill) -> dict[str, Any]:
    return {
        "code": bill.code,
        "kind": bill.kind.value,
        "state": bill.state.value,
        "yen": bill.yen,
        "tax": bill.tax,
        "total": bill.total,
        "first": bill.first.isoformat(),
        "last": bill.last.isoformat(),
    }
