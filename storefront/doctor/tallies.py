"""Whether what is kept of sales is what the grants say."""

from collections.abc import Iterator

from storefront.db import db, transaction
from storefront.findings import Finding, fail, ok
from storefront.shop import books
from storefront.shop.books import Differences, Miscount


def check() -> Iterator[Finding]:
    """Held against all grants."""
    found = list(_differences(books.check(db.session())))
    for name, words in found:
        yield fail(name, words, "run `storefront doctor --books --rebuild`")
    if not found:
        yield ok("books", "what is kept is what the grants say")


def rebuild() -> Iterator[Finding]:
    """Written anew, with what was wrong."""
    with transaction() as session:
        found = list(_differences(books.rebuild(session)))
    for name, words in found:
        yield ok(name, f"{words}; put right")
    if not found:
        yield ok("books", "what is kept is what the grants say")


def _differences(found: Differences) -> Iterator[tuple[str, str]]:
    for stock in found.stocks:
        yield "stock", _miscount(stock)
    for one in found.unseen:
        yield "below zero", f"{one.channel} {one.external_id} has {one.quantity} of {one.item_id}, unseen"


def _miscount(one: Miscount) -> str:
    kept, granted = (f"{sold} sold, {tested} as tests" for sold, tested in (one.kept, one.granted))
    return f"{one.item_id} has {kept}; the grants say {granted}"
