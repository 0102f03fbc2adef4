"""A shop that moves to PostgreSQL while somebody is at the provider's."""

import pytest
from flask import Flask

from storefront import Settings
from storefront.external.payments import Status
from tests.databases import on_sqlite
from tests.external.conftest import Browser, Outside, answered, notice, tell
from tests.moving import moved, new_home


@pytest.mark.long
@on_sqlite
def test_who_is_outside(
    app: Flask, hanako: Browser, settings: Settings, postgresql: str, full_shelf_on_postgresql: str
) -> None:
    """Her payment is settled by the provider's notice, and she comes back into her visit and finds it."""
    code = hanako.leave()
    with moved(app, settings, new_home(settings, postgresql, full_shelf_on_postgresql)) as shop:
        assert Outside(shop).status(code) is Status.CREATE
        for _ in range(2):
            assert answered(tell(shop, notice(code)))[0] == 200
        assert Outside(shop).entries() == [(f"external:{code}", "sale", 110, "yen")]
        hanako.client.application = shop
        assert "excalibur" in hanako.finish(code).text
        assert hanako.get("/inventory").status_code == 200
