"""What mixi's procedure for external payment allows on a given day, what is missing, and by when. Pure rules.

The source is mixi's overview on billing (developer.mixi.co.jp/en/appli/com/mpp/guide_payment/). Facts are
recorded by the operator, and three rules say which of them count:

- A fact counts from its day on; dated later than the day asked about, it has not happened.
- An answer counts only after its question: a receipt before the sending, an approval before the sending or
  a submission before the request is as good as not recorded.
- A form without the signature counts neither as sent nor as received, whatever was recorded about it.

A change is approved before it is made. So what may be used on a day, a provider, one of its services, a
price, follows from papers and their days: the form from mixi's mail on, a change from its approval on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum

from storefront.shop.devices import Device

STABLE_DAYS = 14  # more than these since the launch, so the 15th day after it is the first (precondition)
SHEET_DAYS = 14  # two weeks from the request, for added applications and for changes


class ChangeKind(StrEnum):
    """The six changes that mixi approves first (source: types of changes)."""

    PROVIDER = "provider"  # added or terminated
    METHOD = "method"  # a service of a provider, added or terminated
    PRICE = "price"  # as planned
    SERVICE = "service"  # its overview
    PRODUCT = "product"  # its overview
    SCREEN_FLOW = "screen_flow"


class Effect(StrEnum):
    """What a change does to the provider or the service that it names."""

    CHANGE = "change"
    ADD = "add"
    TERMINATE = "terminate"


class Way(StrEnum):
    """How the form of a change goes to mixi; every other form goes by post."""

    POST = "post"
    REPLY = "reply"  # attached to a reply to mixi's e-mail about the receipt


@dataclass(frozen=True)
class Paper:
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


@dataclass(frozen=True)
class Certificate:
    """PrivacyMark, or ISMS / ISO/IEC 27001."""

    number: str = ""  # "" is none
    since: date | None = None  # the first day; None is before all that is recorded here
    until: date | None = None  # the last day; None is not stated

    def holds(self, on: date) -> bool:
        began = self.since is None or self.since <= on
        return bool(self.number.strip()) and began and (self.until is None or on <= self.until)


@dataclass(frozen=True)
class Service:
    """One way to pay at a provider; `listed` in the very paper that names the provider."""

    name: str = ""
    listed: bool = False


@dataclass(frozen=True)
class Provider:
    """A company that takes payments for the shop; `site` is an origin, such as https://pay.example.com."""

    name: str = ""
    site: str = ""
    services: tuple[Service, ...] = ()
    privacy_mark: Certificate = Certificate()
    isms: Certificate = Certificate()
    listed: bool = False  # in the form of the registration; else a change adds it

    def certified(self, on: date) -> bool:
        """Either certificate is enough."""
        return self.privacy_mark.holds(on) or self.isms.holds(on)


@dataclass(frozen=True)
class Change:
    """One change to an approved application; it may be made once mixi has approved it."""

    kind: ChangeKind = ChangeKind.PROVIDER
    what: str = ""
    form: Paper = Paper()  # 外部決済利用アプリ変更申請書
    approved_on: date | None = None
    sheet: Sheet = Sheet()
    effect: Effect = Effect.CHANGE
    provider: str = ""  # the name of the one that is added or terminated, or has the service
    service: str = ""
    prices: Mapping[str, int] = field(default_factory=dict)  # the new ones in yen, by item
    way: Way = Way.POST


@dataclass(frozen=True)
class Facts:
    """What the operator has recorded about one application; by default nothing."""

    launched_on: date | None = None
    stable: bool = False  # the operator states that it runs stably
    registered_before: bool = False  # mixi has the package already, for another application of this SAP
    contact_differs: bool = False  # this application has another contact person
    facts_changed: bool = False  # what was registered has changed significantly
    registration: Paper = Paper()  # 外部決済方法利用届出書, the whole package
    application: Paper = Paper()  # 新規外部決済利用アプリ申請書, which the package includes
    providers: tuple[Provider, ...] = ()  # every provider the shop wants to use
    sheet: Sheet = Sheet()
    changes: tuple[Change, ...] = ()
    stopped_on: date | None = None  # mixi stopped the application
    prices: Mapping[str, int] = field(default_factory=dict)  # in yen, by item, as the form says
    prices_taken_on: date | None = None  # no paper was recorded: they stood on the shelf on that day
    content_changed_on: date | None = None  # something in the registered form is not true any more
    copy: Paper = Paper()  # the form anew, with what is true now

    @property
    def needs_package(self) -> bool:
        """An added application needs the application form only, unless the registration no longer fits it."""
        return not self.registered_before or self.contact_differs or self.facts_changed

    @property
    def form(self) -> Paper:
        """The one form that this application needs."""
        return self.registration if self.needs_package else self.application


class Rule(StrEnum):
    """Every rule of the source, and one of ours."""

    NEVER_ON_MOBILE = "never_on_mobile"  # mobile knows the payment program only
    SMARTPHONE_SILENT = "smartphone_silent"  # the source speaks of PC and mobile, so this one is ours
    STABLE_OPERATION = "stable_operation"
    FOURTEEN_DAYS = "fourteen_days"
    ANY_PROVIDER = "any_provider"  # there is one to register
    PROVIDER_CERTIFIED = "provider_certified"  # PrivacyMark, ISMS/ISO 27001, or both
    PROVIDER_LISTED = "provider_listed"  # in the form; or a change adds it
    PROVIDER_APPROVED = "provider_approved"  # by the change that adds it
    PROVIDER_TERMINATED = "provider_terminated"
    SERVICE_APPROVED = "service_approved"  # in the provider's paper, or by a change that adds it
    PRICE_APPROVED = "price_approved"  # what the item costs is what the last paper says
    AUTHORISED_SIGNATURE = "authorised_signature"
    PACKAGE_SENT = "package_sent"
    APPLICATION_SENT = "application_sent"  # alone, for an added application
    RECEIPT_MAIL = "receipt_mail"
    CHECK_SHEET = "check_sheet"
    NEW_COPY = "new_copy"  # of a registered form whose content has changed
    CHANGE_APPROVED = "change_approved"
    CHANGE_SHEET = "change_sheet"
    STOPPED_BY_MIXI = "stopped_by_mixi"


class State(StrEnum):
    DONE = "done"
    OPEN = "open"  # the operator must act
    WAITING = "waiting"  # mixi must act, or a day must come
    OVERDUE = "overdue"
    LATE = "late"  # done, but after its last day


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
        left = [step for step in self.steps if step.state not in (State.DONE, State.LATE)]
        return min(left, key=_urgency, default=None)


@dataclass(frozen=True)
class Approved:
    """What counts by the papers of a day: `what` a change says or, if that is empty, the form; since when."""

    what: str
    since: date | None


@dataclass(frozen=True)
class Price:
    """The yen that the last approved paper names; `taken` from the shelf, for want of a paper."""

    yen: int
    since: date | None
    taken: bool


def assess(facts: Facts, on: date) -> Assessment:
    """How the whole procedure stands on this day. Steps exist for what was recorded, and for what must be."""
    return Assessment(
        (
            *_launch(facts, on),
            *_providers(facts, on),
            *_paper(facts, on),
            *_copy(facts, on),
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
        papers = [_provider_paper(facts, provider, on) for provider in _at(facts, site)]
        if any(paper.allowed for paper in papers):
            return Rule.PROVIDER_CERTIFIED
        return papers[0].rule if papers else Rule.PROVIDER_LISTED
    return next((step.rule for step in assess(facts, on).missing), None)


def forbidden_price(facts: Facts, item: str, yen: int, on: date) -> Rule | None:
    """The rule against selling this item at this price today: mixi approves prices first; None is go."""
    approved = price(facts, item, on)
    return None if approved and approved.yen == yen else Rule.PRICE_APPROVED


def usable(facts: Facts, site: str, on: date) -> Provider | None:
    """The provider at this site, if a paper names it and it is certified; the procedure is not asked."""
    return next((provider for provider in _at(facts, site) if _usable(facts, provider, on)), None)


def services(facts: Facts, provider: Provider, on: date) -> list[str]:
    """The ways to pay that may be offered there today."""
    allowed = (
        service for service in provider.services if _service_paper(facts, provider, service, on).allowed
    )
    return [service.name for service in allowed]


def price(facts: Facts, item: str, on: date) -> Price | None:
    """What an item costs by the last approved paper that names it; of one day, the later row."""
    found = None
    if item in facts.prices:
        taken = facts.prices_taken_on
        found = Price(facts.prices[item], taken or facts.form.received_on, taken is not None)
    for change in _made(facts, ChangeKind.PRICE, on):
        if item in change.prices:
            found = Price(change.prices[item], change.approved_on, taken=False)
    return found


def standing(facts: Facts, kind: ChangeKind, on: date) -> Approved:
    """What was approved last of this kind, which stays until the next one is."""
    made = _made(facts, kind, on)
    if made:
        return Approved(made[-1].what, made[-1].approved_on)
    return Approved("", facts.form.received_on if _received(facts.form, on) else None)


def waiting(facts: Facts, kind: ChangeKind, on: date) -> list[Change]:
    """The changes of this kind that may not be made yet."""
    return [change for change in facts.changes if change.kind is kind and not _approved(facts, change, on)]


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
    blocks = not any(_usable(facts, provider, on) for provider in facts.providers)
    for provider in facts.providers:
        paper = _provider_paper(facts, provider, on)
        if paper.rule is Rule.PROVIDER_TERMINATED:  # nothing is left to do about it, unless it was the last
            state = State.OPEN if blocks else State.DONE
            yield Step(paper.rule, state, None, provider.name, blocks)
            continue
        yield Step(Rule.PROVIDER_CERTIFIED, *_certificate(provider, on), provider.name, blocks)
        yield Step(paper.rule, paper.state, paper.wait_for, provider.name, blocks)
        if paper.allowed:
            yield from _services(facts, provider, on)


def _services(facts: Facts, provider: Provider, on: date) -> Iterator[Step]:
    """The services that may not be offered yet; they are kept switched off at the provider."""
    for service in provider.services:
        paper = _service_paper(facts, provider, service, on)
        if not paper.allowed and paper.rule is not Rule.PROVIDER_TERMINATED:  # it may be forgotten, then
            subject = f"{provider.name} / {service.name}"
            yield Step(Rule.SERVICE_APPROVED, paper.state, paper.wait_for, subject, blocks=False)


def _certificate(provider: Provider, on: date) -> tuple[State, date | None]:
    """Whether one holds; until then the day one begins, or the last day that one held."""
    if provider.certified(on):
        return State.DONE, None
    numbered = [one for one in (provider.privacy_mark, provider.isms) if one.number.strip()]
    coming = [one.since for one in numbered if one.since and one.since > on and one.holds(one.since)]
    if coming:
        return State.WAITING, min(coming)
    ended = [one.until for one in numbered if one.until and one.until < on]
    return (State.OVERDUE, max(ended)) if ended else (State.OPEN, None)


@dataclass(frozen=True)
class _Paper:
    """By which rule something may be used or not, and how that stands."""

    rule: Rule
    state: State
    since: date | None = None
    wait_for: date | None = None

    @property
    def allowed(self) -> bool:
        return self.state is State.DONE


def _provider_paper(facts: Facts, provider: Provider, on: date) -> _Paper:
    named = (change for change in _naming(facts, provider) if change.kind is ChangeKind.PROVIDER)
    since = facts.form.received_on if _received(facts.form, on) else date.min
    return _by_paper(facts, since if provider.listed else None, list(named), on)


def _service_paper(facts: Facts, provider: Provider, service: Service, on: date) -> _Paper:
    """A service stands in its provider's paper, or a change adds it; without the provider it is nothing."""
    whole = _provider_paper(facts, provider, on)
    if not whole.allowed:
        return whole
    of_kind = (change for change in _naming(facts, provider) if change.kind is ChangeKind.METHOD)
    named = [change for change in of_kind if change.service.strip() == service.name.strip()]
    return _by_paper(facts, whole.since if service.listed else None, named, on)


def _by_paper(facts: Facts, listed_on: date | None, named: list[Change], on: date) -> _Paper:
    """The newest paper decides; of two of one day the termination."""
    papers = [(listed_on, True)] if listed_on else []
    adding = [change for change in named if change.effect is Effect.ADD]
    ending = [change for change in named if change.effect is Effect.TERMINATE]
    for changes, allows in ((adding, True), (ending, False)):
        papers += [(change.approved_on or on, allows) for change in changes if _approved(facts, change, on)]
    if papers:
        since, allows = max(papers, key=lambda paper: (paper[0], not paper[1]))
        rule = Rule.PROVIDER_LISTED if allows else Rule.PROVIDER_TERMINATED
        return _Paper(rule, State.DONE if allows else State.OPEN, since)
    if not adding:
        return _Paper(Rule.PROVIDER_LISTED, State.OPEN)
    first = min(adding, key=lambda change: _approval(facts, change, on)[1] or date.max)
    state, day = _approval(facts, first, on)
    return _Paper(Rule.PROVIDER_APPROVED, state, wait_for=day)


def _paper(facts: Facts, on: date) -> Iterator[Step]:
    """The one form that this application needs, mixi's mail about it, and the check sheet.

    A form sent before the application was old enough counts if mixi confirms it; billing waits all the same.
    """
    rule = Rule.PACKAGE_SENT if facts.needs_package else Rule.APPLICATION_SENT
    form, first = facts.form, _first_day(facts)
    yield Step(Rule.AUTHORISED_SIGNATURE, State.DONE if form.signed else State.OPEN)
    if _sent(form, on) or (first is not None and first <= on):
        yield Step(rule, State.DONE if _sent(form, on) else State.OPEN)
    else:
        yield Step(rule, State.WAITING, first)
    yield Step(Rule.RECEIPT_MAIL, *_once(lambda day: _received(form, day), form.received_on, on))
    sheet = facts.sheet
    if _received(form, on) and facts.needs_package and sheet.requested_on is None:
        sheet = replace(sheet, requested_on=form.received_on)  # it is attached to that mail (step 3)
    yield _sheet(Rule.CHECK_SHEET, sheet, on, two_weeks=not facts.needs_package)


def _copy(facts: Facts, on: date) -> Iterator[Step]:
    """The source names no deadline for it, and does not forbid billing meanwhile."""
    changed = facts.content_changed_on
    if changed and changed <= on:
        sent = _sent(facts.copy, on) and _came(facts.copy.sent_on, on, after=changed)
        yield Step(Rule.NEW_COPY, State.DONE if sent else State.OPEN, blocks=False)


def _changes(facts: Facts, on: date) -> Iterator[Step]:
    """None of them blocks: until it is approved, things stay as they were approved before.

    mixi's approval is final: it is not asked again whether the form was signed.
    """
    for change in facts.changes:
        yield Step(Rule.CHANGE_APPROVED, *_approval(facts, change, on), change.what, blocks=False)
        yield _sheet(Rule.CHANGE_SHEET, change.sheet, on, change.what, two_weeks=True)


def _approval(facts: Facts, change: Change, on: date) -> tuple[State, date | None]:
    if not _approved(facts, change, on) and not (change.form.signed and _handed_in(facts, change, on)):
        return State.OPEN, None
    return _once(lambda day: _approved(facts, change, day), change.approved_on, on)


def _stopped(facts: Facts, on: date) -> Iterator[Step]:
    if _came(facts.stopped_on, on):
        yield Step(Rule.STOPPED_BY_MIXI, State.WAITING)


def _sheet(rule: Rule, sheet: Sheet, on: date, subject: str = "", *, two_weeks: bool) -> Step:
    """A deadline says that mixi has asked, if not on which day.

    A first registration knows no deadline but the mail's; two weeks are for added applications and changes.
    """
    due = sheet.deadline
    if two_weeks and due is None and sheet.requested_on:
        due = _days_later(sheet.requested_on, SHEET_DAYS)
    asked = sheet.deadline is not None if sheet.requested_on is None else sheet.requested_on <= on
    if not asked:
        return Step(rule, State.WAITING, sheet.requested_on, subject, blocks=False)
    if sheet.submitted_on and _came(sheet.submitted_on, on, after=sheet.requested_on):
        late = due is not None and due < sheet.submitted_on
        return Step(rule, State.LATE if late else State.DONE, due if late else None, subject, blocks=False)
    overdue = due is not None and due < on
    return Step(rule, State.OVERDUE if overdue else State.OPEN, due, subject, blocks=False)


def _first_day(facts: Facts) -> date | None:
    """The first day with more than STABLE_DAYS behind it."""
    return _days_later(facts.launched_on, STABLE_DAYS + 1) if facts.launched_on else None


def _days_later(day: date, days: int) -> date:
    # A mistyped year 9999 is to be seen and corrected on the page, not to break it.
    return date.fromordinal(min(day.toordinal() + days, date.max.toordinal()))


def _at(facts: Facts, site: str) -> list[Provider]:
    return [provider for provider in facts.providers if site and provider.site == site]


def _usable(facts: Facts, provider: Provider, on: date) -> bool:
    return _provider_paper(facts, provider, on).allowed and provider.certified(on)


def _naming(facts: Facts, provider: Provider) -> Iterable[Change]:
    return (change for change in facts.changes if change.provider.strip() == provider.name.strip())


def _made(facts: Facts, kind: ChangeKind, on: date) -> list[Change]:
    """The approved changes of a kind, the oldest first."""
    approved = (change for change in facts.changes if change.kind is kind and _approved(facts, change, on))
    return sorted(approved, key=lambda change: change.approved_on or on)


def _sent(form: Paper, on: date) -> bool:
    return form.signed and _came(form.sent_on, on)


def _received(form: Paper, on: date) -> bool:
    return _sent(form, on) and _came(form.received_on, on, after=form.sent_on)


def _handed_in(facts: Facts, change: Change, on: date) -> bool:
    """A reply is no older than the mail that it answers."""
    mail = facts.form.received_on if change.way is Way.REPLY else date.min
    return mail is not None and _came(change.form.sent_on, on, after=mail)


def _approved(facts: Facts, change: Change, on: date) -> bool:
    return _handed_in(facts, change, on) and _came(change.approved_on, on, after=change.form.sent_on)


def _came(day: date | None, on: date, after: date | None = None) -> bool:
    return day is not None and day <= on and (after is None or after <= day)


def _once(holds: Callable[[date], bool], first: date | None, on: date) -> tuple[State, date | None]:
    """DONE once it holds; until then WAITING for its first day, if that is known."""
    if holds(on):
        return State.DONE, None
    return State.WAITING, first if first is not None and holds(first) else None
