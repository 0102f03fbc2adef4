"""What every answer forbids, and what no answer and no log says."""

import re
from base64 import b64encode
from datetime import timedelta
from hashlib import sha256
from urllib.parse import quote, urlencode

import pytest
from flask import Flask
from sqlalchemy import update
from structlog.testing import capture_logs

from storefront import Settings, clock
from storefront.db import transaction
from storefront.mixi.signing import Consumer
from storefront.shop.turns import Turn
from storefront.shop.visits import Visit
from tests.databases import on_sqlite
from tests.street import (
    CONSUMER_KEY,
    CONSUMER_SECRET,
    HANAKO,
    PLATFORM,
    SHOP,
    TARO,
    Books,
    Container,
    ScriptedApi,
    claims,
    says,
    sign,
)

PATHS = ["/", "/items/loaf", "/inventory", "/history", "/legal", "/nowhere", "/mixi/callback", "/healthz"]


def style_of(text: str) -> str:
    """What stands in the style element of a page; nothing where it has none."""
    found = re.search(r"<style>([^<]*)</style>", text)
    return found[1] if found else ""


def named(style: str) -> str:
    """How a policy names this very style; nothing where there is none."""
    return f"'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'" if style else ""


@pytest.mark.parametrize("path", PATHS)
def test_headers(container: Container, path: str) -> None:
    """No script, one style, known by its digest, framed by the container alone; nothing kept."""
    page = container.get(path)
    headers = page.headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert PLATFORM in policy.partition("frame-ancestors ")[2].partition(";")[0].split()
    assert f"style-src {named(style_of(page.text)) or SHOP};" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", PATHS[:6])
def test_pages_obey_their_policy(container: Container, path: str) -> None:
    """No page carries a script, a style but that one, or an address outside shop and container."""
    text = container.get(path).text
    text = text.replace(f"<style>{style_of(text)}</style>", "", 1)
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:", text)
    for address in re.findall(r'(?:src|href|action)="(http[^"]*)"', text):
        assert address.startswith((SHOP, PLATFORM))


def test_static_files_are_kept(container: Container) -> None:
    """Their addresses name their content, so a phone may keep them."""
    client = container.app.test_client()
    named = re.findall(r"/static/[^\"]+", container.get("/").text + client.get("/").text)
    assert any("shop.css?v=" in address for address in named)
    for address in named:
        assert "immutable" in client.get(address).headers["Cache-Control"], address
    assert client.get("/static/shop.css").headers["Cache-Control"] == "public, no-cache"
    assert client.get("/static/shop.css?v=older").headers["Cache-Control"] == "public, no-cache"


def test_logs_keep_secrets(container: Container, settings: Settings) -> None:
    """Neither secrets nor signatures nor tokens are logged, whatever is refused."""
    page = container.get("/items/loaf")
    token = page.text.split('name="token" value="')[1].split('"')[0]
    target = "/mixi/callback?point_code=x"
    headers = sign("GET", target, secret="a guess")
    with capture_logs() as lines:
        container.buy()
        container.app.test_client().get(target, headers=headers)
        container.app.test_client().get("/inventory?opensocial_owner_id=x", headers=headers)
        container.post("/mixi/payments", {"item": "loaf", "token": token + "x"})
    logged = str(lines)
    assert "callback refused" in logged
    signature = headers["Authorization"].split('oauth_signature="')[1].split('"')[0]
    for secret in (CONSUMER_SECRET, settings.secret_key.get_secret_value(), signature, token, "a guess"):
        assert secret not in logged


@pytest.mark.changed(mixi_taps_per_minute=10)
def test_a_customer_who_taps_too_fast(app: Flask, container: Container, books: Books) -> None:
    """Beyond the rate nothing is started; others are not slowed, and a minute later all is well."""
    limit = 10
    for _ in range(limit):
        assert container.buy("loaf").status_code == 302
    answer = container.buy("loaf")
    assert answer.status_code == 429
    assert "nothing-paid" in says(answer.text)
    assert books.payments() == limit
    assert container.buy("loaf", TARO).status_code == 302
    with app.app_context(), transaction() as session:
        session.execute(update(Turn).values(taken_at=clock.now() - timedelta(seconds=61)))
    assert container.buy("loaf").status_code == 302


@pytest.mark.changed(mixi_consumer_secret_previous="the one before")
def test_key_rotation(container: Container, api: ScriptedApi) -> None:
    """Both secrets verify while they change; only the current one signs."""
    target = f"/?{urlencode(claims(HANAKO))}"
    for secret, status in ((CONSUMER_SECRET, 200), ("the one before", 200), ("a guess", 401)):
        headers = sign("GET", target, secret=secret)
        assert container.app.test_client().get(target, headers=headers).status_code == status
    container.buy()
    asked = api.requests[0]
    current = Consumer(CONSUMER_KEY, (CONSUMER_SECRET,))
    query, now = asked["QUERY_STRING"].encode(), int(clock.now().timestamp())
    address = f"{PLATFORM}/atom/mobile/point/@me"
    assert current.verify("POST", address, query, asked["HTTP_AUTHORIZATION"], now=now, window=60)


@on_sqlite
@pytest.mark.changed(public_url="http://[::1]:8000", mixi_platform_hosts="[::1]:8001")
def test_a_street_of_ipv6_addresses(app: Flask, api: ScriptedApi) -> None:
    """Shop and platform may have addresses in brackets: pages are believed, and a purchase leads there."""
    api.href = "http://[::1]:8001/point/1"
    answer = Container(app, "http://[::1]:8000").buy()
    assert answer.status_code == 302
    assert answer.location == "http://[::1]:8001/point/1"


def test_error_pages_say_nothing_of_the_inside(container: Container) -> None:
    """No traceback, no path, no name of a library."""
    for path in ("/nowhere", "/items/%00", "/history?page=%FF"):
        text = container.get(path).text
        assert not re.search(r"Traceback|\.py|Werkzeug|sqlalchemy", text, re.IGNORECASE)


@pytest.mark.parametrize(
    "name", ["endpoint", "_method", "_external", "_scheme", "_anchor", "filename", "values", "item_id"]
)
def test_names_of_the_framework(container: Container, name: str) -> None:
    """A stranger's parameter that is called like one of the framework's is none, on error pages, too."""
    for path, status in (("/history", 200), ("/items/excalibur", 200), ("/items/nothing", 404)):
        page = container.get(path, **{name: "POST"})
        assert page.status_code == status
        assert f"{quote(path, safe='')}%3F{name}%3DPOST" in page.text
    assert container.get("/nowhere", **{name: "POST"}).status_code == 404


def test_an_error_page_does_not_fail_as_its_page_did(
    container: Container, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where the visitor's own links cannot be written, an error says so on a page without them."""

    def broken(*_: object) -> str:
        raise ValueError

    monkeypatch.setattr(Visit, "here", broken)
    for path, status in (("/history", 500), ("/items/nothing", 404)):
        page = container.get(path, secret="a stranger's word")
        assert page.status_code == status
        assert "</html>" in page.text
        assert "stranger" not in page.text + capfd.readouterr().err
