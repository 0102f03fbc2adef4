"""What mixi's procedure for external payment allows, by date: each rule on the days around its boundary."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.external.registration import (
    Assessment,
    Change,
    ChangeKind,
    Facts,
    Form,
    Provider,
    Rule,
    Sheet,
    State,
    Step,
    assess,
    forbidden,
    usable,
)
from storefront.shop.devices import Device

LAUNCH = date(2010, 3, 1)
FIRST_DAY = date(2010, 3, 16)  # the first with more than fourteen days behind it
SENT = date(2010, 3, 17)
RECEIPT = date(2010, 3, 24)
TODAY = date(2010, 4, 1)
DEADLINE = date(2010, 4, 20)
DAY = timedelta(days=1)

SITE, RIVAL = "https://pay.example.com", "https://rival.example.net"
PAY = Provider("Example Pay", SITE, ("card",), privacy_mark="10820001", listed=True)
UNLISTED = replace(PAY, name="Rival Pay", site=RIVAL, listed=False)
UNCERTIFIED = replace(PAY, name="Rival Pay", site=RIVAL, privacy_mark="")

FORM = Form(SENT, signed=True, received_on=RECEIPT)
FIRST = Facts(
    launched_on=LAUNCH,
    stable=True,
    registration=FORM,
    providers=(PAY,),
    sheet=Sheet(deadline=DEADLINE),
)
ADDED = replace(FIRST, registered_before=True, registration=Form(), application=FORM, sheet=Sheet())


def step(facts: Facts, rule: Rule, on: date = TODAY, subject: str | None = None) -> Step:
    [found] = [one for one in assess(facts, on).steps if one.rule is rule and subject in (None, one.subject)]
    return found


def stands(facts: Facts, rule: Rule, on: date = TODAY) -> tuple[State, date | None]:
    found = step(facts, rule, on)
    return found.state, found.due_on


def missing(facts: Facts, on: date = TODAY) -> list[Rule]:
    return [one.rule for one in assess(facts, on).missing]


def risks(facts: Facts, on: date) -> list[Rule]:
    return [one.rule for one in assess(facts, on).risks]


def refusal(facts: Facts, device: Device = Device.PC, site: str = SITE, on: date = TODAY) -> Rule | None:
    return forbidden(facts, device, site, on, on_smartphone=False)


# The whole procedure


def test_the_first_application_in_order() -> None:
    """A procedure followed to the receipt mail allows billing, with only the check sheet left."""
    assessed = assess(FIRST, TODAY)
    assert [(one.rule, one.state) for one in assessed.steps] == [
        (Rule.STABLE_OPERATION, State.DONE),
        (Rule.FOURTEEN_DAYS, State.DONE),
        (Rule.ANY_PROVIDER, State.DONE),
        (Rule.PROVIDER_CERTIFIED, State.DONE),
        (Rule.PROVIDER_LISTED, State.DONE),
        (Rule.AUTHORISED_SIGNATURE, State.DONE),
        (Rule.PACKAGE_SENT, State.DONE),
        (Rule.RECEIPT_MAIL, State.DONE),
        (Rule.CHECK_SHEET, State.OPEN),
    ]
    assert assessed.allowed
    assert assessed.next == Step(Rule.CHECK_SHEET, State.OPEN, DEADLINE, blocks=False)
    assert refusal(FIRST) is None


def test_nothing_recorded() -> None:
    """Where nothing is recorded, nothing is allowed, and the procedure is shown from its beginning."""
    assessed = assess(Facts(), TODAY)
    assert [(one.rule, one.state) for one in assessed.steps] == [
        (Rule.STABLE_OPERATION, State.OPEN),
        (Rule.FOURTEEN_DAYS, State.OPEN),
        (Rule.ANY_PROVIDER, State.OPEN),
        (Rule.AUTHORISED_SIGNATURE, State.OPEN),
        (Rule.PACKAGE_SENT, State.WAITING),
        (Rule.RECEIPT_MAIL, State.WAITING),
        (Rule.CHECK_SHEET, State.WAITING),
    ]
    assert not assessed.allowed
    assert assessed.next == assessed.steps[0]
    assert assessed.risks == ()
    assert refusal(Facts(), site="") is Rule.PROVIDER_LISTED


def test_nothing_left() -> None:
    """When the sheet is in as well, nothing is next."""
    done = replace(FIRST, sheet=Sheet(RECEIPT, DEADLINE, TODAY))
    assert assess(done, TODAY).next is None


# Preconditions


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (-1, (State.WAITING, FIRST_DAY)),
        (0, (State.WAITING, FIRST_DAY)),
        (14, (State.WAITING, FIRST_DAY)),
        (15, (State.DONE, None)),
        (16, (State.DONE, None)),
    ],
)
def test_more_than_fourteen_days(days: int, expected: tuple[State, date | None]) -> None:
    """More than fourteen days since the launch: the fifteenth day after it is the first."""
    assert stands(FIRST, Rule.FOURTEEN_DAYS, LAUNCH + days * DAY) == expected


@pytest.mark.parametrize(("days", "rules"), [(14, [Rule.FOURTEEN_DAYS]), (15, [])])
def test_a_receipt_does_not_replace_the_fourteen_days(days: int, rules: list[Rule]) -> None:
    """A form that mixi confirmed early counts, yet billing waits for the fifteenth day."""
    early = replace(FIRST, registration=Form(LAUNCH, signed=True, received_on=LAUNCH + DAY))
    assert missing(early, LAUNCH + days * DAY) == rules


@pytest.mark.parametrize(
    ("launched_on", "on", "expected"),
    [
        (None, FIRST_DAY, (State.WAITING, None)),
        (LAUNCH, FIRST_DAY - DAY, (State.WAITING, FIRST_DAY)),
        (LAUNCH, FIRST_DAY, (State.OPEN, None)),
        (LAUNCH, SENT - DAY, (State.OPEN, None)),
        (LAUNCH, SENT, (State.DONE, None)),
    ],
)
def test_the_form_is_sent_once_the_application_is_old_enough(
    launched_on: date | None, on: date, expected: tuple[State, date | None]
) -> None:
    """Nobody is asked to send the form before the precondition is met; from then on it is the operator's."""
    assert stands(replace(FIRST, launched_on=launched_on), Rule.PACKAGE_SENT, on) == expected


def test_stable_operation() -> None:
    """An application that does not run stably may not bill, whatever its age."""
    assert missing(replace(FIRST, stable=False)) == [Rule.STABLE_OPERATION]


def test_a_mistyped_year() -> None:
    """The last year there is gives a day to wait for, not an error."""
    typo = replace(FIRST, launched_on=date(9999, 12, 31), sheet=Sheet(date(9999, 12, 31)))
    assert stands(typo, Rule.FOURTEEN_DAYS) == (State.WAITING, date.max)
    assert typo.sheet.due_on == date.max


# The form and the receipt mail


@pytest.mark.parametrize(
    ("days", "rules"), [(-1, [Rule.RECEIPT_MAIL]), (0, []), (1, [])], ids=["before", "of", "after"]
)
@pytest.mark.parametrize("facts", [FIRST, ADDED], ids=["first", "added"])
def test_billing_starts_with_the_receipt_mail(facts: Facts, days: int, rules: list[Rule]) -> None:
    """Billing may start on the day of mixi's mail, and not the day before."""
    assert missing(facts, RECEIPT + days * DAY) == rules


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (Form(SENT, True, TODAY + DAY), (State.WAITING, TODAY + DAY)),
        (Form(SENT, True, TODAY), (State.DONE, None)),
        (Form(SENT, True), (State.WAITING, None)),
        (Form(SENT, True, SENT), (State.DONE, None)),
        (Form(SENT, True, SENT - DAY), (State.WAITING, None)),
        (Form(None, True, RECEIPT), (State.WAITING, None)),
        (Form(TODAY + DAY, True, TODAY), (State.WAITING, None)),
        (Form(TODAY + 2 * DAY, True, TODAY + DAY), (State.WAITING, None)),
        (Form(SENT, False, RECEIPT), (State.WAITING, None)),
        (Form(SENT, False, TODAY + DAY), (State.WAITING, None)),
    ],
)
def test_what_a_receipt_is(form: Form, expected: tuple[State, date | None]) -> None:
    """A receipt counts from its day on, for a signed form that was sent no later."""
    assert stands(replace(FIRST, registration=form), Rule.RECEIPT_MAIL) == expected


def test_an_unsigned_form_counts_for_nothing() -> None:
    """Without an authorised signature a form counts neither as sent nor as received."""
    unsigned = replace(FIRST, registration=replace(FORM, signed=False))
    assert missing(unsigned) == [Rule.AUTHORISED_SIGNATURE, Rule.PACKAGE_SENT, Rule.RECEIPT_MAIL]
    assert refusal(unsigned) is Rule.AUTHORISED_SIGNATURE


@pytest.mark.parametrize(
    ("registered_before", "contact_differs", "facts_changed", "rule"),
    [
        (False, False, False, Rule.PACKAGE_SENT),
        (False, True, True, Rule.PACKAGE_SENT),
        (True, False, False, Rule.APPLICATION_SENT),
        (True, True, False, Rule.PACKAGE_SENT),
        (True, False, True, Rule.PACKAGE_SENT),
    ],
)
def test_which_form(registered_before: bool, contact_differs: bool, facts_changed: bool, rule: Rule) -> None:
    """The package at first, for another contact and after a change; else the application form alone."""
    nothing_sent = replace(
        FIRST,
        registered_before=registered_before,
        contact_differs=contact_differs,
        facts_changed=facts_changed,
        registration=Form(),
    )
    package = replace(nothing_sent, registration=FORM)
    alone = replace(nothing_sent, application=FORM)
    right, wrong = (package, alone) if rule is Rule.PACKAGE_SENT else (alone, package)
    assert missing(right) == []
    assert missing(wrong) == [Rule.AUTHORISED_SIGNATURE, rule, Rule.RECEIPT_MAIL]


# The check sheet


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        (RECEIPT - DAY, (State.OPEN, DEADLINE)),  # the deadline is known, so mixi's mail is
        (DEADLINE - DAY, (State.OPEN, DEADLINE)),
        (DEADLINE, (State.OPEN, DEADLINE)),
        (DEADLINE + DAY, (State.OVERDUE, DEADLINE)),
    ],
)
def test_the_deadline_of_the_mail(on: date, expected: tuple[State, date | None]) -> None:
    """The first sheet is due on the day in mixi's mail, which is still in time."""
    assert stands(FIRST, Rule.CHECK_SHEET, on) == expected


@pytest.mark.parametrize(
    ("days", "state"), [(-1, State.WAITING), (0, State.OPEN), (14, State.OPEN), (15, State.OVERDUE)]
)
def test_two_weeks_from_the_request(days: int, state: State) -> None:
    """An added application's sheet is due two weeks after mixi's request, that day included."""
    asked = replace(ADDED, sheet=Sheet(requested_on=TODAY))
    due = TODAY if state is State.WAITING else TODAY + 14 * DAY
    assert stands(asked, Rule.CHECK_SHEET, TODAY + days * DAY) == (state, due)


def test_the_mails_deadline_before_two_weeks() -> None:
    """A deadline that mixi's mail sets counts, sooner or later than two weeks."""
    assert Sheet(TODAY, TODAY + 7 * DAY).due_on == TODAY + 7 * DAY
    assert Sheet(TODAY, TODAY + 21 * DAY).due_on == TODAY + 21 * DAY
    assert Sheet().due_on is None


def test_the_first_sheet_comes_with_the_receipt_mail() -> None:
    """The package's receipt mail brings the sheet; for an added application mixi asks separately."""
    assert stands(replace(FIRST, sheet=Sheet()), Rule.CHECK_SHEET, RECEIPT - DAY) == (State.WAITING, None)
    attached = stands(replace(FIRST, sheet=Sheet()), Rule.CHECK_SHEET, RECEIPT)
    assert attached == (State.OPEN, RECEIPT + 14 * DAY)
    assert stands(ADDED, Rule.CHECK_SHEET, RECEIPT) == (State.WAITING, None)
    later = replace(FIRST, sheet=Sheet(requested_on=TODAY))
    assert stands(later, Rule.CHECK_SHEET, TODAY) == (State.OPEN, TODAY + 14 * DAY)


@pytest.mark.parametrize(
    ("sheet", "state"),
    [
        (Sheet(RECEIPT, DEADLINE, TODAY - DAY), State.DONE),
        (Sheet(RECEIPT, DEADLINE, TODAY), State.DONE),
        (Sheet(RECEIPT, DEADLINE, TODAY + DAY), State.OPEN),
        (Sheet(RECEIPT, DEADLINE, RECEIPT), State.DONE),
        (Sheet(RECEIPT, DEADLINE, RECEIPT - DAY), State.OPEN),
        (Sheet(RECEIPT, RECEIPT + DAY, TODAY), State.DONE),  # late, but in
        (Sheet(None, DEADLINE, TODAY), State.DONE),
        (Sheet(None, None, TODAY), State.WAITING),
        (Sheet(TODAY + DAY, DEADLINE, TODAY), State.WAITING),
    ],
)
def test_what_a_submission_is(sheet: Sheet, state: State) -> None:
    """A sheet is done from the day it is submitted, if mixi had asked for it."""
    found = step(replace(ADDED, sheet=sheet), Rule.CHECK_SHEET)
    assert found.state is state
    assert state is not State.DONE or found.due_on is None


def test_an_overdue_sheet_is_a_risk() -> None:
    """mixi may stop the application over a sheet; until it does, billing is not forbidden."""
    assert risks(FIRST, DEADLINE) == []
    assert risks(FIRST, DEADLINE + DAY) == [Rule.CHECK_SHEET]
    assert assess(FIRST, DEADLINE + DAY).allowed
    assert refusal(FIRST, on=DEADLINE + DAY) is None


# Providers


@pytest.mark.parametrize(
    ("privacy_mark", "isms", "state"),
    [
        ("10820001", "", State.DONE),
        ("", "IS 500001", State.DONE),
        ("10820001", "IS 500001", State.DONE),
        ("", "", State.OPEN),
        (" ", " ", State.OPEN),
    ],
)
def test_either_certificate(privacy_mark: str, isms: str, state: State) -> None:
    """A provider holds the PrivacyMark, an ISMS certificate or both."""
    facts = replace(FIRST, providers=(replace(PAY, privacy_mark=privacy_mark, isms=isms),))
    assert stands(facts, Rule.PROVIDER_CERTIFIED) == (state, None)
    assert refusal(facts) is (None if state is State.DONE else Rule.PROVIDER_CERTIFIED)


@pytest.mark.parametrize(("days", "allowed"), [(-1, True), (0, True), (1, False)])
def test_the_certificates_last_day(days: int, allowed: bool) -> None:
    """A certificate is good on its last day, and not on the day after."""
    facts = replace(FIRST, providers=(replace(PAY, certified_until=TODAY),))
    on = TODAY + days * DAY
    assert assess(facts, on).allowed is allowed
    assert refusal(facts, on=on) is (None if allowed else Rule.PROVIDER_CERTIFIED)
    expected = (State.DONE, None) if allowed else (State.OVERDUE, TODAY)
    assert stands(facts, Rule.PROVIDER_CERTIFIED, on) == expected


def test_an_expired_certificate_is_no_sheet() -> None:
    """Risks are the sheets; a provider that may no longer be used is not among them."""
    facts = replace(FIRST, providers=(PAY, replace(PAY, name="Rival Pay", certified_until=RECEIPT)))
    assert risks(facts, TODAY) == []


def test_a_date_is_no_certificate() -> None:
    """A last day without a number certifies nothing."""
    nameless = replace(PAY, privacy_mark="", certified_until=TODAY + DAY)
    assert missing(replace(FIRST, providers=(nameless,))) == [Rule.PROVIDER_CERTIFIED]


def test_without_a_provider() -> None:
    """There must be a provider to register."""
    assert missing(replace(FIRST, providers=())) == [Rule.ANY_PROVIDER]


@pytest.mark.parametrize(
    ("other", "rule"),
    [(UNLISTED, Rule.PROVIDER_LISTED), (UNCERTIFIED, Rule.PROVIDER_CERTIFIED)],
    ids=["unlisted", "uncertified"],
)
def test_one_of_two_providers(other: Provider, rule: Rule) -> None:
    """A provider that is not listed or not certified may not be used; the others may."""
    both = replace(FIRST, providers=(other, PAY))
    assert missing(both) == []
    assert step(both, rule, subject="Rival Pay").state is State.OPEN
    assert step(both, rule, subject="Example Pay").state is State.DONE
    assert refusal(both, site=SITE) is None
    assert refusal(both, site=RIVAL) is rule
    alone = replace(FIRST, providers=(other,))
    assert missing(alone) == [rule]
    assert refusal(alone, site=RIVAL) is rule


def test_half_of_each_is_no_provider() -> None:
    """One that is only listed and one that is only certified do not make one that may be used."""
    halves = replace(FIRST, providers=(UNLISTED, replace(UNCERTIFIED, site=SITE)))
    assert missing(halves) == [Rule.PROVIDER_LISTED, Rule.PROVIDER_CERTIFIED]


@pytest.mark.parametrize("site", ["", "https://elsewhere.example.org", SITE + ".example.org", SITE[:-1]])
def test_an_unknown_site(site: str) -> None:
    """Buyers are sent to a registered provider's site, and nowhere that only looks like it."""
    assert refusal(FIRST, site=site) is Rule.PROVIDER_LISTED
    assert usable(FIRST, site, TODAY) is None


def test_no_site_is_nobodys_site() -> None:
    """A provider whose site was left empty cannot be reached through an empty address."""
    facts = replace(FIRST, providers=(replace(PAY, site=""),))
    assert refusal(facts, site="") is Rule.PROVIDER_LISTED


def test_the_provider_at_a_site() -> None:
    """Of the companies at a site, the one that may be used is named."""
    sharing = replace(FIRST, providers=(replace(UNLISTED, site=SITE), PAY))
    assert usable(sharing, SITE, TODAY) == PAY
    assert refusal(sharing) is None


# Changes


APPROVED = date(2010, 5, 10)
CHANGE = Change(
    ChangeKind.PRICE,
    "excalibur at 500 yen",
    Form(date(2010, 5, 1), signed=True),
    APPROVED,
    Sheet(requested_on=date(2010, 5, 6)),
)
CHANGED = replace(FIRST, changes=(CHANGE,))


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        (date(2010, 4, 30), (State.OPEN, None)),
        (date(2010, 5, 1), (State.WAITING, APPROVED)),
        (APPROVED - DAY, (State.WAITING, APPROVED)),
        (APPROVED, (State.DONE, None)),
        (APPROVED + DAY, (State.DONE, None)),
    ],
)
def test_a_change_is_approved_first(on: date, expected: tuple[State, date | None]) -> None:
    """A change is the operator's until its form is sent, then mixi's, and made from its approval on."""
    assert stands(CHANGED, Rule.CHANGE_APPROVED, on) == expected
    assert step(CHANGED, Rule.CHANGE_APPROVED, on).subject == "excalibur at 500 yen"


@pytest.mark.parametrize(
    ("form", "approved_on", "expected"),
    [
        (Form(SENT, True), None, (State.WAITING, None)),
        (Form(SENT, False), None, (State.OPEN, None)),
        (Form(SENT, False), TODAY, (State.DONE, None)),
        (Form(SENT, True), SENT, (State.DONE, None)),
        (Form(SENT, True), SENT - DAY, (State.WAITING, None)),
        (Form(None, True), TODAY, (State.OPEN, None)),
        (Form(), None, (State.OPEN, None)),
    ],
)
def test_what_an_approval_is(
    form: Form, approved_on: date | None, expected: tuple[State, date | None]
) -> None:
    """mixi decides about a signed form that was sent; an approval from before the sending is none."""
    facts = replace(FIRST, changes=(replace(CHANGE, form=form, approved_on=approved_on),))
    assert stands(facts, Rule.CHANGE_APPROVED) == expected


@pytest.mark.parametrize("kind", ChangeKind)
def test_a_pending_change_stops_nothing(kind: ChangeKind) -> None:
    """What was approved goes on while any of the six kinds of change waits."""
    pending = replace(FIRST, changes=(Change(kind, "something new"),))
    assert assess(pending, TODAY).allowed
    assert refusal(pending) is None


def test_a_new_provider_waits_for_its_approval() -> None:
    """While a provider is being added, buyers are sent to the old one only."""
    adding = replace(FIRST, providers=(PAY, UNLISTED), changes=(Change(what="add Rival Pay"),))
    assert refusal(adding, site=SITE) is None
    assert refusal(adding, site=RIVAL) is Rule.PROVIDER_LISTED


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        (date(2010, 5, 5), (State.WAITING, date(2010, 5, 6))),
        (date(2010, 5, 6), (State.OPEN, date(2010, 5, 20))),
        (date(2010, 5, 20), (State.OPEN, date(2010, 5, 20))),
        (date(2010, 5, 21), (State.OVERDUE, date(2010, 5, 20))),
    ],
)
def test_a_change_brings_a_sheet(on: date, expected: tuple[State, date | None]) -> None:
    """A change's sheet is due two weeks after mixi's request, and a risk from the day after."""
    assert stands(CHANGED, Rule.CHANGE_SHEET, on) == expected
    assert (Rule.CHANGE_SHEET in risks(CHANGED, on)) is (expected[0] is State.OVERDUE)
    assert assess(CHANGED, on).allowed


def test_each_change_has_its_own_steps() -> None:
    """Several changes stand side by side, each under its own name."""
    other = Change(ChangeKind.METHOD, "prepaid cards")
    facts = replace(FIRST, changes=(CHANGE, other))
    steps = [(one.rule, one.subject) for one in assess(facts, APPROVED).steps if one.subject]
    assert steps[2:] == [
        (Rule.CHANGE_APPROVED, "excalibur at 500 yen"),
        (Rule.CHANGE_SHEET, "excalibur at 500 yen"),
        (Rule.CHANGE_APPROVED, "prepaid cards"),
        (Rule.CHANGE_SHEET, "prepaid cards"),
    ]


# Stopped


@pytest.mark.parametrize(("days", "rules"), [(-1, []), (0, [Rule.STOPPED_BY_MIXI])])
def test_stopped_by_mixi(days: int, rules: list[Rule]) -> None:
    """From the day mixi stops the application, nothing is billed; before, nothing is said of it."""
    stopped = replace(FIRST, stopped_on=TODAY)
    on = TODAY + days * DAY
    assert missing(stopped, on) == rules
    assert refusal(stopped, on=on) is (rules[0] if rules else None)
    assert (Rule.STOPPED_BY_MIXI in [one.rule for one in assess(stopped, on).steps]) is bool(rules)


# Devices


@pytest.mark.parametrize(
    ("device", "on_smartphone", "expected"),
    [
        (Device.MOBILE, False, Rule.NEVER_ON_MOBILE),
        (Device.MOBILE, True, Rule.NEVER_ON_MOBILE),
        (Device.SMARTPHONE, False, Rule.SMARTPHONE_SILENT),
        (Device.SMARTPHONE, True, None),
        (Device.PC, False, None),
        (Device.PC, True, None),
    ],
)
def test_devices(device: Device, on_smartphone: bool, expected: Rule | None) -> None:
    """Never on mobile; on a smartphone if the operator says so; on a PC."""
    assert forbidden(FIRST, device, SITE, TODAY, on_smartphone=on_smartphone) is expected


@pytest.mark.parametrize("device", [Device.SMARTPHONE, Device.PC])
def test_a_smartphone_knows_the_same_rules(device: Device) -> None:
    """Where a smartphone may leave at all, the procedure holds as on a PC."""
    early = RECEIPT - DAY
    assert forbidden(FIRST, device, SITE, early, on_smartphone=True) is Rule.RECEIPT_MAIL
    assert forbidden(FIRST, device, RIVAL, TODAY, on_smartphone=True) is Rule.PROVIDER_LISTED


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        (Device.MOBILE, Rule.NEVER_ON_MOBILE),
        (Device.SMARTPHONE, Rule.SMARTPHONE_SILENT),
        (Device.PC, Rule.PROVIDER_LISTED),
    ],
)
def test_the_device_is_asked_first(device: Device, expected: Rule) -> None:
    """Of several rules the device's is named, then the site's, then the procedure's."""
    assert refusal(Facts(), device) is expected


def test_the_site_is_asked_before_the_procedure() -> None:
    """A wrong site is wrong, however much of the procedure is missing."""
    unstable = replace(FIRST, stable=False)
    assert refusal(unstable, site=RIVAL) is Rule.PROVIDER_LISTED
    assert refusal(unstable, site=SITE) is Rule.STABLE_OPERATION


# What is next


def state_of(name: str, state: State, due_on: date | None = None) -> Step:
    return Step(Rule.CHANGE_APPROVED, state, due_on, name, blocks=False)


def test_next() -> None:
    """The operator's steps before those of others, the nearest day first, the rest in their order."""
    in_order = (
        state_of("late", State.OVERDUE, TODAY - DAY),
        state_of("soon", State.OPEN, TODAY + DAY),
        state_of("open", State.OPEN),
        state_of("open too", State.OPEN),
        state_of("a day to come", State.WAITING, TODAY - 2 * DAY),
        state_of("mixi", State.WAITING),
    )
    mixed = tuple(in_order[place] for place in (5, 2, 4, 3, 1, 0))
    for first in in_order:
        assert Assessment((state_of("done", State.DONE), *mixed)).next == first
        mixed = tuple(one for one in mixed if one != first)


def test_before_the_fifteenth_day_one_waits_for_it() -> None:
    """With the rest prepared, the next thing is the fifteenth day itself."""
    prepared = replace(FIRST, registration=Form(signed=True), sheet=Sheet())
    assert assess(prepared, FIRST_DAY - DAY).next == Step(Rule.FOURTEEN_DAYS, State.WAITING, FIRST_DAY)
    assert assess(prepared, FIRST_DAY).next == Step(Rule.PACKAGE_SENT, State.OPEN)


# Whatever was recorded


days = st.dates(LAUNCH, LAUNCH + 60 * DAY)
some_day = st.none() | days
forms = st.builds(Form, sent_on=some_day, signed=st.booleans(), received_on=some_day)
sheets = st.builds(Sheet, requested_on=some_day, deadline=some_day, submitted_on=some_day)
providers = st.builds(
    Provider,
    name=st.sampled_from(["Example Pay", "Rival Pay"]),
    site=st.sampled_from([SITE, RIVAL, ""]),
    privacy_mark=st.sampled_from(["", "10820001"]),
    isms=st.sampled_from(["", "IS 500001"]),
    certified_until=some_day,
    listed=st.booleans(),
)
changes = st.builds(
    Change, st.sampled_from(ChangeKind), st.just("a change"), form=forms, approved_on=some_day, sheet=sheets
)
lawful = st.builds(  # followed in order, so that a fair part of what is drawn is allowed
    replace,
    st.sampled_from([FIRST, ADDED]),
    launched_on=some_day,
    sheet=sheets,
    changes=st.tuples(changes),
    stopped_on=some_day,
)
wild = st.builds(
    Facts,
    launched_on=some_day,
    stable=st.booleans(),
    registered_before=st.booleans(),
    contact_differs=st.booleans(),
    facts_changed=st.booleans(),
    registration=forms,
    application=forms,
    providers=st.lists(providers, max_size=2).map(tuple),
    sheet=sheets,
    changes=st.lists(changes, max_size=2).map(tuple),
    stopped_on=some_day,
)
anything = lawful | wild


def until(on: date, day: date | None) -> date | None:
    return day if day and day <= on else None


def form_until(on: date, form: Form) -> Form:
    return replace(form, sent_on=until(on, form.sent_on), received_on=until(on, form.received_on))


def known(facts: Facts, on: date) -> Facts:
    """What could be recorded by the evening of this day."""
    return replace(
        facts,
        launched_on=until(on, facts.launched_on),
        registration=form_until(on, facts.registration),
        application=form_until(on, facts.application),
        changes=tuple(
            replace(one, form=form_until(on, one.form), approved_on=until(on, one.approved_on))
            for one in facts.changes
        ),
        stopped_on=until(on, facts.stopped_on),
    )


@given(anything, days)
def test_later_facts_change_no_earlier_day(facts: Facts, on: date) -> None:
    """What is dated later than a day has no part in what that day allows."""
    assert missing(facts, on) == missing(known(facts, on), on)
    assert refusal(facts, on=on) == refusal(known(facts, on), on=on)


@given(anything, days, days)
def test_nothing_but_a_stop_or_an_expiry_ends_it(facts: Facts, one: date, other: date) -> None:
    """What was allowed stays allowed, unless mixi stops it or the certificates end."""
    lasting = replace(
        facts,
        stopped_on=None,
        providers=tuple(replace(provider, certified_until=None) for provider in facts.providers),
    )
    first, last = sorted((one, other))
    assert assess(lasting, first).allowed <= assess(lasting, last).allowed


@given(anything, days, st.sampled_from([SITE, RIVAL, ""]), st.booleans())
def test_never_on_mobile(facts: Facts, on: date, site: str, on_smartphone: bool) -> None:
    """No fact, date, site or setting opens the way out on mobile."""
    answer = forbidden(facts, Device.MOBILE, site, on, on_smartphone=on_smartphone)
    assert answer is Rule.NEVER_ON_MOBILE


@given(anything, days, st.sampled_from([SITE, RIVAL, ""]))
def test_who_goes_goes_by_the_book(facts: Facts, on: date, site: str) -> None:
    """Whoever is sent on is sent after the receipt of a signed form, to a listed and certified provider."""
    if refusal(facts, site=site, on=on) is not None:
        return
    form = facts.registration if facts.needs_package else facts.application
    assert facts.launched_on is not None
    assert facts.stable
    assert (on - facts.launched_on).days > 14
    assert form.signed
    assert form.sent_on is not None
    assert form.received_on is not None
    assert form.sent_on <= form.received_on <= on
    assert facts.stopped_on is None or on < facts.stopped_on
    provider = usable(facts, site, on)
    assert provider is not None
    assert (provider.site, provider.listed, provider.certified(on)) == (site, True, True)


@given(anything, days)
def test_a_wait_ends_on_its_day(facts: Facts, on: date) -> None:
    """A day that a step waits for is a later one, and the step no longer waits on it."""
    steps = assess(facts, on).steps
    for place, one in enumerate(steps):
        if one.state is State.WAITING and one.due_on:
            assert one.due_on > on
            assert assess(facts, one.due_on).steps[place].state is not State.WAITING
