"""What the room brings to settings, commands, doctor and headers."""

from dataclasses import replace
from pathlib import Path

import pytest
import requests
from flask import Flask

from storefront import COUNTERS, Settings, config
from storefront.config import PREFIX, SettingsError
from storefront.external import checks
from storefront.findings import Verdict
from storefront.operator import login
from storefront.shop import catalog_file, counter
from storefront.shop.catalog_file import CatalogError
from tests.databases import on_sqlite
from tests.external.conftest import PRICES, lawful, record
from tests.shop.test_catalog import GOOD
from tests.street import PLATFORM, SHOP, Browser
from tests.test_commands import ADDRESSES, consult
from tests.test_headers import rule
from tests.test_settings import environment

__all__ = ["environment"]  # a fixture


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EXTERNAL_SECRET", "short"),
        ("EXTERNAL_SECRET_PREVIOUS", " "),
        ("EXTERNAL_MERCHANT", "a\x1bb"),
        ("EXTERNAL_PROVIDER_HOSTS", "https://provider.test"),
        ("EXTERNAL_PROVIDER_URL", "https://provider.test/pay?shop=1"),
        ("EXTERNAL_PROVIDER_URL", "https://pay.mixi.jp/"),
        ("EXTERNAL_PROVIDER_URL", "https://provider.test/pay"),  # without a name and a secret
    ],
)
def test_wrong_settings(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A weak or wrong setting of the door out is named in full, and its value is not repeated."""
    environment.setenv(PREFIX + name, value)
    with pytest.raises(SettingsError, match=PREFIX + name) as error:
        config.read(Settings)
    assert value not in str(error.value).split()


def test_a_price(tmp_path: Path) -> None:
    """A price outside is within the bounds of the room, and yen have no plural."""
    file = tmp_path / "catalog.yaml"
    file.write_text(GOOD.replace("mixi: 10", "external: 0"))
    with pytest.raises(CatalogError, match=r":6: .*0 is not within 1 to 1000000 yen$"):
        catalog_file.read(file, counter.price_rules(COUNTERS))


def test_what_should_be_https(environment: pytest.MonkeyPatch) -> None:
    """The provider's address is one of those that others must not read."""
    for name, value in {
        "PUBLIC_URL": "https://shop.test",
        "MIXI_POINT_URL": "https://api.test/atom",
        "EXTERNAL_PROVIDER_URL": "http://provider.test/pay",
        "EXTERNAL_MERCHANT": "lighthouse",
        "EXTERNAL_SECRET": "a secret of the shop and its provider",
    }.items():
        environment.setenv(PREFIX + name, value)
    assert config.exposed(config.read(Settings)) == [f"{PREFIX}EXTERNAL_PROVIDER_URL"]


@pytest.mark.parametrize("address", ["no address", "nobody", "no folder", "no database", "not migrated"])
def test_the_command(tmp_path: Path, address: str) -> None:
    """Of a database that nobody can use `storefront malfunctions` says so in a sentence."""
    consult(tmp_path, "malfunctions", ADDRESSES[address])


@pytest.mark.changed(
    external_provider_url="https://provider.test/pay",
    external_merchant="lighthouse",
    external_secret="a secret of the shop and its provider",
    external_provider_hosts="3ds.provider.test",
)
def test_where_a_form_may_be_led(app: Flask) -> None:
    """Browsers hold a form to the policy at each redirect: every host of the provider, too."""
    assert rule(Browser(app).get("/legal"), "form-action") == [
        SHOP,
        "https://provider.test",
        "http://3ds.provider.test",
        "https://3ds.provider.test",
        PLATFORM,
        f"https://{PLATFORM.partition('://')[2]}",
    ]


def test_who_may_frame_its_pages(app: Flask) -> None:
    """Whoever frames the shop frames the warning; nobody the operator's pages."""
    browser = Browser(app)
    assert PLATFORM in rule(browser.get("/external/items/loaf"), "frame-ancestors")
    with app.test_request_context():
        entry = login.address().removeprefix(SHOP)
    browser.post("/operator", {"token": entry.partition("token=")[2]})
    for path in ("/external/registration", "/external/malfunctions/new"):
        page = browser.get(path)
        assert (page.status_code, rule(page, "frame-ancestors")) == (200, ["'none'"])


@on_sqlite
def test_a_door_that_nothing_goes_through(shop: Flask, settings: Settings) -> None:
    """The doctor does not call a door well that no item has an approved price for."""
    for prices, verdict in ((PRICES, Verdict.OK), ({}, Verdict.WARN)):
        record(shop, replace(lawful(), prices=prices))
        with shop.app_context():
            (finding,) = checks.door_out(settings, requests.Session())
        assert finding.verdict is verdict
    assert "no item" in finding.found
