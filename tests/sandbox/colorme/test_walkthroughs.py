"""Walkthroughs of shop owners: what files say, how they are judged, and the pages that tick them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from lxml import html

from storefront.sandbox import chapters
from storefront.sandbox import walkthroughs as of_buyers
from storefront.sandbox.chapters import Broken
from storefront.sandbox.colorme import checklist, judge, plan_file, walks, walkthroughs, wording
from storefront.sandbox.colorme.happened import Name
from storefront.sandbox.colorme.reckoning import Form
from storefront.sandbox.colorme.walkthroughs import CHECKS, Walkthrough
from storefront.sandbox.judging import State, Verdict, verdict
from tests.colorme.conftest import PLANS as APP_PLANS
from tests.sandbox.colorme.conftest import Make, Street
from tests.street import GOODS

OURS = walkthroughs.read()
PLANS = {"free": {}, "monthly": {"monthly": 3000}}
SHOP = "PA00000001"
ONE = """
- name: my-own
  title: {ja: 試し, en: A try}
  rule: {ja: 決まり, en: A rule}
  source: ours
  who: bakery
  steps:
  - do: {ja: する, en: Do it.}
    play: [install monthly]
    see:
    - {contract: monthly}
    - {happened: billed, facts: {kind: prepaid, yen: monthly*11/31+monthly}, times: 1}
    - {balance: "-monthly*11/31+monthly+tax"}
"""


@dataclass
class Told:
    """A happening, as a test makes it up."""

    name: str
    facts: dict[str, Any] = field(default_factory=dict)
    account: str | None = SHOP
    wire_id: int | None = None


BEGUN = Told(Name.WALK_BEGUN, {"people": {"bakery": SHOP}, "plans": PLANS, "option": 500, "piece": 20}, None)
INSTALLED = Told(Name.INSTALLED, {"form": "monthly"})
BILLED = Told(
    Name.BILLED, {"code": "B1", "kind": "prepaid", "state": "collected", "yen": 4064, "total": 4470}
)
TAKEN = Told(Name.POINTS_MOVED, {"points": -4470, "paid_in": False})
END = Told(Name.SEEN, {"step": 0, "said": "end"}, None)


def own(folder: Path, text: str = ONE) -> Walkthrough:
    (folder / "1-own.yaml").write_text(text)
    return chapters.folder(Walkthrough, folder, {})["my-own"]


def ticked(one: Walkthrough, *story: Told) -> tuple[State, str, str]:
    tick = judge.judge(one, [BEGUN, *story])[0]
    return tick.state, tick.expected, tick.got


def begin(street: Street, name: str) -> str:
    """Begin a walkthrough and be its owner; where its checklist stands."""
    page = f"/desk/walkthroughs/{name}"
    answer = street.browser.press(page, f"{page}/begin")
    assert answer.status_code == 303, answer.text
    street.be(next(one.who for one in OURS if one.name == name))
    return urlsplit(answer.headers["Location"]).path


def standing(street: Street, walk: str) -> tuple[str, list[str]]:
    """The verdict, and how each step stands; page and JSON say the same."""
    page = html.fromstring(street.browser.get(walk).text)
    states = [str(one.get("data-state")) for one in page.cssselect("[data-step]")]
    said = str(page.cssselect("main")[0].get("data-verdict"))
    told = street.browser.get(f"{walk}.json").get_json()
    assert (told["verdict"], [one["state"] for one in told["steps"]]) == (said, states)
    return said, states


def say(street: Street, walk: str, step: int, said: str = "yes") -> int:
    fields = {"form_token": street.form_token(), "step": str(step), "seen": said}
    return street.browser.post(f"{walk}/seen", fields).status_code


@pytest.mark.long
def test_names_are_nobody_elses() -> None:
    """One command plays those of buyers and of owners, by names that are all different."""
    names = [one.name for one in (*of_buyers.read(), *OURS)]
    assert len(set(names)) == len(names)


def test_what_the_issue_asks_for() -> None:
    """There is a walkthrough for each form that a plan can have."""
    played = {words for one in OURS for step in one.steps for words in step.play}
    assert {f"install {form}" for form in Form} <= played


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (("install monthly", "install weekly"), ":9: steps.0.play: 'install weekly' is nothing the robot"),
        (("{contract: monthly}", "{contract: weekly}"), "contract: weekly is not one of its words"),
        (("{contract: monthly}", "{held: 1}"), "held"),
        (("who: bakery", "who: hanako"), "there is no shop called hanako"),
        (("yen: monthly*11/31+monthly", "yen: a lot"), "yen: a lot is no sum"),
        (("who: bakery", "begins: tomorrow\n  who: bakery"), "begins"),
    ],
)
def test_a_broken_file(tmp_path: Path, changed: tuple[str, str], said: str) -> None:
    """What no owner can do, and what the store cannot see, is refused with its line and rule."""
    with pytest.raises(Broken) as broken:
        own(tmp_path, ONE.replace(*changed))
    assert said in str(broken.value)
    assert "1-own.yaml:" in str(broken.value)


@pytest.mark.parametrize(
    ("words", "yen"),
    [
        ("0", 0),
        ("monthly", 3000),
        ("monthly*11/31", 1064),
        ("monthly*11/31+monthly", 4064),
        ("monthly*11/31+monthly+tax", 4470),
        ("15*piece", 300),
        ("price", None),
    ],
)
def test_sums(words: str, yen: int | None) -> None:
    """A sum is of registered amounts, each part cut off by itself; tax is on the whole."""
    amounts = {"monthly": 3000, "piece": 20}
    assert walkthroughs.reckon(words, amounts, date(2021, 7, 21)) == yen


def test_a_step_ticks_itself(tmp_path: Path) -> None:
    """A step is done with the happening that brings the last of what must be seen, and not before."""
    one, story = own(tmp_path), [INSTALLED, BILLED, TAKEN]
    assert ticked(one, *story)[0] is State.DONE
    for length in range(len(story)):
        assert ticked(one, *story[:length])[0] is State.OPEN


@pytest.mark.parametrize(
    ("story", "expected", "got"),
    [
        ([], "contract monthly", "none"),
        ([INSTALLED], "happened billed kind prepaid yen monthly*11/31+monthly times 1", "nothing"),
        (
            [INSTALLED, Told(Name.BILLED, {**BILLED.facts, "yen": 1})],
            "happened billed kind",
            "kind prepaid yen 1",
        ),
        ([INSTALLED, BILLED, BILLED], "times 1", "billed times 2"),
        ([INSTALLED, BILLED], "balance", "+0"),
        ([Told(Name.INSTALLED, INSTALLED.facts, "PA00000002"), BILLED, TAKEN], "contract monthly", "none"),
    ],
)
def test_what_came_instead(tmp_path: Path, story: Sequence[Told], expected: str, got: str) -> None:
    """When a step is over, the first that is missing is named, with what came in its place."""
    state, wanted, came = ticked(own(tmp_path), *story, END)
    assert state is State.MISSED
    assert expected in wanted
    assert got in came


def test_what_must_never_happen(tmp_path: Path) -> None:
    """What must not happen is missed at once; what stands before anything was done waits for a person."""
    one = own(tmp_path, ONE[: ONE.index("    - {contract")] + "    - {never: billed}\n")
    assert ticked(one, INSTALLED)[0] is State.OPEN
    assert ticked(one, INSTALLED, END)[0] is State.DONE
    assert ticked(one, INSTALLED, BILLED)[0] is State.MISSED


def test_paid_in_is_no_collection(tmp_path: Path) -> None:
    """The balance that must be seen leaves out what the owner has paid in."""
    paid_in = Told(Name.POINTS_MOVED, {"points": 10_000, "paid_in": True})
    assert ticked(own(tmp_path), paid_in, INSTALLED, BILLED, TAKEN, END)[0] is State.DONE


def test_the_history(tmp_path: Path) -> None:
    """The app's history agrees if it has as many options charged as the store."""
    one = own(tmp_path, ONE[: ONE.index("    - {contract")] + "    - {history: agrees}\n")
    option = Told(
        Name.BILLED, {"code": "B2", "kind": "option", "state": "collected", "yen": 500, "total": 550}
    )

    def page(*states: str) -> Told:
        rows = [{"payment": str(number), "state": state} for number, state in enumerate(states)]
        return Told(Name.SEEN, {"step": 0, "page": "history", "marks": rows})

    assert ticked(one, option, page("charged"), END)[0] is State.DONE
    assert ticked(one, option, page("unknown"), END) == (State.MISSED, "history agrees", "0-of-1")
    assert ticked(one, page("charged", "charged"), END)[2] == "2-of-0"


@pytest.mark.parametrize("language", ["ja", "en"])
def test_all_are_there_to_read(street: Street, language: str) -> None:
    """Every walkthrough is listed with its rule, and has a page with its steps in both languages."""
    listed = html.fromstring(street.browser.get(f"/desk/walkthroughs?lang={language}").text)
    names = [str(one.get("data-walkthrough")) for one in listed.cssselect("[data-walkthrough]")]
    assert names == [one.name for one in OURS]
    for one in OURS[::5]:
        page = html.fromstring(street.browser.get(f"/desk/walkthroughs/{one.name}").text)
        assert len(page.cssselect("ol.steps > li")) == len(one.steps)
        assert one.rule.of(language) in page.text_content()
    assert street.browser.get("/desk/walkthroughs/nobody").status_code == 404


@pytest.mark.parametrize(("name", "is_said"), [("install-monthly", True), ("install-monthly-initial", False)])
def test_an_app_without_parcels(street: Street, name: str, is_said: bool) -> None:
    """Nobody is sent to look into a bag into which no plan puts anything; the page says so before."""
    page = street.browser.get(f"/desk/walkthroughs/{name}?lang=en").text
    assert ("It needs a plan with a monthly fee that brings items." in page) is is_said
    assert json.loads(street.browser.get("/desk/walkthroughs.json").text)["has"]["parcel"] is False


def test_an_app_with_parcels() -> None:
    """The tests' own plan with a monthly fee brings two items, and so do others of their plans."""
    sold = plan_file.read(APP_PLANS, GOODS)
    assert {plan.id: len(plan.brings) for plan in sold.plans if plan.brings} == {
        "LANTERN1": 2,
        "BEACON1": 3,
        "TIDE01": 1,
    }


def test_everything_has_its_words() -> None:
    """Whatever a check asks for and whatever happens has words of its own."""
    assert set(wording.ASKED) == set(CHECKS)
    assert set(wording.HAPPENED) == set(Name)
    assert set(checklist.CHAPTERS) == {one.chapter for one in OURS}


def test_by_hand(street: Street) -> None:
    """The trial is left in time: the store ticks what it knows, and the owner says what the app showed."""
    walk = begin(street, "trial-left-in-time")
    assert standing(street, walk) == ("open", ["open", "open", "open"])
    street.install("MONTH1")
    assert standing(street, walk)[1] == ["open", "open", "open"]
    assert say(street, walk, 0) == 303
    assert standing(street, walk)[1] == ["done", "open", "open"]
    street.until("2021-07-20")
    street.uninstall()
    assert standing(street, walk)[1] == ["done", "done", "open"]
    street.until("2021-08-01")
    assert say(street, walk, 2) == 303
    assert standing(street, walk) == ("passed", ["done", "done", "done"])


def test_what_the_store_sees_nobody_says(street: Street) -> None:
    """Nobody's word stands for what the store sees itself."""
    walk = begin(street, "trial-left-in-time")
    assert say(street, walk, 0) == 303
    assert standing(street, walk) == ("open", ["open", "open", "open"])
    assert not html.fromstring(street.browser.get(walk).text).cssselect("button[value=yes]")
    street.install("MONTH1")
    assert html.fromstring(street.browser.get(walk).text).cssselect("button[value=yes]")


@pytest.mark.long
def test_words_are_taken_back(street: Street) -> None:
    """What was said of a step by mistake is taken back, and the step is open again."""
    walk = begin(street, "trial-left-in-time")
    street.install("MONTH1")
    say(street, walk, 0, "no")
    assert standing(street, walk) == ("missed", ["missed", "open", "open"])
    assert html.fromstring(street.browser.get(walk).text).cssselect("button[value=back]")
    assert say(street, walk, 0, "back") == 303
    assert standing(street, walk) == ("open", ["open", "open", "open"])


def test_the_store_ticks_by_itself(street: Street) -> None:
    """Forced out at the trial's end: bill, uninstall and hook are seen without anybody's word."""
    walk = begin(street, "forced-out-at-trial-end")
    street.install("MONTH1")
    say(street, walk, 0)
    street.until("2021-07-21")
    assert standing(street, walk) == ("open", ["done", "done", "open"])
    assert say(street, walk, 2, "no") == 303
    assert standing(street, walk)[0] == "missed"


@pytest.mark.long
def test_an_app_that_is_wrong(street: Street) -> None:
    """An app that does not hear of the uninstall is missed, with the row of the wire log that shows it."""
    walk = begin(street, "trial-left-in-time")
    street.install("MONTH1")
    say(street, walk, 0)
    street.until("2021-07-20")
    street.weather("uninstall.lost")
    street.uninstall()
    say(street, walk, 1, "end")
    step = street.browser.get(f"{walk}.json").get_json()["steps"][1]
    assert (step["state"], step["expected"]) == ("missed", "happened hook_answered kind uninstall status 200")
    assert "status None" in step["got"]
    page = html.fromstring(street.browser.get(walk).text)
    assert page.cssselect(f'a[href="/log/{step["rows"][0]}"]')


def test_the_stores_own_pages_are_seen(street: Street) -> None:
    """The notice at a reinstall stands on the store's page, so nobody has to say that they saw it."""
    walk = begin(street, "reinstalled-with-notice")
    street.install("MONTH1")
    street.uninstall()
    assert standing(street, walk)[1] == ["done", "open", "open"]
    street.browser.get(f"/shops/{street.account}/app")
    assert standing(street, walk)[1] == ["done", "done", "open"]


def test_facts_of_the_apps_pages(street: Street) -> None:
    """The robot tells the facts of each page of the app; what is not said so is refused."""
    walk = begin(street, "install-free")
    street.install("FREE01")
    shown = {"status": 200, "path": "/colorme/", "page": "shelf", "marks": []}
    fields = {"form_token": street.form_token(), "step": "0"}
    told = {**fields, "facts": json.dumps(shown), "account": street.account}
    assert street.browser.post(f"{walk}/seen", told).status_code == 204
    assert standing(street, walk)[0] == "passed"
    for wrong in (
        {},
        {"facts": "[]"},
        {"seen": "perhaps"},
        {"seen": "yes", "step": "9"},
        {"seen": "yes", **told},
    ):
        assert street.browser.post(f"{walk}/seen", {**fields, **wrong}).status_code == 400


@pytest.mark.long
def test_one_at_a_time(street: Street) -> None:
    """There is one calendar: a walk is over when the next begins, and nothing more is noted of it."""
    first = begin(street, "install-free")
    street.install("FREE01")
    before = street.browser.get(f"{first}.json").get_json()["happenings"]
    second = begin(street, "install-one-time")
    assert street.browser.get(f"{first}.json").get_json()["happenings"] == before
    assert say(street, first, 0) == 400
    assert say(street, second, 0, "no") == 303


def test_nothing_is_noted_otherwise(street: Street) -> None:
    """Who plays no walkthrough leaves no trace of one."""
    street.be("bakery").install("FREE01")
    with street.app.app_context():
        assert walks.current() is None
        assert walks.told(1) == []


@pytest.mark.long
def test_a_walk_begins_on_its_own_day(street: Street) -> None:
    """New shops, on the day that the walkthrough says; what was installed before is told to be gone."""
    street.be("bakery").install("FREE01")
    begin(street, "forced-out-at-renewal")
    assert street.now().startswith("2021-08-21T12:00")
    assert street.sap.last("/colorme/uninstall")["reason"] == "by_shop_owner"


def test_the_cron_is_down(make: Make, tmp_path: Path) -> None:
    """While it is, nobody runs the app's daily work; a new beginning lets it run again."""
    ran = tmp_path / "ran"
    street = make(daily=f"touch {ran}")
    fields = {"form_token": street.form_token()}
    assert street.browser.post("/calendar/daily", {**fields, "daily": "off"}).status_code == 303
    street.turn(step="day")
    assert not ran.exists()
    street.browser.post("/calendar/daily", {**fields, "daily": "on"})
    street.turn(step="day")
    assert ran.exists()
    assert street.browser.post("/calendar/daily", {**fields, "daily": "never"}).status_code == 400


def test_a_walkthrough_says_whether_it_runs(make: Make) -> None:
    """Days pass without the app's daily work, unless the walkthrough is about it."""
    street = make(daily="true")
    begin(street, "install-free")
    page = html.fromstring(street.browser.get("/calendar").text)
    assert page.cssselect("[data-daily]")[0].get("data-daily") == "off"


def test_judging_is_shared() -> None:
    """The verdict of nothing at all is that it is open."""
    ticks = judge.judge(OURS[0], [])
    assert verdict(ticks, []) is Verdict.OPEN
