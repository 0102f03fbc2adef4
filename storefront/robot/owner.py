"""Playing shop owners: each verb of a walkthrough at an app store, in a browser of its own.

The store has one calendar, so these are played one after another.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

from storefront.robot.actor import Shot
from storefront.robot.buyer import Browser, Form, Page, Stopped, Unreachable
from storefront.robot.desk import CannotDo, Desk, Street
from storefront.robot.play import Walk, take_step
from storefront.robot.shop import Json, NotApplicable

HOME = "/calendar"  # of a store: the page that has a form always
MOST_SECONDS = 1800  # that a calendar may turn: each day may have work of the app's
GLANCE = 0.3
LACKING = {
    "trial": "the app's trial is not of ten days, of which the walkthrough tells",
    "daily": "the store does not run the app's daily work",
    "as-written": "the store reads the first postpaid period otherwise",
    "parcel": "no plan with a monthly fee brings a parcel",
    "operator": "nobody knows the operator's address: name the demo by --data",
}


class Owner:
    """The owner of one shop: what their browser shows, at the store and in the app."""

    def __init__(self, desk: Desk, walk: int, account: str, items: Mapping[str, str]) -> None:
        self.desk, self.account, self.items = desk, account, items
        self.walk: int | None = walk
        self.browser = desk.line
        self.step = 0
        self.shots: list[Shot] = []
        self.words = ""
        self.page: Page | None = None
        self.start: str | None = None  # where the store leads into the app
        self.inside: Page | None = None  # the last page of the app with a way to its places
        self.bought: tuple[Page, Form] | None = None

    def do(self, words: str) -> None:
        """One verb, with what follows it."""
        self.words = words
        verb = max((verb for verb in _VERBS if words == verb or words.startswith(f"{verb} ")), key=len)
        _VERBS[verb](self, words[len(verb) :].strip())

    def finish_step(self) -> None:
        """Nothing goes on beside."""

    # At the store

    def install(self, form: str) -> None:
        """Press the button of the first plan of this form."""
        page = self._at("/app")
        button = next(iter(page.forms(f'[data-form="{form}"] form')), None)
        if button is None:
            raise NotApplicable(f"no plan of the form {form} is published")
        shown = self.browser.send(page, button)
        outside = (hop for hop in shown.hops if not hop.startswith(self.desk.platform))
        self.start = next(outside, self.start)
        self._show(shown)

    def let_in(self, _: str) -> None:
        """Allow what the app asks for, on the store's page."""
        if self.page is None or self.page.screen != "authorize":
            raise CannotDo("nobody asks to be let in")
        form = self.page.form_to("/oauth/authorize")
        if form is None:
            raise CannotDo("the page has no form")
        self._show(self.browser.send(self.page, form, answer="allow"))

    def enter(self, _: str) -> None:
        """Open the app by the address that the store led to before."""
        if self.start is None:
            raise CannotDo("the store has not led to the app yet")
        self._at("")
        self._show(self.browser.get(self.start))
        self.let_in("")

    def uninstall(self, _: str) -> None:
        self._press("/uninstall")

    def pay_in(self, points: str) -> None:
        self._press("/points", points=points)

    def close(self, _: str) -> None:
        self._press("/close")

    def pay(self, _: str) -> None:
        """Everything that the shop's page says is to be paid."""
        page = self._at("")
        while form := next((one for one in page.forms() if "/bills/" in one.action), None):
            page = self._sent(page, form)

    def turn(self, to: str) -> None:
        """Turn the calendar, and wait until it stands."""
        step = {"step": to} if not to.startswith("to ") else {"day": to.removeprefix("to ")}
        before = self.desk.read("/calendar.json")
        page = self.desk.press("/calendar", **step)
        until = time.monotonic() + MOST_SECONDS
        while "turning" in (mark.get("state") for mark in page.marks):
            if time.monotonic() > until:
                raise CannotDo("the calendar turns and turns")
            time.sleep(GLANCE)
            page = self.browser.get(self.desk.platform + HOME)
        if self.desk.read("/calendar.json") == before:
            raise CannotDo("the calendar stands where it stood")

    def cron(self, daily: str) -> None:
        self.desk.press("/calendar/daily", daily=daily)

    def weather(self, kind: str) -> None:
        self.desk.press("/weather", kind=kind, times="1", seconds="1", account=self.account)

    # In the app

    def open(self, what: str) -> None:
        match what:
            case "store":
                self._show(self._at("/app"))
            case "piece":
                self._open_item("piece")
            case _:
                self._open_place(what)

    def buy(self, _: str) -> None:
        """Press the button of the option."""
        self._buy("option")

    def take(self, times: str) -> None:
        """Take so many pieces on account, one by one."""
        for _ in range(int(times)):
            self._buy("piece")

    def press_again(self, _: str) -> None:
        if self.bought is None:
            raise CannotDo("no button was pressed before")
        self._show(self.browser.send(*self.bought))

    def remove(self, _: str) -> None:
        """Press the button to uninstall, on the app's own page."""
        form = self.page.form_to("/removal") if self.page else None
        if form is None or self.page is None:
            raise CannotDo("the page has no button to uninstall")
        self._show(self.browser.send(self.page, form))

    def resolve(self, said: str) -> None:
        """As the app's operator, in another browser: say what became of the last purchase."""
        code = self._code()
        operator = Browser()
        assert self.desk.street.operator
        page = operator.get(self.desk.street.operator())
        page = operator.send(page, next(iter(page.forms("main form"))))
        for link in page.links("nav a[href]"):
            page = operator.get(link)
            form = next(iter(page.forms(f'[data-case="{code}"] form')), None)
            if form:
                self.shots.append(Shot(self.words, operator.send(page, form, state=said)))
                return
        raise CannotDo(f"no page of the operator's has {code}")

    def _buy(self, kind: str) -> None:
        page = self._open_item(kind)
        form = next((form for form in page.forms("main form") if form.method == "POST"), None)
        if form is None:
            raise CannotDo("there is no button")
        self.bought = (page, form)
        self._show(self.browser.send(page, form))

    def _open_item(self, kind: str) -> Page:
        if kind not in self.items:
            raise NotApplicable(f"the app sells no {kind}")
        for page in self._shelves():
            links = page.links(f'[data-item="{self.items[kind]}"] a[href]')
            if links:
                return self._show(self.browser.get(links[0]))
        raise CannotDo(f"the {kind} is not on the shelf")

    def _shelves(self) -> Iterator[Page]:
        page, seen = self._open_place("shelf"), set()
        while page:
            seen.add(page.url)
            yield page
            more = [link for link in page.links("main nav a[href]") if link not in seen]
            page = self.browser.get(more[-1]) if more else None  # type: ignore[assignment]  # the end

    def _open_place(self, kind: str) -> Page:
        """Follow the link of the app that leads to such a page."""
        if self.inside is None:
            raise CannotDo("the app is not open")
        for link in self.inside.links("header nav a[href]"):
            page = self.browser.get(link)
            if page.kind == kind:
                return self._show(page)
        raise CannotDo(f"no link leads to the {kind}")

    def _code(self) -> str:
        marks = self.page.marks if self.page else []
        code = next((mark["payment"] for mark in marks if "payment" in mark), None)
        if code is None:
            raise CannotDo("the page shows no purchase")
        return code

    def _at(self, path: str) -> Page:
        """A page of one's own shop at the store."""
        return self.browser.get(f"{self.desk.platform}/shops/{self.account}{path}")

    def _press(self, path: str, **fields: str) -> None:
        self._show(self.desk.press(f"/shops/{self.account}{path}", **fields))

    def _sent(self, page: Page, form: Form) -> Page:
        before, after = len(page.forms()), self.browser.send(page, form)
        if len(after.forms()) >= before:
            raise CannotDo("it could not be paid")
        return self._show(after)

    def _show(self, page: Page) -> Page:
        """This is what the owner looks at now. What stands in the app, the store has not seen."""
        self.page = page
        self.shots.append(Shot(self.words, page))
        if page.origin != self.desk.platform and page.kind:
            told = {"step": str(self.step), "account": self.account, "facts": json.dumps(page.facts)}
            self.desk.press(f"/desk/walks/{self.walk}/seen", **told)
            if page.all("header nav a[href]") and page.status == 200:
                self.inside = page
        return page


def play(street: Street, book: Json, walkthrough: Json) -> Walk:
    """Play one walkthrough in new shops, and hear from the store how it went."""
    walk, began = Walk(walkthrough, ""), time.monotonic()
    try:
        _check(street, book, walkthrough)
        _play(street, book, walk)
    except NotApplicable as why:
        walk.verdict, walk.reason = "not-applicable", str(why)
    except Unreachable as why:
        Browser().get(f"{street.platform}/desk/walkthroughs.json")  # without a store nothing can be said
        walk.verdict, walk.reason = "missed", f"it could not be played: {why}"
    except (CannotDo, Stopped, LookupError, ValueError, AssertionError) as why:
        walk.verdict, walk.reason = "missed", f"it could not be played: {type(why).__name__} {why}"
    walk.seconds = time.monotonic() - began
    return walk


def _check(street: Street, book: Json, walkthrough: Json) -> None:
    has = {**book["has"], "operator": street.operator is not None}
    for need in walkthrough["needs"]:
        if not has.get(need):
            raise NotApplicable(LACKING[need])


def _play(street: Street, book: Json, walk: Walk) -> None:
    name = walk.walkthrough["name"]
    desk = Desk(street, HOME)
    page = desk.press(f"/desk/walkthroughs/{name}/begin")
    found = re.search(r"/desk/walks/(\d+)$", urlsplit(page.url).path)
    if not found:
        raise Unreachable(f"{street.platform} did not begin {name}: {page.url} {page.status}")
    begun = f"/desk/walks/{found[1]}"
    account = desk.read(f"{begun}.json")["people"][walk.walkthrough["who"]]
    owner = Owner(desk, int(found[1]), account, book["items"])
    try:
        for number, step in enumerate(walk.walkthrough["steps"]):
            walk.steps.append(take_step(owner, number, step))
    except NotApplicable as why:
        desk.press(f"{begun}/seen", step=str(owner.step), seen="not-applicable", reason=str(why))
        raise
    found_out = desk.read(f"{begun}.json")
    walk.verdict, walk.ticks = found_out["verdict"], found_out["steps"]
    walk.happenings = found_out["happenings"]


_VERBS: Mapping[str, Callable[[Owner, str], None]] = {
    "open": Owner.open,
    "install": Owner.install,
    "let in": Owner.let_in,
    "enter": Owner.enter,
    "buy": Owner.buy,
    "press again": Owner.press_again,
    "take": Owner.take,
    "turn": Owner.turn,
    "cron": Owner.cron,
    "weather": Owner.weather,
    "points": Owner.pay_in,
    "pay": Owner.pay,
    "close": Owner.close,
    "uninstall": Owner.uninstall,
    "remove": Owner.remove,
    "resolve": Owner.resolve,
}
