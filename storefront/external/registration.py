"""What mixi's procedure for external payment allows on a given day, what is missing, and by when. Pure rules.

The source is mixi's overview on billing (developer.mixi.co.jp/en/appli/com/mpp/guide_payment/). Facts are
recorded by the operator, and three rules say which of them count:

- A fact counts from its day on; dated later than the day asked about, it has not happened.
- An answer counts only after its question: a receipt before the sending, an approval before the sending or
  a submission before the request is as good as not recorded.
- A form without the signature counts neither as sent nor as received, whatever was recorded about it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from storefront.shop.devices import Device

STABLE_DAYS = 14  # more than these since the launch, so the 15th day after it is the first (precondition)
SHEET_DAYS = 14  # two weeks from the request, for added applications and for changes


class ChangeKind(StrEnum):
    """The six changes that mixi approves first (source: types of changes)."""

    PROVIDER = "provider"  # added or terminated
    METHOD = "method"  # added or terminated
    PRICE = "price"  # as planned
    SERVICE = "service"  # its overview
    PRODUCT = "product"  # its overview
    SCREEN_FLOW = "screen_flow"


@dataclass(frozen=True)
class Form:
    """One paper to mixi, the copy that speaks for today's facts; a new copy takes the place of the old."""

    sent_on: date | None = None
    signed: bool = False  # stamped or signed by a duly authorised representative
    received_on: date | None = None  # the day of mixi's mail


@dataclass(frozen=True)
class Sheet:
    """A security check sheet; `deadline` is the one in mixi's mail."""

    requested_on: date | None = None
    deadline: date | None = None
    submitted_on: date | None = None

    @property
    def due_on(self) -> date | None:
        """The last day in time. Two weeks stand in for a deadline that was not recorded."""
        if self.deadline or not self.requested_on:
            return self.deadline
        return _days_later(self.requested_on, SHEET_DAYS)


@dataclass(frozen=True)
class Provider:
    """A company that takes payments for the shop; `site` is an origin, such as https://pay.example.com."""

    name: str = ""
    site: str = ""
    services: tuple[str, ...] = ()
    privacy_mark: str = ""  # its number; "" is none
    isms: str = ""  # the number of its ISMS or ISO/IEC 27001 certificate; "" is none
    certified_until: date | None = None  # the last day; None is not stated
    listed: bool = False  # in the application form, with all services in use

    def certified(self, on: date) -> bool:
        """Either certificate is enough, to its last day."""
        held = bool(self.privacy_mark.strip() or self.isms.strip())
        return held and (self.certified_until is None or on <= self.certified_until)


@dataclass(frozen=True)
class Change:
    """One change to an approved application; it may be made once mixi has approved it."""

    kind: ChangeKind = ChangeKind.PROVIDER
    what: str = ""
    form: Form = Form()  # 外部決済利用アプリ変更申請書
    approved_on: date | None = None
    sheet: Sheet = Sheet()


@dataclass(frozen=True)
class Facts:
    """What the operator has recorded about one application; by default nothing."""

    launched_on: date | None = None
    stable: bool = False  # the operator states that it runs stably
    registered_before: bool = False  # mixi has the package already, for another application of this SAP
    contact_differs: bool = False  # this application has another contact person
    facts_changed: bool = False  # what was registered has changed significantly
    registration: Form = Form()  # 外部決済方法利用届出書, the whole package
    application: Form = Form()  # 新規外部決済利用アプリ申請書, which the package includes
    providers: tuple[Provider, ...] = ()  # every provider the shop wants to use
    sheet: Sheet = Sheet()
    changes: tuple[Change, ...] = ()
    stopped_on: date | None = None  # mixi stopped the application

    @property
    def needs_package(self) -> bool:
        """An added application needs the application form only, unless the registration no longer fits it."""
        return not self.registered_before or self.contact_differs or self.facts_changed


class Rule(StrEnum):
    """Every rule of the source, and one of ours."""

    NEVER_ON_MOBILE = "never_on_mobile"  # mobile knows the payment program only
    SMARTPHONE_SILENT = "smartphone_silent"  # the source speaks of PC and mobile, so this one is ours
    STABLE_OPERATION = "stable_operation"
    FOURTEEN_DAYS = "fourteen_days"
    ANY_PROVIDER = "any_provider"  # there is one to register
    PROVIDER_CERTIFIED = "provider_certified"  # PrivacyMark, ISMS/ISO 27001, or both
    PROVIDER_LISTED = "provider_listed"  # all providers, with all services
    AUTHORISED_SIGNATURE = "authorised_signature"
    PACKAGE_SENT = "package_sent"
    APPLICATION_SENT = "application_sent"  # alone, for an added application
    RECEIPT_MAIL = "receipt_mail"
    CHECK_SHEET = "check_sheet"
    CHANGE_APPROVED = "change_approved"
    CHANGE_SHEET = "change_sheet"
    STOPPED_BY_MIXI = "stopped_by_mixi"


class State(StrEnum):
    DONE = "done"
    OPEN = "open"  # the operator must act
    WAITING = "waiting"  # mixi must act, or a day must come
    OVERDUE = "overdue"


@dataclass(frozen=True)
class Step:
    """One rule as it stands.

    `due_on` is the last day in time where the operator must act, and the day that ends the wait where the
    step is WAITING; None is not known. `subject` is the provider's name, or the change. Where `blocks` is
    false, billing does not wait for the step.
    """

    rule: Rule
    state: State
    due_on: date | None = None
    subject: str = ""
    blocks: bool = True


@dataclass(frozen=True)
class Assessment:
    """How the procedure stands on one day, step by step, in its order."""

    steps: tuple[Step, ...]

    @property
    def allowed(self) -> bool:
        """Whether external payment may run on a PC, with the providers that are listed and certified."""
        return not self.missing

    @property
    def missing(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.blocks and step.state is not State.DONE)

    @property
    def risks(self) -> tuple[Step, ...]:
        """The check sheets for which mixi may stop or delete the application; billing is not forbidden."""
        sheets = (Rule.CHECK_SHEET, Rule.CHANGE_SHEET)
        return tuple(step for step in self.steps if step.rule in sheets and step.state is State.OVERDUE)

    @property
    def next(self) -> Step | None:
        """What to do first: the operator's own steps before the others, the nearest day before the rest."""
        left = [step for step in self.steps if step.state is not State.DONE]
        return min(left, key=_urgency, default=None)


def assess(facts: Facts, on: date) -> Assessment:
    """How the whole procedure stands on this day. Steps exist for what was recorded, and for what must be."""
    return Assessment(
        (
            *_launch(facts, on),
            *_providers(facts, on),
            *_paper(facts, on),
            *_changes(facts, on),
            *_stopped(facts, on),
        )
    )


def forbidden(facts: Facts, device: Device, site: str, on: date, *, on_smartphone: bool) -> Rule | None:
    """The first rule against sending a buyer on this device to this site today; None is go.

    `site` is an origin, compared as written. `on_smartphone` is the operator's answer where mixi gives none.
    """
    if device == Device.MOBILE:
        return Rule.NEVER_ON_MOBILE
    if device == Device.SMARTPHONE and not on_smartphone:
        return Rule.SMARTPHONE_SILENT
    if not usable(facts, site, on):
        listed = any(provider.listed for provider in _at(facts, site))
        return Rule.PROVIDER_CERTIFIED if listed else Rule.PROVIDER_LISTED
    return next((step.rule for step in assess(facts, on).missing), None)


def usable(facts: Facts, site: str, on: date) -> Provider | None:
    """The provider at this site, if it is listed and certified; the procedure is not asked."""
    return next((provider for provider in _at(facts, site) if _usable(provider, on)), None)


def _urgency(step: Step) -> tuple[bool, bool, date]:
    return step.state is State.WAITING, step.due_on is None, step.due_on or date.max


def _launch(facts: Facts, on: date) -> Iterator[Step]:
    yield Step(Rule.STABLE_OPERATION, State.DONE if facts.stable else State.OPEN)
    first = _first_day(facts)
    if first is None:
        yield Step(Rule.FOURTEEN_DAYS, State.OPEN)
    else:
        yield Step(Rule.FOURTEEN_DAYS, *_once(lambda day: first <= day, first, on))


def _providers(facts: Facts, on: date) -> Iterator[Step]:
    """Each provider's standing. One that may not be used blocks only where there is no other."""
    yield Step(Rule.ANY_PROVIDER, State.DONE if facts.providers else State.OPEN)
    blocks = not any(_usable(provider, on) for provider in facts.providers)
    for provider in facts.providers:
        state, last = _certificate(provider, on)
        yield Step(Rule.PROVIDER_CERTIFIED, state, last, provider.name, blocks)
        listed = State.DONE if provider.listed else State.OPEN
        yield Step(Rule.PROVIDER_LISTED, listed, None, provider.name, blocks)


def _certificate(provider: Provider, on: date) -> tuple[State, date | None]:
    if provider.certified(on):
        return State.DONE, None
    if replace(provider, certified_until=None).certified(on):
        return State.OVERDUE, provider.certified_until
    return State.OPEN, None


def _paper(facts: Facts, on: date) -> Iterator[Step]:
    """The one form that this application needs, mixi's mail about it, and the check sheet.

    A form sent before the application was old enough counts if mixi confirms it; billing waits all the same.
    """
    rule = Rule.PACKAGE_SENT if facts.needs_package else Rule.APPLICATION_SENT
    form = facts.registration if facts.needs_package else facts.application
    first = _first_day(facts)
    yield Step(Rule.AUTHORISED_SIGNATURE, State.DONE if form.signed else State.OPEN)
    if _sent(form, on) or (first is not None and first <= on):
        yield Step(rule, State.DONE if _sent(form, on) else State.OPEN)
    else:
        yield Step(rule, State.WAITING, first)
    yield Step(Rule.RECEIPT_MAIL, *_once(lambda day: _received(form, day), form.received_on, on))
    sheet = facts.sheet
    if _received(form, on) and facts.needs_package and sheet.requested_on is None:
        sheet = replace(sheet, requested_on=form.received_on)  # it is attached to that mail (step 3)
    yield _sheet(Rule.CHECK_SHEET, sheet, on)


def _changes(facts: Facts, on: date) -> Iterator[Step]:
    """None of them blocks: until it is approved, things stay as they were approved before.

    mixi's approval is final: it is not asked again whether the form was signed.
    """
    for change in facts.changes:
        yield Step(Rule.CHANGE_APPROVED, *_approval(change, on), change.what, blocks=False)
        yield _sheet(Rule.CHANGE_SHEET, change.sheet, on, change.what)


def _approval(change: Change, on: date) -> tuple[State, date | None]:
    if not _approved(change, on) and not _sent(change.form, on):
        return State.OPEN, None
    return _once(lambda day: _approved(change, day), change.approved_on, on)


def _stopped(facts: Facts, on: date) -> Iterator[Step]:
    if _came(facts.stopped_on, on):
        yield Step(Rule.STOPPED_BY_MIXI, State.WAITING)


def _sheet(rule: Rule, sheet: Sheet, on: date, subject: str = "") -> Step:
    """A late sheet is done once it is submitted. A deadline says that mixi has asked, if not on which day."""
    asked = sheet.deadline is not None if sheet.requested_on is None else sheet.requested_on <= on
    state, due = State.OPEN, sheet.due_on
    if not asked:
        state, due = State.WAITING, sheet.requested_on
    elif _came(sheet.submitted_on, on, after=sheet.requested_on):
        state, due = State.DONE, None
    elif due is not None and due < on:
        state = State.OVERDUE
    return Step(rule, state, due, subject, blocks=False)


def _first_day(facts: Facts) -> date | None:
    """The first day with more than STABLE_DAYS behind it."""
    return _days_later(facts.launched_on, STABLE_DAYS + 1) if facts.launched_on else None


def _days_later(day: date, days: int) -> date:
    # A mistyped year 9999 is to be seen and corrected on the page, not to break it.
    return date.fromordinal(min(day.toordinal() + days, date.max.toordinal()))


def _at(facts: Facts, site: str) -> list[Provider]:
    return [provider for provider in facts.providers if site and provider.site == site]


def _usable(provider: Provider, on: date) -> bool:
    return provider.listed and provider.certified(on)


def _sent(form: Form, on: date) -> bool:
    return form.signed and _came(form.sent_on, on)


def _received(form: Form, on: date) -> bool:
    return _sent(form, on) and _came(form.received_on, on, after=form.sent_on)


def _approved(change: Change, on: date) -> bool:
    return _came(change.form.sent_on, on) and _came(change.approved_on, on, after=change.form.sent_on)


def _came(day: date | None, on: date, after: date | None = None) -> bool:
    return day is not None and day <= on and (after is None or after <= day)


def _once(holds: Callable[[date], bool], first: date | None, on: date) -> tuple[State, date | None]:
    """DONE once it holds; until then WAITING for its first day, if that is known."""
    if holds(on):
        return State.DONE, None
    return State.WAITING, first if first is not None and holds(first) else None
