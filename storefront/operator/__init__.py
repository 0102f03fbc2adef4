"""The operator's room: an address to come in by, once, a visit of their own, and the list of their pages.

Verbs: `login.address` (what the command prints), `login.required` (who asks is the operator), `pages.add`
(a room brings a page, with templates on top of `operator/layout.html`), `matters.add` (what it has to say at
the operator's home).
"""

from flask import Flask
from flask_babel import lazy_gettext as _

from storefront.operator import goods_views, login, pages, people, refusals, report_views, today, views
from storefront.operator.login import NotOperator
from storefront.operator.pages import Page
from storefront.shop import errors, form_tokens
from storefront.shop.errors import Explanation

NOT_OPERATOR = Explanation(
    _("This page is the operator's."),
    _("“storefront operator” prints a fresh address for it. Each is good for ten minutes, and once."),
    says="operators-alone",
)


def init_app(app: Flask) -> None:
    app.register_blueprint(views.blueprint)
    app.register_blueprint(today.blueprint)
    app.register_blueprint(people.blueprint)
    app.register_blueprint(goods_views.blueprint)
    app.register_blueprint(report_views.blueprint)
    pages.add(app, Page("operator_today.home", _("Today")))
    pages.add(app, Page("operator_people.find", _("Find")))
    pages.add(app, Page("operator_goods.items", _("Items")))
    pages.add(app, Page("operator_reports.report", _("Reports")))
    errors.say(app, refusals.page)
    errors.explain(app, NotOperator, NOT_OPERATOR, 401)
    app.add_template_global(pages.pages, "operator_pages")
    app.add_template_global(pages.platform)
    app.add_template_global(pages.counted)
    app.add_template_global(pages.in_language)
    app.add_template_global(lambda: form_tokens.seal(login.required(), "operator"), "operator_seal")
