"""storefront walkthrough: what it is called with, what it ends with, and what it writes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from junitparser import JUnitXml
from lxml import html
from werkzeug import Response

from storefront import demo
from storefront.cli import main
from storefront.robot import play, report
from storefront.robot.actor import Actor, Shot
from storefront.robot.buyer import Page, Unreachable
from storefront.robot.desk import Desk, Street
from storefront.robot.play import Played, Walk
from storefront.robot.shop import Item, Shop
from storefront.walkthrough import _free, _is_written
from tests.robot.test_buyer import Site, served
from tests.sandbox.test_walkthroughs import NAMES, ONE, OURS

NOBODY = "http://127.0.0.1:9"
OWNERS = [one for store in demo.platforms() for one in store.chapters()]
TITLES = {"buying": "Buying", "own": "The shop's own"}


def called(*words: str) -> Result:
    return CliRunner().invoke(main, ["walkthrough", *words])


def test_its_own_ports() -> None:
    """No two servers of a demo are told the same port, however often one is given again."""
    assert len(set(_free(600))) == 600


def test_the_list() -> None:
    """A line each: the name, a tab, the title in the language that is asked for."""
    lines = called("--list", "--language", "en").output.splitlines()
    assert lines == [f"{one.name}\t{one.title.en}" for one in (*OURS, *OWNERS)]
    assert called("--list", "lost-ok").output == "lost-ok\t届かなかったOK\n"


def test_own_ones_are_listed(tmp_path: Path) -> None:
    """Those of a folder of one's own come behind ours, and before those of shop owners."""
    (tmp_path / "1-own.yaml").write_text(ONE)
    lines = called("--list", "--files", str(tmp_path)).output.splitlines()
    assert len(lines) == len(NAMES) + 1 + len(OWNERS)
    assert lines[len(NAMES)].startswith("my-own\t")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "there is no walkthrough nowhere"),
        (["--on", "fax"], "fax"),
        (["--files", "/nowhere"], "/nowhere"),
        (["--demo", "--platform", NOBODY], "--demo starts its own"),
        (["--database", "sqlite:///x.db"], "--database goes with --demo"),
        (["--void-after", "0"], "--void-after"),
        (["--junit", "/nowhere/walks.xml"], "there is no folder /nowhere"),
        (["--html", "/nowhere/walks.html"], "there is no folder /nowhere"),
        (["framed-on-pc", "--on", "mobile"], "nothing to play"),
    ],
)
def test_a_wrong_call(words: list[str], said: str) -> None:
    """A wrong call and an unknown name end with 2, before anything was played."""
    result = called(*words)
    assert result.exit_code == 2
    assert said in result.output


def test_a_broken_file(tmp_path: Path) -> None:
    """So does a file that cannot be read, with its line."""
    (tmp_path / "1-own.yaml").write_text(ONE.replace("who: hanako", "who: nobody"))
    result = called("--files", str(tmp_path), "--list")
    assert result.exit_code == 2
    assert "1-own.yaml:6: who" in result.output


@pytest.mark.parametrize("words", [["--platform", NOBODY], ["--data", "."]])
def test_nobody_there(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no sandbox answers, and where no demo was started, it ends with 3."""
    monkeypatch.chdir(tmp_path)
    result = called("first-purchase", *words)
    assert (result.exit_code, "cannot be reached" in result.output) == (3, True)


def test_owners_have_a_store_in_a_demo() -> None:
    """Those of shop owners are played where the demo has their store; who names one elsewhere hears it."""
    if not OWNERS:
        pytest.skip("no store of shop owners is here")
    result = called(OWNERS[0].name, "--platform", NOBODY)
    assert (result.exit_code, "a demo has one, named by --data" in result.output) == (3, True)


def test_nobody_waits_a_minute(tmp_path: Path) -> None:
    """A demo's shop takes the least it may before a purchase is void, and its file says so to the robot."""
    told = demo.environment(demo.ports(), tmp_path)
    assert (told["STOREFRONT_MIXI_VOID_AFTER"], told["STOREFRONT_MIXI_CONFIRM_PAUSE"]) == ("11", "3")


def walk(name: str, verdict: str, reason: str = "", *ticks: dict[str, object]) -> Walk:
    """A walk as it may have gone."""
    one = next(one for one in OURS if one.name == name).model_dump(mode="json", exclude_none=True)
    body = b'<html><head><link rel="stylesheet" href="/x.css"></head><body><main>Bag</main><script>1</script>'
    page = Page(f"{NOBODY}/bag", 200, {"Content-Type": "text/html"}, body)
    steps = [Played([Shot("open bag", page)], ["top up: the screen offers no points"]) for _ in one["steps"]]
    return Walk(one, "mobile", verdict, reason, steps, ticks)


PASSED = walk("first-purchase", "passed")
MISSED = walk(
    "cancel",
    "missed",
    "",
    {"step": 0, "state": "done", "expected": "", "got": "", "rows": []},
    {"step": 1, "state": "missed", "expected": "state cancel", "got": "complete", "rows": [7]},
)
AWAY = walk("use-once", "not-applicable", "no item is used up")
WALKS = [PASSED, MISSED, AWAY]


def test_junit() -> None:
    """A suite for each chapter; a case is a walkthrough on a device, with rule and source."""
    xml = JUnitXml.fromstring(report.junit(WALKS, TITLES))
    buying, own = list(xml)
    assert [(suite.name, suite.tests, suite.failures, suite.skipped) for suite in (buying, own)] == [
        ("buying", 2, 1, 0),
        ("own", 1, 0, 1),
    ]
    cases = [*buying, *own]
    assert [case.name for case in cases] == ["first-purchase[mobile]", "cancel[mobile]", "use-once[mobile]"]
    assert cases[1].result[0].message.startswith("step 2: state cancel expected, complete came")
    assert cases[2].result[0].message == "no item is used up"
    assert 'name="rule"' in cases[0].tostring().decode()


@pytest.mark.parametrize("language", ["ja", "en"])
def test_the_report(language: str) -> None:
    """One file: no script, nothing loaded from elsewhere, each page beside its step, in both languages.

    A frame costs a browser as much as a page of its own: only where something was missed there is one.
    """
    text = report.page(WALKS, TITLES, language, "2027-01-31 18:00")
    page = html.fromstring(text)
    assert page.get("lang") == language
    assert not re.search(r"<script|&lt;script|https?://(?!127)[^\s]*\.css", text)
    assert not page.cssselect("link, script, img[src^=http]")
    assert all(one.get("sandbox") == "" for one in page.cssselect("iframe"))
    for one in (PASSED, MISSED, AWAY):
        found = page.get_element_by_id(one.name).text_content()
        assert one.walkthrough["title"]["ja"] in found
        assert one.walkthrough["title"]["en"] in found
    assert "state cancel" in page.get_element_by_id(MISSED.name).text_content()
    framed = {one.name: page.get_element_by_id(one.name).cssselect("iframe[srcdoc]") for one in WALKS}
    assert {name: len(frames) for name, frames in framed.items()} == {
        PASSED.name: 0,
        MISSED.name: len(MISSED.steps) - 1,
        AWAY.name: 0,
    }
    said = [one.text_content() for one in page.get_element_by_id(PASSED.name).cssselect("blockquote")]
    assert said == ["Bag"] * len(PASSED.steps)


def test_the_table() -> None:
    """What did not pass, and why; then how many there are of each."""
    lines = report.table(WALKS, "en").splitlines()
    assert lines[0].startswith("missed")
    assert "step 2: state cancel expected, complete came" in lines[0]
    assert lines[-1] == "1 passed, 1 missed, 1 not applicable"


NO_XML = "\x1b[31m\x00\ufffe\ud800 sword"


def test_words_that_no_xml_may_hold() -> None:
    """Control characters of a file or of a shop's page stand in no report, and keep none from being made."""
    odd = walk("cancel", "missed", NO_XML)
    odd.walkthrough = {**odd.walkthrough, "rule": {"ja": NO_XML, "en": NO_XML}, "source": NO_XML}
    sheet = Page("", 200, {}, b"a { content: '\x00\x1b' }")
    (case,) = next(iter(JUnitXml.fromstring(report.junit([odd], TITLES))))
    assert case.result[0].message.endswith(" sword")
    inliner = report._Inliner()
    inliner._kept[f"{NOBODY}/x.css"] = sheet
    assert "content" in inliner.copy(odd.steps[0].shots[0].page)
    for text in (report.page([odd], TITLES, "en", ""), report.table([odd], "en")):
        assert "sword" in text
        assert not set(NO_XML.removesuffix("[31m sword")) & {"\x1b", "\x00", "\ufffe", "\ud800"} & set(text)


def test_the_story_is_printed() -> None:
    """What happened is in no box that paper keeps closed."""
    told = walk("cancel", "passed")
    told.happenings = [{"at": "2027-01-31T18:00:00", "name": "app_opened", "facts": {}}]
    page = html.fromstring(report.page([told], TITLES, "en", ""))
    assert not page.cssselect("details")
    assert "app_opened" in page.text_content()


SHELF = '<main data-page="shelf">'
HOME = '<form method="post"><input type="hidden" name="form_token" value="t"></form>'


@pytest.fixture
def sandbox() -> Iterator[tuple[Site, str]]:
    """Something like a sandbox, with a shop behind it that shows nothing yet."""
    site = Site()
    site.says("/", HOME)
    site.says("/phone/pc", "<main>no</main>", 503)
    book = {"walkthroughs": [walk("cancel", "open").walkthrough], "chapters": [], "breaker": False}
    site.says("/desk/walkthroughs.json", json.dumps(book))
    with served(site) as url:
        yield site, url.rstrip("/")


def test_a_shop_that_is_closed(sandbox: tuple[Site, str]) -> None:
    """Where the shop answers, and shows nothing, that is said in a line, and it ends with 3."""
    result = called("cancel", "--platform", sandbox[1])
    assert result.exit_code == 3, result.output
    assert result.output == (
        f"Error: cannot be reached: {sandbox[1]} shows no shelf, status 503; opened from {sandbox[1]}\n"
    )


def test_a_shop_that_asks_to_come_back(sandbox: tuple[Site, str]) -> None:
    """A shop that has to wait for its platform says for how long: its address is opened again then."""
    site, url = sandbox
    site.says("/phone/pc", status=303, Location=f"{url}/start")
    answers = iter(
        [Response("<main>", 503, {"Retry-After": "1"})] * 2 + [Response(SHELF, mimetype="text/html")]
    )
    site.pages["/start"] = lambda _: next(answers)
    actor = Actor(Desk(Street(url)), Shop(), "hanako", "pc")
    actor.open_app()
    assert actor.me.page
    assert (actor.me.page.status, actor.me.page.kind) == (200, "shelf")


def test_what_is_no_sandbox(sandbox: tuple[Site, str]) -> None:
    """So does what answers, and is no sandbox."""
    sandbox[0].says("/desk/walkthroughs.json", "<p>hello")
    result = called("cancel", "--platform", sandbox[1])
    assert (result.exit_code, "is no sandbox" in result.output) == (3, True)


def test_a_sandbox_that_goes(sandbox: tuple[Site, str]) -> None:
    """A walk that no sandbox can judge is not missed: nobody can be reached."""
    one = walk("cancel", "open").walkthrough
    shop = Shop(items=[Item("loaf", 10, False, None, None, None, False)])
    with pytest.raises(Unreachable):
        play.play(Street(NOBODY), shop, one, "mobile")
    assert play.play(Street(sandbox[1]), shop, one, "mobile").verdict == "missed"


def test_a_report_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said, and keeps nothing else from being written."""
    assert not _is_written(tmp_path, lambda: "text")
    assert "was not written" in capsys.readouterr().err
    assert _is_written(tmp_path / "walks.xml", lambda: "text")


@pytest.mark.long
def test_a_demo_of_its_own(tmp_path: Path) -> None:
    """It starts a demo, plays on each device, writes both files, ends the demo, and ends with 0."""
    junit, page = tmp_path / "walks.xml", tmp_path / "walks.html"
    words = ["first-purchase", "outside-cancel", "unsigned-callback"]
    result = called("--demo", *words, "--junit", str(junit), "--html", str(page), "--language", "en")
    assert result.exit_code == 0, result.output
    assert result.output.strip().endswith("5 passed")
    assert sum(suite.tests for suite in JUnitXml.fromfile(str(junit))) == 5
    seen = html.fromstring(page.read_text())
    assert not seen.cssselect("iframe")
    assert all(one.text_content().strip() for one in seen.cssselect(".shots blockquote"))
