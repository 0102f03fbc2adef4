"""The way out with its warning, the provider's word about a payment, and the operator's pages."""

import io
import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog
from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import NotFound

from storefront import clock, config
from storefront.config import settings
from storefront.external import facts, malfunctions, payments, registration
from storefront.external.channel import NAME, channel, origin
from storefront.external.facts import FACTS
from storefront.external.forms import Fields, flat, nested, problems
from storefront.external.malfunctions import Harm, Malfunction, Progress
from storefront.external.payments import Contradiction, Malformed, Notice, Status, UnknownPayment
from storefront.external.registration import ChangeKind, Rule
from storefront.external.signing import BadSeal
from storefront.shop import catalog, forms, limits, operators, visit
from storefront.shop.catalog import Offer
from storefront.shop.devices import Device
from storefront.shop.visit import Visit

ANY_SUM = sys.maxsize  # the platform's limits are for the platform's points
LONGEST = 1000  # characters of one field
DAYS = {"launched_on", "stopped_on", "sent_on", "received_on", "approved_on"}
DAYS |= {"requested_on", "deadline", "submitted_on", "certified_until"}
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
MOST_ROWS = 50  # providers or changes on one page
PLAIN = {"Content-Type": "text/plain"}
CSV = {
    "Content-Type": "text/csv; charset=utf-8",
    "Content-Disposition": "attachment; filename=malfunctions.csv",
}
# The provider gives the money back on 409, gives up on other 4xx, and asks again after everything else.
REFUSALS: dict[type[Exception], tuple[int, str]] = {
    BadSeal: (401, "not signed by our provider"),
    Malformed: (400, "not a notice"),
    UnknownPayment: (404, "no such payment"),
    Contradiction: (409, "REFUND this is not how the payment stands here"),
    SQLAlchemyError: (503, "the database did not answer"),
}

blueprint = Blueprint(NAME, __name__, url_prefix="/external")
log = structlog.get_logger()


class Closed(Exception):
    """The door out is closed to this visitor now; `rule` says why."""

    def __init__(self, rule: Rule | None) -> None:
        super().__init__(rule)
        self.rule = rule


@blueprint.get("/items/<item_id>")
def warning(item_id: str) -> ResponseReturnValue:
    """Before the buyer leaves, every time: where to, whose place that is, and that it is not mixi's."""
    here = visit.current()
    _check_open(here)
    offer = _offer(item_id)
    standing = limits.standing(offer, here.customer.id, ANY_SUM, clock.now())
    provider = registration.usable(facts.current(), channel().site, facts.day(clock.now()))
    token = forms.seal(here.customer.id, _purpose(offer))
    page = {"offer": offer, "standing": standing, "provider": provider, "token": token}
    return render_template("external/warning.html", site=channel().site, **page)


@blueprint.post("/payments")
def checkout() -> ResponseReturnValue:
    """The buyer has read the warning and goes on."""
    here = visit.current()
    _check_open(here)
    offer = _offer(request.form.get("item", ""))
    code = forms.unseal(request.form.get("token", ""), here.customer.id, _purpose(offer))
    limits.check(offer, here.customer.id, ANY_SUM, clock.now())
    payment = payments.start(code, here.customer, offer, here.language, clock.now())
    fields = {
        "payment": payment.code,
        "item": payment.item_name,
        "yen": str(payment.yen),
        "back": here.target("external.finish", code=payment.code),
        "lang": here.language,
    }
    return redirect(channel().way_out(fields, clock.now()), 303)


@blueprint.get("/payments/<code>")
def finish(code: str) -> str:
    """The buyer returns: our state of the payment. Grants nothing."""
    payment = payments.find(visit.current().customer.id, code)
    if payment is None:
        raise NotFound
    return render_template("external/finish.html", payment=payment)


@blueprint.post("/notices")
def notice() -> ResponseReturnValue:
    """The provider tells: this payment was paid, or cancelled."""
    try:
        status = payments.settle(_heard(), clock.now())
    except tuple(REFUSALS) as refusal:
        code, reason = next(answer for kind, answer in REFUSALS.items() if isinstance(refusal, kind))
        log.warning("notice refused", status=code, reason=reason)
        return f"{reason}\n", code, PLAIN
    if status is Status.REFUND:
        return "REFUND it cannot be delivered\n", 409, PLAIN
    return "OK", PLAIN


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
    return "\ufeff" + file.getvalue(), CSV  # the mark tells a spreadsheet that it is UTF-8


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
    return redirect(f"{settings().public_url}{blueprint.url_prefix}/malfunctions", 303)


@blueprint.errorhandler(Closed)
def _closed(closed: Closed) -> ResponseReturnValue:
    return render_template("external/closed.html", rule=closed.rule), 403


def leads_out(here: Visit) -> bool:
    """Whether this visitor may leave by this door today."""
    return bool(channel()) and forbidding(here) is None


def forbidding(here: Visit) -> Rule | None:
    """The rule that keeps this visitor in, if there is one."""
    door, today = channel(), facts.day(clock.now())
    return registration.forbidden(
        facts.current(), here.device, door.site, today, on_smartphone=door.on_smartphone
    )


def _check_open(here: Visit) -> None:
    rule = forbidding(here) if channel() else None
    if rule or not channel():
        raise Closed(rule)


def _heard() -> Notice:
    if any(len(values) > 1 for _, values in request.form.lists()):
        raise Malformed("a field is given more than once")
    return Notice.read(channel().heard(request.form.to_dict(), clock.now()))


def _offer(item_id: str) -> Offer:
    offer = catalog.offer(item_id, NAME)
    if offer is None:
        raise NotFound
    return offer


def _purpose(offer: Offer) -> str:
    return f"{NAME}:{offer.purpose}"


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
