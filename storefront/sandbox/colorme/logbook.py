"""The pages of the wire log."""

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from storefront.sandbox import legible
from storefront.sandbox.colorme import hooks, shops, wire
from storefront.sandbox.colorme.context import appstore
from storefront.sandbox.colorme.wire import NAMES, Exchange, Kind
from storefront.sandbox.language import N_

MOST = 4

blueprint = Blueprint("logbook", __name__)


@blueprint.get("/log")
def show() -> ResponseReturnValue:
    """What went over the wire, newest first."""
    kind, account = request.args.get("kind", ""), request.args.get("account", "")
    number = request.args.get("page", "1")
    wanted = int(number) if number.isascii() and number.isdigit() and len(number) <= MOST else 1
    rows, pages = wire.page(max(1, wanted), Kind(kind) if kind in set(Kind) else None, account)
    return render_template(
        "sandbox/colorme/log.html",
        rows=rows,
        page=wanted,
        pages=pages,
        kinds=NAMES,
        kind=kind,
        account=account,
        shops={shop.account: shop for shop in shops.on_stage()},
    )


@blueprint.get("/log/<int:number>")
def row(number: int) -> ResponseReturnValue:
    """One exchange."""
    found = _found(number)
    return render_template(
        "sandbox/colorme/row.html",
        row=found,
        kinds=NAMES,
        head=legible.head(found.head),
        sent=legible.pretty(found.sent, legible.media_type(found.head)),
        answer_head=legible.head(found.answer_head),
        answer=legible.pretty(found.answer, legible.media_type(found.answer_head)),
    )


@blueprint.post("/log/<int:number>")
def resend(number: int) -> ResponseReturnValue:
    """Send a hook once more, to the letter: a good app answers as before and does nothing twice."""
    found = _found(number)
    if found.incoming:
        abort(404)
    hooks.resend(appstore(), found)
    flash(N_("Sent again. Nothing comes of the answer."))
    return redirect(url_for(".show"), 303)


def _found(number: int) -> Exchange:
    return wire.row(number) or abort(404)
