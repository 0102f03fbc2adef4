"""What shop owners see: the shops, the app's page with its plans, points, bills and letters."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from flask import Blueprint, abort, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from storefront.sandbox.colorme import (
    bills,
    calendar,
    charges,
    contracts,
    diary,
    installing,
    oauth,
    reckoning,
    shops,
)
from storefront.sandbox.colorme.bills import NAMES, STATES, Bill
from storefront.sandbox.colorme.cast import DEBITS, Debit
from storefront.sandbox.colorme.charges import PlanCharge
from storefront.sandbox.colorme.context import appstore
from storefront.sandbox.colorme.contracts import REASONS, Contract, Reason
from storefront.sandbox.colorme.reckoning import AMOUNT_NAMES, FORMS, Line, Period, Terms
from storefront.sandbox.colorme.shops import Shop
from storefront.sandbox.colorme.store import transaction
from storefront.sandbox.language import N_

SUMS = (1_000, 10_000, 100_000)
SHOWN = 12

blueprint = Blueprint("views", __name__)


@dataclass(frozen=True)
class Offer:
    """A published plan as one shop sees it: what an install today would begin."""

    plan: PlanCharge
    trial: Period | None
    charged_from: date
    period: Period | None
    lines: Sequence[Line]
    tax: int

    @property
    def total(self) -> int:
        return sum(line.yen for line in self.lines) + self.tax


@blueprint.get("/")
def home() -> ResponseReturnValue:
    """The shops, and what each has of the app."""
    return render_template(
        "sandbox/colorme/home.html",
        shops=[(shop, contracts.of(shop.account), _owed(shop)) for shop in shops.on_stage()],
        today=calendar.today(),
    )


@blueprint.get("/shops/<account>")
def shop(account: str) -> ResponseReturnValue:
    """One shop's own page; whoever opens it is its owner from now on."""
    found = _found(account)
    session[oauth.OWNER] = account
    ever, today = contracts.all_of(account), calendar.today()
    standing = contracts.of(account)
    return render_template(
        "sandbox/colorme/shop.html",
        shop=found,
        contract=standing,
        plan=standing and charges.plan(standing.plan_id),
        period=standing and standing.period(today),
        today=today,
        bills=bills.of_shop(account),
        debts=bills.debts(account, ever, today),
        ever=[one for one in ever if one.ended_on],
        movements=shops.movements(account, SHOWN),
        letters=len(diary.mailbox(account)),
        debits=DEBITS,
        sums=SUMS,
        forms=FORMS,
        reasons=REASONS,
        kinds=NAMES,
        states=STATES,
    )


@blueprint.get("/shops/<account>/app")
def app(account: str) -> ResponseReturnValue:
    """The app's detail page, with exactly the published plans; the owner chooses one of them."""
    found, listing = _found(account), charges.listing()
    session[oauth.OWNER] = account
    return render_template(
        "sandbox/colorme/app.html",
        shop=found,
        contract=contracts.of(account),
        offers=[offer(found, plan, listing.trial_days) for plan in charges.plans(published=True)],
        options=charges.options(),
        trial_days=listing.trial_days,
        already_tried=installing.ALREADY_TRIED if found.trial_used and listing.trial_days else "",
        forms=FORMS,
        amount_names=AMOUNT_NAMES,
    )


@blueprint.get("/shops/<account>/mail")
def mail(account: str) -> ResponseReturnValue:
    """The shop's mailbox."""
    found = _found(account)
    return render_template("sandbox/colorme/mail.html", shop=found, letters=diary.mailbox(account))


@blueprint.post("/shops/<account>/install")
def install(account: str) -> ResponseReturnValue:
    """Install the app on the plan that was chosen, and go on to where the app says."""
    found = _found(account)
    session[oauth.OWNER] = account
    try:
        done = installing.install(appstore(), found.account, request.form.get("plan", ""))
    except installing.Refused as why:
        flash(str(why))
        return redirect(url_for(".app", account=account), 303)
    return redirect(done.redirect_url, 303)


@blueprint.post("/shops/<account>/uninstall")
def uninstall(account: str) -> ResponseReturnValue:
    """The owner ends it; another plan is chosen only after that. An old window ends no later contract."""
    standing = contracts.of(_found(account).account)
    meant = standing and request.form.get("contract", standing.id) == standing.id
    if standing and meant and installing.uninstall(appstore(), standing.id, Reason.OWNER):
        flash(N_("The app is uninstalled. Its tokens are void, and nothing is renewed."))
    return _to(account)


@blueprint.post("/shops/<account>/points")
def add_points(account: str) -> ResponseReturnValue:
    """The owner pays points in."""
    found = _open(account)
    wanted = request.form.get("points", "")
    if wanted not in map(str, SUMS):
        abort(400)
    shops.charge_up(found.account, int(wanted), calendar.now())
    return _to(account)


@blueprint.post("/shops/<account>/debit")
def set_debit(account: str) -> ResponseReturnValue:
    """The owner sets up automatic debit in another way."""
    found = _open(account)
    if request.form.get("debit") not in set(Debit):
        abort(400)
    shops.set_debit(found.account, Debit(request.form["debit"]))
    return _to(account)


@blueprint.post("/shops/<account>/bills/<code>")
def pay(account: str, code: str) -> ResponseReturnValue:
    """The owner pays what is open or owed."""
    bill = bills.find(code)
    if bill is None or bill.account != _found(account).account:
        abort(404)
    paid = bills.settle(code, calendar.now())
    flash(N_("It is paid.") if paid else N_("There are not enough points. Nothing was taken."))
    return _to(account)


@blueprint.post("/shops/<account>/close")
def close(account: str) -> ResponseReturnValue:
    """The owner closes the shop for good, unless anything is installed or owed."""
    found, now = _open(account), calendar.now()
    with transaction() as writing:  # as long as it lasts nothing is installed or billed
        sum_of, unfixed = bills.debts(account, contracts.all_of(account), now.date())
        if contracts.is_begun(account):
            flash(N_("Uninstall the app first."))
        elif sum_of:
            flash(N_("The shop cannot be closed while anything is unpaid."))
        elif unfixed:
            flash(N_("The shop cannot be closed yet: an amount is still to be fixed (ours)."))
        else:
            writing.get_one(Shop, found.account).closed_at = now
            flash(N_("The shop is closed."))
    return _to(account)


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    """The process answers."""
    return "ok\n", {"Content-Type": "text/plain; charset=utf-8"}


@blueprint.get("/statement.json")
def statement() -> ResponseReturnValue:
    """All that was billed, contract by contract, in yen before tax: to hold an app's book against."""
    every = contracts.everything()
    billed, used = bills.all_bills(every), bills.usage(every)
    return {
        "now": calendar.now().isoformat(),
        "contracts": [_told(one, [b for b in billed if b.contract_id == one.id], used) for one in every],
    }


def offer(shop: Shop, plan: PlanCharge, trial_days: int) -> Offer:
    """What this plan would begin with if it were installed today."""
    today = calendar.today()
    days = trial_days if installing.has_trial(plan, shop, trial_days) else 0
    term = reckoning.trial(today, days) if days else None
    start = term.last + reckoning.DAY if term else today
    reading_of = appstore().settings.first_period
    terms = Terms(plan.form, start, plan.price, plan.monthly, plan.initial, reading_of)
    period = reckoning.period_at(terms, start)
    lines = reckoning.lines(terms, period or Period(start, start))
    on = period.last if period and plan.form.postpaid else start
    return Offer(plan, term, start, period, lines, reckoning.tax(sum(line.yen for line in lines), on))


def _told(contract: Contract, billed: Sequence[Bill], used: Sequence[bills.Usage]) -> dict[str, object]:
    plan_bills = [bill for bill in billed if bill.kind is not bills.Kind.OPTION]
    options = [bill for bill in billed if bill.kind is bills.Kind.OPTION]
    return {
        "contract": contract.id,
        "account": contract.account,
        "plan": contract.plan_id,
        "form": contract.form.value,
        "test": contract.is_test,
        "installed_on": contract.installed_on.isoformat(),
        "charged_from": contract.charged_from.isoformat(),
        "ended_at": contract.ended_at and contract.ended_at.astimezone(calendar.JAPAN).isoformat(),
        "reason": contract.reason and contract.reason.value,
        "bills": [_bill(bill) for bill in plan_bills],
        "usage": [
            {
                "code": one.code,
                "yen": one.yen,
                "description": one.description,
                "made_at": one.made_at.astimezone(calendar.JAPAN).isoformat(),
                "first": one.first.isoformat(),
            }
            for one in used
            if one.contract_id == contract.id
        ],
        "options": [{**_bill(bill), "code": bill.code, "option": bill.option_id} for bill in options],
    }


def _bill(bill: Bill) -> dict[str, object]:
    return {
        "kind": bill.kind.value,
        "first": bill.first.isoformat(),
        "last": bill.last.isoformat(),
        "yen": bill.yen,
        "tax": bill.tax,
        "state": bill.state.value,
        "lines": bill.lines,
        "made_at": bill.made_at.astimezone(calendar.JAPAN).isoformat(),
    }


def _owed(shop: Shop) -> int:
    return bills.debts(shop.account, (), calendar.today())[0]


def _found(account: str) -> Shop:
    found = shops.find(account)
    return found if found and not found.is_gone else abort(404)


def _open(account: str) -> Shop:
    found = _found(account)
    return found if found.closed_at is None else abort(404)


def _to(account: str) -> ResponseReturnValue:
    return redirect(url_for(".shop", account=account), 303)
