"""What is said around a page: to robots, to caches, and to whoever can unpack."""

import gzip
import re
from itertools import product
from pathlib import Path
from urllib.parse import urlencode

import brotli  # type: ignore[import-untyped]  # it ships no types
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from storefront.operator import login
from storefront.sandbox.key_pairs import KeyPair
from storefront.shop import visit
from tests.databases import on_sqlite
from tests.street import (
    CALLBACK,
    HANAKO,
    PLATFORM,
    SHOP,
    Browser,
    Container,
    ScriptedApi,
    claims,
    only_form,
    sign,
    start_address,
)

PAGES = ["/", "/items/loaf", "/inventory", "/history", "/legal", "/nowhere"]
UNPACK = {"br": brotli.decompress, "gzip": gzip.decompress, None: bytes}


@pytest.fixture
def browser(app: Flask, api: ScriptedApi, pair: KeyPair) -> Browser:
    """hanako at her desk, the app opened."""
    browser = Browser(app)
    browser.get(start_address(pair))
    return browser


def asked(container: Container, target: str, **headers: str) -> TestResponse:
    """A signed request that carries more headers than a container's."""
    return container.app.test_client().get(target, headers={**sign("GET", target), **headers})


def files(page: str) -> set[str]:
    """The static files that a page names."""
    return set(re.findall(r"/static/[^\"]+", page))


SLASHES = {"//": 200, "//inventory": 401, "/mixi//callback": 404, "///x": 404, "/static//shop.css": 404}


@on_sqlite
def test_slashes_lead_nowhere(container: Container) -> None:
    """An address with too many slashes is never redirected, least of all to a host that the request names."""
    for path, status in SLASHES.items():
        strange = {"PATH_INFO": path, "HTTP_HOST": "evil.test"}
        answer = container.app.test_client().get("/", environ_overrides=strange)
        assert answer.status_code == status, path
        assert "Location" not in answer.headers, path
        assert "evil.test" not in answer.text, path


@on_sqlite
@pytest.mark.parametrize("host", ["a..b", "a" * 64])
def test_a_name_that_no_host_has(app: Flask, host: str) -> None:
    """Whatever a stranger calls us, they are answered as any other."""
    for path, status in {"/": 200, "/nowhere": 404}.items():
        answer = app.test_client().get(path, environ_overrides={"HTTP_HOST": host})
        assert (answer.status_code, "Content-Security-Policy" in answer.headers) == (status, True), path


@on_sqlite
def test_a_mark_belongs_to_a_file(app: Flask, tmp_path: Path) -> None:
    """However a stranger spells the name of a file, one mark is kept for it; a changed file has another."""
    app.static_folder = str(tmp_path)
    style = tmp_path / "shop.css"
    style.write_text("p {}")
    client = app.test_client()
    with app.test_request_context():
        before = visit.mark("shop.css")
    for spelling in range(20):
        path = {"PATH_INFO": "/static/" + "./" * spelling + "shop.css"}
        answer = client.get("/", query_string=f"v={before}", environ_overrides=path)
        assert "immutable" in answer.headers["Cache-Control"]
    assert len(app.extensions["static_marks"]) == 1
    style.write_text("p { color: red }")
    with app.test_request_context():
        assert visit.mark("shop.css") != before
        assert visit.mark("nothing.css") == visit.mark("../shop.css") == visit.mark("a\0b") == ""


def test_robots_are_kept_out(container: Container) -> None:
    """No robot has anything to read here; it is told so once for all, and on each page."""
    answer = container.app.test_client().get("/robots.txt")
    assert (answer.status_code, answer.mimetype) == (200, "text/plain")
    assert answer.text == "User-agent: *\nDisallow: /\n"
    for path in [*PAGES, "/mixi/callback", "/mixi/start/pc", "/healthz", "/robots.txt"]:
        for answer in (container.get(path), container.app.test_client().get(path)):
            assert answer.headers["X-Robots-Tag"] == "noindex, nofollow", path
            if answer.mimetype == "text/html":
                assert '<meta name="robots" content="noindex">' in answer.text


def test_files_are_not_hidden_from_robots(container: Container, browser: Browser) -> None:
    """A style or a drawing is nobody's own."""
    for file in files(container.get("/").text) | files(browser.get("/").text):
        answer = browser.get(file)
        assert answer.status_code == 200
        assert "X-Robots-Tag" not in answer.headers
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_a_file_that_anybody_may_keep_has_no_cookie(container: Container, browser: Browser) -> None:
    """A cache that keeps a file for everybody must not keep somebody's visit with it."""
    for file in files(browser.get("/").text):
        assert "Set-Cookie" not in browser.get(file).headers
        assert "Set-Cookie" not in browser.get(file.partition("?")[0]).headers


def test_pages_are_not_kept(container: Container, browser: Browser) -> None:
    """A page is somebody's own, whatever its status: no cache keeps it."""
    for path in (*PAGES, "/mixi/finish", "/age", "/mixi/leave"):
        for answer in (container.get(path), browser.get(path), container.app.test_client().get(path)):
            assert answer.headers["Cache-Control"] == "no-store", path


def test_redirects_are_not_kept(container: Container, app: Flask, pair: KeyPair) -> None:
    """Nor are the ways to payment and visit."""
    bought = container.buy("loaf")
    opened = Browser(app).get(start_address(pair))
    assert (bought.status_code, opened.status_code) == (302, 303)
    assert {answer.headers["Cache-Control"] for answer in (bought, opened)} == {"no-store"}


PACKED = (
    (None, None),
    ("", None),
    ("identity", None),
    ("deflate", None),
    ("gzip", "gzip"),
    ("br", "br"),
    ("gzip, deflate, br", "br"),
    ("gzip, deflate, br, zstd", "br"),
    ("zstd", None),
    ("br;q=0.5, gzip", "gzip"),
    ("*", "br"),
    ("GZIP", "gzip"),
    ("nonsense;;q=x", None),
)


@on_sqlite
def test_packed_only_when_asked_for(browser: Browser) -> None:
    """Pages, styles and drawings are packed as the browser says it can unpack, and are then the same."""
    paths = ("/", "/static/shop.css", "/static/art/emptybag.svg")
    for path, (accepted, coding) in product(paths, PACKED):
        headers = {} if accepted is None else {"Accept-Encoding": accepted}
        plain, packed = browser.get(path), browser.get(path, headers=headers)
        assert packed.status_code == 200
        assert packed.headers.get("Content-Encoding") == coding, (path, accepted)
        assert packed.headers.get("Content-Length") in (None, str(len(packed.data)))
        assert "accept-encoding" in packed.headers["Vary"].lower()
        unpacked = UNPACK[coding](packed.data)
        if path.startswith("/static/"):
            assert unpacked == plain.data
        assert b"</html>" in unpacked or path.startswith("/static/")
        assert coding is None or len(packed.data) < len(plain.data)


def test_a_container_gets_pages_as_they_are(container: Container) -> None:
    """A container asks for no packing and gets none."""
    for path in PAGES:
        answer = container.get(path)
        assert "Content-Encoding" not in answer.headers
        assert "accept-encoding" in answer.headers.get("Vary", "").lower()
        assert "</html>" in answer.text


def test_callbacks_are_never_packed(container: Container) -> None:
    """mixi reads two letters as they are, and a refusal as well."""
    code = container.start("loaf")
    target = f"{CALLBACK}/{container.word(code)}?{urlencode(claims(HANAKO) | {'point_code': code})}"
    whole = f"{target}&status=10&updated=2026-01-01T00%3A00%3A00Z"
    for accepted in ("gzip", "br", "gzip, deflate, br"):
        answer = asked(container, whole, **{"Accept-Encoding": accepted})
        assert (answer.status_code, answer.data) == (200, b"OK"), accepted
        assert "Content-Encoding" not in answer.headers, accepted
        assert answer.headers["Content-Type"].startswith("text/plain")
        refused = asked(container, target, **{"Accept-Encoding": accepted})
        assert refused.data.startswith(b"REFUSED"), accepted
        assert "Content-Encoding" not in refused.headers, accepted


def test_what_is_short_or_packed_already(browser: Browser) -> None:
    """A word and a GIF gain nothing."""
    for path in ("/healthz", "/readyz", "/robots.txt", "/static/art/emptybag.gif"):
        answer = browser.get(path, headers={"Accept-Encoding": "gzip, br"})
        assert answer.status_code == 200, path
        assert "Content-Encoding" not in answer.headers, path


def test_files_packed_and_kept(browser: Browser) -> None:
    """A packed file is known again by its mark, and is not sent twice."""
    headers = {"Accept-Encoding": "br"}
    first = browser.get("/static/shop.css", headers=headers)
    again = browser.get("/static/shop.css", headers=headers | {"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    plain = browser.get("/static/shop.css")
    assert plain.headers["ETag"] != first.headers["ETag"]
    assert "Content-Encoding" not in plain.headers


def test_no_cookie_for_a_container(container: Container) -> None:
    """It passes none on, so no page, no redirect and no callback sets one."""
    answers = [container.get(path) for path in [*PAGES, "/mixi/finish", "/age"]]
    answers += [container.post(*only_form(container.get("/items/loaf").text))]
    code = container.start("loaf")
    answers += [container.callback(code), container.callback(code), container.callback("none")]
    answers += [container.post(*only_form(container.get("/inventory").text))]
    answers += [container.post("/mixi/payments", {"item": "loaf"})]
    answers += [container.app.test_client().get(f"/inventory?{urlencode(claims(HANAKO))}")]
    assert {answer.status_code for answer in answers} >= {200, 302, 400, 401, 404}
    assert not [answer.request.path for answer in answers if "Set-Cookie" in answer.headers]


def test_no_cookie_for_who_only_looks(app: Flask, container: Container) -> None:
    """A stranger at the door gets none either."""
    for path in [*PAGES, "/mixi/start/pc", "/mixi/callback", "/operator?token=x", "/mixi/rules"]:
        assert "Set-Cookie" not in app.test_client().get(path).headers


def test_a_visit_is_told_apart(browser: Browser) -> None:
    """What depends on a cookie says so."""
    answer = browser.get("/inventory")
    assert "cookie" in answer.headers["Vary"].lower()
    assert "Set-Cookie" in answer.headers


@pytest.mark.changed(public_url="https://shop.test")
def test_over_tls_for_good(app: Flask) -> None:
    """A shop that is served over TLS is not asked for without."""
    assert (
        Browser(app, "https://shop.test").get("/").headers["Strict-Transport-Security"] == "max-age=31536000"
    )


def test_without_tls_nothing_is_promised(app: Flask) -> None:
    """A shop on plain http says nothing of TLS."""
    assert "Strict-Transport-Security" not in Browser(app).get("/").headers


def test_what_a_page_keeps_to_itself(browser: Browser) -> None:
    """No address of ours goes on to another site, nobody opens a window onto us, no sensor is asked for."""
    for path in ("/", "/items/loaf", "/nowhere", "/static/shop.css", "/robots.txt"):
        headers = browser.get(path).headers
        assert headers["Referrer-Policy"] == "no-referrer", path
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin", path
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert "geolocation=()" in headers["Permissions-Policy"], path


def rule(page: TestResponse, name: str) -> list[str]:
    """The sources that a page's policy names for this."""
    rules = [one.split() for one in page.headers["Content-Security-Policy"].split("; ")]
    (found,) = [sources for head, *sources in rules if head == name]
    return found


@pytest.mark.changed(mixi_platform_hosts="point.platform.test, pay.test:8443")
def test_where_a_form_may_be_led(browser: Browser) -> None:
    """Browsers hold a form to the policy at each redirect: every host of the platform."""
    assert rule(browser.get("/items/loaf"), "form-action") == [
        SHOP,
        PLATFORM,
        "http://point.platform.test",
        "https://point.platform.test",
        "http://pay.test:8443",
        "https://pay.test:8443",
    ]


@pytest.mark.changed(mixi_app_url="https://mixi.test/run_appli.pl?id=12345")
def test_who_may_frame_us(browser: Browser, app: Flask) -> None:
    """The platform's own page around the app, and no other; nobody the operator's pages."""
    for path in PAGES:
        for page, known in ((browser.get(path), True), (app.test_client().get(path), False)):
            frames = rule(page, "frame-ancestors")
            assert frames == ["https://mixi.test"] if known else "https://mixi.test" in frames
            assert "X-Frame-Options" not in page.headers
    with app.test_request_context():
        entry = login.address().removeprefix(SHOP)
    let_in = Browser(app)
    for path in (entry, "/operator?token=x", "/mixi/rules"):
        assert rule(let_in.get(path), "frame-ancestors") == ["'none'"]
    let_in.post("/operator", {"token": entry.partition("token=")[2]})
    page = let_in.get("/mixi/rules")
    assert (page.status_code, rule(page, "frame-ancestors")) == (200, ["'none'"])


@pytest.mark.parametrize(
    ("origin", "name", "attributes"),
    [
        pytest.param(SHOP, "operator", {"HttpOnly", "Path=/", "SameSite=Strict"}, id="http"),
        pytest.param(
            "https://shop.test",
            "__Host-operator",
            {"HttpOnly", "Path=/", "SameSite=Strict", "Secure"},
            id="https",
            marks=pytest.mark.changed(public_url="https://shop.test"),
        ),
    ],
)
def test_the_operator_has_another_cookie(
    app: Flask, api: ScriptedApi, pair: KeyPair, origin: str, name: str, attributes: set[str]
) -> None:
    """It never leaves our own pages, and is none of the visit's: each is left without the other."""
    both = Browser(app, origin)
    both.get(start_address(pair, origin=origin))
    with app.test_request_context():
        token = login.address().partition("token=")[2]
    first, *said = both.post("/operator", {"token": token}).headers["Set-Cookie"].split("; ")
    assert first.partition("=")[0] == name
    assert {one for one in said if one.partition("=")[0] not in ("Max-Age", "Expires")} == attributes
    assert {both.get(path).status_code for path in ("/mixi/rules", "/inventory")} == {200}
    both.press("/mixi/rules", "/operator/leave")
    assert [both.get(path).status_code for path in ("/mixi/rules", "/inventory")] == [401, 200]


@pytest.mark.parametrize(("one", "other"), [("visit", "operator"), ("operator", "visit")])
def test_no_cookie_passes_for_the_other(app: Flask, browser: Browser, one: str, other: str) -> None:
    """What was signed for the one opens nothing under the name of the other."""
    with app.test_request_context():
        browser.post("/operator", {"token": login.address().partition("token=")[2]})
    cookie = browser.client.get_cookie(one, "shop.test")
    assert cookie
    thief = Browser(app)
    thief.client.set_cookie(other, cookie.value, domain="shop.test")
    assert thief.get("/inventory").status_code == 401
    assert thief.get("/mixi/rules").status_code == 401


@on_sqlite
@pytest.mark.parametrize("accepted", ["gzip", "br"])
def test_a_part_is_not_packed(app: Flask, accepted: str) -> None:
    """Who asks for some bytes of a file gets those, as they are."""
    client = app.test_client()
    whole = client.get("/static/shop.css").data
    part = client.get("/static/shop.css", headers={"Range": "bytes=0-999", "Accept-Encoding": accepted})
    assert (part.status_code, part.headers.get("Content-Encoding")) == (206, None)
    assert part.data == whole[:1000]
