"""What the operator is told when a page of theirs is not there, or something cannot be done."""

from collections.abc import Mapping

from flask import render_template, request
from flask_babel import lazy_gettext as _

from storefront.operator import login, pages
from storefront.operator.login import NotOperator
from storefront.shop.errors import Explanation

STALE = Explanation(
    _("This form is out of date."), _("Nothing was done. Open its page again, and fill it in once more.")
)
BROKEN = Explanation(
    _("This page broke off."), _("Open it again and see whether it was done, before you do it once more.")
)
BY_STATUS: Mapping[int, Explanation] = {
    400: STALE,
    404: Explanation(
        _("There is no such page, customer or item."), _("Look for it above, or begin with Today.")
    ),
    405: Explanation(_("This page cannot be opened that way."), _("Choose a page above.")),
    413: Explanation(_("The form was too large."), _("Nothing was done. Go back and send less.")),
    500: BROKEN,
    503: BROKEN,
}


def page(explanation: Explanation, status: int) -> str | None:
    """On the operator's pages, to the operator: with the way to the others."""
    if not pages.is_one(request.path, request.endpoint or ""):
        return None
    try:
        login.required()
    except NotOperator:
        return None
    return render_template("operator/refused.html", explanation=BY_STATUS.get(status, explanation))
