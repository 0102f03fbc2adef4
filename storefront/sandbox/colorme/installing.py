"""Installing and uninstalling: what the store does by itself, in the order of its documents."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from storefront.sandbox.colorme import bills, calendar, charges, diary, hooks, reckoning, tokens
from storefront.sandbox.colorme.charges import PlanCharge
from storefront.sandbox.colorme.context import AppStore
from storefront.sandbox.colorme.contracts import Contract, Reason, State, code
from storefront.sandbox.colorme.diary import Mood
from storefront.sandbox.colorme.reckoning import Form
from storefront.sandbox.colorme.shops import Shop
from storefront.sandbox.colorme.store import reading, transaction
from storefront.sandbox.language import N_

ALREADY_TRIED = (
    "お客さまはすでにアプリを無料でお試しいただいているため、有料でのご利用となります。"  # to the letter
)
SHORT = N_(
    "There are not enough points, so nothing was installed. No points were taken. Pay points in on your "
    "shop's page, then install."
)
UNPAID = N_(
    "What was due for plan %(plan)s could not be collected, so the app was uninstalled. Nothing is "
    "owed for it."
)
UNPAID_AND_OWED = N_(
    "What was due for plan %(plan)s could not be collected, so the app was uninstalled. It is still "
    "owed: pay it on your shop's page."
)


class Refused(Exception):
    """Not installed; the message is a text of the catalogue. Nothing was taken."""


@dataclass(frozen=True)
class Installed:
    contract: Contract
    redirect_url: str


def has_trial(plan: PlanCharge, shop: Shop, trial_days: int) -> bool:
    """Whether this install would begin with a trial."""
    return plan.form.has_trial and trial_days > 0 and not shop.trial_used


def install(store: AppStore, account: str, plan_id: str) -> Installed:
    """Charge what is due, tell the app, and stand by its answer; or Refused, and all of it is thrown away."""
    now = calendar.tick()
    contract, shop = _begun(store, account, plan_id, now)
    body = hooks.installed(contract, shop)
    heard = hooks.ask(store, contract, body)
    address = heard.redirect
    if address is None:
        _cancelled(contract, now)
        if heard.is_held_back:
            hooks.ask_late(store, contract, body)
        raise Refused(N_("The app did not confirm the install, so it was cancelled. No points were taken."))
    if not _stands(contract, now):
        _cancelled(contract, now)
        raise Refused(N_("Another day came meanwhile, so the install was cancelled. No points were taken."))
    return Installed(contract, address)


def uninstall(store: AppStore, contract_id: str, reason: Reason, *, tell: bool = True) -> Contract | None:
    """End a contract that stands, for good; the app is told unless it has asked for this itself."""
    now = calendar.tick()
    with transaction() as session:
        contract = session.get(Contract, contract_id)
        if contract is None or contract.state is not State.STANDING:
            return None
        _end(session, contract, reason, now)
        if tell:
            hooks.queue(session, contract, reason, now)
    if tell:
        hooks.send_due(store, contract_id)
    return contract


def _begun(store: AppStore, account: str, plan_id: str, now: datetime) -> tuple[Contract, Shop]:
    """A new contract, with what is due today collected, before the app has heard of it."""
    today = now.date()
    with transaction() as session:
        shop, plan = session.get_one(Shop, account), session.get(PlanCharge, plan_id)
        if plan is None or not plan.is_published:
            raise Refused(N_("This plan is not published."))
        if shop.is_gone or shop.closed_at:
            raise Refused(N_("This shop is closed."))
        listing = session.get_one(charges.Listing, charges.ONE)
        days = listing.trial_days if has_trial(plan, shop, listing.trial_days) else 0
        charged_from = reckoning.trial(today, days).last + reckoning.DAY if days else today
        contract = Contract(
            id=code(),
            account=account,
            plan_id=plan.id,
            form=plan.form,
            price=plan.price,
            monthly=plan.monthly,
            initial=plan.initial,
            reading=store.settings.first_period,
            is_test=shop.is_test,
            installed_at=now,
            installed_on=today,
            charged_from=charged_from,
            trial_days=days,
            state=State.INSTALLING,
        )
        _add(session, contract)
        if charged_from == today and not bills.can_prepay(session, contract, today):
            raise Refused(SHORT)
        bills.prepay(session, contract, now)
        return contract, shop


def _add(session: Session, contract: Contract) -> None:
    session.add(contract)
    try:
        session.flush()
    except IntegrityError:
        raise Refused(N_("The app is installed here already. Uninstall it to choose another plan.")) from None


def _stands(contract: Contract, now: datetime) -> bool:
    """False if the calendar was turned while the app was asked: of that day's work this one had no part."""
    with transaction() as session:
        kept = session.get_one(Contract, contract.id)
        shop = session.get_one(Shop, contract.account)
        if shop.is_gone or calendar.today() != contract.installed_on:
            return False
        kept.state = State.STANDING
        shop.trial_used = shop.trial_used or bool(contract.trial_days)
        charges.use(session, contract.plan_id, now)
        diary.note(
            session,
            now,
            N_("Installed on plan %(plan)s; nothing is charged for it.")
            if contract.form is Form.FREE
            else N_("Installed on plan %(plan)s; charged from %(day)s."),
            {
                "plan": contract.plan_id,
                "day": contract.charged_from.isoformat(),
            },
            account=contract.account,
            contract=contract.id,
            mood=Mood.GOOD,
        )
        remind(session, kept, now)
        return True


def remind(session: Session, contract: Contract, now: datetime) -> None:
    """Write to the owner whose trial ends so many days from today; once each."""
    if contract.trial is None:
        return
    for before, day in reckoning.reminders(contract.trial):
        if day != now.date():
            continue
        written = diary.write(
            session,
            now,
            contract.account,
            f"reminder:{contract.id}:{before}",
            N_("Your free trial ends soon"),
            N_(
                "The trial of the app on plan %(plan)s ends on %(last)s. From %(paid)s it is charged. "
                "If you do not want that, uninstall the app before."
            ),
            {
                "plan": contract.plan_id,
                "last": contract.trial.last.isoformat(),
                "paid": contract.charged_from.isoformat(),
            },
        )
        if written:
            diary.note(
                session,
                now,
                N_("Reminder: the trial ends on %(last)s."),
                {"last": contract.trial.last.isoformat()},
                account=contract.account,
                contract=contract.id,
            )


def _cancelled(contract: Contract, now: datetime) -> None:
    with transaction() as session:
        kept = session.get_one(Contract, contract.id)
        bills.throw_away(session, kept, now)
        session.delete(kept)
        diary.note(
            session,
            now,
            N_("The install on plan %(plan)s was cancelled: the app did not confirm it."),
            {"plan": contract.plan_id},
            account=contract.account,
            contract=contract.id,
            mood=Mood.BAD,
        )


def _end(session: Session, contract: Contract, reason: Reason, now: datetime) -> None:
    today = now.date()
    contract.state, contract.reason = State.ENDED, reason
    contract.ended_at, contract.ended_on = now, today
    if contract.form.has_usage:
        period = reckoning.period_at(contract.terms, today)
        # Ours in a trial, when no period is in force: the running 10th to 9th.
        contract.closing_on = reckoning.closing_on(period or reckoning.block_of(today))
        contract.usage_token = None if contract.in_trial(today) else secrets.token_hex(32)
    tokens.revoke(session, contract.account)
    texts = {
        Reason.OWNER: N_("The owner uninstalled the app."),
        Reason.UNPAID: N_("Forced uninstall: what was due could not be collected."),
        Reason.APP: N_("The app removed itself."),
    }
    mood = Mood.BAD if reason is Reason.UNPAID else Mood.PLAIN
    diary.note(session, now, texts[reason], account=contract.account, contract=contract.id, mood=mood)
    if reason is Reason.UNPAID:
        diary.write(
            session,
            now,
            contract.account,
            f"unpaid:{contract.id}",
            N_("The app was uninstalled"),
            UNPAID_AND_OWED if contract.form.postpaid else UNPAID,
            {"plan": contract.plan_id},
        )


def standing() -> list[str]:
    """The contracts that stand in shops of today."""
    chosen = select(Contract.id).join(Shop).where(Contract.state == State.STANDING, Shop.is_gone.is_(False))
    with reading() as session:
        return list(session.scalars(chosen.order_by(Contract.installed_at, Contract.id)))
