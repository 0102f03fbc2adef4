"""Shift_JIS for mobile phones: every page of the container, its forms and its queries, and nothing else."""

import gzip
import json
from collections.abc import Callable
from datetime import timedelta
from itertools import product
from pathlib import Path
from urllib.parse import quote, urlencode

import brotli  # type: ignore[import-untyped]  # it ships no types
import pytest
from flask import Flask, jsonify, request
from lxml import html
from sqlalchemy import update
from werkzeug.test import TestResponse

from storefront import Settings, clock, create_app
from storefront.db import transaction
from storefront.mixi import taps
from storefront.mixi.charset import TWINS
from storefront.mixi.taps import Intent
from storefront.sandbox.key_pairs import KeyPair
from storefront.shop import catalog
from tests.databases import on_sqlite
from tests.street import (
    HANAKO,
    KANA,
    Books,
    Browser,
    Container,
    ScriptedApi,
    claims,
    kind,
    only_form,
    sentence,
    sign,
    start_address,
    words,
)

TAPS = 10
pytestmark = pytest.mark.changed(mixi_mobile_charset="shift_jis", mixi_taps_per_minute=TAPS)


@pytest.fixture
def plain(app: Flask, api: ScriptedApi, settings: Settings) -> Container:
    """The same shop with the same books, writing to phones in UTF-8."""
    changed = settings.model_copy(update={"mixi_mobile_charset": "utf-8"})
    return Container(create_app(changed, app.extensions["http"]))


def read(answer: TestResponse) -> str:
    """A page in Shift_JIS, as a phone reads it."""
    assert answer.headers["Content-Type"] == "text/html; charset=Shift_JIS"
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    text = str(answer.data, "cp932")
    assert '<meta charset="shift_jis">' in text.lower()
    return text


def age(container: Container, form: tuple[str, dict[str, str]], by: timedelta, **changes: object) -> None:
    """Tap, and let the tap be older or less finished than it is."""
    assert container.post(*form).status_code == 302
    with container.app.app_context(), transaction() as session:
        session.execute(update(Intent).values(started_at=clock.now() - by, **changes))


def tapped_too_often(container: Container, api: ScriptedApi) -> TestResponse:
    forms = [only_form(read(container.get("/items/loaf"))) for _ in range(TAPS + 1)]
    return [container.post(*form) for form in forms][-1]


def tapped_while_it_is_down(container: Container, api: ScriptedApi) -> TestResponse:
    api.status = "500 ERROR"
    return container.post(*only_form(read(container.get("/items/loaf"))))


def tapped_again_late(container: Container, api: ScriptedApi) -> TestResponse:
    form = only_form(read(container.get("/items/loaf")))
    age(container, form, timedelta(minutes=5))
    return container.post(*form)


def tapped_again_at_once(container: Container, api: ScriptedApi) -> TestResponse:
    form = only_form(read(container.get("/items/loaf")))
    age(container, form, timedelta(0), redirect=None)
    return container.post(*form)


def bought(container: Container, status: str = "10") -> str:
    form = only_form(read(container.get("/items/loaf")))
    assert container.post(*form).status_code == 302
    found = html.fromstring(read(container.get("/history"))).cssselect("[data-payment]")
    code = str(found[0].get("data-payment"))
    assert container.callback(code, status=status).text == "OK"
    return code


PAGES = {
    "/": 200,
    "/items/excalibur": 200,
    "/items/telescope": 200,
    "/inventory": 200,
    "/history": 200,
    "/legal": 200,
    "/nowhere": 404,
    "/mixi/payments": 405,
}


@on_sqlite
def test_every_page_says_the_same(container: Container, plain: Container) -> None:
    """A page in Shift_JIS has the words of the page in UTF-8, and says what it is written in."""
    bought(container)
    for (path, status), language in product(PAGES.items(), ("ja", "en")):
        page, other = container.get(path, lang=language), plain.get(path, lang=language)
        assert (page.status_code, other.status_code) == (status, status), path
        assert words(read(page)) == words(other.text).translate(TWINS), path
        assert other.headers["Content-Type"] == "text/html; charset=utf-8", path
        assert '<meta charset="utf-8">' in other.text, path


@pytest.mark.parametrize("status", ["10", "20"])
def test_the_finish_page(container: Container, plain: Container, status: str) -> None:
    """What became of a purchase is said in the phone's charset, whatever became of it."""
    code = bought(container, status)
    page = container.get("/mixi/finish", point_code=code)
    assert words(read(page)) == words(plain.get("/mixi/finish", point_code=code).text)
    assert "まるパン" in read(page)


@pytest.mark.parametrize(
    ("tap", "status", "page"),
    [
        (tapped_too_often, 429, "too-many"),
        (tapped_while_it_is_down, 503, "not-started"),
        (tapped_again_late, 200, "spent"),
        (tapped_again_at_once, 202, "being-prepared"),
    ],
)
def test_taps_that_lead_nowhere(
    container: Container,
    api: ScriptedApi,
    monkeypatch: pytest.MonkeyPatch,
    tap: Callable[[Container, ScriptedApi], TestResponse],
    status: int,
    page: str,
) -> None:
    """The pages between button and payment are in the phone's charset, too."""
    monkeypatch.setattr(taps, "SECOND_TAP_SECONDS", 0.2)
    answer = tap(container, api)
    assert answer.status_code == status
    assert kind(read(answer)) == page
    assert KANA.search(words(read(answer)))


def test_refused_forms(container: Container) -> None:
    """A form that is stale, strange or too large is answered in words that the phone can read."""
    stale, strange, large = {"item": "loaf", "token": "x"}, {"item": "花火"}, {"item": "x" * 70_000}
    for form, status in ((stale, 400), (strange, 404), (large, 413)):
        answer = container.post("/mixi/payments", form)
        assert answer.status_code == status
        assert KANA.search(words(read(answer))), status


def test_the_door(container: Container) -> None:
    """A phone whose request was not signed rightly is told so in its own charset."""
    answer = container.app.test_client().get(f"/inventory?{urlencode(claims(HANAKO))}")
    assert answer.status_code == 401
    assert KANA.search(sentence(read(answer), "forged"))


def stock(app: Flask, folder: Path, name: str) -> None:
    """A shelf with one item of this name."""
    item = {
        "id": "thing",
        "name": {"ja": name, "en": name},
        "description": {"ja": name, "en": name},
        "art": "emptybag.svg",
        "prices": {"mixi": 10},
    }
    path = folder / "catalog.yaml"
    path.write_text(json.dumps([item], ensure_ascii=False))
    with app.app_context(), transaction() as session:
        catalog.load(session, path)


@pytest.mark.parametrize("language", ["ja", "en"])
def test_signs_with_twins(app: Flask, container: Container, tmp_path: Path, language: str) -> None:
    """Signs that stand at two places in Unicode are written as phones have them, not as references."""
    stock(app, tmp_path, "〜−—‖¢£¬ ①㈱髙Ⅲ")
    text = read(container.get("/items/thing", lang=language))
    assert "<h1>～－―∥￠￡￢ ①㈱髙Ⅲ</h1>" in text


@pytest.mark.parametrize("strange", ["🎆", "한글", "é", "𠮷"])
def test_characters_outside(app: Flask, container: Container, tmp_path: Path, strange: str) -> None:
    """What Shift_JIS cannot say goes out as a numeric reference, which a page shows as the character."""
    stock(app, tmp_path, f"花火{strange}<&")
    answer = container.get("/items/thing")
    reference = "".join(f"&#{ord(char)};" for char in strange)
    assert f"<h1>花火{reference}&lt;&amp;</h1>" in read(answer)
    assert f"花火{strange}<&" in words(read(answer))


def test_our_own_domain_stays_utf_8(app: Flask, container: Container, pair: KeyPair) -> None:
    """PC and smartphone are written to in UTF-8, whatever phones want."""
    browser = Browser(app)
    pages = [browser.get(path) for path in ("/", "/legal", "/inventory", "/nowhere")]
    browser.get(start_address(pair))
    pages += [browser.get(path) for path in ("/", "/items/loaf", "/inventory", "/history", "/legal", "/x")]
    for page in pages:
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert '<meta charset="utf-8">' in page.text


def test_a_refused_start_address_is_answered_in_utf_8(app: Flask, pair: KeyPair) -> None:
    """A browser that comes by a start address is on our own domain, though mixi sent it."""
    page = Browser(app).get(start_address(pair, at=-700))
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert KANA.search(sentence(page.data.decode("utf-8"), "forged"))


def test_what_is_no_page_stays_as_it_is(container: Container, books: Books) -> None:
    """mixi reads OK as it was written; addresses and styles are nobody's text."""
    answer = container.callback(bought(container))
    assert (answer.data, answer.mimetype) == (b"OK", "text/plain")
    assert "Shift_JIS" not in answer.headers["Content-Type"]
    refused = container.app.test_client().get(f"/mixi/callback?{urlencode(claims(HANAKO))}")
    assert (refused.status_code, refused.mimetype) == (401, "text/plain")
    for path in ("/static/shop.css", "/static/art/emptybag.gif", "/robots.txt"):
        assert "Shift_JIS" not in container.get(path).headers["Content-Type"]


def test_buying_and_using(container: Container, books: Books) -> None:
    """The forms of a page in Shift_JIS do what they do in any other."""
    bought(container)
    assert books.grants() == 1
    used = container.post(*only_form(read(container.get("/inventory"))))
    assert used.status_code == 302
    assert used.location.startswith("http://platform.test/ma/12345/?guid=ON&url=")
    assert books.grants() == 0


def test_compressed_as_well(container: Container) -> None:
    """Should a request accept it, a page in Shift_JIS may come compressed, and is the same page."""
    target = f"/?{urlencode(claims(HANAKO))}"
    for accepted in ("gzip", "br", "gzip, br", "identity"):
        headers = sign("GET", target) | {"Accept-Encoding": accepted}
        answer = container.app.test_client().get(target, headers=headers)
        assert answer.status_code == 200, accepted
        assert answer.headers["Content-Type"] == "text/html; charset=Shift_JIS", accepted
        unpack = {"gzip": gzip.decompress, "br": brotli.decompress}
        page = unpack.get(answer.headers.get("Content-Encoding", ""), bytes)(answer.data)
        assert page == container.get("/").data, accepted


@pytest.fixture
def echo(app: Flask) -> Callable[..., dict[str, dict[str, str]]]:
    """What the shop understands of a phone's request."""
    app.add_url_rule(
        "/echo",
        "echo",
        view_func=lambda: jsonify(form=request.form.to_dict(), args=request.args.to_dict()),
        methods=["GET", "POST"],
    )

    def ask(query: str = "", body: str = "") -> dict[str, dict[str, str]]:
        kind = "application/x-www-form-urlencoded"
        address = f"/echo?{urlencode(claims(HANAKO))}&{query}"
        answer = app.test_client().post(address, data=body.encode("latin-1"), content_type=kind)
        assert answer.status_code == 200
        said: dict[str, dict[str, str]] = answer.get_json()
        return said

    return ask


Echo = Callable[..., dict[str, dict[str, str]]]
TEXTS = ["花火", "港まつりの花火 三本", "～－①", "ソ表能", "ﾃｨﾊﾞ", "ﾃｨ", "a&b=c+d%", "é"]


def test_form_fields(echo: Echo) -> None:
    """A phone sends its fields in the charset of the page they were on."""
    for text in TEXTS[:-1]:
        said = echo(body=urlencode({"名前": text, "empty": ""}, encoding="cp932"))
        assert said["form"] == {"名前": text, "empty": ""}


def test_query_values_in_utf_8(echo: Echo) -> None:
    """Addresses that we wrote are in UTF-8."""
    for text in TEXTS:
        assert echo(f"q={quote(text, safe='')}")["args"]["q"] == text


def test_query_values_in_shift_jis(echo: Echo) -> None:
    """Addresses that a phone wrote are in its own charset."""
    for text in ("花火", "港まつりの花火 三本", "～－①", "ソ表能", "a&b=c+d%"):
        assert echo(f"q={quote(text, safe='', encoding='cp932')}")["args"]["q"] == text


def test_bytes_of_no_charset(echo: Echo, container: Container) -> None:
    """What is text in no charset is shown as something, and breaks no page."""
    for raw in ("%FF%FE%80", "%8C", "%", "%zz", "%00", "%A0%FD", "\xff\x80"):
        assert "x" in echo(body=f"x={raw}&{raw}=1")["form"], raw
        assert "x" in echo(f"x={quote(raw, safe='%')}")["args"], raw
        assert container.get("/history", page=raw).status_code == 200, raw
        assert container.post("/mixi/payments", {"item": raw, "token": raw}).status_code == 404, raw


def test_a_browser_sends_utf_8(app: Flask, echo: Echo) -> None:
    """A form from our own domain is read as ever."""
    answer = app.test_client().post("/echo?q=花火", data={"名前": "花火"})
    assert answer.get_json() == {"form": {"名前": "花火"}, "args": {"q": "花火"}}
