"""The style inside a phone's page: the theme's colours written out, and no more than the page has use for."""

import re

from storefront.config import folder
from storefront.shop import phone_style

SHEET = """/* said once { } */
body { color: var(--ink); margin: 0 }
.card, .row a { background: var(--paper); border: 1px solid silver }
"""
THEME = """:root { --ink: #111111; --paper: #ffffff; --step: 4px; }
@media (prefers-color-scheme: dark) { :root { --ink: #eeeeee; } }"""


def test_tokens_are_written_out() -> None:
    """By day all of it; by night again what differs, and nothing else."""
    plain, card = phone_style.read(SHEET, THEME)
    assert (plain.by_day, plain.by_night) == ("color:#111111;margin:0", "color:#eeeeee")
    assert (card.by_day, card.by_night) == ("background:#ffffff;border:1px solid silver", "")
    assert card.selectors == [".card", ".row a"]


def test_a_page_has_what_it_uses() -> None:
    """A rule for a class that no element has is left out, and so is each selector of several."""
    bare, full = phone_style.of("<p>"), phone_style.of('<p class="card quiet"><a class="button">')
    assert "body{" in bare
    assert ".button" not in bare
    assert ".button{" in full
    assert "var(" not in full
    assert ".entry" not in full
    assert "@media (prefers-color-scheme:dark){body{" in full


def test_the_sheet_can_be_read() -> None:
    """What is shipped is rules without rules inside, and every token is there, by day and by night."""
    sheet, theme = (folder("static") / name for name in ("phone.css", "theme.css"))
    assert "@" not in sheet.read_text()
    rules = phone_style.read(sheet.read_text(), theme.read_text())
    written = "".join(rule.by_day + rule.by_night for rule in rules)
    assert len(rules) > 10
    assert not re.search(r"var\(|[{}]|url\(", written)
