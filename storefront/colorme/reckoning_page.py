"""The open page on which anybody can reckon a contract, by an address that says all of it."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from flask import Blueprint, Flask, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import LazyString
from flask_babel import lazy_gettext as _

from storefront.colorme import amounts, periods, sources
from storefront.colorme.amounts import Part, usage_reports
from storefront.colorme.plan_file import Form
from storefront.colorme.settings import FirstPeriod, settings
from storefront.colorme.sources import Asked, Reading, Source, What

FIRST, LAST = date(2014, 4, 1), date(2099, 12, 31)  # 8 % is the oldest rate that we know
MOST_USAGE = 100_000_000  # yen in a period; ours, so that a page has an end
NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
# The example of the documents: ten days free, installed on the 10th of July.
EXAMPLE = {
    "form": "monthly",
    "installed_on": "2021-07-10",
    "trial_days": "10",
    "price": "9800",
    "monthly": "3000",
    "initial": "5000",
    "usage": "1500",
}

FORMS: Mapping[str, LazyString] = {
    Form.FREE: _("Free"),
    Form.ONE_TIME: _("Bought once"),
    Form.MONTHLY: _("Monthly fee only"),
    Form.MONTHLY_INITIAL: _("Monthly fee and initial fee"),
    Form.MONTHLY_USAGE: _("Monthly fee and usage"),
    Form.USAGE: _("Usage only"),
}
FIRST_PERIODS: Mapping[str, LazyString] = {
    FirstPeriod.NEXT_MONTH_9TH: _("to the 9th of the next month, as written"),
    FirstPeriod.RUNNING_BLOCK: _("to the end of the running 10th to 9th"),
}
PARTS: Mapping[str, LazyString] = {
    Part.PRORATED: _("Days in proportion"),
    Part.MONTHLY: _("A whole month"),
    Part.INITIAL: _("Initial fee"),
    Part.PRICE: _("Price"),
    Part.USAGE: _("Usage"),
}
DAYS: Mapping[str, LazyString] = {
    What.INSTALLED: _("Installed"),
    What.TRIAL: _("Free trial"),
    What.REMINDED: _("The store writes that the trial ends"),
    What.CHARGED_FROM: _("First paid day"),
    What.PAID_AT_ONCE: _("Collected with the install"),
    What.SHORT: _("With too few points nothing is installed"),
    What.COLLECTED: _("Collected; too few points end the contract"),
    What.RENEWED: _("Renewed"),
    What.FIXED: _("The sum is fixed, and listed on the sales page"),
    What.DUE: _("Last day to pay"),
    What.FORCED_OUT: _("Uninstalled, if it was not paid"),
    What.CLOSING: _("Last day for late usage, after an uninstall"),
    What.PAID_OUT: _("Paid out to the developer by"),
}
SOURCES: Mapping[str, LazyString] = {
    Source.STATED: _("documents"),
    Source.API: _("API document"),
    Source.READ: _("our reading"),
    Source.OURS: _("ours"),
}
READINGS: Mapping[str, LazyString] = {
    Reading.FIRST_PERIOD: _(
        "A first postpaid period that begins on the 1st to the 9th: it is written that it runs to the 9th of "
        "the next month, and also that contracts are renewed on every 10th."
    ),
    Reading.AFTER_TRIAL: _(
        "After a trial a postpaid contract begins on the day after it, as a prepaid one does."
    ),
    Reading.PRORATION: _(
        "Days in proportion: the first day counts, out of the days of the calendar month (prepaid) or of the "
        "running 10th to 9th (postpaid), and fractions of a yen are cut off once."
    ),
    Reading.RATE_DAY: _(
        "The tax rate is that of the day of the collection (prepaid), or of the last day of the contract "
        "period (postpaid)."
    ),
    Reading.MONTH_START: _("The start of the month (月初), when a sum is fixed and listed, is the 1st."),
    Reading.REMINDERS: _(
        "Three days before and the day before the trial ends: both are counted from its last day."
    ),
    Reading.PREPAID_PAYOUT: _(
        "What was collected beforehand is paid out by the end of the next month, as late as what was not."
    ),
    Reading.SHORT_AT_INSTALL: _(
        "It is not said what happens where points do not suffice at an install: nothing is installed, and "
        "nothing collected."
    ),
    Reading.NOT_PAID_BACK: _("What was collected beforehand is not paid back by an uninstall."),
    Reading.BILLED_TO_ITS_END: _(
        "A postpaid contract period that has begun is billed to its end, whenever the app is uninstalled."
    ),
    Reading.REPORTS: _(
        "Usage is reported in as few reports as the limits of each allow; less than ¥100 waits for the "
        "next period."
    ),
    Reading.NO_BILL: _("A period that comes to nothing has no bill."),
    Reading.PARCEL_ON_TRUST: _(
        "On a trial, or a plan that is paid afterwards, the first parcel comes before anything is paid. Who "
        "left before a plan fee was paid gets the next on the first paid day of another contract, or at its "
        "first renewal where it is paid afterwards."
    ),
}
PROBLEMS: Mapping[str, LazyString] = {
    "form": _("Choose one of the forms."),
    "installed_on": _("A day from 2014-04-01 to 2099-12-31."),
    "trial_days": _("0 for none, or 3 to 90."),
    "price": _("A whole number from 100 to 1,000,000."),
    "monthly": _("A whole number from 100 to 1,000,000."),
    "initial": _("A whole number from 100 to 1,000,000."),
    "usage": _("A whole number from 0 to 100,000,000."),
    "first_period": _("Choose one of the readings."),
}

blueprint = Blueprint("colorme_reckoning", __name__, url_prefix="/colorme")


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    # A form and a part of a bill may have the same name.
    app.add_template_filter(lambda form: FORMS[form], "form")
    words = {**FIRST_PERIODS, **PARTS, **DAYS, **SOURCES, **READINGS}
    app.add_template_filter(lambda word: words[word], "reckoned")


@blueprint.get("/reckoning")
def reckoning() -> ResponseReturnValue:
    """Any contract: its days, its bills line by line, and where each value comes from."""
    said = {**EXAMPLE, "first_period": settings().colorme_first_period.value}
    said |= {name: request.args[name][:20] for name in said if name in request.args}
    asked, wrong = _read(said)
    page: dict[str, Any] = {"said": said, "wrong": wrong, "asked": asked}
    if asked:
        page |= {
            "before": list(sources.before(asked)),
            "bills": list(sources.told(asked)),
            "readings": sources.readings(asked),
            "reports": _reports(asked) if asked.form.has_usage else None,
        }
    choices = {"forms": FORMS, "first_periods": FIRST_PERIODS, "sources": SOURCES, "problems": PROBLEMS}
    return render_template("colorme/reckoning.html", **page, **choices), 200 if asked else 400


def _read(said: Mapping[str, str]) -> tuple[Asked | None, list[str]]:
    """What is asked, or the names of what cannot be understood."""
    values: dict[str, Any] = {}
    wrong = []
    for name, read in READ.items():
        try:
            values[name] = read(said[name].strip())
        except ValueError:
            wrong.append(name)
    if wrong:
        return None, wrong
    in_block = values.pop("first_period") is FirstPeriod.RUNNING_BLOCK
    return Asked(**values, in_block=in_block), []


def _reports(asked: Asked) -> Mapping[str, object]:
    parts, carried = usage_reports(asked.usage)
    return {"parts": " + ".join(f"{yen:,}" for yen in parts), "carried": carried}


def _day(text: str) -> date:
    day = date.fromisoformat(_like(DAY, text))
    if not FIRST <= day <= LAST:
        raise ValueError(text)
    return day


def _trial(text: str) -> int:
    days = int(_like(NUMBER, text))
    periods.charged_from(FIRST, days)
    return days


def _registered(text: str) -> int:
    yen = int(_like(NUMBER, text))
    amounts.check_limits(yen)
    return yen


def _usage(text: str) -> int:
    yen = int(_like(NUMBER, text))
    if yen > MOST_USAGE:
        raise ValueError(text)
    return yen


def _like(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(text)
    return text


READ: Mapping[str, Callable[[str], Any]] = {
    "form": Form,
    "installed_on": _day,
    "trial_days": _trial,
    "price": _registered,
    "monthly": _registered,
    "initial": _registered,
    "usage": _usage,
    "first_period": FirstPeriod,
}
