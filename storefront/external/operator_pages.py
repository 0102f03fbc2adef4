"""The operator's pages: the registration with its facts, and reports of malfunctions."""

import io
from collections.abc import Mapping

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _
from werkzeug.exceptions import NotFound, RequestEntityTooLarge
from wtforms import Field

from storefront import clock
from storefront.config import settings
from storefront.external import facts, malfunctions, registration, shelf
from storefront.external.channel import channel
from storefront.external.malfunctions import Malfunction
from storefront.external.operator_forms import MalfunctionForm, Part, RegistrationForm, mark, sent
from storefront.external.registration import ChangeKind
from storefront.operator import login
from storefront.shop import form_tokens
from storefront.shop.devices import Device
from storefront.shop.errors import Explanation
from storefront.shop.form_tokens import StaleForm

# What stays as it was approved last; providers and prices have steps of their own.
STAYS = (ChangeKind.METHOD, ChangeKind.SERVICE, ChangeKind.PRODUCT, ChangeKind.SCREEN_FLOW)
# What the forms are for; with other fields a form is another.
REGISTRATION = f"registration:{mark(RegistrationForm)}"
MALFUNCTION = f"malfunction:{mark(MalfunctionForm)}"
STALE = Explanation(
    _("This form is out of date."),
    _("Nothing was saved. Open its page again, and fill it in once more."),
    says="nothing-saved",
)
TOO_LARGE = Explanation(
    _("The form was too large."),
    _(
        "Nothing was saved. Shorten it: price changes that later ones replace may go, "
        "since earlier records are kept."
    ),
    says="nothing-saved shorten",
)
LONGEST = (
    1024 * 1024
)  # bytes of the registration; some thirty price lists, each of more than a thousand items
CSV = {
    "Content-Type": "text/csv; charset=utf-8",
    "Content-Disposition": "attachment; filename=malfunctions.csv",
}

blueprint = Blueprint("operator_pages", __name__, url_prefix="/external")


@blueprint.get("/registration")
def checklist() -> ResponseReturnValue:
    """How the registration of external payment stands, and the form with its facts."""
    number = facts.number()  # before the facts: what comes in between is not on the page
    return _checklist(RegistrationForm(obj=facts.current()), number)


@blueprint.post("/registration")
def record() -> ResponseReturnValue:
    holder = login.required()  # nobody else may send so much
    request.max_content_length = request.max_form_memory_size = LONGEST
    form_tokens.unseal(request.form.get("token", ""), holder, REGISTRATION)
    form = RegistrationForm(sent(request.form))
    told = form.told(facts.told)
    if told is None:
        return _checklist(form, _seen()), 422
    if told != facts.current() and not facts.record(told, clock.now(), _seen()):
        number, counts = facts.number(), RegistrationForm(obj=facts.current())
        form.grow(counts)
        return _checklist(form, number, counts), 409
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
    return _report_page(MalfunctionForm(app_id=app_id, inquiries=0), None, "")


@blueprint.get("/malfunctions/<int:report_id>")
def report(report_id: int) -> ResponseReturnValue:
    login.required()
    row = _report(report_id)
    return _report_page(MalfunctionForm(obj=row.malfunction), report_id, row.version)


@blueprint.post("/malfunctions/new", defaults={"report_id": None})
@blueprint.post("/malfunctions/<int:report_id>")
def save_report(report_id: int | None) -> ResponseReturnValue:
    nonce = form_tokens.unseal(request.form.get("token", ""), login.required(), MALFUNCTION)
    form = MalfunctionForm(sent(request.form))
    seen = form_tokens.carried(request.form.get("token", ""))
    told = form.told(Malfunction.model_validate)
    if told is None:
        return _report_page(form, report_id, seen), 422
    before = _report(report_id) if report_id is not None else None
    if before is None:
        if not malfunctions.add(told, nonce, clock.now()) and (kept := _otherwise(told)):
            return _report_page(form, None, "", MalfunctionForm(obj=kept)), 409
    elif told != before.malfunction and not malfunctions.correct(before.id, told, clock.now(), seen):
        counts = MalfunctionForm(obj=before.malfunction)
        return _report_page(form, report_id, before.version, counts), 409
    return redirect(settings().public_url + url_for("operator_pages.reports"), 303)


@blueprint.errorhandler(StaleForm)
def _stale(error: StaleForm) -> ResponseReturnValue:
    return render_template("operator/refused.html", explanation=STALE), 400


@blueprint.errorhandler(RequestEntityTooLarge)
def _too_large(error: RequestEntityTooLarge) -> ResponseReturnValue:
    return render_template("operator/refused.html", explanation=TOO_LARGE), 413


def _otherwise(told: Malfunction) -> Malfunction | None:
    """What was reported last, unless this was reported as well: then a form was merely sent twice."""
    kept = [row.malfunction for row in malfunctions.reports()]
    return None if told in kept else next(iter(kept), None)


def _report(report_id: int) -> malfunctions.Row:
    row = malfunctions.find(report_id)
    if row is None:
        raise NotFound
    return row


def _seen() -> int:
    """The number of the record that the form was filled with."""
    number = form_tokens.carried(request.form.get("token", ""))
    return int(number) if number.isdecimal() else -1


def _checklist(form: RegistrationForm, seen: int, counts: RegistrationForm | None = None) -> str:
    """`seen` is the record that the form was filled with, `counts` shows what came meanwhile."""
    holder, today, recorded = login.required(), clock.day(clock.now()), facts.current()
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
        form=form,
        counts=_by_name(counts),
        token=form_tokens.seal(holder, REGISTRATION, str(seen)),
    )


def _report_page(
    form: MalfunctionForm, report_id: int | None, seen: str, counts: MalfunctionForm | None = None
) -> str:
    return render_template(
        "external/malfunction.html",
        report_id=report_id,
        form=form,
        counts=_by_name(counts),
        token=form_tokens.seal(login.required(), MALFUNCTION, seen),
    )


def _by_name(form: Part | None) -> Mapping[str, Field]:
    return {field.name: field for field in form.leaves} if form else {}
