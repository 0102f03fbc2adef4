"""What went over the wire, made legible: bodies set out in lines, and a request as a command. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from shlex import quote
from typing import NamedTuple
from urllib.parse import parse_qsl

from lxml import etree

JSON_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s"\[\]{},:]+')
XML_WORD = re.compile(r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<[^>]+>|[^<]+", re.DOTALL)
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")  # a line end a shell takes as it is
DEEPEST = 40  # levels that are set in


class Header(NamedTuple):
    """One line of a head."""

    name: str
    value: str


def head(lines: str) -> Sequence[Header]:
    """The headers that a text of lines has."""
    pairs = (line.partition(": ") for line in lines.splitlines())
    return [Header(name, value) for name, _, value in pairs]


def lines(headers: Mapping[str, str]) -> str:
    """Headers as a text, one a line, by name."""
    ordered = sorted(headers.items(), key=lambda pair: pair[0].lower())
    return "\n".join(f"{name}: {' '.join(value.split())}" for name, value in ordered)


def media_type(lines: str) -> str:
    """What a body is, as its head says."""
    found = re.search(r"^content-type:\s*([\w.+/-]+)", lines, re.IGNORECASE | re.MULTILINE)
    return found[1].lower() if found else ""


def pretty(body: str, kind: str) -> str:
    """A body of this media type set out in lines; nothing but its layout is another.

    As it is where there is nothing to set out, and where it is not what it says.
    """
    if kind.endswith(("/xml", "+xml")) and "html" not in kind:
        return _xml(body)
    if kind.endswith(("/json", "+json")):
        return _json(body)
    if kind == "application/x-www-form-urlencoded":
        return "\n".join(f"{name} = {value}" for name, value in parse_qsl(body, keep_blank_values=True))
    return body


def curl(method: str, url: str, headers: Sequence[Header], body: str) -> str:
    """The same request as a command for a shell, an option a line: what it says is sent as it stands."""
    options = [f"-X {quote(method)}", *(f"-H {_quoted(f'{name}: {value}')}" for name, value in headers)]
    options += [f"--data-raw {_quoted(body)}"] if body else []
    return " \\\n  ".join([f"curl -i --globoff {quote(url)}", *options])


def _quoted(text: str) -> str:
    """As one word of a shell; control characters are written out, for a copy from a page loses them."""
    if not CONTROL.search(text):
        return quote(text)
    plain = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return "$'" + CONTROL.sub(lambda found: rf"\x{ord(found[0]):02x}", plain) + "'"


def _json(body: str) -> str:
    """Its own words, a value a line; a document that is none, or is nested too deep, as it is."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return body
    lines, depth = [""], 0
    words = [word[0] for word in JSON_WORD.finditer(body)]
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if word in "]}" and not lines[-1].strip().endswith(("[", "{")):
            depth -= 1
            lines.append("  " * min(depth, DEEPEST))
        elif word in "]}":
            depth -= 1
        lines[-1] += {":": ": "}.get(word, word)
        depth += word in "[{"
        if word == "," or (word in "[{" and after not in ("]", "}")):
            lines.append("  " * min(depth, DEEPEST))
    return "\n".join(lines)


def _xml(body: str) -> str:
    """Its own words, an element a line; text, comments and CDATA stand as they are."""
    # Nothing of a document is fetched, and no entity of its own is put in.
    parser = etree.XMLParser(encoding="utf-8", resolve_entities=False, no_network=True, huge_tree=False)
    try:
        etree.fromstring(body.encode(), parser)
    except etree.XMLSyntaxError:
        return body
    words = [word[0] for word in XML_WORD.finditer(body)]
    lines: list[str] = []
    depth, before = 0, "<>"
    for word, after in zip(words, [*words[1:], ""], strict=True):
        is_start, is_end = _is_start(word), word.startswith("</")
        depth -= is_end
        if _is_markup(word) and _is_markup(before) and not (is_end and _is_start(before)):
            lines.append("  " * min(depth, DEEPEST) + word)
        elif word.strip() or (_is_start(before) and after.startswith("</")) or not _is_markup(before):
            lines[-1] += word
        else:
            continue  # the space between two elements, in place of which there is a line end
        depth += is_start
        before = word
    return "\n".join(lines)


def _is_markup(word: str) -> bool:
    return word.startswith("<") and not word.startswith("<![CDATA[")


def _is_start(word: str) -> bool:
    return bool(re.match(r"<[^!?/]", word)) and not word.endswith("/>")
