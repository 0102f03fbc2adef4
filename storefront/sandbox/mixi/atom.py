"""The point documents: what a SAP writes, what the platform answers. Pure."""

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import urlsplit

from lxml import etree

ATOM = "http://www.w3.org/2005/Atom"
APP = "http://www.w3.org/2007/app"
POINT = "http://mixi.jp/atom/ns#point"
MEDIA_TYPE = "application/atom+xml;type=entry;charset=utf-8"

# The longest allowed document is some two kilobytes; ours, the platform's cap is unknown.
MAX_BYTES = 64 * 1024
MAX_ITEM_ID = 64
MAX_URL = 255


class Broken(Exception):
    """The document breaks a rule; the message says which."""


@dataclass(frozen=True)
class Limits:
    """The rules that are settings: points of one purchase, columns of a name."""

    min_point: int
    max_point: int
    name_width: int


@dataclass(frozen=True)
class PointRequest:
    """What a SAP asks to be paid for."""

    item_id: str
    item_name: str
    points: int
    callback_url: str
    finish_url: str
    is_test: bool


@dataclass(frozen=True)
class PointEntry:
    """What the platform says about a payment it knows."""

    code: str
    updated: str
    request: PointRequest
    status: str


def read(body: bytes, limits: Limits) -> PointRequest:
    """Parse a creation request, or raise Broken naming the first rule it breaks."""
    entry = _entry(body)
    for name in ("title", "id", "updated"):
        _empty(_only(entry, ATOM, name))
    _empty(_only(_only(entry, ATOM, "author"), ATOM, "name"))
    content = _only(entry, ATOM, "content")
    if content.get("type") != "text/xml":
        raise Broken('content must have type="text/xml"')
    url = _only(content, POINT, "url")
    item = _only(_only(content, POINT, "items"), POINT, "item")
    return PointRequest(
        item_id=_item_id(item),
        item_name=_item_name(item, limits.name_width),
        points=_points(item, limits),
        callback_url=_url(url, "callback_url"),
        finish_url=_url(url, "finish_url"),
        is_test=_is_test(content),
    )


def write_created(code: str, updated: str, interface_url: str) -> bytes:
    """The answer to a creation: the payment's code and where to send the buyer."""
    entry = _new_entry({None: ATOM}, code, updated)
    etree.SubElement(entry, f"{{{ATOM}}}author")
    etree.SubElement(entry, f"{{{ATOM}}}content")
    link = etree.SubElement(entry, f"{{{ATOM}}}link")
    # No attribute order is promised; it differs from payment to payment so that nobody relies on one.
    attributes = [("rel", "related"), ("href", interface_url)]
    for name, value in attributes if ord(code[-1]) % 2 else reversed(attributes):
        link.set(name, value)
    return _bytes(entry)


def write_entry(point: PointEntry) -> bytes:
    """The answer to a confirmation: the request as it was, and its state."""
    entry = _new_entry({None: ATOM, "app": APP, "point": POINT}, point.code, point.updated)
    etree.SubElement(etree.SubElement(entry, f"{{{ATOM}}}author"), f"{{{ATOM}}}name")
    content = etree.SubElement(entry, f"{{{ATOM}}}content", type="text/xml")
    request = point.request
    urls = {"callback_url": request.callback_url, "finish_url": request.finish_url}
    etree.SubElement(content, f"{{{POINT}}}url", urls)
    item = {"id": request.item_id, "name": request.item_name, "point": str(request.points)}
    etree.SubElement(etree.SubElement(content, f"{{{POINT}}}items"), f"{{{POINT}}}item", item)
    # That a test purchase is marked here too is ours.
    marks = {"is_test": "true"} if request.is_test else {}
    etree.SubElement(content, f"{{{POINT}}}status", marks).text = point.status
    return _bytes(entry)


def columns(text: str) -> int:
    """The width of a text in half-width columns; what Japanese charsets draw wide counts two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WFA" else 1 for letter in text)


def _entry(body: bytes) -> etree._Element:
    if len(body) > MAX_BYTES:
        raise Broken(f"the document is longer than {MAX_BYTES} bytes")
    if not body.startswith(b"<?xml"):
        raise Broken("the XML declaration must be the very first byte")
    if b"<!DOCTYPE" in body:
        raise Broken("a document type is not allowed")
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        raise Broken("the document must be UTF-8") from None
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        entry = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise Broken(f"the document is not well-formed: {error.msg}") from None
    if entry.tag != f"{{{ATOM}}}entry":
        raise Broken(f"the root must be entry in the namespace {ATOM}")
    return entry


def _only(parent: etree._Element, namespace: str, name: str) -> etree._Element:
    found = parent.findall(f"{{{namespace}}}{name}")
    if len(found) != 1:
        raise Broken(f"{name} ({namespace}) must be there exactly once, found {len(found)}")
    return found[0]


def _empty(element: etree._Element) -> None:
    if len(element) or (element.text or "").strip():
        raise Broken(f"{etree.QName(element).localname} must be empty")


def _attribute(element: etree._Element, name: str) -> str:
    value = element.get(name)
    if not value:
        raise Broken(f"{name} is missing")
    return str(value)


def _item_id(item: etree._Element) -> str:
    value = _attribute(item, "id")
    if not re.fullmatch(r"[0-9A-Za-z]+", value):
        raise Broken("id must be half-width letters and digits")
    if len(value) > MAX_ITEM_ID:
        raise Broken(f"id must have at most {MAX_ITEM_ID} characters")
    return value


def _item_name(item: etree._Element, widest: int) -> str:
    value = _attribute(item, "name")
    if not value.strip():
        raise Broken("name is missing")
    if columns(value) > widest:
        raise Broken(f"name must fit {widest} half-width columns, it takes {columns(value)}")
    return value


def _points(item: etree._Element, limits: Limits) -> int:
    value = _attribute(item, "point")
    if not re.fullmatch(r"[0-9]{1,9}", value):
        raise Broken("point must be a whole number")
    if not limits.min_point <= int(value) <= limits.max_point:
        raise Broken(f"point must be from {limits.min_point} to {limits.max_point}")
    return int(value)


def _url(element: etree._Element, name: str) -> str:
    value = _attribute(element, name)
    if len(value) > MAX_URL:
        raise Broken(f"{name} must have at most {MAX_URL} characters")
    if not re.fullmatch(r"[!-~]+", value):
        raise Broken(f"{name} must be half-width characters without spaces")
    if "?" in value or "#" in value:
        raise Broken(f"{name} must have no query string")
    try:
        parts = urlsplit(value)
        named = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        named = False
    if not named:
        raise Broken(f"{name} must be an http or https address")
    return value


def _is_test(content: etree._Element) -> bool:
    marks = content.findall(f"{{{POINT}}}status")
    if len(marks) > 1:
        raise Broken("status may be there once")
    mark = marks[0].get("is_test") if marks else None
    if mark not in (None, "true", "false"):
        raise Broken('is_test must be "true"')
    return mark == "true"


def _new_entry(names: dict[str | None, str], code: str, updated: str) -> etree._Element:
    # lxml takes None for the default namespace; its stubs do not say so.
    entry = etree.Element(f"{{{ATOM}}}entry", nsmap=names)  # type: ignore[arg-type, unused-ignore]
    etree.SubElement(entry, f"{{{ATOM}}}title")
    etree.SubElement(entry, f"{{{ATOM}}}id").text = code
    etree.SubElement(entry, f"{{{ATOM}}}updated").text = updated
    return entry


def _bytes(entry: etree._Element) -> bytes:
    written = etree.tostring(entry, xml_declaration=True, encoding="utf-8", pretty_print=True)
    return bytes(written)
