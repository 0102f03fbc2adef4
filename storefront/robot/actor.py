"""Playing the people of a walkthrough: each verb of its steps, at their browsers."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from threading import Thread
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from storefront.robot.buyer import Browser, Form, Page, Stopped, Unreachable, app_path, origin
from storefront.robot.desk import CannotDo, Desk
from storefront.robot.shop import FEW, LACKING, MOST_ON_A_PHONE, Item, Json, NotApplicable, Shop

MOST_SECONDS = 90  # that the robot waits
ADULT = 30  # years, where somebody is asked
GLANCE = 0.3
FORBIDDEN, NOT_FOUND = 403, 404
STOPPED = "stopped"  # in place of a page that a browser would not have shown
VIEWER, SIGNATURE = "opensocial_viewer_id", "oauth_signature"  # in a start address
# What somebody may add to a form of theirs: another price, another name, a purchase that costs nothing.
ADDED = {
    **dict.fromkeys(("points", "price", "amount", "is_test"), "1"),
    **dict.fromkeys(("opensocial_owner_id", VIEWER), "x" * 13),
}


@dataclass
class Person:
    """Somebody at their devices: what their browser shows, and the screens they have open."""

    key: str
    browser: Browser
    device: str
    page: Page | None = None
    places: Page | None = None  # the last page with a way to all places
    bag: Page | None = None
    bought: tuple[Page, Form] | None = None
    used: tuple[Page, Form] | None = None
    screen: str | None = None
    screens: list[str] = field(default_factory=list)
    outside: str | None = None
    town: Page | None = None
    used_there: tuple[Page, Form] | None = None
    back: str | None = None  # where the provider sends them afterwards
    start: str | None = None
    born: int | None = None


@dataclass
class Shot:
    """A page as it was seen, and what had been pressed for it."""

    words: str
    page: Page


class Actor:
    """Plays the people of one stage."""

    def __init__(self, desk: Desk, shop: Shop, who: str, device: str) -> None:
        self.desk, self.shop, self.device = desk, shop, device
        self.folk: dict[str, Person] = {}
        self.who = who
        self.item: Item | None = None
        self.walk: int | None = None
        self.step = 0
        self.shots: list[Shot] = []
        self.words = ""
        self.asks_ages = True
        self.threads: list[Thread] = []

    @property
    def me(self) -> Person:
        if self.who not in self.folk:
            self.folk[self.who] = Person(self.who, self.desk.browser(), self.device)
        return self.folk[self.who]

    def do(self, words: str) -> None:
        """One verb, with what follows it."""
        self.words = words
        verb = max((verb for verb in _VERBS if words == verb or words.startswith(f"{verb} ")), key=len)
        try:
            _VERBS[verb](self, words[len(verb) :].strip())
        except Stopped:
            self._tell({"page": STOPPED, "status": FORBIDDEN})
            raise

    def finish_step(self) -> None:
        for thread in self.threads:
            thread.join()
        self.threads.clear()

    # Opening the app, and its places

    def open_app(self, how: str = "") -> None:
        words = how.split()
        if words and words[0] in ("mobile", "smartphone", "pc"):
            self.me.device = words.pop(0)
        match words:
            case ["again"]:
                return self._show(self._opened(partial(self.me.browser.get, self._started())))
            case ["elsewhere"]:
                return self._show(self._opened(partial(Browser().get, self._started())))
            case ["as", other]:
                fields = {"persona": other, "device": self.me.device}
                return self._show(
                    self.desk.press("/desk/actions/start-of-another", self.me.browser, **fields)
                )
            case ["by", "post"]:
                return self._open_by_post()
            case ["altered" | "unsigned" as how]:
                return self._open_forged(how)
        window = {} if words == ["framed"] else {"window": "own"}
        self._start(window)
        return None

    def _start(self, window: Mapping[str, str]) -> None:
        me = self.me
        page = self.desk.press(f"/phone/{me.device}", me.browser, persona=me.key, **window)
        frames = [str(one.get("src")) for one in page.all("iframe[src]")]
        if page.origin == self.desk.platform and frames and page.kind is None:
            page = me.browser.get(frames[0], frame_of=self.desk.platform)
        if page.waits:
            time.sleep(page.waits)
            page = self._opened(partial(me.browser.get, page.url, frame_of=page.frame_of))
        me.start = next((hop for hop in (*frames, *page.hops) if origin(hop) != self.desk.platform), None)
        self._show(page)

    def _opened(self, look: Callable[[], Page]) -> Page:
        """What a start address leads to; whoever is asked to come back in some seconds does so."""
        page, until = look(), time.monotonic() + MOST_SECONDS
        while page.waits and time.monotonic() + page.waits < until:
            time.sleep(page.waits)
            page = look()
        return page

    def _open_by_post(self) -> None:
        self.desk.press(f"/phone/{self.me.device}", self.me.browser, persona=self.me.key, window="own")
        self._show(self._opened(partial(self.me.browser.send, *self._start_form())))

    def _open_forged(self, how: str) -> None:
        """A start address that nobody has opened, in another browser: altered, or with no signature."""
        page, form = self._start_form()
        fields = {name: value for name, value in form.fields if how == "altered" or name != SIGNATURE}
        if how == "altered":
            fields[VIEWER] += "x"
        forged = replace(form, fields=tuple(fields.items()))
        self._show(self._opened(partial(Browser().send, page, forged)))

    def _start_form(self) -> tuple[Page, Form]:
        page = self.desk.press(f"/developer/starts/{self.me.device}", self.me.browser)
        form = next((one for one in page.forms("form[data-start]")), None)
        if form is None:
            raise CannotDo("there is no form that opens the app")
        return page, form

    def _started(self) -> str:
        """The last start address of the person in hand."""
        if self.me.start is None:
            raise CannotDo("no start address was opened before")
        return self.me.start

    def open(self, what: str) -> None:
        kind, _, how = what.partition(" ")
        match kind:
            case "item":
                self.open_item()
            case "finish":
                self._open_finish()
            case "warning":
                self._open_warning(how)
            case "bag" if how:
                self._open_bag_of(how.removeprefix("of "))
            case "legal" if self.me.page and self.me.page.kind == "item":
                self._open_from(self._button()[0], "main a[href]", "legal")
            case _:
                self._open_place(kind)

    def _open_place(self, kind: str) -> None:
        places = self.me.places
        if places is None:
            raise CannotDo("the app is not open")
        self._open_from(places, "a[href]", kind)

    def _open_from(self, page: Page, selector: str, kind: str) -> None:
        """Follow the link that leads to such a page: one that is known, or the first that does."""
        links = [link for link in page.links(selector) if self._is_of_app(link, page)]
        known = [link for link in links if self.shop.places.get(app_path(link)) == kind]
        for link in known[:1] or [link for link in links if app_path(link) not in self.shop.places]:
            found = self.me.browser.get(link, frame_of=page.frame_of)
            self._learn(found)
            if known or found.kind == kind:
                return self._show(found)
        raise CannotDo(f"no link leads to the {kind}")

    def _path(self, kind: str) -> str:
        """Where such a page stands, as far as the shop was looked at."""
        return next((path for path, known in self.shop.places.items() if known == kind), "/")

    def _is_of_app(self, link: str, page: Page) -> bool:
        """Whether a link stays in the app: in the container that is one address, which names the page."""
        in_container = page.origin == self.desk.platform
        is_there = not in_container or urlsplit(link).path == urlsplit(page.url).path
        return origin(link) == page.origin and is_there

    def _open_bag_of(self, who: str) -> None:
        """The address of the bag with somebody else's name in it, in this one's browser."""
        fields = {"persona": who, "path": self._path("bag")}
        self._show(self.desk.press("/desk/actions/open-claimed", self.me.browser, **fields))

    def open_item(self) -> None:
        assert self.item
        self._open_place("shelf")
        for page in self.shelves():
            links = page.links(f'[data-item="{self.item.id}"] a[href]')
            if links:
                return self._show(self.me.browser.get(links[0], frame_of=page.frame_of))
        raise CannotDo("the item is not on the shelf")

    def shelves(self) -> Iterator[Page]:
        """The pages of the shelf, beginning with the one that is open."""
        page, seen = self.me.page, set()
        while page is not None and page.kind == "shelf":
            seen.add(page.url)
            yield page
            more = [link for link in page.links("main nav a[href]") if link not in seen]
            page = self.me.browser.get(more[-1], frame_of=page.frame_of) if more else None

    def _open_finish(self) -> None:
        """The page after a purchase, opened by hand: as if all had gone well."""
        if self.me.back:
            self._type(self.me.back)
            return
        if not self.shop.finish:
            raise CannotDo("no purchase has shown where the buyer goes afterwards")
        address = urlsplit(self.shop.finish)
        fields = dict(parse_qsl(address.query)) | {"point_code": self._code(), "status": "10"}
        self._type(urlunsplit(address._replace(query=urlencode(fields))))

    def _open_warning(self, how: str) -> None:
        me = self.me
        if how == "unapproved":
            return self._open_unapproved()
        if how == "typed":
            if not self.shop.warning[0]:
                raise CannotDo("no address of a warning is known")
            return self._type(self.shop.warning[0])
        page = me.page
        ways = page.links("[data-way] a[href], a[data-way][href]") if page else []
        if not ways or page is None:
            raise CannotDo("the page shows no way out")
        self._show(me.browser.get(ways[0], frame_of=page.frame_of))
        self.shop.warning = (ways[0].partition("?")[0], self.item.id if self.item else "")
        return None

    def _open_unapproved(self) -> None:
        """The warning of an item whose price outside is not approved: typed, since no page shows the way."""
        address, known = self.shop.warning
        if not known or known not in address:
            raise CannotDo("no address of a warning is known")
        pages = [self._typed(address.replace(known, item.id)) for item in self.shop.items]
        priced = [page for page in pages if page.status != NOT_FOUND]
        closed = [page for page in priced if page.status == FORBIDDEN]
        if not closed and self.desk.street.is_new and len(priced) > 1:
            closed = priced[-1:]  # a new demo's papers name every price but this one
        if not closed:
            raise NotApplicable("every price outside is approved")
        self._show(closed[0])

    def _type(self, address: str) -> None:
        self._show(self._typed(address))

    def _typed(self, address: str) -> Page:
        """An address of the app, typed by hand: on a mobile phone into the container's."""
        me = self.me
        if me.device == "mobile" and me.places:
            container = me.places.url.partition("?")[0]
            address = f"{container}?guid=ON&url={quote(address, safe='')}"
        return me.browser.get(address)

    # Buying

    def buy(self, how: str) -> None:
        match how:
            case "all":
                return self._buy_all()
            case "rest":
                return self._buy_rest()
            case "until refused":
                return self._buy_until_refused()
            case "dearest":
                self.item = self._dearest()
        page, form = self._button()
        me = self.me
        me.bought = (page, form)
        if how == "altered":
            return self._show(me.browser.send(page, _altered(form), **ADDED))
        if how == "meanwhile":
            thread = Thread(target=self._quietly, args=(me.browser, page, form), daemon=True)
            self.threads.append(thread)
            thread.start()
            time.sleep(GLANCE)
            return None
        if how == "twice":
            other = Thread(target=self._quietly, args=(me.browser, page, form), daemon=True)
            other.start()
            shown = me.browser.send(page, form)
            other.join()
            if shown.kind == "being-prepared":  # the first press was still under way; one presses once more
                shown = me.browser.send(page, form)
            return self._show(shown)
        return self._show(me.browser.send(page, form))

    def _quietly(self, browser: Browser, page: Page, form: Form) -> None:
        try:
            browser.send(page, form)
        except (Stopped, Unreachable):
            return

    def _button(self) -> tuple[Page, Form]:
        """The page that sells the item, and the form with its button."""
        self.me.screen = None
        page = self.at_item()
        if _said(page, "reason") == "age_unknown" and self.asks_ages and self.me.born is None:
            self.say_age(str(ADULT))
            page = self.at_item()
        form = next((form for form in page.forms("main form") if form.method == "POST"), None)
        if form is None:
            raise CannotDo(f"there is no buy button ({_said(page, 'reason') or 'and no reason'})")
        return page, form

    def at_item(self) -> Page:
        page = self.me.page
        if page is None or page.kind != "item" or self.item is None or _said(page, "item") != self.item.id:
            self.open_item()
        assert self.me.page
        return self.me.page

    def _buy_all(self) -> None:
        """A payment screen more than there are pieces left."""
        left = self._left()
        for _ in range(left + 1):
            self.buy("")

    def _buy_rest(self) -> None:
        """First the screens, then the presses: on a slow machine a tap would find the first of them void."""
        before = len(self.me.screens)
        for _ in range(self._left()):
            self.buy("")
        for screen in self.me.screens[before:]:
            self._decide(screen, "/buy")

    def _left(self) -> int:
        self.open_item()
        left = _said(self.at_item(), "left")
        if left is None or int(left) > FEW:
            raise NotApplicable(LACKING["few"])
        return int(left)

    def _buy_until_refused(self) -> None:
        """The dearest that everybody may buy, until the shop says that it is enough."""
        self.item = self._dearest()
        for _ in range(FEW * 2):
            self.open_item()
            if _said(self.at_item(), "reason"):
                return
            self.buy("")
            self.confirm("")

    def _dearest(self) -> Item:
        plain = [item for item in self.shop.items if item.is_plain and item.amount <= MOST_ON_A_PHONE]
        return max(plain, key=lambda item: item.amount)

    def press_again(self, _: str) -> None:
        if self.me.bought is None:
            raise CannotDo("no button was pressed before")
        self._show(self.me.browser.send(*self.me.bought))

    def press_bare(self, _: str) -> None:
        """The same without what the shop has put into the form, but for which item it is."""
        if self.me.bought is None or self.item is None:
            raise CannotDo("no button was pressed before")
        page, form = self.me.bought
        told = tuple((name, value) for name, value in form.fields if value == self.item.id)
        self._show(self.me.browser.send(page, replace(form, fields=told)))

    def press_of(self, who: str) -> None:
        """A button of somebody else's page, pressed in this one's browser."""
        other = self.folk.get(who)
        if other is None or other.bought is None:
            raise CannotDo("no button was pressed before")
        self._show(self.me.browser.send(*other.bought))

    # At the payment screen

    def confirm(self, which: str) -> None:
        me = self.me
        if which == "all":
            screens = list(me.screens)
        elif which:
            screens = me.screens[int(which) - 1 :][:1]
        else:
            screens = [me.screen] if me.screen else []
        if not screens:
            raise CannotDo("no payment screen is open")
        for screen in screens:
            self._decide(screen, "/buy")

    def cancel(self, _: str) -> None:
        if self.me.screen is None:
            raise CannotDo("no payment screen is open")
        self._decide(self.me.screen, "/cancel")

    def top_up(self, _: str) -> None:
        page = self._at_screen(self.me.screen)
        form = page.form_to("/top-up")
        points = [button for button in form.buttons if button[0] == "points"] if form else []
        if form is None or not points:
            raise CannotDo("the screen offers no points")
        self._show(self.me.browser.send(page, form, **dict(points[:1])))

    def _decide(self, screen: str, ending: str) -> None:
        page = self._at_screen(screen)
        form = page.form_to(ending)
        if form is None:
            raise CannotDo(f"the screen has no form that leads to {ending}")
        self._show(self.me.browser.send(page, form))

    def _at_screen(self, screen: str | None) -> Page:
        if screen is None:
            raise CannotDo("no payment screen is open")
        page = self.me.page
        if page is None or page.url != screen:
            frame = self.me.places.frame_of if self.me.places else None
            page = self.me.browser.get(screen, frame_of=frame)
            self._show(page)
        return page

    def leave(self, _: str) -> None:
        self._show(self.me.browser.get(self.desk.platform + "/"))

    def go_back(self, _: str) -> None:
        page = self.me.page
        links = page.links("a[data-finish], a[data-back]") if page else []
        if not links or page is None:
            raise CannotDo("the page has no way back to the app")
        self._show(self.me.browser.get(links[0], frame_of=page.frame_of))

    # What one has

    def use(self, how: str) -> None:
        me = self.me
        if how == "again" and me.used:
            return self._show(me.browser.send(*me.used))
        if me.bag is None or self.item is None:
            raise CannotDo("the bag was not opened")
        forms = me.bag.forms(f'[data-item="{self.item.id}"] form')
        if not forms:
            raise CannotDo("the bag has no button to use the item")
        me.used = (me.bag, forms[0])
        return self._show(me.browser.send(*me.used))

    def say_age(self, years: str) -> None:
        """The shop asks when one was born: this many years ago."""
        me = self.me
        page = self.at_item()
        self._open_from(page, "main a[href]", "age")
        asked = me.page
        form = (
            next((form for form in asked.forms("main form") if len(form.asked) > 1), None) if asked else None
        )
        if form is None or asked is None:
            raise CannotDo("the shop asks nobody's age")
        born = date.today()
        year, month = form.asked[:2]
        me.born = born.year - int(years)
        self._show(
            me.browser.send(asked, form, **{year: str(me.born), month: "1" if born.month > 1 else "12"})
        )

    # At the payment provider

    def outside(self, how: str) -> None:
        me = self.me
        if how in ("refund", "expire"):
            return self._at_provider({"refund": "/refunds/", "expire": "/expired"}[how])
        if me.outside is None:
            self._go_outside()
        if how == "open":
            return None
        assert me.outside
        page = me.browser.get(me.outside)
        if how == "again":
            return self._show(page)
        form = page.form_to(f"/{how}")
        if form is None:
            raise CannotDo(f"the provider's page has no form to {how}")
        self._show(me.browser.send(page, form))
        return None

    def _go_outside(self) -> None:
        me = self.me
        page = me.page
        form = next((form for form in page.forms("main form")), None) if page else None
        if form is None or page is None or page.kind != "warning":
            raise CannotDo("the warning is not open, or has no way on")
        # The form opens a window of its own, in no frame.
        window = Page(page.url, page.status, page.headers, page.body)
        shown = me.browser.send(window, form)
        me.outside, me.back = shown.url, _back(shown)
        self._show(shown)

    def _at_provider(self, ending: str) -> None:
        """Press what the provider's own page has for this payment."""
        me = self.me
        if me.outside is None:
            raise CannotDo("nothing was paid outside")
        payment = me.browser.get(me.outside)
        code = next((one.get("data-payment") for one in payment.all("main[data-payment]")), None)
        overview = me.browser.get(f"{origin(me.outside)}/")
        forms = overview.forms(f'[data-payment="{code}"] form')
        form = next((form for form in forms if ending in urlsplit(form.action).path), None)
        if form is None:
            raise CannotDo(f"the provider has nothing to press for {ending}")
        self._show(me.browser.send(overview, form))

    # In the game

    def town(self, how: str) -> None:
        me = self.me
        if how == "look":
            home = me.browser.get(f"{self.desk.platform}/")
            links = home.links(f'[data-persona="{me.key}"] a[data-town]')
            if not links:
                raise CannotDo("no link leads to the town")
            me.town = me.browser.get(links[0])
            return self._show(me.town)
        if how == "use":
            forms = me.town.forms(f'[data-item="{self.item.id}"] form') if me.town and self.item else []
            if not forms or me.town is None:
                raise CannotDo("the town has no button to use the item")
            me.used_there = (me.town, forms[0])
        if me.used_there is None:
            raise CannotDo("nothing was used in the town")
        me.town = me.browser.send(*me.used_there)
        return self._show(me.town)

    # What platforms and people do beside

    def play_as(self, who: str) -> None:
        self.who = who
        self.open_app()

    def send(self, what: str) -> None:
        me, code = self.me, self._code
        match what:
            case "replayed":
                self.desk.press(f"/log/{self._callback_row()}/resend", nonce="same")
            case "bought" | "cancelled":
                self.desk.press("/desk/actions/send", payment=code(), decision=what)
            case "container":
                for how in ("bare", "wrong", "another"):
                    fields = {"payment": code(), "how": how}
                    self._show(self.desk.press("/desk/actions/callback-by-phone", me.browser, **fields))
            case "another_word":
                self.desk.press("/desk/actions/send", payment=code(), decision="bought", fault="another")
            case "events":
                self.desk.press("/desk/actions/send-events")
            case "forged_event":
                for by in ("nobody", "consumer"):
                    self.desk.press("/desk/actions/forged-event", persona=me.key, type="remove", by=by)
            case "unsigned_page":
                self.desk.press("/desk/actions/open-unsigned", persona=me.key, path=self._path("bag"))
            case "notice_forged" | "notice_sum" | "notice_currency":
                self._at_provider(f"/{what.removeprefix('notice_')}")
            case _:
                self.desk.press("/desk/actions/send", payment=code(), decision="bought", fault=what)

    def switch(self, words: str) -> None:
        name, _, to = words.partition(" ")
        self.desk.press(f"/desk/switches/{name}", on="yes" if to == "on" else "no")

    def turn_clock(self, to: str) -> None:
        self.desk.press("/desk/clock", **({"to": "now"} if to == "now" else {"seconds": to}))

    def weather(self, words: str) -> None:
        if words == "clear":
            self.desk.press("/desk/weather/clear")
            return
        found = re.fullmatch(r"([a-z0-9_.]+)(?::(-?\d+))?(?:\*(\d+))?(?: (create|confirm))?", words)
        assert found, words
        fields = dict(zip(("kind", "seconds", "next", "api"), found.groups(), strict=True))
        self.desk.press("/desk/weather", **{name: value for name, value in fields.items() if value})

    def remove_app(self, _: str) -> None:
        self.desk.press("/desk/actions/remove-app", persona=self.me.key)

    def pay_back(self, which: str) -> None:
        codes = self._completed() if which == "all" else [self._code()]
        for code in codes:
            self.desk.press("/desk/actions/pay-back", payment=code)

    def rotate_key(self, _: str) -> None:
        self.desk.press("/desk/actions/rotate-key", device=self.me.device)

    def wait(self, until: str) -> None:
        street = self.desk.street
        match until:
            case "void":
                time.sleep(street.void_after + 1.5)
            case "pause":
                time.sleep(street.confirm_pause + 1)
            case "parked":
                self._wait_parked(street.payment_seconds)
            case "withdrawn":
                raise NotApplicable("somebody has to take the item out of the catalogue meanwhile: by hand")
            case "stopped":
                raise NotApplicable("somebody has to stop the selling meanwhile: by hand")

    def _wait_parked(self, seconds: int) -> None:
        if seconds > MOST_SECONDS:
            why = f"the shop completes a payment for {seconds} seconds, and the robot waits {MOST_SECONDS}"
            raise NotApplicable(why)
        until = time.monotonic() + seconds + 1
        while time.monotonic() < until:
            time.sleep(min(20.0, max(0.0, until - time.monotonic())))
            if self.me.screen:
                self.me.browser.get(self.me.screen)

    # What the desk knows

    def happenings(self) -> Sequence[Json]:
        found: list[Json] = []
        while True:
            after = found[-1]["id"] if found else 0
            more: Sequence[Json] = self.desk.read_list(f"/desk/happenings.json?after={after}")
            if not more:
                return found
            found += more

    def _code(self) -> str:
        made = [one["point_code"] for one in self.happenings() if one["name"] == "payment_created"]
        if not made:
            raise CannotDo("no payment was made yet")
        return str(made[-1])

    def _completed(self) -> list[str]:
        return [str(one["point_code"]) for one in self.happenings() if one["name"] == "payment_completed"]

    def _callback_row(self) -> int:
        rows = [one["wire"] for one in self.happenings() if one["name"] == "callback_answered"]
        if not rows:
            raise CannotDo("no callback was sent yet")
        return int(rows[-1].rpartition("/")[2])

    # What is seen

    def _show(self, page: Page) -> None:
        """This is what the person looks at now."""
        me = self.me
        me.page = page
        self.shots.append(Shot(self.words, page))
        if urlsplit(page.url).path.startswith("/point/") and page.origin == self.desk.platform:
            me.screens += [page.url] if page.url not in me.screens else []
            me.screen = page.url
        if page.origin != self.desk.platform and (page.kind or page.screen):
            self._tell({**page.facts, "screen": page.screen})
        if page.kind is None:
            return
        self._learn(page)
        if page.kind == "bag":
            me.bag = page
        if page.all("header nav a[href]") and page.kind not in ("door", "change"):
            me.places = page

    def _learn(self, page: Page) -> None:
        """Which page stands at its path, and where an opened app began."""
        if page.kind in ("shelf", "bag", "history", "legal", "age") and page.status == 200:
            with self.shop.lock:
                self.shop.places.setdefault(app_path(page.url), page.kind)

    def _tell(self, facts: Json) -> None:
        """What the desk has not seen: a page on the shop's own domain or the provider's, or none at all."""
        if self.walk is None:
            return
        fields = {"step": str(self.step), "persona": self.me.key, "device": self.me.device}
        self.desk.press(f"/desk/walks/{self.walk}/seen", facts=json.dumps(facts), **fields)


def _back(page: Page) -> str | None:
    """The address of the app that stands in one of those that led here."""
    queries = (dict(parse_qsl(urlsplit(hop).query)) for hop in page.hops)
    return next((query["back"] for query in queries if "back" in query), None)


def _altered(form: Form) -> Form:
    """A form in which every number is 1."""
    fields = tuple((name, "1" if value.isdigit() else value) for name, value in form.fields)
    return replace(form, fields=fields)


def _said(page: Page, name: str) -> str | None:
    """The first fact of this name on a page."""
    return next((mark[name] for mark in page.marks if name in mark), None)


_VERBS: Mapping[str, Callable[[Actor, str], None]] = {
    "open app": Actor.open_app,
    "open": Actor.open,
    "buy": Actor.buy,
    "press again": Actor.press_again,
    "press bare": Actor.press_bare,
    "press of": Actor.press_of,
    "confirm": Actor.confirm,
    "cancel": Actor.cancel,
    "top up": Actor.top_up,
    "leave": Actor.leave,
    "return": Actor.go_back,
    "use": Actor.use,
    "send": Actor.send,
    "switch": Actor.switch,
    "turn clock": Actor.turn_clock,
    "remove app": Actor.remove_app,
    "pay back": Actor.pay_back,
    "rotate key": Actor.rotate_key,
    "as": Actor.play_as,
    "outside": Actor.outside,
    "town": Actor.town,
    "wait": Actor.wait,
    "weather": Actor.weather,
    "say age": Actor.say_age,
}
