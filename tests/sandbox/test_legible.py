"""Bodies are set out in lines, and a request becomes a command that a shell takes."""

import shlex
import subprocess

import pytest

from storefront.sandbox.legible import Header, curl, head, lines, media_type, pretty


def test_a_document_is_set_out() -> None:
    """XML has an element a line, indented, with its text as it was."""
    text = '<?xml version="1.0" encoding="utf-8"?><a xmlns="x"><b>エクス</b><c/></a>'
    assert pretty(text, "application/atom+xml").split()[3:] == [
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
        *("curl", "-i", "--globoff", "http://shop.test/?a=1&b='2'"),
        *("-X", "POST", "-H", 'X-A: "1"', "--data-raw", body),
    ]


@pytest.mark.parametrize(
    ("body", "kind", "shown"),
    [
        ('{"a":1.10,"a":1e400,"b":[]}', "application/json", '{\n  "a": 1.10,\n  "a": 1e400,\n  "b": []\n}'),
        ('{"a":"\\u6e2f, {\\"}","b":[{}]}', "application/json", None),
        ("<a><!-- b --><c><![CDATA[<&]]></c> <d> </d></a>", "text/xml", None),
        ("<a>b<c>d</c> e</a>", "text/xml", "<a>b<c>d</c> e</a>"),
        ("<?xml version='1.0'?><a><b/><b>1</b></a>", "text/xml", None),
    ],
)
def test_only_the_layout_is_another(body: str, kind: str, shown: str | None) -> None:
    """Nothing of what was sent is added, left out or written otherwise: doubled keys, numbers, comments."""
    found = pretty(body, kind)
    assert shown in (None, found)
    assert "".join(found.split()) == "".join(body.split())
    assert "\n" in found or shown == body


@pytest.mark.parametrize("deep", [500, 200_000])
def test_a_deep_nest(deep: int) -> None:
    """However deep a document is nested, it is shown, and grows by its layout alone."""
    for body, kind in (
        ("[" * deep + "]" * deep, "application/json"),
        ("<a>" * deep + "</a>" * deep, "text/xml"),
    ):
        assert "".join(pretty(body, kind).split()) == body


@pytest.mark.parametrize("body", ["a\r\nb", "it's \\ \r\n\t港", "@/etc/hostname", "[a]{b,c}"])
def test_a_command_survives_a_copy(body: str) -> None:
    """What a shell reads is what was sent, to the byte, from a text without control characters."""
    command = curl("POST", "http://shop.test/?a[]={1,2}", [], body)
    assert not any(ord(letter) < 32 and letter != "\n" for letter in command)
    shown = subprocess.run(
        ["bash", "-c", f"curl() {{ printf '%s\\0' \"$@\"; }}\n{command}"], capture_output=True, check=True
    )
    words = shown.stdout.decode().split("\0")
    assert words[:3] == ["-i", "--globoff", "http://shop.test/?a[]={1,2}"]
    assert words[words.index("--data-raw") + 1] == body
