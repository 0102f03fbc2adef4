"""Addresses for the platform's servers: the log marks a phone that asks for one, and keeps their secrets."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError

from storefront.sandbox.doors import HIDDEN
from storefront.sandbox.settings import SandboxSettings
from storefront.sandbox.store import Base, transaction
from storefront.sandbox.wirelog import EXCERPT, Exchange
from tests.sandbox.conftest import (
    APP,
    SHOP,
    XML,
    Begin,
    Phone,
    Sap,
    Shop,
    read_created,
)

Logged = Callable[[], list[Exchange]]
WORD = "Zk3-q_0cXw7pT9vLh2mN4g"  # 128 bits, as a URL may carry them
DOOR = f"{SHOP}/callback/{WORD}"
SECRET_XML = XML.replace("/callback", f"/callback/{WORD}")
SENTENCES = {
    "en": "A phone asked for an address that is only for the platform's servers",
    "ja": "プラットフォームのサーバー専用のアドレスを、携帯電話が求めました",
}


@pytest.fixture
def bought(begin: Begin, sap: Sap) -> Phone:
    """hanako has bought, at a shop whose callback addresses end with a secret; her phone."""
    sap.says(f"/callback/{WORD}", "OK", content_type="text/plain")
    phone, purchase = begin(xml=SECRET_XML)
    assert phone.buy(purchase.url) == "bought"
    return phone


def image(phone: Phone, url: str) -> None:
    phone.get(f"/mm/{APP}/?url={quote(url, safe='')}")


def post(phone: Phone, url: str) -> None:
    phone.post(f"/ma/{APP}/?guid=ON&url={quote(url, safe='')}", data={"status": "10"})


ASKS: dict[str, Callable[[Phone, str], object]] = {"page": Phone.page, "form": post, "image": image}
DOORS = (
    DOOR,
    f"{DOOR}?point_code=1&status=10",
    f"{SHOP}/callback?point_code=1&status=10",
    f"{SHOP}/callback/another",
    f"{SHOP}//callback/{WORD}/",
    f"HTTP://SHOP.test:80/c%61llback/{WORD}",
    f"{SHOP}/mixi/lifecycle?eventtype=event.removeapp&id=1",
    f"{SHOP}/mixi/start/pc?opensocial_viewer_id=1",
    f"{SHOP}/mixi/start/smartphone",
)


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_a_phone_at_a_servers_door(
    bought: Phone, sap: Sap, logged: Logged, ask: Callable[[Phone, str], object]
) -> None:
    """The container signs it as it signs everything; the row is marked, in words and for machines."""
    for number, address in enumerate(DOORS, 1):
        ask(bought, address)
        assert sap.last.headers["Authorization"].startswith("OAuth ")
        row = logged()[0]
        assert row.attack, address
        assert row.base_string, address
        for language, sentence in SENTENCES.items():
            shown = bought.get(f"/log?lang={language}").text
            assert shown.count("data-attack") == number, address
            assert sentence in shown.replace("&#39;", "'")


def test_pages_are_no_doors(bought: Phone, logged: Logged) -> None:
    """What is for phones is not marked, and nor is what the platform's own servers ask for."""
    for path in ("/", "/callbacks", "/finish?point_code=1", "/items/callback", f"/{WORD}"):
        for ask in ASKS.values():
            ask(bought, SHOP + path)
            assert not logged()[0].attack, path
        assert "data-attack" not in bought.get("/log").text, path
    assert not any(row.attack for row in logged())


def test_an_address_that_every_payment_shares(begin: Begin, logged: Logged) -> None:
    """Without a secret in it, the callback address itself is the door, and its neighbours are pages."""
    phone, _ = begin()
    phone.page(f"{SHOP}/callback?point_code=1&status=10")
    assert [row.attack for row in logged()][:2] == [True, False]
    assert logged()[0].url.startswith(f"{SHOP}/callback?")


def test_an_app_that_opens_everywhere_at_one_address(settings: SandboxSettings) -> None:
    """Its start address is a page of phones, too."""
    assert settings.server_addresses == [
        f"{SHOP}/mixi/lifecycle",
        f"{SHOP}/mixi/start/smartphone",
        f"{SHOP}/mixi/start/pc",
    ]
    one = settings.model_copy(update={"start_url_pc": SHOP, "start_url_smartphone": f"{SHOP}/"})
    assert one.server_addresses == [f"{SHOP}/mixi/lifecycle"]


def test_the_secret_is_never_shown(
    bought: Phone, sap: Sap, shop: Shop, logged: Logged, tmp_path: Path
) -> None:
    """Wherever it stands and however it is escaped: in rows of all kinds, and on no page."""
    sap.says("/leak", f'<p>{DOOR} <a href="?url={quote(DOOR, safe="")}">')
    bought.page(f"{SHOP}/leak?to={quote(DOOR, safe='')}")
    for ask in ASKS.values():
        ask(bought, f"{DOOR}?point_code=1&status=10")
        ask(bought, f"{SHOP}/c%61llback/{WORD}")
    code = read_created(shop.create(xml=SECRET_XML)).code
    shop.confirm(code)
    assert {row.kind.value for row in logged()} >= {"page", "image", "api", "callback"}
    for row in logged():
        assert WORD not in f"{row.url} {row.base_string} {row.sent} {row.answer}"
    assert any(row.url.startswith(f"{SHOP}/callback/{HIDDEN}?") for row in logged())
    assert any(f"%2Fcallback%2F{HIDDEN}&" in row.base_string for row in logged())
    for path in ("/log", "/log?page=2", "/developer", "/"):
        assert WORD not in bought.get(path).text
    with sqlite3.connect(tmp_path / "sandbox.db") as file:
        assert WORD not in str(file.execute("SELECT * FROM wire").fetchall())
        assert file.execute("SELECT address FROM door").fetchall() == [(f"{SHOP}/callback",)]


def test_a_secret_that_needs_escapes(begin: Begin, sap: Sap, logged: Logged) -> None:
    """Other apps write other secrets; escaped once, twice, or for XML, they are the same ones."""
    secret = "a&b=c.d+e~f:g,h!i"
    sap.says(f"/callback/{secret}", "OK", content_type="text/plain")
    phone, purchase = begin(xml=XML.replace("/callback", f"/callback/{secret.replace('&', '&amp;')}"))
    assert phone.buy(purchase.url) == "bought"
    for row in logged():
        written = f"{row.url} {row.base_string} {row.sent} {row.answer}"
        assert "d+e~f" not in written
        assert "d%2Be~f" not in written
        assert "d%252Be~f" not in written


@pytest.mark.parametrize(
    ("xml", "options"),
    [
        (SECRET_XML, {"secret": "wrong"}),
        (SECRET_XML, {"key": "nobody"}),
        (SECRET_XML.replace('point="100"', 'point="1"'), {}),
        (SECRET_XML.replace("</entry>", ""), {}),
        (SECRET_XML.replace('"http', "'http", 1).replace(f'{WORD}"', f"{WORD}'"), {"secret": "wrong"}),
    ],
)
def test_a_refused_creation_keeps_it_too(
    shop: Shop, logged: Logged, xml: str, options: dict[str, str]
) -> None:
    """No payment knows the secret of a request that is refused; its body is read all the same."""
    assert shop.create(xml=xml, **options).status_code >= 400
    row = logged()[0]
    assert "callback_url=" in row.sent
    assert WORD not in f"{row.url} {row.sent} {row.answer}"


def test_no_half_of_a_secret(bought: Phone, sap: Sap, logged: Logged) -> None:
    """A long answer is cut, but not in the middle of what is to be hidden."""
    for shift in range(0, 30, 3):
        sap.says("/leak", "x " * ((EXCERPT - len(DOOR)) // 2) + " " * shift + DOOR + " end")
        bought.page(f"{SHOP}/leak")
        assert WORD[:4] not in logged()[0].answer, shift


def test_an_error_keeps_it(inside: Flask) -> None:
    """What a database error says goes to the error output, so it says nothing of the values."""
    with pytest.raises(IntegrityError) as error, transaction() as session:
        session.execute(Base.metadata.tables["payment"].insert().values(callback_url=DOOR, code="1"))
    assert WORD not in str(error.value)
