"""A language more in storefront/languages.py is one of the platform's, too."""

import pytest
from lxml import html

from storefront.languages import LANGUAGES
from tests.sandbox.conftest import Phone


@pytest.mark.parametrize("code", ["eo", "zh-CN", "pt-BR"])
@pytest.mark.parametrize("path", ["/", "/developer", "/nowhere"])
def test_its_pages(phone: Phone, monkeypatch: pytest.MonkeyPatch, path: str, code: str) -> None:
    """They say which language they are in, and go on in the default when it is taken out again."""
    monkeypatch.setitem(LANGUAGES, code, code)
    phone.get(f"/?lang={code}")
    assert html.fromstring(phone.get(path).text).get("lang") == code
    monkeypatch.delitem(LANGUAGES, code)
    assert html.fromstring(phone.get(path).text).get("lang") == "ja"
