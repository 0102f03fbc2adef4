"""What is one's own, whatever it is: the goods and the name that are shipped, held against the rules."""

from pathlib import Path

import pytest

from storefront import COUNTERS
from storefront.config import PACKAGE, folder
from storefront.shop import catalog_file, counter, identity

CATALOG = PACKAGE / "shop" / "catalog.yaml"
ART = folder("static") / "art"


def test_the_catalogue() -> None:
    """It keeps every rule, and there is something to sell."""
    assert catalog_file.read(CATALOG, counter.price_rules(COUNTERS))


def test_the_identity() -> None:
    """It keeps every rule."""
    assert identity.read(identity.SHIPPED)


def test_every_drawing_is_there() -> None:
    """An SVG, without which a page would have a hole, and its twin, without which phones read a name."""
    items = [entry.art for entry in catalog_file.read(CATALOG, counter.price_rules(COUNTERS))]
    for drawing in (*items, identity.read(identity.SHIPPED).sign):
        assert (ART / drawing).is_file()
        assert (ART / Path(drawing).with_suffix(".gif")).is_file()


@pytest.mark.parametrize("word", ["excalibur", "道具屋", "灯台守", "港の朝"])
def test_its_world_is_in_no_page(word: str) -> None:
    """Nor do pages and what they say name its goods and its town, which another shop has not."""
    places = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.po"), *folder("templates").rglob("*.html")]
    ours = [path for path in places if "sandbox" not in path.parts]
    assert [path for path in ours if word in path.read_text()] == []


@pytest.mark.parametrize("name", ["灯台の町の道具屋", "Lighthouse Tool Shop"])
def test_the_name_stands_in_one_place(name: str) -> None:
    """Whoever names the shop anew writes into one file: what it was called at first stands in no other."""
    places = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.po"), *folder("templates").rglob("*.html")]
    assert [path for path in places if name in path.read_text()] == []
