"""What is to be done every day, by cron: fees into the book, parcels at renewals, usage to the store.

Run it as often as you like, twice at once too: each part does its work once.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from functools import partial

import structlog
from sqlalchemy import select

from storefront import clock
from storefront.colorme import calendar, contracts, fees, installs, parcels, reporting
from storefront.colorme.calendar import NoCalendar
from storefront.colorme.contracts import Contract
from storefront.db import db, transaction

log = structlog.get_logger()


def run() -> int:
    """Do all that is due now. Says how many cases failed: the log names them, and the rest is done.

    Raises NoCalendar, and then nothing was done.
    """
    now = calendar.now()
    failed = _each((one.id, partial(installs.see, one)) for one in contracts.asked_to_go())
    failed += _each((one.id, partial(installs.ask_again, one)) for one in contracts.to_ask_about(now))
    failed += _each((one, partial(_reckon, one, now)) for one in _due(clock.day(now)))
    failed += _each((one, partial(reporting.count, one, now)) for one in reporting.ripe(now))
    return failed + _each(
        (one.code, partial(reporting.send, one)) for one in reporting.waiting(clock.day(now))
    )


def _each(cases: Iterable[tuple[str, Callable[[], object]]]) -> int:
    """Do each, whatever becomes of the others; how many failed."""
    failed = 0
    for name, do in cases:
        try:
            do()
        except NoCalendar:
            log.error("not done: the calendar does not answer", case=name)
            return failed + 1  # the next would wait for it as long
        except Exception:
            db.session.rollback()
            log.exception("not done", case=name)
            failed += 1
    return failed


def _due(today: date) -> Sequence[str]:
    return db.session.scalars(select(Contract.id).where(fees.is_due(today)).order_by(Contract.id)).all()


def _reckon(contract_id: str, now: datetime) -> None:
    today = clock.day(now)
    with transaction() as session:
        contract = contracts.hold(session, contract_id)
        ended_on = clock.day(contract.ended_at) if contract.ended_at else today
        # What was due before its end; but nothing to an owner who never came in.
        if contract.ended_at is None or contract.parcels_until:
            parcels.bring(session, contract, min(today, ended_on), now)
        fees.reconcile(session, contract, today)
