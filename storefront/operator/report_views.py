"""The operator's reports, as a page and as a file."""

import io

from flask import Blueprint, Response, render_template, request

from storefront import clock
from storefront.operator import login, reports
from storefront.operator.reports import Question
from storefront.shop import catalog, pages, sums
from storefront.shop.devices import CALLED
from storefront.shop.sums import Part

ROWS = 500  # of a page; the file has all of them
MOVED = 50  # entries of another month that are shown

blueprint = Blueprint("operator_reports", __name__, url_prefix="/operator")
blueprint.before_request(login.guard)


@blueprint.get("/reports")
def report() -> str:
    today = clock.day(clock.now())
    question = Question.read(request.args, today)
    found = reports.answer(question, today)
    moved = sums.elsewhere(question.since, question.until, MOVED) if question.by_platform else []
    if moved:
        login.looked(people=sorted({one.customer_id for one in moved}))
    return render_template(
        "operator/report.html",
        question=question,
        found=found[:ROWS],
        more=max(0, len(found) - ROWS),
        moved=moved,
        parts=list(Part),
        devices=CALLED,
        by_id={item.id: item for item in catalog.everything()},
        last_month=reports.last_month(today).asks,
    )


@blueprint.get("/reports.csv")
def export() -> Response:
    today, file = clock.day(clock.now()), io.StringIO()
    question = Question.read(request.args, today)
    reports.write(file, question, today, pages.language())
    name = f"storefront-{question.first}-{question.last}.csv"
    headers = {"Content-Disposition": f"attachment; filename={name}"}
    return Response(file.getvalue(), content_type="text/csv; charset=utf-8", headers=headers)
