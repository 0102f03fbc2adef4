"""The walkthroughs can fail: bugs planted in a copy of the shop are caught, and the right shop passes."""

import subprocess
import sys

import pytest

from storefront.sandbox import walkthroughs
from tests.proof.planted import NOTHING, ROOT, bugs

SECONDS = 600  # the machine may have much else to do
TWO = ["finish-page-grants", "unsigned-callbacks"]


def test_every_bug_can_be_planted() -> None:
    """What a bug changes stands in the shop, once, and the walkthroughs that have to catch it are there."""
    for bug in bugs():
        texts = {change.file: (ROOT / change.file).read_text() for change in bug.changes}
        for change in bug.changes:
            texts[change.file] = change.of(texts[change.file])
            if change.file.endswith(".py"):
                compile(texts[change.file], change.file, "exec")
        assert set(bug.walkthroughs) <= {one.name for one in walkthroughs.read()}


@pytest.mark.thorough
@pytest.mark.long
def test_two_are_caught() -> None:
    """Each of the two is caught by a walkthrough and turns the books red; the right shop passes."""
    result = subprocess.run(
        [sys.executable, "-m", "tests.proof.planted", *TWO],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    rows = [line.split(" | ") for line in result.stdout.splitlines()[2:]]
    assert [row[0].strip("| ") for row in rows] == [NOTHING.name, *TWO]
    assert [row[2].strip(" |") for row in rows] == ["green", "red", "red"]
