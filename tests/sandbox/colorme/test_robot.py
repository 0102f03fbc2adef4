"""The robot plays the owners of shops in a demo, and the app keeps every rule."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from junitparser import JUnitXml

from storefront.cli import main
from storefront.sandbox.colorme import walkthroughs
from storefront.sandbox.colorme.walkthroughs import Walkthrough
from tests.demo import demo

pytestmark = pytest.mark.long

# One of each kind; all of them by hand: storefront walkthrough --demo
SOME = (
    "install-monthly",
    "trial-left-in-time",
    "option-bought",
    "unknown-and-charged",
    "usage-over-two-periods",
)
OURS = [one for one in walkthroughs.read() if one.name in SOME]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of a demo that runs; each walkthrough begins with new shops."""
    folder = tmp_path_factory.mktemp("demo")
    with demo(folder):
        yield folder


@pytest.mark.parametrize("one", OURS, ids=lambda one: f"{one.chapter}-{one.name}")
def test_it_passes(one: Walkthrough, folder: Path, tmp_path: Path) -> None:
    """Its chapter is a suite, it is a case there, and it passes in the demo as it is."""
    xml, page = tmp_path / "report.xml", tmp_path / "report.html"
    command = ["walkthrough", "--data", str(folder), "--junit", str(xml), "--html", str(page), one.name]
    result = CliRunner().invoke(main, command)
    assert xml.exists(), result.output
    assert "<script" not in page.read_text()
    (suite,) = JUnitXml.fromfile(str(xml))
    (case,) = suite
    assert (suite.name, case.name) == (one.chapter, one.name)
    assert [str(found.message) for found in case.result] == []
    assert result.exit_code == 0
