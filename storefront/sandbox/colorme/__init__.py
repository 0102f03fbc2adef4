"""The Color Me app store, imitated: shop owners choose a plan of the app here, try it, and are billed.

A process, a port and a file of its own, with a calendar that one turns. It really signs its hooks and
verifies tokens, and it reckons by itself, from the store's documents and not from the app's books:

reckoning    periods, lines, tax and days; pure
installing   install(), uninstall()           the hook, and what comes of its answer
bills        prepay(), fix(), pay(), buy()    points are taken here and nowhere else
midnight     strike()                         what a day begins with, in one order
turning      turn(), begin_again()            the calendar
api, oauth                                    what the app asks of us
"""

import requests
from flask import Flask
from sqlalchemy import select

from storefront.sandbox import form_tokens, language
from storefront.sandbox.colorme import (
    almanac,
    api,
    bills,
    calendar,
    charges,
    checklist,
    console,
    logbook,
    oauth,
    pages,
    plan_file,
    store,
    turning,
    views,
)
from storefront.sandbox.colorme.context import AppStore
from storefront.sandbox.colorme.settings import AppStoreSettings
from storefront.sandbox.mixi.calls import new_session
from storefront.sandbox.process import new_app


def create_appstore(settings: AppStoreSettings | None = None, http: requests.Session | None = None) -> Flask:
    """The app store as one Flask app. Without arguments it is configured by the environment."""
    # The environment gives what the call leaves out, and the error names what is missing.
    settings = settings or AppStoreSettings()
    app = new_app(__name__, "appstore", settings)
    for room in (store, language, form_tokens):
        room.init_app(app)
    pages.init_app(app, settings)
    app.extensions["appstore"] = AppStore(settings, http or new_session(settings.shop_ca))
    for part in (api, oauth, views, console, almanac, logbook):
        app.register_blueprint(part.blueprint)
    checklist.init_app(app, settings)
    with app.app_context():
        fill(settings)
    return app


def fill(settings: AppStoreSettings) -> None:
    """A calendar, shops, and an app whose plans are published, all as they were if they are there."""
    turning.open_house(settings.begins)
    with store.transaction() as session:
        new = session.get(charges.Listing, charges.ONE) is None
        charges.register(session, plan_file.read(settings.plans, settings.catalog))
        session.flush()
        if new:
            charges.publish(session, session.scalars(select(charges.PlanCharge.id)).all())
        bills.forget_installing(session, session.get_one(calendar.Calendar, calendar.ONE).at)
