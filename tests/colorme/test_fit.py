"""A plan file goes with another catalogue: what that does not sell here is taken out, and nothing else."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from storefront.colorme import commands, plan_file
from storefront.colorme.plan_file import PLANS
from storefront.config import PACKAGE

TEXT = """# What may be chosen.

trial_days: 10

plans:
  - {id: QUAY01, form: free, name: {ja: 波止場, en: Quay}}  # for all
  - {id: LANTERN1, form: monthly, name: {ja: ランタン, en: Lantern}, monthly: 3000, parcel: [lantern, moss]}
  - id: TIDE01
    form: monthly_usage
    name: {ja: 潮, en: Tide}
    monthly: 2000
    parcel: [moss]

options:
  - {id: CLOAK01, item: cloak}
  - {id: COAT01, item: coat}

metered: [loaf, moss]
"""
OPTIONS = TEXT[TEXT.index("options:") : TEXT.index("metered:")]
ALL: Mapping[str, int | None] = {"lantern": None, "moss": 150, "cloak": 500, "coat": 4800, "loaf": 20}


def test_what_fits_stays() -> None:
    """With what it sells in the catalogue the file is left as it is, to the comment."""
    assert plan_file.fitted(TEXT, ALL) == (TEXT, [])


@pytest.mark.parametrize(
    ("prices", "gone", "lines"),
    [
        ({**ALL, "cloak": None}, ["cloak"], ["  - {id: CLOAK01, item: cloak}\n"]),
        ({**ALL, "coat": 99}, ["coat"], ["  - {id: COAT01, item: coat}\n"]),
        ({**ALL, "cloak": None, "coat": None}, ["cloak", "coat"], [OPTIONS]),
    ],
)
def test_what_does_not(prices: Mapping[str, int | None], gone: list[str], lines: list[str]) -> None:
    """An item without a price here, or with one that is forbidden, goes with its line."""
    wanted = TEXT
    for line in lines:
        assert line in wanted
        wanted = wanted.replace(line, "")
    assert plan_file.fitted(TEXT, prices) == (wanted, gone)


def test_in_parcels(tmp_path: Path) -> None:
    """A parcel may bring what has no price, but not what is not there; what is left keeps the rules."""
    here = {item: yen for item, yen in ALL.items() if item != "moss"}
    text, gone = plan_file.fitted(TEXT, here)
    assert gone == ["moss"]
    assert "parcel: [lantern]}" in text
    assert text.count("parcel") == 1
    assert "metered: [loaf]" in text
    (tmp_path / "plans.yaml").write_text(text)
    assert plan_file.read(tmp_path / "plans.yaml", here).metered == {"loaf"}


def test_in_a_project(tmp_path: Path) -> None:
    """What went is named; where all fits the file stays, and nothing is said."""
    file = tmp_path / PLANS.relative_to(PACKAGE.parent)
    file.parent.mkdir(parents=True)
    file.write_text(TEXT)
    prices = {item: {"colorme": yen} if yen else {} for item, yen in ALL.items()}
    assert commands.fit(tmp_path, prices) == ""
    assert file.read_text() == TEXT
    said = commands.fit(tmp_path, {**prices, "coat": {"mixi": 10}})
    assert said == "storefront/colorme/plans.yaml: coat went, which the catalogue does not sell there."
    assert "COAT01" not in file.read_text()
