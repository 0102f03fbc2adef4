"""Two languages, complete: no text without its Japanese, none left over, nothing uncompiled."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from storefront.doctor import house

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
METHODS = [("**.py", "python"), ("**.html", "jinja2")]
KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2), "lazy_gettext": None}
# Each side of the street has its own catalogue: where its texts stand, and where their Japanese is.
SIDES = {
    "shop": (["storefront", "templates"], "sandbox", "storefront/translations"),
    "sandbox": (["storefront/sandbox", "templates/sandbox"], None, "storefront/sandbox/translations"),
}


@pytest.fixture(params=SIDES)
def side(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def texts(side: str) -> set[str]:
    folders, without, _ = SIDES[side]
    found = set()
    for folder in folders:
        for file, _, message, _, _ in extract_from_dir(ROOT / folder, METHODS, keywords=KEYWORDS):
            if without not in Path(file).parts:
                found.add(message[0] if isinstance(message, tuple) else message)
    return found


def japanese(side: str) -> Catalog:
    with (ROOT / SIDES[side][2] / "ja" / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale="ja")


def identifier(message_id: str | tuple[str, ...] | list[str]) -> str:
    return message_id if isinstance(message_id, str) else message_id[0]


def test_none_missing_none_unused(side: str) -> None:
    """The catalogue translates exactly the texts that stand in code and pages."""
    kept = {identifier(message.id) for message in japanese(side) if message.id}
    assert texts(side) == kept


def test_all_translated(side: str) -> None:
    """Each text has its Japanese, with the same values in it."""
    for message in japanese(side):
        if message.id:
            strings = [message.string] if isinstance(message.string, str) else list(message.string or [])
            assert strings, message.id
            assert all(strings), message.id
            assert all(values(text) == values(identifier(message.id)) for text in strings)


def test_compiled(side: str) -> None:
    """What the pages read is what the catalogue says."""
    with (ROOT / SIDES[side][2] / "ja" / "LC_MESSAGES" / "messages.mo").open("rb") as file:
        kept = read_mo(file)
    compiled = {message.id: message.string for message in kept if message.id}
    source = {message.id: message.string for message in japanese(side) if message.id}
    assert compiled == source, "compile the catalogue: see the README"


def test_the_readmes_command(side: str, tmp_path: Path) -> None:
    """Whoever changes a word and compiles as the README says, sees it."""
    folder = shutil.copytree(ROOT / SIDES[side][2], tmp_path / "translations")
    source, compiled = (folder / "ja" / "LC_MESSAGES" / f"messages.{kind}" for kind in ("po", "mo"))
    source.write_text(source.read_text().replace("日本", "ニッポン").replace("mixi", "ミクシィ"))
    assert house.uncompiled(folder) == ["ja"]
    (command,) = re.findall(r"`\.venv/bin/(pybabel compile -d) storefront/translations`", README.read_text())
    subprocess.run(
        [Path(sys.executable).parent / command.split()[0], *command.split()[1:], folder], check=True
    )
    assert house.uncompiled(folder) == []
    assert "ミクシィ".encode() in compiled.read_bytes()


def values(text: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)", text))
