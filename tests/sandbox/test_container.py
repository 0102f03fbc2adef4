"""The container fetches for the phone, signs for it, and lets nothing through that it should not."""

import re
import threading
import time
from collections.abc import Callable
from html import escape
from itertools import product
from urllib.parse import quote, urlsplit

import pytest
import requests
from flask import Flask
from werkzeug import Request, Response

from storefront.mixi import signing
from storefront.sandbox.devices import HANDSETS, Carrier
from storefront.sandbox.mixi import links, payments
from storefront.sandbox.wirelog import Exchange
from tests.sandbox.conftest import (
    APP,
    KEY,
    PLATFORM,
    SECRET,
    SHOP,
    XML,
    Begin,
    Phone,
    Purchase,
    Sap,
    Shop,
    owner,
    read_created,
)
from tests.wire import Wire

Logged = Callable[[], list[Exchange]]


@pytest.fixture
def phone(phone: Phone) -> Phone:
    return phone.belongs_to("hanako")


def verified(request: Request, url: str) -> signing.Signed:
    """The request as a SAP believes it."""
    return signing.Consumer(KEY, (SECRET,)).verify(
        request.method,
        url,
        request.environ["QUERY_STRING"].encode(),
        request.headers["Authorization"],
        now=int(time.time()),
        window=60,
    )


def test_a_page_is_asked_for_with_the_owner_and_a_signature(phone: Phone, sap: Sap) -> None:
    """The app learns who is looking from the query, under a signature."""
    phone.page(f"{SHOP}/items?colour=red")
    signed = verified(sap.last, f"{SHOP}/items")
    assert signed.one("opensocial_owner_id") == owner("hanako")
    assert signed.one("opensocial_app_id") == APP
    assert signed.one("colour") == "red"


def test_the_query_is_left_as_it_was(phone: Phone, sap: Sap) -> None:
    """Escapes of any charset and names used twice reach the app untouched, before the two of ours."""
    query = "q=%83%41&a=%7E&a=%41&opensocial_owner_id=mine&empty="
    phone.page(f"{SHOP}/?{query}")
    assert sap.last.environ["QUERY_STRING"].startswith(
        f"{query}&opensocial_app_id={APP}&opensocial_owner_id="
    )
    verified(sap.last, f"{SHOP}/")


def test_without_an_address_the_start_page_opens(phone: Phone, sap: Sap) -> None:
    """The bare container opens the registered start address."""
    assert "Shelf" in phone.get(f"/ma/{APP}/").text
    assert sap.last.path == "/"


@pytest.mark.parametrize(
    ("key", "begins"),
    [
        ("taro", "DoCoMo/2.0 "),
        ("hanako", "KDDI-"),
        ("yuki", "SoftBank/1.0/"),
        ("jiro", "Mozilla/3.0(WILLCOM;"),
    ],
)
def test_the_phone_says_what_it_is(phone: Phone, sap: Sap, key: str, begins: str) -> None:
    """A desktop browser that plays a phone passes, to the app, for a phone of its owner's carrier."""
    sap.says("/a.svg", content_type="image/svg+xml")
    phone.belongs_to(key).page(f"{SHOP}/", headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"})
    assert sap.last.headers["User-Agent"].startswith(begins)
    phone.get(f"/mm/{APP}/?url={quote(SHOP + '/a.svg', safe='')}")
    assert sap.last.headers["User-Agent"].startswith(begins)


@pytest.mark.parametrize("agent", [*HANDSETS.values(), "Mozilla/3.0(DDIPOCKET;KYOCERA/AH-K3001V/1.4)"])
def test_a_real_phone_is_believed(phone: Phone, sap: Sap, agent: str) -> None:
    """What says that it is a phone of a known carrier passes as it is, whoever's it is."""
    phone.page(f"{SHOP}/", headers={"User-Agent": agent})
    assert sap.last.headers["User-Agent"] == agent


@pytest.mark.parametrize("agent", HANDSETS.values())
def test_handsets_carry_no_id(agent: str) -> None:
    """No handset is told apart from another of its make: neither by serial number nor by card."""
    assert not re.search(r"ser\d|icc\d|/SN\d|NTT", agent)


def test_only_the_listed_headers_pass(phone: Phone, sap: Sap) -> None:
    """No cookie, no referer, no language and no handset id ever reaches the app."""
    phone.page(
        f"{SHOP}/",
        headers={
            "User-Agent": "Mozilla/5.0 (X11; Linux x86_64)",
            "Cookie": "a=b",
            "Referer": "http://x/",
            "Accept-Language": "fr",
            "X-Jphone-Msname": "V801SA",
            "X-Jphone-Uid": "secret",
            "X-Up-Devcap-Multimedia": "1",
            "X-Up-Subno": "secret",
            "X-S-Display-Info": "240*320",
            "X-Forwarded-For": "10.9.8.7",
        },
    )
    assert {name for name, _ in sap.last.headers} - {"Host", "Connection", "Content-Length"} == {
        "Authorization",
        "User-Agent",
        "X-Forwarded-For",
        "X-Jphone-Msname",
        "X-Up-Devcap-Multimedia",
        "X-S-Display-Info",
    }
    assert sap.last.headers["User-Agent"] == HANDSETS[Carrier.AU]
    assert sap.last.headers["X-Forwarded-For"] == "127.0.0.1"


def test_a_form_passes_and_is_not_signed(phone: Phone, sap: Sap) -> None:
    """A POST stays a POST with its body as it is, and the body is no part of the base string."""
    phone.post(
        f"/ma/{APP}/?guid=ON&url={quote(SHOP + '/mixi/payments', safe='')}",
        data=b"item=excalibur&name=%83%41",
        content_type="application/x-www-form-urlencoded",
    )
    assert sap.last.method == "POST"
    assert sap.last.get_data() == b"item=excalibur&name=%83%41"
    assert sap.last.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert sap.last.headers["Content-Length"] == "26"
    signed = verified(sap.last, f"{SHOP}/mixi/payments")
    assert "excalibur" not in signed.base_string


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_other_methods(phone: Phone, sap: Sap, method: str) -> None:
    """The container knows GET and POST."""
    assert phone.client.open(f"/ma/{APP}/", method=method, base_url=PLATFORM).status_code == 405
    assert not sap.heard


def test_nobody_holds_the_phone(app: Flask, sap: Sap) -> None:
    """Without a chosen user the phone goes home with a hint."""
    answer = Phone(app.test_client()).page(f"{SHOP}/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/?hint=choose")
    assert not sap.heard


def test_another_app(phone: Phone, sap: Sap) -> None:
    """There is one registered app."""
    assert phone.get("/ma/999/").status_code == 404


NOT_OF_THE_APP = (
    "http://elsewhere.test/",
    "https://shop.test/",
    "http://shop.test:81/",
    "http://shop.test@elsewhere.test/",
    "http://user@shop.test/",
    "http://shop.test.elsewhere.test/",
    "http://shop.test\\@elsewhere.test/",
    "http://shop.test:port/",
    "http://[/",
    "//shop.test/",
    "/item/1",
    "item/1",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "http://shop.test/a b",
    "http://shop.test/\r\nHost: x",
    "http://shop.test/剣",
    "",
)


def test_only_addresses_of_the_app(phone: Phone, sap: Sap) -> None:
    """Whatever is not an absolute address of the app gives an error screen, and nobody is asked."""
    for url in NOT_OF_THE_APP:
        answer = phone.page(url)
        assert answer.status_code == 400, url
        assert Phone.screen_of(answer) == "error", url
        assert not sap.heard, url


def test_a_page_wears_the_platforms_bars(phone: Phone, sap: Sap) -> None:
    """The title bar follows the body tag, the footer precedes its end, every other byte is the app's."""
    page = '<html><BODY class="a">前<p>剣</p>後</BODY></html>'.encode("shift_jis")
    sap.says("/sjis", page, 200, content_type="text/html; charset=Shift_JIS", **{"Set-Cookie": "a=b"})
    answer = phone.page(f"{SHOP}/sjis")
    start, end = page.index(b">", page.index(b"<BODY")) + 1, page.rindex(b"</BODY")
    assert answer.data.startswith(page[:start] + b"<aside ")
    assert page[start:end] in answer.data
    assert answer.data.endswith(b"</aside>" + page[end:])
    assert answer.headers["Content-Type"] == "text/html; charset=Shift_JIS"
    assert "Set-Cookie" not in answer.headers or "a=b" not in answer.headers["Set-Cookie"]


def test_the_frame_is_in_the_bar(phone: Phone, sap: Sap) -> None:
    """The phone around a page is drawn by the platform's own bar, in ASCII, and only on a wide window."""
    page = '<html><body class="a">剣</body></html>'.encode("shift_jis")
    sap.says("/", page, content_type="text/html; charset=Shift_JIS")
    dressed = phone.page(f"{SHOP}/").data
    bar = dressed[dressed.index(b"<aside") : dressed.index(b"</aside>")]
    assert dressed.count(b"<style") == bar.count(b"<style") == 1
    style = bar[bar.index(b"<style>") : bar.index(b"</style>")].decode("ascii")
    assert "&" not in style
    rules = re.findall(r"@media (.+?)\{.+?\}\}", style.removeprefix("<style>"))
    assert rules
    assert all("min-width:640px" in rule for rule in rules)
    assert re.sub(rb"<aside .*?</aside>", b"", dressed, flags=re.DOTALL) == page


def test_images_of_the_app_go_through_the_platform(phone: Phone, sap: Sap) -> None:
    """Absolute images of the app are rerouted, those of others are not."""
    sap.says(
        "/", f'<body><img alt="" src="{SHOP}/a.svg?x=1&amp;y=2"><img src="http://else.test/b.png"></body>'
    )
    text = phone.page(f"{SHOP}/").text
    assert f'src="/mm/{APP}/?url=http%3A%2F%2Fshop.test%2Fa.svg%3Fx%3D1%26y%3D2"' in text
    assert 'src="http://else.test/b.png"' in text


def test_an_image_is_passed_as_it_is(phone: Phone, sap: Sap) -> None:
    """An image is fetched with a signature and handed on with its type and caching."""
    sap.says(
        "/a.svg",
        b"<body></body>",
        200,
        content_type="image/svg+xml",
        **{"Cache-Control": "max-age=60", "X-Own": "1"},
    )
    answer = phone.get(f"/mm/{APP}/?url={quote(SHOP + '/a.svg', safe='')}")
    assert (answer.data, answer.headers["Content-Type"]) == (b"<body></body>", "image/svg+xml")
    assert answer.headers["Cache-Control"] == "max-age=60"
    assert "X-Own" not in answer.headers
    verified(sap.last, f"{SHOP}/a.svg")


def test_an_image_may_not_redirect(phone: Phone, sap: Sap) -> None:
    """A redirected image is a broken image."""
    sap.redirects("/a.svg", f"{SHOP}/b.svg")
    assert phone.get(f"/mm/{APP}/?url={quote(SHOP + '/a.svg', safe='')}").status_code == 502
    assert len(sap.heard) == 1


def test_what_is_no_page_is_passed_as_it_is(phone: Phone, sap: Sap) -> None:
    """Other answers than HTML are not dressed."""
    sap.says("/feed", "<body></body>", content_type="text/plain")
    assert phone.page(f"{SHOP}/feed").text == "<body></body>"


TO_THE_APP = (
    f"{SHOP}/next?a=%83",
    "/next?a=%83",
    "next?a=%83",
    f"{PLATFORM}/ma/{APP}/?guid=ON&url={quote(SHOP + '/next?a=%83', safe='')}",
    f"?guid=ON&url={quote(SHOP + '/next?a=%83', safe='')}",
)


def test_redirects_stay_in_the_container(phone: Phone, sap: Sap) -> None:
    """Every form of a redirect to the app leads the phone to the same place in the container."""
    inside = f"/ma/{APP}/?guid=ON&hops=1&url=http%3A%2F%2Fshop.test%2Fnext%3Fa%3D%2583"
    for location, status in product(TO_THE_APP, (301, 302, 303, 307)):
        sap.redirects("/go", location, status)
        answer = phone.page(f"{SHOP}/go")
        assert (answer.status_code, answer.headers["Location"]) == (302, inside), (location, status)


@pytest.mark.parametrize(
    "location",
    [
        "http://elsewhere.test/",
        f"{PLATFORM}/",
        f"{PLATFORM}/ma/999/",
        "//elsewhere.test/",
        "http://[",
        "javascript:1",
    ],
)
def test_redirects_to_elsewhere(phone: Phone, sap: Sap, location: str) -> None:
    """A redirect out of the platform gives an error screen."""
    sap.redirects("/go", location)
    answer = phone.page(f"{SHOP}/go")
    assert answer.status_code in (400, 502) or "Location" not in answer.headers
    assert "elsewhere" not in answer.headers.get("Location", "")


@pytest.mark.parametrize("status", [300, 304, 305, 308])
def test_other_redirects(phone: Phone, sap: Sap, status: int) -> None:
    """What the platform does not count as a redirect gives an error screen."""
    sap.redirects("/go", f"{SHOP}/", status)
    assert phone.page(f"{SHOP}/go").status_code == 502


def test_redirects_end(phone: Phone, sap: Sap) -> None:
    """After five redirects in a row the platform gives up."""
    sap.redirects("/loop", f"{SHOP}/loop")
    answer = phone.page(f"{SHOP}/loop")
    while "Location" in answer.headers:
        answer = phone.get(answer.headers["Location"])
    assert answer.status_code == 502
    assert len(sap.heard) == 6


def test_the_payment_screen_is_reached_by_redirect(
    phone: Phone, sap: Sap, shop: Shop, payment: Callable[[Purchase], payments.Payment]
) -> None:
    """A redirect to the interface is passed on unchanged, and opens that screen for this user."""
    phone.page(f"{SHOP}/")
    purchase = read_created(shop.create(xml=XML))
    sap.redirects("/buy", purchase.url)
    assert not payment(purchase).entered
    answer = phone.page(f"{SHOP}/buy")
    assert (answer.status_code, answer.headers["Location"]) == (302, purchase.url)
    assert payment(purchase).entered


@pytest.mark.parametrize("status", [400, 401, 409, 503])
def test_error_pages_pass_by_default(phone: Phone, sap: Sap, status: int) -> None:
    """The app's error page is shown with its status."""
    sap.says("/", "<body>sorry</body>", status)
    answer = phone.page(f"{SHOP}/")
    assert answer.status_code == status
    assert "sorry" in answer.text


def test_error_pages_can_be_replaced(phone: Phone, sap: Sap) -> None:
    """Switched on, the platform's own screen stands in for the app's error pages."""
    phone.press("/developer", "/developer/switches/replace_error_pages", on="yes")
    sap.says("/", "<body>sorry</body>", 503)
    answer = phone.page(f"{SHOP}/")
    assert answer.status_code == 503
    assert "sorry" not in answer.text
    assert Phone.screen_of(answer) == "error"


@pytest.mark.parametrize("broken", [requests.ConnectionError(), requests.ReadTimeout(), OSError()])
def test_silence(phone: Phone, wire: Wire, broken: Exception) -> None:
    """An app that does not answer gives an error screen."""
    wire.broken = broken
    answer = phone.page(f"{SHOP}/")
    assert answer.status_code == 502
    assert Phone.screen_of(answer) == "error"


@pytest.mark.long
def test_slowness(make: Callable[..., Flask], sap: Sap) -> None:
    """A page has a limited time in total."""
    let_go = threading.Event()

    def slow(_request: Request) -> Response:
        let_go.wait(30)
        return Response("late")

    sap.scripts["/slow"] = slow
    phone = Phone(make(page_seconds=1).test_client()).belongs_to("hanako")
    answer = phone.page(f"{SHOP}/slow")
    let_go.set()
    assert answer.status_code == 502  # who waits to the end reads "late"


def test_size(make: Callable[..., Flask], sap: Sap) -> None:
    """A page has a limited size."""
    sap.says("/", "x" * 5000)
    phone = Phone(make(max_page_bytes=4000).test_client()).belongs_to("hanako")
    assert phone.page(f"{SHOP}/").status_code == 502


def test_links_that_are_not_container_links_lead_nowhere(phone: Phone) -> None:
    """A link like /item/1 in a page of the app ends on the sandbox's own page."""
    answer = phone.get("/item/1")
    assert answer.status_code == 404
    assert re.search('class="strip"', answer.text)


def test_a_query_nobody_would_sign(phone: Phone, sap: Sap) -> None:
    """A page address with a hundred and more parameters gives an error screen."""
    assert phone.page(f"{SHOP}/?" + "a=1&" * 200).status_code == 502
    assert not sap.heard


FORBIDDEN = {
    "mailto:help@shop.test": False,
    "TEL:0312345678": False,
    "http://elsewhere.test/": False,
    "//elsewhere.test/": False,
    f"{SHOP}/items": False,
    "/items": False,
    "items": False,
    "?guid=ON&url=http%3A%2F%2Felsewhere.test%2F": False,
    "?url=mailto%3Ahelp%40shop.test": False,
    "javascript:alert(1)": False,
    "market://details": False,
    f"{PLATFORM}/point/abc": False,
    "?guid=ON&url=http%3A%2F%2Fshop.test%2Fitems": True,
    "?guid=ON": True,
    f"{PLATFORM}/ma/{APP}/": True,
    f"{PLATFORM}/ma/{APP}/?url=http%3A%2F%2Fshop.test%2Fitems": True,
    "#top": True,
    "invite:friends?callback=x": True,
    "location:cell": True,
}


@pytest.mark.parametrize("charset", ["utf-8", "shift_jis"])
@pytest.mark.parametrize("markup", ['<a class=x href="{}">表</a>', "<form action='{}'>", '<area HREF="{}">'])
def test_forbidden_links_are_marked(
    phone: Phone, sap: Sap, logged: Logged, markup: str, charset: str
) -> None:
    """The log names each link of a page that the platform allows no app: by mail, by call, to the outside."""
    page = "<body>表" + "".join(markup.format(escape(link)) for link in FORBIDDEN) + "</body>"
    sap.says("/", page.encode(charset), content_type=f"text/html; charset={charset}")
    assert phone.page(f"{SHOP}/").status_code == 200
    marked = logged()[0].forbidden.splitlines()
    assert marked == [link for link, is_allowed in FORBIDDEN.items() if not is_allowed]
    assert "links that the platform allows no app: 12" in phone.get("/log?lang=en").text
    assert "mailto:help@shop.test" in phone.get(f"/log/{logged()[0].id}?lang=en").text


def test_what_has_no_forbidden_links(phone: Phone, sap: Sap, logged: Logged) -> None:
    """A page without them has no mark, nor has what is no page; a page of a thousand fills no log."""
    phone.page(f"{SHOP}/")
    assert logged()[0].forbidden == ""
    sap.says("/text", '<a href="tel:1">', content_type="text/plain")
    phone.page(f"{SHOP}/text")
    assert logged()[0].forbidden == ""
    sap.says("/many", "".join(f'<a href="tel:{number}">' for number in range(1000)))
    phone.page(f"{SHOP}/many")
    assert len(logged()[0].forbidden.splitlines()) == links.MOST


def test_full_maintenance(phone: Phone, sap: Sap, begin: Begin) -> None:
    """While the platform is closed no page, image, start or payment screen is, and the app is not asked."""
    buyer, purchase = begin()
    sap.heard.clear()
    phone.press("/developer", "/developer/switches/maintenance", on="yes")
    for device in ("mobile", "smartphone", "pc"):
        assert phone.press("/", f"/phone/{device}", persona="taro").status_code == 503
    assert buyer.page(f"{SHOP}/").status_code == 503
    assert buyer.get(f"/mm/{APP}/?url={SHOP}/x.gif").status_code == 503
    assert buyer.screen(purchase.url) == "maintenance"
    assert buyer.post(f"{purchase.url.removeprefix(PLATFORM)}/buy").status_code == 503
    assert (sap.heard, sap.events[1:]) == ([], [])
    phone.press("/developer", "/developer/switches/maintenance", on="no")
    assert buyer.buy(purchase.url) == "bought"


@pytest.mark.parametrize(
    ("path", "here", "elsewhere"), [("//", 200, 302), (f"/ma/{APP}", 200, 421), ("/developer//", 404, 421)]
)
def test_no_address_leads_to_the_host_header(phone: Phone, path: str, here: int, elsewhere: int) -> None:
    """An address with a slash too many or too few is mended by nobody, least of all by a named host."""
    for host, status in ((urlsplit(PLATFORM).netloc, here), ("evil.test", elsewhere)):
        answer = phone.client.get("/", environ_overrides={"PATH_INFO": path, "HTTP_HOST": host})
        assert answer.status_code == status
        assert "evil.test" not in answer.headers.get("Location", "")
