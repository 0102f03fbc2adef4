"""The rules of the registration in words, for buyers and for the operator."""

from enum import StrEnum

from flask import Flask
from flask_babel import LazyString
from flask_babel import lazy_gettext as _

from storefront.external.malfunctions import Harm, Progress
from storefront.external.registration import ChangeKind, Effect, Rule, State, Way

RULES: dict[StrEnum, LazyString] = {
    Rule.NEVER_ON_MOBILE: _("On mobile phones mixi allows no other payment than its own."),
    Rule.SMARTPHONE_SILENT: _(
        "mixi's guide does not say whether one may pay outside on a smartphone, so this shop does without."
    ),
    Rule.STABLE_OPERATION: _("The app runs stably."),
    Rule.FOURTEEN_DAYS: _("More than 14 days have passed since the launch."),
    Rule.ANY_PROVIDER: _("There is a payment provider."),
    Rule.PROVIDER_CERTIFIED: _("The provider holds the PrivacyMark, or ISMS / ISO 27001."),
    Rule.PROVIDER_LISTED: _("A paper to mixi names the provider."),
    Rule.PROVIDER_APPROVED: _("mixi has approved the change that adds the provider."),
    Rule.PROVIDER_TERMINATED: _("mixi has approved that the provider is used no more."),
    Rule.SERVICE_APPROVED: _("mixi has approved the service; until then it stays switched off."),
    Rule.PRICE_APPROVED: _("The item costs what mixi has approved."),
    Rule.AUTHORISED_SIGNATURE: _("The form is stamped or signed by an authorised representative."),
    Rule.PACKAGE_SENT: _("The registration package is sent to mixi by post."),
    Rule.APPLICATION_SENT: _("The application form for this app is sent to mixi by post."),
    Rule.RECEIPT_MAIL: _("mixi's e-mail about the receipt has come."),
    Rule.CHECK_SHEET: _("The security check sheet is sent by its deadline."),
    Rule.NEW_COPY: _("A new stamped copy of the form is sent, with what has changed."),
    Rule.CHANGE_APPROVED: _("mixi has approved the change; until then everything stays as it was."),
    Rule.CHANGE_SHEET: _("The security check sheet for the change is sent by its deadline."),
    Rule.STOPPED_BY_MIXI: _("mixi has stopped the app."),
}
STATES: dict[StrEnum, LazyString] = {
    State.DONE: _("done"),
    State.OPEN: _("to do"),
    State.WAITING: _("waiting"),
    State.OVERDUE: _("overdue"),
    State.LATE: _("late"),
}
CHANGES: dict[StrEnum, LazyString] = {
    ChangeKind.PROVIDER: _("Provider added or terminated"),
    ChangeKind.METHOD: _("Payment method added, changed or terminated"),
    ChangeKind.PRICE: _("Planned prices"),
    ChangeKind.SERVICE: _("Overview of the service"),
    ChangeKind.PRODUCT: _("Overview of the products"),
    ChangeKind.SCREEN_FLOW: _("Flow of the screens"),
}
EFFECTS: dict[StrEnum, LazyString] = {
    Effect.CHANGE: _("It changes something."),
    Effect.ADD: _("It adds a provider or a service."),
    Effect.TERMINATE: _("It terminates a provider or a service."),
}
WAYS: dict[StrEnum, LazyString] = {
    Way.POST: _("By post"),
    Way.REPLY: _("As the reply to mixi's e-mail"),
}
PROGRESS: dict[StrEnum, LazyString] = {
    Progress.INVESTIGATING: _("being investigated"),
    Progress.HANDLING: _("being handled"),
    Progress.RECOVERED: _("recovered"),
}
HARMS: dict[StrEnum, LazyString] = {
    Harm.LEAK: _("Leak of personal information"),
    Harm.VULNERABILITY: _("Vulnerability"),
    Harm.DATA_LOSS: _("Loss of data"),
    Harm.MALWARE: _("Malware"),
    Harm.OTHER: _("Billing, or other harm"),
}
# What may be wrong with a field, by pydantic's word for it or by ours.
PROBLEMS: dict[str, LazyString] = {
    "missing": _("must be filled in"),
    "blank": _("must be filled in"),
    "day": _("must be a day such as 2027-01-31"),
    "moment": _("must be a moment such as 2027-01-31 18:00"),
    "number": _("must be a whole number, 0 or more"),
    "mail": _("must be a mail address"),
    "site": _("must be scheme and host, such as https://pay.example.com, and not mixi's"),
    "long": _("is too long"),
    "prices": _("must be an item and its yen on each line, such as item1 110, and no item twice"),
    "item": _("names an item that is not in the catalogue"),
    "turn": _("must not come before the day that it follows"),
    "twice": _("is the name of another one on this page"),
    "effect": _("must add or terminate: nothing else about a provider can be approved"),
    "provider": _("must be the name of a provider on this page"),
    "discovered": _("It was discovered before it occurred."),
    "recovered": _("It was recovered before it occurred."),
    "unrecovered": _("It is said to be recovered, but not since when."),
}
NOT_UNDERSTOOD = _("is not understood")
ALL: dict[StrEnum, LazyString] = {**RULES, **STATES, **CHANGES, **EFFECTS, **WAYS, **PROGRESS, **HARMS}


def init_app(app: Flask) -> None:
    app.add_template_filter(lambda word: ALL[word], "wording")
    app.add_template_filter(lambda kind: PROBLEMS.get(kind, NOT_UNDERSTOOD), "problem")
