"""The app comes into a shop, and out of it: by the store's hooks, or by its owner's press on our page.

Verbs: `install`, `uninstall` (what a hook tells), `remove` (ask the store), `see` (what became of that),
`ask_again` (whether what we concluded is so).
"""

from datetime import UTC, datetime
from http import HTTPStatus

import structlog
from sqlalchemy.orm import Session

from storefront import clock
from storefront.colorme import calendar, client, contracts, fees, parcels, plans, reporting, usage
from storefront.colorme.client import Declined, NotConnected, Removed, Unknown, UsageCharge
from storefront.colorme.contracts import Agreed, Contract, Ending, Reason
from storefront.colorme.hooks import Install, Uninstall
from storefront.colorme.plan_file import Plan
from storefront.colorme.settings import settings
from storefront.colorme.tokens import decrypted, encrypted
from storefront.db import transaction

REVOKED = 401  # what the store answers to a token of an app that is gone

log = structlog.get_logger()


class UnknownPlan(Exception):
    """No plan of the plan file has this id."""


def install(hook: Install) -> None:
    """Do what an install hook tells, once. Raises UnknownPlan, Malformed or Contradiction."""
    arrived_at, account = calendar.now(), hook.account_id
    with transaction() as session:
        installed_on = hook.installed_on(clock.day(arrived_at))
        plan = plans.take(session, hook.plan_id, account, installed_on) or _taken(hook)
        hook.check(plan.form)
        trial = hook.trial_term.days if hook.trial_term else None
        agreed = Agreed(hook.contract_id, account, plan, installed_on, trial)
        is_test = settings().colorme_is_test(account)
        contracts.install(session, agreed, is_test=is_test, arrived_at=arrived_at, now=clock.now())
    log.info("installed", contract=hook.contract_id, plan=hook.plan_id)


def _taken(hook: Install) -> Plan:
    """A plan that is not offered any more, of a contract that has it; or UnknownPlan."""
    known = contracts.find(hook.account_id, hook.contract_id)
    plan = plans.find(hook.plan_id) if known else None
    if plan is None:
        raise UnknownPlan
    return plan


def uninstall(hook: Uninstall) -> None:
    """Do what an uninstall hook tells, once. Raises UnknownPlan or Malformed.

    Of a contract that we do not know there is nothing to do, and nothing when its install comes.
    """
    account, plan_id, named = hook.account_id, hook.plan_id, hook.recurring_application_charge_id
    # A plan that is not offered any more may still have a contract.
    known = contracts.find(account, named) if named else contracts.newest(account, plan_id)
    plan = known or plans.current().plans.get(plan_id)
    if plan is None:
        raise UnknownPlan
    hook.check(plan.form)
    ending = _ending(Reason(hook.reason), hook.uninstalled_at, hook.usage_charge)
    with transaction() as session:
        contracts.hold_all(session, account, clock.now())
        if named:
            ended = contracts.end(session, account, named, ending, clock.now())
            if known is None and ended is None:
                contracts.remember_end(session, named)
        else:
            ended = contracts.end_unnamed(session, account, plan_id, ending, clock.now())
        if ended:
            if _clear(session, ended, ending.at - contracts.CLOCKS_DIFFER):
                parcels.bring(session, ended, clock.day(ending.at), ending.at)
            _settle(session, ended)
            if after := contracts.thrown_out_after(session, ended, ending.at - contracts.CLOCKS_DIFFER):
                _stand_again(session, after, ending.at)
    if ended:
        log.info("uninstalled", contract=ended.id, reason=hook.reason)


def remove(contract: Contract) -> None:
    """Have the store uninstall the app from its owner's shop. Raises Declined, NotConnected or Unknown.

    After Unknown nobody knows whether it did; `see` asks, and so does who presses again.
    """
    token = decrypted(contract.access_token)
    if token is None:
        raise Declined(REVOKED)
    with transaction() as session:
        is_first = contracts.ask_to_go(session, contract.id, calendar.now())
    if not is_first:
        return _see_again(contract)
    reporting.tell(contract)  # if the answer is lost, so is the token that came with it
    try:
        removed = client.remove(token)
    except (Declined, NotConnected):
        _stay(contract)
        raise
    except Unknown:
        with transaction() as session:  # again, since somebody may have seen it stand meanwhile
            contracts.ask_to_go(session, contract.id, calendar.now())
        raise
    return _gone(contract, removed)


def _see_again(contract: Contract) -> None:
    """A second removal would be refused if the first was done, and its refusal would say nothing."""
    stands = see(contract)
    if stands:
        raise Declined(HTTPStatus.CONFLICT)
    if stands is None:
        raise Unknown("it was asked for before")


def see(contract: Contract) -> bool | None:
    """Ask the store whether a removal without an answer was done; if so, it was when it was asked for.

    Every day, too: its owner may never open another page. Whether it stands; None if nobody knows.
    """
    token = decrypted(contract.access_token)
    if token is None:
        return None  # nobody can be asked until its owner comes in again
    try:
        client.shop(token)
    except Declined as refusal:
        if refusal.status != REVOKED:
            return None
        _gone(contract, None)
        return False
    except (NotConnected, Unknown):
        return None
    _stay(contract)
    return True


def ask_again(contract: Contract) -> bool | None:
    """Ask the store whether a contract stands of which we only concluded that it had ended.

    Uninstalling makes a token void for good. So whoever is known by it has the app, and whatever install
    came meanwhile was none. Where usage waits one mistaken no would lose it, so the store is asked again as
    long as it may take it. None if nobody knows.
    """
    token, asked_at = decrypted(contract.access_token), calendar.now()
    if token is None:
        return False
    instead = contracts.standing_of(contract.account)
    try:
        stands = client.shop(token).id == contract.account
    except Declined as refusal:
        if refusal.status != REVOKED:
            return None
        stands = False
    except (NotConnected, Unknown):
        return None
    with transaction() as session:
        contracts.hold_all(session, contract.account, clock.now())
        if stands and contract.reason in contracts.INFERRED:
            _clear(session, contract, max(asked_at, instead.arrived_at) if instead else asked_at)
            _stand_again(session, contract, asked_at)
        elif not stands and not reporting.may_be_sent(contract, asked_at):
            contracts.is_gone(session, contract.id)
    return stands


def _stand_again(session: Session, contract: Contract, now: datetime) -> None:
    if contracts.stand_again(session, contract.id):
        parcels.redo(session, contract, now)
        reporting.revive(session, contract)
        log.warning("stands after all", contract=contract.id)


def _gone(contract: Contract, removed: Removed | None) -> None:
    asked_at = contract.asked_to_go_at or calendar.now()
    at = removed.uninstalled_at if removed else int(asked_at.timestamp())
    reason = Reason.BY_APP if removed else Reason.NOT_FOUND
    ending = _ending(reason, at, removed.usage_charge if removed else None)
    with transaction() as session:
        contracts.hold(session, contract.id)
        if ended := contracts.end(session, contract.account, contract.id, ending, clock.now()):
            _settle(session, ended)
    log.info("uninstalled", contract=contract.id, reason=reason.value)


def _stay(contract: Contract) -> None:
    with transaction() as session:
        contracts.stay(session, contract.id)


def _ending(reason: Reason, at: int, told: UsageCharge | None) -> Ending:
    token, closing = (told.api_token, told.closing_on) if told else (None, None)
    return Ending(
        reason,
        datetime.fromtimestamp(at, UTC),
        encrypted(token) if token else None,
        datetime.fromtimestamp(closing, UTC) if closing is not None else None,
    )


def _clear(session: Session, stood: Contract, until: datetime) -> bool:
    """What was given, entered and taken under installs that were none belongs to the one that stood.

    Whether there were any.
    """
    for older in contracts.end_before(session, stood, clock.now()):
        _settle(session, older)
    none_at_all = contracts.end_never_made(session, stood, until, clock.now())
    for none in none_at_all:
        log.warning("never made", contract=none.id, stood=stood.id)
        usage.move(session, none, stood)
        _settle(session, none)
    return bool(none_at_all)


def _settle(session: Session, contract: Contract) -> None:
    """What was given and entered for days that its end, told of late, has taken away; and what it allows.

    Where another end was concluded before, that had taken away more.
    """
    fees.undo(session, contract)
    parcels.undo(session, contract)
    parcels.redo(session, contract, contract.ended_at or calendar.now())
    reporting.reopen(session, contract)
