"""On a machine that does not speak UTF-8: our files are what they are, and are told as well as can be."""

import ast
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo import COMMAND
from tests.proof.served import ROOT, without_settings

# Of neither letter nor sign of Japanese; no locale has to be there for it.
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
LEAST = {"read_text": 1, "write_text": 2}  # how many arguments it takes to name an encoding
OF_THE_SYSTEM = {"mounts.read_text()", "(KERNEL / 'sys/kernel/random/boot_id').read_text()"}


def unnamed(file: Path) -> Iterator[str]:
    """Each call that leaves the encoding of a text to whoever starts the shop."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            least = LEAST.get(node.func.attr, 0)
            named = any(word.arg in ("encoding", "errors") for word in node.keywords)
            if len(node.args) < least and not named:
                yield ast.unparse(node)


def test_every_text_has_an_encoding() -> None:
    """Style sheets, catalogues and reports are in UTF-8, whatever the machine's own encoding is."""
    found = {call for file in sorted((ROOT / "storefront").rglob("*.py")) for call in unnamed(file)}
    assert found <= OF_THE_SYSTEM


def said(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**without_settings(os.environ), **more}
    return subprocess.run(
        [COMMAND, *words], env=environment, capture_output=True, encoding="utf-8", timeout=120
    )


@pytest.mark.long
def test_the_settings_as_a_file() -> None:
    """It is the same wherever it was made."""
    made = said("settings", "--env", **ASCII)
    assert made.stdout == (ROOT / ".deploy" / "env.example").read_text("utf-8"), made.stderr


@pytest.mark.long
def test_a_letter_that_the_terminal_lacks() -> None:
    """It is told by its number, and all the rest as ever."""
    told = said("settings", **ASCII)
    assert (told.returncode, told.stderr) == (0, "")
    assert "or postgresql://\\u2026" in told.stdout
