"""What mixi's procedure for external payment allows, by date: each rule on the days around its boundary."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storefront.external.registration import (
    Approved,
    Assessment,
    Certificate,
    Change,
    ChangeKind,
    Effect,
    Facts,
    Paper,
    Price,
    Provider,
    Rule,
    Service,
    Sheet,
    State,
    Step,
    Way,
    assess,
    forbidden,
    forbidden_price,
    price,
    services,
    standing,
    usable,
    waiting,
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
CARD = Service("card", listed=True)
PAY = Provider("Example Pay", SITE, (CARD,), privacy_mark=Certificate("10820001"), listed=True)
UNLISTED = replace(PAY, name="Rival Pay", site=RIVAL, listed=False)
UNCERTIFIED = replace(PAY, name="Rival Pay", site=RIVAL, privacy_mark=Certificate())

FORM = Paper(SENT, signed=True, received_on=RECEIPT)
FIRST = Facts(
    launched_on=LAUNCH,
    stable=True,
    registration=FORM,
    providers=(PAY,),
    sheet=Sheet(deadline=DEADLINE),
)
ADDED = replace(FIRST, registered_before=True, registration=Paper(), application=FORM, sheet=Sheet())


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
    early = replace(FIRST, registration=Paper(LAUNCH, signed=True, received_on=LAUNCH + DAY))
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
    added = replace(ADDED, sheet=Sheet(date(9999, 12, 31)))
    assert stands(added, Rule.CHECK_SHEET, date.max) == (State.OPEN, date.max)


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
        (Paper(SENT, True, TODAY + DAY), (State.WAITING, TODAY + DAY)),
        (Paper(SENT, True, TODAY), (State.DONE, None)),
        (Paper(SENT, True), (State.WAITING, None)),
        (Paper(SENT, True, SENT), (State.DONE, None)),
        (Paper(SENT, True, SENT - DAY), (State.WAITING, None)),
        (Paper(None, True, RECEIPT), (State.WAITING, None)),
        (Paper(TODAY + DAY, True, TODAY), (State.WAITING, None)),
        (Paper(TODAY + 2 * DAY, True, TODAY + DAY), (State.WAITING, None)),
        (Paper(SENT, False, RECEIPT), (State.WAITING, None)),
        (Paper(SENT, False, TODAY + DAY), (State.WAITING, None)),
    ],
)
def test_what_a_receipt_is(form: Paper, expected: tuple[State, date | None]) -> None:
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
        registration=Paper(),
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


@pytest.mark.parametrize("days", [7, 21])
def test_the_mails_deadline_before_two_weeks(days: int) -> None:
    """A deadline that mixi's mail sets counts, sooner or later than two weeks."""
    asked = replace(ADDED, sheet=Sheet(TODAY, TODAY + days * DAY))
    assert stands(asked, Rule.CHECK_SHEET) == (State.OPEN, TODAY + days * DAY)


@pytest.mark.parametrize("days", [0, 14, 15, 400])
def test_a_first_sheet_knows_the_mails_deadline_only(days: int) -> None:
    """A first registration knows no two weeks: without the mail's day it is to do, and never overdue."""
    unnamed = replace(FIRST, sheet=Sheet())
    assert stands(unnamed, Rule.CHECK_SHEET, RECEIPT + days * DAY) == (State.OPEN, None)
    asked = replace(FIRST, sheet=Sheet(requested_on=RECEIPT))
    assert stands(asked, Rule.CHECK_SHEET, RECEIPT + days * DAY) == (State.OPEN, None)


def test_a_whole_package_is_a_first_registration() -> None:
    """An added application that needs the package gets its deadline by the mail, too."""
    other = replace(ADDED, contact_differs=True, registration=FORM, application=Paper())
    assert stands(replace(other, sheet=Sheet()), Rule.CHECK_SHEET, RECEIPT + 15 * DAY) == (State.OPEN, None)
    assert stands(replace(other, sheet=Sheet(deadline=DEADLINE)), Rule.CHECK_SHEET, DEADLINE + DAY) == (
        State.OVERDUE,
        DEADLINE,
    )


def test_the_first_sheet_comes_with_the_receipt_mail() -> None:
    """The package's receipt mail brings the sheet; for an added application mixi asks separately."""
    assert stands(replace(FIRST, sheet=Sheet()), Rule.CHECK_SHEET, RECEIPT - DAY) == (State.WAITING, None)
    assert stands(replace(FIRST, sheet=Sheet()), Rule.CHECK_SHEET, RECEIPT) == (State.OPEN, None)
    assert stands(ADDED, Rule.CHECK_SHEET, RECEIPT) == (State.WAITING, None)
    later = replace(FIRST, sheet=Sheet(requested_on=TODAY))
    assert stands(later, Rule.CHECK_SHEET, TODAY - DAY) == (State.WAITING, TODAY)


@pytest.mark.parametrize(
    ("facts", "due"),
    [(replace(FIRST, sheet=Sheet(RECEIPT, DEADLINE)), DEADLINE), (ADDED, TODAY + 14 * DAY)],
    ids=["first", "added"],
)
@pytest.mark.parametrize(
    ("days", "state"), [(-1, State.DONE), (0, State.DONE), (1, State.LATE), (30, State.LATE)]
)
def test_a_late_sheet_stays_late(facts: Facts, due: date, days: int, state: State) -> None:
    """What is sent after its last day is late for ever and asks for nothing; before that it is overdue."""
    sheet = facts.sheet if facts.sheet.deadline else Sheet(requested_on=TODAY)
    sent = replace(facts, sheet=replace(sheet, submitted_on=due + days * DAY))
    for on in (due + days * DAY, due + 400 * DAY):
        found = step(sent, Rule.CHECK_SHEET, on)
        assert (found.state, found.due_on) == (state, due if state is State.LATE else None)
        assert (risks(sent, on), assess(sent, on).next, assess(sent, on).allowed) == ([], None, True)
    if days > 1:
        assert stands(sent, Rule.CHECK_SHEET, due + DAY) == (State.OVERDUE, due)


@pytest.mark.parametrize(
    ("sheet", "state"),
    [
        (Sheet(RECEIPT, DEADLINE, TODAY - DAY), State.DONE),
        (Sheet(RECEIPT, DEADLINE, TODAY), State.DONE),
        (Sheet(RECEIPT, DEADLINE, TODAY + DAY), State.OPEN),
        (Sheet(RECEIPT, DEADLINE, RECEIPT), State.DONE),
        (Sheet(RECEIPT, DEADLINE, RECEIPT - DAY), State.OPEN),
        (Sheet(RECEIPT, RECEIPT + DAY, TODAY), State.LATE),
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
    provider = replace(PAY, privacy_mark=Certificate(privacy_mark), isms=Certificate(isms))
    facts = replace(FIRST, providers=(provider,))
    assert stands(facts, Rule.PROVIDER_CERTIFIED) == (state, None)
    assert refusal(facts) is (None if state is State.DONE else Rule.PROVIDER_CERTIFIED)


@pytest.mark.parametrize(("days", "allowed"), [(-1, True), (0, True), (1, False)])
def test_the_certificates_last_day(days: int, allowed: bool) -> None:
    """A certificate is good on its last day, and not on the day after."""
    facts = replace(FIRST, providers=(replace(PAY, privacy_mark=Certificate("1", until=TODAY)),))
    on = TODAY + days * DAY
    assert assess(facts, on).allowed is allowed
    assert refusal(facts, on=on) is (None if allowed else Rule.PROVIDER_CERTIFIED)
    expected = (State.DONE, None) if allowed else (State.OVERDUE, TODAY)
    assert stands(facts, Rule.PROVIDER_CERTIFIED, on) == expected


@pytest.mark.parametrize(("days", "allowed"), [(-1, False), (0, True), (1, True)])
def test_a_certificate_obtained_later(days: int, allowed: bool) -> None:
    """A certificate counts from its first day, and not the day before."""
    facts = replace(FIRST, providers=(replace(PAY, privacy_mark=Certificate("1", since=TODAY)),))
    on = TODAY + days * DAY
    assert assess(facts, on).allowed is allowed
    assert refusal(facts, on=on) is (None if allowed else Rule.PROVIDER_CERTIFIED)
    expected = (State.DONE, None) if allowed else (State.WAITING, TODAY)
    assert stands(facts, Rule.PROVIDER_CERTIFIED, on) == expected


@pytest.mark.parametrize(("gap", "closed"), [(0, []), (1, []), (2, [1]), (4, [1, 2, 3])])
def test_each_certificate_has_its_own_days(gap: int, closed: list[int]) -> None:
    """The PrivacyMark ends and the ISMS begins so many days later: closed in between, if anything is."""
    first, second = Certificate("1", until=TODAY), Certificate("2", since=TODAY + gap * DAY)
    for one, other in ((first, second), (second, first)):
        facts = replace(FIRST, providers=(replace(PAY, privacy_mark=one, isms=other),))
        shut = [days for days in range(-1, 6) if refusal(facts, on=TODAY + days * DAY)]
        assert shut == closed
        assert {refusal(facts, on=TODAY + days * DAY) for days in shut} <= {Rule.PROVIDER_CERTIFIED}


def test_an_expired_certificate_is_no_sheet() -> None:
    """Risks are the sheets; a provider that may no longer be used is not among them."""
    facts = replace(
        FIRST, providers=(PAY, replace(PAY, name="Rival Pay", privacy_mark=Certificate("1", until=RECEIPT)))
    )
    assert risks(facts, TODAY) == []


def test_a_date_is_no_certificate() -> None:
    """Days without a number certify nothing."""
    nameless = replace(PAY, privacy_mark=Certificate(since=TODAY - DAY, until=TODAY + DAY))
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
    Paper(date(2010, 5, 1), signed=True),
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
        (Paper(SENT, True), None, (State.WAITING, None)),
        (Paper(SENT, False), None, (State.OPEN, None)),
        (Paper(SENT, False), TODAY, (State.DONE, None)),
        (Paper(SENT, True), SENT, (State.DONE, None)),
        (Paper(SENT, True), SENT - DAY, (State.WAITING, None)),
        (Paper(None, True), TODAY, (State.OPEN, None)),
        (Paper(), None, (State.OPEN, None)),
    ],
)
def test_what_an_approval_is(
    form: Paper, approved_on: date | None, expected: tuple[State, date | None]
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


def of_rival(
    effect: Effect, approved_on: date | None, sent_on: date | None = date(2010, 5, 1), **more: object
) -> Change:
    """A change about Rival Pay."""
    form = Paper(sent_on, signed=True)
    kept = {"kind": ChangeKind.PROVIDER, "what": "Rival Pay", "provider": "Rival Pay", **more}
    return Change(form=form, approved_on=approved_on, effect=effect, **kept)  # type: ignore[arg-type]  # fields


ADDING = replace(FIRST, providers=(PAY, UNLISTED), changes=(of_rival(Effect.ADD, APPROVED),))


@pytest.mark.parametrize(
    ("days", "rule", "state"),
    [
        (-1, Rule.PROVIDER_APPROVED, (State.WAITING, APPROVED)),
        (0, None, (State.DONE, None)),
        (1, None, (State.DONE, None)),
    ],
)
def test_a_provider_is_added_by_its_approval(
    days: int, rule: Rule | None, state: tuple[State, date | None]
) -> None:
    """It may be used on the day of the approval, and not the day before; the old one stays open."""
    on = APPROVED + days * DAY
    assert (refusal(ADDING, site=RIVAL, on=on), refusal(ADDING, site=SITE, on=on)) == (rule, None)
    found = step(ADDING, rule or Rule.PROVIDER_LISTED, on, "Rival Pay")
    assert ((found.state, found.due_on), assess(ADDING, on).allowed) == (state, True)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (of_rival(Effect.ADD, None), Rule.PROVIDER_APPROVED),
        (of_rival(Effect.ADD, date(2010, 4, 30)), Rule.PROVIDER_APPROVED),
        (of_rival(Effect.ADD, APPROVED, None), Rule.PROVIDER_APPROVED),
        (of_rival(Effect.CHANGE, APPROVED), Rule.PROVIDER_LISTED),
        (of_rival(Effect.ADD, APPROVED, provider="Another Pay"), Rule.PROVIDER_LISTED),
        (of_rival(Effect.ADD, APPROVED, provider=""), Rule.PROVIDER_LISTED),
        (of_rival(Effect.ADD, APPROVED, kind=ChangeKind.METHOD), Rule.PROVIDER_LISTED),
        (None, Rule.PROVIDER_LISTED),
    ],
    ids=[
        "never",
        "before the form",
        "no form",
        "adds nothing",
        "another's",
        "nobody's",
        "a method",
        "no paper",
    ],
)
def test_a_provider_without_its_paper(change: Change | None, rule: Rule) -> None:
    """Never approved, or on no paper at all: closed for good, with the rule; the registered one is open."""
    facts = replace(FIRST, providers=(PAY, UNLISTED), changes=(change,) if change else ())
    for on in (APPROVED, APPROVED + 400 * DAY):
        assert (refusal(facts, site=RIVAL, on=on), refusal(facts, on=on)) == (rule, None)


def test_a_provider_of_the_form_waits_for_the_mail() -> None:
    """A provider that the form names may be used from the day of mixi's mail."""
    assert [refusal(FIRST, on=RECEIPT + days * DAY) for days in (-1, 0)] == [Rule.RECEIPT_MAIL, None]


@pytest.mark.parametrize("approved_on", [APPROVED, None])
def test_a_provider_is_terminated_by_its_approval(approved_on: date | None) -> None:
    """It may be used to the day before the approval; never approved, it stays."""
    rival = replace(UNLISTED, listed=True)
    ended = replace(FIRST, providers=(PAY, rival), changes=(of_rival(Effect.TERMINATE, approved_on),))
    closed = Rule.PROVIDER_TERMINATED if approved_on else None
    on = [APPROVED + days * DAY for days in (-1, 0, 400)]
    assert [refusal(ended, site=RIVAL, on=day) for day in on] == [None, closed, closed]
    assert [assess(ended, day).allowed for day in on] == [True] * 3
    alone = replace(ended, providers=(rival,))
    assert [assess(alone, day).allowed for day in on] == [True, not closed, not closed]
    assert missing(alone, on[1]) == [closed] * bool(closed)


@pytest.mark.parametrize(
    ("added", "closed"),
    [(0, [0, 1, 2, 3, 4, 5]), (1, [0]), (3, [0, 1, 2]), (-3, [0, 1, 2, 3, 4, 5])],
)
def test_added_again(added: int, closed: list[int]) -> None:
    """Terminated, and added again so many days later: the newest paper counts, of one day the termination."""
    again = of_rival(Effect.ADD, APPROVED + added * DAY)
    changes = (of_rival(Effect.TERMINATE, APPROVED), again)
    for order in (changes, changes[::-1]):
        facts = replace(FIRST, providers=(PAY, replace(UNLISTED, listed=True)), changes=order)
        shut = [days for days in range(-1, 6) if refusal(facts, site=RIVAL, on=APPROVED + days * DAY)]
        assert shut == closed


def test_a_registration_anew_names_it_again() -> None:
    """A package that mixi received after the termination names the provider anew."""
    facts = replace(
        FIRST,
        registration=Paper(APPROVED + DAY, signed=True, received_on=APPROVED + 2 * DAY),
        providers=(replace(UNLISTED, listed=True),),
        changes=(of_rival(Effect.TERMINATE, APPROVED),),
    )
    assert refusal(facts, site=RIVAL, on=APPROVED + DAY) is Rule.PROVIDER_TERMINATED
    assert refusal(facts, site=RIVAL, on=APPROVED + 2 * DAY) is None


# Services


@pytest.mark.parametrize(
    ("effect", "listed", "before", "after"),
    [(Effect.ADD, False, ["card"], ["card", "bank"]), (Effect.TERMINATE, True, ["card", "bank"], ["card"])],
)
def test_services(effect: Effect, listed: bool, before: list[str], after: list[str]) -> None:
    """A service may be offered from its approval on, or until its termination; no door closes over it."""
    provider = replace(PAY, services=(CARD, Service("bank", listed)))
    change = of_rival(effect, APPROVED, kind=ChangeKind.METHOD, provider="Example Pay", service="bank")
    facts = replace(FIRST, providers=(provider,), changes=(change,))
    assert services(facts, provider, APPROVED - DAY) == before
    assert services(facts, provider, APPROVED) == after
    assert [refusal(facts, on=APPROVED + days * DAY) for days in (-1, 0)] == [None, None]
    told = [one for one in assess(facts, APPROVED - DAY).steps if one.rule is Rule.SERVICE_APPROVED]
    waits = Step(Rule.SERVICE_APPROVED, State.WAITING, APPROVED, "Example Pay / bank", blocks=False)
    assert told == ([waits] if effect is Effect.ADD else [])


def test_a_service_on_no_paper() -> None:
    """A service that no paper names is to be kept switched off, and said so."""
    facts = replace(FIRST, providers=(replace(PAY, services=(CARD, Service("bank"))),))
    assert services(facts, facts.providers[0], TODAY) == ["card"]
    assert step(facts, Rule.SERVICE_APPROVED).subject == "Example Pay / bank"
    assert assess(facts, TODAY).allowed


def test_services_come_with_their_provider() -> None:
    """A service named in the change that adds its provider may be offered from that day."""
    assert [services(ADDING, UNLISTED, APPROVED + days * DAY) for days in (-1, 0)] == [[], ["card"]]


# Prices


DEARER = replace(CHANGE, prices={"excalibur": 500})
PRICED = replace(FIRST, prices={"excalibur": 110, "lantern": 330}, changes=(DEARER,))


@pytest.mark.parametrize(("days", "sold_for"), [(-30, 110), (-1, 110), (0, 500), (30, 500)])
def test_a_price_is_approved_first(days: int, sold_for: int) -> None:
    """Until the approval the old price has the door, from that day on the new one; other items stay."""
    on = APPROVED + days * DAY
    for yen in (110, 500):
        rule = None if yen == sold_for else Rule.PRICE_APPROVED
        assert forbidden_price(PRICED, "excalibur", yen, on) is rule
    assert forbidden_price(PRICED, "lantern", 330, on) is None


def test_what_is_no_approved_price() -> None:
    """Another price than the form's, an item of no paper, a change that is never approved."""
    never = replace(PRICED, changes=(replace(DEARER, approved_on=None),))
    for on in (TODAY, APPROVED + 400 * DAY):
        assert forbidden_price(never, "excalibur", 500, on) is Rule.PRICE_APPROVED
        assert forbidden_price(never, "lantern", 331, on) is Rule.PRICE_APPROVED
        assert forbidden_price(never, "coat", 5280, on) is Rule.PRICE_APPROVED
        assert forbidden_price(never, "excalibur", 110, on) is None
    assert forbidden_price(FIRST, "excalibur", 110, TODAY) is Rule.PRICE_APPROVED


def test_the_last_price_counts() -> None:
    """Of several changes the last approved one counts, wherever it stands; of one day the later row."""
    sooner = replace(DEARER, prices={"excalibur": 300}, approved_on=APPROVED - DAY)
    for rows in ((sooner, DEARER), (DEARER, sooner)):
        facts = replace(PRICED, changes=rows)
        assert price(facts, "excalibur", APPROVED) == Price(500, APPROVED, taken=False)
        assert price(facts, "excalibur", APPROVED - DAY) == Price(300, APPROVED - DAY, taken=False)
    same = replace(DEARER, prices={"excalibur": 400})
    assert price(replace(PRICED, changes=(DEARER, same)), "excalibur", APPROVED) == Price(
        400, APPROVED, False
    )


def test_prices_of_the_upgrade() -> None:
    """Prices taken from the shelf count since that day, and are marked, until a paper says otherwise."""
    taken = replace(PRICED, prices_taken_on=TODAY)
    assert price(taken, "excalibur", TODAY) == Price(110, TODAY, taken=True)
    assert price(taken, "excalibur", APPROVED) == Price(500, APPROVED, taken=False)
    assert price(PRICED, "lantern", TODAY) == Price(330, RECEIPT, taken=False)


# What stays as it was


STAYS = [ChangeKind.METHOD, ChangeKind.SERVICE, ChangeKind.PRODUCT, ChangeKind.SCREEN_FLOW]


@pytest.mark.parametrize("kind", STAYS)
def test_what_stays_and_since_when(kind: ChangeKind) -> None:
    """The form says how it is, since mixi's mail; a change of that kind does so from its approval on."""
    change = replace(CHANGE, kind=kind, what="two pages")
    later = replace(change, what="three pages", approved_on=None)
    facts = replace(FIRST, changes=(change, later))
    assert standing(facts, kind, RECEIPT - DAY) == Approved("", None)
    assert standing(facts, kind, APPROVED - DAY) == Approved("", RECEIPT)
    assert standing(facts, kind, APPROVED) == Approved("two pages", APPROVED)
    assert waiting(facts, kind, APPROVED - DAY) == [change, later]
    assert waiting(facts, kind, APPROVED) == [later]
    others = [other for other in STAYS if other is not kind]
    assert {standing(facts, other, APPROVED) for other in others} == {Approved("", RECEIPT)}
    assert [waiting(facts, other, APPROVED) for other in others] == [[]] * 3


# A new copy, and how a form goes


@pytest.mark.parametrize(
    ("copy", "days", "state"),
    [
        (Paper(), -1, None),
        (Paper(), 0, State.OPEN),
        (Paper(), 400, State.OPEN),
        (Paper(TODAY, signed=True), 0, State.DONE),
        (Paper(TODAY + DAY, signed=True), 0, State.OPEN),
        (Paper(TODAY + DAY, signed=True), 1, State.DONE),
        (Paper(TODAY - DAY, signed=True), 1, State.OPEN),
        (Paper(TODAY, signed=False), 1, State.OPEN),
    ],
)
def test_changed_content_asks_for_a_new_copy(copy: Paper, days: int, state: State | None) -> None:
    """From the day of the change a stamped copy is to be sent, no older than the change; billing goes on."""
    facts = replace(FIRST, content_changed_on=TODAY, copy=copy)
    on = TODAY + days * DAY
    found = [one.state for one in assess(facts, on).steps if one.rule is Rule.NEW_COPY]
    assert found == ([state] if state else [])
    assert assess(facts, on).allowed


@pytest.mark.parametrize(
    ("way", "sent_on", "state"),
    [
        (Way.POST, RECEIPT - DAY, State.DONE),
        (Way.REPLY, RECEIPT - DAY, State.OPEN),
        (Way.REPLY, RECEIPT, State.DONE),
        (Way.REPLY, RECEIPT + DAY, State.DONE),
    ],
)
def test_a_reply_answers_the_mail(way: Way, sent_on: date, state: State) -> None:
    """A change goes by post or as the reply to mixi's e-mail, which cannot be older than that e-mail."""
    change = replace(CHANGE, form=Paper(sent_on, signed=True), way=way)
    assert stands(replace(FIRST, changes=(change,)), Rule.CHANGE_APPROVED, APPROVED) == (state, None)


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
    prepared = replace(FIRST, registration=Paper(signed=True), sheet=Sheet())
    assert assess(prepared, FIRST_DAY - DAY).next == Step(Rule.FOURTEEN_DAYS, State.WAITING, FIRST_DAY)
    assert assess(prepared, FIRST_DAY).next == Step(Rule.PACKAGE_SENT, State.OPEN)


# Whatever was recorded


days = st.dates(LAUNCH, LAUNCH + 60 * DAY)
some_day = st.none() | days
forms = st.builds(Paper, sent_on=some_day, signed=st.booleans(), received_on=some_day)
sheets = st.builds(Sheet, requested_on=some_day, deadline=some_day, submitted_on=some_day)
certificates = st.builds(Certificate, st.sampled_from(["", "1"]), since=some_day, until=some_day)
names = st.sampled_from(["Example Pay", "Rival Pay"])
providers = st.builds(
    Provider,
    name=names,
    site=st.sampled_from([SITE, RIVAL, ""]),
    privacy_mark=certificates,
    isms=certificates,
    listed=st.booleans(),
)
changes = st.builds(
    Change,
    st.sampled_from(ChangeKind),
    st.just("a change"),
    form=forms,
    approved_on=some_day,
    sheet=sheets,
    effect=st.sampled_from(Effect),
    provider=names,
    prices=st.dictionaries(st.just("excalibur"), st.sampled_from([110, 500])),
    way=st.sampled_from(Way),
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


def form_until(on: date, form: Paper) -> Paper:
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


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a machine may be busy
@given(anything, days)
def test_later_facts_change_no_earlier_day(facts: Facts, on: date) -> None:
    """What is dated later than a day has no part in what that day allows."""
    assert missing(facts, on) == missing(known(facts, on), on)
    assert refusal(facts, on=on) == refusal(known(facts, on), on=on)


@pytest.mark.long
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a machine may be busy
@given(anything, days, days)
def test_nothing_but_a_stop_or_an_expiry_ends_it(facts: Facts, one: date, other: date) -> None:
    """What was allowed stays so, unless mixi stops it, a certificate ends or a termination is approved."""

    def endless(certificate: Certificate) -> Certificate:
        return replace(certificate, until=None)

    lasting = replace(
        facts,
        stopped_on=None,
        providers=tuple(
            replace(one, privacy_mark=endless(one.privacy_mark), isms=endless(one.isms))
            for one in facts.providers
        ),
        changes=tuple(change for change in facts.changes if change.effect is not Effect.TERMINATE),
    )
    first, last = sorted((one, other))
    assert assess(lasting, first).allowed <= assess(lasting, last).allowed


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a machine may be busy
@given(anything, days, st.sampled_from([SITE, RIVAL, ""]), st.booleans())
def test_never_on_mobile(facts: Facts, on: date, site: str, on_smartphone: bool) -> None:
    """No fact, date, site or setting opens the way out on mobile."""
    answer = forbidden(facts, Device.MOBILE, site, on, on_smartphone=on_smartphone)
    assert answer is Rule.NEVER_ON_MOBILE


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a machine may be busy
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
    assert (provider.site, provider.certified(on)) == (site, True)
    adding = (change for change in facts.changes if change.effect is Effect.ADD)
    assert provider.listed or any(change.approved_on and change.approved_on <= on for change in adding)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a machine may be busy
@given(anything, days)
def test_a_wait_ends_on_its_day(facts: Facts, on: date) -> None:
    """A day that a step waits for is a later one, and the step no longer waits on it."""
    steps = assess(facts, on).steps
    # A termination takes steps away, so that places do not tell the same ones.
    ended = any(change.effect is Effect.TERMINATE for change in facts.changes)
    for place, one in enumerate(steps):
        if one.state is State.WAITING and one.due_on:
            assert one.due_on > on
            assert ended or assess(facts, one.due_on).steps[place].state is not State.WAITING
