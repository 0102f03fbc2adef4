"""Bodies are set out in lines, and a request becomes a command that a shell takes."""

import shlex

import pytest

from storefront.sandbox.legible import Header, curl, head, lines, media_type, pretty


def test_a_document_is_set_out() -> None:
    """XML has an element a line, indented, with its text as it was."""
    text = '<?xml version="1.0" encoding="utf-8"?><a xmlns="x"><b>エクス</b><c/></a>'
    assert pretty(text, "application/atom+xml").split() == [
        "<a",
        'xmlns="x">',
        "<b>エクス</b>",
        "<c/>",
        "</a>",
    ]


def test_json_and_forms_are_set_out() -> None:
    """JSON is indented, of a form each field has a line."""
    assert pretty('{"a":["港"]}', "application/json") == '{\n  "a": [\n    "港"\n  ]\n}'
    assert pretty("a=1%2F2&b=", "application/x-www-form-urlencoded") == "a = 1/2\nb = "


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("<a><b></a>", "text/xml"),
        ("", "application/xml"),
        ("{", "application/json"),
        ("[" * 100_000, "application/json"),
        ("OK", "text/plain"),
        ("<p>1<p>2", "text/html"),
    ],
)
def test_what_cannot_be_set_out(body: str, kind: str) -> None:
    """A broken document, and any other text, stands as it came."""
    assert pretty(body, kind) == body


def test_no_entity_is_put_in() -> None:
    """A document of the app's cannot make the log read a file, or grow."""
    text = '<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/hostname"><!ENTITY b "bbbb">]><a>&f;&b;</a>'
    assert "bbbb</a>" not in pretty(text, "text/xml")
    assert "&f;" in pretty(text, "text/xml")


def test_a_head_is_written_and_read() -> None:
    """Headers are kept one a line, and a value cannot begin another."""
    text = lines({"X-B": "2\r\nEvil: 1", "content-type": "text/plain; charset=utf-8"})
    assert head(text) == [Header("content-type", "text/plain; charset=utf-8"), Header("X-B", "2 Evil: 1")]
    assert media_type(text) == "text/plain"


def test_a_command() -> None:
    """Whatever a request has in it, a shell reads it as one word each."""
    body = "it's $HOME `id`\n<a/>"
    command = curl("POST", "http://shop.test/?a=1&b='2'", [Header("X-A", '"1"')], body)
    assert shlex.split(command.replace("\\\n", "")) == [
        *("curl", "-i", "http://shop.test/?a=1&b='2'"),
        *("-X", "POST", "-H", 'X-A: "1"', "--data-binary", body),
    ]
