"""The robot's browser: it reads facts, links and forms, and stops where a browser would."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
from werkzeug import Request, Response
from werkzeug.serving import make_server

from storefront.robot.buyer import Browser, Page, Stopped, Unreachable, allows, app_path
from storefront.robot.desk import read_json
from tests.wire import Wire

SHOP, PLATFORM, OTHER = "http://shop.test:8000", "http://platform.test:8001", "http://other.test"
FORM = (
    '<form action="/buy" method="post"><input type="hidden" name="token" value="t"><button>Go</button></form>'
)


def nothing(_: Request) -> Response:
    return Response("?", 404)


class Site:
    """Answers as it is told, by path, and remembers what it was asked."""

    def __init__(self) -> None:
        self.pages: dict[str, Callable[[Request], Response]] = {}
        self.heard: list[Request] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        request.get_data()
        self.heard.append(request)
        script = self.pages.get(request.path, nothing)
        return script(request)(environ, start_response)

    def says(self, path: str, body: str = "", status: int = 200, **headers: str) -> None:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        self.pages[path] = lambda _: Response(body, status, told, content_type="text/html; charset=utf-8")


@contextmanager
def served(site: Site) -> Iterator[str]:
    """The site on a real socket, as cookies want one."""
    server = make_server("127.0.0.1", 0, site)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.port}/"
    finally:
        server.shutdown()


@pytest.fixture
def shop() -> Site:
    return Site()


@pytest.fixture
def platform() -> Site:
    return Site()


@pytest.fixture
def browser(shop: Site, platform: Site) -> Browser:
    browser = Browser()
    browser.http.mount(SHOP, Wire(shop))
    browser.http.mount(PLATFORM, Wire(platform))
    return browser


@pytest.mark.parametrize(
    ("policy", "url", "right"),
    [
        ("", OTHER, True),
        ("default-src 'none'", OTHER, True),
        ("form-action 'self'", f"{SHOP}/buy", True),
        ("form-action 'self'", f"{PLATFORM}/point/x", False),
        ("form-action 'self' http://platform.test:8001", f"{PLATFORM}/point/x", True),
        ("form-action 'self' http://platform.test", f"{PLATFORM}/point/x", False),
        ("form-action 'self' http://platform.test:*", f"{PLATFORM}/point/x", True),
        ("form-action platform.test:8001", f"{PLATFORM}/point/x", True),
        ("form-action http://*.test:8001", f"{PLATFORM}/point/x", True),
        ("form-action http:", f"{PLATFORM}/point/x", True),
        ("form-action https:", f"{PLATFORM}/point/x", False),
        ("form-action *", f"{PLATFORM}/point/x", True),
        ("form-action 'none'", f"{SHOP}/buy", False),
        ("img-src *; form-action", f"{SHOP}/buy", False),
    ],
)
def test_where_a_policy_lets_a_form_lead(policy: str, url: str, right: bool) -> None:
    """As browsers read a policy: scheme, host and port, with wildcards; without the directive, anywhere."""
    assert allows(policy, "form-action", url, SHOP) is right


def test_a_form_leads_no_further_than_its_page_allows(browser: Browser, shop: Site, platform: Site) -> None:
    """form-action holds for every redirect after a form, and the platform is not asked."""
    shop.says("/item", FORM, Content_Security_Policy="form-action 'self'")
    shop.says("/buy", status=303, Location=f"{PLATFORM}/point/x")
    platform.says("/point/x", "<p>Buy this?</p>")
    page = browser.get(f"{SHOP}/item")
    with pytest.raises(Stopped, match="form-action of http://shop"):
        browser.send(page, page.forms()[0])
    assert platform.heard == []
    shop.says("/item", FORM, Content_Security_Policy=f"form-action 'self' {PLATFORM}")
    page = browser.get(f"{SHOP}/item")
    assert browser.send(page, page.forms()[0]).url == f"{PLATFORM}/point/x"


def test_a_page_in_a_frame(browser: Browser, shop: Site) -> None:
    """frame-ancestors says whose frame a page may stand in."""
    shop.says("/", "<p>shelf</p>", Content_Security_Policy="frame-ancestors 'none'")
    with pytest.raises(Stopped, match="frame-ancestors"):
        browser.get(f"{SHOP}/", frame_of=PLATFORM)
    shop.says("/", "<p>shelf</p>", Content_Security_Policy=f"frame-ancestors {PLATFORM}")
    assert browser.get(f"{SHOP}/", frame_of=PLATFORM).status == 200


@pytest.mark.parametrize(
    ("cookie", "is_kept"),
    [("a=1; SameSite=Lax", False), ("a=1; SameSite=None; Secure", True), ("a=1", False)],
)
def test_cookies_in_another_sites_frame(shop: Site, cookie: str, is_kept: bool) -> None:
    """A frame of another site keeps only what was made for frames; a window of its own keeps all."""
    shop.says("/", "<p>shelf</p>", Set_Cookie=cookie)
    with served(shop) as address:
        framed, alone = Browser(), Browser()
        framed.get(address, frame_of=PLATFORM)
        alone.get(address)
    assert bool(list(framed.http.cookies)) is is_kept
    assert list(alone.http.cookies)


def test_what_a_page_says(browser: Browser, shop: Site) -> None:
    """The page's kind, and the data attributes of each element that has some."""
    bag = '<main data-page="bag"><li data-item="loaf" data-quantity="2">x</li></main>'
    shop.says("/inventory", f'{bag}<aside data-platform="bar"></aside>')
    page = browser.get(f"{SHOP}/inventory?lang=en")
    assert page.facts == {
        "status": 200,
        "path": "/inventory",
        "page": "bag",
        "marks": [{"item": "loaf", "quantity": "2"}],
    }


def test_what_a_form_sends(browser: Browser, shop: Site) -> None:
    """Hidden fields and chosen options; a button only when it is pressed; what is asked, is to be said."""
    shop.says(
        "/",
        '<form action="/a" method="post"><input type="hidden" name="t" value="1">'
        '<input type="radio" name="m" value="x" checked><input type="radio" name="m" value="y">'
        '<input name="year"><button name="p" value="100">100</button></form>',
    )
    shop.says("/a", "ok")
    page = browser.get(f"{SHOP}/")
    (form,) = page.forms()
    assert (form.asked, form.buttons) == (("year",), (("p", "100"),))
    browser.send(page, form, p="100", year="2000")
    assert shop.heard[-1].form.to_dict() == {"t": "1", "m": "x", "year": "2000", "p": "100"}


def test_nobody_there() -> None:
    """Who does not answer is named."""
    with pytest.raises(Unreachable, match="http://127"):
        Browser().get("http://127.0.0.1:1/")


@pytest.mark.parametrize(
    "url",
    [f"{SHOP}/inventory?lang=en", f"{PLATFORM}/ma/1/?guid=ON&url=http%3A%2F%2Fshop.test%2Finventory%3Fa%3D1"],
)
def test_one_path_on_all_devices(url: str) -> None:
    """A page has the same path in the container's addresses as on its own domain."""
    assert app_path(url) == "/inventory"


@pytest.mark.parametrize("body", [b"", b"<p>", b"[" * 100_000])
def test_a_body_that_is_no_json(body: bytes) -> None:
    """Whatever answers in a sandbox's place is told from one, however deep it is."""
    with pytest.raises(Unreachable):
        read_json(Page("http://platform.test/", 200, {}, body))


def test_a_body_that_is_no_page() -> None:
    """What is no HTML has no facts, links and forms."""
    page = Page(SHOP, 200, {"Content-Type": "text/plain"}, b"OK")
    assert (page.kind, page.marks, page.links(), page.forms(), page.screen) == (None, [], [], [], None)
