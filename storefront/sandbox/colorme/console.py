"""What the developer sees: 課金設定, publication, usage charges and sales, letters."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from storefront.sandbox.colorme import bills, calendar, charges, contracts, diary, plan_file
from storefront.sandbox.colorme.bills import NAMES, STATES, Bill, Paid
from storefront.sandbox.colorme.context import appstore
from storefront.sandbox.colorme.reckoning import AMOUNT_NAMES, FORMS, paid_out_on
from storefront.sandbox.colorme.settings import FIRST_PERIODS, AppStoreSettings, assumptions
from storefront.sandbox.colorme.store import transaction
from storefront.sandbox.language import N_

GUESSES = (
    N_("Part of a month is reckoned with its days, the first one counted, and rounded down once."),
    N_("A month is the calendar's for prepaid plans, and 10th to 9th for postpaid ones."),
    N_("Tax is taken once on each collection. Its rate is that of the collection's day, or for a postpaid plan of the contract's last day: 8% until 30 September 2019, 10% from then on."),  # noqa: E501
    N_("Short of points at an install, nothing is installed, and the app hears of nothing."),
    N_("Options take points that are there. None are bought for them, and short of points nobody is uninstalled."),  # noqa: E501
    N_("Without any setting for automatic debit, points are taken from the balance, as with bank transfer."),
    N_("What is due is debited at the beginning of the due day, and all of that day is in time."),
    N_("What is prepaid is not given back, and a postpaid period that was begun is billed to its end."),
    N_("Everything is paid out on the last day of the month after the one in which it was collected; late payments, too."),  # noqa: E501
    N_("An install that was cancelled uses up neither the trial nor a plan's right to other prices."),
    N_("A plan without a trial does not use the trial up."),
    N_("The trial's first reminder goes out on the install day where a trial has three days."),
    N_("Usage told after an uninstall belongs to the last period, until the end of the closing day."),
    N_("The codes of errors from 422900 to 422905 and 429000."),
    N_("A shop is not closed while an amount is still to be fixed, nor while an app is installed."),
    N_("The calendar stands still until it is turned. OAuth codes and the limit of requests keep real time."),
)  # fmt: skip

blueprint = Blueprint("console", __name__)


@dataclass(frozen=True)
class Payout:
    """What is paid out on a day; `net` is nothing while no commission is configured."""

    on: date
    collected: int
    net: int | None
    is_carried: bool


@blueprint.get("/my/applications/<app_id>")
def show(app_id: str) -> ResponseReturnValue:
    """The app's settings at the store."""
    _check(app_id)
    return render_template(
        "sandbox/colorme/console.html",
        plans=charges.plans(),
        options=charges.options(),
        listing=charges.listing(),
        forms=FORMS,
        amount_names=AMOUNT_NAMES,
    )


@blueprint.post("/my/applications/<app_id>/register")
def register(app_id: str) -> ResponseReturnValue:
    """Read the app's plan file again."""
    _check(app_id)
    settings = appstore().settings
    try:
        with transaction() as session:
            frozen = charges.register(session, plan_file.read(settings.plans, settings.catalog))
    except (plan_file.Unfit, charges.Refused) as why:
        flash(str(why))
        return _to(app_id)
    if frozen:
        flash(N_("Registered, but for plans that were used once and would have other amounts."))
    else:
        flash(N_("Plans and options are as the file has them."))
    return _to(app_id)


@blueprint.post("/my/applications/<app_id>/plans/<plan_id>")
def reprice(app_id: str, plan_id: str) -> ResponseReturnValue:
    """Change what an unused plan charge costs."""
    _check(app_id)
    given = {name: int(text) for name, text in request.form.items() if name in AMOUNT_NAMES and _is_yen(text)}
    done = N_("The amounts are changed here; the app's plan file does not know of it.")
    return _tried(app_id, lambda: charges.reprice(plan_id, given, calendar.now()), done)


@blueprint.post("/my/applications/<app_id>/publication")
def apply(app_id: str) -> ResponseReturnValue:
    """Apply for publication with the plan charges that are chosen."""
    _check(app_id)
    plans = request.form.getlist("plan")
    done = N_("The application is with the store.")
    return _tried(app_id, lambda: charges.apply(plans, calendar.now()), done)


@blueprint.post("/my/applications/<app_id>/publication/approval")
def approve(app_id: str) -> ResponseReturnValue:
    """The store's part: publish what was applied for."""
    _check(app_id)
    done = N_("The app is published with these plans.")
    return _tried(app_id, lambda: charges.approve(calendar.now()), done)


@blueprint.get("/my/applications/<app_id>/state/usage_charges")
def usage_charges(app_id: str) -> ResponseReturnValue:
    """従量課金利用状況: each usage charge, as soon as it is made."""
    _check(app_id)
    every = contracts.on_stage()
    return render_template(
        "sandbox/colorme/usage.html", usage=bills.usage(every), contracts={one.id: one for one in every}
    )


@blueprint.get("/my/applications/<app_id>/state/sales")
def sales(app_id: str) -> ResponseReturnValue:
    """売上状況: postpaid from the 1st after the contract's end; what is prepaid once it is collected."""
    _check(app_id)
    every, today = bills.all_bills(contracts.on_stage()), calendar.today()
    listed = [one for one in every if one.state is not Paid.UNPAID and one.listed_on <= today]
    return render_template(
        "sandbox/colorme/sales.html",
        bills=sorted(listed, key=lambda one: (one.listed_on, one.code), reverse=True),
        payouts=payouts(every, appstore().settings),
        today=today,
        kinds=NAMES,
        states=STATES,
        paid_out_on=paid_out_on,
    )


@blueprint.get("/my/applications/<app_id>/mail")
def mail(app_id: str) -> ResponseReturnValue:
    """Letters to the developer."""
    _check(app_id)
    return render_template("sandbox/colorme/mail.html", shop=None, letters=diary.mailbox(diary.DEVELOPER))


@blueprint.get("/rules")
def rules() -> ResponseReturnValue:
    """What is a fact, and what is ours."""
    return render_template(
        "sandbox/colorme/rules.html",
        rules=assumptions(),
        values=appstore().settings,
        guesses=GUESSES,
        first_periods=FIRST_PERIODS,
    )


def payouts(every: Sequence[Bill], settings: AppStoreSettings) -> Sequence[Payout]:
    """By month; what is below the minimum is carried over."""
    paid, carried = [], 0
    sums: Mapping[date, int] = bills.payouts(every)
    for on, collected in sums.items():
        if settings.commission is None:
            paid.append(Payout(on, collected, None, is_carried=False))
            continue
        carried += collected - collected * settings.commission // 100
        enough = carried >= settings.payout_minimum
        paid.append(Payout(on, collected, carried - settings.payout_fee if enough else 0, not enough))
        carried = 0 if enough else carried
    return paid


def _check(app_id: str) -> None:
    if app_id != appstore().settings.app_id:
        abort(404)


def _tried(app_id: str, act: Callable[[], object], done: str) -> ResponseReturnValue:
    """Back to the app's page, which says that it is done, or why not."""
    try:
        act()
        flash(done)
    except charges.Refused as why:
        flash(str(why))
    return _to(app_id)


def _is_yen(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def _to(app_id: str) -> ResponseReturnValue:
    return redirect(url_for(".show", app_id=app_id), 303)
