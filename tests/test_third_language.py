"""A language more is a line in storefront/languages.py: what it does not say is said in English."""

import re
from pathlib import Path

import pytest
from babel.support import Translations
from flask import Flask
from lxml import html

from storefront.db import transaction
from storefront.languages import LANGUAGES, check, locale, said
from storefront.shop import catalog
from storefront.texts import Side, refresh
from tests.databases import on_sqlite
from tests.operators import Operator
from tests.street import GOODS, Container, words

pytestmark = pytest.mark.long

CODES = ("eo", "zh-CN", "zh-Hant", "pt-BR")


@pytest.fixture(autouse=True)
def spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    for code in CODES:
        monkeypatch.setitem(LANGUAGES, code, code.upper())


@on_sqlite
@pytest.mark.parametrize("path", ["/", "/items/loaf", "/inventory", "/history", "/legal", "/nowhere"])
@pytest.mark.parametrize("code", CODES)
def test_pages_without_a_translation(container: Container, path: str, code: str) -> None:
    """They are in English, goods and name as well, say what language was chosen, and carry it on."""
    page, english = (container.get(path, lang=one).text for one in (code, "en"))
    assert html.fromstring(page).get("lang") == code
    assert f"lang%3D{code}" in page
    for text in ("Trial Shop", law(english)):
        assert text in words(page)
    assert len(words(page)) == pytest.approx(len(words(english)), abs=20)


@on_sqlite
def test_goods_in_it(app: Flask, container: Container, tmp_path: Path) -> None:
    """The catalogue may say it of some items, and those are called so."""
    file = tmp_path / "catalog.yaml"
    file.write_text(GOODS.read_text().replace("en: Round loaf}", "en: Round loaf, eo: Pano}"))
    with app.app_context(), transaction() as session:
        catalog.load(session, file)
    shelf = words(container.get("/", lang="eo").text)
    assert "Pano" in shelf
    assert "Excalibur" in shelf


@on_sqlite
def test_a_purchase_in_it(container: Container) -> None:
    """The payment remembers it, and the page after the purchase is in it."""
    page = container.get("/items/loaf", lang="eo").text
    (form,) = html.fromstring(page).forms
    answer = container.post("/mixi/payments", dict(form.form_values()), lang="eo")
    assert answer.status_code == 302
    (row,) = html.fromstring(container.get("/history").text).cssselect("[data-payment]")
    code = row.get("data-payment")
    assert '<html lang="eo">' in container.get("/mixi/finish", point_code=str(code), status="10").text


@on_sqlite
@pytest.mark.parametrize("heard", ["zh-CN", "zh-cn", "zh-CN,en;q=0.5", "zh_CN"])
def test_as_browsers_ask(app: Flask, heard: str) -> None:
    """Who asks for it by the browser's own word hears it, on the error page too."""
    for path in ("/", "/nowhere"):
        page = app.test_client().get(path, headers={"Accept-Language": heard}).text
        assert html.fromstring(page).get("lang") == "zh-CN"


@on_sqlite
def test_a_purchase_in_a_language_that_is_gone(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    """A payment begun in it, elsewhere or before, is shown in the default; so is the page in each place."""
    page = container.get("/items/loaf", lang="zh-CN").text
    (form,) = html.fromstring(page).forms
    assert container.post("/mixi/payments", dict(form.form_values()), lang="zh-CN").status_code == 302
    (row,) = html.fromstring(container.get("/history").text).cssselect("[data-payment]")
    monkeypatch.delitem(LANGUAGES, "zh-CN")
    code = str(row.get("data-payment"))
    answer = container.get("/mixi/finish", point_code=code, status="10")
    assert (answer.status_code, '<html lang="ja">' in answer.text) == (200, True)
    assert container.get("/", lang="zh-CN").status_code == 200


@on_sqlite
def test_an_operator_of_a_language_that_is_gone(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cookie of the operator's visit may still name it."""
    operator = Operator(app)
    assert operator.get("/mixi/rules?lang=zh-CN").status_code == 200
    monkeypatch.delitem(LANGUAGES, "zh-CN")
    answer = operator.get("/mixi/rules")
    assert (answer.status_code, '<html lang="ja">' in answer.text) == (200, True)


def law(page: str) -> str:
    """What a page calls the way to the law."""
    (link,) = html.fromstring(page).cssselect("footer a[href*=legal]:not([hreflang])")
    return str(link.text_content())


def test_its_catalogue(tmp_path: Path) -> None:
    """`storefront texts` puts it where the pages look for it."""
    side = Side((), tmp_path)
    file = side.file("zh-CN")
    text = "A text of this test"
    refresh(file, "zh-CN", [text])
    file.write_text(file.read_text().replace(f'msgid "{text}"\nmsgstr ""', f'msgid "{text}"\nmsgstr "法律"'))
    refresh(file, "zh-CN", [text])
    found = Translations.load(tmp_path, [locale("zh-CN")])
    assert found.gettext(text) == "法律"


@pytest.mark.parametrize("code", ["zh_CN", "xx", "", "z", "zh-Hant-TW", "ja ", "EN GB"])
def test_what_is_no_language(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A code that is none of a browser's, or longer than a payment keeps, is said at the start."""
    monkeypatch.setitem(LANGUAGES, code, "?")
    with pytest.raises(ValueError, match=re.escape(repr(code))):
        check()


@pytest.mark.parametrize(
    ("texts", "heard"),
    [
        ({"ja": "綱", "en": "Rope", "eo": "Ŝnuro"}, "Ŝnuro"),
        ({"ja": "綱", "en": "Rope"}, "Rope"),
        ({"ja": "綱"}, "綱"),
    ],
)
def test_what_is_said(texts: dict[str, str], heard: str) -> None:
    """In the language itself, else in English, else as it is there."""
    assert said(texts, "eo") == heard
