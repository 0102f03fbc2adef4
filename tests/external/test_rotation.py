"""A new secret between shop and provider comes in steps; notices of both are believed meanwhile."""

import time

import pytest
from flask import Flask

from storefront.external.signing import BadSeal, unsealed
from tests.databases import on_sqlite
from tests.external.conftest import SECRET, Browser, answered, asked, notice, tell
from tests.street import Books

NEW = "the secret to come, of the shop & its provider"


@on_sqlite
@pytest.mark.changed(external_secret_previous=NEW)
def test_the_other_secret_verifies_and_never_signs(shop: Flask, hanako: Browser, books: Books) -> None:
    """A notice under either secret delivers, one under a third does not; the way out has the current one."""
    for secret, status in ((NEW, 200), (SECRET, 200), ("a guess", 401)):
        said = asked(str(hanako.go_on().location))
        assert unsealed(said, SECRET, int(time.time()), 5)
        with pytest.raises(BadSeal):
            unsealed(said, NEW, int(time.time()), 5)
        assert answered(tell(shop, notice(said["payment"], secret=secret)))[0] == status
    assert books.grants() == 2


@on_sqlite
@pytest.mark.parametrize("empty", ["", " "])
@pytest.mark.changed(external_secret_previous=None)
def test_no_secret_is_none(shop: Flask, hanako: Browser, empty: str) -> None:
    """Where there is no other secret, nothing is signed with it."""
    said = asked(str(hanako.go_on().location))
    assert answered(tell(shop, notice(said["payment"], secret=empty)))[0] == 401
