"""A language more is a line in storefront/languages.py: what it does not say is said in English."""

from pathlib import Path

import pytest
from flask import Flask
from lxml import html

from storefront.db import transaction
from storefront.languages import LANGUAGES, said
from storefront.shop import catalog
from tests.databases import on_sqlite
from tests.street import GOODS, Container, words


@pytest.fixture(autouse=True)
def esperanto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LANGUAGES, "eo", "Esperanto")


@on_sqlite
@pytest.mark.parametrize("path", ["/", "/items/loaf", "/inventory", "/history", "/legal", "/nowhere"])
def test_pages_without_a_translation(container: Container, path: str) -> None:
    """They are in English, goods and name as well, say what language was chosen, and carry it on."""
    page, english = (container.get(path, lang=code).text for code in ("eo", "en"))
    assert html.fromstring(page).get("lang") == "eo"
    assert "lang%3Deo" in page
    for text in ("Trial Shop", "Legal notice"):
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
