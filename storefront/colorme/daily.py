"""What is to be done every day, by cron: fees into the book, parcels at renewals, usage to the store.

Run it as often as you like, twice at once too: each part does its work once.
"""

from sqlalchemy import select

from storefront import clock
from storefront.colorme import calendar, fees, installs, parcels, reporting
from storefront.colorme.contracts import Contract
from storefront.db import db, transaction


def run() -> None:
    """Do all that is due now. Raises NoCalendar, and then nothing was done."""
    now = calendar.now()
    today = clock.day(now)
    installs.look_up()
    due = select(Contract.id).where(fees.is_due(today)).order_by(Contract.id)
    for contract_id in db.session.scalars(due).all():
        with transaction() as session:
            held = select(Contract).where(Contract.id == contract_id).with_for_update()
            contract = session.scalars(held, execution_options={"populate_existing": True}).one()
            if contract.ended_at is None:
                parcels.bring(session, contract, today, now)
            fees.reconcile(session, contract, today)
    reporting.count(now)
    reporting.send(now)
