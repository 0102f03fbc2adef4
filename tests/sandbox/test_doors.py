"""Addresses for the platform's servers: the log marks a phone that asks for one."""

from collections.abc import Callable
from urllib.parse import quote

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError

from storefront.sandbox import wirelog
from storefront.sandbox.settings import SandboxSettings
from storefront.sandbox.store import Base, transaction
from storefront.sandbox.wirelog import Exchange, Kind
from tests.sandbox.conftest import APP, PLATFORM, SHOP, XML, Begin, Phone, Sap

pytestmark = pytest.mark.long

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


def test_the_word_is_shown_to_its_own_stage(bought: Phone, app: Flask, logged: Logged) -> None:
    """It is the platform's to know: a base string is compared to the letter. No other stage sees it."""
    callback = next(row for row in logged() if row.kind is Kind.CALLBACK)
    assert callback.url.startswith(f"{DOOR}?")
    assert f"%2Fcallback%2F{WORD}&" in callback.base_string
    assert WORD in bought.get(f"/log/{callback.id}").text
    stranger = app.test_client()
    assert stranger.get(f"/log/{callback.id}", base_url=PLATFORM).status_code == 200  # the first one is all's
    Phone(stranger).press("/", "/reset")
    assert stranger.get(f"/log/{callback.id}", base_url=PLATFORM).status_code == 404
    for path in ("/log", "/", "/developer"):
        assert WORD not in stranger.get(path, base_url=PLATFORM).text


def test_no_half_of_a_token(bought: Phone, sap: Sap, logged: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    """A very long answer is cut, and says so; but not in the middle of what is to be hidden."""
    monkeypatch.setattr(wirelog, "MOST_TEXT", 200)
    for shift in range(0, 30, 3):
        sap.says("/leak", "x " * 80 + " " * shift + f"form_token={WORD} end" + " x" * 80)
        bought.page(f"{SHOP}/leak")
        row = logged()[0]
        assert WORD[:4] not in row.answer, shift
        assert row.answer.endswith(wirelog.CUT), shift
        assert "What follows was too much to keep" in bought.get(f"/log/{row.id}?lang=en").text, shift


def test_an_error_keeps_it(inside: Flask) -> None:
    """What a database error says goes to the error output, so it says nothing of the values."""
    with pytest.raises(IntegrityError) as error, transaction() as session:
        session.execute(Base.metadata.tables["payment"].insert().values(callback_url=DOOR, code="1"))
    assert WORD not in str(error.value)
