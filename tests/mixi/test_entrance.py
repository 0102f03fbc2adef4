"""Who may come in: page requests of the container, and everything that pretends to be one."""

import re
import time
from urllib.parse import quote, urlencode

import pytest
from lxml import html
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app

from storefront.sandbox.key_pairs import KeyPair
from storefront.shop import visit
from tests.databases import on_sqlite
from tests.street import (
    APP_ID,
    HANAKO,
    PLATFORM,
    SHOP,
    TARO,
    Books,
    Browser,
    Container,
    claims,
    kind,
    links,
    says,
    sign,
    start_address,
)

PAGES = ["/", "/items/loaf", "/inventory", "/history", "/legal"]


@pytest.mark.parametrize("path", PAGES)
def test_signed_pages_open(container: Container, path: str) -> None:
    """The container's signature opens every page, without a cookie."""
    answer = container.get(path)
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/items/loaf", "/inventory", "/history"])
def test_unsigned_pages_stay_shut(container: Container, path: str) -> None:
    """Without a signature there is a way in, and no shop."""
    answer = container.app.test_client().get(path)
    assert answer.status_code == 401
    assert f"{PLATFORM}/ma/{APP_ID}/" in answer.text
    assert "data-item" not in answer.text


def test_the_bare_address_is_kind(container: Container) -> None:
    """Opened by hand, the shop says where it opens."""
    answer = container.app.test_client().get("/")
    assert answer.status_code == 200
    assert kind(answer.text) == "door"
    assert f'href="{PLATFORM}/ma/{APP_ID}/"' in answer.text


def test_the_legal_notice_is_open_to_all(container: Container) -> None:
    """The law does not ask who is reading."""
    assert container.app.test_client().get("/legal").status_code == 200


def test_an_error_leads_in(container: Container) -> None:
    """Whoever comes to no page without a visit is shown the ways in."""
    page = html.fromstring(container.app.test_client().get("/nowhere").text)
    with container.app.test_request_context():
        ways = [one.entrance.address() for one in visit.entrances() if one.entrance]
    assert [one.get("href") for one in page.cssselect("main a.button")] == ways


def ask(container: Container, target: str, **headers: str) -> TestResponse:
    return container.app.test_client().get(target, headers=headers)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(
    "forge",
    [
        lambda target: (target, {}),
        lambda target: (target, {"Authorization": "OAuth nonsense"}),
        lambda target: (target, sign("GET", target, secret="another")),
        lambda target: (target, sign("POST", target)),
        lambda target: (target + "&page=1", sign("GET", target)),
        lambda target: (target.replace(HANAKO, TARO), sign("GET", target)),
        lambda target: (target, sign("GET", target, timestamp=str(int(time.time()) - 700))),
        lambda target: (target, sign("GET", target, timestamp=str(int(time.time()) + 700))),
        lambda target: (target, sign("GET", f"/elsewhere{target}")),
    ],
    ids=["unsigned", "nonsense", "secret", "method", "added", "owner", "old", "early", "elsewhere"],
)
@on_sqlite
def test_forgeries(container: Container, path: str, forge: object) -> None:
    """A claim that is not signed so, here, now, opens nothing and changes nothing."""
    target, headers = forge(f"{path}?{urlencode(claims(HANAKO))}")  # type: ignore[operator]
    answer = ask(container, target, **headers)
    assert answer.status_code == 401
    assert "forged" in says(answer.text)


@pytest.mark.parametrize(
    "scheme", ["Basic c3RhZ2luZzpzZWNyZXQ=", "bearer x", "Negotiate x", "Digest realm=x"]
)
@on_sqlite
def test_somebody_elses_password(container: Container, pair: KeyPair, scheme: str) -> None:
    """A proxy before a staging shop has a password of its own: that claims nothing and ends no visit."""
    headers = {"Authorization": scheme}
    answer = ask(container, "/inventory", **headers)
    assert answer.status_code == 401
    assert "forged" not in says(answer.text)
    assert ask(container, "/", **headers).status_code == 200
    browser = Browser(container.app)
    browser.get(start_address(pair), headers=headers)
    assert browser.get("/inventory", headers=headers).status_code == 200
    claimed = f"/?{urlencode(claims(HANAKO))}"
    assert "forged" in says(ask(container, claimed, **headers).text)


@pytest.mark.parametrize("query", ["", f"?{urlencode(claims(HANAKO))}"], ids=["bare", "named"])
@on_sqlite
def test_another_platforms_key(container: Container, pair: KeyPair, query: str) -> None:
    """Who signs with a key that is not mixi's of this app claims nothing here: no visit, and no forgery."""
    target = f"/inventory{query}"
    headers = sign("GET", target, key="another")
    answer = ask(container, target, **headers)
    assert answer.status_code == 401
    assert "forged" not in says(answer.text)
    browser = Browser(container.app)
    browser.get(start_address(pair))
    assert browser.get(target, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        {"opensocial_app_id": "54321", "opensocial_owner_id": HANAKO},
        {"opensocial_app_id": APP_ID},
        {"opensocial_app_id": APP_ID, "opensocial_owner_id": [TARO, HANAKO]},
        {"opensocial_app_id": APP_ID, "opensocial_owner_id": ""},
        {"opensocial_app_id": APP_ID, "opensocial_owner_id": "a b"},
        {"opensocial_app_id": APP_ID, "opensocial_owner_id": "x" * 65},
        {"opensocial_app_id": APP_ID, "opensocial_owner_id": "a\0"},
    ],
    ids=str,
)
def test_signed_but_nobody(container: Container, query: dict[str, object]) -> None:
    """Rightly signed, for another app or for nobody in particular: no visit."""
    target = f"/?{urlencode(query, doseq=True)}"
    assert ask(container, target, **sign("GET", target)).status_code == 401


def test_a_link_cannot_name_its_visitor(container: Container) -> None:
    """An owner id smuggled in before the container's own makes the request nobody's."""
    target = f"/inventory?opensocial_owner_id={TARO}&{urlencode(claims(HANAKO))}"
    assert ask(container, target, **sign("GET", target)).status_code == 401


def test_a_body_cannot_name_its_visitor(container: Container, books: Books) -> None:
    """The body is not signed, so nothing in it says who is asking."""
    page = container.get("/items/loaf")
    token = page.text.split('name="token" value="')[1].split('"')[0]
    form = {"item": "loaf", "token": token, "opensocial_owner_id": TARO}
    assert container.post("/mixi/payments", form).status_code == 302
    assert TARO not in container.get("/history").text
    assert 'data-state="create"' not in container.get("/history", owner=TARO).text


def test_links_stay_in_the_container(container: Container) -> None:
    """Every link and form is written for the container, and every one leads to a page."""
    page = container.get("/").text
    assert f'href="?guid=ON&amp;url={quote(SHOP + "/inventory", safe="")}"' in page
    for address in links(page):
        assert address.startswith(SHOP)
        path, _, query = address.removeprefix(SHOP).partition("?")
        assert container.get(path, **dict(p.split("=") for p in query.split("&") if p)).status_code == 200


def test_shift_jis_queries_verify(container: Container) -> None:
    """A query is verified as the bytes that came, whatever charset they are in."""
    target = f"/?q=%8C%95%5C&{urlencode(claims(HANAKO))}"
    assert ask(container, target, **sign("GET", target)).status_code == 200


@pytest.mark.parametrize("bare", [b"\x8c\x95", b"\xff", b"\r\n", "剣".encode()])
def test_bare_bytes_in_a_query(container: Container, bare: bytes) -> None:
    """Bytes that nobody escaped verify like their escapes, and break no page."""
    target = f"/?{urlencode(claims(HANAKO))}&q="
    headers = sign("GET", target + quote(bare))
    believed = EnvironBuilder(path="/", headers=list(headers.items())).get_environ()
    believed["QUERY_STRING"] = (target + bare.decode("latin-1")).removeprefix("/?")
    assert run_wsgi_app(container.app, believed)[1] == "200 OK"
    unsigned = EnvironBuilder(path="/inventory").get_environ()
    unsigned["QUERY_STRING"] = bare.decode("latin-1")
    assert run_wsgi_app(container.app, unsigned)[1] == "401 UNAUTHORIZED"


def test_the_switch_is_carried_by_every_link(container: Container) -> None:
    """Once English is chosen every link goes on in English, and the platform's additions stay out."""
    page = container.get("/items/loaf", lang="en")
    assert "Round loaf" in page.text
    inside = [address for address in links(page.text) if not re.search("lang=(?!en)", address)]
    assert inside
    assert all("lang=en" in address for address in inside)
    assert all("opensocial" not in address for address in links(page.text))


def test_accept_language_counts_only_outside(container: Container) -> None:
    """The container never passes it on, so through the container it means nothing."""
    english = {"Accept-Language": "en"}
    assert '<html lang="en">' in container.app.test_client().get("/", headers=english).text
    target = f"/?{urlencode(claims(HANAKO))}"
    assert "まるパン" in ask(container, target, **english, **sign("GET", target)).text


def test_a_browser_says_little(container: Container) -> None:
    """Of a long list of languages the beginning is heard, as far as the last whole one."""
    browser, others = container.app.test_client(), "x," * 127
    for asked, spoken in ((f"en,{others}x", "en"), (f"{others}x,en", "ja"), (f"{others}enm", "ja")):
        assert f'<html lang="{spoken}"' in browser.get("/legal", headers={"Accept-Language": asked}).text
