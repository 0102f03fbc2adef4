"""What the counter is told, and what of it is a refusal to start."""

from datetime import date

import pytest

from storefront import COUNTERS
from storefront.colorme.settings import ColormeSettings
from storefront.config import PREFIX
from storefront.shop import counter
from tests.colorme.conftest import KEYS, SECRET
from tests.street import SETTINGS


def test_some_settings_are_too_few() -> None:
    """A refusal to start names the rest; a calendar that can be turned is for this machine alone."""
    some = {"colorme_client_id": KEYS["colorme_client_id"], "colorme_webhook_secret": SECRET}
    with pytest.raises(ValueError, match=f"{PREFIX}COLORME_CLIENT_SECRET must be set, too"):
        ColormeSettings.model_validate({**SETTINGS, **some})
    with pytest.raises(ValueError, match=f"{PREFIX}COLORME_CALENDAR_URL needs"):
        ColormeSettings.model_validate({**SETTINGS, **KEYS, "public_url": "https://shop.example.com"})
    with pytest.raises(ValueError, match="must name accounts"):
        ColormeSettings.model_validate({**SETTINGS, **KEYS, "colorme_test_accounts": "PA1"})


def test_a_range_of_test_shops() -> None:
    """Accounts of a range are tests, beside a shop of this machine: on the web it would be other people's."""
    told = {**SETTINGS, **KEYS, "colorme_test_accounts": "PA999*,PA00000009"}
    here = ColormeSettings.model_validate({**told, "public_url": "http://127.0.0.1:8000"})
    accounts = ("PA99900000", "PA99999999", "PA00000009", "PA00000001", "PA99899999")
    assert [here.colorme_is_test(one) for one in accounts] == [True, True, True, False, False]
    far = {**told, "public_url": "https://shop.example.com", "colorme_calendar_url": ""}
    with pytest.raises(ValueError, match=r"must name each account: PA999\* may be"):
        ColormeSettings.model_validate(far)


def test_bounds_of_prices() -> None:
    """A catalogue says yen before tax, and is held to that."""
    rule = counter.price_rules(COUNTERS)["colorme"]
    assert [bool(rule.forbids(yen, date(2026, 1, 1))) for yen in (0, 1, 1_000_000, 1_000_001)] == [
        True, False, False, True,
    ]  # fmt: skip
