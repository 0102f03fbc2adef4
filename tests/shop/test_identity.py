"""What the shop is called: what the file may say, and where it is read."""

from pathlib import Path

import pytest
from flask import Flask
from lxml import html

from storefront import Settings, create_app
from storefront.config import SettingsError
from storefront.shop import identity
from storefront.shop.identity import IdentityError
from tests.databases import on_sqlite
from tests.street import SETTINGS, Container, words

GOOD = """
name: {ja: 綱屋, en: Rope Shop}
greeting: {ja: 長い綱。, en: Long ropes.}
sign: rope.svg
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "rule"),
    [
        ("name:", "nam:", 2, "nam: is no field of an identity: did you mean name?"),
        ("sign: rope.svg\n", "", 2, "sign: is missing: add it"),
        ("ja: 綱屋, ", "", 2, "name: needs 'ja' as well"),
        ("en: Rope Shop", "xx: Corderie", 2, "name.xx: a language is 'ja' or 'en'"),
        ("en: Rope Shop", "en: 7", 2, "name.en: must be text: put it in quotes"),
        ("en: Rope Shop", f"en: {'綱' * 65}", 2, "at most 128 half-width columns"),
        ("en: Long ropes.", 'en: ""', 3, "greeting.en: must be text without control characters"),
        ("rope.svg", "../rope.svg", 4, "sign: is the name of an .svg file in static/art"),
        ("sign:", "sign: a.svg\nsign:", 5, "sign: stands already on line 4"),
        ("sign:", "\tsign:", 4, "indent with spaces"),
        (GOOD, "- name", 1, "an identity is a mapping"),
        (GOOD, "", 1, "an identity is a mapping"),
    ],
)
def test_broken_rules(tmp_path: Path, old: str, new: str, line: int, rule: str) -> None:
    """Each error names the file, the line, the rule and what to do."""
    file = tmp_path / "identity.yaml"
    assert old in GOOD
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(IdentityError) as error:
        identity.read(file)
    assert f"{file}:{line}: " in str(error.value)
    assert rule in str(error.value)


def test_no_file(tmp_path: Path) -> None:
    """A file that is not there is a sentence."""
    with pytest.raises(IdentityError, match=r"nowhere\.yaml: cannot be read"):
        identity.read(tmp_path / "nowhere.yaml")


def test_a_wrong_file_stops_the_start(tmp_path: Path) -> None:
    """The shop does not open under half a name; it says where the file is, and what is wrong in it."""
    file = tmp_path / "identity.yaml"
    file.write_text(GOOD.replace("ja: 綱屋, ", ""))
    settings = Settings.model_validate({**SETTINGS, "database_url": "sqlite://", "identity": str(file)})
    with pytest.raises(SettingsError, match="needs 'ja' as well") as error:
        create_app(settings)
    assert f"{file}:2: " in str(error.value)
    assert "STOREFRONT_IDENTITY" in str(error.value)


def test_a_sign_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    """The sign stands on every page and in the browser's tab, so its drawing must be there."""
    file = tmp_path / "identity.yaml"
    file.write_text(GOOD.replace("rope.svg", "nowhere.svg"))
    settings = Settings.model_validate({**SETTINGS, "database_url": "sqlite://", "identity": str(file)})
    with pytest.raises(SettingsError, match=r"sign: there is no nowhere\.svg in .*static/art") as error:
        create_app(settings)
    assert str(file) in str(error.value)


@on_sqlite
@pytest.mark.parametrize(
    ("language", "name", "greeting"),
    [("ja", "試しの店", "ためすための品々です。"), ("en", "Trial Shop", "Things to try.")],
)
def test_where_it_stands(container: Container, language: str, name: str, greeting: str) -> None:
    """The name on every page and in its title, the greeting above the shelf, the sign beside the name."""
    shelf = container.get("/", lang=language).text
    assert greeting in words(shelf)
    for text in (shelf, container.get("/legal", lang=language).text, container.get("/nowhere").text):
        page = html.fromstring(text)
        assert (
            page.cssselect(".sign img")[0]
            .get("src", "")
            .startswith("http://shop.test:8000/static/art/emptybag.gif")
        )
    assert name in html.fromstring(shelf).cssselect(".sign")[0].text_content()
    assert html.fromstring(shelf).findtext(".//title", "").endswith(f" - {name}")


@on_sqlite
def test_the_icon_of_the_tab(app: Flask) -> None:
    """Browsers show the sign."""
    (icon,) = html.fromstring(app.test_client().get("/").text).cssselect("link[rel=icon]")
    assert "/static/art/emptybag.svg?v=" in str(icon.get("href"))
