"""The robot plays the owners of shops in a demo, and the app keeps every rule."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from junitparser import JUnitXml

from storefront.cli import main
from storefront.sandbox.colorme import walkthroughs
from tests.demo import demo

pytestmark = pytest.mark.long

OURS = walkthroughs.read()
CHAPTERS = list(dict.fromkeys(one.chapter for one in OURS))


def played(tmp_path: Path, folder: Path, *words: str) -> tuple[int, JUnitXml]:
    xml = tmp_path / "report.xml"
    page = tmp_path / "report.html"
    command = ["walkthrough", "--data", str(folder), "--junit", str(xml), "--html", str(page), *words]
    result = CliRunner().invoke(main, command)
    assert xml.exists(), result.output
    assert "<script" not in page.read_text()
    return result.exit_code, JUnitXml.fromfile(str(xml))


def test_all_of_them(tmp_path: Path) -> None:
    """Each chapter is a suite, each walkthrough a case, and all pass in the demo as it is."""
    with demo(tmp_path):
        status, xml = played(tmp_path, tmp_path, *(one.name for one in OURS))
    assert [suite.name for suite in xml] == CHAPTERS
    results = {case.name: [str(one.message) for one in case.result] for suite in xml for case in suite}
    assert results == {one.name: [] for one in OURS}
    assert status == 0
