"""The documents of the point API."""

from pathlib import Path

import pytest

from storefront.mixi.atom import Goods, PointEntry, PointRequest, Unreadable
from storefront.sandbox.signing import body_hash

PUBLISHED = (Path(__file__).parent.parent / "vectors" / "atom-body.xml").read_bytes()
EXCALIBUR = Goods("SAP指定アイテムID", "エクスカリバー", 100, is_test=False)
SAMPLE = PointRequest(EXCALIBUR, "http://xxxx", "http://xxxx")


def test_we_write_the_published_document() -> None:
    """Given its values we write mixi's own sample, byte for byte; its hash is V2's."""
    assert SAMPLE.write() == PUBLISHED
    assert body_hash(SAMPLE.write()) == "g3EeCmyqqAEMz1h2mNsLvpcPdnc="


def test_names_cannot_break_out() -> None:
    """Markup in a name stays a name."""
    name = 'a"/><point:item id="x" name=\'y\' point="1"/><!--&'
    written = PointRequest(Goods("a", name, 10, is_test=True), "http://a", "http://b").write()
    assert written.count(b"<point:item ") == 1
    assert b'<point:status is_test="true" />' in written


ENTRY = (
    b'<?xml version="1.0"?><entry xmlns="http://www.w3.org/2005/Atom" '
    b'xmlns:point="http://mixi.jp/atom/ns#point"><id> code1 </id>'
    b'<link href="http://a/b?c=1&amp;d=2" rel="related"/><link rel="self" href="http://no"/>'
    b"<content><point:status> complete </point:status></content></entry>"
)


def test_an_entry_is_read() -> None:
    """Code, address and state, whatever the order of attributes."""
    assert PointEntry.read(ENTRY) == PointEntry("code1", "http://a/b?c=1&d=2", "complete")


LAUGHS = (
    b'<!DOCTYPE e [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;">'
    b'<!ENTITY d "&c;&c;&c;&c;&c;&c;&c;">]><entry xmlns="http://www.w3.org/2005/Atom"><id>&d;</id></entry>'
)
FILE = (
    b'<!DOCTYPE e [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    b'<entry xmlns="http://www.w3.org/2005/Atom"><id>&x;</id></entry>'
)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"not xml",
        b"<html/>",
        b"<entry/>",
        b'<entry xmlns="http://www.w3.org/2005/Atom"/>',
        b'<entry xmlns="http://www.w3.org/2005/Atom"><id>' + b"x" * 41 + b"</id></entry>",
        b'<entry xmlns="http://www.w3.org/2005/Atom"><id>a b</id></entry>',
        b'<entry xmlns="http://www.w3.org/2005/Atom"><id>\xe5\x89\xa3</id></entry>',
        LAUGHS,
        FILE,
        ENTRY + b" " * 70_000,
    ],
)
def test_rubbish_is_unreadable(document: bytes) -> None:
    """Anything but an entry with a usable code is refused, entities and all."""
    with pytest.raises(Unreadable):
        PointEntry.read(document)
