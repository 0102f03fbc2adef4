"""The operator's pages: the registration with its facts, and reports of malfunctions."""

import io
import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from pydantic import ValidationError
from werkzeug.exceptions import NotFound

from storefront import clock, config
from storefront.config import settings
from storefront.external import facts, malfunctions, registration
from storefront.external.channel import channel, origin
from storefront.external.facts import FACTS
from storefront.external.forms import Fields, flat, nested, problems
from storefront.external.malfunctions import Harm, Malfunction, Progress
from storefront.external.registration import ChangeKind
from storefront.shop import forms, operators
from storefront.shop.devices import Device

LONGEST = 1000  # characters of one field
DAYS = {"launched_on", "stopped_on", "sent_on", "received_on", "approved_on"}
DAYS |= {"requested_on", "deadline", "submitted_on", "certified_until"}
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
    return _checklist(flat(FACTS.dump_python(facts.current(), mode="json")))


@blueprint.post("/registration")
def record() -> ResponseReturnValue:
    forms.unseal(request.form.get("token", ""), operators.required(), "registration")
    values = _filled()
    written = flat(values)
    wrong = _wrong(written)
    try:
        recorded = FACTS.validate_python(_facts(values))
    except ValidationError as error:
        return _checklist(written, problems(error) | wrong), 422
    if wrong:
        return _checklist(written, wrong), 422
    facts.record(recorded, clock.now())
    return redirect(settings().public_url + request.path, 303)


@blueprint.get("/malfunctions")
def reports() -> str:
    """Every malfunction that was reported."""
    operators.required()
    return render_template("external/malfunctions.html", reports=malfunctions.reports())


@blueprint.get("/malfunctions.csv")
def export() -> ResponseReturnValue:
    operators.required()
    file = io.StringIO()
    malfunctions.export(file, malfunctions.reports())
    return file.getvalue(), CSV


@blueprint.get("/malfunctions/new")
def new_report() -> ResponseReturnValue:
    return _report_form({"app_id": settings().mixi_app_id, "inquiries": "0"}, None)


@blueprint.get("/malfunctions/<int:report_id>")
def report(report_id: int) -> ResponseReturnValue:
    operators.required()
    row = malfunctions.find(report_id)
    if row is None:
        raise NotFound
    return _report_form(flat(row.malfunction.model_dump()), report_id)


@blueprint.post("/malfunctions/new", defaults={"report_id": None})
@blueprint.post("/malfunctions/<int:report_id>")
def save_report(report_id: int | None) -> ResponseReturnValue:
    forms.unseal(request.form.get("token", ""), operators.required(), "malfunction")
    written = _written()
    try:
        saved = malfunctions.save(Malfunction.model_validate(nested(written)), report_id, clock.now())
    except ValidationError as error:
        return _report_form(written, report_id, problems(error)), 422
    if saved is None:
        raise NotFound
    return redirect(settings().public_url + url_for("operator_pages.reports"), 303)


def _written() -> Fields:
    """What was filled in; rows that were left empty are closed up."""
    return flat(nested({name: value for name, value in request.form.items() if name != "token"}))


def _filled() -> dict[str, Any]:
    """The facts as they were filled in. The last change is there to be; its choice alone says nothing."""
    values = nested(_written())
    changes = values.get("changes")
    if isinstance(changes, list):
        kept = [row for row in changes if not isinstance(row, dict) or row.keys() - {"kind"}]
        values["changes"] = kept
    return values


def _wrong(written: Fields) -> dict[str, str]:
    """What the types of the facts alone would not find wrong."""
    wrong = {name: "long" for name, value in written.items() if len(value) > LONGEST}
    for name, value in written.items():
        field = name.rpartition(".")[2]
        if field in DAYS and value and not DAY.fullmatch(value):
            wrong[name] = "day"
        elif field == "site" and not _outside(value):
            wrong[name] = "site"
    for number in range(_rows(written, "providers")):
        if not written.get(name := f"providers.{number}.name"):
            wrong[name] = "blank"  # the warning page names whom the buyer pays
    return wrong


def _facts(values: dict[str, Any]) -> dict[str, Any]:
    """The same as values of their types, as far as they can be."""
    rows = values.get("providers")
    if not isinstance(rows, list):
        return values
    return {**values, "providers": [_provider(row) if isinstance(row, dict) else row for row in rows]}


def _provider(row: dict[str, Any]) -> dict[str, Any]:
    services, site = row.get("services", ""), row.get("site", "")
    if not (isinstance(services, str) and isinstance(site, str)):
        return row
    return {**row, "services": services.splitlines(), "site": origin(site)}


def _checklist(written: Fields, wrong: Mapping[str, str] | None = None) -> str:
    holder, today = operators.required(), facts.day(clock.now())
    return render_template(
        "external/registration.html",
        today=today,
        assessment=registration.assess(facts.current(), today),
        door=channel(),
        closed_by=registration.forbidden(
            facts.current(), Device.PC, channel().site, today, on_smartphone=False
        ),
        written=written,
        wrong=wrong or {},
        kinds=list(ChangeKind),
        rows=lambda name: _rows(written, name),
        token=forms.seal(holder, "registration"),
    )


def _outside(site: str) -> bool:
    """Whether this may be a provider's site; an empty field is none."""
    return not site.strip() or (bool(origin(site)) and not config.is_of_mixi(origin(site), settings()))


def _rows(written: Fields, name: str) -> int:
    numbers = [int(field.split(".")[1]) for field in written if re.match(rf"{name}\.\d{{1,3}}\.", field)]
    return min(max(numbers, default=-1) + 1, MOST_ROWS)


def _report_form(written: Fields, report_id: int | None, wrong: Mapping[str, str] | None = None) -> str:
    return render_template(
        "external/malfunction.html",
        report_id=report_id,
        written=written,
        wrong=wrong or {},
        choices={"progress": list(Progress), "harm": list(Harm)},
        token=forms.seal(operators.required(), "malfunction"),
    )
