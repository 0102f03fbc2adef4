"""What went over the wire, made legible: bodies set out in lines, and a request as a command. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from shlex import quote
from typing import NamedTuple
from urllib.parse import parse_qsl

from lxml import etree


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
    """A body of this media type set out in lines; as it is where there is nothing to set out."""
    try:
        if kind.endswith(("/xml", "+xml")) and "html" not in kind:
            return _xml(body)
        if kind.endswith(("/json", "+json")):
            return json.dumps(json.loads(body), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):  # not well-formed, or deeper than anybody reads
        return body
    if kind == "application/x-www-form-urlencoded":
        return "\n".join(f"{name} = {value}" for name, value in parse_qsl(body, keep_blank_values=True))
    return body


def curl(method: str, url: str, headers: Sequence[Header], body: str) -> str:
    """The same request as a command for a shell, an option a line."""
    options = [f"-X {quote(method)}", *(f"-H {quote(f'{name}: {value}')}" for name, value in headers)]
    options += [f"--data-binary {quote(body)}"] if body else []
    return " \\\n  ".join([f"curl -i {quote(url)}", *options])


def _xml(body: str) -> str:
    # Nothing of a document is fetched, and no entity of its own is put in.
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, remove_blank_text=True, huge_tree=False
    )
    try:
        root = etree.fromstring(body.encode(), parser)
    except etree.XMLSyntaxError as broken:
        raise ValueError(str(broken)) from None
    etree.indent(root, "  ")
    return etree.tostring(root, encoding="unicode")
