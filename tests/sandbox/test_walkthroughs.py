"""Walkthroughs: what files may say, and what is made of what happened."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from storefront.config import PACKAGE
from storefront.robot.buyer import Page
from storefront.sandbox import judge, walkthroughs
from storefront.sandbox.chapters import Broken
from storefront.sandbox.devices import Device
from storefront.sandbox.happened import Name
from storefront.sandbox.judge import State, Tick, Verdict
from storefront.sandbox.mixi import facts
from storefront.sandbox.mixi.resend import FAULTS
from storefront.sandbox.walkthroughs import Walkthrough
from tests.rooms import of_rooms_here

# When things go wrong: the rows of the house's own table.
ROWS = {
    "unsigned, forged, altered, malformed, wrong key, stale",
    "8 callbacks at once",
    "our work is slow, a lock is held, the queue is long",
    "commit done, answer lost",
    "callback for a code we never stored; at the bare address or with another payment's word",
    "a phone opens the callback's address through the container",
    "another user's code, another app's id",
    "complete after cancel, cancel after complete, anything after void",
    "sold out or over the limit at callback",
    "finish page opened by hand with status=10, or by another user",
    "finish page never opened",
    "platform API down, slow, answering rubbish, throttling",
    "double tap on buy",
    "interface URL expired",
    "test purchase (is_test)",
    "database down",
}
# The rules of the source documents that a shop can break, and what shows that it keeps them.
ALL_RULES = {
    "api: restrictions, only approved apps": ["not-approved"],
    "api: flow 1, a payment is created when the buyer has chosen": ["first-purchase", "double-tap"],
    "api: flow 2, redirect to the payment screen at once": ["first-purchase", "screen-expired"],
    "api: flow 3, shortage is the platform's": ["short-and-topped-up", "exact-points"],
    "api: flow 5, OK commits, anything else does not": ["first-purchase", "lost-ok", "shop-frozen"],
    "api: flow 5, ten seconds": ["queued-too-long", "api-drips", "database-away"],
    "api: flow 6, the shop may ask how a payment stands": ["confirm-away", "pay-back", "pay-back-then-use"],
    "api: flow 8, the buyer may return, or not": ["finish-never-opened", "result-without-link"],
    "api: a purchase not committed is provisional": ["leave-without-deciding", "creation-answer-lost"],
    "api: status 20 is a cancellation": ["cancel", "cancel-then-bought"],
    "api: verify the signature": ["unsigned-callback", "wrong-key", "altered-callback", "unsigned-page"],
    "api: the app's id and the owner's are signed": ["another-app", "another-owner"],
    "api: callback_url is the payment's own": ["another-word", "container-signed-callback"],
    "api: nothing is committed at finish_url": ["finish-by-hand", "finish-of-another"],
    "api: is_test takes no points": ["test-purchase", "app-in-development"],
    "api: a code is unique": ["unknown-code", "lost-ok-pressed-again"],
    "api: a state is final": ["bought-then-cancel", "after-void", "replayed-callback"],
    "api: no batch, no continuous calls": ["no-polling", "no-continuous-calls"],
    "api: who has removed the app cannot be asked about": ["removed-app"],
    "api: only the payment screen is led to": ["foreign-link", "interface-on-another-host"],
    "oauth: timestamps": ["stale-callback", "skewed-clock", "stale-start"],
    "oauth: a name without a signature says nothing": ["unsigned-page", "name-in-the-address"],
    "page: ten seconds": ["api-slow"],
    "page: error pages may be replaced": ["error-page-replaced"],
    "start: signed, and once": [
        "start-once",
        "forged-start",
        "start-of-another",
        "start-by-post",
        "framed-on-pc",
    ],
    "start: certificates change": ["key-rotation"],
    "events: signed by the platform itself": ["forged-removal"],
    "events: several at once, and late": ["late-events"],
    "programme: points are shared across devices": ["shared-balance"],
    "programme: carriers without points": ["carrier-without-points"],
    "programme: at most 5,000 on a phone, 10,000 on a PC": ["phone-price-range"],
    "programme: to stop charging, delete the link": ["selling-stopped", "stopped-while-open"],
    "programme: maintenance": ["topup-maintenance", "full-maintenance"],
    "law: price and legal notice beside the button": ["law-beside-the-button"],
    "external: mobile uses nothing else": ["outside-not-on-phone"],
    "external: an alert page every time": ["outside-purchase"],
    "external: nothing changes before it is approved": ["outside-change-not-approved"],
}
RULES = {rule: names for rule, all_names in ALL_RULES.items() if (names := of_rooms_here(all_names))}
ALL_NAMES = re.findall(
    r"[\w-]+",
    """
    first-purchase exact-points short-and-topped-up carrier-without-points cancel leave-without-deciding
    finish-never-opened finish-by-hand finish-of-another form-of-another form-altered double-tap test-purchase
    app-in-development
    not-approved shared-balance container-signed-callback unsigned-callback wrong-key another-word
    altered-callback stale-callback replayed-callback eight-at-once unknown-code another-owner
    another-app cancel-then-bought bought-then-cancel queued-too-long
    queued-too-long-pressed-again lost-ok lost-ok-pressed-again
    after-void pay-back pay-back-then-use parked-payment withdrawn-while-open sold-out-at-callback
    once-per-person api-down api-slow api-drips api-rubbish api-throttled creation-answer-lost
    foreign-link confirm-away no-polling no-continuous-calls error-page-replaced screen-expired
    result-without-link topup-maintenance full-maintenance skewed-clock phone-price-range start-once
    forged-start stale-start name-in-the-address
    start-of-another start-by-post framed-on-pc interface-on-another-host key-rotation unsigned-page
    removed-app forged-removal late-events outside-purchase outside-cancel outside-not-on-phone
    outside-forged-notice outside-another-sum outside-stale-notice outside-finish-by-hand
    outside-notice-twice outside-notice-lost outside-sold-out outside-refunded
    outside-second-try outside-change-not-approved use-once law-beside-the-button under-age
    selling-stopped stopped-while-open back-in-stock shop-frozen database-away to-the-game
    """,
)
NAMES = of_rooms_here(ALL_NAMES)
OURS = walkthroughs.read()
BY_NAME = {one.name: one for one in OURS}
HANAKO, CODE, SHOP = "mo3hanako0000", "pay1", "http://shop.test"
ONE = """
- name: my-own
  title: {ja: 試し, en: A try}
  rule: {ja: 決まり, en: A rule}
  source: ours
  who: hanako
  on: [mobile, pc]
  item: any
  points: price+50
  steps:
  - do: {ja: 買います。, en: Buy.}
    play: [buy, confirm]
    see:
    - {screen: bought}
    - {answer: OK}
  - do: {ja: 見ます。, en: Look.}
    play: [open bag]
    see:
    - {held: 1}
    - {balance: -price}
"""


BEGUN = datetime(2027, 1, 31, 18, tzinfo=UTC)


@dataclass
class Happened:
    """A happening that somebody made up."""

    name: Name
    facts: Mapping[str, Any] = field(default_factory=dict)
    owner_id: str | None = HANAKO
    point_code: str | None = CODE
    wire_id: int | None = None
    device: Device | None = None
    at: datetime = BEGUN


def made(hand: str = "mobile", **people: str) -> Happened:
    return Happened(Name.WALK_BEGUN, {"hand": hand, "pause": 3, "people": {"hanako": HANAKO, **people}})


def opened(device: Device) -> Happened:
    return Happened(Name.APP_OPENED, device=device)


def on_pc(*more: Happened) -> list[Happened]:
    """A story whose app was opened on a PC, where nobody sees its pages."""
    return [made("pc"), opened(Device.PC), *more]


def shown(page: str, *marks: Mapping[str, str], status: int = 200, wire_id: int | None = None) -> Happened:
    facts = {"status": status, "path": "/", "page": page, "marks": list(marks)}
    return Happened(Name.PAGE_SHOWN, facts, wire_id=wire_id)


def end(step: int, said: str = "end") -> Happened:
    return Happened(Name.SEEN, {"step": step, "said": said})


def answered(status: int, **more: Any) -> Happened:
    return Happened(Name.CALLBACK_ANSWERED, {"status": status, "ok": status == 200, **more}, wire_id=7)


ITEM = shown("item", {"item": "loaf", "amount": "10", "unit": "point"})
CREATED = Happened(Name.PAYMENT_CREATED, {"points": 10})
BOUGHT = Happened(Name.SCREEN_SHOWN, {"screen": "bought"})
TAKEN = Happened(Name.PAYMENT_COMPLETED, {"points": 10})
BAG = shown("bag", {"item": "loaf", "quantity": "1"})
GREEN = Happened(Name.BOOKS_READ, {"verdict": "green"})


@pytest.fixture
def one(tmp_path: Path) -> Walkthrough:
    return own(tmp_path, ONE)


def own(folder: Path, text: str) -> Walkthrough:
    """A walkthrough of one's own, as it is read from a file."""
    (folder / "9-mine.yaml").write_text(text)
    return walkthroughs.read(folder)[-1]


def judged(one: Walkthrough, happenings: Sequence[Happened]) -> list[State]:
    return [tick.state for tick in judge.judge(one, happenings)]


def test_all_are_there() -> None:
    """Every walkthrough of the list is in a file, in seven chapters, and no other."""
    assert sorted(BY_NAME) == sorted(NAMES)
    chapters = ["buying", "callbacks", "platform", "devices", "outside", "own", "game"]
    assert [*dict.fromkeys(one.chapter for one in OURS)] == of_rooms_here(chapters)


@pytest.mark.parametrize("row", sorted(ROWS))
def test_every_row_has_one(row: str) -> None:
    """What can go wrong by the house's table is provoked by at least one walkthrough."""
    assert [one.name for one in OURS if one.row == row]


def test_no_other_rows() -> None:
    """A walkthrough names a row as the table does, or none."""
    assert {one.row for one in OURS} <= {None, *ROWS}


def test_the_readme_says_where() -> None:
    """The table of what goes wrong names each of them, with its devices, at its row."""
    table = (PACKAGE / "sandbox/README.md").read_text().partition("by clicks alone")[2]
    said = {row.split(" | ")[0].strip("| "): row for row in table.splitlines() if row.startswith("| ")}
    for one in OURS:
        devices = "".join(device[0].upper() for device in one.on)
        assert not one.row or f"`{one.name}` {devices}" in said[one.row]


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_has_one(rule: str) -> None:
    """A rule of the sources that a shop can break is shown by walkthroughs that there are."""
    assert set(RULES[rule]) <= set(BY_NAME)
    assert RULES[rule]


def test_every_one_shows_a_rule() -> None:
    """A walkthrough is there for a row, for a rule of the sources, or says that its rule is ours."""
    shows = {name for names in RULES.values() for name in names}
    assert [one.name for one in OURS if not (one.row or one.name in shows or "ours" in one.source)] == []


def test_own_ones_stand_behind(tmp_path: Path) -> None:
    """A folder of one's own adds chapters of its own."""
    found = own(tmp_path, ONE)
    assert (found.name, found.chapter, found.title.ja) == ("my-own", "mine", "試し")


@pytest.mark.parametrize(
    ("right", "wrong", "line", "rule"),
    [
        ("who: hanako", "who: nobody", 6, "nobody called nobody"),
        ("on: [mobile, pc]", "on: [fax]", 7, "a device is"),
        ("item: any", "item: sword", 8, "item"),
        ("points: price+50", "points: many", 9, "points"),
        ("play: [buy, confirm]", "play: [steal]", 12, "nothing the robot can do"),
        ("- {screen: bought}", "- {screen: pretty}", 14, "pretty is not one of its words"),
        ("- {screen: bought}", "- {colour: red}", 14, "colour: is no field here"),
        ("- {screen: bought}", "- {screen: bought, page: bag}", 14, "exactly one"),
        ("source: ours", "sauce: ours", 5, "did you mean source"),
        ("- {held: 1}", "- {held: 1, who: zoe}", 19, "nobody called zoe"),
        ("name: my-own", "name: lost-ok", 2, "there is another lost-ok"),
        ("title: {ja: 試し, en: A try}", "title: {ja: 試し}", 3, "title.en: is missing"),
        ("points: price+50", f'points: "{"9" * 30}"', 9, "points"),
        ("points: price+50", f"points: {'9' * 5000}*price", 9, "points"),
        ("item: any", "item: any\n  weather: [{kind: callback.queued, seconds: 99999}]", 9, "from 1 to 30"),
        ("item: any", "item: any\n  weather: [{kind: api.down, seconds: 5}]", 9, "has no seconds"),
        ("item: any", "item: any\n  weather: [{kind: api.down, next: 9999999}]", 9, "at most 1,000,000"),
        ("play: [buy, confirm]", 'play: ["weather no.such:99*1"]', 12, "nothing the robot can do"),
        ("play: [buy, confirm]", 'play: ["weather api.slow:99*1"]', 12, "from 1 to 30"),
        ("play: [buy, confirm]", 'play: ["weather api.slow:1*9999999"]', 12, "nothing the robot can do"),
        ("play: [buy, confirm]", "play: [as nobody]", 12, "nothing the robot can do"),
        ("play: [buy, confirm]", "play: [open app as nobody]", 12, "nothing the robot can do"),
        ("play: [buy, confirm]", "play: [send nonsense]", 12, "nothing the robot can do"),
        ("- {held: 1}", f'- {{held: "{"1" * 5000}"}}', 19, "is not one of its words"),
    ],
)
def test_a_broken_file(tmp_path: Path, right: str, wrong: str, line: int, rule: str) -> None:
    """What a file may not say is refused with the file, the line and the rule."""
    assert right in ONE
    with pytest.raises(Broken) as broken:
        own(tmp_path, ONE.replace(right, wrong, 1))
    assert f"9-mine.yaml:{line}:" in str(broken.value)
    assert rule in str(broken.value)


def test_no_list_and_no_folder(tmp_path: Path) -> None:
    """A file that is no list, and a folder that is none, are refused by name."""
    with pytest.raises(Broken, match=r"9-mine.yaml:1: a chapter is a list"):
        own(tmp_path, "name: first")
    with pytest.raises(Broken, match="is no folder"):
        walkthroughs.read(tmp_path / "nowhere")


def test_what_is_no_chapter(tmp_path: Path) -> None:
    """A folder without a chapter is refused, and one whose name ends in .yml is read."""
    with pytest.raises(Broken, match="has no file of walkthroughs"):
        walkthroughs.read(tmp_path)
    (tmp_path / "9-mine.yml").write_text(ONE)
    assert walkthroughs.read(tmp_path)[-1].name == "my-own"


def test_everything_that_can_be_sent() -> None:
    """Whatever can be wrong with a decision a walkthrough may send."""
    assert set(FAULTS) <= set(walkthroughs.SENT)


def test_steps_tick_themselves(one: Walkthrough) -> None:
    """A step is done with the last thing that must be seen; the books come last."""
    story = [made(), ITEM, CREATED, answered(200), TAKEN, BOUGHT]
    assert judged(one, story) == [State.DONE, State.OPEN, State.OPEN]
    assert judged(one, [*story, BAG]) == [State.DONE, State.DONE, State.OPEN]
    ticks = judge.judge(one, [*story, BAG, GREEN])
    assert judge.verdict(ticks, story) is Verdict.PASSED


def test_an_open_step_says_what_is_missing(one: Walkthrough) -> None:
    """What is expected first of what has not come, and what came in its place."""
    ticks = judge.judge(one, [made(), ITEM, CREATED, Happened(Name.SCREEN_SHOWN, {"screen": "confirm"})])
    assert ticks[0] == Tick(0, State.OPEN, "screen bought", "confirm")


def test_what_cannot_be_put_right(one: Walkthrough) -> None:
    """An answer that should have been another is missed at once, with its row of the log."""
    ticks = judge.judge(one, [made(), ITEM, CREATED, answered(409)])
    assert ticks[0] == Tick(0, State.MISSED, "answer OK", "409", (7,))
    assert judge.verdict(ticks, []) is Verdict.MISSED


def test_a_step_that_is_over(one: Walkthrough) -> None:
    """Where somebody says that a step is over, what has not come by then is missed."""
    story = [made(), ITEM, CREATED, answered(200), TAKEN, BOUGHT, end(0)]
    full = shown("bag", {"item": "loaf", "quantity": "2"})
    ticks = judge.judge(one, [*story, full, end(1)])
    assert [tick.state for tick in ticks] == [State.DONE, State.MISSED, State.OPEN]
    assert (ticks[1].expected, ticks[1].got) == ("held 1", "2")
    nothing = judge.judge(one, [*story, end(1)])[1]
    assert (nothing.state, nothing.got) == (State.MISSED, "nothing")


def test_what_a_person_says(one: Walkthrough) -> None:
    """A person's word counts for pages that the platform does not see, and for nothing that it does."""
    story = on_pc(CREATED, answered(200), TAKEN, BOUGHT)
    assert judged(one, [*story, end(1, "yes")])[1] is State.DONE
    assert judged(one, [*story, end(1, "no")])[1] is State.MISSED
    for lying in (
        on_pc(CREATED, answered(409), BOUGHT, end(0, "yes")),
        on_pc(CREATED, TAKEN, BOUGHT, end(0, "yes")),  # no answer
        on_pc(end(0, "yes")),
        [made(), end(0, "yes")],
    ):
        assert judged(one, lying)[0] is State.MISSED


def test_what_nobody_but_the_container_says(one: Walkthrough) -> None:
    """On a mobile phone no page is taken on anybody's word, and nowhere before the app was opened."""
    done = [CREATED, answered(200), TAKEN, BOUGHT]
    told = Happened(Name.SEEN, BAG.facts, device=Device.MOBILE)
    for story in (
        [made(), opened(Device.MOBILE), ITEM, *done, end(1, "yes")],
        [made(), opened(Device.MOBILE), ITEM, *done, told, end(1)],
        [made("pc"), *done, end(1, "yes")],
    ):
        assert judged(one, story)[1] is State.MISSED


def test_who_may_say_so(one: Walkthrough) -> None:
    """An open step says whether what it lacks is for a person to say."""
    done = [CREATED, answered(200), TAKEN, BOUGHT]
    first, second, _ = judge.judge(one, on_pc(*done))
    assert (first.state, second.state, second.can_be_said) == (State.DONE, State.OPEN, True)
    for story in (on_pc(), [made("pc")], [made(), opened(Device.MOBILE)]):
        assert not judge.judge(one, story)[0].can_be_said
    phone = [made(), opened(Device.MOBILE), ITEM, *done]
    assert not judge.judge(one, phone)[1].can_be_said


def test_a_page_of_another_device_does_not_speak_against_a_person(one: Walkthrough) -> None:
    """Who goes on on the PC says what stands there, whatever the phone has shown before."""
    done = [made(), opened(Device.MOBILE), ITEM, CREATED, answered(200), TAKEN, BOUGHT]
    story = [*done, shown("bag"), opened(Device.PC), end(1, "yes")]
    assert judged(one, story)[1] is State.DONE


def test_a_screen_of_the_platform_is_not_told(tmp_path: Path) -> None:
    """That a payment screen was seen counts from the platform alone; a provider's screen is told."""
    told = Happened(Name.SEEN, {"step": 0, "screen": "cancelled", "status": 200}, device=Device.PC)
    assert see(tmp_path, "{screen: cancelled}", told).state is State.MISSED
    play = ONE.replace("play: [buy, confirm]", "play: [outside cancel]")
    assert play != ONE
    text = play[: play.index("    - {screen: bought}")] + "    - {screen: cancelled}\n"
    assert judged(own(tmp_path, text), [made("pc"), opened(Device.PC), told])[0] is State.DONE


def test_a_word_is_taken_back(one: Walkthrough) -> None:
    """Who has pressed wrongly takes it back, with what was said after it."""
    story = on_pc(CREATED, answered(200), TAKEN, BOUGHT, end(1, "no"))
    assert judged(one, story)[1] is State.MISSED
    assert judged(one, [*story, end(1, "back")])[1] is State.OPEN
    assert judged(one, [*story, end(1, "back"), end(1, "yes")])[1] is State.DONE
    assert judged(one, [*story, end(0, "back")])[:2] == [State.DONE, State.OPEN]


def test_who_comes_late_for_a_doubt(tmp_path: Path) -> None:
    """By hand what is void already has been in doubt; the robot comes in time, and must see the doubt."""
    void = shown("history", {"payment": CODE, "state": "void", "doubt": "no"})
    check = "{state: complete, doubt: yes}"
    assert see(tmp_path, check, CREATED, void).state is State.MISSED
    head, _, _ = ONE.partition("  - do: {ja: 見ます")
    text = head[: head.index("    - {screen: bought}")] + f"    - {check}\n"
    assert judged(own(tmp_path, text), [made(), ITEM, CREATED, void])[0] is State.DONE


def test_books_that_do_not_agree(one: Walkthrough) -> None:
    """A walk whose steps are done is missed if goods and points do not agree."""
    story = [made(), ITEM, CREATED, answered(200), TAKEN, BOUGHT, BAG]
    red = Happened(Name.BOOKS_READ, {"verdict": "red"})
    ticks = judge.judge(one, [*story, red])
    assert ticks[-1] == Tick(2, State.MISSED, "books green", "red")


def test_not_applicable(one: Walkthrough) -> None:
    """What a shop has not, is no fault of its."""
    said = Happened(Name.SEEN, {"step": 0, "said": "not-applicable", "reason": "no item"})
    story = [made(), said]
    assert judge.verdict(judge.judge(one, story), story) is Verdict.NOT_APPLICABLE
    assert judge.why_not(story) == "no item"


def see(folder: Path, check: str, *story: Happened, extra: str = "") -> Tick:
    """How one check stands after a story that is over."""
    head, _, _ = ONE.partition("  - do: {ja: 見ます")
    text = head[: head.index("    - {screen: bought}")] + f"    - {check}\n" + extra
    return judge.judge(own(folder, text), [made(taro="mo3taro"), ITEM, *story, end(0)])[0]


SECOND = Happened(Name.PAYMENT_CREATED, {"points": 10}, point_code="pay2")
HISTORY = shown(
    "history", {"payment": "pay2", "state": "complete", "doubt": "yes"}, {"payment": CODE, "state": "create"}
)
DOOR = shown("door", status=401)
SLOW = Happened(Name.WEATHER_MET, {"kind": "api.slow"})
CALLS = [
    Happened(Name.PAYMENT_CONFIRMED, {"call": "confirm"}),
    Happened(Name.API_REFUSED, {"call": "confirm"}),
]


def asked_every(seconds: float) -> list[Happened]:
    """Six questions about payments, so far apart."""
    moments = (BEGUN + timedelta(seconds=seconds * number) for number in range(6))
    return [Happened(Name.PAYMENT_CONFIRMED, {"call": "confirm"}, at=moment) for moment in moments]


ASKED = shown("item", {"item": "loaf", "reason": "age_unknown"})
PRICED, UNPRICED = (
    shown("item", {"item": "loaf", "amount": "10", "price": how}) for how in ("shown", "missing")
)
HALTED = shown("not-started", {"notice": "not-started"}, status=503)
TEST = Happened(Name.PAYMENT_CREATED, {"points": 10, "is_test": True})
OF_TARO = Happened(Name.PAYMENT_COMPLETED, {"points": 10}, owner_id="mo3taro")
TOPPED = Happened(Name.TOPPED_UP, {"points": 30})
BACK = Happened(Name.PAYMENT_PAID_BACK, {"points": 10})
REFUSED = Happened(Name.PAGE_REFUSED, {"status": 503})


@pytest.mark.parametrize(
    ("check", "story", "right"),
    [
        ("{screen: error}", [REFUSED], True),
        ("{page: door}", [BAG, DOOR], True),
        ("{page: bag}", [BAG, DOOR], False),
        ("{status: 401}", [DOOR], True),
        ("{state: complete}", [CREATED, SECOND, HISTORY], True),
        ("{state: complete, doubt: yes}", [CREATED, SECOND, HISTORY], True),
        ("{state: complete, doubt: no}", [CREATED, SECOND, HISTORY], False),
        ("{state: create, payment: 1}", [CREATED, SECOND, HISTORY], True),
        ("{state: complete, payment: 3}", [CREATED, SECOND, HISTORY], False),
        ("{held: 1}", [BAG], True),
        ("{held: 0}", [BAG], False),
        ("{held: 0}", [shown("bag")], True),
        ('{held: "+1"}', [BAG, shown("bag", {"item": "loaf", "quantity": "2"})], True),
        ('{held: "+1"}', [BAG], False),
        ("{balance: unchanged}", [TAKEN, BACK], True),
        ("{balance: -price}", [TAKEN], True),
        ("{balance: -2*price}", [TAKEN], False),
        ("{balance: +price+10}", [TOPPED, TAKEN], True),
        ("{balance: unchanged, who: taro}", [TAKEN], True),
        ("{balance: -price, who: taro}", [OF_TARO], True),
        ("{price: shown}", [PRICED], True),
        ("{price: shown}", [UNPRICED], False),
        ("{price: shown}", [PRICED, UNPRICED], False),
        ("{price: shown}", [ITEM], False),
        ("{calls: 0}", CALLS, False),
        ("{calls: 0, api: create}", CALLS, True),
        ("{calls: 0..2, api: confirm}", CALLS, True),
        ("{calls: 0..2, api: confirm}", [*CALLS, *CALLS], False),
        ("{calls: 0..2, api: confirm}", asked_every(4.0), True),
        ("{calls: 0..2, api: confirm}", asked_every(60.0), True),
        ("{calls: 0..2, api: confirm}", asked_every(1.0), False),
        ("{calls: 0..2}", asked_every(4.0), False),
        ("{answer: 401}", [answered(401)], True),
        ("{answer: 401}", [answered(200)], False),
        ("{answer: [OK, 409]}", [answered(409), answered(200)], True),
        ("{answer: [OK, OK]}", [answered(409), answered(200)], False),
        ("{answer: OK, times: 2}", [answered(200), answered(200)], True),
        ("{answer: OK, times: 2}", [answered(200)], False),
        ("{refusal: age_unknown}", [ASKED], True),
        ("{notice: not-started}", [HALTED], True),
        ("{notice: none}", [HALTED], False),
        ("{happened: payment_completed}", [TAKEN], True),
        ("{happened: payment_completed, times: 1}", [TAKEN, TAKEN], False),
        ("{happened: payment_created, facts: {is_test: true}}", [TEST], True),
        ("{happened: payment_created, facts: {is_test: true}}", [CREATED], False),
        ("{never: payment_completed}", [], True),
        ("{never: payment_completed}", [TAKEN], False),
        ("{weather_met: api.slow}", [SLOW], True),
        ("{weather_met: api.slow}", [], False),
        ("{screen: bought, on: [pc]}", [], True),
        ("{books: green}", [GREEN], True),
    ],
)  # fmt: skip
def test_each_check(tmp_path: Path, check: str, story: Sequence[Happened], right: bool) -> None:
    """Each of the fifteen sees what it asks for, and misses it where it is not so."""
    state = see(tmp_path, check, *story).state
    assert state is (State.DONE if right else State.MISSED)


def test_an_item_that_nobody_has_seen(tmp_path: Path) -> None:
    """A bag without an item that was never looked at says nothing of how many there are."""
    head, _, _ = ONE.partition("  - do: {ja: 見ます")
    text = head[: head.index("    - {screen: bought}")] + "    - {held: 0}\n"
    tick = judge.judge(own(tmp_path, text), [made(), shown("bag"), end(0)])[0]
    assert (tick.state, tick.got) == (State.MISSED, judge.NOTHING)


def test_the_list_is_not_remembered(one: Walkthrough) -> None:
    """The same happenings say the same, however often and in whatever portions they are judged."""
    story = [made(), ITEM, CREATED, answered(200), TAKEN, BOUGHT, BAG, GREEN]
    for length in range(len(story)):
        judge.judge(one, story[:length])
    assert judged(one, story) == [State.DONE] * 3


@pytest.mark.parametrize(
    ("words", "price"),
    [
        ("Buy 4,800pt", "shown"),
        ("Buy", "missing"),
        ("Buy 14,800pt", "missing"),
        ('Buy <p data-way="x" data-amount="4800">4,800 yen</p>', "missing"),
    ],
)
def test_a_price_that_can_be_read(words: str, price: str) -> None:
    """Container and robot say alike whether an item's page has its price for people, too."""
    page = f'<main data-page="item"><p data-item="coat" data-amount="4800">{words}</p></main>'.encode()
    for found in (facts.read(page), Page(SHOP, 200, {"Content-Type": "text/html"}, page).facts):
        assert found["marks"][0] == {"item": "coat", "amount": "4800", "price": price}


def test_what_stands_in_the_town(tmp_path: Path) -> None:
    """As many as its page showed last, of the item that was bought; another's town ticks nothing."""
    there = own(tmp_path, ONE.replace("- {screen: bought}", "- {town: 2}"))
    bought = Happened(Name.PAYMENT_CREATED, {"item_id": "loaf"}, owner_id=HANAKO, point_code=CODE)
    story = [made(), ITEM, bought, answered(200), TAKEN, BOUGHT]
    assert judged(there, story)[0] is State.OPEN

    def looked(quantity: int, who: str = HANAKO) -> Happened:
        marks = [{"item": "moss", "quantity": "2"}, {"item": "loaf", "quantity": str(quantity)}]
        return Happened(Name.TOWN_SHOWN, {"marks": marks}, owner_id=who)

    assert judged(there, [*story, looked(2, "mo3taro000000")])[0] is State.OPEN
    assert judge.judge(there, [*story, looked(1)])[0] == Tick(0, State.OPEN, "town 2", "1")
    assert judged(there, [*story, looked(1), looked(2)])[0] is State.DONE


def test_its_words_are_explained() -> None:
    """Who writes files of their own finds each verb, each thing to see, each role and need in the README."""
    words = re.sub("```.*?```", "", (walkthroughs.OURS / "README.md").read_text(), flags=re.DOTALL)
    said = re.findall(r"`([^`]+)`", words)
    assert [
        verb for verb in walkthroughs.VERBS if not any(f"{one} ".startswith(f"{verb} ") for one in said)
    ] == []
    fields = Walkthrough.model_fields
    roles = [*get_args(fields["item"].annotation), *get_args(get_args(fields["needs"].annotation)[0])]
    assert {*walkthroughs.CHECKS, *roles} <= set(said)


def test_the_example_is_read(tmp_path: Path) -> None:
    """What the README shows is a file that works."""
    example = (walkthroughs.OURS / "README.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    assert own(tmp_path, example).name == "cancel-and-return"
