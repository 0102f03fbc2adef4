"""The links of an app's page that the platform forbids. Pure.

Source: response contents. No link leads outside the platform's mobile pages, none writes a mail or makes a
call; and the payment screen opens by a redirect, never by a link (seed: point interface).
"""

from collections.abc import Sequence
from html.parser import HTMLParser

from storefront.sandbox.mixi.addresses import App, Foreign, Page, origin

# What the container makes of these itself.
PSEUDO_SCHEMES = ("invite", "update", "create", "auth", "location")
# Where a page can lead by a press, by tag.
LEADING = {"a": "href", "area": "href", "form": "action", "button": "formaction", "input": "formaction"}
MOST = 20  # of one page


def forbidden(page: bytes, app: App) -> Sequence[str]:
    """Each link of this page that no app may have, once, as it is written; not more than a log can show."""
    reader = _Reader()
    # Whatever the charset, markup and addresses are ASCII.
    reader.feed(page.decode("latin-1"))
    return [link for link in dict.fromkeys(reader.links) if not _is_allowed(link, app)][:MOST]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value.strip() for name, value in attrs if value and name == LEADING.get(tag)]


def _is_allowed(link: str, app: App) -> bool:
    scheme, colon, _ = link.partition(":")
    if not link or link.startswith("#") or (colon and scheme.lower() in PSEUDO_SCHEMES):
        return True
    try:
        inside = link.startswith("?") or origin(link) == origin(app.public_url)
        return inside and isinstance(app.redirect(link, app.start()), Page)
    except (Foreign, ValueError):
        return False
