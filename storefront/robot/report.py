"""What the robot reports: a table for a terminal, JUnit for machines, one HTML file for people."""

import base64
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

from jinja2 import Environment, FileSystemLoader
from junitparser import Failure, JUnitXml, Properties, Property, Skipped, TestCase, TestSuite
from lxml import html

from storefront.robot.buyer import Browser, Page, Unreachable
from storefront.robot.play import Walk
from storefront.robot.shop import Json

FOLDER = Path(__file__).parent
WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "Walkthroughs",
        "played": "Played on %s",
        "passed": "passed",
        "missed": "missed",
        "open": "missed",
        "not-applicable": "not applicable",
        "done": "as expected",
        "rule": "Rule",
        "source": "Source",
        "row": "What goes wrong",
        "expected": "expected",
        "came": "came",
        "seen": "What was seen",
        "happened": "What happened",
        "books": "Books",
        "before": "before",
        "after": "after",
        "contents": "Contents",
        "nothing": "nothing",
    },
    "ja": {
        "title": "ウォークスルー",
        "played": "実行日時：%s",
        "passed": "合格",
        "missed": "不合格",
        "open": "不合格",
        "not-applicable": "対象外",
        "done": "期待どおり",
        "rule": "決まり",
        "source": "出典",
        "row": "うまくいかないとき",
        "expected": "期待",
        "came": "実際",
        "seen": "表示された画面",
        "happened": "起きたこと",
        "books": "帳簿",
        "before": "前",
        "after": "後",
        "contents": "目次",
        "nothing": "なし",
    },
}

NO_TEXT = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

MOST_WORDS = 400  # characters of a page that is not shown as it looked
WORDS_OF_A_PAGE = "(//main | //body[not(.//main)])//text()[not(ancestor::script or ancestor::style)]"

Chapters = Sequence[tuple[str, str, Sequence[Walk]]]


def chapters(walks: Iterable[Walk], titles: Mapping[str, str]) -> Chapters:
    """The walks by chapter, in the order of the files: the name, its title, and what was played."""
    found: dict[str, list[Walk]] = {}
    for walk in walks:
        found.setdefault(walk.walkthrough["chapter"], []).append(walk)
    return [(name, titles.get(name, name), played) for name, played in found.items()]


def plain(text: str) -> str:
    """The same without what no XML may hold, and no terminal should be told: a shop's words are its own."""
    return NO_TEXT.sub("\ufffd", text)


def table(walks: Sequence[Walk], language: str) -> str:
    """A line for each that was missed or does not apply, and how many there were of each kind."""
    words = WORDS[language]
    lines = [
        f"{words[walk.verdict]:<15} {walk.name:<40} {plain(walk.reason or walk.missed)}"
        for walk in walks
        if walk.verdict != "passed"
    ]
    counted = Counter(words[walk.verdict] for walk in walks)
    return "\n".join([*lines, ", ".join(f"{number} {word}" for word, number in counted.items())])


def junit(walks: Sequence[Walk], titles: Mapping[str, str]) -> str:
    """A suite for each chapter, a case for each walkthrough on each device."""
    xml = JUnitXml("walkthroughs")
    for name, _, played in chapters(walks, titles):
        suite = TestSuite(plain(name))
        for walk in played:
            suite.add_testcase(_case(name, walk))
        xml.add_testsuite(suite)
    xml.update_statistics()
    return bytes(xml.tostring()).decode()


def page(walks: Sequence[Walk], titles: Mapping[str, str], language: str, played_on: str) -> str:
    """Everything in one file that loads nothing: both languages, the chosen one first.

    Where a walk was missed its pages stand as they looked; of all others what they said is enough, or a
    browser would open hundreds of frames.
    """
    inliner = _Inliner()
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True)
    other = "en" if language == "ja" else "ja"
    text = environment.get_template("report.html").render(
        chapters=chapters(walks, titles),
        counted=Counter("missed" if walk.verdict == "open" else walk.verdict for walk in walks),
        language=language,
        other=other,
        words=WORDS[language],
        played_on=played_on,
        copy=inliner.copy,
        said=_said,
        story=_story,
    )
    return plain(text)


def _case(chapter: str, walk: Walk) -> TestCase:
    case = TestCase(walk.name, classname=plain(chapter), time=round(walk.seconds, 3))
    properties = Properties()
    properties.add_property(Property("rule", plain(walk.walkthrough["rule"]["en"])))
    properties.add_property(Property("source", plain(walk.walkthrough["source"])))
    case.append(properties)
    if walk.verdict == "not-applicable":
        case.result = [Skipped(plain(walk.reason))]
    elif walk.missed or walk.verdict != "passed":
        case.result = [Failure(plain(walk.missed or walk.reason))]
    return case


def _said(page: Page) -> str:
    """What a page says, from its beginning."""
    texts = [] if page.root is None else page.root.xpath(WORDS_OF_A_PAGE)
    words = " ".join(" ".join(map(str, texts)).split())
    return words if len(words) <= MOST_WORDS else f"{words[:MOST_WORDS]}…"


def _story(walk: Walk) -> list[str]:
    """What happened, a line each, in the order in which it did."""
    return [
        " ".join([str(one["at"])[11:19], one["name"], *_facts(one["facts"]), str(one.get("wire") or "")])
        for one in walk.happenings
        if one["name"] != "seen"
    ]


def _facts(facts: Json) -> Iterable[str]:
    plain = ((name, value) for name, value in facts.items() if not isinstance(value, list | dict))
    return (f"{name}={value}" for name, value in plain if value not in (None, ""))


class _Inliner:
    """Makes a copy of a page that loads nothing: its styles and pictures stand in it."""

    def __init__(self) -> None:
        self._browser, self._kept = Browser(), dict[str, Page | None]()

    def copy(self, page: Page) -> str:
        root = page.root
        if root is None:
            return f"<pre>{page.status}</pre>"
        for one in root.cssselect("script, iframe, meta[http-equiv], link:not([rel=stylesheet])"):
            one.drop_tree()
        for one in root.cssselect("link[rel=stylesheet][href]"):
            sheet = self._get(urljoin(page.url, str(one.get("href"))))
            style = html.Element("style")
            style.text = plain(sheet.body.decode("utf-8", "replace")) if sheet else ""
            one.getparent().replace(one, style)  # type: ignore[union-attr]  # it stands in a head
        for one in root.cssselect("img[src]"):
            image = self._get(urljoin(page.url, str(one.get("src"))))
            one.set("src", _inline(image) if image else "data:,")
        return html.tostring(root, encoding="unicode", doctype="<!doctype html>")

    def _get(self, url: str) -> Page | None:
        """What stands there; of what the container passes on, at the app's own address."""
        inner = parse_qs(urlsplit(url).query).get("url")
        address = inner[0] if inner else url
        if address not in self._kept:
            try:
                found = self._browser.get(address)
                self._kept[address] = found if found.status == 200 else None
            except Unreachable:
                self._kept[address] = None
        return self._kept[address]


def _inline(image: Page) -> str:
    kind = image.headers.get("Content-Type", "image/png").partition(";")[0]
    return f"data:{kind};base64,{base64.b64encode(image.body).decode()}"
