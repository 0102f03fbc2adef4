"""The number keys of a mobile phone: on one page each leads to one thing."""

from collections import Counter

import pytest
from lxml import html

from storefront.languages import LANGUAGES
from storefront.shop import views
from storefront.shop.pages import KEYS
from tests.databases import on_sqlite
from tests.street import Container


def keys(text: str) -> dict[str, str]:
    """What each key leads to."""
    found = html.fromstring(text).cssselect("[accesskey]")
    shared = [key for key, times in Counter(one.get("accesskey") for one in found).items() if times > 1]
    assert shared == []
    return {str(one.get("accesskey")): str(one.text_content()).strip() for one in found}


def test_the_table() -> None:
    """Each key stands once: a fourth tab and the pages of a list have theirs, too."""
    all_of_them = "".join(KEYS.values())
    assert sorted(all_of_them) == sorted(set(all_of_them))
    assert len(KEYS["places"]) >= 4


@on_sqlite
def test_on_a_page_in_the_middle(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tabs, both ways through a list, the law and the language."""
    monkeypatch.setattr(views, "MOBILE_ROWS", 4)
    said = keys(container.get("/", page="1", lang="en").text)
    tabs, rest = [*said][:-4], [*said][-4:]
    assert tabs == [*KEYS["places"]][: len(tabs)]
    assert rest == ["7", "8", "9", "0"]
    assert said["7"] == "7.Back"


@on_sqlite
def test_with_three_languages(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key leads to the next language of the list, and round again; the others are there without it."""
    monkeypatch.setitem(LANGUAGES, "eo", "Esperanto")
    following = [keys(container.get("/", lang=code).text)["0"] for code in LANGUAGES]
    first, *others = LANGUAGES.values()
    assert following == [f"0.{name}" for name in (*others, first)]
