"""Shift_JIS for mobile phones, where the setting says so: pages out, form fields and query values in.

Older handsets read nothing else. What Shift_JIS cannot say goes out as a numeric reference, which a
phone that knows the character still shows.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from flask import Flask, Response, request
from flask.wrappers import Request
from werkzeug.datastructures import ImmutableMultiDict, MultiDict
from werkzeug.utils import cached_property

from storefront.mixi.entrance import is_from_container
from storefront.mixi.settings import MixiSettings

CODEC = "cp932"  # as phones have it: with the signs that JIS left to the makers
# The same signs stand at other places in Unicode, depending on who converted them.
TWINS = str.maketrans("〜−—‖¢£¬", "～－―∥￠￡￢")


class MobileRequest(Request):
    """A request whose texts are in the charset of the page they were written on."""

    @cached_property
    def form(self) -> ImmutableMultiDict[str, str]:
        if not (is_from_container(self) and self.mimetype == "application/x-www-form-urlencoded"):
            return super().form
        # A form comes in the charset of its page.
        return ImmutableMultiDict(_pairs(self.get_data(), lambda text: text.decode(CODEC, "replace")))

    @cached_property
    def args(self) -> MultiDict[str, str]:
        return (
            ImmutableMultiDict(_pairs(self.query_string, _decoded))
            if is_from_container(self)
            else super().args
        )


def init_app(app: Flask, settings: MixiSettings) -> None:
    name = settings.mixi_mobile_charset
    app.context_processor(lambda: {"charset": name if is_from_container(request) else "utf-8"})
    if name == "utf-8":
        return
    app.request_class = MobileRequest

    @app.after_request
    def written(response: Response) -> Response:
        if is_from_container(request) and response.mimetype == "text/html":
            response.set_data(encoded(response.get_data(as_text=True)))
            response.content_type = "text/html; charset=Shift_JIS"
        return response


def encoded(text: str) -> bytes:
    """A page in Shift_JIS."""
    return text.translate(TWINS).encode(CODEC, "xmlcharrefreplace")


def _pairs(query: bytes, decoded: Callable[[bytes], str]) -> Any:
    raw = parse_qsl(query.decode("latin-1"), keep_blank_values=True, encoding="latin-1")
    return [tuple(decoded(part.encode("latin-1", "replace")) for part in pair) for pair in raw]


def _decoded(raw: bytes) -> str:
    """Our own addresses are written in UTF-8; whatever else comes is taken for the phone's charset."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode(CODEC, "replace")
