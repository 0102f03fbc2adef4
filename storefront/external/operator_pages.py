"""The operator's pages: the registration with its facts, and reports of malfunctions."""

import io
import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from pydantic import ValidationError
from werkzeug.exceptions import NotFound

from storefront import clock
from storefront.config import settings
from storefront.external import facts, malfunctions, registration, shelf
from storefront.external.channel import channel, origin
from storefront.external.facts import FACTS
from storefront.external.forms import Fields, flat, nested, problems
from storefront.external.malfunctions import Harm, Malfunction, Progress
from storefront.external.registration import ChangeKind, Effect, Facts, Way
from storefront.external.settings import is_of_mixi
from storefront.external.slips import slips
from storefront.operator import login
from storefront.shop import catalog, form_tokens
from storefront.shop.devices import Device

LONGEST, LONGEST_LIST = 1000, 10_000  # characters of one field, and of one with many lines
DAYS = {"launched_on", "stopped_on", "sent_on", "received_on", "approved_on", "since", "until"}
DAYS |= {"requested_on", "deadline", "submitted_on", "prices_taken_on", "content_changed_on"}
CHOICES = {"kind", "effect", "way"}  # of a change; they say nothing by themselves
PRICE = re.compile(r"([0-9A-Za-z]{1,64})[\s:=,]+¥?([0-9][0-9,]{0,8})")
# What stays as it was approved last; providers and prices have steps of their own.
STAYS = (ChangeKind.METHOD, ChangeKind.SERVICE, ChangeKind.PRODUCT, ChangeKind.SCREEN_FLOW)
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
MOST_ROWS = 50  # providers or changes on one page
CSV = {
    "Content-Type": "text/csv; charset=utf-8",
    "Content-Disposition": "attachment; filename=malfunctions.csv",
}

blueprint = Blueprint("operator_pages", __name__, url_prefix="/external")


@blueprint.get("/registration")
def checklist() -> ResponseReturnValue:
    """How the registration of external payment stands, and the form with its facts."""
    number = facts.number()  # before the facts: what comes in between is not on the page
    return _checklist(flat(_shown(facts.current())), number)


@blueprint.post("/registration")
def record() -> ResponseReturnValue:
    form_tokens.unseal(request.form.get("token", ""), login.required(), "registration")
    values = _filled()
    written = flat(values)
    wrong = _wrong(written)
    try:
        recorded = FACTS.validate_python(_facts(values))
    except ValidationError as error:
        return _checklist(written, _seen(), problems(error) | wrong), 422
    wrong = slips(recorded, catalog.ids()) | wrong
    if wrong:
        return _checklist(written, _seen(), wrong), 422
    if recorded != facts.current() and not facts.record(recorded, clock.now(), _seen()):
        number = facts.number()
        return _checklist(written, number, counts=flat(_shown(facts.current()))), 409
    return redirect(settings().public_url + request.path, 303)


@blueprint.get("/malfunctions")
def reports() -> str:
    """Every malfunction that was reported."""
    login.required()
    return render_template("external/malfunctions.html", reports=malfunctions.reports())


@blueprint.get("/malfunctions.csv")
def export() -> ResponseReturnValue:
    login.required()
    file = io.StringIO()
    malfunctions.export(file, malfunctions.reports())
    return file.getvalue(), CSV


@blueprint.get("/malfunctions/new")
def new_report() -> ResponseReturnValue:
    app_id = getattr(settings(), "mixi_app_id", "")  # another room's; the report goes to mixi
    return _report_form({"app_id": app_id, "inquiries": "0"}, None, "")


@blueprint.get("/malfunctions/<int:report_id>")
def report(report_id: int) -> ResponseReturnValue:
    login.required()
    row = _report(report_id)
    return _report_form(flat(row.malfunction.model_dump()), report_id, row.version)


@blueprint.post("/malfunctions/new", defaults={"report_id": None})
@blueprint.post("/malfunctions/<int:report_id>")
def save_report(report_id: int | None) -> ResponseReturnValue:
    form_tokens.unseal(request.form.get("token", ""), login.required(), "malfunction")
    written, seen = _written(), form_tokens.carried(request.form.get("token", ""))
    try:
        told = Malfunction.model_validate(nested(written))
    except ValidationError as error:
        return _report_form(written, report_id, seen, problems(error)), 422
    before = _report(report_id) if report_id is not None else None
    if before is None:
        malfunctions.add(told, clock.now())
    elif told != before.malfunction and not malfunctions.correct(before.id, told, clock.now(), seen):
        counts = flat(before.malfunction.model_dump())
        return _report_form(written, report_id, before.version, counts=counts), 409
    return redirect(settings().public_url + url_for("operator_pages.reports"), 303)


def _report(report_id: int) -> malfunctions.Row:
    row = malfunctions.find(report_id)
    if row is None:
        raise NotFound
    return row


def _written() -> Fields:
    """What was filled in; rows that were left empty are closed up."""
    return flat(nested({name: value for name, value in request.form.items() if name != "token"}))


def _filled() -> dict[str, Any]:
    """The facts as they were filled in. The last change is there to be; its choices alone say nothing."""
    values = nested(_written())
    changes = values.get("changes")
    if isinstance(changes, list):
        kept = [row for row in changes if not isinstance(row, dict) or row.keys() - CHOICES]
        values["changes"] = kept
    return values


def _wrong(written: Fields) -> dict[str, str]:
    """What the types of the facts alone would not find wrong."""
    wrong = {}
    for name, value in written.items():
        field = name.rpartition(".")[2]
        if len(value) > (LONGEST_LIST if field == "prices" else LONGEST):
            wrong[name] = "long"
        elif field in DAYS and value and not DAY.fullmatch(value):
            wrong[name] = "day"
        elif field == "site" and not _outside(value):
            wrong[name] = "site"
        elif field == "prices" and _prices(value) is None:
            wrong[name] = "prices"
    return wrong


def _facts(values: dict[str, Any]) -> dict[str, Any]:
    """The same as values of their types, as far as they can be."""
    changed = {**_priced(values)}
    for name, each in (("providers", _provider), ("changes", _priced)):
        rows = values.get(name)
        if isinstance(rows, list):
            changed[name] = [each(row) if isinstance(row, dict) else row for row in rows]
    return changed


def _provider(row: dict[str, Any]) -> dict[str, Any]:
    site = row.get("site", "")
    return {**row, "site": origin(site)} if isinstance(site, str) else row


def _priced(row: dict[str, Any]) -> dict[str, Any]:
    prices = row.get("prices")
    return {**row, "prices": _prices(prices) or {}} if isinstance(prices, str) else row


def _prices(text: str) -> dict[str, int] | None:
    """The yen of each item, a line each; None if a line is not understood, or says it again."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = [match for line in lines if (match := PRICE.fullmatch(line))]
    prices = {match[1]: int(match[2].replace(",", "")) for match in found}
    return prices if len(prices) == len(lines) else None


def _shown(recorded: Facts) -> dict[str, Any]:
    """The facts as the form shows them, with prices in lines."""
    values: dict[str, Any] = FACTS.dump_python(recorded, mode="json")
    for row in (values, *values["changes"]):
        row["prices"] = [f"{item} {yen}" for item, yen in row["prices"].items()]
    return values


def _seen() -> int:
    """The number of the record that the form was filled with."""
    number = form_tokens.carried(request.form.get("token", ""))
    return int(number) if number.isdecimal() else -1


def _checklist(
    written: Fields,
    seen: int,
    wrong: Mapping[str, str] | None = None,
    counts: Mapping[str, str] | None = None,
) -> str:
    """`seen` is the record that the form was filled with, `counts` what came meanwhile, by its fields."""
    holder, today, recorded = login.required(), facts.day(clock.now()), facts.current()
    return render_template(
        "external/registration.html",
        today=today,
        assessment=registration.assess(recorded, today),
        door=channel(),
        closed_by=registration.forbidden(recorded, Device.PC, channel().site, today, on_smartphone=False),
        stays=[
            (kind, registration.standing(recorded, kind, today), registration.waiting(recorded, kind, today))
            for kind in STAYS
        ],
        shelf=shelf.rows(recorded, today),
        written=written,
        wrong=wrong or {},
        counts=counts,
        choices={"kind": list(ChangeKind), "effect": list(Effect), "way": list(Way)},
        rows=lambda name: _rows(written, name),
        token=form_tokens.seal(holder, "registration", str(seen)),
    )


def _outside(site: str) -> bool:
    """Whether this may be a provider's site; an empty field is none."""
    return not site.strip() or (bool(origin(site)) and not is_of_mixi(origin(site), settings()))


def _rows(written: Fields, name: str) -> int:
    row = re.compile(rf"{re.escape(name)}\.([0-9]{{1,3}})\.")
    numbers = [int(found[1]) for field in written if (found := row.match(field))]
    return min(max(numbers, default=-1) + 1, MOST_ROWS)


def _report_form(
    written: Fields,
    report_id: int | None,
    seen: str,
    wrong: Mapping[str, str] | None = None,
    counts: Mapping[str, str] | None = None,
) -> str:
    return render_template(
        "external/malfunction.html",
        report_id=report_id,
        written=written,
        wrong=wrong or {},
        counts=counts,
        choices={"progress": list(Progress), "harm": list(Harm)},
        token=form_tokens.seal(login.required(), "malfunction", seen),
    )
