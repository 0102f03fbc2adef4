"""What the store does at 00:00 of a day, in one order that is always the same.

every day     trials: reminders; on the first paid day prepaid plans are collected, postpaid ones begin
the 1st       forced uninstall where last month's due day went by, amounts of postpaid periods that ended
              on last month's 9th, prepaid renewals
the 10th      postpaid renewals
a last day    what is due is debited, the last usage of ended contracts, payouts

All of the due day is in time: what is not paid when it ends is owed. Each step may be done twice.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from storefront.sandbox.colorme import bills, calendar, contracts, diary, installing, reckoning
from storefront.sandbox.colorme.bills import Bill, Paid
from storefront.sandbox.colorme.context import AppStore
from storefront.sandbox.colorme.contracts import Contract, Reason, State
from storefront.sandbox.colorme.diary import Mood
from storefront.sandbox.colorme.reckoning import DAY, Form
from storefront.sandbox.colorme.store import reading, transaction
from storefront.sandbox.language import N_


def strike(store: AppStore, day: date) -> None:
    """Do the work of this day's beginning; the calendar stands there already."""
    now = calendar.midnight(day)
    _trials(store, day, now)
    if day.day == reckoning.RENEWED_PREPAID:
        _force_out(store, day, now)
        _fix(day, now)
        _renew_prepaid(store, day, now)
    if day.day == reckoning.RENEWED_POSTPAID:
        _renew_postpaid(day, now)
    if day == reckoning.month_of(day).last:
        _debit(day, now)
        _close(day, now)
        _pay_out(store, day, now)


def _trials(store: AppStore, day: date, now: datetime) -> None:
    for contract in _standing():
        if contract.in_trial(day):
            with transaction() as session:
                installing.remind(session, contract, now)
        elif contract.trial_days and contract.charged_from == day:
            _begin_to_charge(store, contract, now)


def _begin_to_charge(store: AppStore, contract: Contract, now: datetime) -> None:
    if contract.form.prepaid:
        _collect(store, contract, now, N_("First paid day: ¥%(yen)s with tax was collected."))
        return
    with transaction() as session:
        period = contract.period(contract.charged_from)
        assert period
        values = {"first": period.first.isoformat(), "last": period.last.isoformat()}
        _note(session, now, contract, N_("First paid day: the period %(first)s to %(last)s begins."), values)


def _force_out(store: AppStore, day: date, now: datetime) -> None:
    with reading() as session:
        late = [one.code for one in bills.open_on(session, day - DAY)]
    for code in late:
        with transaction() as session:
            bill = session.get_one(Bill, code)
            if bill.state is not Paid.OPEN:
                continue
            bills.owe(session, bill)
            contract = session.get_one(Contract, bill.contract_id)
            values = {"yen": bill.total, "due": bill.due_on and bill.due_on.isoformat()}
            text = N_("¥%(yen)s was due on %(due)s and was not paid: a debt from now on.")
            _note(session, now, contract, text, values, Mood.BAD)
        installing.uninstall(store, contract.id, Reason.UNPAID)


def _fix(day: date, now: datetime) -> None:
    for contract in contracts.on_stage():
        if not contract.form.postpaid:
            continue
        until = contract.ended_on or day
        for period in reckoning.periods_until(contract.terms, until):
            if reckoning.fixed_on(period) != day:
                continue
            with transaction() as session:
                bill = bills.fix(session, contract, period, now)
                if bill is None:
                    continue
                values = {
                    "first": period.first.isoformat(),
                    "last": period.last.isoformat(),
                    "yen": bill.total,
                    "due": bill.due_on and bill.due_on.isoformat(),
                }
                text = (
                    N_("%(first)s to %(last)s comes to ¥%(yen)s with tax. A test shop does not pay.")
                    if contract.is_test
                    else N_("%(first)s to %(last)s comes to ¥%(yen)s with tax, due by the end of %(due)s.")
                )
                _note(session, now, contract, text, values)


def _renew_prepaid(store: AppStore, day: date, now: datetime) -> None:
    for contract in _standing():
        period = contract.period(day) if contract.form.prepaid else None
        if period and period.first == day != contract.charged_from:
            _collect(store, contract, now, N_("Renewed: ¥%(yen)s with tax was collected."))


def _collect(store: AppStore, contract: Contract, now: datetime, text: str) -> None:
    with transaction() as session:
        done = select(Bill.code).where(
            Bill.contract_id == contract.id,
            Bill.kind == bills.Kind.PREPAID,
            Bill.first == now.date(),
        )
        if session.scalars(done).first():
            return
        bill = bills.prepay(session, session.get_one(Contract, contract.id), now)
        assert bill
        values = {"yen": bill.total}
        if bill.state is Paid.UNPAID:
            short = N_("¥%(yen)s with tax could not be collected.")
            _note(session, now, contract, short, values, Mood.BAD)
        elif bill.state is Paid.TEST:
            _note(session, now, contract, N_("Test shop: ¥%(yen)s was written down only."), values)
        else:
            _note(session, now, contract, text, values, Mood.GOOD)
    if bill.state is Paid.UNPAID:
        installing.uninstall(store, contract.id, Reason.UNPAID)


def _renew_postpaid(day: date, now: datetime) -> None:
    for contract in _standing():
        period = contract.period(day) if contract.form.postpaid else None
        if period and period.first == day != contract.charged_from:
            with transaction() as session:
                values = {"first": day.isoformat(), "last": period.last.isoformat()}
                _note(session, now, contract, N_("Renewed for %(first)s to %(last)s."), values)


def _debit(day: date, now: datetime) -> None:
    with reading() as session:
        due = [one.code for one in bills.open_on(session, day)]
    for code in due:
        with transaction() as session:
            bill = session.get_one(Bill, code)
            contract = session.get_one(Contract, bill.contract_id)
            if bills.pay(session, bill, now):
                text, mood = N_("Due today: ¥%(yen)s was debited."), Mood.GOOD
            else:
                text = N_("Due today: ¥%(yen)s, and points are short. It is in time all day.")
                mood = Mood.BAD
            _note(session, now, contract, text, {"yen": bill.total}, mood)


def _close(day: date, now: datetime) -> None:
    for contract in contracts.on_stage():
        if contract.closing_on == day and contract.usage_token:
            with transaction() as session:
                _note(session, now, contract, N_("The last day on which usage can be told."), {})


def _pay_out(store: AppStore, day: date, now: datetime) -> None:
    collected = bills.payouts(bills.all_bills(contracts.on_stage())).get(day, 0)
    if collected:
        text = N_("Payout to the developer of what was collected last month: ¥%(yen)s with tax.")
        with transaction() as session:
            diary.note(session, now, text, {"yen": collected})


def _standing() -> Sequence[Contract]:
    return [one for one in contracts.on_stage() if one.state is State.STANDING and one.form is not Form.FREE]


def _note(
    session: Session,
    now: datetime,
    contract: Contract,
    text: str,
    values: Mapping[str, object],
    mood: Mood = Mood.PLAIN,
) -> None:
    diary.note(session, now, text, values, account=contract.account, contract=contract.id, mood=mood)
