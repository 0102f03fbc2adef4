"""The operator's pages, which any room may bring."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Flask, current_app
from flask_babel import LazyString

PAGES = "operator_pages"


@dataclass(frozen=True)
class Page:
    """One of them, as the list of all calls it."""

    endpoint: str
    words: LazyString | str


def add(app: Flask, page: Page) -> None:
    app.extensions.setdefault(PAGES, []).append(page)


def pages() -> Sequence[Page]:
    """Those of the running shop; the first is where the operator comes in."""
    return tuple(current_app.extensions.get(PAGES, ()))
