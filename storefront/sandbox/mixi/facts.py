"""What a page of the app says of itself in its data attributes. Pure.

`page` is the kind of page, the `data-page` of its `<main>`; `marks` has the other data attributes, a dict
for each element that carries any, in the order of the page: `{"item": "loaf", "quantity": "2"}`. On the
page of an item one thing more is read, `price`: whether its amount is there for people to read, too.
"""

import re
from typing import Any

from lxml import etree, html

PREFIX = "data-"
MOST = 200  # elements of one page
LONGEST = 200  # characters of one value
LEAVE_OUT = {"platform"}  # what we put around the page
NUMBER = re.compile(r"\d[\d,.]*")  # 4,800


def read(page: bytes) -> dict[str, Any]:
    """The facts of a page, whatever its charset: names and values that count are ASCII."""
    try:
        root = html.document_fromstring(page)
    except (etree.ParserError, ValueError):
        return {"page": None, "marks": []}
    marks = [found for element in root.iter(etree.Element) if (found := _marks(element))]
    kind = next((mark.pop("page") for mark in marks if "page" in mark), None)
    if kind == "item":
        _price(root, marks)
    return {"page": kind, "marks": [mark for mark in marks if mark][:MOST]}


def _price(root: html.HtmlElement, marks: list[dict[str, str]]) -> None:
    """Another counter's price, on the way out to it, does not count."""
    words = root.xpath("//main//text()[not(ancestor::*[@data-way])]")
    numbers = {re.sub(r"\D", "", found) for found in NUMBER.findall(" ".join(words))}
    for mark in marks:
        if "item" in mark and "amount" in mark:
            mark["price"] = "shown" if mark["amount"] in numbers else "missing"


def _marks(element: etree._Element) -> dict[str, str]:
    told = [(str(name), str(value)[:LONGEST]) for name, value in element.attrib.items()]
    own = {name.removeprefix(PREFIX): value for name, value in told if name.startswith(PREFIX)}
    return {name: value for name, value in own.items() if name not in LEAVE_OUT}
