"""The catalogue: what the file may say, and what the shelf makes of it."""

from pathlib import Path

import pytest
from flask import Flask

from storefront import PRICE_RULES as RULES
from storefront.db import transaction
from storefront.shop import catalog, catalog_file
from storefront.shop.catalog_file import CatalogError, columns
from tests.street import Books, Container

SHIPPED = Path(catalog_file.__file__).parent / "catalog.yaml"
GOOD = """
- id: rope
  name: {ja: 綱, en: Rope}
  description: {ja: 長い綱。, en: A long rope.}
  art: rope.svg
  prices: {mixi: 10}
"""


def test_the_shipped_catalogue_is_good() -> None:
    """Eight to twelve items, each with its own drawing, the first one affordable."""
    entries = catalog_file.read(SHIPPED, RULES)
    assert 8 <= len(entries) <= 12
    art = SHIPPED.parent.parent.parent / "static" / "art"
    assert all((art / entry.art).exists() for entry in entries)
    assert entries[0].prices == {"mixi": 10}


@pytest.mark.parametrize(
    ("old", "new", "line", "rule"),
    [
        ("id: rope", "id: a-rope", 2, "an id is 1 to 64 half-width letters and digits"),
        ("id: rope", f"id: {'x' * 65}", 2, "an id is 1 to 64"),
        ("id: rope", "id: 綱", 2, "an id is 1 to 64"),
        ("id: rope", "ident: rope", 2, "id: Field required"),
        ("綱, en", f"{'綱' * 65}, en", 3, "at most 128 half-width columns"),
        ("en: Rope}", 'en: " "}', 3, "printable"),
        ("en: Rope}", 'en: "a\\tb"}', 3, "printable"),
        ("ja: 綱, ", "", 3, "needs 'ja' as well"),
        ("en: Rope", "fr: Corde", 3, "'ja' or 'en'"),
        ("art: rope.svg", "art: ../rope.svg", 5, "art is the name of an .svg file"),
        ("mixi: 10", "mixi: 9", 6, "not within 10 to 10000 points"),
        ("mixi: 10", "mixi: 10001", 6, "not within 10 to 10000 points"),
        ("mixi: 10", "mixi: 10.5", 6, "valid integer"),
        ("mixi: 10", 'mixi: "10"', 6, "valid integer"),
        ("mixi: 10", "mars: 10", 6, "no such channel"),
        ("{mixi: 10}", "{}", 6, "at least 1"),
        ("  art:", "  weight: 3\n  art:", 5, "weight: Extra inputs"),
        ("- id", "- just a word\n- id", 2, "an item is a mapping"),
    ],
)
def test_broken_rules(tmp_path: Path, old: str, new: str, line: int, rule: str) -> None:
    """Each error names the line and the rule."""
    file = tmp_path / "catalog.yaml"
    assert old in GOOD
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(CatalogError) as error:
        catalog_file.read(file, RULES)
    assert f"{file}:{line}: " in str(error.value)
    assert rule in str(error.value)


@pytest.mark.parametrize("text", ["", "[]", "a: b", "- [", "\0"])
def test_no_catalogue_at_all(tmp_path: Path, text: str) -> None:
    """A file that is no list of items is said to be none."""
    file = tmp_path / "catalog.yaml"
    file.write_text(text)
    with pytest.raises(CatalogError):
        catalog_file.read(file, RULES)


def test_the_same_id_twice(tmp_path: Path) -> None:
    """The second of two items with one id is named, with the line of the first."""
    file = tmp_path / "catalog.yaml"
    file.write_text(GOOD + GOOD)
    with pytest.raises(CatalogError, match="stands already on line 2"):
        catalog_file.read(file, RULES)


def test_every_problem_at_once(tmp_path: Path) -> None:
    """A shopkeeper mends all lines in one go."""
    file = tmp_path / "catalog.yaml"
    file.write_text(GOOD.replace("mixi: 10", "mixi: 1").replace("id: rope", "id: a b"))
    with pytest.raises(CatalogError) as error:
        catalog_file.read(file, RULES)
    assert "an id is" in str(error.value)


def test_columns() -> None:
    """A full-width character takes two half-width columns."""
    assert [columns(text) for text in ("sword", "剣", "ｶﾅ", "Ａ")] == [5, 2, 2, 2]


def test_a_sale_keeps_its_name_and_price(app: Flask, container: Container, tmp_path: Path) -> None:
    """What was sold stays as it was sold, and stays held, when the shelf changes."""
    code = container.start("excalibur")
    container.callback(code)
    file = tmp_path / "catalog.yaml"
    file.write_text(GOOD)
    with app.app_context(), transaction() as session:
        assert catalog.load(session, file) == 1
    history = container.get("/history").text
    assert "エクスカリバー" in history
    assert "100pt" in history
    assert 'data-item="excalibur"' in container.get("/inventory").text
    assert container.get("/items/excalibur").status_code == 404
    assert "excalibur" not in container.get("/").text


def test_a_price_that_rose_meanwhile(app: Flask, container: Container, books: Books, tmp_path: Path) -> None:
    """A form made for the old price is out of date; nobody pays what they did not read."""
    page = container.get("/items/loaf")
    file = tmp_path / "catalog.yaml"
    file.write_text(SHIPPED.read_text().replace("prices: {mixi: 10}", "prices: {mixi: 20}"))
    with app.app_context(), transaction() as session:
        catalog.load(session, file)
    token = page.text.split('name="token" value="')[1].split('"')[0]
    assert container.post("/mixi/payments", {"item": "loaf", "token": token}).status_code == 400
    assert books.payments() == 0
