"""What the platform puts around a page of the app, byte by byte. Pure."""

import re
from collections.abc import Callable
from html import escape, unescape

# No tag is sought past the next one: a page of a thousand that never end is read once.
_BODY = re.compile(rb"<body\b[^<>]*>", re.IGNORECASE)
_BODY_END = re.compile(rb"</body\s*>", re.IGNORECASE)
_IMAGE = re.compile(rb"(<img\b[^<>]*?\ssrc\s*=\s*)([\"'])(.*?)\2", re.IGNORECASE | re.DOTALL)


def dress(page: bytes, title: str, footer: str, image: Callable[[str], str]) -> bytes:
    """The page with the platform's bars in it and its images rerouted; not another byte is touched.

    The charset of the page is never guessed: what is put in is ASCII, the rest stays as it came.
    """
    page = _IMAGE.sub(lambda found: _reroute(found, image), page)
    body = _BODY.search(page)
    if body:
        page = page[: body.end()] + _ascii(title) + page[body.end() :]
    ends = list(_BODY_END.finditer(page))
    if ends:
        page = page[: ends[-1].start()] + _ascii(footer) + page[ends[-1].start() :]
    return page


def _reroute(found: re.Match[bytes], image: Callable[[str], str]) -> bytes:
    source = unescape(found[3].decode("latin-1"))
    quoted = escape(image(source)).encode("latin-1")
    return found[1] + found[2] + quoted + found[2]


def _ascii(markup: str) -> bytes:
    return markup.encode("ascii", "xmlcharrefreplace")
