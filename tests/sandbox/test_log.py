"""The wire log shows each exchange whole, names the mistake in a signature, and tells a payment's story."""

import re
import shlex
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from flask import Flask
from lxml import html
from pydantic import SecretStr

from storefront.mixi import signing
from storefront.sandbox import stage
from storefront.sandbox.people import PLAYED
from storefront.sandbox.signing import body_hash
from storefront.sandbox.stage import MADE_BY
from storefront.sandbox.wirelog import Exchange, Kind
from tests.sandbox.conftest import (
    API,
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
)

pytestmark = pytest.mark.long

Logged = Callable[[], list[Exchange]]


@pytest.fixture
def bought(begin: Begin) -> tuple[Phone, Purchase]:
    """hanako has bought."""
    phone, purchase = begin()
    assert phone.buy(purchase.url) == "bought"
    return phone, purchase


def row(phone: Phone, exchange: Exchange) -> html.HtmlElement:
    answer = phone.get(f"/log/{exchange.id}?lang=en")
    assert answer.status_code == 200
    return html.fromstring(answer.text)


def listed(phone: Phone, query: str = "") -> list[dict[str, str]]:
    """The data of the rows of the log."""
    return [
        dict(one.attrib) for one in html.fromstring(phone.get(f"/log?{query}").text).cssselect("li[data-row]")
    ]


def newest(logged: Logged, kind: Kind) -> Exchange:
    return next(one for one in logged() if one.kind is kind)


def test_a_row_says_whose_it_is(bought: tuple[Phone, Purchase]) -> None:
    """Without being opened a row shows its person and its payment, and leads to its story."""
    phone, purchase = bought
    page = html.fromstring(phone.get("/log?lang=en&kind=callback").text)
    (line,) = page.cssselect("li[data-row]")
    assert "Hanako" in line.text_content()
    assert line.get("data-payment") == purchase.code
    assert f"/payments/{purchase.code}" in [link.get("href") for link in line.cssselect("a")]


def test_filters(bought: tuple[Phone, Purchase], shop: Shop) -> None:
    """Rows are found by kind, person, payment and outcome, and these go together."""
    phone, purchase = bought
    shop.create(secret="wrong")
    phone.belongs_to("taro").page(f"{SHOP}/")
    assert {one["data-kind"] for one in listed(phone, "kind=api")} == {"api"}
    assert len(listed(phone, "person=taro&kind=page")) == 1
    assert {one["data-payment"] for one in listed(phone, f"payment={purchase.code}")} == {purchase.code}
    assert [one["data-status"] for one in listed(phone, "outcome=bad")] == ["401"]
    assert listed(phone, f"kind=callback&payment={purchase.code}&outcome=bad") == []
    assert len(listed(phone, "kind=nonsense&person=nobody&outcome=odd")) == len(listed(phone))


def test_pictures_are_not_in_the_way(phone: Phone, sap: Sap) -> None:
    """A picture that arrived is listed when it is asked for; one that did not always is."""
    phone.belongs_to("hanako")
    sap.says("/a.svg", content_type="image/svg+xml")
    for path in ("a.svg", "missing.svg"):
        phone.get(f"/mm/{APP}/?url={quote(f'{SHOP}/{path}', safe='')}")
    pictures = [
        [one["data-status"] for one in listed(phone, query) if one["data-kind"] == "image"]
        for query in ("", "pictures=yes", "kind=image")
    ]
    assert pictures == [["404"], ["404", "200"], ["404", "200"]]


def test_ten_seconds_are_a_callbacks(bought: tuple[Phone, Purchase], logged: Logged) -> None:
    """The bar of the time used stands where ten seconds count, and nowhere else."""
    phone, _ = bought
    drawn = {
        kind: row(phone, newest(logged, kind)).cssselect("figure.time") for kind in (Kind.PAGE, Kind.CALLBACK)
    }
    assert [len(found) for found in drawn.values()] == [0, 1]


def test_what_happened_is_said_in_words(bought: tuple[Phone, Purchase]) -> None:
    """The live part of the desk shows no names of fields."""
    phone, _ = bought
    phone.press("/desk", "/desk/weather", kind="api.slow")
    phone.press("/desk", "/desk/switches/approved", on="no")
    page = html.fromstring(phone.get("/desk/live?lang=en").text)
    (told,) = page.cssselect("ol.happened")
    words = " ".join(told.text_content().split())
    assert "=" not in words
    assert "Approved for payment · off" in words
    assert "The point API answers late." in words
    assert "to buy · 200" in words


def test_a_row_is_whole(bought: tuple[Phone, Purchase], logged: Logged) -> None:
    """Request line, headers and body, and the answer's; the body set out, and as it was sent."""
    phone, _ = bought
    page = row(phone, newest(logged, Kind.API))
    text = page.text_content()
    assert "POST http://platform.test:8001/atom/mobile/point/@me" in text
    assert "application/atom+xml" in text
    assert "エクスカリバー" in text
    assert page.cssselect("details.raw pre")[0].text_content().startswith("<?xml")
    assert page.cssselect("[data-hash=same]")


def test_time_is_a_bar(bought: tuple[Phone, Purchase], logged: Logged) -> None:
    """A callback shows how much of its ten seconds was used."""
    phone, _ = bought
    (bar,) = row(phone, newest(logged, Kind.CALLBACK)).cssselect("figure.time")
    assert "of 10 s" in bar.text_content()


def test_what_it_did(bought: tuple[Phone, Purchase], logged: Logged) -> None:
    """A callback says what it did to points and goods."""
    phone, _ = bought
    text = row(phone, newest(logged, Kind.CALLBACK)).text_content()
    assert "\N{MINUS SIGN}100pt" in text
    assert "+1" in text


def test_a_long_body_is_not_cut(phone: Phone, sap: Sap, logged: Logged) -> None:
    """Nothing of a page is left out."""
    sap.says("/", f"<p>{'x' * 20_000}the end</p>")
    phone.belongs_to("hanako").page(f"{SHOP}/")
    assert "the end" in row(phone, logged()[0]).text_content()


def test_japans_time(bought: tuple[Phone, Purchase], logged: Logged) -> None:
    """Beside UTC stands the time in Japan."""
    phone, _ = bought
    assert "in Japan" in row(phone, logged()[0]).text_content()


def test_another_stages_log(bought: tuple[Phone, Purchase], app: Flask, logged: Logged) -> None:
    """Nobody reads the log of a stage that is not theirs, nor the story of its payments."""
    _, purchase = bought
    stranger = Phone(app.test_client())
    stranger.press("/", "/reset")
    assert listed(stranger) == []
    assert stranger.get(f"/log/{logged()[0].id}").status_code == 404
    assert stranger.get(f"/payments/{purchase.code}").status_code == 404
    for what in ("curl", "resend"):
        assert stranger.press("/", f"/log/{logged()[0].id}/{what}").status_code == 404


BAD: dict[str, dict[str, Any]] = {
    "https_for_http port_dropped": {"signed_url": API.replace("http:", "https:").replace(":8001", "")},
    "port_dropped": {"signed_url": API.replace(":8001", "")},
    "newline_in_secret": {"secret": f"{SECRET}\n"},
    "secret_of_before": {"secret": "the one of before"},
    "unknown": {"secret": "quite another"},
}


@pytest.mark.parametrize("mistake", BAD)
def test_the_mistake_in_a_signature(make: Callable[..., Flask], logged: Logged, mistake: str) -> None:
    """Under a bad signature stands the mistake that led to it, or that none is known."""
    app = make(consumer_secret_previous=SecretStr("the one of before"))
    phone = Phone(app.test_client()).belongs_to("hanako")
    assert Shop(app).create(**BAD[mistake]).status_code == 401
    page = row(phone, newest(logged, Kind.API))
    (finding,) = page.cssselect("[data-mistake]")
    assert finding.get("data-mistake") == mistake


def test_the_first_difference_is_marked(phone: Phone, shop: Shop, logged: Logged) -> None:
    """What was expected and what must have been signed stand side by side, each with a mark."""
    phone.belongs_to("hanako")
    shop.create(signed_url=API.replace(":8001", ""))
    page = row(phone, newest(logged, Kind.API))
    assert [mark.text or "" for mark in page.cssselect("pre mark")] == ["%3A8001", ""]
    assert page.cssselect("tr.differs th")[0].text_content().strip() == "(address)"


def test_the_hash_of_other_bytes(phone: Phone, shop: Shop, logged: Logged) -> None:
    """A body hash that is another's is shown beside the right one, and whose it is."""
    phone.belongs_to("hanako")
    shop.create(body_hash=body_hash(b""))
    (hashes,) = row(phone, newest(logged, Kind.API)).cssselect("[data-hash=other]")
    assert body_hash(XML.encode()) in hashes.text_content()
    assert "of an empty body" in hashes.text_content()


def test_nothing_secret_is_shown(bought: tuple[Phone, Purchase], shop: Shop, logged: Logged) -> None:
    """Neither the app's secret nor any signature stands on any page of the log."""
    phone, purchase = bought
    shop.create(secret="wrong")
    for one in logged():
        text = unescape(phone.get(f"/log/{one.id}").text)
        assert SECRET not in text
        assert set(re.findall(r'oauth_signature=%?"?(.)', text)) <= {"["}
    assert SECRET not in phone.get(f"/payments/{purchase.code}").text


def command(page: html.HtmlElement) -> list[str]:
    return shlex.split(page.cssselect("pre.copy")[0].text_content().replace("\\\n", ""))


def address(words: list[str]) -> str:
    return next(word for word in words if word.startswith("http"))


def test_a_command_without_a_signature(bought: tuple[Phone, Purchase], logged: Logged) -> None:
    """As a command a request is whole but for its signature."""
    phone, purchase = bought
    words = command(row(phone, newest(logged, Kind.CALLBACK)))
    assert words[:2] == ["curl", "-i"]
    assert f"point_code={purchase.code}" in address(words)
    assert any('oauth_signature="[…]"' in word for word in words)


@pytest.mark.parametrize("kind", [Kind.CALLBACK, Kind.API, Kind.PAGE])
def test_a_command_signed_on_a_press(bought: tuple[Phone, Purchase], logged: Logged, kind: Kind) -> None:
    """On a press it is signed anew, and says how long it is good; who it is for takes it."""
    phone, _ = bought
    one = newest(logged, kind)
    answer = phone.press(f"/log/{one.id}", f"/log/{one.id}/curl")
    page = html.fromstring(answer.text)
    (shown,) = page.cssselect("pre[data-signed]")
    words = shlex.split(shown.text_content().replace("\\\n", ""))
    header = next(word for word in words if word.startswith("Authorization: ")).partition(": ")[2]
    oauth = dict(signing.header_pairs(header))
    parts = urlsplit(address(words))
    signed = signing.Consumer(KEY, (SECRET,)).verify(
        one.method,
        f"{parts.scheme}://{parts.netloc}{parts.path}",
        parts.query.encode(),
        header,
        now=int(oauth["oauth_timestamp"]),
        window=0,
    )
    assert (signed.oauth.get("oauth_body_hash") is not None) == (kind is Kind.API)
    assert "300" in page.cssselect("p.note")[0].text_content()


@pytest.mark.parametrize(
    "asked",
    [{"base_url": "http://api.elsewhere.test"}, {"secret": "wrong"}],
    ids=["for another host", "forged"],
)
def test_a_command_signed_for_us_alone(
    bought: tuple[Phone, Purchase], shop: Shop, logged: Logged, asked: dict[str, str]
) -> None:
    """Nothing is signed for a host that is not ours, nor what nobody had signed."""
    phone, purchase = bought
    shop.confirm(purchase.code, **asked)
    one = newest(logged, Kind.API)
    assert not phone.get(f"/log/{one.id}").text.count(f"/log/{one.id}/curl")
    assert phone.press("/", f"/log/{one.id}/curl").status_code == 400


def test_send_it_again(bought: tuple[Phone, Purchase], sap: Sap, logged: Logged) -> None:
    """The same to the nonce, or with a fresh one: a row of its own each, and the app hears it."""
    phone, _ = bought
    one, before = newest(logged, Kind.CALLBACK), len(sap.heard)
    for way in ("same", "fresh"):
        answer = phone.press(f"/log/{one.id}", f"/log/{one.id}/resend", nonce=way)
        assert answer.status_code == 303
    nonces = [
        dict(signing.header_pairs(heard.headers["Authorization"]))["oauth_nonce"] for heard in sap.heard
    ]
    first, same, fresh = nonces[before - 1 :]
    assert first == same != fresh
    assert [each.kind for each in logged()[:2]] == [Kind.CALLBACK, Kind.CALLBACK]


def test_send_it_forged(bought: tuple[Phone, Purchase], sap: Sap, logged: Logged) -> None:
    """As any fault; of an altered one the row shows what was signed beside what was sent."""
    phone, _ = bought
    one = newest(logged, Kind.CALLBACK)
    phone.press(f"/log/{one.id}", f"/log/{one.id}/resend", fault="altered")
    page = row(phone, logged()[0])
    assert page.cssselect("[data-mistake=altered]")
    assert [mark.text for mark in page.cssselect("pre mark")] == ["1", "2"]
    assert phone.press(f"/log/{one.id}", f"/log/{one.id}/resend", fault="odd").status_code == 400


def test_a_payments_story(bought: tuple[Phone, Purchase], shop: Shop) -> None:
    """From the tap to the confirmation, in order, each moment with its row."""
    phone, purchase = bought
    shop.confirm(purchase.code)
    page = html.fromstring(phone.get(f"/payments/{purchase.code}?lang=en").text)
    told = [one.get("data-happening") for one in page.cssselect(".timeline li")]
    wanted = [
        "payment_created",
        "screen_shown",
        "callback_answered",
        "payment_completed",
        "payment_confirmed",
    ]
    assert [name for name in dict.fromkeys(told) if name in wanted] == wanted
    assert page.cssselect("main[data-state=complete]")
    assert "A page of the app leads to the payment screen." in page.text_content()
    assert page.cssselect("[data-happening=callback_answered] figure.time")
    assert len(page.cssselect(".timeline li[data-row]")) >= 3


def test_a_story_has_an_end(bought: tuple[Phone, Purchase], sap: Sap) -> None:
    """It ends with what the app made of it: as its own pages showed it, and where the books have it."""
    phone, purchase = bought
    for state in ("complete", "void"):
        mark = f'<p data-payment="{purchase.code}" data-state="{state}"></p>'
        sap.says("/finish", f'<main data-page="finish">{mark}</main>')
        phone.page(f"{SHOP}/finish")
    page = html.fromstring(phone.get(f"/payments/{purchase.code}?lang=en").text)
    ends = [" ".join(one.text_content().split()) for one in page.cssselect(".timeline .what")][-2:]
    assert ends == [
        "The app shows it as: granted after the purchase",
        "The app shows it as: void: not confirmed in time after the purchase",
    ]
    assert "have not been read" in page.cssselect("#now + dl")[0].text_content()
    assert {"/desk/books", "/desk/actions/finish-of"} <= {form.action for form in page.forms}
    assert page.cssselect("a[href='/desk/books#payments']")


@pytest.mark.parametrize("path", ["/payments/nothing", "/log/999999", "/log/x"])
def test_what_is_not_there(phone: Phone, path: str) -> None:
    """An unknown row or payment is 404."""
    assert phone.get(path).status_code == 404


def paste(phone: Phone, **fields: str) -> Any:
    return phone.press("/desk/signatures", "/desk/signatures", **fields)


def made(shop_secret: str, url: str = f"{API}?xoauth_requestor_id=x") -> dict[str, str]:
    """A request as a shop would have signed it, to paste."""
    client = signing.ApiClient(KEY, client_secret=shop_secret, timestamp="1", nonce="n")
    _, headers, _ = client.sign(url, "GET")
    return {"method": "GET", "address": url, "header": headers["Authorization"], "body": ""}


@pytest.mark.parametrize(
    ("secret", "mistake"), [(SECRET, "none"), (f"{SECRET}\n", "newline_in_secret"), ("other", "unknown")]
)
def test_pasted_by_hand(phone: Phone, secret: str, mistake: str) -> None:
    """A pasted request is examined in six steps, and its mistake is named."""
    answer = paste(phone, **made(secret))
    page = html.fromstring(answer.text)
    assert answer.status_code == 200
    assert page.cssselect("[data-mistake]")[0].get("data-mistake") == mistake
    steps = [one.get("data-good") for one in page.cssselect(".steps li")]
    assert len(steps) == 6
    assert steps[3] == "no"  # the timestamp is of 1970
    assert steps[5] == ("yes" if mistake == "none" else "no")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"address": "", "header": ""},
        {"address": "not an address"},
        {"address": "http://[::1"},
        {"address": f"{API}?{'&'.join('a=1' for _ in range(200))}"},
        {"address": "http://platform.test:99999999/"},
        {"header": "Basic abc"},
        {"header": "OAuth"},
        {"header": "OAuth rubbish"},
        {"header": "x" * 100_000},
        {"method": "BREW"},
        {"body": "a=" + "b" * 900_000},
        {"address": f"{API}?x=%ZZ&y=港"},
    ],
    ids=lambda fields: str(fields)[:40],
)
def test_pasted_badly(phone: Phone, fields: dict[str, str]) -> None:
    """What is no request is 400 with a sentence, never an error of ours."""
    whole = {**made(SECRET), **fields} if fields else {}
    answer = paste(phone, **whole)
    assert answer.status_code == 400
    assert html.fromstring(answer.text).cssselect("[role=alert]")


def test_a_callback_pasted(phone: Phone) -> None:
    """What the platform sends to the app is examined just so: its address counts as it was called."""
    url = f"{SHOP}/callback?point_code=1&opensocial_owner_id={owner('hanako')}"
    client = signing.ApiClient(KEY, client_secret=SECRET, timestamp="1", nonce="n")
    _, headers, _ = client.sign(url, "GET")
    answer = paste(phone, method="GET", address=url, header=f"Authorization: {headers['Authorization']}")
    assert html.fromstring(answer.text).cssselect("[data-mistake=none]")


@pytest.mark.parametrize("path", ["/desk/signatures", "/log/1/curl", "/log/1/resend", "/desk/books"])
def test_forms_from_elsewhere(phone: Phone, path: str) -> None:
    """A form without this browser's word is refused."""
    assert phone.post(path).status_code == 400


@pytest.mark.parametrize("language", ["ja", "en"])
def test_every_page_of_it_speaks(bought: tuple[Phone, Purchase], logged: Logged, language: str) -> None:
    """Each page is there in both languages, and has no script."""
    phone, purchase = bought
    rows = [f"/log/{one.id}" for one in logged()]
    for path in (
        *rows,
        "/log",
        f"/payments/{purchase.code}",
        "/desk/signatures",
        "/desk/books",
        "/assumptions",
    ):
        answer = phone.get(f"{path}?lang={language}")
        assert answer.status_code == 200, path
        assert f'<html lang="{language}">' in answer.text
        assert "<script" not in answer.text


def test_the_log_of_a_walkthrough(phone: Phone, app: Flask) -> None:
    """Rows are found by the walkthrough they belong to, on each stage that this browser played it on."""
    with app.test_request_context():
        played = stage.make(walkthrough="lost-ok")
        made_by = played.made_by
    with phone.client.session_transaction(base_url=PLATFORM) as browser:
        browser[PLAYED], browser[MADE_BY] = played.id, made_by
    phone.belongs_to("hanako").page(f"{SHOP}/")
    phone.press("/", "/reset")
    assert listed(phone) == []
    (page, *_) = listed(phone, "walkthrough=lost-ok&kind=page")
    assert phone.get(f"/log/{page['data-row']}").status_code == 200
    assert listed(phone, "walkthrough=another") == []
    assert 'value="lost-ok"' in phone.get("/log").text or ">lost-ok<" in phone.get("/log").text
