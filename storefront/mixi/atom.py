"""The documents of the point API: what we ask for, and what it answers. Pure.

Source: seed, ポイント決済情報の作成 and の確認.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from xml.sax.saxutils import quoteattr

from lxml import etree

from storefront.mixi.signing import is_opaque

ATOM = "{http://www.w3.org/2005/Atom}"
POINT = "{http://mixi.jp/atom/ns#point}"
MEDIA_TYPE = "application/atom+xml;type=entry"
CODE_LENGTH = 40  # seed: id, half-width characters
MAX_BYTES = 64 * 1024  # an entry has less than two

# The XML declaration is the first byte: some server once wanted it so.
TEMPLATE = """<?xml version="1.0" encoding="utf-8"?>
<entry xmlns="http://www.w3.org/2005/Atom"
       xmlns:app="http://www.w3.org/2007/app"
       xmlns:point="http://mixi.jp/atom/ns#point">
  <title />
  <id />
  <updated />
  <author><name /></author>
  <content type="text/xml">
    <point:url callback_url={callback_url} finish_url={finish_url} />
    <point:items>
      <point:item id={item_id} name={item_name} point={points} />
    </point:items>{status}
  </content>
</entry>"""
TEST_STATUS = '\n    <point:status is_test="true" />'


class Unreadable(Exception):
    """The document is not an entry of the point API."""


@dataclass(frozen=True)
class Goods:
    """One item to be paid for; `points` is the whole price, of which a test takes none."""

    item_id: str
    item_name: str
    points: int
    is_test: bool


@dataclass(frozen=True)
class PointRequest:
    """These goods are to be paid for; where mixi then asks us, and where it sends the buyer back."""

    goods: Goods
    callback_url: str = field(repr=False)  # who knows it can settle the payment
    finish_url: str

    def write(self) -> bytes:
        """The document that asks for a payment, in the exact bytes to be hashed and sent."""
        return TEMPLATE.format(
            callback_url=quoteattr(self.callback_url),
            finish_url=quoteattr(self.finish_url),
            item_id=quoteattr(self.goods.item_id),
            item_name=quoteattr(self.goods.item_name),
            points=quoteattr(str(self.goods.points)),
            status=TEST_STATUS if self.goods.is_test else "",
        ).encode()


@dataclass(frozen=True)
class PointEntry:
    """What the API says of a payment: its code, where the buyer goes, how it stands.

    `is_test`: it takes no points. That the confirmation says so, too, is ours.
    """

    code: str
    interface_url: str | None
    status: str | None
    is_test: bool = False
    updated: datetime | None = None  # when the payment last changed, if the answer says so

    @classmethod
    def read(cls, document: bytes) -> "PointEntry":
        """Parse an answer, or raise Unreadable. Entities stay unresolved, nothing is fetched."""
        root = _parse(document)
        if root.tag != f"{ATOM}entry":
            raise Unreadable("not an Atom entry")
        code = (root.findtext(f"{ATOM}id") or "").strip()
        if not is_opaque(code, CODE_LENGTH):
            raise Unreadable("no payment code")
        status = root.find(f"{ATOM}content/{POINT}status")
        word = (status.text or "").strip() if status is not None else None
        is_test = status is not None and status.get("is_test") == "true"
        return cls(code, _related(root), word, is_test, moment(root.findtext(f"{ATOM}updated") or ""))


def moment(text: str) -> datetime | None:
    """A moment as mixi writes it, in UTC; None if it is none."""
    try:
        return datetime.strptime(text.strip(), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def _parse(document: bytes) -> etree._Element:
    if len(document) > MAX_BYTES:
        raise Unreadable("too long")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(document, parser)
    except etree.XMLSyntaxError:
        raise Unreadable("not XML") from None
    if root.getroottree().docinfo.doctype:
        raise Unreadable("has a document type")
    return root


def _related(root: etree._Element) -> str | None:
    links = [link.get("href") for link in root.findall(f"{ATOM}link") if link.get("rel") == "related"]
    return links[0] if links else None
