"""A buyer's browser: cookies, links and forms, and the rules by which a browser stops."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.cookiejar import Cookie
from typing import Any, cast
from urllib.parse import parse_qs, urljoin, urlsplit

import requests
from lxml import etree, html
from lxml.html import FormElement, HtmlElement
from requests.adapters import HTTPAdapter

SECONDS = 40  # a payment screen may wait for the app as long as a callback may take, and longer
MOST_REDIRECTS = 10
UNAVAILABLE = 503
PREFIX = "data-"
NUMBER = re.compile(r"\d[\d,.]*")  # 4,800
DEFAULT_PORTS = {"http": 80, "https": 443}


class Stopped(Exception):
    """A browser would not have gone on here; says why."""


class Unreachable(Exception):
    """Nobody answered at an address."""


@dataclass(frozen=True)
class Form:
    """A form as it stands on a page: where it leads, what it sends, and its buttons."""

    action: str
    method: str
    fields: tuple[tuple[str, str], ...]
    buttons: tuple[tuple[str, str], ...]
    asked: tuple[str, ...]  # the fields somebody has to fill in, in their order

    def sends(self, **more: str) -> dict[str, str]:
        return {**dict(self.fields), **more}


@dataclass(frozen=True)
class Page:
    """What a browser shows: an address, a status, and a document."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    frame_of: str | None = None  # the origin of the page around it
    hops: tuple[str, ...] = ()  # the addresses that led to it by redirects

    @property
    def root(self) -> HtmlElement | None:
        kind = self.headers.get("Content-Type", "")
        if "html" not in kind or not self.body.strip():
            return None
        charset = re.search(r"charset=([\w-]+)", kind)
        parser = html.HTMLParser(encoding=charset[1] if charset else "utf-8")
        try:
            return html.document_fromstring(self.body, parser=parser)
        except (etree.ParserError, ValueError, LookupError):
            return None

    @property
    def origin(self) -> str:
        return origin(self.url)

    @property
    def waits(self) -> int:
        """After how many seconds it asks to be looked at again; 0 if it does not."""
        told = self.headers.get("Retry-After", "") if self.status == UNAVAILABLE else ""
        return int(told) if told.isdecimal() else 0

    @property
    def facts(self) -> dict[str, Any]:
        """Which page it is, and the data attributes of each element that has some.

        Of an item, whether its amount is there for people to read, too: its `price`.
        """
        root = self.root
        found = [] if root is None else [mark for one in root.iter(etree.Element) if (mark := _marks(one))]
        kind = next((mark.pop("page") for mark in found if "page" in mark), None)
        if root is not None and kind == "item":
            _price(root, found)
        return {
            "status": self.status,
            "path": app_path(self.url),
            "page": kind,
            "marks": [mark for mark in found if mark],
        }

    @property
    def kind(self) -> str | None:
        kind: str | None = self.facts["page"]
        return kind

    @property
    def marks(self) -> list[dict[str, str]]:
        marks: list[dict[str, str]] = self.facts["marks"]
        return marks

    @property
    def screen(self) -> str | None:
        """Which screen of the platform's or the provider's it is."""
        found = self.all("main[data-screen]")
        return str(found[0].get("data-screen")) if found else None

    def all(self, selector: str) -> list[HtmlElement]:
        root = self.root
        return [] if root is None else list(root.cssselect(selector))

    def links(self, selector: str = "a[href]") -> list[str]:
        """Absolute addresses of links; those that lead nowhere else are left out."""
        found = (str(one.get("href")) for one in self.all(selector))
        return [urljoin(self.url, href) for href in found if not href.startswith("#")]

    def forms(self, selector: str = "form") -> list[Form]:
        return [_form(self, one) for one in self.all(selector) if isinstance(one, FormElement)]

    def form_to(self, ending: str) -> Form | None:
        """The form whose address ends so."""
        return next((one for one in self.forms() if urlsplit(one.action).path.endswith(ending)), None)


@dataclass
class Browser:
    """One browser. `heard` is told of every answer, redirects too."""

    heard: Callable[[requests.Response], None] = lambda answer: None
    http: requests.Session = field(default_factory=lambda: session())

    def get(self, url: str, *, frame_of: str | None = None) -> Page:
        return self._go("GET", url, None, policy="", frame_of=frame_of)

    def send(self, page: Page, form: Form, **more: str) -> Page:
        """Press a form's button on this page. The page's own policy says where forms may lead."""
        policy = page.headers.get("Content-Security-Policy", "")
        data = form.sends(**more)
        return self._go(form.method, form.action, data, policy=policy, frame_of=page.frame_of, page=page.url)

    def _go(
        self,
        method: str,
        url: str,
        data: Mapping[str, str] | None,
        *,
        policy: str,
        frame_of: str | None,
        page: str = "",
    ) -> Page:
        hops: list[str] = []
        for _ in range(MOST_REDIRECTS):
            if page and not allows(policy, "form-action", url, origin(page)):
                raise Stopped(f"form-action of {origin(page)} does not let the form lead to {origin(url)}")
            answer = self._exchange(method, url, data, page)
            location = answer.headers.get("Location")
            if not (300 <= answer.status_code < 400 and location):
                return self._shown(answer, url, frame_of, tuple(hops))
            if answer.status_code not in (307, 308):
                method, data = "GET", None
            hops.append(url)
            url = urljoin(url, location)
        raise Stopped(f"more than {MOST_REDIRECTS} redirects in a row, the last to {origin(url)}")

    def _exchange(
        self, method: str, url: str, data: Mapping[str, str] | None, page: str
    ) -> requests.Response:
        headers = {"Origin": origin(page)} if page and method == "POST" else {}
        try:
            answer = self.http.request(
                method, url, data=data, headers=headers, timeout=SECONDS, allow_redirects=False
            )
        except requests.RequestException as error:
            raise Unreachable(f"{origin(url)}: {type(error).__name__}") from None
        self.heard(answer)
        return answer

    def _shown(
        self, answer: requests.Response, url: str, frame_of: str | None, hops: tuple[str, ...]
    ) -> Page:
        policy = answer.headers.get("Content-Security-Policy", "")
        if frame_of:
            if not allows(policy, "frame-ancestors", frame_of, origin(url)):
                raise Stopped(f"frame-ancestors of {origin(url)} does not let {frame_of} show it in a frame")
            self._keep_out(answer, url, frame_of)
        return Page(url, answer.status_code, answer.headers, answer.content, frame_of, hops)

    def _keep_out(self, answer: requests.Response, url: str, frame_of: str) -> None:
        """A frame of another site gets no cookie that was not made for it: SameSite=None, and Secure."""
        if urlsplit(url).hostname == urlsplit(frame_of).hostname:
            return
        for cookie in cast(list[Cookie], list(answer.cookies)):
            if not is_for_frames(cookie):
                self.http.cookies.clear(cookie.domain, cookie.path, cookie.name)


def session() -> requests.Session:
    """A line of our own, through no proxy; several walks share no connection.

    Nor do two requests: whoever waits for minutes between two would meet a connection just being closed.
    """
    line = requests.Session()
    line.trust_env = False
    for scheme in ("http://", "https://"):
        line.mount(scheme, HTTPAdapter(max_retries=0, pool_maxsize=4))
    line.headers.update({"User-Agent": "Mozilla/5.0 (storefront walkthrough)", "Connection": "close"})
    return line


def origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def app_path(url: str) -> str:
    """The path of a page of the app, as it is written inside the container's addresses and outside."""
    inner = parse_qs(urlsplit(url).query).get("url")
    return urlsplit(inner[0] if inner else url).path


def is_for_frames(cookie: Cookie) -> bool:
    attributes: Mapping[str, Any] = {name.lower(): value for name, value in vars(cookie)["_rest"].items()}
    return str(attributes.get("samesite", "")).lower() == "none" and bool(cookie.secure)


def allows(policy: str, directive: str, url: str, own: str) -> bool:
    """Whether a Content-Security-Policy lets this directive's thing be at this address. Pure."""
    parts = (part.split() for part in policy.split(";") if part.strip())
    sources = next((words[1:] for words in parts if words[0].lower() == directive), None)
    return sources is None or any(_covers(source, url, own) for source in sources)


def _covers(source: str, url: str, own: str) -> bool:
    source = source.lower()
    if source == "'none'":
        return False
    if source == "'self'":
        return _site(url) == _site(own)
    if source == "*":
        return urlsplit(url).scheme in ("http", "https")
    if source.endswith(":"):
        return urlsplit(url).scheme == source[:-1]
    wanted = urlsplit(source if "://" in source else f"{urlsplit(own).scheme}://{source}")
    asked = urlsplit(url)
    if wanted.scheme != asked.scheme and (wanted.scheme, asked.scheme) != ("http", "https"):
        return False
    host, name = str(wanted.hostname), str(asked.hostname)
    is_host = name.endswith(host[1:]) if host.startswith("*.") else name == host
    port = wanted.netloc.rpartition(":")[2] if ":" in wanted.netloc else ""
    is_port = port == "*" or int(port or DEFAULT_PORTS[asked.scheme]) == _port(url)
    return is_host and is_port


def _site(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, str(parts.hostname), _port(url)


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or DEFAULT_PORTS.get(parts.scheme, 0)


def _marks(element: etree._Element) -> dict[str, str]:
    told = ((str(name), str(value)) for name, value in element.attrib.items())
    own = {name.removeprefix(PREFIX): value for name, value in told if name.startswith(PREFIX)}
    return {name: value for name, value in own.items() if name != "platform"}


def _price(root: HtmlElement, marks: list[dict[str, str]]) -> None:
    """Another counter's price, on the way out to it, does not count."""
    words = root.xpath("//main//text()[not(ancestor::*[@data-way])]")
    numbers = {re.sub(r"\D", "", found) for found in NUMBER.findall(" ".join(words))}
    for mark in marks:
        if "item" in mark and "amount" in mark:
            mark["price"] = "shown" if mark["amount"] in numbers else "missing"


def _form(page: Page, form: FormElement) -> Form:
    given = [one for one in form.iter("input", "select", "textarea") if one.get("name")]
    sent = [one for one in given if _is_sent(one)]
    asked = [one for one in given if str(one.get("type", "text")) in ("text", "number", "tel")]
    return Form(
        action=urljoin(page.url, str(form.get("action") or page.url)),
        method=str(form.get("method") or "get").upper(),
        fields=tuple((str(one.get("name")), str(one.get("value") or "")) for one in sent),
        buttons=tuple(_buttons(form.iter("button"))),
        asked=tuple(str(one.get("name")) for one in asked),
    )


def _is_sent(given: HtmlElement) -> bool:
    kind = str(given.get("type", "text"))
    return kind != "submit" and (kind not in ("radio", "checkbox") or given.get("checked") is not None)


def _buttons(buttons: Iterable[HtmlElement]) -> Iterator[tuple[str, str]]:
    for one in buttons:
        if one.get("name"):
            yield str(one.get("name")), str(one.get("value") or "")
