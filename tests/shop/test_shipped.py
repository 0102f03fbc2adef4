"""What is one's own, whatever it is: the goods that the shop really sells, held against the rules."""

from pathlib import Path

from storefront import PRICE_RULES
from storefront.config import PACKAGE, folder
from storefront.shop import catalog_file

CATALOG = PACKAGE / "shop" / "catalog.yaml"
ART = folder("static") / "art"


def test_the_catalogue() -> None:
    """It keeps every rule, and there is something to sell."""
    assert catalog_file.read(CATALOG, PRICE_RULES)


def test_every_item_has_its_drawing() -> None:
    """An SVG, without which the shelf would have a hole, and its twin, without which phones read a name."""
    for entry in catalog_file.read(CATALOG, PRICE_RULES):
        assert (ART / entry.art).is_file()
        assert (ART / Path(entry.art).with_suffix(".gif")).is_file()
