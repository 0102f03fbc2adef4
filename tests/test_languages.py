"""Two languages, complete: no text without its Japanese, none left over, nothing uncompiled."""

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo
from click.testing import CliRunner

from storefront import texts
from storefront.doctor import house
from storefront.languages import LANGUAGES
from storefront.texts import SIDES, Side


@pytest.fixture(params=SIDES)
def side(request: pytest.FixtureRequest) -> Side:
    return SIDES[request.param]


def japanese(side: Side) -> Catalog:
    return texts.read(side.file("ja"), "ja")


def test_nothing_to_collect(side: Side, tmp_path: Path) -> None:
    """`storefront texts` leaves the catalogue as it is: it has what stands in code and pages, and no more."""
    file = tmp_path / "messages.po"
    file.write_bytes(side.file("ja").read_bytes())
    texts.refresh(file, "ja", texts.collect(side))
    assert file.read_text() == side.file("ja").read_text(), "run `storefront texts`"


def test_whoever_writes_it(side: Side, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version of Babel makes the same files of the same texts."""
    monkeypatch.setattr("babel.messages.catalog.VERSION", "0")
    file = tmp_path / "messages.po"
    file.write_bytes(side.file("ja").read_bytes())
    texts.refresh(file, "ja", texts.collect(side))
    for ending in (".po", ".mo"):
        assert file.with_suffix(ending).read_bytes() == side.file("ja").with_suffix(ending).read_bytes()


def test_all_translated(side: Side) -> None:
    """Each text has its Japanese, with the same values in it."""
    for message in japanese(side):
        if message.id:
            assert texts.is_translated(message), message.id
            text = message.id if isinstance(message.id, str) else message.id[0]
            assert all(values(string) == values(text) for string in texts.strings(message))


def test_compiled(side: Side) -> None:
    """What the pages read is what the catalogue says."""
    with side.file("ja").with_suffix(".mo").open("rb") as file:
        kept = read_mo(file)
    compiled = {message.id: message.string for message in kept if message.id}
    source = {message.id: message.string for message in japanese(side) if message.id}
    assert compiled == source, "translate what is missing, then run `storefront texts`"


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Side:
    """A side of the street with a page and catalogues of its own."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "page.html").write_text("{{ _('Rope') }} {{ _('%(count)s left', count=1) }}")
    side = Side((tmp_path / "pages",), tmp_path / "translations")
    monkeypatch.setattr(texts, "SIDES", {"mine": side})
    return side


def run() -> str:
    done = CliRunner().invoke(texts.texts)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_word_changes(mine: Side) -> None:
    """Whoever writes a new text gets its place in the catalogue; one that is gone goes, the rest stays."""
    assert "2 texts, 2 to translate" in run()
    file = mine.file("ja")
    file.write_text(file.read_text().replace('"Rope"\nmsgstr ""', '"Rope"\nmsgstr "綱"'))
    assert house.uncompiled(mine.catalogues) == ["ja"]
    (mine.folders[0] / "page.html").write_text("{{ _('New') }} {{ _('Rope') }}")
    assert "2 texts, 1 to translate" in run()
    assert re.findall(r'^msg\w+ "(.+)"$', file.read_text(), re.M) == ["Rope", "綱", "New"]
    assert house.uncompiled(mine.catalogues) == []
    assert "綱".encode() in file.with_suffix(".mo").read_bytes()


def test_a_language_more(mine: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    """A language in the list gets catalogues to translate; English needs none."""
    monkeypatch.setitem(LANGUAGES, "eo", "Esperanto")
    run()
    assert {path.name for path in mine.catalogues.iterdir()} == LANGUAGES.keys() - {"en"}
    assert "nplurals=2" in mine.file("eo").read_text()


def write(side: Side, page: str) -> None:
    (side.folders[0] / "page.html").write_text(page)


def refused() -> str:
    done = CliRunner().invoke(texts.texts)
    assert (done.exit_code, type(done.exception)) == (1, SystemExit), done.output
    return done.output


def test_a_broken_page(mine: Side) -> None:
    """A page that cannot be read is named with its line, and no catalogue changes."""
    run()
    before = mine.file("ja").read_bytes()
    write(mine, "{{ _('Rope') }}\n{% if rope %}")
    assert "page.html:2: " in refused()
    assert mine.file("ja").read_bytes() == before


def test_texts_that_went(mine: Side) -> None:
    """How many texts a catalogue lost is said."""
    run()
    write(mine, "{{ _('Rope') }}")
    assert "1 texts, 1 to translate, 1 gone" in run()


def values(text: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)", text))
