"""Which item of a shop plays a role."""

from dataclasses import replace

import pytest

from storefront.robot.shop import Item, NotApplicable, Shop
from storefront.walkthrough import promised

PLAIN = Item("pen", 30, is_consumable=False, left=None, allowed=None, reason=None, way=False)
FEW = replace(PLAIN, id="globe", left=4)


def test_few_that_can_be_paid_outside() -> None:
    """Where a walkthrough leads outside, its item is one that can be paid there, few or not."""
    shop = Shop([PLAIN, FEW, replace(FEW, id="atlas", left=9, way=True)])
    assert shop.item("few").id == "globe"
    assert shop.item("few", outside=True).id == "atlas"


def test_no_such_item() -> None:
    """Without one it does not apply, and what is lacking is said."""
    with pytest.raises(NotApplicable, match="at most 10 are left, and that can be paid outside"):
        Shop([PLAIN, FEW]).item("few", outside=True)
    with pytest.raises(NotApplicable, match=r"no item can be paid outside$"):
        Shop([PLAIN, FEW]).item("outside", outside=True)


@pytest.mark.parametrize(
    ("told", "needs"),
    [
        ({}, set()),
        ({"STOREFRONT_SELLING": "true"}, set()),
        ({"STOREFRONT_SELLING": "False"}, {"stopped"}),
        ({"STOREFRONT_UNDER_AGE_LIMITS": "15:5000"}, {"ages"}),
    ],
)
def test_what_settings_promise(told: dict[str, str], needs: set[str]) -> None:
    """What the settings of a shop promise is played, though no page shows it: it is to be missed then."""
    assert promised(told) == needs
    for need in ("ages", "stopped"):
        if need in needs:
            Shop([PLAIN]).check({"needs": [need]}, promised(told))
        else:
            with pytest.raises(NotApplicable):
                Shop([PLAIN]).check({"needs": [need]}, promised(told))
